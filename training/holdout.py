"""The holdout: clips that training never saw, for `python -m training evaluate` and the tests."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from client import Client
from training.dataset import CODECS, RATES, SIZES
from training.encoding import encode
from training.evaluation import Answer
from training.moves import Kind
from training.photographs import FILTER_MOVES, animate_photograph, photographs
from training.renderer import Clip, draw_clip
from training.scene import TexturePool
from training.truth import rates
from video.clips import CLIP_FRAMES
from video.sampling import evenly_spread

SEED = 1_000_003
"""Differs from all seeds of training, which are small."""
KINDS: tuple[Kind, ...] = (
    "pan", "tilt", "roll", "zoom", "static", "truck", "pedestal", "dolly", "arc", "shake", "undefined",
)  # fmt: skip
SPEEDS: dict[str, tuple[float, ...]] = {
    "pan": (0.1, 0.2, 0.4),
    "tilt": (0.1, 0.2, 0.4),
    "roll": (0.15, 0.3, 0.6),
    "zoom": (0.12, 0.25, 0.5),
    "static": (0.0,),
}
"""Speeds of moving photographs, in the units of `training.photographs.animate_photograph`."""
SECONDS = 2.0
"""So long that a video has one camera clip and one segment."""


@dataclass(frozen=True)
class HoldoutClip:
    """An encoded video and the clip that it shows."""

    video: bytes
    clip: Clip

    def ask(self, client: Client) -> Answer:
        """Score the video on a server."""
        score = client.score(self.video)
        frames = evenly_spread(0, self.clip.frames - 1, CLIP_FRAMES)
        scores = np.array(list(vars(score.motion).values()))
        return Answer(self.clip.moves.labels, frozenset(score.camera[0].labels), rates(self.clip, frames), scores)


def holdout_clips(count: int, seed: int = SEED) -> Iterator[HoldoutClip]:
    """`count` rendered clips, all kinds in turn, of random size, frame rate and quality, with unseen photographs."""
    textures = TexturePool.draw(np.random.default_rng([seed, 0]), 60, unseen=True)
    for index in range(count):
        rng = np.random.default_rng([seed, 1, index])
        clip = draw_clip(
            rng,
            textures,
            kind=KINDS[index % len(KINDS)],
            seconds=SECONDS,
            frames_per_second=RATES[rng.integers(len(RATES))],
            size=SIZES[rng.integers(len(SIZES))],
        )
        yield HoldoutClip(clip.encode(quality=int(rng.integers(16, 36)), codec=CODECS[rng.integers(len(CODECS))]), clip)


def holdout_photographs(frames_per_second: int = 16, *, every: int = 1) -> Iterator[tuple[str, bytes]]:
    """75 videos of unseen photographs that FFmpeg's filters move: pairs of the label and the video.

    With `every` = n, only every n-th of them.
    """
    clips = [
        (photograph, move, speed)
        for photograph in photographs(unseen=True)
        for move in FILTER_MOVES
        for speed in SPEEDS[move.partition("_")[0]]
    ]
    for photograph, move, speed in clips[::every]:
        frames = animate_photograph(photograph, move, speed, frames_per_second=frames_per_second)
        yield move, encode(frames, frames_per_second)

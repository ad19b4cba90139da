"""Rendered clips on disk, which training reads many times."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.light import LIGHT
from training.moves import LABELS
from training.renderer import Clip, draw_clip
from training.samples import SIDE, TOKENS, TUBELET, read
from training.scene import TexturePool
from video.clips import CLIP_FRAMES

SIZES = ((320, 180), (320, 180), (256, 192), (240, 240), (180, 320), (320, 180), (426, 240), (240, 136))
RATES = (8, 8, 10, 10, 12, 12, 15, 24, 30)
SECONDS = (2.0, 2.0, 2.0, 2.0, 2.5, 3.0, 1.6)
CODECS = ("libx264",) * 8 + ("mpeg4",)
CLIPS_PER_SHARD = 100


@dataclass(frozen=True)
class Shard:
    """Samples of some clips, two for each: the motion segment, then the camera clip."""

    frames: NDArray[np.uint8]
    """(samples, 16, 112, 112, 3) RGB."""
    motion: NDArray[np.float16]
    """(samples, 8, 7, 7, 4) as in `training.samples.Sample`."""
    light: NDArray[np.float32]
    """(samples, 15, 5) as in `training.samples.Sample`."""
    rates: NDArray[np.float32]
    """(samples, 3) as in `training.samples.Sample`."""
    seconds: NDArray[np.float32]
    """(samples,) seconds from the first frame to the last."""
    spans: NDArray[np.float32]
    """(samples, 2) as in `training.samples.Sample`."""
    labels: NDArray[np.bool_]
    """(samples, labels) in the order of `training.moves.LABELS`."""

    @classmethod
    def load(cls, directory: Path, number: int) -> "Shard":
        """Read a shard, with its frames mapped into memory; `ValueError` if an earlier version wrote it."""
        path = directory / f"{number:05d}"
        with np.load(path.with_suffix(".npz")) as rest:
            if missing := {each.name for each in fields(cls)} - {"frames", *rest.files}:
                raise ValueError(f"{path}.npz has no {min(missing)}: delete the clips of an earlier version")
            frames = np.load(path.with_suffix(".npy"), mmap_mode="r")
            return cls(frames, **{each.name: rest[each.name] for each in fields(cls) if each.name != "frames"})

    def save(self, directory: Path, number: int) -> None:
        """Write the shard; its npz file appears last and complete."""
        path = directory / f"{number:05d}"
        np.save(path.with_suffix(".npy"), self.frames)
        partial = path.with_suffix(".partial.npz")
        rest = {name: value for name, value in vars(self).items() if name != "frames"}
        np.savez(partial, **rest)
        partial.rename(path.with_suffix(".npz"))


def draw_training_clip(rng: np.random.Generator, textures: TexturePool) -> tuple[Clip, bytes]:
    """A random clip and its encoded file, of random size, frame rate, length and quality."""
    seconds = SECONDS[rng.integers(len(SECONDS))]
    rate, size = RATES[rng.integers(len(RATES))], SIZES[rng.integers(len(SIZES))]
    clip = draw_clip(rng, textures, seconds=seconds, frames_per_second=rate, size=size)
    if "undefined" in clip.moves.labels and seconds > 2:
        # The classifier sees the first two seconds only, so the move must change in them.
        clip = draw_clip(rng, textures, kind="undefined", seconds=2.0, frames_per_second=rate, size=size)
    codec = CODECS[rng.integers(len(CODECS))]
    return clip, clip.encode(quality=int(rng.integers(16, 36)), codec=codec)


def make_shard(seed: int, number: int, clips: int = CLIPS_PER_SHARD) -> Shard:
    """Shard `number` of the data set of `seed`; always the same."""
    rng = np.random.default_rng([seed, number])
    textures = TexturePool.draw(rng, 80)
    count = 2 * clips
    shard = Shard(
        np.empty((count, CLIP_FRAMES, SIDE, SIDE, 3), np.uint8),
        np.empty((count, CLIP_FRAMES // TUBELET, TOKENS, TOKENS, 4), np.float16),
        np.empty((count, CLIP_FRAMES - 1, LIGHT), np.float32),
        np.empty((count, 3), np.float32),
        np.empty(count, np.float32),
        np.empty((count, 2), np.float32),
        np.zeros((count, len(LABELS)), bool),
    )
    for index in range(clips):
        clip, video = draw_training_clip(rng, textures)
        for place, sample in enumerate(read(video, clip), start=2 * index):
            shard.frames[place], shard.motion[place] = sample.frames, sample.motion
            shard.light[place], shard.rates[place] = sample.light, sample.rates
            shard.seconds[place], shard.spans[place] = sample.seconds, sample.span
            shard.labels[place] = [label in sample.labels for label in LABELS]
    return shard


def make_shards(directory: Path, seed: int, numbers: range) -> None:
    """Render the shards `numbers` that do not exist yet."""
    directory.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        if not (directory / f"{number:05d}.npz").is_file():
            make_shard(seed, number).save(directory, number)

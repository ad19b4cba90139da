"""`python -m bench.first_pass_truth FOLDER`: what the first pass loses, on rendered clips whose motion is known.

Renders clips into FOLDER/clips, with their true motion as scores in FOLDER/truth.jsonl (`training.truth`: from 0 to 3,
as the published scores). Then it says, for the default thresholds and for each kind of clip, how many are skipped, and
how many of those move: their true scores are above the cut-offs of the preset `static`. `video-motion first-pass
calibrate FOLDER/truth.jsonl` calibrates on the same clips.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.markdown import table
from client import MotionScores, Score, VideoInfo, Weights
from client._first_pass.calibration import Examples, figures
from client._first_pass.errors import FirstPassError
from client._first_pass.footage import look_at
from client._first_pass.thresholds import DEFAULT
from client._tables.presets import COLUMNS, PRESETS
from client._tables.row import FIRST_PASS_COLUMNS, scored_row
from training.dataset import CODECS, SIZES
from training.encoding import encode
from training.renderer import Clip, draw_clip
from training.scene import TexturePool
from training.truth import magnitudes, rates
from video.clips import CLIP_FRAMES
from video.sampling import evenly_spread

SEED = 2_000_003
"""Differs from those of training and of the holdout."""
SECONDS = 2.5
RATES = (8, 10, 12, 15)
KINDS = ("moving",) * 7 + ("static",) * 6 + ("frozen",) * 2 + ("black",) + ("late",) * 2 + ("slides",) * 2
"""What the clips are in turn: any move; a camera that stands still, where things may move and light may change; one
frame; black, with some noise; one frame that begins to move after 70 %; two or three frames in turn."""
LATE = 0.7
Picture = NDArray[np.uint8]


def rendered(index: int, textures: TexturePool) -> tuple[str, bytes, NDArray[np.float64]]:
    """The kind of a clip, its encoded file, and its (3,) true rates."""
    rng = np.random.default_rng([SEED, index])
    kind = KINDS[index % len(KINDS)]
    clip = draw_clip(
        rng,
        textures,
        kind="static" if kind == "static" else None,
        seconds=SECONDS,
        frames_per_second=RATES[rng.integers(len(RATES))],
        size=SIZES[rng.integers(len(SIZES))],
    )
    frames, true = _frames(kind, clip, rng)
    quality, codec = int(rng.integers(16, 36)), CODECS[rng.integers(len(CODECS))]
    return kind, encode(frames, clip.frames_per_second, quality=quality, codec=codec), true


def _frames(kind: str, clip: Clip, rng: np.random.Generator) -> tuple[Iterator[Picture], NDArray[np.float64]]:
    if kind in ("moving", "static"):
        return clip.render(), _true(clip, clip.frames)
    if kind == "frozen":
        return iter([next(clip.render())] * clip.frames), np.zeros(3)
    if kind == "black":
        noise = rng.integers(0, 1 + int(rng.integers(0, 8)), (clip.frames, clip.height, clip.width, 1))
        return (np.repeat(each, 3, axis=2).astype(np.uint8) for each in noise), np.zeros(3)
    if kind == "late":
        moving = clip.frames - int(LATE * clip.frames)
        pictures = [*islice(clip.render(), moving)]
        true = _true(clip, moving) * moving / clip.frames
        return iter([pictures[0]] * (clip.frames - moving) + pictures), true
    pictures = [*clip.render()]
    slides = int(rng.integers(2, 4))
    chosen = [pictures[each] for each in np.linspace(0, clip.frames - 1, slides).astype(int)]
    # The frames of one scene may be alike: turned upside down, they are not.
    chosen = [each[::-1] if index % 2 else each for index, each in enumerate(chosen)]
    shown = (np.arange(clip.frames) * slides) // clip.frames
    return (np.ascontiguousarray(chosen[each]) for each in shown), np.array([0, 0, (slides - 1) / clip.seconds])


def _true(clip: Clip, frames: int) -> NDArray[np.float64]:
    """(3,) the true rates of the first frames of a clip."""
    return rates(clip, evenly_spread(0, frames - 1, CLIP_FRAMES))


def main(arguments: Sequence[str] | None = None) -> int:
    """Render, look, print a table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_pass_truth", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--clips", type=int, default=400, metavar="N", help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    (options.folder / "clips").mkdir(parents=True, exist_ok=True)
    textures = TexturePool.draw(np.random.default_rng([SEED, 0]), 60, unseen=True)
    names, kinds, scores, seen, looking = [], [], [], [], 0.0
    with (options.folder / "truth.jsonl").open("w") as file:
        for index in range(options.clips):
            kind, video, true = rendered(index, textures)
            path = options.folder / "clips" / f"{index:04}_{kind}.mp4"
            path.write_bytes(video)
            score = magnitudes(true)
            started = time.process_time()
            look = _look(path)
            looking += time.process_time() - started
            file.write(json.dumps(_row(str(path), score, look)) + "\n")
            names.append(str(path))
            kinds.append(kind)
            scores.append(score)
            seen.append(look)
    truth = {name: np.array(scores, np.float32)[:, column] for column, name in enumerate(COLUMNS)}
    examples = Examples(tuple(names), np.array(seen), ~PRESETS["static"].takes(truth))
    print(f"default thresholds: {DEFAULT.as_dict()}; {looking:.1f} s of CPU for looking to the end of every clip")
    rows = []
    for kind in (*dict.fromkeys(KINDS), "all"):
        of = examples.of(np.array([kind in (each, "all") for each in kinds], np.bool_))
        found = figures(of, DEFAULT)
        rows.append([kind, *map(str, (found.videos, found.moving, found.skipped, found.lost))])
    print(table(("clips", "number", "move", "skipped", "of these, move"), rows))
    return 0


def _look(path: Path) -> tuple[float, float, float]:
    try:
        look = look_at(str(path))
    except FirstPassError as error:
        print(f"{path}: {error}", file=sys.stderr)
        look = None
    return (np.nan,) * 3 if look is None else (look.change, look.black_share, look.frozen_share)


def _row(video: str, score: NDArray[np.float64], look: tuple[float, float, float]) -> dict[str, object]:
    info = VideoInfo(SECONDS, 1, 1.0, 1, 1)
    row = scored_row(video, Score(MotionScores(*score.tolist()), (), info, Weights("truth", "truth", ())))
    return row | {
        name: None if np.isnan(value) else value for name, value in zip(FIRST_PASS_COLUMNS, look, strict=True)
    }


if __name__ == "__main__":
    sys.exit(main())

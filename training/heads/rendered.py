"""`python -m training.heads.rendered DIRECTORY`: labelled clips to try heads on, without videos of one's own.

Each is a few seconds of photographs under a moving camera, with one of four labels: `static`, `pan`, `zoom`, `other`.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from tqdm import tqdm

from training.moves import Kind
from training.renderer import Clip, draw_clip
from training.scene import TexturePool

MOVES = {
    "static": ("static",),
    "pan": ("pan_left", "pan_right"),
    "zoom": ("zoom_in", "zoom_out"),
    "other": ("tilt_up", "shake", "tilt_down"),
}
"""The camera moves of each label."""
SECONDS = 4.0
FRAMES_PER_SECOND = 8
SIZE = (240, 136)
"""Width and height in pixels."""
SEED = 5_000_011
"""Not that of any other rendered clips."""


def main(arguments: list[str] | None = None) -> int:
    """Render, and write the labels; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.heads.rendered", description="Render labelled clips to try heads on."
    )
    parser.add_argument("directory", metavar="DIRECTORY", type=Path, help="where clips and labels.csv are written")
    parser.add_argument("--clips", type=int, default=80, metavar="N", help="how many (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.clips < len(MOVES):
        parser.error(f"--clips is {options.clips}, it must be at least {len(MOVES)}, one for each label")
    try:
        write_clips(options.directory, options.clips)
    except OSError as error:
        print(f"cannot write {options.directory}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"{options.clips} clips, and their labels in {options.directory / 'labels.csv'}")
    return 0


def write_clips(directory: Path, count: int) -> None:
    """Write `count` clips, and their labels into `labels.csv`. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    rows = [("video", "label")]
    for name, label, clip in tqdm(drawn(count), "clips", total=count, disable=None):
        (directory / name).write_bytes(clip.encode())
        rows.append((name, label))
    with (directory / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def drawn(count: int) -> Iterator[tuple[str, str, Clip]]:
    """The name, the label and the frames of `count` clips, the labels in turn."""
    textures = TexturePool.draw(np.random.default_rng([SEED, 0]), 40, unseen=True)
    for index in range(count):
        label = [*MOVES][index % len(MOVES)]
        moves = MOVES[label]
        move = moves[index // len(MOVES) % len(moves)]
        yield f"{label}_{index:04}.mp4", label, _draw(move, np.random.default_rng([SEED, 1, index]), textures)


def _draw(move: str, rng: np.random.Generator, textures: TexturePool) -> Clip:
    """A random clip with this camera move and no other."""
    kind = cast(Kind, move.partition("_")[0])
    while True:
        clip = draw_clip(rng, textures, kind=kind, seconds=SECONDS, frames_per_second=FRAMES_PER_SECOND, size=SIZE)
        if clip.moves.labels == {move}:
            return clip


if __name__ == "__main__":
    sys.exit(main())

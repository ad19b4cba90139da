"""`python -m bench.heads`: all kinds of heads on rendered clips of six camera moves.

The embeddings are those of the demo's motion network, run directly in PyTorch on the segments that the server would
sample. The clips have seeds and photographs that the network never saw. Embeddings are kept in .bench/heads; run it
again after an interruption.
"""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from export.motion_network import Backbone, load_motion
from export.source import open_source
from fixtures.embeddings import write_embeddings
from training.heads.__main__ import main as heads
from training.moves import LABELS as ALL
from training.moves import Kind
from training.renderer import Clip, draw_clip
from training.scene import TexturePool
from video.clips import CLIP_SHAPE, FRAME_SIZE
from video.container import open_video, read_frame_table
from video.decoding import decode
from video.limits import Limits
from video.parameters import Parameters
from video.sampling import sample

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".bench" / "heads"
LABELS = ("static", "shake", "pan_left", "pan_right", "tilt_down", "tilt_up")
"""The classes; a clip has one of these labels and no other."""
SEED = 4_000_037
SECONDS = 4.0
FRAMES_PER_SECOND = 8
"""So many that every frame of a clip is in one of its two segments."""
SIZE = (240, 136)
LIMITS = Limits()
WANTED = 0.9


def main() -> int:
    """Render, embed, compare; the exit status is 0 if the transformer reaches 90 %."""
    parser = argparse.ArgumentParser(prog="python -m bench.heads", description="Compare heads on rendered clips.")
    parser.add_argument("--clips", type=int, default=600, help="(default: %(default)s)")
    parser.add_argument(
        "--labels", nargs="+", default=LABELS, choices=ALL, metavar="LABEL", help=f"of {', '.join(ALL)}"
    )
    parser.add_argument("--output", type=Path, default=CACHE / "comparison", help="(default: .bench/heads/comparison)")
    parser.add_argument("rest", nargs="*", metavar="OPTION", help="after --: options of `training.heads compare`")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table, labels = embeddings(options.clips, options.labels)
    shutil.rmtree(options.output, ignore_errors=True)
    files = ["--scores", str(table), "--labels", str(labels), "--output", str(options.output)]
    status = heads(["compare", *files, "--on", "segments", "--test-size", "0.2", *options.rest])
    if status:
        return status
    rows = json.loads((options.output / "comparison.json").read_text())
    best = max(row["accuracy"]["value"] for row in rows if row["kind"] == "transformer")
    print(f"transformer: {best:.1%}, wanted {WANTED:.0%}")
    return 0 if best >= WANTED else 1


def embeddings(clips: int, classes: Sequence[str] = LABELS) -> tuple[Path, Path]:
    """A table with the segment embeddings of `clips` clips of some labels in turn, and the file with their labels."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open_source("demo", "motion") as checkpoint:
        backbone, _ = load_motion(checkpoint.directory)
        encoder = checkpoint.name
    textures = TexturePool.draw(np.random.default_rng([SEED, 0]), 60, unseen=True)
    found: dict[str, NDArray[np.floating] | None] = {}
    labels: list[tuple[str, str]] = []
    for index in tqdm(range(clips), "clips", disable=None):
        label = classes[index % len(classes)]
        video = f"{label}_{index:05}.mp4"
        kept = CACHE / f"{video}.npy"
        if not kept.is_file():
            matrix = embed(draw(label, np.random.default_rng([SEED, 1, index]), textures).encode(), backbone)
            partial = kept.with_suffix(".partial.npy")
            np.save(partial, matrix)
            partial.rename(kept)
        found[video] = np.load(kept)
        labels.append((video, label))
    with (CACHE / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("video", "label"), *labels])
    return write_embeddings(CACHE / "scores.parquet", found, on="segments", encoder=encoder), CACHE / "labels.csv"


def draw(label: str, rng: np.random.Generator, textures: TexturePool) -> Clip:
    """A random clip with this label and no other."""
    kind = cast(Kind, label.partition("_")[0])
    while True:
        clip = draw_clip(rng, textures, kind=kind, seconds=SECONDS, frames_per_second=FRAMES_PER_SECOND, size=SIZE)
        if clip.moves.labels == {label}:
            return clip


def embed(video: bytes, backbone: Backbone) -> NDArray[np.float32]:
    """(segments, width) float32: the embeddings of a file's motion segments."""
    file = BytesIO(video)
    with open_video(file, LIMITS) as (container, stream):
        table = read_frame_table(container, stream, LIMITS)
    sampling = sample(table.timestamps, table.info.duration_seconds, Parameters())
    used, order = np.unique(sampling.motion_order, return_inverse=True)
    out = np.empty((len(order), FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
    file.seek(0)
    decode(file, sampling.frame_indices[used], order, np.empty(0, int), FRAME_SIZE, out, limits=LIMITS)
    with torch.inference_mode():
        found: NDArray[np.float32] = backbone(torch.from_numpy(out).reshape(-1, *CLIP_SHAPE)).numpy()
    return found


if __name__ == "__main__":
    sys.exit(main())

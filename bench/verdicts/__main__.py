"""`python -m bench.verdicts`: precision and recall of every preset and verdict on rendered clips of known kinds.

The demo's networks score the clips in this process; they learned from rendered clips of other seeds and photographs.
Clips with even numbers are those on which cut-offs were chosen (--choose prints the best ones); the figures are of the
others. Clips and scores are kept in .bench/verdicts: run it again after an interruption. A folder that other code or
other networks made is refused.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.demo_scores import ROOT, score_clips
from bench.kept_run import OtherRun, kept_run, made_by
from bench.markdown import table
from bench.verdicts.clips import KINDS, Truth, write_clips
from bench.verdicts.figures import best_cutoffs, precision, recall
from client._tables.presets import Preset
from client._tables.quantities import columns_of, values_of
from client._tables.table import read_batches, read_metadata
from client._tables.verdicts import ALL_PRESETS

CACHE = ROOT / ".bench" / "verdicts"
PER_KIND = 16
Values = dict[str, NDArray[np.float32]]


def main(arguments: list[str] | None = None) -> int:
    """Render, score, compare with the truth, print; the exit status: 1 if a clip could not be scored."""
    parser = argparse.ArgumentParser(prog="python -m bench.verdicts", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--clips", type=int, default=PER_KIND, metavar="N", help="of each kind (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=CACHE, metavar="DIR", help="(default: .bench/verdicts)")
    parser.add_argument(
        "--url", metavar="HOST:PORT", help="a server to ask (default: the demo's networks, in this process)"
    )
    parser.add_argument("--choose", action="store_true", help="print the best cut-offs of the even half")
    options = parser.parse_args(arguments)
    if options.clips < 2:
        parser.error(f"--clips is {options.clips}, it must be at least 2, one for each half")
    try:
        with kept_run(options.directory, made_by("bench/verdicts/clips.py")):
            return _run(options)
    except OtherRun as error:
        parser.error(str(error))


def _run(options: argparse.Namespace) -> int:
    cv2.setNumThreads(1)
    truth = write_clips(options.directory / "clips", options.clips)
    scores = options.directory / ("served.jsonl" if options.url else "scores.jsonl")
    if not score_clips(options.directory / "clips", scores, options.url):
        print("bench: some clips could not be scored", file=sys.stderr)
        return 1
    even = np.array([each.index % 2 == 0 for each in truth])
    values = values_in_order(scores, truth)
    if options.choose:
        for name, preset in ALL_PRESETS.items():
            print(f"{name}: {best_cutoffs(preset, _part(values, even), _is(truth, name)[even])}")
    print(report(values, truth, ~even))
    return 0


def values_in_order(scores: Path, truth: list[Truth]) -> Values:
    """(clips,) of each score and measure that presets name, in the order of the truth."""
    metadata = read_metadata(scores)
    presets = ALL_PRESETS.values()
    videos: list[str] = []
    parts: list[Values] = []
    for batch in read_batches(scores, metadata, columns=columns_of(presets)):
        videos += batch.column("video").to_pylist()
        parts.append(values_of(batch, metadata, presets))
    rows = {Path(video).name: row for row, video in enumerate(videos)}
    order = [rows[each.video] for each in truth]
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}


def report(values: Values, truth: list[Truth], chosen: NDArray[np.bool_]) -> str:
    """The figures of the chosen clips as Markdown: of each preset, and how many clips of each kind it takes."""
    some = _part(values, chosen)
    rows = [_row(preset, some, _is(truth, name)[chosen]) for name, preset in ALL_PRESETS.items()]
    titles = ("preset", "clips that have it", "clips that it takes", "precision (95 %)", "recall (95 %)")
    kinds = np.array([each.kind for each in truth])[chosen]
    shares = [
        [
            kind,
            *(f"{preset.takes(some)[kinds == kind].mean():.2f}".replace("0.00", "") for preset in ALL_PRESETS.values()),
        ]
        for kind in KINDS
    ]
    counts = f"{int(chosen.sum())} clips, {len(kinds) // len(KINDS)} of each kind"
    return "\n\n".join([counts, table(titles, rows), table(("kind", *ALL_PRESETS), shares)])


def _row(preset: Preset, values: Values, truth: NDArray[np.bool_]) -> list[str]:
    taken = preset.takes(values)
    figures = (precision(taken, truth), recall(taken, truth))
    return [f"`{preset.name}`", str(int(truth.sum())), str(int(taken.sum())), *map(str, figures)]


def _is(truth: list[Truth], name: str) -> NDArray[np.bool_]:
    return np.array([name in each.verdicts for each in truth])


def _part(values: Values, chosen: NDArray[np.bool_]) -> Values:
    return {name: each[chosen] for name, each in values.items()}


if __name__ == "__main__":
    sys.exit(main())

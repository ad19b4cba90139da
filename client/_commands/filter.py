"""`python -m client.filter SCORES --drop PRESET...`: split a table of scores into what to keep and what to drop."""

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .._tables.columns import from_stand_ins, is_failed, scores_of
from .._tables.presets import Preset
from .._tables.table import Metadata, TableError, read_batches, read_metadata
from .preset_arguments import add_preset_arguments, presets_from
from .program import sibling
from .video_list import UnwritableList, VideoList

EPILOG = """\
A file's suffix says what is written. .txt: the path of a video a line, of dropped ones then a tab and the presets that
took it, of failed ones a tab and the reason. .jsonl, .parquet: the rows as they were, of dropped ones with dropped_by;
commands that read scores read them. A video without scores is neither kept nor dropped. Exit status: 0 done, 1 a file
cannot be read or written, 2 the command line is wrong."""
FAILURES_NAMED = 10


@dataclass
class Counts:
    """How many videos went where."""

    presets: dict[str, Preset]
    """The presets whose videos are dropped, by name."""
    videos: int = 0
    """Rows of the table."""
    kept: int = 0
    """Scored, and taken by no preset."""
    dropped: int = 0
    """Taken by one preset or more."""
    failed: int = 0
    """Without scores."""
    dropped_by: dict[str, int] | None = None
    """Videos that each preset takes; one that several take is counted in each."""

    def __post_init__(self) -> None:
        self.dropped_by = dict.fromkeys(self.presets, 0)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "videos": self.videos,
            "kept": self.kept,
            "dropped": self.dropped,
            "failed": self.failed,
            "dropped_by": self.dropped_by,
            "presets": {
                name: {limit.score: limit.cutoff for limit in preset.limits} for name, preset in self.presets.items()
            },
        }


def main(arguments: list[str] | None = None, program: str = "video-motion filter") -> int:
    """Parse the command line, filter, say how many of each, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="Split a table of scores into the videos to keep and those that presets drop.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "scores", metavar="SCORES", type=Path, help=f"table that `{sibling(program, 'score')} --output` wrote"
    )
    add_preset_arguments(parser)
    for what in ("kept", "dropped", "failed"):
        parser.add_argument(
            f"--{what}", type=Path, metavar="FILE", help=f"write the {what} ones: .txt, .jsonl, .parquet"
        )
    parser.add_argument("--format", choices=("table", "json"), help="(default: table on a terminal, else JSON)")
    options = parser.parse_args(arguments)
    if not options.drop:
        parser.error("nothing to drop: give --drop PRESET")
    presets = presets_from(options)
    if unused := [name for name in presets if getattr(options, name) and name not in options.drop]:
        parser.error(f"--{unused[0]} gives cut-offs, but --drop {unused[0]} is not given")
    paths = {what: getattr(options, what) for what in ("kept", "dropped", "failed") if getattr(options, what)}
    for what, path in paths.items():
        if path.suffix not in VideoList.SUFFIXES:
            parser.error(f"--{what} {path} must end in {', '.join(VideoList.SUFFIXES)}")
    resolved = [path.resolve() for path in (options.scores, *paths.values())]
    if len(set(resolved)) < len(resolved):
        parser.error("the table and the lists must be different files")
    try:
        metadata = read_metadata(options.scores)
        dropping = {name: preset for name, preset in presets.items() if name in options.drop}
        counts, failures = filter_table(options.scores, metadata, dropping, paths)
    except (TableError, UnwritableList) as error:
        print(error, file=sys.stderr)
        return 1
    if from_stand_ins(metadata):
        print("NOTE: these scores come from stand-in weights: they mean nothing", file=sys.stderr)
    if "failed" not in paths:
        for video, reason in failures:
            print(f"{video}: {reason}", file=sys.stderr)
        if counts.failed > len(failures):
            print(f"... and {counts.failed - len(failures)} more (--failed FILE lists them all)", file=sys.stderr)
    if (options.format or ("table" if sys.stdout.isatty() else "json")) == "json":
        print(json.dumps({"scores": str(options.scores), **counts.as_dict()}))
    else:
        print(table(counts))
    return 0


def filter_table(
    path: Path, metadata: Metadata, presets: dict[str, Preset], paths: dict[str, Path]
) -> tuple[Counts, list[tuple[str, str]]]:
    """Count, and write the lists that `paths` names (`kept`, `dropped`, `failed`): all of them, or none on an error.

    Also returns the first failed videos, each with its reason. Raises TableError, UnwritableList.
    """
    counts = Counts(presets)
    failures: list[tuple[str, str]] = []
    with ExitStack() as stack:
        lists = {what: stack.enter_context(VideoList(to, what, metadata)) for what, to in paths.items()}
        for batch in read_batches(path, metadata):
            values = scores_of(batch)
            failed = is_failed(batch, values)
            taken = {name: preset.takes(values) & ~failed for name, preset in presets.items()}
            dropped = np.logical_or.reduce(list(taken.values()))
            counts.videos += len(failed)
            counts.failed += int(failed.sum())
            counts.dropped += int(dropped.sum())
            counts.kept += int((~failed & ~dropped).sum())
            for name, mask in taken.items():
                assert counts.dropped_by is not None
                counts.dropped_by[name] += int(mask.sum())
            masks = {"kept": ~failed & ~dropped, "dropped": dropped, "failed": failed}
            for what, video_list in lists.items():
                video_list.add(batch.filter(pa.array(masks[what])), _names(taken, masks[what]))
            room = FAILURES_NAMED - len(failures)
            if room and failed.any():
                rows = batch.select(["video", "error"]).filter(pa.array(failed)).slice(0, room).to_pylist()
                failures += [(row["video"], row["error"] or "it has no scores") for row in rows]
        for video_list in lists.values():
            video_list.finish()
    return counts, failures


def table(counts: Counts) -> str:
    """What a person wants to see."""
    scored = max(counts.videos - counts.failed, 1)
    rows = [("videos", counts.videos, ""), ("failed", counts.failed, "without scores, neither kept nor dropped")]
    rows += [("kept", counts.kept, f"{counts.kept / scored:.1%} of the scored")]
    rows += [("dropped", counts.dropped, f"{counts.dropped / scored:.1%}")]
    for name, count in (counts.dropped_by or {}).items():
        rows.append((f"  {name}", count, f"{count / scored:.1%}   {counts.presets[name]}"))
    width = max(len(f"{count:,}") for _, count, _ in rows)
    return "\n".join(f"{name:12} {count:>{width},}  {note}".rstrip() for name, count, note in rows)


def _names(taken: dict[str, NDArray[np.bool_]], mask: NDArray[np.bool_]) -> list[list[str]]:
    """For each row of `mask`, the presets that take it."""
    columns = [(name, rows[mask].tolist()) for name, rows in taken.items()]
    return [[name for name, rows in columns if rows[index]] for index in range(int(mask.sum()))]

"""The command `summary`: summarize a table of scores, or compare two."""

import json
import math
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .._counted import counted
from .._tables.columns import check_motion, from_stand_ins, is_failed, scores_of
from .._tables.here import table_here
from .._tables.presets import COLUMNS
from .._tables.quantities import columns_of, values_of
from .._tables.row import NO_SCORES, PART_COLUMNS, SKIPPED_BY
from .._tables.table import Metadata, TableError, read_batches, read_metadata
from .._tables.verdicts import ALL_PRESETS, split_by_table
from ..intervals import camera_intervals, label_seconds, table_clips
from .parser import command_parser
from .path_arguments import path_or_url

NOTES = (
    "sd: standard deviation; p5, p95: percentiles. difference: second minus first, with the 95 % confidence interval "
    "of the difference of means. Labels: share of the scored videos with at least one clip that has the label. "
    "Presets: share of the scored videos that match, with the published cut-offs; most need a table with measures.",
)
STATUSES = {0: "done", 1: "a table cannot be read"}
EXAMPLES = ("scores.parquet", "generator_a.parquet generator_b.parquet --format table")


@dataclass(frozen=True)
class ScoreStatistics:
    """The distribution of one score; NaN if there are too few videos."""

    mean: float
    """Mean."""
    median: float
    """Median."""
    sd: float
    """Standard deviation of a sample."""
    p5: float
    """5th percentile."""
    p95: float
    """95th percentile."""


@dataclass(frozen=True)
class Summary:
    """One set of videos."""

    path: Path | str
    """The table, or its URL."""
    weights: dict[str, str]
    """The weights behind the scores."""
    videos: int
    """Rows of the table."""
    failed: int
    """Videos without scores."""
    clips: int
    """Clips of the scored videos."""
    scores: dict[str, ScoreStatistics]
    """By short name: `camera`, `object`, `dynamics`."""
    label_share_of_videos: dict[str, float]
    """Share of the scored videos with at least one clip that has the label; largest first."""
    label_share_of_clips: dict[str, float]
    """Share of their clips that have the label."""
    preset_share: dict[str, float]
    """Share of the scored videos that match each preset that the table can tell, with its published cut-offs."""
    presets_not_told: dict[str, str]
    """What the table lacks for each other preset."""
    skipped_by: dict[str, int] = field(default_factory=dict)
    """Videos that a first pass skipped, by why; they have no scores, and did not fail."""

    @property
    def scored(self) -> int:
        """Videos with scores."""
        return self.videos - self.failed - sum(self.skipped_by.values())

    def as_dict(self) -> dict[str, Any]:
        """The summary as a JSON object; values that cannot be computed are null."""
        return {
            "scores_file": str(self.path),
            "weights": self.weights,
            "videos": self.videos,
            "failed": self.failed,
            "clips": self.clips,
            "scores": {
                COLUMNS[name]: {key: _or_null(value) for key, value in vars(statistics).items()}
                for name, statistics in self.scores.items()
            },
            "label_share_of_videos": self.label_share_of_videos,
            "label_share_of_clips": self.label_share_of_clips,
            "preset_share": self.preset_share,
            "presets_not_told": self.presets_not_told,
            **({"skipped_by": self.skipped_by} if self.skipped_by else {}),
        }


def main(arguments: list[str] | None = None, program: str = "video-motion summary") -> int:
    """Parse the command line, summarize, print; returns the exit status."""
    parser = command_parser(
        program,
        "Summarize a table of scores, or compare two, such as the output of two video generators.",
        notes=NOTES,
        statuses=STATUSES,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "scores", nargs="+", type=path_or_url, metavar="SCORES", help="one or two tables of scores, by path or URL"
    )
    parser.add_argument(
        "--per-video", action="store_true", help="print one line per video: its scores and camera moves over time"
    )
    parser.add_argument("--format", choices=("table", "json"), help="default: table on a terminal, else JSON")
    options = parser.parse_args(arguments)
    if len(options.scores) > 2:
        parser.error(f"{len(options.scores)} tables were given; give one, or two to compare")
    as_table = (options.format or ("table" if sys.stdout.isatty() else "json")) == "table"
    summaries = []
    try:
        for named in options.scores:
            with table_here(named) as path:
                if options.per_video:
                    _print_videos(path, as_table)
                else:
                    summaries.append(replace(summarize(path), path=named))
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    if options.per_video:
        return 0
    for summary in summaries:
        if from_stand_ins(Metadata(summary.weights)):
            print(f"NOTE: {summary.path}: the scores come from random weights and mean nothing", file=sys.stderr)
    if len(summaries) == 2 and summaries[0].weights != summaries[1].weights:
        print("NOTE: the two sets were scored with different weights or precisions", file=sys.stderr)
    if as_table:
        print(table(summaries))
    else:
        content: dict[str, Any] = {"sets": [summary.as_dict() for summary in summaries]}
        if len(summaries) == 2:
            content["difference"] = difference(*summaries)
        print(json.dumps(content))
    return 0


def summarize(path: Path) -> Summary:
    """Summarize a table, reading it once. Raises TableError."""
    metadata = read_metadata(path)
    check_motion(path, metadata)
    values: dict[str, list[NDArray[np.float32]]] = {name: [] for name in COLUMNS}
    videos = clips = 0
    label_videos: dict[str, int] = {}
    label_clips: dict[str, int] = {}
    skipped_by: Counter[str] = Counter()
    presets, not_told = split_by_table(path, metadata, ALL_PRESETS.values())
    matches = dict.fromkeys(presets, 0)
    columns = columns_of(presets.values())
    for batch in read_batches(path, metadata, signals=columns is not None, columns=columns):
        scores = values_of(batch, metadata, presets.values())
        scored = ~is_failed(batch, scores)
        for name, preset in presets.items():
            matches[name] += int((preset.takes(scores) & scored).sum())
        videos += len(scored)
        skipped_by.update(batch.column(SKIPPED_BY).drop_null().to_pylist())
        for name in COLUMNS:
            values[name].append(scores[name][scored])
        rows, labels, count = _clip_labels(batch.column("clips").filter(pa.array(scored)))
        clips += count
        for label, number in _counts(labels).items():
            label_clips[label] = label_clips.get(label, 0) + number
        pairs = pa.table({"row": rows, "label": labels}).group_by(["row", "label"]).aggregate([])
        for label, number in _counts(pairs.column("label").combine_chunks()).items():
            label_videos[label] = label_videos.get(label, 0) + number
    joined = {name: np.concatenate(parts) if parts else np.empty(0, np.float32) for name, parts in values.items()}
    scored_videos = len(joined["camera"])
    order = sorted(label_videos, key=lambda label: (-label_videos[label], label))
    return Summary(
        path,
        metadata.weights,
        videos,
        videos - scored_videos - skipped_by.total(),
        clips,
        {name: _statistics(column) for name, column in joined.items()},
        {label: label_videos[label] / scored_videos for label in order},
        {label: label_clips[label] / clips for label in order},
        {name: number / scored_videos if scored_videos else 0.0 for name, number in matches.items()},
        not_told,
        dict(skipped_by.most_common()),
    )


def difference(first: Summary, second: Summary) -> dict[str, Any]:
    """Second minus first; `mean_confidence_95` is half the 95 % confidence interval of the difference of means."""
    return {
        "scores": {
            COLUMNS[name]: {
                **{
                    key: _or_null(getattr(second.scores[name], key) - getattr(first.scores[name], key))
                    for key in ("mean", "median", "sd", "p5", "p95")
                },
                "mean_confidence_95": _or_null(_confidence(first, second, name)),
            }
            for name in COLUMNS
        },
        **{
            shares: {
                key: getattr(second, shares).get(key, 0.0) - getattr(first, shares).get(key, 0.0)
                for key in dict.fromkeys([*getattr(first, shares), *getattr(second, shares)])
            }
            for shares in ("label_share_of_videos", "label_share_of_clips")
        },
        "preset_share": {
            name: second.preset_share[name] - share
            for name, share in first.preset_share.items()
            if name in second.preset_share
        },
    }


def table(summaries: list[Summary]) -> str:
    """One summary, or two side by side, as lines of text for a person."""
    lines = [
        f"{letter}  {summary.path}   {counted(summary.videos, 'video')}, {summary.failed:,} failed, "
        f"{_skipped(summary)}{counted(summary.clips, 'clip')}"
        for letter, summary in zip("ab", summaries, strict=False)
    ]
    pair = len(summaries) == 2
    heads = ["a", "b", "b - a"] if pair else ["a"]
    lines += ["", f"{'':22}" + "".join(f"{head:>9}" for head in heads)]
    for name in COLUMNS:
        for key in ("mean", "median", "sd", "p5", "p95"):
            cells = [getattr(summary.scores[name], key) for summary in summaries]
            line = f"{name + ' ' + key:22}" + "".join(_cell(cell, ".3f") for cell in cells)
            if pair:
                line += _cell(cells[1] - cells[0], "+.3f")
                half = _confidence(summaries[0], summaries[1], name)
                line += f"  +- {half:.3f}" if key == "mean" and math.isfinite(half) else ""
            lines.append(line)
    for title, shares in (("presets", "preset_share"), ("labels", "label_share_of_videos")):
        lines += ["", f"{title}, of the scored videos"]
        keys = dict.fromkeys(key for summary in summaries for key in getattr(summary, shares))
        for key in sorted(keys, key=lambda key: -max(getattr(s, shares).get(key, 0.0) for s in summaries)):
            known = [key not in summary.presets_not_told for summary in summaries]
            cells = [getattr(summary, shares).get(key, 0.0) for summary in summaries]
            shown = [f"{100 * cell:7.1f} %" if told else f"{'-':>9}" for cell, told in zip(cells, known, strict=True)]
            line = f"  {key:20}" + "".join(shown)
            lines.append(line + (f"{100 * (cells[1] - cells[0]):+7.1f} %" if pair and all(known) else ""))
        if not keys:
            lines.append("  none")
        if shares == "preset_share":
            lines += [line for summary in summaries for line in _not_told(summary)]
    return "\n".join(lines)


def _cell(number: float, form: str) -> str:
    """A number in its column, or a hyphen if there are too few videos for it."""
    return f"{number:{form}}".rjust(9) if math.isfinite(number) else f"{'-':>9}"


def _skipped(summary: Summary) -> str:
    reasons = ", ".join(f"{count:,} {name}" for name, count in summary.skipped_by.items())
    return f"{sum(summary.skipped_by.values()):,} skipped by a first pass ({reasons}), " if reasons else ""


def _not_told(summary: Summary) -> list[str]:
    """A line for each thing that the table lacks, with the presets that need it."""
    by_reason: dict[str, list[str]] = {}
    for name, why in summary.presets_not_told.items():
        by_reason.setdefault(why, []).append(name)
    return [f"  not told: {', '.join(names)}: {summary.path}: {why}" for why, names in by_reason.items()]


def _print_videos(path: Path, as_table: bool) -> None:
    metadata = read_metadata(path)
    check_motion(path, metadata)
    for batch in read_batches(path, metadata, signals=False):
        failed = is_failed(batch, scores_of(batch)).tolist()
        for row, row_failed in zip(batch.to_pylist(), failed, strict=True):
            print(_video_line(row, row_failed) if as_table else json.dumps(_video_object(row, row_failed)))


def _video_object(row: dict[str, Any], failed: bool) -> dict[str, Any]:
    content = {name: row[name] for name in ("video", *PART_COLUMNS) if row.get(name) is not None}
    if row[SKIPPED_BY] is not None:
        return content | {SKIPPED_BY: row[SKIPPED_BY]}
    if failed:
        return content | {"error": row["error"] or NO_SCORES, "reason": row["reason"]}
    intervals = camera_intervals(table_clips(row.get("clips")))
    return content | {
        "motion": {column: round(row[column], 6) for column in COLUMNS.values()},
        "intervals": [vars(interval) for interval in intervals],
        "label_seconds": {label: round(seconds, 3) for label, seconds in label_seconds(intervals).items()},
    }


def _video_line(row: dict[str, Any], failed: bool) -> str:
    if row[SKIPPED_BY] is not None:
        return f"{row['video']}  not scored: {row[SKIPPED_BY]}"
    if failed:
        return f"{row['video']}  failed: {row['error'] or NO_SCORES}"
    scores = "   ".join(f"{name} {row[column]:.3f}" for name, column in COLUMNS.items())
    intervals = camera_intervals(table_clips(row.get("clips")))
    return f"{row['video']}  {scores}   {', '.join(map(str, intervals)) or 'no camera label'}"


def _clip_labels(clips: pa.Array) -> tuple[pa.Array, pa.Array, int]:
    """For a column of clips: the row and the name of every label of every clip, and the number of clips."""
    clip_rows = pc.list_parent_indices(clips)
    flat = pc.list_flatten(clips)
    labels = pc.struct_field(flat, "labels")
    return clip_rows.take(pc.list_parent_indices(labels)), pc.list_flatten(labels), len(flat)


def _counts(labels: pa.Array) -> dict[str, int]:
    return {item["values"]: item["counts"] for item in pc.value_counts(labels).to_pylist()}


def _statistics(values: NDArray[np.float32]) -> ScoreStatistics:
    if not len(values):
        return ScoreStatistics(*[math.nan] * 5)
    exact = values.astype(np.float64)
    p5, median, p95 = np.percentile(exact, [5, 50, 95])
    sd = float(exact.std(ddof=1)) if len(exact) > 1 else math.nan
    return ScoreStatistics(float(exact.mean()), float(median), sd, float(p5), float(p95))


def _confidence(first: Summary, second: Summary, score: str) -> float:
    """Half the width of the 95 % confidence interval of the difference of means, by the normal distribution."""
    if min(first.scored, second.scored) < 2:
        return math.nan
    return 1.96 * math.hypot(
        first.scores[score].sd / math.sqrt(first.scored), second.scores[score].sd / math.sqrt(second.scored)
    )


def _or_null(number: float) -> float | None:
    return round(number, 6) if math.isfinite(number) else None

"""Read a table of scores, choose examples, and write the page."""

import base64
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .._tables.columns import check_motion, from_stand_ins, is_failed, is_skipped
from .._tables.found import not_found, place_of
from .._tables.presets import COLUMNS, LARGEST_CUTOFF, PRESETS, Preset
from .._tables.quantities import QUANTITIES, columns_of, cutoffs_of, quantities_of, values_of
from .._tables.replace import replacing
from .._tables.row import NO_SCORES
from .._tables.table import read_batches, read_metadata
from .._tables.verdicts import ALL_PRESETS, check_presets, split_by_table
from ..intervals import camera_intervals, table_clips
from .examples import Candidate, NearestRows
from .learned_score import DEFAULT_AT, LearnedScore
from .learned_score import NAME as LEARNED
from .previews import Preview, Segment, make_previews, segment_of
from .template import json_text, page_of

FAILURES_SHOWN = 20
LABELS_PER_WORD = 32
SCRIPTS = (
    *("format.js", "dom.js", "binning.js", "counting.js", "commands.js", "data.js"),
    *("presets.js", "sliders.js", "charts.js", "plane.js", "labels.js", "gallery.js", "clipboard.js", "page.js"),
)
"""In the order of their dependencies: each defines one global that later ones use."""


@dataclass(frozen=True)
class Report:
    """What was written."""

    path: Path
    """The page."""
    videos: int
    """Rows of the table, without those that a first pass skipped."""
    failed: int
    """Those without scores."""
    examples: int
    """Videos in the gallery."""
    without_preview: int
    """Gallery videos without a preview."""
    size_bytes: int
    """The page's size."""
    skipped: int = 0
    """Rows that a first pass skipped; they are not on the page."""


@dataclass
class _Rows:
    """What the page needs from every row, collected batch by batch."""

    scores: dict[str, list[NDArray[np.float32]]]
    label_bits: list[NDArray[np.uint32]]
    videos: int = 0
    """Without those that a first pass skipped."""
    scored: int = 0
    skipped: int = 0
    """Videos that a first pass skipped."""
    has_parts: bool = False


def write_report(
    table: Path,
    output: Path,
    *,
    named: str | None = None,
    presets: Mapping[str, Preset] = ALL_PRESETS,
    drop: Sequence[str] = (),
    examples: int = 3,
    learned: LearnedScore | None = None,
    filter_command: str = "video-motion filter",
    report_command: str = "video-motion report",
) -> Report:
    """Write the page for a table of scores atomically: on an error the old file, if any, stays.

    named: what the page's command lines call the table, if that is not its path: the URL of which it is a copy.
    presets: by name, with the initial cut-offs; drop: names of the presets that are on initially; if empty, those of
    the three scores and those with other cut-offs than the published ones. A verdict that is in neither has no
    examples, and is left out if the table cannot tell it;
    examples: videos on each side of each threshold; learned: a learned filter, whose score and threshold the page
    shows beside the others; filter_command, report_command: how the page's command lines
    start. Raises TableError, OSError.
    """
    metadata = read_metadata(table)
    check_motion(table, metadata)
    moved = [name for name, preset in presets.items() if preset != ALL_PRESETS[name]]
    check_presets(table, metadata, [preset for name, preset in presets.items() if name in (*drop, *moved)])
    told, not_told = split_by_table(table, metadata, presets.values())
    shown_presets = [*told.values(), *([learned.preset] if learned else [])]
    with_examples = [preset for preset in shown_presets if preset.name in (LEARNED, *PRESETS, *drop, *moved)]
    nearest = [NearestRows(preset, limit, examples) for preset in with_examples for limit in preset.limits]
    measured = [quantity.name for quantity in quantities_of(told.values())]
    rows = _Rows({name: [] for name in (*COLUMNS, *([LEARNED] if learned else []), *measured)}, [])
    labels: dict[str, int] = {label: index for index, label in enumerate(metadata.labels)}
    kinds: Counter[str] = Counter()
    failures: list[dict[str, str]] = []
    columns = None if learned else columns_of(told.values())
    signals = learned is not None or columns is not None
    for batch in read_batches(table, metadata, signals=signals, columns=columns):
        scores = values_of(batch, metadata, told.values())
        if learned:
            scores[LEARNED] = learned.probabilities(batch, metadata)
        unscored = is_failed(batch, scores)
        skipped = is_skipped(batch)
        failed = unscored & ~skipped
        scored = batch.filter(pa.array(~unscored))
        scored_values = {name: values[~unscored] for name, values in scores.items()}
        for name in rows.scores:
            rows.scores[name].append(scored_values[name])
        rows.label_bits.append(_label_bits(scored.column("clips"), labels))
        rows.has_parts |= any(
            batch.column(name).null_count < batch.num_rows for name in ("start_seconds", "end_seconds")
        )
        for threshold in nearest:
            threshold.add(scored, scored_values, rows.scored)
        if failed.any():
            failed_rows = batch.select(["video", "error"]).filter(pa.array(failed)).to_pylist()
            kinds.update(_kind(row["error"] or NO_SCORES) for row in failed_rows)
            failures += [
                {"video": row["video"], "reason": row["error"] or NO_SCORES}
                for row in failed_rows[: FAILURES_SHOWN - len(failures)]
            ]
        rows.videos += batch.num_rows - int(skipped.sum())
        rows.skipped += int(skipped.sum())
        rows.scored += scored.num_rows
    gallery, shown, without_preview = _gallery(nearest, table, examples)
    content = {
        "filterCommand": filter_command,
        "reportCommand": report_command,
        "scoresArgument": shlex.quote(named or str(table)),
        "name": table.name,
        "videos": rows.videos,
        "scored": rows.scored,
        "hasParts": rows.has_parts,
        "weights": metadata.weights,
        "randomWeights": from_stand_ins(metadata),
        "failures": failures,
        "failureKinds": kinds.most_common(8),
        "presets": [
            _preset(preset, preset.name in (LEARNED, *(drop or (*PRESETS, *moved)))) for preset in shown_presets
        ],
        "presetsNotTold": not_told,
        "measures": {name: {"title": QUANTITIES[name].title, "high": QUANTITIES[name].high} for name in measured},
        "learnedArgument": shlex.quote(str(learned.path)) if learned else None,
        "scores": list(rows.scores),
        "labels": list(labels),
        "gallery": gallery,
    }
    arrays = {f"values-{name}": _joined(parts, "<f4") for name, parts in rows.scores.items()}
    arrays["label-bits"] = _joined(_same_words(rows.label_bits, len(labels)), "<u4")
    size_bytes = _write_page(output, content, arrays)
    return Report(output, rows.videos, rows.videos - rows.scored, shown, without_preview, size_bytes, rows.skipped)


def _kind(reason: str) -> str:
    """A reason with its numbers and quoted names, which differ from video to video, replaced by an ellipsis."""
    return re.sub(r"'[^']*'|\d+(\.\d+)?", "…", reason)


def _label_bits(clips: pa.Array, labels: dict[str, int]) -> NDArray[np.uint32]:
    """(rows, words) uint32 of the rows' clips: bit `labels[label]` of a row is set if one of its clips has the label.

    Adds unknown labels to `labels`.
    """
    flat = pc.list_flatten(clips)
    lists = pc.struct_field(flat, "labels")
    names = pc.list_flatten(lists).dictionary_encode()
    row = pc.list_parent_indices(clips).take(pc.list_parent_indices(lists)).to_numpy(zero_copy_only=False)
    index_of = np.array([labels.setdefault(name, len(labels)) for name in names.dictionary.to_pylist()], np.int64)
    bits = np.zeros((len(clips), -(-len(labels) // LABELS_PER_WORD)), np.uint32)
    if len(row):
        index = index_of[names.indices.to_numpy(zero_copy_only=False)]
        one = np.left_shift(np.uint32(1), (index % LABELS_PER_WORD).astype(np.uint32), dtype=np.uint32)
        np.bitwise_or.at(bits, (row, index // LABELS_PER_WORD), one)
    return bits


def _same_words(parts: list[NDArray[np.uint32]], labels: int) -> list[NDArray[np.uint32]]:
    words = -(-labels // LABELS_PER_WORD)
    return [np.pad(part, ((0, 0), (0, words - part.shape[1]))) for part in parts]


def _joined(parts: Sequence[NDArray[Any]], dtype: str) -> bytes:
    return b"".join(np.ascontiguousarray(part, dtype).tobytes() for part in parts)


def _preset(preset: Preset, on: bool) -> dict[str, Any]:
    if preset.name == LEARNED:
        published = {LEARNED: DEFAULT_AT}
        ends = [0.0, 1.0]
    else:
        published = {limit.score: limit.cutoff for limit in ALL_PRESETS[preset.name].limits}
        ends = None
    return {
        "name": preset.name,
        "flag": preset.flag,
        "meaning": preset.meaning,
        "on": on,
        "limits": [
            {
                "score": limit.score,
                "side": limit.side,
                "cutoff": limit.cutoff,
                "published": published[limit.score],
                "ends": ends or list(cutoffs_of(limit.score, LARGEST_CUTOFF)),
            }
            for limit in preset.limits
        ],
    }


def _gallery(nearest: list[NearestRows], table: Path, count: int) -> tuple[list[dict[str, Any]], int, int]:
    """The examples of each threshold, the number of distinct videos among them, and how many have no preview."""
    places: dict[str, Path | str | None] = {}
    chosen = [
        [_prefer_found(side, table, places, count) for side in (threshold.matched, threshold.unmatched)]
        for threshold in nearest
    ]
    segments = {
        candidate.index: segment
        for sides in chosen
        for side in sides
        for candidate in side
        if (segment := segment_of(candidate.row, places[candidate.row["video"]])) is not None
    }
    previews = make_previews(segments.values())
    shown: dict[int, bool] = {}
    gallery = []
    for threshold, sides in zip(nearest, chosen, strict=True):
        matched, unmatched = (
            [_example(candidate, _preview(candidate, segments, previews)) for candidate in side] for side in sides
        )
        for example in (*matched, *unmatched):
            shown[example["index"]] = example["mp4"] is not None
        gallery.append(
            {
                "preset": threshold.preset.name,
                "score": threshold.limit.score,
                "matched": matched,
                "unmatched": unmatched,
            }
        )
    return gallery, len(shown), list(shown.values()).count(False)


def _prefer_found(
    candidates: list[Candidate], table: Path, places: dict[str, Path | str | None], count: int
) -> list[Candidate]:
    """The nearest candidates, preferring those whose files exist; in order of distance."""
    for candidate in candidates:
        video = candidate.row["video"]
        if video not in places:
            places[video] = place_of(video, table)
    found = sorted(candidates, key=lambda candidate: places[candidate.row["video"]] is None)  # stable
    return sorted(found[:count], key=lambda candidate: candidate.distance)


def _preview(candidate: Candidate, segments: dict[int, Segment], previews: dict[Segment, Preview]) -> Preview:
    segment = segments.get(candidate.index)
    return Preview(None, not_found(candidate.row["video"])) if segment is None else previews[segment]


def _example(candidate: Candidate, preview: Preview) -> dict[str, Any]:
    row = candidate.row
    return {
        "index": candidate.index,
        "video": row["video"],
        "part": [row["start_seconds"], row["end_seconds"]],
        "durationSeconds": row["duration_seconds"],
        "intervals": list(map(str, camera_intervals(table_clips(row["clips"])))),
        "mp4": None if preview.mp4 is None else base64.b64encode(preview.mp4).decode(),
        "reason": preview.reason,
    }


def _write_page(output: Path, content: dict[str, Any], arrays: dict[str, bytes]) -> int:
    """Fill the template and write it atomically; returns its size in bytes."""
    package = resources.files(__package__)
    scripts = [(package / "page" / name).read_text("utf-8") for name in SCRIPTS]
    texts = {
        "title": "How these videos move",
        "uplot-css": (package / "uplot" / "uPlot.min.css").read_text("utf-8"),
        "css": (package / "page" / "page.css").read_text("utf-8"),
        "uplot-js": (package / "uplot" / "uPlot.iife.min.js").read_text("utf-8"),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        "content": json_text(content),
        "arrays": "".join(
            f'<script type="application/octet-stream" id="{name}">{base64.b64encode(data).decode()}</script>\n'
            for name, data in arrays.items()
        ),
    }
    page = page_of((package / "page" / "page.html").read_text("utf-8"), texts)
    with replacing(output) as partial:
        partial.write_text(page, "utf-8")
    return output.stat().st_size

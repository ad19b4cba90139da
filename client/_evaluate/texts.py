"""Captions of videos from a list beside the table."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pyarrow import ArrowException, parquet

from .._inputs.names import escaped
from .._os_errors import reason_of
from .errors import EvaluationError

PART = ("start_seconds", "end_seconds")
_NAMED = 5
Key = tuple[str, float | None, float | None]


@dataclass(frozen=True)
class Texts:
    """The captions of a list."""

    columns: tuple[str, ...]
    """The captions that it has, of those asked for."""
    has_parts: bool
    """Whether it has the columns of parts: a video may then have several rows."""
    texts: dict[Key, dict[str, str]]
    """Caption by its column, for each video or part."""

    def of(self, video: str, start_seconds: float | None, end_seconds: float | None) -> dict[str, str]:
        """The captions of a row; empty if the list has none."""
        return self.texts.get((video, start_seconds, end_seconds) if self.has_parts else (video, None, None), {})


def read_texts(path: Path, captions: Sequence[str]) -> Texts:
    """Captions from a list with the column `video`: .csv, .jsonl or .parquet.

    Raises `EvaluationError`, also if a video has two rows that say different things.
    """
    try:
        rows, names = _rows(path, captions)
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {reason_of(error)}") from error
    except (ValueError, TypeError, csv.Error, ArrowException) as error:
        raise EvaluationError(f"{path} is not a list of captions: {error}") from error
    if "video" not in names:
        raise EvaluationError(f"{path} is not a list of captions: it has no column 'video'")
    columns = tuple(name for name in captions if name in names)
    if not columns:
        raise EvaluationError(f"{path} has none of the columns {', '.join(captions)}{near(captions[0], names)}")
    has_parts = any(name in names for name in PART)
    texts: dict[Key, dict[str, str]] = {}
    for row in rows:
        video = row.get("video")
        if not isinstance(video, str):
            continue
        start, end = (_seconds(path, row.get(name)) for name in PART) if has_parts else (None, None)
        content = {name: escaped(row[name]) for name in columns if isinstance(row.get(name), str) and row[name].strip()}
        before = texts.setdefault((video, start, end), content)
        if twice := next((name for name in columns if before.get(name) != content.get(name)), None):
            part = "" if not has_parts else f" from {start} to {end}"
            raise EvaluationError(
                f"{path} has {video!r}{part} twice, with different texts in the column {twice}: keep one row for each"
            )
    return Texts(columns, has_parts, texts)


def near(name: str, others: Iterable[str]) -> str:
    """A parenthesis with the columns that are called similarly; "" if there are none."""
    known = sorted({*others} - {"video", *PART})
    similar = get_close_matches(name, known) or [each for each in known if name in each or each in name]
    return f" (it has {', '.join(similar[:_NAMED])})" if similar else ""


def _rows(path: Path, captions: Sequence[str]) -> tuple[Iterable[dict[str, Any]], set[str]]:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        present = set(parquet.read_schema(path).names)
        wanted = [name for name in ("video", *PART, *captions) if name in present]
        return parquet.read_table(path, columns=wanted).to_pylist(), present
    if suffix == ".jsonl":
        # Not splitlines: captions may have other characters that it takes for the end of a line.
        rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a line is not a JSON object")
        return rows, {name for row in rows for name in row}
    if suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            return list(reader), set(reader.fieldnames or ())
    raise EvaluationError(f"{path} is not a list of captions: its name must end in .csv, .jsonl or .parquet")


def _seconds(path: Path, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{path}: {str(value)[:40]!r} is not a time in seconds") from error

"""Answers of people: which videos are worth keeping."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import LearnError

LEAST_ANSWERS = 30
"""How many a filter is learned from at least."""
WORDS = {
    **dict.fromkeys(("yes", "y", "1", "true", "keep", "1.0"), True),
    **dict.fromkeys(("no", "n", "0", "false", "drop", "0.0"), False),
}
"""What an answer may be, in any case."""
COLUMNS = ("video", "answer", "start_seconds", "end_seconds", "annotator")
"""Columns of a file of answers; the first two are required, and others are ignored."""

Part = tuple[str, float | None, float | None]
"""A row of a table: the video, and where the part of it starts and ends, None for the whole video."""


@dataclass(frozen=True)
class Answer:
    """One answer."""

    part: Part
    """What was asked about."""
    keep: bool
    """Whether it is worth keeping."""
    annotator: str
    """Who answered; the name of the file if it does not say."""


def read_answers(path: Path) -> list[Answer]:
    """The answers in a CSV file, in its order. Raises `LearnError`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_answers(path, csv.DictReader(file, strict=True)))
    except OSError as error:
        raise LearnError(f"cannot read {path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LearnError(f"{path} is not a CSV file of answers: {error}") from error


def agreed(answers: Iterable[Answer]) -> tuple[dict[Part, bool], int]:
    """For each part what most annotators say; parts without a majority are left out, and their number is returned.

    Of several answers by one annotator about the same part, the last one counts.
    """
    latest: dict[tuple[Part, str], bool] = {(answer.part, answer.annotator): answer.keep for answer in answers}
    votes: dict[Part, int] = {}
    for (part, _), keep in latest.items():
        votes[part] = votes.get(part, 0) + (1 if keep else -1)
    decided = {part: balance > 0 for part, balance in votes.items() if balance}
    return decided, len(votes) - len(decided)


def _answers(path: Path, reader: "csv.DictReader[str]") -> Iterator[Answer]:
    names = reader.fieldnames or ()
    for name in COLUMNS[:2]:
        if name not in names:
            raise LearnError(f"{path} is not a file of answers: it has no column {name!r}")
    for row in reader:
        word = (row["answer"] or "").strip().lower()
        if word not in WORDS:
            shown = repr((row["answer"] or "")[:40])
            raise LearnError(f"{path}, line {reader.line_num}: the answer is {shown}, it must be yes or no")
        start, end = (_seconds(path, reader.line_num, name, row.get(name)) for name in COLUMNS[2:4])
        yield Answer((row["video"], start, end), WORDS[word], row.get("annotator") or str(path))


def _seconds(path: Path, line: int, name: str, text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise LearnError(f"{path}, line {line}: {name} is {text[:40]!r}, it must be a number") from error

"""Data sets with camera labels, in the layouts that people have them in."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.heads.errors import HeadError
from training.heads.labels import read_labels

LABEL_MAP = Path(__file__).parent / "label_map.json"
CAMERABENCH_FILES = ("test.jsonl", "test.json")
CSV_FILE = "labels.csv"


class DatasetError(Exception):
    """A data set cannot be read; the message says why."""


@dataclass(frozen=True)
class Dataset:
    """Videos and the labels that people gave them."""

    layout: str
    """`CameraBench` or `CSV`."""
    truth: dict[Path, frozenset[str]]
    """For each video, its labels as the camera classifier names them."""
    asked: frozenset[str]
    """The labels that somebody looked for: a video without one of them does not have it."""
    unmapped: tuple[str, ...]
    """Labels of the data set that the classifier has no name for, in alphabetical order; they are left out."""


def read_dataset(path: Path, labels: Iterable[str]) -> Dataset:
    """Read a data set for a classifier with these `labels`.

    `path` is a directory with CameraBench's `test.jsonl` (or `test.json`) and its videos, a directory with
    `labels.csv`, or such a CSV file: columns `video` and `label`, relative to the file, several labels with `;` between
    them. Raises `DatasetError`.
    """
    if path.is_dir():
        for name in CAMERABENCH_FILES:
            if (path / name).is_file():
                return _camerabench(path / name, frozenset(labels))
        path /= CSV_FILE
        if not path.is_file():
            raise DatasetError(f"{path.parent} has neither {' nor '.join((*CAMERABENCH_FILES, CSV_FILE))}")
    return _csv(path, frozenset(labels))


def _camerabench(path: Path, labels: frozenset[str]) -> Dataset:
    names: dict[str, str] = json.loads(LABEL_MAP.read_text())["CameraBench"]
    truth = {}
    given: set[str] = set()
    for number, row in enumerate(_rows(path), 1):
        where = f"row {number} of {path}"
        if not isinstance(row, dict) or not isinstance(row.get("path"), str) or not isinstance(row.get("labels"), list):
            raise DatasetError(f"{where} is no object with path and labels, as CameraBench's are")
        given.update(map(str, row["labels"]))
        truth[path.parent / row["path"]] = frozenset(names[label] for label in row["labels"] if label in names) & labels
    if not truth:
        raise DatasetError(f"{path} names no video")
    asked = frozenset(names.values()) & labels
    if not asked:
        raise DatasetError(f"the classifier has none of CameraBench's labels, but {', '.join(sorted(labels))}")
    unmapped = {label for label in given if names.get(label) not in labels}
    return Dataset("CameraBench", truth, asked, tuple(sorted(unmapped)))


def _rows(path: Path) -> list[Any]:
    try:
        text = path.read_text()
        rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError) as error:
        raise DatasetError(f"cannot read {path}: {error}") from error
    return list(rows)


def _csv(path: Path, labels: frozenset[str]) -> Dataset:
    try:
        given = read_labels(path).of
    except HeadError as error:
        raise DatasetError(str(error)) from error
    truth = {path.parent / video: frozenset(of) & labels for video, of in given.items()}
    every = {label for of in given.values() for label in of}
    if not every & labels:
        known = ", ".join(sorted(labels))
        raise DatasetError(f"{path} has none of the classifier's labels ({known}), but {', '.join(sorted(every))}")
    return Dataset("CSV", truth, frozenset(every & labels), tuple(sorted(every - labels)))

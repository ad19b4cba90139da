"""Labels of videos from a CSV file."""

import csv
from dataclasses import dataclass
from pathlib import Path

from training.heads.errors import HeadError

COLUMNS = ("video", "label")
SEPARATOR = ";"
"""Between several labels in one cell."""


@dataclass(frozen=True)
class Labels:
    """The labels of a file."""

    of: dict[str, tuple[str, ...]]
    """For each video as the file names it, its labels in the order of the file."""
    repeated: int
    """Labels that a video has more than once, which count once."""


def read_labels(path: Path) -> Labels:
    """Read a CSV file with the columns `video` and `label`; others are ignored.

    A video has several labels if it has several rows, or a cell with `;` between the labels. Raises `HeadError` if the
    file cannot be read, has no labels, or has a row without a video or a label.
    """
    found: dict[str, list[str]] = {}
    repeated = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames
            if not names:
                raise HeadError(f"{path} is empty: it needs the columns video and label")
            if missing := [column for column in COLUMNS if column not in names]:
                raise HeadError(f"{path} has no column {missing[0]!r}, only {', '.join(map(repr, names))}")
            for row in reader:
                video, labels = _row(row, f"{path}, line {reader.line_num}")
                known = found.setdefault(video, [])
                for label in labels:
                    if label in known:
                        repeated += 1
                    else:
                        known.append(label)
    except OSError as error:
        raise HeadError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise HeadError(f"{path} is not a CSV file in UTF-8: {error}") from error
    except csv.Error as error:
        raise HeadError(f"{path} is not a CSV file: {error}") from error
    if not found:
        raise HeadError(f"{path} has no labels: nothing follows its first line")
    return Labels({video: tuple(labels) for video, labels in found.items()}, repeated)


def _row(row: dict[str, str], where: str) -> tuple[str, list[str]]:
    if None in row:
        raise HeadError(f"{where}: more cells than columns; quote a name that has a comma")
    video, cell = ((row[column] or "").strip() for column in COLUMNS)
    if not video:
        raise HeadError(f"{where}: no video")
    labels = [label for part in cell.split(SEPARATOR) if (label := part.strip())]
    if not labels:
        raise HeadError(f"{where}: {video} has no label; give videos without one a label such as none")
    return video, labels

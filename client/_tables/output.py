"""The file that the scores are written to: text as they come, Parquet at the end; both can be made from the journal."""

import csv
import io
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO

from .._optional import missing
from .journal import Journal, Position
from .row import FLAT_COLUMNS, Record, flat

FORMATS = (".parquet", ".jsonl", ".csv")
"""How the names of outputs end."""


class OutputError(Exception):
    """The output cannot be written there; the message says why, before any video is scored."""


class Output(ABC):
    """An output and the journal that it is written from."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self.journal = journal

    @property
    def position(self) -> Position:
        """How far it is written."""
        return Position()

    @abstractmethod
    def open(self) -> None:
        """Make it what the journal says it was when it was last written to."""

    @abstractmethod
    def add(self, row: int, record: Record) -> None:
        """Write a new row of the journal, or leave it for the end."""

    @abstractmethod
    def finish(self) -> None:
        """Make it hold all that the journal does."""


class ParquetOutput(Output):
    """Parquet cannot be added to: it is written whole, and takes the place of what was there."""

    def open(self) -> None:
        pass

    def add(self, row: int, record: Record) -> None:
        pass

    def finish(self) -> None:
        from .table import Metadata, write_parquet

        terms = self.journal.terms
        assert terms is not None
        parameters = {name: value for name, value in terms.parameters.items() if name not in FLAT_COLUMNS}
        metadata = Metadata(terms.weights, terms.labels, parameters)
        write_parquet(self.path, (record for _, record in self.journal.records()), metadata)


class TextOutput(Output):
    """A line or more for each row, in the order of the journal, behind whose rows it is never more than the last."""

    header = ""
    _file: BinaryIO
    _row = 0

    @abstractmethod
    def text(self, record: Record) -> str:
        """What is written of a row."""

    @property
    def position(self) -> Position:
        return Position(self._row, self._file.tell())

    def open(self) -> None:
        known = self.journal.position
        self._file = self.path.open("r+b" if self.path.exists() else "w+b")
        if known.row and self._file.seek(0, os.SEEK_END) >= known.size:
            self._row = known.row
            self._file.truncate(known.size)
            self._file.seek(known.size)
        else:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(self.header.encode())
        self._write_rest()

    def add(self, row: int, record: Record) -> None:
        self._file.write(self.text(record).encode())
        self._file.flush()
        self._row = row

    def finish(self) -> None:
        if self.journal.position.row == 0:  # a row that is in it was replaced
            self._rewrite()
        self._file.flush()
        os.fsync(self._file.fileno())
        self.journal.position = self.position
        self._file.close()

    def _rewrite(self) -> None:
        self._file.close()
        partial = self.path.with_name(f"{self.path.name}.partial")
        self._file, self._row = partial.open("wb"), 0
        self._file.write(self.header.encode())
        self._write_rest()
        partial.replace(self.path)

    def _write_rest(self) -> None:
        for row, record in self.journal.records(self._row):
            self._file.write(self.text(record).encode())
            self._row = row
        self._file.flush()


class JsonLinesOutput(TextOutput):
    """The object of the README a line."""

    def text(self, record: Record) -> str:
        return as_json_line(record)


class CsvOutput(TextOutput):
    """The flat columns, and the clips as JSON."""

    def __init__(self, path: Path, journal: Journal) -> None:
        super().__init__(path, journal)
        self.header = csv_header()

    def text(self, record: Record) -> str:
        return as_csv_row(record)


def output_for(path: Path, journal: Journal) -> Output:
    """The output of the format that the name ends in."""
    kinds: dict[str, type[ParquetOutput | JsonLinesOutput | CsvOutput]] = {
        ".parquet": ParquetOutput,
        ".jsonl": JsonLinesOutput,
        ".csv": CsvOutput,
    }
    return kinds[path.suffix.lower()](path, journal)


def check_output(path: Path, journal_path: Path) -> None:
    """See that an output can be written there and that nothing of somebody else's is. Raises `OutputError`."""
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: the name of the output must end in {', '.join(FORMATS)}")
    if path.suffix.lower() == ".parquet" and (sentence := missing("Parquet", "pyarrow")):
        raise OutputError(f"{path}: {sentence}")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder")
    if path.exists() and not journal_path.exists():
        raise OutputError(f"{path}: exists, and there is no {journal_path.name} to go on from; name another output")


def as_json_line(record: Record) -> str:
    """A line of JSON."""
    return json.dumps(record) + "\n"


def csv_header() -> str:
    """The first line of a CSV file."""
    return _csv([*FLAT_COLUMNS, "clips"])


def as_csv_row(record: Record) -> str:
    """The flat columns, and the clips as JSON."""
    clips = json.dumps(record["camera"]) if "camera" in record else None
    return _csv([*flat(record).values(), clips])


def _csv(values: list[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()

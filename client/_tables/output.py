"""The file that scores are written to: text row by row, Parquet when the run ends. The journal can rebuild either."""

import csv
import io
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO

from .._optional import missing
from .journal import Journal, Position
from .records import Terms
from .replace import replacing
from .row import (
    ACTIONS_COLUMN,
    DUPLICATE_COLUMN,
    FIRST_PASS_COLUMNS,
    FLAT_COLUMNS,
    HEAD_COLUMN,
    KEPT_KEY,
    METRIC_COLUMNS,
    METRICS,
    PARAMETERS_OF_A_ROW,
    PHRASE_COLUMNS,
    SKIPPED_BY,
    TEXT_COLUMNS,
    Row,
    as_json,
    flat,
    metric_values,
)

FORMATS = (".parquet", ".jsonl", ".csv")
"""Suffixes of outputs."""


class OutputError(Exception):
    """The output cannot be written there; the message says why, before any video is scored."""


class Output(ABC):
    """An output, written from its journal."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path = path
        self.journal = journal

    @property
    def position(self) -> Position:
        """How far it is written."""
        return Position()

    @abstractmethod
    def open(self) -> None:
        """Bring it to the state that the journal describes."""

    @abstractmethod
    def add(self, row_id: int, row: Row) -> None:
        """Write a new row of the journal, or leave it to `finish`."""

    @abstractmethod
    def finish(self) -> None:
        """Write every row of the journal that is not in it yet."""


class ParquetOutput(Output):
    """Parquet cannot be appended to: the file is written whole and replaces the one before."""

    def open(self) -> None:
        pass

    def add(self, row_id: int, row: Row) -> None:
        pass

    def finish(self) -> None:
        from .signal_columns import signal_fields
        from .table import Metadata, write_parquet

        terms = self.journal.terms
        assert terms is not None
        parameters = {name: value for name, value in terms.parameters.items() if name not in PARAMETERS_OF_A_ROW}
        metadata = Metadata(terms.weights, terms.labels, parameters, terms.signals, terms.kept or ())
        try:
            fields = signal_fields(terms, self._first_scored() if terms.signals is not None else None)
            write_parquet(self.path, (row for _, row in self.journal.rows()), metadata, fields)
        except (ValueError, KeyError, TypeError) as error:
            raise self.journal.damaged(f"a record does not fit the table: {error}") from error

    def _first_scored(self) -> Row | None:
        scored = (row for _, row in self.journal.rows() if "error" not in row and SKIPPED_BY not in row)
        return next(scored, None)


class TextOutput(Output):
    """Text, one row after the other in the journal's order; at most one row behind the journal."""

    header = ""
    _file: BinaryIO
    _row_id = 0
    _size = 0
    """The size in bytes that the file has if nobody else changes it."""

    @abstractmethod
    def text(self, row: Row) -> str:
        """The text of a row."""

    @property
    def position(self) -> Position:
        return Position(self._row_id, self._size)

    def open(self) -> None:
        known = self.journal.position
        # Appending shows a file that is cut at any moment: its size is then not that of all rows.
        self._file = self.path.open("a+b")
        if known.row_id and not (self._starts_with_header() and self._ends_with_row(known)):
            known = self.journal.position = Position()  # the size is that of the old layout, or of another file
        if known.row_id:
            self._row_id = known.row_id
            self._file.truncate(known.size)
            self._size = known.size
        else:
            self._file.truncate(0)
            self._size = 0
            self._write(self.header)
        self._write_rest()

    def add(self, row_id: int, row: Row) -> None:
        if not (self._written_size() == self._size and self.path.exists()):
            self._rewrite()  # from the journal, which has the row already
            return
        self._write(self.text(row))
        self._file.flush()
        self._row_id = row_id

    def finish(self) -> None:
        if self.journal.position.row_id == 0 or not self._in_place():
            self._rewrite()  # a failure in it was replaced, or another program removed or changed it
        self._file.flush()
        os.fsync(self._file.fileno())
        self.journal.position = self.position
        self._file.close()

    def _in_place(self) -> bool:
        """Whether the file at `path` is the one that is open, with the size that was written."""
        try:
            there = self.path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._file.fileno())) and there.st_size == self._size

    def _written_size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _starts_with_header(self) -> bool:
        """False for a table from before a column was added."""
        self._file.seek(0)
        return self._file.read(len(self.header.encode())) == self.header.encode()

    def _ends_with_row(self, known: Position) -> bool:
        """Whether the journal's row is where the journal says; False for a file that was cut, edited or replaced."""
        text = next((self.text(row).encode() for _, row in self.journal.rows(known.row_id - 1)), b"")
        if not text or known.size < len(text):
            return False
        self._file.seek(known.size - len(text))
        return self._file.read(len(text)) == text

    def _rewrite(self) -> None:
        self._file.close()
        with replacing(self.path) as partial, partial.open("wb") as self._file:
            self._row_id = self._size = 0
            self._write(self.header)
            self._write_rest()
        self._file = self.path.open("ab")

    def _write_rest(self) -> None:
        for row_id, row in self.journal.rows(self._row_id):
            self._write(self.text(row))
            self._row_id = row_id
        self._file.flush()

    def _write(self, text: str) -> None:
        content = text.encode()
        self._file.write(content)
        self._size += len(content)


class JsonLinesOutput(TextOutput):
    """One JSON object per line."""

    def text(self, row: Row) -> str:
        return as_json_line(row)


class CsvOutput(TextOutput):
    """The columns with a single value, the clips, actions and heads as JSON, the measures, and what is kept."""

    def __init__(self, path: Path, journal: Journal) -> None:
        super().__init__(path, journal)
        self.columns = csv_signal_columns(journal.terms)
        self.kept = (journal.terms.kept if journal.terms else None) or ()
        self.header = csv_header(self.columns, self.kept)

    def text(self, row: Row) -> str:
        return as_csv_row(row, self.columns, self.kept)


def output_for(path: Path, journal: Journal) -> Output:
    """The output for the suffix of `path`."""
    kinds: dict[str, type[ParquetOutput | JsonLinesOutput | CsvOutput]] = {
        ".parquet": ParquetOutput,
        ".jsonl": JsonLinesOutput,
        ".csv": CsvOutput,
    }
    return kinds[path.suffix.lower()](path, journal)


def check_output(path: Path, journal_path: Path, *, embeddings: bool = False) -> None:
    """Check that an output can be written to `path` without overwriting an unrelated file. Raises `OutputError`.

    embeddings: whether it will have embeddings.
    """
    check_format(str(path), embeddings=embeddings)
    for folder in dict.fromkeys((path.parent, journal_path.parent)):
        if not folder.is_dir():
            raise OutputError(f"{path}: there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{path}: the folder {folder} cannot be written to")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder")
    # A run that is killed at any point leaves a journal that is not empty before it creates the output.
    if path.exists() and not (journal_path.exists() and journal_path.stat().st_size):
        raise OutputError(
            f"{path}: exists, but {journal_path.name} is missing or empty, so no run can resume; "
            "choose another name for the output"
        )


def check_format(name: str, *, embeddings: bool = False) -> None:
    """Check that the end of the name of an output chooses a format that can be written. Raises `OutputError`."""
    ending = os.path.splitext(name)[1].lower()
    if ending not in FORMATS:
        raise OutputError(f"{name}: the name of the output must end in {', '.join(FORMATS)}")
    if ending == ".csv" and embeddings:
        raise OutputError(f"{name}: a CSV table cannot hold embeddings: write .parquet or .jsonl, or leave them out")
    if ending == ".parquet" and (sentence := missing("Parquet", "pyarrow")):
        raise OutputError(f"{name}: {sentence}")


def as_json_line(row: Row) -> str:
    """A row as a line of JSON."""
    return json.dumps(as_json(row)) + "\n"


def csv_signal_columns(terms: Terms | None) -> tuple[str, ...]:
    """The columns beside motion and camera in a CSV table, which has no embeddings."""
    if terms is None:
        return ()
    signals = terms.signals or ()
    actions = (ACTIONS_COLUMN,) if "actions" in signals else ()
    metrics = tuple(METRIC_COLUMNS) if METRICS in signals else ()
    phrases = PHRASE_COLUMNS if terms.phrases else ()
    duplicates = (DUPLICATE_COLUMN,) if terms.dedupe else ()
    seen = () if terms.first_pass is None else FIRST_PASS_COLUMNS
    heads = (HEAD_COLUMN + name for name in terms.heads or ())
    return (*actions, *metrics, *heads, *phrases, *duplicates, *seen)


def csv_header(signal_columns: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> str:
    """The first line of a CSV table."""
    return _csv([*FLAT_COLUMNS, "clips", *signal_columns, *kept])


def as_csv_row(row: Row, signal_columns: tuple[str, ...] = (), kept: tuple[str, ...] = ()) -> str:
    """A row as CSV: single values, clips and signals as JSON, measures, phrases, and what is kept."""
    measures = metric_values(row)
    added = (
        measures[name] if name in measures else _cell(name, row[name]) if name in row else None
        for name in ("camera", *signal_columns)
    )
    return _csv([*flat(row).values(), *added, *map(row.get(KEPT_KEY, {}).get, kept)])


def _cell(name: str, value: object) -> object:
    return value if name in (*TEXT_COLUMNS, *FIRST_PASS_COLUMNS) else json.dumps(value)


def _csv(values: list[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()

"""What has been scored so far, beside the output: a row is there whole or not at all, whenever the program is killed.

SQLite in WAL mode, locked for as long as it is open. It is also where the output can be written from again.
"""

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .._inputs.item import Item
from .row import Record

_SCHEMA = """
CREATE TABLE IF NOT EXISTS videos (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    path BLOB NOT NULL,
    start_seconds REAL,
    end_seconds REAL,
    failed INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS failures ON videos (id) WHERE failed;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class JournalError(Exception):
    """The journal cannot be gone on with; the message says why."""


class OtherTerms(JournalError):
    """It was begun with other weights or parameters."""


@dataclass(frozen=True)
class Terms:
    """What must not change between the runs that fill one table."""

    weights: dict[str, str]
    """`motion`, `camera` and `precision`."""
    labels: tuple[str, ...]
    """The camera labels, in the server's order."""
    parameters: dict[str, float]
    """Those of the command line, the part of the video among them."""


@dataclass(frozen=True)
class Position:
    """How far the output has been written."""

    row: int = 0
    """The last row that is in it."""
    size: int = 0
    """Its size in bytes with that row."""


class Journal:
    """The rows of one output; several threads may use it. Raises `JournalError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._explained():
            self._database = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
            # Exclusive before WAL: then it needs no memory shared with others, which network file systems do not have.
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
                self._database.execute(f"PRAGMA {pragma}")
            self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let others have it."""
        with self._lock:
            self._database.close()

    def agree(self, terms: Terms) -> None:
        """Begin with these terms, or go on with them where they are those that it was begun with."""
        before = self._fact("terms")
        if before is None:
            self._set_fact("terms", json.dumps(asdict(terms)))
            return
        for name, then in json.loads(before).items():
            if then != (now := json.loads(json.dumps(asdict(terms)))[name]):
                raise OtherTerms(
                    f"{self.path} was begun with {name} {_shown(then)}, now they are {_shown(now)}: "
                    "give the output another name, or remove it and its journal"
                )

    @property
    def terms(self) -> Terms | None:
        """What it was begun with."""
        terms = self._fact("terms")
        if terms is None:
            return None
        content = json.loads(terms)
        return Terms(content["weights"], tuple(content["labels"]), content["parameters"])

    def has(self, item: Item, *, failed: bool = False) -> bool:
        """Whether a video is in it, or in it as a failure."""
        query = "SELECT failed FROM videos WHERE key = ?"
        with self._lock, self._explained():
            row = self._database.execute(query, (item.key,)).fetchone()
        return row is not None and (bool(row[0]) or not failed)

    def add(self, item: Item, record: Record, position: Position) -> int:
        """Put a video in and say how far the output was before it; the number of its row."""
        values = (item.key, os.fsencode(item.path), item.start_seconds, item.end_seconds, *_packed(record))
        with self._transaction():
            self._set_position(position)
            row = self._database.execute(
                "INSERT INTO videos (key, path, start_seconds, end_seconds, failed, record) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
        assert row is not None
        return row

    def replace(self, item: Item, record: Record) -> None:
        """Put another answer in a failure's place; the output has to be written again."""
        with self._transaction():
            self._set_position(Position())
            update = "UPDATE videos SET failed = ?, record = ? WHERE key = ?"
            self._database.execute(update, (*_packed(record), item.key))

    def records(self, after: int = 0) -> Iterator[tuple[int, Record]]:
        """The rows after that one, and their numbers, in the order in which they were put in."""
        query = "SELECT id, record FROM videos WHERE id > ? ORDER BY id"
        with self._lock, self._explained():
            for row, packed in self._database.execute(query, (after,)):
                yield row, json.loads(zlib.decompress(packed))

    def failures(self) -> Iterator[Item]:
        """The videos that failed, one at a time, those that fail again meanwhile once."""
        query = "SELECT id, path, start_seconds, end_seconds FROM videos WHERE failed AND id > ? ORDER BY id LIMIT 1"
        last = 0
        while True:
            with self._lock, self._explained():
                row = self._database.execute(query, (last,)).fetchone()
            if row is None:
                return
            last, path, start, end = row
            yield Item(os.fsdecode(path), start, end)

    def count(self, *, failed: bool = False) -> int:
        """How many videos are in it, or how many that failed."""
        with self._lock, self._explained():
            query = f"SELECT count(*) FROM videos{' WHERE failed' if failed else ''}"
            return int(self._database.execute(query).fetchone()[0])

    @property
    def position(self) -> Position:
        """How far the output has been written for certain."""
        position = self._fact("position")
        return Position(*json.loads(position)) if position else Position()

    @position.setter
    def position(self, position: Position) -> None:
        with self._transaction():
            self._set_position(position)

    def _set_position(self, position: Position) -> None:
        self._set_fact("position", json.dumps([position.row, position.size]))

    def _fact(self, name: str) -> str | None:
        with self._lock, self._explained():
            row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set_fact(self, name: str, value: str) -> None:
        with self._lock, self._explained():
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(f"another run is writing to {self.path}") from error
            raise JournalError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{self.path} is no journal: {error}") from error


def _packed(record: Record) -> tuple[bool, bytes]:
    """Whether it is a failure, and its JSON in a fifth of the space."""
    return "error" in record, zlib.compress(json.dumps(record).encode(), level=1)


def _shown(value: object) -> str:
    return json.dumps(value) if value else "none"

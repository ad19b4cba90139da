"""The journal of a table: every video scored so far, beside the output, so that a killed run can resume.

SQLite in WAL mode, locked while it is open: a row is in it completely or not at all, whenever the program is killed.
The output can be rebuilt from it.
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
from .row import Row

VERSION = 2
"""SQLite's `user_version` of a journal. All versions have the same tables. Before version 2, `Terms` have no `times`;
version 0 is from before journals had a version."""
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
_COLUMNS = {
    "videos": ["id", "key", "path", "start_seconds", "end_seconds", "failed", "record"],
    "facts": ["name", "value"],
}


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class OtherTerms(JournalError):
    """The journal was begun with other weights or parameters."""


@dataclass(frozen=True)
class Terms:
    """What must stay the same in all runs that write one table."""

    weights: dict[str, str]
    """`motion`, `camera` and `precision`."""
    labels: tuple[str, ...]
    """The camera labels, in the server's order."""
    parameters: dict[str, float]
    """The parameters of the command line, including the part of the video."""
    times: str | None = None
    """What the times of parts count from; None in journals from before this was a choice: they are timestamps."""


@dataclass(frozen=True)
class Position:
    """How far the output has been written."""

    row_id: int = 0
    """The last row in it."""
    size: int = 0
    """Its size in bytes including that row."""


class Journal:
    """The rows of one output; safe to use from several threads. Every method raises `JournalError`."""

    def __init__(self, path: Path) -> None:
        """Open the journal or create it. A journal of an unknown version is not changed."""
        self.path = path
        self._lock = threading.RLock()
        new = not (path.exists() and path.stat().st_size)
        with self._explained():
            self._database = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
            try:
                # Exclusive before WAL: WAL then needs no shared memory, which network file systems lack.
                self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
                if not new:  # a read takes a shared lock only, so two runs that start together would both fail
                    self._check_version()
                for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
                    self._database.execute(f"PRAGMA {pragma}")
                self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Unlock the journal for other runs."""
        with self._lock:
            self._database.close()

    def agree(self, terms: Terms) -> None:
        """Begin with these terms, or check that it was begun with the same ones. Raises `OtherTerms`."""
        before = self._fact("terms")
        begun = json.loads(before) if before is not None else {}
        for name, then in begun.items():
            if then != (now := json.loads(json.dumps(asdict(terms)))[name]):
                raise OtherTerms(
                    f"{self.path} was begun with {name} {_shown(then)}, now they are {_shown(now)}: "
                    "choose another name for the output, or delete it and its journal"
                )
        stated = {name: value for name, value in asdict(terms).items() if value is not None}
        if begun.keys() != stated.keys():
            self._set_fact("terms", json.dumps(stated))

    @property
    def terms(self) -> Terms | None:
        """The terms that it was begun with; None before `agree`."""
        terms = self._fact("terms")
        if terms is None:
            return None
        content = json.loads(terms)
        return Terms(content["weights"], tuple(content["labels"]), content["parameters"], content.get("times"))

    def has(self, item: Item, *, failed: bool = False) -> bool:
        """Whether it has the video; with `failed`, whether it has it as a failure."""
        query = "SELECT failed FROM videos WHERE key = ?"
        with self._lock, self._explained():
            found = self._database.execute(query, (item.key,)).fetchone()
        return found is not None and (bool(found[0]) or not failed)

    def add(self, item: Item, row: Row, position: Position) -> int:
        """Add a video, and note how far the output was written before it; returns the id of the row."""
        values = (item.key, os.fsencode(item.path), item.start_seconds, item.end_seconds, *_packed(row))
        with self._transaction():
            self._set_position(position)
            row_id = self._database.execute(
                "INSERT INTO videos (key, path, start_seconds, end_seconds, failed, record) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
        assert row_id is not None
        return row_id

    def replace(self, item: Item, row: Row) -> None:
        """Replace the row of a failure; the output must then be rewritten."""
        with self._transaction():
            self._set_position(Position())
            update = "UPDATE videos SET failed = ?, record = ? WHERE key = ?"
            self._database.execute(update, (*_packed(row), item.key))

    def rows(self, after: int = 0) -> Iterator[tuple[int, Row]]:
        """Ids and rows with an id above `after`, in the order in which they were added."""
        query = "SELECT id, record FROM videos WHERE id > ? ORDER BY id"
        with self._lock, self._explained():
            for row_id, packed in self._database.execute(query, (after,)):
                yield row_id, json.loads(zlib.decompress(packed))

    def failures(self) -> Iterator[Item]:
        """The failed videos, each once, even if one fails again while the caller iterates."""
        query = "SELECT id, path, start_seconds, end_seconds FROM videos WHERE failed AND id > ? ORDER BY id LIMIT 1"
        last = 0
        while True:
            with self._lock, self._explained():
                found = self._database.execute(query, (last,)).fetchone()
            if found is None:
                return
            last, path, start, end = found
            yield Item(os.fsdecode(path), start, end)

    def count(self, *, failed: bool = False) -> int:
        """Number of videos in it; with `failed`, number of failures."""
        with self._lock, self._explained():
            query = f"SELECT count(*) FROM videos{' WHERE failed' if failed else ''}"
            return int(self._database.execute(query).fetchone()[0])

    def has_parts(self) -> bool:
        """Whether any video in it is a part that a manifest selected."""
        query = "SELECT 1 FROM videos WHERE start_seconds IS NOT NULL OR end_seconds IS NOT NULL LIMIT 1"
        with self._lock, self._explained():
            return self._database.execute(query).fetchone() is not None

    @property
    def position(self) -> Position:
        """How far the output has been written for certain."""
        position = self._fact("position")
        return Position(*json.loads(position)) if position else Position()

    @position.setter
    def position(self, position: Position) -> None:
        with self._transaction():
            self._set_position(position)

    def _check_version(self) -> None:
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        # Not SQLite's own tables, which `ANALYZE` adds.
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        tables = [name for (name,) in self._database.execute(query)]
        advice = "choose another name for the output"
        if version > VERSION:
            raise JournalError(
                f"{self.path} has version {version}, and this client reads versions up to {VERSION}: "
                f"use a newer client, or {advice}"
            )
        if version == 0 and not tables:  # the program was killed before it created them
            return
        columns = {name: [row[1] for row in self._database.execute(f'PRAGMA table_info("{name}")')] for name in tables}
        if version < 0 or columns != _COLUMNS:
            raise JournalError(f"{self.path} is not a journal of scores: {advice}")

    def _set_position(self, position: Position) -> None:
        self._set_fact("position", json.dumps([position.row_id, position.size]))

    def _fact(self, name: str) -> str | None:
        with self._lock, self._explained():
            found = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

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
            raise JournalError(
                f"{self.path} is not a journal of scores ({error}): choose another name for the output"
            ) from error


def _packed(row: Row) -> tuple[bool, bytes]:
    """Whether the row is a failure, and its JSON, compressed to about a fifth."""
    return "error" in row, zlib.compress(json.dumps(row).encode(), level=1)


def _shown(value: object) -> str:
    return json.dumps(value) if value else "none"

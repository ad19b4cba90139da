"""The journal of a table: every video scored so far, beside the output, so that a killed run can resume.

SQLite in WAL mode, locked while it is open: a row is in it completely or not at all, whenever the program is killed.
The output can be rebuilt from it.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._inputs.item import UNNAMED, Item
from .._inputs.names import LONGEST_PATH, as_bytes
from .records import Damaged, Position, Terms, pack_row, unpack_position, unpack_row, unpack_terms
from .row import KEPT_KEY, Row

VERSION = 3
"""SQLite's `user_version` of a journal. Before version 3, `Terms` have neither `signals` nor `kept`, and records no
arrays. Before version 2, there are no `places`, and `Terms` have no `times`. Version 0 is from before journals
had a version."""
_PLACES_VERSION = 2
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
CREATE TABLE IF NOT EXISTS places (place BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;
"""
_IS_UNNAMED = f"substr(key, 1, 1) = x'{UNNAMED.hex()}'"
_COLUMNS_1 = {
    "videos": ["id", "key", "path", "start_seconds", "end_seconds", "failed", "record"],
    "facts": ["name", "value"],
}
_COLUMNS = {**_COLUMNS_1, "places": ["place", "id"]}
_CONTENT = "content "
"""What the names of facts begin with that say which row has a content."""
_OPTIONS = {"kept": "--keep", "phrases": "--phrases", "dedupe": "--dedupe", "first_pass": "--first-pass"}
"""Terms that users know by the options that choose them."""
_SIGNAL_TERMS = ("signals", "heads", "embeddings", "kept", "phrases", "dedupe", "first_pass")


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class OtherTerms(JournalError):
    """The journal was begun with other weights or parameters."""


@dataclass(frozen=True)
class Found:
    """A video's row in the journal."""

    row_id: int
    """The row's id."""
    failed: bool
    """Whether the video failed."""


class Journal:
    """The rows of one output; safe to use from several threads. Every method raises `JournalError`."""

    def __init__(self, path: Path) -> None:
        """Open the journal or create it. A journal of an unknown version is not changed."""
        self.path = path
        self._lock = threading.RLock()
        self._identity: tuple[int, int] | None = None
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
                before = self._database.execute("PRAGMA user_version").fetchone()[0]
                self._database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION};")
                if before < _PLACES_VERSION:
                    self._add_places()
                self._database.execute("COMMIT")
                self._identity = self._identity_on_disk()
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Unlock the journal for other runs."""
        with self._lock:
            self._database.close()

    def agree(self, terms: Terms) -> None:
        """Begin with these terms, or check that it was begun with the same ones and is whole. Raises `OtherTerms`."""
        before, stated = self.terms, _stated(terms)
        # A journal without signals is one without any being named, not one from before they were a choice.
        begun = {} if before is None else {name: getattr(before, name) for name in _SIGNAL_TERMS} | _stated(before)
        for name, then in begun.items():
            if then != (now := asdict(terms)[name]):
                raise OtherTerms(
                    f"{self.path} was begun {_change(name, then, now)}: choose another name for the output, or delete "
                    "it and its journal"
                )
        self._check_rows(begun=before is not None)
        if before is None or _stated(before).keys() != stated.keys():
            self._set_fact("terms", json.dumps(stated))

    def belong_to(self, url: str) -> None:
        """Note that the table is uploaded to `url`, or check that it is the same one. Raises `OtherTerms`."""
        before = self._fact("output")
        if before is None:
            self._set_fact("output", url)
        elif before != url:
            raise OtherTerms(f"{self.path} is the journal of {before}: name another journal for {url}")

    @property
    def terms(self) -> Terms | None:
        """The terms that it was begun with; None before `agree`."""
        terms = self._fact("terms")
        with self._readable("its terms"):
            return None if terms is None else unpack_terms(terms)

    def has(self, item: Item, *, failed: bool = False) -> bool:
        """Whether it has the video, under any name; with `failed`, whether it has it as a failure."""
        found = self.find(item)
        return found is not None and (found.failed or not failed)

    def find(self, item: Item) -> "Found | None":
        """The row of the video, under any name."""
        return self.find_name(item.key) or self.find_place(item.place)

    def find_name(self, key: bytes) -> "Found | None":
        """The row of the item with this key."""
        with self._lock, self._explained():
            row = self._database.execute("SELECT id, failed FROM videos WHERE key = ?", (key,)).fetchone()
        return Found(row[0], bool(row[1])) if row else None

    def find_place(self, place: bytes | None) -> "Found | None":
        """The row of the item at this place."""
        query = "SELECT id, failed FROM places JOIN videos USING (id) WHERE place = ?"
        with self._lock, self._explained():
            row = self._database.execute(query, (place,)).fetchone()
        return Found(row[0], bool(row[1])) if row else None

    def add(self, item: Item, row: Row, position: Position, content: str | None = None) -> int:
        """Add a video, and note how far the output was written before it; returns the id of the row.

        content: what identifies its content, for `row_of_content`.
        """
        path = as_bytes(item.path)[:LONGEST_PATH]
        values = (item.key, path, item.start_seconds, item.end_seconds, *_packed(row))
        place = item.place
        with self._transaction():
            self._set_position(position)
            row_id = self._database.execute(
                "INSERT INTO videos (key, path, start_seconds, end_seconds, failed, record) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            assert row_id is not None
            if place is not None:
                self._database.execute("INSERT OR IGNORE INTO places VALUES (?, ?)", (place, row_id))
            self._note_content(content, row_id)
        return row_id

    def replace(self, item: Item, row: Row, content: str | None = None) -> None:
        """Replace the row of a failure; the output must then be rewritten."""
        found = self.find(item)
        assert found is not None
        with self._transaction():
            self._set_position(Position())
            update = "UPDATE videos SET failed = ?, record = ? WHERE id = ?"
            self._database.execute(update, (*_packed(row), found.row_id))
            self._note_content(content, found.row_id)

    def row_of_content(self, content: str) -> Row | None:
        """The row of the first video with this content."""
        query = "SELECT id, record FROM facts JOIN videos ON id = CAST(value AS INTEGER) WHERE name = ? AND NOT failed"
        with self._lock, self._explained():
            found = self._database.execute(query, (_CONTENT + content,)).fetchone()
        if found is None:
            return None
        with self._readable(f"the record of video {found[0]}"):
            return unpack_row(found[1])

    def kept(self, item: Item) -> dict[str, str | None]:
        """What the row of the video keeps of a manifest."""
        found = self.find(item)
        row = next((row for _, row in self.rows(found.row_id - 1)), {}) if found else {}
        return dict(row.get(KEPT_KEY, {}))

    def rows(self, after: int = 0) -> Iterator[tuple[int, Row]]:
        """Ids and rows with an id above `after`, in the order in which they were added."""
        query = "SELECT id, record FROM videos WHERE id > ? ORDER BY id"
        with self._lock, self._explained():
            for row_id, packed in self._database.execute(query, (after,)):
                with self._readable(f"the record of video {row_id}"):
                    row = unpack_row(packed)
                yield row_id, row

    def failures(self) -> Iterator[Item]:
        """The failed videos, each once, even if one fails again while the caller iterates.

        Without those of `unnamed_failures`.
        """
        query = (
            "SELECT id, path, start_seconds, end_seconds FROM videos "
            f"WHERE failed AND id > ? AND NOT {_IS_UNNAMED} ORDER BY id LIMIT 1"
        )
        last = 0
        while True:
            with self._lock, self._explained():
                found = self._database.execute(query, (last,)).fetchone()
            if found is None:
                return
            last, path, start, end = found
            yield Item(os.fsdecode(path), start, end)

    def unnamed_failures(self) -> int:
        """Number of failures that only a manifest has: rows that are wrong, and encoded files."""
        with self._lock, self._explained():
            query = f"SELECT count(*) FROM videos WHERE failed AND {_IS_UNNAMED}"
            return int(self._database.execute(query).fetchone()[0])

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
        with self._readable("its position in the output"):
            return Position() if position is None else unpack_position(position)

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
        if version < 0 or columns != (_COLUMNS if version >= _PLACES_VERSION else _COLUMNS_1):
            raise JournalError(f"{self.path} is not a journal of scores: {advice}")

    def _check_rows(self, *, begun: bool) -> None:
        """Read everything that the output and a retry need; damage must not be found after hours of scoring."""
        position, last = self.position, 0
        with self._lock, self._explained():
            query = "SELECT id, key, path, start_seconds, end_seconds, failed, record FROM videos ORDER BY id"
            for row_id, key, path, *part, failed, record in self._database.execute(query):
                with self._readable(f"the record of video {row_id}"):
                    row = unpack_row(record)
                    typed = isinstance(key, bytes) and isinstance(path, bytes)
                    if not typed or any(isinstance(seconds, str | bytes) for seconds in part):
                        raise Damaged("its columns have other types")
                    if bool(failed) is not ("error" in row):
                        raise Damaged("it says otherwise whether the video failed")
                last = row_id if row_id <= position.row_id else last
        with self._readable("its position in the output"):
            if position.row_id != last:
                raise Damaged(f"there is no video {position.row_id}")
        with self._readable("its terms"):
            if not begun and self.count():
                raise Damaged("they are missing")

    def _identity_on_disk(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_dev, status.st_ino

    def _check_present(self) -> None:
        """SQLite goes on writing to a file that was removed, and everything in it is then lost."""
        if self._identity is None:
            return
        try:
            present = self._identity_on_disk() == self._identity
        except OSError:
            present = False
        if not present:
            raise JournalError(
                f"{self.path} was removed, moved or replaced while a run wrote to it: put it back, or run the same "
                "command again to begin anew"
            )

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except Damaged as error:
            raise self.damaged(f"{what} cannot be read: {error}") from error

    def damaged(self, why: str) -> JournalError:
        """The error for what cannot be read in it."""
        return JournalError(
            f"{self.path} is damaged ({why}): restore it from a copy, or choose another name for the output"
        )

    def _add_places(self) -> None:
        """Note where the files of an older journal are."""
        rows = self._database.execute("SELECT id, path, start_seconds, end_seconds FROM videos")
        for row_id, path, start, end in rows:
            if (place := Item(os.fsdecode(path), start, end).place) is not None:
                self._database.execute("INSERT OR IGNORE INTO places VALUES (?, ?)", (place, row_id))

    def _set_position(self, position: Position) -> None:
        self._set_fact("position", json.dumps([position.row_id, position.size]))

    def _note_content(self, content: str | None, row_id: int) -> None:
        if content is not None:
            self._database.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (_CONTENT + content, str(row_id)))

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
        self._check_present()
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(f"another run is writing to {self.path}") from error
            raise JournalError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            if "malformed" in str(error):
                raise self.damaged(str(error)) from error
            raise JournalError(
                f"{self.path} is not a journal of scores ({error}): choose another name for the output"
            ) from error


def _packed(row: Row) -> tuple[bool, bytes]:
    """Whether the row is a failure, and its record."""
    return "error" in row, pack_row(row)


def _stated(terms: Terms) -> dict[str, Any]:
    return {name: value for name, value in asdict(terms).items() if value is not None}


def _change(name: str, then: object, now: object) -> str:
    """What a term was, and what it is."""
    if option := _OPTIONS.get(name):
        return f"{_given(option, then)}, now it is {_given(option, now)}"
    return f"with {name} {_shown(then)}, now they are {_shown(now)}"


def _given(option: str, value: object) -> str:
    if not value:
        return f"without {option}"
    if isinstance(value, tuple):
        return f"with {option} {','.join(value)}"
    return f"with {option}" if value is True else f"with {option} {_shown(value)}"


def _shown(value: object) -> str:
    return json.dumps(value) if value else "none"

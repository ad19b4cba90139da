"""The captions so far, beside the output, so that a killed run can resume: SQLite, one row for each video."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import CaptionError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS captions (key TEXT PRIMARY KEY, failed INTEGER NOT NULL, tokens INTEGER NOT NULL, row TEXT);
CREATE TABLE IF NOT EXISTS terms (content TEXT NOT NULL);
"""

Row = dict[str, Any]


class CaptionJournal:
    """The rows of one output, for one thread. Raises `CaptionError`."""

    def __init__(self, path: Path, terms: Row) -> None:
        """Open or create it, and lock it. `terms` must be those that it was begun with."""
        self.path = path
        try:
            self._database = sqlite3.connect(path, timeout=1, isolation_level=None)
            try:
                self._begin(terms)
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _begin(self, terms: Row) -> None:
        # Exclusive before WAL: WAL then needs no shared memory, which network file systems lack.
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_SCHEMA)
        found = self._database.execute("SELECT content FROM terms").fetchone()
        if found is None:
            self._database.execute("INSERT INTO terms VALUES (?)", (json.dumps(terms),))
            return
        before = json.loads(found[0])
        # A journal from before a term existed agrees with each.
        if changed := [name for name in terms if name in before and before[name] != terms[name]]:
            raise CaptionError(
                f"{self.path} was begun with another {' and '.join(changed)}: choose another name for the output, or "
                "delete it and its journal"
            )

    def close(self) -> None:
        """Unlock it."""
        self._database.close()

    def has(self, key: str, *, failures: bool) -> bool:
        """Whether a video needs no caption any more; with `failures`, one that failed counts."""
        row = self._ask("SELECT failed FROM captions WHERE key = ?", key)
        return row is not None and (failures or not row[0])

    def add(self, key: str, row: Row, tokens: int) -> None:
        """Add a row, or replace that of a failure."""
        before = self._ask("SELECT tokens FROM captions WHERE key = ?", key)
        values = (key, row["error"] is not None, tokens + (before[0] if before else 0), json.dumps(row))
        try:
            # A failure that is replaced keeps its place.
            self._database.execute(
                "INSERT INTO captions VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET failed = excluded.failed, "
                "tokens = excluded.tokens, row = excluded.row",
                values,
            )
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def rows(self) -> Iterator[Row]:
        """Every row, in the order in which they were added."""
        for (row,) in self._database.execute("SELECT row FROM captions ORDER BY rowid"):
            yield json.loads(row)

    def counts(self) -> tuple[int, int, int]:
        """Rows, failures among them, and tokens."""
        row = self._ask("SELECT count(*), coalesce(sum(failed), 0), coalesce(sum(tokens), 0) FROM captions")
        assert row is not None
        return row[0], row[1], row[2]

    def _ask(self, query: str, *values: object) -> tuple[Any, ...] | None:
        try:
            found: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return found

    def _unusable(self, error: sqlite3.Error) -> CaptionError:
        why = "another run is writing to it" if "locked" in str(error) else str(error)
        return CaptionError(f"{self.path} cannot be used as a journal: {why}")

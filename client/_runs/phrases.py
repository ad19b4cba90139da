"""What a score says in words, as columns of its row."""

from collections.abc import Mapping
from typing import Any

from .._phrases.describe import Phrases, describe, describe_row
from .._sdk.result import Score
from .._tables.row import PHRASE_COLUMNS


def phrases_of(score: Score) -> dict[str, str]:
    """The columns `PHRASE_COLUMNS` of a score."""
    return _columns(describe(score))


def phrases_of_row(row: Mapping[str, Any]) -> dict[str, str]:
    """The same for a row of a table that was scored."""
    return _columns(describe_row(row))


def _columns(phrases: Phrases) -> dict[str, str]:
    return dict(zip(PHRASE_COLUMNS, (phrases.sentence, phrases.short), strict=True))

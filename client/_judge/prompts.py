"""The prompts that a generator got."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import JudgeError
from .requested import MOVES, moves_in

SEPARATOR = ";"
MOVE = "move"
"""The column of moves, unless another one is named."""
NO_CATEGORY = "all"


@dataclass(frozen=True)
class Prompt:
    """A row of the prompts."""

    text: str
    """The prompt."""
    moves: tuple[str, ...]
    """The camera moves that it asks for, keys of `MOVES`."""
    category: str
    """Its category."""
    video: str | None
    """The name of its video; None if the name is the prompt's."""

    @property
    def named(self) -> str:
        """What its videos are named by."""
        return self.video or self.text


def read_prompts(path: Path, moves: str | None = None) -> list[Prompt]:
    """Read a CSV file with a column `prompt`, and perhaps `move`, `category` and `video`. Raises `JudgeError`.

    moves: the column of camera moves, with `;` between them; it must be there if it is named. None: `move` if it is
    there, else the moves are found in the prompt's words. Two rows must not name the same videos.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or []
            if "prompt" not in names:
                raise JudgeError(f"{path} has no column 'prompt', only {', '.join(map(repr, names)) or 'nothing'}")
            if moves is not None and moves not in names:
                raise JudgeError(f"{path} has no column {moves!r}, only {', '.join(map(repr, names))}")
            column = moves or (MOVE if MOVE in names else None)
            lines: dict[str, int] = {}
            prompts = []
            for row in reader:
                prompt = _prompt(row, f"{path}, line {reader.line_num}", column)
                if (first := lines.setdefault(prompt.named, reader.line_num)) != reader.line_num:
                    raise JudgeError(
                        f"{path}, line {reader.line_num}: {prompt.named!r} is in line {first} already: each video "
                        "belongs to one prompt"
                    )
                prompts.append(prompt)
    except OSError as error:
        raise JudgeError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise JudgeError(f"{path} is not a CSV file in UTF-8: {error}") from error
    if not prompts:
        raise JudgeError(f"{path} has no prompts: nothing follows its first line")
    return prompts


def _prompt(row: dict[Any, Any], where: str, column: str | None) -> Prompt:
    if None in row:
        raise JudgeError(f"{where} has more cells than the first line: a text with commas needs quotation marks")
    text = (row["prompt"] or "").strip()
    if not text:
        raise JudgeError(f"{where}: the prompt is empty")
    if column is not None:
        moves = tuple(move.strip() for move in (row[column] or "").split(SEPARATOR) if move.strip())
        if unknown := [move for move in moves if move not in MOVES]:
            raise JudgeError(f"{where}: there is no camera move {unknown[0]!r}, only {', '.join(MOVES)}")
    else:
        moves = moves_in(text)
    return Prompt(
        text, moves, (row.get("category") or "").strip() or NO_CATEGORY, (row.get("video") or "").strip() or None
    )

"""Steps of a check: each passes, fails or is skipped with a reason."""

from collections.abc import Callable
from dataclasses import dataclass


class Skipped(Exception):
    """A step cannot run on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Figure:
    """A result of a step."""

    text: str
    """The figure with its unit."""
    right: bool = True
    """Whether it is within its bound, if it has one."""
    fast: bool = True
    """Whether it reaches its goal, if it has one; a missed goal is not an error."""


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    what: str
    """The step, or a part of it."""
    state: str
    """`ok`, `slow` (a goal is missed), `WRONG`, `FAILED` or `skipped`."""
    text: str
    """The figure, or the reason why it is missing."""


def run_step(what: str, step: Callable[[], dict[str, Figure]]) -> list[Row]:
    """Run a step; a row for each of its named figures, or one row if it was skipped or failed."""
    try:
        figures = step()
    except Skipped as reason:
        return [Row(what, "skipped", str(reason))]
    except Exception as error:
        return [Row(what, "FAILED", f"{type(error).__name__}: {error}".splitlines()[0])]
    return [Row(f"{what}, {name}" if name else what, _state(figure), figure.text) for name, figure in figures.items()]


def _state(figure: Figure) -> str:
    if not figure.right:
        return "WRONG"
    return "ok" if figure.fast else "slow"


def table(rows: list[Row]) -> str:
    """The rows as text, columns aligned."""
    width = max(len(row.what) for row in rows)
    return "\n".join(f"{row.what:{width}}  {row.state:7}  {row.text}" for row in rows)

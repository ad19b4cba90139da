"""A check in steps, each of which passes, fails, or says why it was skipped."""

from collections.abc import Callable
from dataclasses import dataclass


class Skipped(Exception):
    """A step cannot be done on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Figure:
    """What a step found."""

    text: str
    """For a person, with its unit."""
    right: bool = True
    """Whether it is within its bound, if it has one."""
    fast: bool = True
    """Whether it reaches its goal, if it has one; not to is no mistake."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    """The step, or a part of it."""
    state: str
    """`ok`, `slow` (a goal is missed), `WRONG`, `FAILED` or `skipped`."""
    text: str
    """The figure, or why there is none."""


def run_step(what: str, step: Callable[[], dict[str, Figure]]) -> list[Row]:
    """The rows of a step, whose figures have names; one that fails costs no other."""
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

"""Tables in Markdown, so that what a command prints can go into a page as it is."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table: a line of titles, a line of dashes and a line for each row."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float) -> str:
    """Three significant digits."""
    return f"{float(f'{value:.3g}'):,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def span(low: float, high: float) -> str:
    """Both bounds, or one number where they print the same."""
    return number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"

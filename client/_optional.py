"""Packages that only some commands and formats need."""

from importlib.util import find_spec


def missing(what: str, *packages: str) -> str | None:
    """A sentence that says what to install if any of `packages` that `what` needs is missing; else None."""
    absent = [package for package in packages if find_spec(package) is None]
    return f"{what} needs {' and '.join(absent)}: pip install {' '.join(absent)}" if absent else None

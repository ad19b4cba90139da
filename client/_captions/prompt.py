"""The prompt: a template whose lines are left out where there is nothing to say."""

import re
from importlib import resources
from pathlib import Path

from .errors import CaptionError

OPTIONAL = ("caption", "motion")
"""A line with one of these is left out for a video without it."""
ALWAYS = ("frames", "words")
_NAME = re.compile(r"\{[A-Za-z_]\w*\}")
"""A name in braces, but not the braces of JSON."""


def read_template(path: Path | None) -> str:
    """The template in a file, or this package's own. Raises `CaptionError`."""
    if path is None:
        return (resources.files(__package__) / "prompt.txt").read_text("utf-8")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CaptionError(f"cannot read {path}: {reason}") from error
    if not text.strip():
        raise CaptionError(f"{path} is empty: it must be the text of a prompt")
    known = [f"{{{name}}}" for name in (*OPTIONAL, *ALWAYS)]
    if unknown := [name for name in _NAME.findall(text) if name not in known]:
        raise CaptionError(f"{path} has {unknown[0]}, which stands for nothing: there are {', '.join(known)}")
    return text


def fill(template: str, *, caption: str | None, motion: str | None, frames: int, words: int) -> str:
    """The prompt for a video. Other braces than `{caption}`, `{motion}`, `{frames}` and `{words}` stay as they are."""
    values = {"caption": caption, "motion": motion, "frames": str(frames), "words": str(words)}
    lines = [
        line
        for line in template.splitlines()
        if not any(f"{{{name}}}" in line and not values[name] for name in OPTIONAL)
    ]
    # One after the other would also fill what an older caption has in braces.
    return "\n".join(_filled(line, values) for line in lines).strip()


def _filled(line: str, values: dict[str, str | None]) -> str:
    found = [(line.find(f"{{{name}}}"), name) for name in values if f"{{{name}}}" in line]
    if not found:
        return line
    start, name = min(found)
    rest = line[start + len(name) + 2 :]
    return f"{line[:start]}{values[name]}{_filled(rest, values)}"

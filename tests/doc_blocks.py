"""The fenced code blocks of the documentation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- not run: ([^>]*) -->\n *$")


@dataclass(frozen=True)
class Block:
    """A block of code, and why it is not run."""

    place: str
    """`FILE:LINE` of its first line."""
    language: str
    """What the fence says, such as `bash`; empty if it says nothing."""
    text: str
    """The code."""
    reason: str | None
    """Why it is not run; None if it is."""

    @property
    def lines(self) -> list[str]:
        """Its commands, continued lines joined and comments left out."""
        joined = re.sub(r"\\\n\s*|(?<=\|)\n\s*", " ", self.text)
        return [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def documents() -> list[Path]:
    """The files of the documentation."""
    return [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
        ROOT / "training" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]


def blocks() -> list[Block]:
    """Every block of every document."""
    return [block for path in documents() for block in blocks_of(path.read_text(), str(path.relative_to(ROOT)))]


def blocks_of(text: str, name: str) -> Iterator[Block]:
    """The blocks of one document."""
    for match in _FENCE.finditer(text):
        marker = _MARKER.search(text, 0, match.start())
        reason = marker[1] if marker and marker.end() == match.start() else None
        line = text.count("\n", 0, match.start(3)) + 1
        yield Block(f"{name}:{line}", match[2], match[3], reason)

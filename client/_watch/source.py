"""What a source is, by its name: a file, a pipe, a camera of this machine, or a stream of the network."""

import os
import re
import stat
from dataclasses import dataclass
from enum import Enum
from os import PathLike

from .._inputs.names import shown
from .errors import SourceError

STANDARD_INPUT = "-"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


class Kind(Enum):
    """How a source is opened, and whether it waits for its reader."""

    FILE = "file"
    PIPE = "pipe"
    CAMERA = "camera"
    NETWORK = "network stream"


@dataclass(frozen=True)
class Source:
    """A source of video."""

    name: str
    """A path, an address, or `-` for standard input."""
    kind: Kind
    """What the name means."""

    @property
    def shown(self) -> str:
        """The name for messages and answers: on one line, without a password."""
        if self.name == STANDARD_INPUT:
            return "standard input"
        return shown(_PASSWORD.sub(r"\1:***@", self.name) if self.kind is Kind.NETWORK else self.name)

    @property
    def can_reopen(self) -> bool:
        """Whether a source that broke can be opened again."""
        return self.kind in (Kind.CAMERA, Kind.NETWORK)

    @property
    def waits(self) -> bool:
        """Whether it can be read slower than real time."""
        return self.kind in (Kind.FILE, Kind.PIPE)


def source_of(name: str | PathLike[str]) -> Source:
    """The source that a name means. Raises `SourceError` if there is none of this name."""
    text = os.fsdecode(name)
    if text == STANDARD_INPUT:
        return Source(text, Kind.PIPE)
    if _URL.match(text):
        return Source(text, Kind.NETWORK)
    try:
        mode = os.stat(text).st_mode
    except OSError as error:
        raise SourceError(f"cannot read {shown(text)}: {error.strerror or error}") from error
    except ValueError as error:
        raise SourceError(f"cannot read {shown(text)}: no file can have this name") from error
    if stat.S_ISREG(mode):
        return Source(text, Kind.FILE)
    if stat.S_ISFIFO(mode):
        return Source(text, Kind.PIPE)
    if stat.S_ISCHR(mode):
        return Source(text, Kind.CAMERA)
    kind = "a directory" if stat.S_ISDIR(mode) else "neither a file, nor a pipe, nor a camera"
    raise SourceError(f"cannot read {shown(text)}: it is {kind}")

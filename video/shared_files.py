"""Files in shared memory of the calls in flight, which a server and its models know by what their paths begin with."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self


class SharedFiles:
    """Files of one kind."""

    variable: ClassVar[str]
    """The environment variable with what their paths begin with; without it, there are none."""

    def __init__(self, prefix: str) -> None:
        """`prefix`: what the paths of the files begin with."""
        self._prefix = prefix

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """The files of this server; None if it has none, because Triton copies what would be in them."""
        prefix = environment.get(cls.variable)
        return cls(prefix) if prefix else None

    @property
    def environment(self) -> dict[str, str]:
        """The variable that tells the models of a server about them."""
        return {self.variable: self._prefix}

    def _named(self, name: str) -> Path:
        return Path(f"{self._prefix}{name}")


def create_file(path: Path) -> int:
    """Create a file that only this user may read: a descriptor for writing. Raises OSError, also if it is there."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

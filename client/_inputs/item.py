"""One video to score, or a part of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from .._remote.addresses import canonical, is_remote
from ..errors import ClientError
from .names import LONGEST_PATH, as_bytes, as_text, shown
from .places import real_path

UNNAMED = b"\0"
"""How the keys of items begin that no path alone identifies."""


class Content:
    """The bytes of an encoded file that a list holds; they are handed over once and then forgotten."""

    def __init__(self, data: bytes, name: str | None) -> None:
        """data: the encoded file; name: what the list calls it, if anything."""
        self.digest = _digest(as_bytes(name or ""), data)
        """Identifies the name and the bytes; empty for a member of a shard, which its name identifies."""
        self._data = data

    @classmethod
    def of_member(cls, data: bytes) -> "Content":
        """The bytes of a member of a shard."""
        content = cls.__new__(cls)
        content.digest, content._data = b"", data
        return content

    @property
    def data(self) -> bytes:
        """The bytes, which stay."""
        return self._data

    def take(self) -> bytes:
        """The bytes; they are empty the next time."""
        data, self._data = self._data, b""
        return data


@dataclass(frozen=True)
class Item:
    """A video, or a part of one, to score."""

    path: str
    """The file or its URL, as the user named it; only a name if there is `content`."""
    start_seconds: float | None = None
    """Start of the part, if a manifest gives one."""
    end_seconds: float | None = None
    """End of the part, if a manifest gives one."""
    content: Content | None = field(default=None, repr=False, compare=False)
    """The encoded file, if a manifest holds it."""
    problem: ClientError | None = field(default=None, compare=False)
    """Why it cannot be scored, if its row in a manifest is wrong."""
    kept: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """What else its row in a manifest has that goes into the table."""
    row: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)
    """All columns of its row in a manifest, if they were asked for."""
    member: bool = False
    """Whether it lies in a shard: the path is `shard.tar/member`."""
    unread: bool = field(default=False, compare=False)
    """Whether its bytes were left in the shard, because nobody wanted them."""

    @property
    def video(self) -> str:
        """The path as text for tables; bytes that are not UTF-8 become backslash escapes."""
        return as_text(self.path)

    @property
    def shown(self) -> str:
        """The path for messages: one line of bounded length."""
        return shown(self.path)

    @property
    def part(self) -> dict[str, float]:
        """The request parameters that select the part; empty for the whole video."""
        part = {"start_seconds": self.start_seconds, "end_seconds": self.end_seconds}
        return {name: seconds for name, seconds in part.items() if seconds is not None}

    @property
    def key(self) -> bytes:
        """Identifies the item in a journal by its name; starts with `UNNAMED` if the name alone does not."""
        name = as_bytes(self.path)
        if self.member:
            named = name if len(name) <= LONGEST_PATH else _digest(name).hex().encode()
            return b"\0".join([UNNAMED + b"member", named, *self._part])
        if self.content is not None:
            return b"\0".join([UNNAMED + b"content", self.content.digest.hex().encode(), *self._part])
        if self.problem is not None or b"\0" in name or len(name) > LONGEST_PATH:
            return b"\0".join([UNNAMED + b"row", _digest(name, str(self.problem).encode()).hex().encode(), *self._part])
        return b"\0".join([name, *self._part])

    @property
    def place(self) -> bytes | None:
        """Identifies the real file and the part, whatever the file is named; None if no file can have the name."""
        if self.key.startswith(UNNAMED) and not self.member:
            return None
        real = canonical(self.path) if is_remote(self.path) else real_path(self.path)
        if real is None:
            return None
        return _digest(as_bytes(real), *self._part)

    @property
    def _part(self) -> list[bytes]:
        return [repr(item).encode() for item in self.part.items()]


def _digest(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()

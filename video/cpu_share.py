"""Each call's share of the decoders' CPU time, from the proxy to the models that read videos.

The proxy knows who waits; the models enforce. They meet in a small file: one float64 for each call that the proxy may
have in flight. The proxy sends a call's number along (`CALL`), and changes its share while it is answered.
"""

import mmap
import os
import struct
from collections.abc import Callable, Mapping

VARIABLE = "VIDEO_MOTION_CPU_SHARES"
"""The environment variable with the file's path."""
CALL = "triton_call"
"""The metadata, and so the request parameter, with a call's number.

Triton refuses parameters of callers that begin with `triton_`, and the proxy removes metadata of this name.
"""
SHARE = struct.Struct("<d")
WHOLE = 1.0
"""The share of a call if no other caller is there."""
LEAST = 0.0
"""The share of a call of a wasteful address beside other callers: what `BUSY_CPU_SECONDS` and its bytes buy."""
ABANDONED = -1.0
"""The share of a call whose caller has gone: nobody waits for its answer."""


def whole() -> float:
    """The share of every call if there is no proxy."""
    return WHOLE


class CpuShares:
    """Reads the shares of calls."""

    def __init__(self, descriptor: int | None) -> None:
        """`descriptor`: the file, open for reading; None if there is no proxy, and every share is whole."""
        self._file = None if descriptor is None else mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "CpuShares":
        """The shares that the proxy of this server writes; OSError if its file cannot be read."""
        path = environment.get(VARIABLE)
        if not path:
            return cls(None)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return cls(descriptor)
        finally:
            os.close(descriptor)

    def of(self, call: object) -> Callable[[], float]:
        """What returns the share of the call with this number whenever it is called: from 0 to 1, or `ABANDONED`."""
        file, text = self._file, str(call)
        if file is None or not text.isdecimal() or (int(text) + 1) * SHARE.size > len(file):
            return whole
        offset = int(text) * SHARE.size
        return lambda: SHARE.unpack_from(file, offset)[0]

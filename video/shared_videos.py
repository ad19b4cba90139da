"""The encoded file of a call in one file in shared memory, which the models read instead of copies in Triton.

Triton would have a file of 30 MB nine times: in its message, in its tensor, and in each of two stubs in a pool, an
array and the memory that the decoder process reads. So for a call of an ensemble, the proxy writes the video into a
file, and VIDEO is a stand-in of one byte. A parameter that callers cannot set says which file it is. Its name cannot be
guessed: whoever reaches Triton beside the proxy cannot name the video of another's call.

`video_sampling` hands its stripped file on in the same way. `video_decode` removes both when it has read them; the
proxy removes what is left when the call has ended, however it ends.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from video.errors import DecoderFailed, InvalidParameter
from video.shared_files import SharedFiles, create_file

VARIABLE = "VIDEO_MOTION_VIDEOS"
"""The environment variable with what the paths of the files begin with."""
MARK = "triton_video"
"""The metadata, and so the request parameter, of calls whose video is in a file; its value is the file's token.

Triton refuses parameters of callers that begin with `triton_`, and the proxy removes metadata of this name.
"""
_TOKEN = re.compile("[0-9a-f]{32}")
_STRIPPED = "_stripped"


@dataclass(frozen=True)
class VideoFile:
    """An encoded file that is open for reading."""

    descriptor: int
    nbytes: int


Encoded = memoryview | VideoFile
"""An encoded file, in memory or open."""


class SharedVideos(SharedFiles):
    """The files of the calls in flight; without them, videos are copied."""

    variable = VARIABLE

    @staticmethod
    def new_token() -> str:
        """A name for the files of a new call, which cannot be guessed."""
        return secrets.token_hex(16)

    def path(self, token: str, *, stripped: bool = False) -> Path:
        """The file of a call, or its stripped file; `InvalidParameter` if `token` is none."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise InvalidParameter(f"{MARK} is {token!r:.60}, which only the server sets: no file has this name")
        return self._named(f"{token}{_STRIPPED if stripped else ''}")

    def create(self, token: str, *, stripped: bool = False) -> int:
        """A new file of a call, mode 0600, or its stripped file: a descriptor for `write_all`; OSError if it fails."""
        return create_file(self.path(token, stripped=stripped))

    @contextlib.contextmanager
    def opened(self, token: str, *, stripped: bool = False) -> Iterator[VideoFile]:
        """The file of a call, or its stripped file, for the length of the block.

        Raises `InvalidParameter` if `token` is none, and `DecoderFailed` if there is no such file.
        """
        path = self.path(token, stripped=stripped)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise DecoderFailed(f"the server has no video for this call any more ({error.strerror})") from error
        try:
            yield VideoFile(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def remove(self, token: str) -> None:
        """Remove the files of a call, if they are there; their memory is free once nobody reads them."""
        for stripped in (False, True):
            self.path(token, stripped=stripped).unlink(missing_ok=True)


def write_all(descriptor: int, content: memoryview) -> None:
    """Write `content` and close `descriptor`; OSError if there is no room."""
    with open(descriptor, "wb", buffering=0) as file:
        rest = content
        while rest:
            rest = rest[file.write(rest) :]

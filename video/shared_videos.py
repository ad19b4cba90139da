"""The encoded file of a call in one file in shared memory, which the models read instead of copies in Triton.

Triton would have a file of 30 MB nine times: in its message, in its tensor, and in each of two stubs in a pool, an
array and the memory that the decoder process reads. So for a call of an ensemble, the proxy writes the video into a
file, and VIDEO is a stand-in of one byte. A parameter that callers cannot set says which file it is, by a token that
cannot be guessed (`video.call_files`): whoever reaches Triton beside the proxy cannot name the video of another's call.

`video_sampling` hands its stripped file on in the same way. `video_decode` removes both when it has read them; the
proxy removes what is left when the call has ended, however it ends.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from video.call_files import name_of
from video.errors import DecoderFailed
from video.shared_files import SharedFiles, create_file

VARIABLE = "VIDEO_MOTION_VIDEOS"
"""The environment variable with what the paths of the files begin with."""
MARK = "triton_video"
"""The metadata, and so the request parameter, of calls whose video is in a file; its value is the file's token.

Triton refuses parameters of callers that begin with `triton_`, and the proxy removes metadata of this name.
"""
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

    def path(self, token: str, *, stripped: bool = False) -> Path:
        """The file of a call, or its stripped file; `InvalidParameter` if `token` is none."""
        return self._named(f"{name_of(token, MARK)}{_STRIPPED if stripped else ''}")

    def write(self, token: str, content: memoryview, *, stripped: bool = False) -> None:
        """Write the new file of a call, mode 0600, or its stripped file; OSError if that fails, as if it has no room.

        What is written then stays until `remove`.
        """
        with open(create_file(self.path(token, stripped=stripped)), "wb", buffering=0) as file:
            rest = content
            while rest:
                rest = rest[file.write(rest) :]

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

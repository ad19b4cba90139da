"""Clips that the decoder hands to the networks in one file in shared memory, instead of copies in Triton.

Triton would copy a tensor four times on its way from one stub to the next. So for a call of an ensemble, the decoder
writes the clips into a file, and its tensor is a single clip that says where in the file they are. The networks map
that file. The proxy decides which calls do this, with a parameter that callers cannot set and whose value cannot be
guessed (`video.call_files`), and removes the file when the call has ended, however it ends.
"""

import contextlib
import json
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video.call_files import name_of
from video.clips import CLIP_FRAMES, CLIP_SHAPE, FRAME_BYTES
from video.shared_files import SharedFiles, create_file
from video.shared_pages import give_back_pages

VARIABLE = "VIDEO_MOTION_CLIPS"
"""The environment variable with what the paths of the files begin with."""
MARK = "triton_clips"
"""The metadata, and so the request parameter, of calls whose clips are in a file; its value is the file's token."""
CLIP_BYTES = CLIP_FRAMES * FRAME_BYTES
MAGIC = b"clips in shared memory: "
"""What a tensor begins with that says where the clips are; JSON and zeros follow."""
PART_CLIPS = 4
"""Clips that are in memory twice while they are written."""


class SharedClips(SharedFiles):
    """The files of the calls in flight; without them, clips are copied."""

    variable = VARIABLE

    def path(self, token: str) -> Path:
        """The file of a call; `InvalidParameter` if `token` is none."""
        return self._named(name_of(token, MARK))

    def write(self, token: str, tensors: Iterable[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """Move the clips of a call into its file; returns the tensors that stand for them, (1, 16, 224, 224, 3).

        `tensors` are (clips, 16, 224, 224, 3) uint8, views of shared memory that is given back as it is copied. One
        without clips stays as it is. Raises OSError if the file cannot be written, and as `path`.
        """
        path = self.path(token)
        path.unlink(missing_ok=True)
        first, references = 0, []
        with open(create_file(path), "wb", buffering=0) as file:
            for clips in tensors:
                for start in range(0, len(clips), PART_CLIPS):
                    part = clips[start : start + PART_CLIPS]
                    rest = part.reshape(-1).data
                    while rest:
                        rest = rest[file.write(rest) :]
                    with contextlib.suppress(OSError):  # some kernels cannot (gVisor): then it is free with the array
                        give_back_pages(part)
                references.append(_reference(first, len(clips)) if len(clips) else clips)
                first += len(clips)
        return references

    def read(self, token: str, tensor: NDArray[Any]) -> NDArray[Any]:
        """The clips that `tensor` stands for, (clips, 16, 224, 224, 3) uint8, read-only; another tensor as it is.

        Raises OSError or ValueError if the file of the call does not have them, and as `path`.
        """
        place = _place(tensor)
        if place is None:
            return tensor
        first, count = place
        with open(self.path(token), "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if not 0 <= first < first + count <= size // CLIP_BYTES:
                raise ValueError(f"the file has no clips {first} to {first + count}")
            memory = np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), np.uint8)
        return memory[first * CLIP_BYTES : (first + count) * CLIP_BYTES].reshape(count, *CLIP_SHAPE)

    def remove(self, token: str) -> None:
        """Remove the file of a call, if it has one; its memory is free when the networks have unmapped it."""
        with contextlib.suppress(FileNotFoundError):
            self.path(token).unlink()


def token_of(parameters: str) -> str | None:
    """The token of a call whose clips are in a file, from a request's parameters in JSON; None of any other call."""
    return json.loads(parameters or "{}").get(MARK)


def _reference(first: int, count: int) -> NDArray[np.uint8]:
    tensor = np.zeros((1, *CLIP_SHAPE), np.uint8)
    content = np.frombuffer(MAGIC + json.dumps([first, count]).encode(), np.uint8)
    tensor.reshape(-1)[: len(content)] = content
    return tensor


def _place(tensor: NDArray[Any]) -> tuple[int, int] | None:
    """First clip and number of clips that a tensor stands for; None if it is no reference."""
    if tensor.shape != (1, *CLIP_SHAPE) or tensor.dtype != np.uint8:
        return None
    content = tensor.reshape(-1)[:256].tobytes()
    if not content.startswith(MAGIC):
        return None
    first, count = json.loads(content[len(MAGIC) :].rstrip(b"\0"))
    if type(first) is not int or type(count) is not int:
        raise ValueError("the place of the clips is not two numbers")
    return first, count

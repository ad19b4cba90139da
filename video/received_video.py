"""The encoded file of a request, in a stub of Triton's python backend.

Triton 2.51 has it twice there: in the pool of the stub, and in an array. The decoder process gets a third copy, because
it must not see that memory. So each is given back as soon as the next one is there.

Only a stub of Triton's python backend can import this module.
"""

import contextlib

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from video.malloc_trim import LARGE_BYTES
from video.shared_pages import give_back_pages


class ReceivedVideo:
    """The input VIDEO of a request."""

    def __init__(self, request: object) -> None:
        tensor = pb_utils.get_input_tensor_by_name(request, "VIDEO")
        self._array: NDArray[np.uint8] = tensor.as_numpy().reshape(-1)
        pool = np.from_dlpack(tensor).reshape(-1)
        self._in_pool = np.may_share_memory(pool, self._array)
        self.content = self._array.data
        """The file, (bytes,) uint8, until it is forgotten."""
        if not self._in_pool:
            _give_back(pool, shared=True)

    def forget(self) -> None:
        """Give its memory back; its size stays."""
        _give_back(self._array, shared=self._in_pool)


def _give_back(content: NDArray[np.uint8], *, shared: bool) -> None:
    if content.nbytes >= LARGE_BYTES:
        with contextlib.suppress(OSError):  # it is then free when the request has ended, as without this
            give_back_pages(content, shared=shared)

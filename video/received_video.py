"""The encoded file of a request, in a stub of Triton's python backend.

Triton 2.51 has it twice there: in the pool of the stub, and in an array. The decoder process gets a third copy, because
it must not see that memory. The array is given back once that is there.

Only a stub of Triton's python backend can import this module.
"""

import numpy as np
import triton_python_backend_utils as pb_utils

from video.malloc_trim import LARGE_BYTES
from video.shared_pages import give_back_pages


class ReceivedVideo:
    """The input VIDEO of a request."""

    def __init__(self, request: object) -> None:
        tensor = pb_utils.get_input_tensor_by_name(request, "VIDEO")
        self._array = tensor.as_numpy().reshape(-1)
        # Pages of the pool must stay: tritonserver would die when it writes to one that /dev/shm has no room for.
        self._in_pool = np.may_share_memory(np.from_dlpack(tensor), self._array)
        self.content = self._array.data
        """The file, (bytes,) uint8, until it is forgotten."""

    def forget(self) -> None:
        """Give the array back; its size stays."""
        if self._array.nbytes >= LARGE_BYTES and not self._in_pool:
            give_back_pages(self._array, shared=False)

"""The encoded file of a request, in a stub of Triton's python backend.

The proxy puts it into a file, if it can (`video.shared_videos`). Otherwise Triton 2.51 has it twice there: in the pool
of the stub, and in an array. The decoder process gets a third copy, because it must not see that memory. The array is
given back once that is there.

Only a stub of Triton's python backend can import this module.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import triton_python_backend_utils as pb_utils

from video.malloc_trim import LARGE_BYTES
from video.shared_pages import give_back_pages
from video.shared_videos import MARK, Encoded, SharedVideos


class ReceivedVideo(NamedTuple):
    """The input VIDEO of a request."""

    content: Encoded
    """The file."""
    forget: Callable[[], None]
    """Gives its memory here back; nothing can be read from it any more, and its size stays."""
    token: str | None
    """Of the file that the proxy made; None if Triton passed the video on."""


@contextlib.contextmanager
def received_video(request: object, shared: SharedVideos | None) -> Iterator[ReceivedVideo]:
    """The video of a request, for the length of the block; raises as `SharedVideos.opened`."""
    token = None if shared is None else json.loads(request.parameters() or "{}").get(MARK)  # type: ignore[attr-defined]
    if shared is None or token is None:
        yield _from_triton(request)
        return
    with shared.opened(token) as file:
        yield ReceivedVideo(file, lambda: None, token)


def _from_triton(request: object) -> ReceivedVideo:
    tensor = pb_utils.get_input_tensor_by_name(request, "VIDEO")
    array = tensor.as_numpy().reshape(-1)
    # Pages of the pool must stay: tritonserver would die when it writes to one that /dev/shm has no room for.
    in_pool = np.may_share_memory(np.from_dlpack(tensor), array)

    def forget() -> None:
        if array.nbytes >= LARGE_BYTES and not in_pool:
            give_back_pages(array, shared=False)

    return ReceivedVideo(array.data, forget, None)

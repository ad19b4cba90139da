"""Calling the model `frame_autoencoder` from within `video_decode`, which decodes and measures.

Only a stub of Triton's python backend can import this module.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from video.cpu_share import ABANDONED
from video.errors import Abandoned, Busy, DecoderFailed, Reason
from video.measures.latents import LatentMeasures, LatentPairs
from video.picture_parts import PART, PART_BYTES, Pictures

MODEL = "frame_autoencoder"


def room_for(latents: tuple[int, ...]) -> int:
    """The most bytes in shared memory of a question and its answer; `latents` is the shape of a frame's."""
    return PART_BYTES + PART * 4 * int(np.prod(latents))


class LatentMeasuring:
    """Measures the latents of one video's pictures."""

    def __init__(self, latents: tuple[int, ...], share: Callable[[], float], request_id: str) -> None:
        """`latents` is the shape of a frame's; `share` returns `ABANDONED` once the caller has gone."""
        self._shape, self._share, self._request_id = latents, share, request_id
        self._pairs = LatentPairs()

    def take(self, first: int, pictures: Pictures) -> None:
        """The next pictures, from number `first` on; with 0, what was taken before does not count.

        Raises `Abandoned` if the caller has gone, `Busy` if the model's queue is full, `DecoderFailed` if it fails.
        """
        if self._share() == ABANDONED:
            raise Abandoned("the caller has gone")
        if first == 0:
            self._pairs = LatentPairs()
        latents = self._ask(pictures)
        if latents.shape != (len(pictures), *self._shape):
            raise DecoderFailed(f"{MODEL} returned latents of shape {latents.shape}", Reason.UNEXPECTED)
        try:
            self._pairs.take(latents)
        except ValueError as error:
            raise DecoderFailed(f"{MODEL} returned {error}", Reason.UNEXPECTED) from error

    def result(self) -> LatentMeasures:
        """The measures of all pictures."""
        return self._pairs.result()

    def _ask(self, pictures: Pictures) -> NDArray[np.float32]:
        answer: Any = pb_utils.InferenceRequest(
            model_name=MODEL,
            inputs=[pb_utils.Tensor("FRAMES", pictures)],
            requested_output_names=["LATENTS"],
            request_id=self._request_id,
            preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
        ).exec()
        if answer.has_error():
            error = answer.error()
            if error.code() == pb_utils.TritonError.UNAVAILABLE:
                raise Busy(f"{MODEL} cannot take more: {error.message()}")
            raise DecoderFailed(f"{MODEL} failed: {error.message()}", Reason.UNEXPECTED)
        latents: NDArray[np.float32] = pb_utils.get_output_tensor_by_name(answer, "LATENTS").as_numpy()
        return latents

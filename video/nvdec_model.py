"""Calling the model `video_decode_nvdec`, which decodes with DALI on the GPU, from within `video_decode`.

Only a stub of Triton's python backend can import this module.
"""

import queue
import threading
from collections.abc import Mapping
from typing import Any

import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

MODEL = "video_decode_nvdec"
CLIPS = ("MOTION_CLIPS", "CAMERA_CLIPS", "FRAME_CLIPS")
"""Its outputs; all are always requested, because DALI's pipeline has all."""


class NvdecFailed(Exception):
    """The model has no clips for this video; the message says why."""


def decode_on_gpu(inputs: Mapping[str, NDArray[Any]], seconds: float, request_id: str) -> dict[str, Any]:
    """The clips, as tensors of Triton's, which stay wherever the model left them: on the GPU.

    `inputs` are those of the model by name. Raises `NvdecFailed`, also if there is no answer within `seconds`: nothing
    can stop a decoder that hangs on a GPU, but its request need not wait for it.
    """
    request = pb_utils.InferenceRequest(
        model_name=MODEL,
        inputs=[pb_utils.Tensor(name, value) for name, value in inputs.items()],
        requested_output_names=list(CLIPS),
        request_id=request_id,
        timeout=round(seconds * 1e6),  # in its queue
    )
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def execute() -> None:
        try:
            answers.put(request.exec())
        except Exception as error:
            answers.put(error)

    threading.Thread(target=execute, name="nvdec", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise NvdecFailed(f"there was no answer within {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise NvdecFailed(f"{type(answer).__name__}: {answer}") from answer
    if answer.has_error():
        raise NvdecFailed(answer.error().message())
    tensors = {tensor.name(): tensor for tensor in answer.output_tensors()}
    if missing := set(CLIPS) - tensors.keys():
        raise NvdecFailed(f"the answer lacks {', '.join(sorted(missing))}")
    return tensors

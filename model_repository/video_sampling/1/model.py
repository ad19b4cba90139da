"""VIDEO to the frames that make up its clips. The rules are in `video.sampling`; this is their Triton face."""

from __future__ import annotations  # the types of pb_utils exist only after this file was imported

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from video import DecoderFailed, InvalidParameter, InvalidVideo, IsolatedDecoder


class TritonPythonModel:
    """Reads containers in a worker process, one request at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read what was exported, and start the worker so that the first request need not wait for it."""
        settings = json.loads(args["model_config"])["parameters"]
        manifest = json.loads((Path(args["model_repository"]).parent / "weights.json").read_text())
        served = {name: manifest[name] for name in ("motion", "camera", "labels")}
        self.weights = np.array([json.dumps(served).encode()], dtype=np.object_)
        self.decoder = IsolatedDecoder(float(settings["TIMEOUT_SECONDS"]["string_value"]))
        self.decoder.start()

    def execute(self, requests: list) -> list:
        """One response a request."""
        return [self._respond(request) for request in requests]

    def finalize(self) -> None:
        """Stop the worker."""
        self.decoder.close()

    def _respond(self, request):
        outputs = {"WEIGHTS": self.weights}
        wanted = request.requested_output_names()
        if set(wanted) - outputs.keys():
            try:
                outputs |= self._sample(request)
            except Exception as error:
                return _error(error)
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name]) for name in wanted])

    def _sample(self, request) -> dict[str, np.ndarray]:
        video = pb_utils.get_input_tensor_by_name(request, "VIDEO").as_numpy()
        plan = self.decoder.plan(video.reshape(-1).data, json.loads(request.parameters()))
        return {
            "FRAME_INDICES": np.array([plan["frame_indices"]], np.int32),
            "MOTION_ORDER": np.array([plan["motion_order"]], np.int32),
            "CAMERA_ORDER": np.array([plan["camera_order"]], np.int32),
            "CLIP_SECONDS": np.array(plan["clip_seconds"], np.float32),
            "VIDEO_INFO": np.array([plan["info"]], np.float64),
        }


def _error(error: Exception) -> pb_utils.InferenceResponse:
    """INVALID_ARGUMENT for what is wrong with the video or the request, INTERNAL for anything else."""
    if isinstance(error, (InvalidVideo, InvalidParameter)):
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
    message = str(error) if isinstance(error, DecoderFailed) else f"unexpected {type(error).__name__}: {error}"
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, pb_utils.TritonError.INTERNAL))

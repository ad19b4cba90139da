"""VIDEO and the frames that `video_sampling` chose, to clips. `video.decoding` does it; this is its Triton face."""

from __future__ import annotations  # the types of pb_utils exist only after this file was imported

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

from video import DecoderFailed, InvalidParameter, InvalidVideo, IsolatedDecoder


class TritonPythonModel:
    """Decodes in a worker process, one request at a time."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read what was exported, and start the worker so that the first request need not wait for it."""
        settings = json.loads(args["model_config"])["parameters"]
        manifest = json.loads((Path(args["model_repository"]).parent / "weights.json").read_text())
        self.shortest_edge = int(manifest["shortest_edge"])
        self.decoder = IsolatedDecoder(float(settings["TIMEOUT_SECONDS"]["string_value"]))
        self.decoder.start()

    def execute(self, requests: list) -> list:
        """One response a request."""
        return [self._respond(request) for request in requests]

    def finalize(self) -> None:
        """Stop the worker."""
        self.decoder.close()

    def _respond(self, request):
        def tensor(name: str) -> np.ndarray:
            return pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)

        try:
            motion, camera = self.decoder.decode(
                tensor("VIDEO").data,
                tensor("FRAME_INDICES"),
                tensor("MOTION_ORDER"),
                tensor("CAMERA_ORDER"),
                self.shortest_edge,
            )
        except Exception as error:
            return _error(error)
        clips = {"MOTION_CLIPS": motion, "CAMERA_CLIPS": camera}
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, clips[name]) for name in request.requested_output_names()]
        )


def _error(error: Exception) -> pb_utils.InferenceResponse:
    """INVALID_ARGUMENT for what is wrong with the video or the request, INTERNAL for anything else."""
    if isinstance(error, (InvalidVideo, InvalidParameter)):
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
    message = str(error) if isinstance(error, DecoderFailed) else f"unexpected {type(error).__name__}: {error}"
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, pb_utils.TritonError.INTERNAL))

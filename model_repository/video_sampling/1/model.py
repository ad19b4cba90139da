"""VIDEO to the frames that make up its clips: the Triton interface of `video.sampling`."""

import json
import os
from typing import Any

import numpy as np
import triton_python_backend_utils  # noqa: F401 - before the project: it puts PYTHONPATH into sys.path
from numpy.typing import NDArray

from video.errors import InvalidVideo, Reason
from video.gpu_decoder import check_readable
from video.request_record import RequestRecord
from video.triton import VideoModel, input_values, text


class TritonPythonModel(VideoModel):
    """Reads containers; decodes nothing unless a damaged video is allowed."""

    def outputs(self, request: Any, record: RequestRecord) -> dict[str, NDArray[Any]]:
        """The frames of a request's video; no video is read if only WEIGHTS is requested."""
        served = {name: self.manifest[name] for name in ("motion", "camera", "labels")}
        served["precision"] = self.parameters.get("PRECISION") or os.environ.get("PRECISION", "unknown")
        weights = {"WEIGHTS": text(json.dumps(served))}
        if set(request.requested_output_names()) == weights.keys():
            return weights
        video = input_values(request, "VIDEO").data
        record.video_bytes = video.nbytes
        before = self.decoder.frames_decoded
        try:
            plan = self.decoder.plan(video, json.loads(request.parameters()))
        finally:  # frames are decoded only if damage is allowed
            record.frames_decoded = self.decoder.frames_decoded - before or None
        if self.parameters.get("DECODER") == "dali":
            check_readable(plan)
        self._check_size(plan)
        if "FRAME_INDICES" in request.requested_output_names():
            record.count_wanted(*(len(plan[name]) for name in ("frame_indices", "motion_order", "camera_order")))
        return weights | {
            "FRAME_INDICES": np.array([plan["frame_indices"]], np.int32),
            "MOTION_ORDER": np.array([plan["motion_order"]], np.int32),
            "CAMERA_ORDER": np.array([plan["camera_order"]], np.int32),
            "FRAME_SIZE": np.array([_decoded_size(plan)], np.int32),
            "ROTATION_DEGREES": np.array([[plan["rotation_degrees"]]], np.int32),
            "CLIP_SECONDS": np.array(plan["clip_seconds"], np.float32),
            "VIDEO_INFO": np.array([plan["info"]], np.float64),
            "DECODED_SHARE": np.array([[plan["decoded_share"]]], np.float32),
        }

    def _check_size(self, plan: dict[str, Any]) -> None:
        """Raise `InvalidVideo` if the wanted frames do not fit into the decoder's memory (gpu profile)."""
        limit = int(self.parameters.get("MAX_DECODED_BYTES", "0"))
        frames, width, height = len(plan["frame_indices"]), int(plan["info"][3]), int(plan["info"][4])
        size = frames * width * height * 3
        if limit and size > limit:
            raise InvalidVideo(
                f"the {frames} wanted frames of this {width} x {height} video take {size / 1e9:.2f} GB when decoded, "
                f"more than this server's limit of {limit / 1e9:.2f} GB: request fewer (max_frames, max_clips)",
                Reason.TOO_LARGE,
            )


def _decoded_size(plan: dict[str, Any]) -> tuple[int, int]:
    """Height and width of a decoded frame, before it is rotated for display."""
    width, height = int(plan["info"][3]), int(plan["info"][4])
    return (height, width) if plan["rotation_degrees"] % 180 == 0 else (width, height)

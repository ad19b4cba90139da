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
from video.triton import VideoModel, input_values, request_parameters, text
from video.work import check_work


class TritonPythonModel(VideoModel):
    """Reads containers; decodes one frame, for its orientation, and more only if a damaged video is allowed."""

    def outputs(self, request: Any, record: RequestRecord) -> dict[str, NDArray[Any]]:
        """The frames of a request's video; no video is read if only WEIGHTS is requested."""
        served = {name: self.manifest[name] for name in ("motion", "camera", "labels", "shortest_edge")}
        served["precision"] = self.parameters.get("PRECISION") or os.environ.get("PRECISION", "unknown")
        weights = {"WEIGHTS": text(json.dumps(served))}
        if set(request.requested_output_names()) == weights.keys():
            return weights
        video = input_values(request, "VIDEO").data
        record.video_bytes = video.nbytes
        parameters, call = request_parameters(request)
        before = self.decoder.frames_decoded
        try:
            plan = self.decoder.plan(video, parameters, self.cpu_shares.of(call))
        finally:  # frames are counted only if damage is allowed
            record.frames_decoded = self.decoder.frames_decoded - before or None
        if self.parameters.get("DECODER") == "dali":
            check_readable(plan)
        self._check_for_dali(plan, video.nbytes)
        if "FRAME_INDICES" in request.requested_output_names():
            record.count_wanted(*(len(plan[name]) for name in ("frame_indices", "motion_order", "camera_order")))
        return weights | {
            "FRAME_INDICES": np.array([plan["frame_indices"]], np.int32),
            "MOTION_ORDER": np.array([plan["motion_order"]], np.int32),
            "CAMERA_ORDER": np.array([plan["camera_order"]], np.int32),
            "FRAME_SIZE": np.array([_decoded_size(plan)], np.int32),
            "ORIENTATION": np.array([plan["orientation"]], np.int32),
            "CLIP_SECONDS": np.array(plan["clip_seconds"], np.float32),
            "VIDEO_INFO": np.array([plan["info"]], np.float64),
            "HEADER_DURATION_SECONDS": np.array([plan["header_duration_seconds"]], np.float64),  # None becomes NaN
            "DECODED_SHARE": np.array([[plan["decoded_share"]]], np.float32),
        }

    def _check_for_dali(self, plan: dict[str, Any], file_bytes: int) -> None:
        """Raise `InvalidVideo` if DALI decodes another stream, or takes too much memory or time for the wanted frames.

        Only the profiles whose decoder is DALI have these limits.
        """
        width, height = int(plan["info"][3]), int(plan["info"][4])
        if "MAX_DECODED_PIXELS" in self.parameters:
            check_work(plan["frames_to_decode"], width, height, file_bytes, self.decoder.limits)
        limit, frames = int(self.parameters.get("MAX_DECODED_BYTES", "0")), len(plan["frame_indices"])
        if limit and not plan["dali_shows_it"]:
            raise InvalidVideo(
                "the file has several video streams and does not mark the one that is shown as the only default one, "
                "so this server's decoder would take another: keep one of them",
                Reason.INVALID_VIDEO,
            )
        size = frames * width * height * 3
        if limit and size > limit:
            raise InvalidVideo(
                f"the {frames} wanted frames of this {width} x {height} video take {size / 1e9:.2f} GB when decoded, "
                f"more than this server's limit of {limit / 1e9:.2f} GB: request fewer (max_frames, max_clips)",
                Reason.TOO_LARGE,
            )


def _decoded_size(plan: dict[str, Any]) -> tuple[int, int]:
    """Height and width of a decoded frame, before it is turned for display."""
    width, height = int(plan["info"][3]), int(plan["info"][4])
    return (height, width) if plan["orientation"][0] % 180 == 0 else (width, height)

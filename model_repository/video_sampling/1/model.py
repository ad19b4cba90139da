"""VIDEO to the frames that make up its clips: the Triton interface of `video.sampling`."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # before the project: it puts PYTHONPATH into sys.path
from numpy.typing import NDArray

from video.decoder import Decoder
from video.gpu_decoder import Choice, choose, decoded_size, positive
from video.nvdec_capabilities import capabilities
from video.received_video import ReceivedVideo, received_video
from video.request_record import RequestRecord
from video.shared_memory import cannot_write
from video.signals import OF_VIDEO_MOTION, served_signals
from video.strip import Strip
from video.triton import VideoModel, request_parameters, text
from video.weights import described

WANTED = ("frame_indices", "motion_order", "camera_order", "frame_order")


class TritonPythonModel(VideoModel):
    """Reads containers; decodes one frame, for its orientation, and more only if a damaged video is allowed."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Start the worker, and ask what NVDEC reads if this profile has it."""
        super().initialize(args)
        self.served = served_signals(self.manifest)
        encoder = self.manifest.get("frames", {"height": 0, "width": 0})
        self.square_frames = encoder["height"] == encoder["width"]
        try:
            self.nvdec = capabilities(self.parameters.get("NVDEC_READS"))
            if "NVDEC_READS" in self.parameters:
                self.max_decoded_bytes = positive(self.parameters, "MAX_DECODED_BYTES")
        except ValueError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        if "NVDEC_READS" in self.parameters and args["model_instance_name"].endswith("_0"):  # once, not per instance
            print(f"{self.name}: {self.nvdec}", file=sys.stderr, flush=True)

    def outputs(self, request: Any, record: RequestRecord) -> dict[str, NDArray[Any]]:
        """The frames of a request's video; no video is read if only WEIGHTS is requested."""
        precision = self.parameters.get("PRECISION") or os.environ.get("PRECISION", "unknown")
        weights = {"WEIGHTS": text(json.dumps(described(self.manifest) | {"precision": precision}))}
        if set(request.requested_output_names()) == weights.keys():
            return weights
        with received_video(request, self.shared_videos) as received:
            return weights | self._sampled(request, record, received)

    def _sampled(self, request: Any, record: RequestRecord, received: ReceivedVideo) -> dict[str, NDArray[Any]]:
        # Only `video_signals` has a use for it.
        served = self.served if "FRAME_ORDER" in request.requested_output_names() else OF_VIDEO_MOTION
        video = received.content
        record.video_bytes = video.nbytes
        parameters, call = request_parameters(request)
        before = self.decoder.frames_decoded
        is_decoded = "FRAME_INDICES" in request.requested_output_names()
        nvdec = self.nvdec if self.nvdec.formats else None
        strip = Strip.WHERE_IT_PAYS if nvdec is None else Strip.WHERE_SAFE
        try:
            plan = self.decoder.plan(
                video,
                parameters,
                self.cpu_shares.of(call),
                strip=strip if is_decoded else Strip.NEVER,
                nvdec=nvdec,
                served=served,
                when_copied=received.forget,
            )
        finally:  # frames are counted only if damage is allowed
            record.frames_decoded = self.decoder.frames_decoded - before or None
        choice = self._choice(plan, video.nbytes)
        if is_decoded:
            record.decoder, record.why_not_nvdec = choice
            record.count_wanted(*(len(plan[name]) for name in WANTED))
        return {
            "FRAME_INDICES": np.array([plan["frame_indices"]], np.int32),
            "MOTION_ORDER": np.array([plan["motion_order"]], np.int32),
            "CAMERA_ORDER": np.array([plan["camera_order"]], np.int32),
            "FRAME_ORDER": np.array([plan["frame_order"]], np.int32),
            "FRAME_SECONDS": np.array(plan["frame_seconds"], np.float32),
            "METRIC_ORDER": np.array([plan["metric_order"]], np.int32),
            "FRAME_SIZE": np.array([decoded_size(plan)], np.int32),
            "ORIENTATION": np.array([plan["orientation"]], np.int32),
            "STRIPPED_VIDEO": self._handed_on(plan["stripped_video"], received, choice.decoder)[None],
            "STRIPPED_INDICES": np.array([plan["stripped_indices"]], np.int32),
            "PLANNED_DECODER": text(choice.decoder)[None],
            "CLIP_SECONDS": np.array(plan["clip_seconds"], np.float32).reshape(-1, 2),
            "VIDEO_INFO": np.array([plan["info"]], np.float64),
            "HEADER_DURATION_SECONDS": np.array([plan["header_duration_seconds"]], np.float64),  # None becomes NaN
            "DECODED_SHARE": np.array([[plan["decoded_share"]]], np.float32),
        }

    def _handed_on(self, stripped: NDArray[np.uint8], received: ReceivedVideo, decoder: Decoder) -> NDArray[np.uint8]:
        """The tensor for a stripped file: a stand-in if `video_decode` can read it where the video is.

        The GPU's decoder takes a tensor.
        """
        if self.shared_videos is None or received.token is None or not len(stripped) or decoder == Decoder.NVDEC:
            return stripped
        try:
            self.shared_videos.write(received.token, stripped.data, stripped=True)
        except OSError as error:
            raise cannot_write(error) from error
        return np.zeros(1, np.uint8)

    def _choice(self, plan: dict[str, Any], file_bytes: int) -> Choice:
        if "NVDEC_READS" not in self.parameters:
            return Choice(Decoder.FFMPEG)
        device = self.parameters.get("DALI_DEVICE", "mixed")
        limits, most = self.decoder.limits, self.max_decoded_bytes
        return choose(plan, file_bytes, self.nvdec, limits, most, device, square_frames=self.square_frames)

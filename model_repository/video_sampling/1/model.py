"""VIDEO to the frames that make up its clips. The rules are in `video.sampling`; this is their Triton face."""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video.triton import VideoModel, input_values, text


class TritonPythonModel(VideoModel):
    """Reads containers; decodes nothing."""

    def outputs(self, request: Any) -> dict[str, NDArray[Any]]:
        """The frames of a request's video; no video is looked at where only WEIGHTS is wanted."""
        served = {name: self.manifest[name] for name in ("motion", "camera", "labels")}
        served["precision"] = os.environ.get("PRECISION", "unknown")
        weights = {"WEIGHTS": text(json.dumps(served))}
        if set(request.requested_output_names()) == weights.keys():
            return weights
        plan = self.decoder.plan(input_values(request, "VIDEO").data, json.loads(request.parameters()))
        return weights | {
            "FRAME_INDICES": np.array([plan["frame_indices"]], np.int32),
            "MOTION_ORDER": np.array([plan["motion_order"]], np.int32),
            "CAMERA_ORDER": np.array([plan["camera_order"]], np.int32),
            "CLIP_SECONDS": np.array(plan["clip_seconds"], np.float32),
            "VIDEO_INFO": np.array([plan["info"]], np.float64),
        }

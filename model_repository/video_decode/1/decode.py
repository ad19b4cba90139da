"""VIDEO and the frames that `video_sampling` chose, to clips. `video.decoding` does it; this is its Triton face."""

from typing import Any

from numpy.typing import NDArray

from video.triton import VideoModel, input_values


class TritonPythonModel(VideoModel):
    """Decodes and resizes."""

    def outputs(self, request: Any) -> dict[str, NDArray[Any]]:
        """The clips of a request's video."""
        motion, camera = self.decoder.decode(
            input_values(request, "VIDEO").data,
            input_values(request, "FRAME_INDICES"),
            input_values(request, "MOTION_ORDER"),
            input_values(request, "CAMERA_ORDER"),
            int(self.manifest["shortest_edge"]),
            int(input_values(request, "ROTATION_DEGREES")[0]),
        )
        return {"MOTION_CLIPS": motion, "CAMERA_CLIPS": camera}

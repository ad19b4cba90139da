"""VIDEO and the frames that `video_sampling` chose, to clips. `video.decoding` does it; this is its Triton face."""

from typing import Any

from numpy.typing import NDArray

from video.clips import FRAME_BYTES
from video.record import Record
from video.shared_memory import check_room, region_of_this_process
from video.triton import VideoModel, input_values


class TritonPythonModel(VideoModel):
    """Decodes and resizes."""

    def outputs(self, request: Any, record: Record) -> dict[str, NDArray[Any]]:
        """The clips of a request's video."""
        video = input_values(request, "VIDEO").data
        record.video_bytes = video.nbytes
        wanted = [input_values(request, name) for name in ("FRAME_INDICES", "MOTION_ORDER", "CAMERA_ORDER")]
        record.count_wanted(*map(len, wanted))
        check_room(sum(map(len, wanted[1:])) * FRAME_BYTES, region_of_this_process())
        before = self.decoder.frames_decoded
        motion, camera = self.decoder.decode(
            video,
            *wanted,
            int(self.manifest["shortest_edge"]),
            int(input_values(request, "ROTATION_DEGREES")[0]),
        )
        record.frames_decoded = self.decoder.frames_decoded - before
        return {"MOTION_CLIPS": motion, "CAMERA_CLIPS": camera}

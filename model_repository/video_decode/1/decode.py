"""VIDEO and the frames that `video_sampling` chose, to clips: the Triton interface of `video.decoding`."""

from typing import Any

import triton_python_backend_utils  # noqa: F401 - before the project: it puts PYTHONPATH into sys.path
from numpy.typing import NDArray

from video.clips import FRAME_BYTES
from video.orders import ORDERS, check_orders
from video.parameters import Parameters
from video.request_record import RequestRecord
from video.shared_memory import check_room, free_bytes, pools_beside_this_process
from video.triton import VideoModel, input_values, request_parameters


class TritonPythonModel(VideoModel):
    """Decodes and resizes."""

    def outputs(self, request: Any, record: RequestRecord) -> dict[str, NDArray[Any]]:
        """The clips of a request's video."""
        video = input_values(request, "VIDEO").data
        record.video_bytes = video.nbytes
        frame_indices, motion_order, camera_order = (input_values(request, name) for name in ORDERS)
        check_orders(frame_indices, motion_order, camera_order)
        record.count_wanted(len(frame_indices), len(motion_order), len(camera_order))
        motion_bytes, camera_bytes = (len(order) * FRAME_BYTES for order in (motion_order, camera_order))
        ours = video.nbytes + motion_bytes + camera_bytes
        needs = {"video_decode": ours, "motion_backbone": motion_bytes, "camera_classifier": camera_bytes}
        check_room(needs, pools_beside_this_process(), free_bytes())
        parameters, call = request_parameters(request)
        allow_damaged = bool(Parameters.from_request(parameters).allow_damaged)
        before = self.decoder.frames_decoded
        try:
            motion, camera = self.decoder.decode(
                video,
                frame_indices,
                motion_order,
                camera_order,
                int(self.manifest["shortest_edge"]),
                self.cpu_shares.of(call),
                allow_damaged=allow_damaged,
            )
        finally:
            record.frames_decoded = self.decoder.frames_decoded - before
        return {"MOTION_CLIPS": motion, "CAMERA_CLIPS": camera}

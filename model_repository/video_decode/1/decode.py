"""VIDEO and the frames that `video_sampling` chose, to clips: the Triton interface of `video.decoding`."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # before the project: it puts PYTHONPATH into sys.path
from numpy.typing import NDArray

from video.autoencoder_model import MODEL as AUTOENCODER
from video.autoencoder_model import LatentMeasuring, room_for
from video.clips import FRAME_BYTES
from video.decoder import Decoder
from video.frame_form import FrameForm
from video.gpu_decoder import positive
from video.measures.latents import LATENT_NAMES
from video.measures.measures import NAMES, Measures, row_of
from video.nvdec_model import CLIPS, MODEL, NvdecFailed, decode_on_gpu
from video.orders import FRAME_ORDER, METRIC_ORDER, ORDERS, check_orders, check_stripped, for_dali
from video.parameters import Parameters
from video.pool_needs import network_needs
from video.received_video import ReceivedVideo, received_video
from video.request_record import RequestRecord
from video.shared_clips import CLIP_BYTES, SharedClips, token_of
from video.shared_memory import NO_ROOM, check_room, free_bytes, no_room, pools_beside_this_process
from video.shared_videos import VideoFile
from video.signals import Signal
from video.triton import (
    VideoModel,
    input_values,
    optional_input_text,
    optional_input_values,
    request_id,
    request_parameters,
    text,
)


class TritonPythonModel(VideoModel):
    """Decodes and resizes: with FFmpeg in its worker, or with NVDEC in the model `video_decode_nvdec`.

    What NVDEC fails on, FFmpeg decodes within the same request.
    """

    def initialize(self, args: Mapping[str, str]) -> None:
        """Start the worker."""
        super().initialize(args)
        encoder = self.manifest.get("frames")
        self.frame_form = FrameForm.of(encoder["preprocessing"]) if encoder else None
        self.embedding_bytes = int(encoder["dimensions"]) * 4 if encoder else 0
        """Of a frame, in float32."""
        self.metrics_names: tuple[str, ...] = tuple(self.manifest.get("metrics", ()))
        autoencoder = self.manifest.get("autoencoder")
        self.latents = tuple(autoencoder["latents"]) if autoencoder else None
        """The shape of a frame's latents; None without an autoencoder."""
        known = NAMES if self.latents is None else (*NAMES, *LATENT_NAMES)
        if unknown := [name for name in self.metrics_names if name not in known]:
            raise pb_utils.TritonModelException(f"weights.json names the measure {unknown[0]!r}: export again")
        self.shared_clips = SharedClips.from_environment()
        # Only the profiles with a GPU set it: in the cpu profile, nothing is decoded there, whoever asks.
        self.nvdec_seconds = 0.0
        if "NVDEC_SECONDS" in self.parameters:
            try:
                self.nvdec_seconds = positive(self.parameters, "NVDEC_SECONDS")
            except ValueError as error:
                raise pb_utils.TritonModelException(str(error)) from error

    def decoders(self) -> Sequence[Decoder]:
        """NVDEC only if the configuration has it."""
        return (Decoder.NVDEC, Decoder.FFMPEG) if "NVDEC_SECONDS" in self.parameters else (Decoder.FFMPEG,)

    def outputs(self, request: Any, record: RequestRecord) -> dict[str, Any]:
        """The clips of a request's video, and what decoded them."""
        with contextlib.ExitStack() as stack:
            received = stack.enter_context(received_video(request, self.shared_videos))
            if self.shared_videos is not None and received.token is not None:  # no other model reads it after this one
                stack.callback(self.shared_videos.remove, received.token)
            return self._decoded(request, record, received, stack)

    def _decoded(
        self, request: Any, record: RequestRecord, received: ReceivedVideo, stack: contextlib.ExitStack
    ) -> dict[str, Any]:
        record.decoder = Decoder.FFMPEG
        video = received.content
        record.video_bytes = video.nbytes
        frame_indices, motion_order, camera_order = (input_values(request, name) for name in ORDERS)
        frame_order = optional_input_values(request, FRAME_ORDER, np.int32)
        metric_order = optional_input_values(request, METRIC_ORDER, np.int32)
        check_orders(frame_indices, motion_order, camera_order, frame_order, metric_order)
        record.count_wanted(len(frame_indices), len(motion_order), len(camera_order), len(frame_order))
        stripped_tensor = optional_input_values(request, "STRIPPED_VIDEO", np.uint8)
        stripped_video: NDArray[np.uint8] | VideoFile = stripped_tensor
        stripped_indices = optional_input_values(request, "STRIPPED_INDICES", np.int32)
        planned = optional_input_text(request, "PLANNED_DECODER")
        if len(stripped_indices):
            check_stripped(frame_indices, stripped_indices)
            if self.shared_videos is not None and received.token is not None and planned != Decoder.NVDEC:
                stripped_video = stack.enter_context(self.shared_videos.opened(received.token, stripped=True))
        on_gpu = bool(
            planned == Decoder.NVDEC
            and self.nvdec_seconds
            and len(stripped_tensor)
            and len(stripped_indices)
            and not len(metric_order)  # measures are computed where FFmpeg decodes
        )
        motion_bytes, camera_bytes = (len(order) * FRAME_BYTES for order in (motion_order, camera_order))
        frame_bytes = len(frame_order) * self.frame_form.frame_bytes if self.frame_form else 0
        clips_token = None if self.shared_clips is None or on_gpu else token_of(request.parameters())
        in_file = 0
        if clips_token is not None:
            in_file = motion_bytes + camera_bytes
            motion_bytes = camera_bytes = CLIP_BYTES  # of the one that stands for all
        pools = list(pools_beside_this_process())
        needs = network_needs(
            {pool.model for pool in pools},
            motion_bytes=motion_bytes,
            camera_bytes=camera_bytes,
            frame_bytes=frame_bytes,
            embedding_bytes=len(frame_order) * self.embedding_bytes,
        )
        needs["video_decode"] = motion_bytes + camera_bytes + frame_bytes
        if received.token is None:
            needs["video_decode"] += video.nbytes + stripped_video.nbytes
        if self.latents is not None and len(metric_order):  # a part of the pictures at a time
            needs["video_decode"] += room_for(self.latents)
            needs[AUTOENCODER] = room_for(self.latents)
        if on_gpu:  # what the call takes here, and with pip's DALI there, too
            needs["video_decode"] += stripped_video.nbytes
            needs[MODEL] = stripped_video.nbytes + motion_bytes + camera_bytes + frame_bytes
        check_room(needs, pools, free_bytes(), beside_pools=in_file)
        parameters, call = request_parameters(request)
        allow_damaged = bool(Parameters.from_request(parameters, tuple(Signal)).allow_damaged)
        if on_gpu:
            clips = self._on_gpu(request, stripped_tensor, stripped_indices, record)
            if clips is not None:
                return clips
        before, share = self.decoder.frames_decoded, self.cpu_shares.of(call)
        latents = self._latents(metric_order, share, request)
        try:
            clips = self.decoder.decode(
                video,
                frame_indices,
                motion_order,
                camera_order,
                int(self.manifest["shortest_edge"]),
                share,
                allow_damaged=allow_damaged,
                # Not a file that has just failed on the GPU: it may be at fault.
                stripped_video=None if record.nvdec_error else stripped_video,
                stripped_indices=None if record.nvdec_error else stripped_indices,
                frame_order=frame_order,
                frame_form=self.frame_form,
                metric_order=metric_order,
                on_pictures=None if latents is None else latents.take,
                when_copied=received.forget,
            )
        finally:
            record.frames_decoded = self.decoder.frames_decoded - before
        tensors = [clips.motion, clips.camera]
        if self.shared_clips is not None and clips_token is not None:
            asked = request.requested_output_names()
            wanted = [rows if name in asked else rows[:0] for name, rows in zip(CLIPS, tensors, strict=False)]
            try:
                tensors = self.shared_clips.write(clips_token, wanted)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise no_room(free_bytes()) from error
                raise
        outputs = dict(zip(CLIPS, [*tensors, clips.frames], strict=True))
        # A step without its input is not run: so nothing is computed that `signals` leaves out.
        return {
            **{name: rows for name, rows in outputs.items() if len(rows)},
            "METRICS": self._metrics(clips.measures, latents),
            "DECODER": text(Decoder.FFMPEG),
        }

    def _latents(
        self, metric_order: NDArray[np.int32], share: Callable[[], float], request: Any
    ) -> LatentMeasuring | None:
        """What measures latents; None if there is no autoencoder, or nothing is to be measured."""
        if self.latents is None or not len(metric_order):
            return None
        return LatentMeasuring(self.latents, share, request_id(request))

    def _metrics(self, measures: Measures | None = None, latents: LatentMeasuring | None = None) -> NDArray[np.float32]:
        """(1, measures) float32, or (0, measures) if none were asked for."""
        names = self.metrics_names
        if measures is None:
            return np.empty((0, len(names)), np.float32)
        return row_of(measures.as_dict() | ({} if latents is None else latents.result()._asdict()), names)

    def _on_gpu(
        self,
        request: Any,
        stripped_video: NDArray[np.uint8],
        stripped_indices: NDArray[np.int32],
        record: RequestRecord,
    ) -> dict[str, Any] | None:
        """The clips from NVDEC; None if it fails, and `record` then says why."""
        inputs = {"VIDEO": stripped_video[None], "FRAME_INDICES": stripped_indices[None]}
        for name in ("FRAME_SIZE", "ORIENTATION"):
            inputs[name] = input_values(request, name)[None]
        orders = {name: optional_input_values(request, name, np.int32) for name in (*ORDERS[1:], FRAME_ORDER)}
        inputs |= {name: for_dali(order)[None] for name, order in orders.items()}
        try:
            clips = decode_on_gpu(inputs, self.nvdec_seconds, request_id(request))
        except NvdecFailed as error:
            record.nvdec_error = str(error)
            return None
        record.decoder = Decoder.NVDEC
        wanted = [clips[name] for name, order in zip(CLIPS, orders.values(), strict=True) if len(order)]
        clips_there = {tensor.name(): tensor for tensor in wanted}
        return clips_there | {"METRICS": self._metrics(), "DECODER": text(Decoder.NVDEC)}

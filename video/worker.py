"""`python -m video.worker FD LIMITS`: the decoder process, which opens untrusted files.

LIMITS are the fields of `video.limits.Limits` as JSON. The worker answers one request at a time over the socket FD,
until the other end closes. A request is a JSON object; the file, and for decoding the memory to fill, are descriptors
that come with it. The worker acknowledges it at once. Before the answer, it may say that there are measured pictures in
the memory (`video.picture_parts`), and waits until they are acknowledged. The answer is a JSON object with
`frames_decoded` and either `result`, or `error`, `message` and `reason`: numbers and text only, because a hostile file
may control this process.
"""

import contextlib
import ctypes
import errno
import gc
import importlib
import json
import mmap
import os
import pkgutil
import resource
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from video import sandbox
from video.cgroup import usable_cores
from video.clips import FRAME_BYTES, FRAME_SIZE
from video.colors import colors_of
from video.container import open_video, read_frame_table
from video.decoding import Decoded, Frames, decode, frames_to_decode
from video.errors import DecoderFailed, InvalidVideo, Reason, VideoError
from video.frame_form import FrameForm
from video.gpu_decoder import why_not_read
from video.isolation import MESSAGE_BYTES, TAKEN
from video.limits import Limits
from video.malloc_trim import give_back
from video.measures import measuring
from video.measures.measuring import MeasuredFrames
from video.nvdec_capabilities import Capabilities
from video.parameters import Parameters
from video.picture_parts import PicturesOut, Tell
from video.resize import crop, stretch
from video.salvage import sample_what_decodes
from video.sampling import sample
from video.signals import Signal
from video.strip import NOT_STRIPPED, Strip
from video.stripping import stripped_video
from video.work import is_too_much

PR_SET_PDEATHSIG = 1
MAX_DESCRIPTORS = 3
"""Of a request: the file, the clips, the stripped file."""


def plan(
    video: BinaryIO,
    limits: Limits,
    total: Decoded,
    tell: Tell,  # noqa: ARG001 - for decoding
    stripped_descriptor: int,
    *,
    parameters: dict[str, Any],
    strip: str,
    nvdec: list[Any] | None = None,
) -> dict[str, Any]:
    """Choose frames of a video, and describe it; `parameters` are the fields of `Parameters`.

    `strip`, a value of `Strip`, says when a file with the wanted frames is written to `stripped_descriptor`. With
    `nvdec`, the lists of what NVDEC reads, `WHERE_SAFE` holds for that; FFmpeg's videos are stripped where it pays. No
    more than two frames are decoded, for orientation and colors, unless a damaged video is allowed.
    """
    asked = Parameters(**parameters | {"signals": tuple(map(Signal, parameters["signals"]))})
    allowed = bool(asked.allow_damaged)
    with open_video(video, limits, allow_damaged=allowed) as (container, stream):
        noted = strip != Strip.NEVER
        table = read_frame_table(container, stream, limits, damaged=video if allowed else None, noted=noted)
        demuxer, decoder = container.format.name.split(",")[0], stream.codec_context.codec.name
        profile, pixel_format = stream.codec_context.profile, stream.codec_context.pix_fmt
        colors = colors_of(video, stream, limits, allow_damaged=allowed)
        if allowed:
            sampling, decoded_share = sample_what_decodes(video, table, asked, limits, total)
        else:
            sampling, decoded_share = sample(table.timestamps, table.info.duration_seconds, asked), 1.0
        to_decode = frames_to_decode(table, sampling.frame_indices)
        file_bytes = os.fstat(video.fileno()).st_size
        found = {
            "frame_indices": sampling.frame_indices.tolist(),
            "motion_order": sampling.motion_order.tolist(),
            "camera_order": sampling.camera_order.tolist(),
            "frame_order": sampling.frame_order.tolist(),
            "frame_seconds": sampling.frame_seconds.tolist(),
            "clip_seconds": sampling.clip_seconds.tolist(),
            "metric_order": sampling.metric_order.tolist(),
            "info": list(astuple(table.info)),
            "header_duration_seconds": table.header_duration_seconds,
            "orientation": list(table.orientation),
            "full_range": colors.full_range,
            "range_in_bitstream": colors.range_in_bitstream,
            "frames_to_decode": to_decode,
            "demuxer": demuxer,
            "decoder": decoder,
            "profile": profile,
            "pixel_format": pixel_format,
            "decoded_share": decoded_share,
        }
        when, stripped = Strip(strip), NOT_STRIPPED
        is_ffmpegs = nvdec is not None and why_not_read(found, Capabilities.of_lists(nvdec)) is not None
        if when == Strip.WHERE_SAFE and is_ffmpegs:
            when = Strip.WHERE_IT_PAYS
        # Too much to decode is refused before any frame is decoded, which a stripped file would not be.
        if decoded_share == 1 and not is_too_much(to_decode, table.info.width, table.info.height, file_bytes, limits):
            with open(stripped_descriptor, "r+b", buffering=0, closefd=False) as out:
                wanted = sampling.frame_indices
                stripped = stripped_video(video, container, stream, table, wanted, out, when, limits)
    return found | {"stripped_bytes": stripped.bytes, "stripped_indices": stripped.indices}


def decode_into(
    video: BinaryIO,
    limits: Limits,
    total: Decoded,
    tell: Tell,
    clips_descriptor: int,
    stripped_descriptor: int | None = None,
    *,
    frame_indices: list[int],
    motion_order: list[int],
    camera_order: list[int],
    frame_order: list[int],
    metric_order: list[int],
    shortest_edge: int,
    frame_form: dict[str, Any] | None,
    allow_damaged: bool,
    stripped_indices: list[int],
    pictures: bool,
) -> dict[str, Any]:
    """Decode the wanted frames into the shared memory `clips_descriptor`, from the stripped file if there is one.

    With `pictures`, `tell` says when those of measured frames are at the end of that memory. Returns `measures`, None
    if no frames are to be measured: the fields of `Measures`.
    """
    # Unmapped when nothing refers to it any more; a traceback still may.
    memory = np.frombuffer(mmap.mmap(clips_descriptor, 0), np.uint8)
    clip_bytes = (len(motion_order) + len(camera_order)) * FRAME_BYTES
    out = memory[:clip_bytes].reshape(-1, FRAME_SIZE, FRAME_SIZE, 3)
    with contextlib.ExitStack() as stack:
        stripped = frames = None
        if frame_form is not None and frame_order:
            form = FrameForm(**frame_form)
            rest, frame_bytes = memory[clip_bytes:], len(frame_order) * form.frame_bytes
            frames = Frames(np.array(frame_order), form, rest[:frame_bytes].reshape(-1, form.height, form.width, 3))
        if stripped_descriptor is not None:
            file = stack.enter_context(open(stripped_descriptor, "rb", buffering=0, closefd=False))
            stripped = file, np.array(stripped_indices)
        shown = PicturesOut(memory, tell) if pictures else None
        measured = MeasuredFrames(metric_order, None if shown is None else shown.take) if metric_order else None
        if measured is not None:
            stack.callback(measured.close)
        decode(
            video,
            np.array(frame_indices),
            np.array(motion_order),
            np.array(camera_order),
            shortest_edge,
            out,
            limits=limits,
            total=total,
            allow_damaged=allow_damaged,
            stripped=stripped,
            frames=frames,
            measured=measured,
        )
        measures = None if measured is None else measured.result().as_dict()
        if shown is not None:
            shown.flush()
        return {"measures": measures}


OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {"plan": plan, "decode": decode_into}


def main() -> None:
    """Serve requests from the socket in the first argument, within the limits in the second."""
    # No worker outlives its parent, however that ends.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes the socket
    limits = Limits(**json.loads(sys.argv[2]))
    limit(limits)
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        prepare()
        for barrier in sandbox.enter():
            print(f"the decoder process runs without {barrier}", file=sys.stderr, flush=True)
        gc.collect()
        gc.freeze()  # or the collection after each request would look at every imported module
        while True:
            message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, MAX_DESCRIPTORS)
            if not message:
                return
            channel.sendall(TAKEN)
            try:
                answer = respond(json.loads(message), descriptors, limits, partial(exchange, channel))
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            channel.sendall(json.dumps(answer).encode())
            gc.collect()
            give_back()  # or each worker would keep as much as its largest video took


def exchange(channel: socket.socket, message: dict[str, Any]) -> None:
    """Send a message in the middle of a request, and wait until it is acknowledged."""
    channel.sendall(json.dumps(message).encode())
    if channel.recv(MESSAGE_BYTES) != TAKEN:
        raise SystemExit  # nobody waits for the answer any more


def respond(request: dict[str, Any], descriptors: list[int], limits: Limits, tell: Tell) -> dict[str, Any]:
    """The answer to one request; it has `frames_decoded` even if the request fails."""
    total = Decoded()
    answer = _answer(request, descriptors, limits, total, tell)
    return answer | {"frames_decoded": total.frames}


def _answer(
    request: dict[str, Any], descriptors: list[int], limits: Limits, total: Decoded, tell: Tell
) -> dict[str, Any]:
    too_much = InvalidVideo(
        f"decoding the video needs more than {limits.max_memory_bytes / 2**30:.3g} GiB", Reason.TOO_LARGE
    )
    try:
        with open(descriptors[0], "rb", buffering=0, closefd=False) as video:
            operation = OPERATIONS[request["operation"]]
            return {"result": operation(video, limits, total, tell, *descriptors[1:], **request["arguments"])}
    except VideoError as error:
        return _failure(error)
    except MemoryError:
        return _failure(too_much)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return _failure(too_much)
        return _failure(DecoderFailed(f"the decoder failed: {type(error).__name__}: {error}"[:500]))


def _failure(error: VideoError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": str(error), "reason": error.reason}


def prepare() -> None:
    """Import and read what is imported or read later: the sandbox cannot open files."""
    usable_cores()
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    picture = np.zeros((FRAME_SIZE * 2, FRAME_SIZE * 2, 3), np.uint8)
    stretch(picture)
    crop(picture, FRAME_SIZE)
    measuring.prepare()


def limit(limits: Limits) -> None:
    """Limit the address space, and make this the first process that the kernel kills if memory runs out."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.max_memory_bytes, limits.max_memory_bytes))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()

"""`python -m video.worker FD`: the process that opens strangers' files.

It answers one request at a time over the socket FD until the other end closes. A request is a JSON object with the
file, and for decoding the memory to fill, as descriptors beside it; an answer is a JSON object with `result`, or with
`error` and `message`. Only numbers and text come back: this process is the one that a hostile file may own.
"""

import ctypes
import json
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from video.clips import FRAME_SIZE
from video.container import open_video, read_frame_table
from video.decoding import decode
from video.errors import VideoError
from video.isolation import MESSAGE_BYTES
from video.parameters import Parameters
from video.sampling import sample

PR_SET_PDEATHSIG = 1


def plan(video_descriptor: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """Which frames of a video are wanted, and what it is."""
    checked = Parameters.from_request(parameters)
    with open(video_descriptor, "rb", buffering=0) as file, open_video(file) as (container, stream):
        table = read_frame_table(container, stream)
    sampling = sample(table.timestamps, table.info.duration_seconds, checked)
    return {
        "frame_indices": sampling.frame_indices.tolist(),
        "motion_order": sampling.motion_order.tolist(),
        "camera_order": sampling.camera_order.tolist(),
        "clip_seconds": sampling.clip_seconds.tolist(),
        "info": [
            table.info.duration_seconds,
            table.info.frames,
            table.info.frames_per_second,
            table.info.width,
            table.info.height,
        ],
    }


def decode_into(
    video_descriptor: int,
    clips_descriptor: int,
    frame_indices: list[int],
    motion_order: list[int],
    camera_order: list[int],
    shortest_edge: int,
) -> dict[str, Any]:
    """Fill the shared memory `clips_descriptor` with the wanted frames."""
    with open(video_descriptor, "rb", buffering=0) as file, mmap.mmap(clips_descriptor, 0) as memory:
        os.close(clips_descriptor)
        out = np.frombuffer(memory, np.uint8).reshape(-1, FRAME_SIZE, FRAME_SIZE, 3)
        try:
            decode(file, np.array(frame_indices), np.array(motion_order), np.array(camera_order), shortest_edge, out)
        finally:
            del out  # the mapping cannot be closed while an array looks at it
    return {}


OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {"plan": plan, "decode": decode_into}


def main() -> None:
    """Serve requests from the socket whose descriptor is the first argument."""
    # Whatever happens to the process that asked, no worker outlives it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes the socket
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        while True:
            message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 2)
            if not message:
                return
            request = json.loads(message)
            try:
                answer: dict[str, Any] = {
                    "result": OPERATIONS[request["operation"]](*descriptors, **request["arguments"])
                }
            except VideoError as error:
                answer = {"error": type(error).__name__, "message": str(error)}
            except Exception as error:
                answer = {"error": "DecoderFailed", "message": f"the decoder failed: {type(error).__name__}: {error}"}
            channel.sendall(json.dumps(answer).encode())


if __name__ == "__main__":
    main()

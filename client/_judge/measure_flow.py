"""Whether a video is dynamic by VBench's rule, in its own process: a decoder may crash or hang on a broken file.

The rule of `dynamic_degree` (https://arxiv.org/abs/2311.17982): frames at about 8 per second; of each pair of
neighbours, the mean of the largest 5 % of the lengths of optical flow; a pair moves if that is above 6 pixels for each
256 of the shorter side; a video is dynamic if at least a quarter of its pairs' number, rounded (4 of 16 frames), move.
VBench's flow is RAFT's; this is Farneback's, which needs no network.

Argument: path. Writes 1 or 0 to standard output, an error message to standard error.
"""

import sys

import av
import cv2
import numpy as np

FRAMES_PER_SECOND = 8
TOP_SHARE = 0.05
PIXELS, SIDE = 6.0, 256.0
PAIRS, FRAMES = 4, 16
_NOT_COVER_ART = 0x400


def is_dynamic(path: str) -> bool:
    """The rule. Raises ValueError if the video has fewer than two frames, and PyAV's exceptions."""
    before = None
    frames = moving = 0
    needed_side = 0
    with av.open(path) as source:
        streams = [stream for stream in source.streams.video if not stream.disposition & _NOT_COVER_ART]
        if not streams:
            raise ValueError("the video has no video stream")
        stream = streams[0]
        stream.thread_type = "AUTO"
        every = max(1, round(float(stream.average_rate or FRAMES_PER_SECOND) / FRAMES_PER_SECOND))
        for index, frame in enumerate(source.decode(stream)):
            if index % every:
                continue
            grey = frame.to_ndarray(format="gray")
            needed_side = min(grey.shape)
            frames += 1
            if before is not None and before.shape == grey.shape:
                moving += _largest(before, grey) > PIXELS * needed_side / SIDE
            before = grey
    if frames < 2:
        raise ValueError("the video has fewer than two frames at 8 per second")
    return moving >= max(1, round(PAIRS * frames / FRAMES))


def _largest(before: np.ndarray, after: np.ndarray) -> float:
    """The mean of the largest 5 % of the lengths of the flow, in pixels."""
    flow = cv2.calcOpticalFlowFarneback(before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    lengths = np.linalg.norm(flow, axis=2).ravel()
    count = max(1, int(len(lengths) * TOP_SHARE))
    return float(np.partition(lengths, -count)[-count:].mean())


if __name__ == "__main__":
    cv2.setNumThreads(1)
    try:
        print(int(is_dynamic(sys.argv[1])))
    except av.FFmpegError as error:
        sys.exit(f"it cannot be decoded: {error.strerror}")
    except (ValueError, OSError) as error:
        sys.exit(str(error))

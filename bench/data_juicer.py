"""What Data-Juicer's `video_motion_score_filter` does with a video, restated from its source, to measure its time.

Data-Juicer itself would bring dozens of packages. What takes its time is here as it is in
`_compute_motion_scores_from_video` of data_juicer/ops/filter/video_motion_score_filter.py in py-data-juicer 1.6.1
(Apache-2.0): OpenCV reads two frames a second, seeks to each, resizes it and computes Farneback's flow; in the end, all
flows become lists of Python's numbers.
"""

from pathlib import Path

import cv2
import numpy as np

SAMPLING_FPS = 2
FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)


def motion_score(path: Path, size: int | None) -> float:
    """The mean over pairs of frames of the mean length of the flow; the shorter side is resized to `size`, if given."""
    flows: list[np.ndarray] = []
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    step = max(min(round(rate / min(SAMPLING_FPS, rate)), frames - 1), 1)
    scores: list[float] = []
    previous = None
    position = 0
    while capture.isOpened():
        read, frame = capture.read()
        if not read:
            break
        height, width, _ = frame.shape
        wanted = _resized(height, width, size)
        if wanted != (height, width):
            frame = cv2.resize(frame, wanted, interpolation=cv2.INTER_AREA)  # height and width exchanged, as there
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        before, previous = previous, grey
        if before is None:
            continue  # without seeking, as there
        flow = cv2.calcOpticalFlowFarneback(before, grey, None, *FARNEBACK)
        flows.append(flow)
        length, _ = cv2.cartToPolar(flow[..., 0], flow[..., 1])
        scores.append(float(np.mean(length)))
        position += step
        capture.set(cv2.CAP_PROP_POS_FRAMES, position)
    capture.release()
    if flows:
        np.stack(flows).tolist()
    return float(np.mean(scores)) if scores else -1.0


def _resized(height: int, width: int, size: int | None) -> tuple[int, int]:
    if size is None:
        return height, width
    shorter = min(height, width)
    return int(height * size / shorter), int(width * size / shorter)

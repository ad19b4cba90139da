"""Decoded frames are freed while a video is decoded, although they refer to themselves."""

import gc
from io import BytesIO

import numpy as np
import pytest
from av.video.frame import VideoFrame

from fixtures.synthetic import encode
from video import frame_garbage
from video.decoding import decode


def test_frames_are_freed_while_others_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    frame_bytes = 160 * 120 * 3 // 2
    monkeypatch.setattr(frame_garbage, "MAX_BYTES", 10 * frame_bytes)
    wanted = np.arange(64)
    out = np.empty((128, 224, 224, 3), np.uint8)
    gc.collect()
    gc.disable()
    try:
        decode(BytesIO(encode(64)), wanted, wanted, wanted, 224, out)
        left = sum(isinstance(found, VideoFrame) for found in gc.get_objects())
    finally:
        gc.enable()
    assert left <= 12

"""A connection that answers every request with the same score, for tests of the client alone."""

import json
import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

LABELS = ("left", "right")
OUTPUTS: dict[str, NDArray[Any]] = {
    "WEIGHTS": np.array([json.dumps({"motion": "a@1", "camera": "b@2", "labels": LABELS}).encode()], object),
    "MOTION_SCORES": np.array([[0.5, 1.25, 2.5]], np.float32),
    "VIDEO_INFO": np.array([[3.5, 84, 24.0, 640, 360]]),
    "HEADER_DURATION_SECONDS": np.array([np.nan]),
    "CLIP_SECONDS": np.array([[0, 2]], np.float32),
    "CAMERA_PROBABILITIES": np.array([[0.25, 0.75]], np.float32),
    "DECODER": np.array([b"ffmpeg"], object),
}


class Answer:
    """What tritonclient gives for an answer."""

    def __init__(self, outputs: dict[str, NDArray[Any]]) -> None:
        self._outputs = outputs

    def as_numpy(self, name: str) -> NDArray[Any] | None:
        return self._outputs.get(name)


class StubConnection:
    """Answers at once, and keeps the videos that it was sent."""

    def __init__(self, outputs: dict[str, NDArray[Any]] | None = None) -> None:
        self.outputs = outputs or OUTPUTS
        self.videos: list[bytes] = []
        self._lock = threading.Lock()

    def infer(self, model_name: str, inputs: list[Any], **_: Any) -> Answer:
        if model_name == "video_motion":
            with self._lock:
                self.videos.append(inputs[0]._get_content())
        return Answer(self.outputs)

    def is_server_ready(self, **_: Any) -> bool:
        return True

    def close(self) -> None:
        pass


def answer_everything(monkeypatch: pytest.MonkeyPatch) -> StubConnection:
    """Give every client that is made from now on a `StubConnection`."""
    connection = StubConnection()
    monkeypatch.setattr("client._sdk.client.connect", lambda *_, **__: connection)
    return connection

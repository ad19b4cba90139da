"""A connection whose classifiers answer with what they were sent, for tests of `watch` without a server."""

import json
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tests.stub_server import Answer

LABELS = ("bright", "dark")
UNKNOWN_MODEL = "Request for unknown model: '{}' is not found"


class StubClassifiers:
    """Keeps the clips that it was sent. `bright` is the mean of a clip, from 0 to 1."""

    def __init__(self, *, actions: bool = False) -> None:
        self.clips: list[NDArray[np.uint8]] = []
        """(16, 224, 224, 3) each, in the order in which they came to the camera classifier."""
        self.answering = threading.Event()
        """Requests for clips wait until it is set."""
        self.answering.set()
        self.errors: list[InferenceServerException] = []
        """What the next requests raise."""
        self.in_flight = self.most_in_flight = 0
        """Requests to the camera classifier, now and at most."""
        self._actions = actions
        self._lock = threading.Lock()

    def infer(self, model_name: str, inputs: list[Any], outputs: list[Any], **_: Any) -> Answer:
        if model_name == "video_sampling":
            weights = {"motion": "a@1", "camera": "b@2", "labels": LABELS, "shortest_edge": 224}
            return Answer({"WEIGHTS": np.array([json.dumps(weights).encode()], object)})
        (clip,) = np.frombuffer(inputs[0]._get_content(), np.uint8).reshape(inputs[0].shape())
        if model_name == "action_classifier":
            assert outputs[0]._get_tensor().parameters["classification"].int64_param == 5
            entries = [b"0.75:3:riding a bike: fast", b"0.125:7"]
            return Answer({"ACTION_PROBABILITIES": np.array([entries], object)})
        assert model_name == "camera_classifier"
        with self._lock:
            self.clips.append(clip)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        assert self.answering.wait(30)
        with self._lock:
            self.in_flight -= 1
            if self.errors:
                raise self.errors.pop(0)
        bright = clip.mean() / 255
        return Answer({"CAMERA_PROBABILITIES": np.array([[bright, 1 - bright]], np.float32)})

    def get_model_metadata(self, model: str, **_: Any) -> Any:
        if not self._actions:
            raise InferenceServerException(UNKNOWN_MODEL.format(model), status="StatusCode.NOT_FOUND")
        into, out = SimpleNamespace(name="CLIPS"), SimpleNamespace(name="ACTION_PROBABILITIES")
        return SimpleNamespace(inputs=[into], outputs=[out])

    def is_server_ready(self, **_: Any) -> bool:
        return True

    def close(self) -> None:
        pass


def classify_everything(monkeypatch: pytest.MonkeyPatch, *, actions: bool = False) -> StubClassifiers:
    """Give every client that is made from now on these classifiers."""
    connection = StubClassifiers(actions=actions)
    monkeypatch.setattr("client._sdk.client.connect", lambda *_, **__: connection)
    return connection

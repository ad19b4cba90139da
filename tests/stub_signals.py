"""A connection that answers as a server with every signal does, for tests of the client alone."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tests.stub_server import OUTPUTS, Answer, StubConnection

ACTION_LABELS = ("run", "jump", "sit", "wave", "read", "sing")
HEAD_LABELS = ("sport", "news", "other")
WEIGHTS: dict[str, Any] = {
    "motion": "a@1",
    "camera": "b@2",
    "precision": "f32",
    "labels": ["left", "right"],
    "shortest_edge": 224,
    "frames": {"model": "frame_encoder", "source": "c@3", "dimensions": 4},
    "actions": {"model": "action_classifier", "source": "d@4", "labels": ACTION_LABELS, "shortest_edge": 224},
    "heads": {
        "genre": {"source": "directory /heads/genre", "on": "frames", "encoder": "c@3", "labels": HEAD_LABELS},
        "shot": {"source": "directory /heads/shot", "on": "segments", "encoder": "a@1", "labels": ["still", "moving"]},
    },
    "metrics": ["frames", "mean_velocity", "motion_vectors"],
}
"""As the server's model says, in the form of `weights.json`."""
FRAME_EMBEDDINGS = (np.arange(12, dtype=np.float32).reshape(3, 4) - 5) / np.float32(7)
SEGMENT_EMBEDDINGS = np.array([[0.1, 1e-7, -3.25e4], [np.pi, 0, 2]], np.float32)
ACTION_PROBABILITIES = np.array(
    [[0.5, 0.25, 0.125, 0.0625, 0.05, 0.0125], [0.0, 0.75, 0.0, 0.0, 0.0, 0.25]], np.float32
)
SIGNAL_OUTPUTS: dict[str, NDArray[Any]] = OUTPUTS | {
    "CLIP_SECONDS": np.array([[0, 2], [2, 3.5]], np.float32),
    "CAMERA_PROBABILITIES": np.array([[0.25, 0.75], [0.5, 0.625]], np.float32),
    "FRAME_EMBEDDINGS": FRAME_EMBEDDINGS,
    "FRAME_SECONDS": np.array([0, 1.75, 3.4583333], np.float32),
    "SEGMENT_EMBEDDINGS": SEGMENT_EMBEDDINGS,
    "ACTION_PROBABILITIES": ACTION_PROBABILITIES,
    "METRICS": np.array([[12, 0.75, np.nan]], np.float32),
    "HEAD_GENRE": np.array([[0.125, 0.75, 0.125]], np.float32),
    "HEAD_SHOT": np.array([[0.25, 0.75]], np.float32),
}


class SignalsConnection(StubConnection):
    """Answers with the outputs that a request names, and keeps what was asked."""

    def __init__(self, weights: dict[str, Any] | None = None) -> None:
        super().__init__(SIGNAL_OUTPUTS)
        self.weights = WEIGHTS if weights is None else weights
        self.models: list[str] = []
        """The model of each request."""
        self.asked: list[tuple[str, ...]] = []
        """The outputs of each request for a video."""
        self.parameters: list[dict[str, Any] | None] = []
        """The parameters of each request for a video."""
        self.has_signals = True
        """Whether there is a model `video_signals`."""

    def infer(self, model_name: str, inputs: list[Any], outputs: list[Any] | None = None, **options: Any) -> Answer:
        assert outputs is not None
        names = tuple(output.name() for output in outputs)
        weights = np.array([json.dumps(self.weights).encode()], object)
        self.models.append(model_name)
        if model_name == "video_sampling":
            return Answer({"WEIGHTS": weights})
        if model_name == "video_signals" and not self.has_signals:
            status = "StatusCode.NOT_FOUND"
            raise InferenceServerException("Request for unknown model: 'video_signals' is not found", status=status)
        self.asked.append(names)
        self.parameters.append(options["parameters"])
        self.videos.append(inputs[0]._get_content())
        for name in names:
            if name.startswith("HEAD_") and name[5:].lower() not in self.weights.get("heads", {}):
                message = f"unexpected inference output '{name}' for model '{model_name}'"
                raise InferenceServerException(message, status="StatusCode.INVALID_ARGUMENT")
        return Answer({name: self.outputs[name] for name in names} | {"WEIGHTS": weights})


def answer_with_signals(monkeypatch: pytest.MonkeyPatch, weights: dict[str, Any] | None = None) -> SignalsConnection:
    """Give every client that is made from now on a `SignalsConnection`."""
    connection = SignalsConnection(weights)
    monkeypatch.setattr("client._sdk.client.connect", lambda *_, **__: connection)
    return connection

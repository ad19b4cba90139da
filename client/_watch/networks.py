"""What the server says about a clip: the camera classifier, and the action classifier if it is served."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from .._sdk.client import Client
from .._sdk.request import Request, weights_request
from .._sdk.result import Weights, parse_weights
from .._sdk.signal_results import TOP_ACTIONS, Action
from .._sdk.triton_errors import from_triton
from ..errors import ClientError, ServerError

CAMERA_MODEL = "camera_classifier"
ACTION_MODEL = "action_classifier"
_DEFAULT_EDGE = 224
_REQUEST_ID = "watch"


@dataclass(frozen=True)
class Answer:
    """What the networks say about a clip."""

    probabilities: dict[str, float]
    """Probability of each camera label."""
    actions: tuple[Action, ...] | None
    """The most probable actions, most probable first; None if no action classifier is served."""


class Networks:
    """The classifiers of a server."""

    def __init__(self, client: Client) -> None:
        """Asks the server what it serves. Raises `ClientError`."""
        self._client = client
        with client._slots:
            answer = client._ask(weights_request())
        try:
            content = answer.as_numpy("WEIGHTS")
            self.weights: Weights = parse_weights(content)
            # An older server does not say.
            self.shortest_edge = int(json.loads(content.reshape(-1)[0]).get("shortest_edge", _DEFAULT_EDGE))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ServerError("the answer of the server is not that of this model") from error
        self._action_tensors = _tensors(client, ACTION_MODEL)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="watch-actions")

    @property
    def has_actions(self) -> bool:
        """Whether an action classifier is served."""
        return self._action_tensors is not None

    def ask(self, pictures: NDArray[np.uint8]) -> Answer:
        """The answer for a clip: (16, 224, 224, 3) uint8 RGB. Raises `ClientError`."""
        actions = self._beside.submit(self._actions, pictures) if self.has_actions else None
        try:
            probabilities = self._camera(pictures)
        finally:
            # A call that the server has is never abandoned: see AsyncClient about cancelled calls.
            error = actions.exception() if actions else None
        if error:
            raise error
        return Answer(probabilities, actions.result() if actions else None)

    def close(self) -> None:
        """End the thread for actions."""
        self._beside.shutdown(wait=False)

    def _camera(self, pictures: NDArray[np.uint8]) -> dict[str, float]:
        output = grpc.InferRequestedOutput("CAMERA_PROBABILITIES")
        row = self._infer(CAMERA_MODEL, "CAMERA_CLIPS", output, pictures)
        labels = self.weights.labels
        if row.size != len(labels):
            raise ServerError(f"{CAMERA_MODEL} gave {row.size} probabilities for {len(labels)} labels")
        return {label: round(float(value), 6) for label, value in zip(labels, row, strict=True)}

    def _actions(self, pictures: NDArray[np.uint8]) -> tuple[Action, ...]:
        assert self._action_tensors is not None
        into, out = self._action_tensors
        # Triton's classification extension: the highest values, in order, with their labels.
        ranked = self._infer(ACTION_MODEL, into, grpc.InferRequestedOutput(out, class_count=TOP_ACTIONS), pictures)
        try:
            return tuple(_action(entry) for entry in ranked)
        except (AttributeError, IndexError, UnicodeDecodeError, ValueError) as error:
            raise ServerError(f"the answer of {ACTION_MODEL} cannot be read") from error

    def _infer(
        self, model: str, into: str, output: grpc.InferRequestedOutput, pictures: NDArray[np.uint8]
    ) -> NDArray[Any]:
        clips = pictures[None]
        tensor = grpc.InferInput(into, list(clips.shape), "UINT8")
        tensor.set_data_from_numpy(clips)
        with self._client._slots:
            answer = self._client._ask(Request(model, [tensor], [output], None, _REQUEST_ID))
        values = answer.as_numpy(output.name())
        if values is None:
            raise ServerError(f"{model} gave no {output.name()}")
        return np.asarray(values).reshape(-1)


def _tensors(client: Client, model: str) -> tuple[str, str] | None:
    """The names of the one input and the one output of a model; None if it is not served. Raises `ClientError`."""
    unreachable: ClientError | None = None
    for url in client.urls:
        with client._connection(url) as connection:
            try:
                with client._connections.watch(connection) as triton:
                    metadata = triton.get_model_metadata(model, client_timeout=client.timeout_seconds)
            except InferenceServerException as error:
                if "unknown model" in (error.message() or ""):
                    return None
                unreachable = from_triton(error, url, proxy=connection.proxy)
                continue
        if len(metadata.inputs) != 1 or len(metadata.outputs) != 1:
            raise ServerError(f"{model} has more than one input or output")
        return metadata.inputs[0].name, metadata.outputs[0].name
    assert unreachable is not None
    raise unreachable


def _action(entry: bytes) -> Action:
    """An entry of Triton's classification: PROBABILITY:INDEX[:LABEL]."""
    probability, index, *label = entry.decode().split(":", 2)
    return Action(label[0] if label else f"class {int(index)}", round(float(probability), 6))

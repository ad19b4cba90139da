"""What an error of an 8-bit network is measured on: answers that callers see, not the numbers inside.

An error is a share of the range of the answer, so that one bound fits all networks.
"""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino.passes import ConstantFolding, Manager

from export.calibration import Clips

Values = NDArray[np.float32]
SCORE_RANGE = 3.0
"""Motion scores are nominally from 0 to 3."""


class Answers(ABC):
    """How far the answers of two networks for one video are apart."""

    @abstractmethod
    def error(self, expected: Values, found: Values) -> float:
        """From the outputs of both networks, a row for each clip or frame of the video."""


class Probabilities(Answers):
    """Those of a classifier: the largest difference."""

    def error(self, expected: Values, found: Values) -> float:
        return float(np.abs(expected - found).max())


class Embeddings(Answers):
    """Those of an image encoder: the largest 1 - cosine."""

    def error(self, expected: Values, found: Values) -> float:
        lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
        return float(1 - ((expected * found).sum(1) / lengths).min())


class Scores(Answers):
    """The motion scores that a head computes from the embeddings: the largest difference, as a share of their range."""

    def __init__(self, head: openvino.Model) -> None:
        self._head = openvino.Core().compile_model(head, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def error(self, expected: Values, found: Values) -> float:
        scores = [np.array(self._head(embeddings)[0]) for embeddings in (expected, found)]
        return float(np.abs(scores[0] - scores[1]).max()) / SCORE_RANGE


def read_network(path: Path) -> openvino.Model:
    """The ONNX file at `path`, whatever the ending of its name: OpenVINO tells formats by it.

    What depends on constants only is computed, so that all weights are constants.
    """
    network = openvino.Core().read_model(path.read_bytes())
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(network)
    return network


def outputs(network: openvino.Model, rows: Clips) -> Values:
    """The first output of a network for each row of its inputs, computed in float32 where it is not in 8 bits."""
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(network, "CPU", hints).create_infer_request()
    return np.concatenate([np.array(request.infer([row[None]])[0]) for row in rows])

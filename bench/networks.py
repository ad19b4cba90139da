"""(c) the networks alone in the server's runtime."""

import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import openvino

from backends.rates import matrix_rate
from bench.flop import SHAPES, clip_flop
from bench.results import Rates
from video.clips import CLIP_SHAPE

CLIP = np.random.default_rng(0).integers(0, 256, (1, *CLIP_SHAPE), np.uint8)
TIMED_RUNS = 2


class BareNetworks:
    """The backbone and the classifier of a model repository, compiled in one precision."""

    def __init__(self, repository: Path, precision: str) -> None:
        self.repository = repository
        self.precision = precision
        self._requests = {name: self._compile(name).create_infer_request() for name in SHAPES}
        for request in self._requests.values():
            request.infer([CLIP])  # the first run is slower

    def _compile(self, name: str, **hints: object) -> openvino.CompiledModel:
        file = "model_int8.xml" if self.precision == "int8" else "model.onnx"
        hints["INFERENCE_PRECISION_HINT"] = "f32" if self.precision == "int8" else self.precision
        return openvino.Core().compile_model(self.repository / name / "1" / file, "CPU", hints)

    def seconds(self, name: str) -> float:
        """Seconds a clip, the mean of `TIMED_RUNS` runs."""
        started = time.perf_counter()
        for _ in range(TIMED_RUNS):
            self._requests[name].infer([CLIP], share_inputs=True)
        return (time.perf_counter() - started) / TIMED_RUNS

    def seconds_of_both(self) -> tuple[float, float]:
        """Seconds a segment of the backbone, and a clip of the classifier."""
        return self.seconds("motion_backbone"), self.seconds("camera_classifier")

    def rates(self) -> Rates:
        """Rates of both networks and of a large matrix product in the same precision."""
        rates = {name: clip_flop(name) / min(self.seconds(name) for _ in range(2)) / 1e9 for name in SHAPES}
        matrix = matrix_rate(openvino.Core(), self.precision, width=3072) / 1e9
        return Rates(matrix, rates["motion_backbone"], rates["camera_classifier"], self._profile())

    def _profile(self) -> dict[str, float]:
        request = self._compile("motion_backbone", PERF_COUNT=True).create_infer_request()
        for _ in range(2):
            request.infer([CLIP])
        by_kind: dict[str, float] = defaultdict(float)
        for layer in request.profiling_info:
            by_kind[layer.node_type] += layer.real_time.total_seconds() * 1e3
        return dict(sorted(by_kind.items(), key=lambda item: -item[1])[:6])

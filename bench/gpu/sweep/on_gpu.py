"""Everything that a sweep measures, on this machine's GPU."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnxruntime

from bench.gpu import attention, rates
from bench.gpu.steps import Skipped
from bench.gpu.sweep import decoders, serving, stripping
from bench.gpu.sweep.device import Device
from bench.gpu.sweep.grid import Setting, Video
from bench.gpu.sweep.journal import Raw
from bench.gpu.sweep.measures import Measure
from export.exporter import FP16_GRAPH
from export.plans import PLAN


class OnGpu:
    """Implements `Measures`."""

    def __init__(
        self, profile: str, device: Device, seconds: float, prepare: Callable[[], tuple[Path, str | None]]
    ) -> None:
        """`prepare` exports networks: a model repository, and why it has no TensorRT plans (None if it has).

        `seconds`: duration of each measurement. Decoders alone decode a video in each of the device's NVDECs.
        """
        self._profile = profile
        self._gpu = device.id
        self._streams = device.nvdecs
        self._seconds = seconds
        self._prepare = prepare
        self._prepared: Path | Exception | None = None

    @property
    def _repository(self) -> Path:
        """The exported networks; a failed export, which takes minutes, is not repeated."""
        if self._prepared is None:
            print("sweep: preparing networks of the published size", flush=True)
            try:
                self._prepared, no_plans = self._prepare()
                if self._profile == "tensorrt" and no_plans is not None:
                    raise Skipped(no_plans)
            except Exception as error:
                self._prepared = error
        if isinstance(self._prepared, Exception):
            raise self._prepared
        return self._prepared

    def decoding(self, library: str, video: Video) -> Raw:
        content = video.path.read_bytes()
        rate = decoders.frames_per_second(library, content, video.cost.frames, self._streams, self._seconds)
        return {"frames_per_second": rate, "streams": self._streams}

    def stripping(self, video: Video) -> Raw:
        decoders.need_dali()
        return stripping.measure(video.path.read_bytes(), "mixed", self._streams, self._seconds)

    def network(self, network: str, batch: int) -> Raw:
        if self._profile == "tensorrt":
            if importlib.util.find_spec("tensorrt") is None:
                raise Skipped("the Python package tensorrt, which would run the plan, is not installed")
            seconds, _ = rates.tensorrt_seconds(self._repository / network / "1" / PLAN, batch, self._seconds)
        else:
            if rates.PROVIDERS["cuda"] not in onnxruntime.get_available_providers():
                raise Skipped("this ONNX Runtime has no CUDA: make setup-gpu")
            files = self._repository / network
            options = attention.cuda_options(files / "config.pbtxt")
            seconds = rates.onnxruntime_seconds(files / "1" / FP16_GRAPH, batch, "cuda", self._seconds, options)
        return {"clips_per_second": batch / seconds, "seconds_a_batch": seconds}

    @contextmanager
    def server(self, setting: Setting) -> Iterator[Measure]:
        with serving.serving(self._repository, self._profile, setting) as server:
            yield lambda video, in_flight: serving.measure(server.url, video.path, in_flight, self._seconds, self._gpu)

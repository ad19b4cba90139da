"""What a sweep measures; `bench.gpu.sweep.on_gpu` does it, and tests put something else in its place."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from bench.gpu.sweep.grid import Setting, Video
from bench.gpu.sweep.journal import Raw

Measure = Callable[[Video, int], Raw]
"""Measures a running server with a video and a number of requests in flight."""


class Measures(Protocol):
    """What a sweep needs; each raises `Skipped` where it cannot run."""

    def decoding(self, library: str, video: Video) -> Raw:
        """NVDEC alone: `frames_per_second`."""

    def stripping(self, video: Video) -> Raw:
        """`whole_wanted_fps` and `stripped_wanted_fps`, and what else `stripping.measure` returns."""

    def network(self, network: str, batch: int) -> Raw:
        """A network alone: `clips_per_second`."""

    def server(self, setting: Setting) -> AbstractContextManager[Measure]:
        """A server with a setting, for the length of a `with` block."""

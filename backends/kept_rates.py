"""How fast this CPU computes in each precision: measured once, and kept for the next start."""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from backends.compiled_cache import describe_cpu
from video.cgroup import usable_cores

if TYPE_CHECKING:
    import openvino

FORM = 1
"""Of what is measured: another one measures again."""


class KeptRates:
    """Rates of this CPU on the cores that this process may use, by precision, the more the faster.

    They are kept in a file for each CPU, number of cores and OpenVINO. A file that is damaged is written anew. If it
    cannot be written, every process measures.
    """

    def __init__(self, cache: Path | None) -> None:
        """`cache`: the folder of the file; None: nothing is kept."""
        machine = f"{FORM}\n{version('openvino')}\n{usable_cores()}\n{describe_cpu()}"
        key = hashlib.sha256(machine.encode()).hexdigest()[:16]
        self._file = cache / f"rates-{key}.json" if cache else None
        self._kept = _read(self._file) if self._file else {}

    @property
    def capabilities(self) -> list[str]:
        """OpenVINO's names of the types that the CPU computes in."""
        if not isinstance(self._kept.get("capabilities"), list):
            self._keep("capabilities", list(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")))
        return self._kept["capabilities"]

    def product(self, precision: str) -> float:
        """`backends.rates.matrix_rate`."""

        def measure() -> float:
            from backends.rates import matrix_rate

            return matrix_rate(self._core, precision)

        return self._rate(f"product {precision}", measure)

    def layer(self, precision: str) -> float:
        """`backends.rates.layer_rate`."""

        def measure() -> float:
            from backends.rates import layer_rate

            return layer_rate(self._core, precision)

        return self._rate(f"layer {precision}", measure)

    @cached_property
    def _core(self) -> "openvino.Core":
        import openvino  # half a second

        return openvino.Core()

    def _rate(self, name: str, measure: Callable[[], float]) -> float:
        kept = self._kept.get(name)
        if not isinstance(kept, float) or not 0 < kept < math.inf:
            self._keep(name, measure())
        return self._kept[name]

    def _keep(self, name: str, value: float | list[str]) -> None:
        self._kept[name] = value
        if self._file:
            unfinished = self._file.with_suffix(f".{os.getpid()}")
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                unfinished.write_text(json.dumps(self._kept, indent=1))
                unfinished.replace(self._file)


def _read(file: Path) -> dict:
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}

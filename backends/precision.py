"""The precision of the cpu profile: the one in which this CPU multiplies matrices fastest, or a given one."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino

PRECISIONS = ("auto", "f32", "bf16", "int8")
EVERYWHERE = ("f32", "int8")
"""Those that every CPU has."""
BF16_GAIN = 1.2
"""How much faster than float32 bf16 must be to justify its rounding; CPUs were either above 2 or below 1."""


def choose_precision(asked: str, capabilities: list[str], rates: Callable[[], Mapping[str, float]]) -> str:
    """`f32`, `bf16` or `int8`; ValueError if `asked` is not available with these OpenVINO capabilities.

    For `auto`, `rates` measures matrix products in `f32` and `bf16`: bf16 may be slower than float32, for example on
    Intel CPUs with AVX512-BF16 but without AMX.
    """
    if asked not in PRECISIONS:
        raise ValueError(f"PRECISION is {asked!r}, it must be one of {', '.join(PRECISIONS)}")
    if asked == "bf16" and "BF16" not in capabilities:
        raise ValueError("PRECISION is bf16, which this CPU does not support")
    if asked != "auto":
        return asked
    if "BF16" not in capabilities:
        return "f32"
    measured = rates()
    return "bf16" if measured["bf16"] > BF16_GAIN * measured["f32"] else "f32"


def precision_of_this_cpu(asked: str = "auto") -> str:
    """`choose_precision` for this CPU; `auto` takes about half a second."""
    if asked in EVERYWHERE:
        return asked
    import openvino  # half a second

    core = openvino.Core()
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return choose_precision(asked, capabilities, lambda: {name: matrix_rate(core, name) for name in ("f32", "bf16")})


def matrix_rate(core: "openvino.Core", precision: str, *, rows: int = 1568, width: int = 1536, runs: int = 4) -> float:
    """FLOP/s of a (rows, width) by (width, width) product in `precision` on all cores, the best of `runs`."""
    import openvino
    from openvino import opset13

    left = opset13.parameter([rows, width], np.float32)
    right = opset13.constant(np.random.default_rng(0).uniform(-1, 1, (width, width)).astype(np.float32))
    sides = [left, right]
    if precision == "int8":
        sides = [opset13.fake_quantize(side, *map(np.float32, (-1, 1, -1, 1)), levels=255) for side in sides]
    model = openvino.Model([opset13.matmul(*sides, False, False)], [left])
    hint = "f32" if precision == "int8" else precision
    request = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint}).create_infer_request()
    values = np.ones((rows, width), np.float32)
    seconds = []
    for _ in range(runs + 1):  # the first one is slower
        started = time.perf_counter()
        request.infer([values], share_inputs=True)
        seconds.append(time.perf_counter() - started)
    return 2.0 * rows * width * width / min(seconds)

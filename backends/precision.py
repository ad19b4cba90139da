"""The precision of the cpu profile: the one in which this CPU is fastest, or a given one."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import openvino

from backends.rates import layer_rate, matrix_rate

PRECISIONS = ("auto", "f32", "bf16", "int8", "int8_bf16")
"""What may be asked for; after `auto`, from the most exact to the least."""
INT8_PRECISIONS = ("int8", "int8_bf16")
"""Those of the files NAME_int8.xml: what is not in 8 bits is in float32 or in bf16."""
GAIN = 1.2
"""How much faster a less exact precision must be to justify its rounding."""
MAX_INT8_ERROR = 0.01
"""The largest stated error of 8-bit networks that `auto` accepts, unless the user says otherwise."""

Rate = Callable[[str], float]
"""From a precision to a rate, the more the faster."""


def choose_precision(
    asked: str,
    capabilities: Sequence[str],
    errors: Mapping[str, float],
    max_error: float,
    product: Rate,
    layer: Rate,
) -> str:
    """One of `PRECISIONS` but `auto`; ValueError if `asked` is not available with these OpenVINO capabilities.

    For `auto`, `errors` are the stated errors of the 8-bit precisions that were exported: those above `max_error` are
    left out. `product` and `layer` measure a matrix product and a layer of a transformer. A precision whose products
    are not `GAIN` times as fast as those in float32 is left out, too: bf16 is slower than float32 on Intel CPUs with
    AVX512-BF16 but without AMX. Of the rest, a less exact one is chosen if its layer is `GAIN` times as fast as that of
    the best of the more exact ones.
    """
    if asked not in PRECISIONS:
        raise ValueError(f"PRECISION is {asked!r}, it must be one of {', '.join(PRECISIONS)}")
    if asked in ("bf16", "int8_bf16") and "BF16" not in capabilities:
        raise ValueError(f"PRECISION is {asked}, but this CPU does not support bf16")
    if asked != "auto":
        return asked
    candidates = ["bf16"] if "BF16" in capabilities else []
    for precision in INT8_PRECISIONS:
        if errors.get(precision, float("inf")) <= max_error and (precision == "int8" or "BF16" in capabilities):
            candidates.append(precision)
    best = "f32"
    for precision in candidates:
        if product(precision) > GAIN * product("f32") and layer(precision) > GAIN * layer(best):
            best = precision
    return best


def precision_of_this_cpu(
    asked: str = "auto", errors: Mapping[str, float] | None = None, max_error: float = MAX_INT8_ERROR
) -> str:
    """`choose_precision` for this CPU."""
    core = openvino.Core()
    return choose_precision(
        asked,
        core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        errors or {},
        max_error,
        cache(lambda precision: matrix_rate(core, precision)),
        cache(lambda precision: layer_rate(core, precision)),
    )

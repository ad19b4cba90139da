"""The precision of the cpu profile: the one in which this CPU is fastest, or a given one."""

from collections.abc import Callable, Sequence
from pathlib import Path

from backends.kept_rates import KeptRates

PRECISIONS = ("auto", "f32", "bf16", "int8")
"""What may be asked for; after `auto`, from the most exact to the least."""
EVERYWHERE = ("f32", "int8")
"""Those that every CPU has."""
GAIN = 1.2
"""How much faster a less exact precision must be to justify its rounding."""
MAX_INT8_ERROR = 0.01
"""The largest stated error of 8-bit networks that `auto` accepts, unless the user says otherwise."""

Rate = Callable[[str], float]
"""From a precision to a rate, the more the faster."""


def choose_precision(
    asked: str,
    capabilities: Sequence[str],
    error: float | None,
    max_error: float,
    product: Rate,
    layer: Rate,
) -> str:
    """One of `PRECISIONS` but `auto`; ValueError if `asked` is not available with these OpenVINO capabilities.

    For `auto`, `error` is the stated error of the 8-bit networks that were exported; None if there are none, or none is
    stated. If it is above `max_error`, they are left out. `product` and `layer` measure a matrix product and a layer of
    a transformer. A precision whose products are not `GAIN` times as fast as those in float32 is left out, too: bf16 is
    slower than float32 on Intel CPUs with AVX512-BF16 but without AMX. Of the rest, a less exact one is chosen if its
    layer is `GAIN` times as fast as that of the best of the more exact ones.
    """
    if asked not in PRECISIONS:
        raise ValueError(f"PRECISION is {asked!r}, it must be one of {', '.join(PRECISIONS)}")
    if asked == "bf16" and "BF16" not in capabilities:
        raise ValueError("PRECISION is bf16, which this CPU does not support")
    if asked != "auto":
        return asked
    candidates = ["bf16"] if "BF16" in capabilities else []
    if error is not None and error <= max_error:
        candidates.append("int8")
    best = "f32"
    for precision in candidates:
        if product(precision) > GAIN * product("f32") and layer(precision) > GAIN * layer(best):
            best = precision
    return best


def precision_of_this_cpu(
    asked: str = "auto", error: float | None = None, max_error: float = MAX_INT8_ERROR, cache: Path | None = None
) -> str:
    """`choose_precision` for this CPU. What `auto` measures is kept in the folder `cache` for the next time."""
    if asked in EVERYWHERE:
        return asked
    rates = KeptRates(cache)
    return choose_precision(asked, rates.capabilities, error, max_error, rates.product, rates.layer)

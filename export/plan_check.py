"""Whether a plan is worth serving: its attention is fused, and its outputs are those of PyTorch in float32."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.errors import PlanRejected

FUSED_KERNEL = "mha"
"""Part of the names of TensorRT's kernels for attention, such as `_gemm_mha_v2`."""
REMEDY = "build it with another version of TensorRT, or serve the gpu profile"


def check_fused(names: Sequence[str], attention_layers: int) -> int:
    """The number of a plan's kernels for attention, from its layers' names; `PlanRejected` if a layer has none."""
    fused = sum(FUSED_KERNEL in name.lower() for name in names)
    if fused < attention_layers:
        raise PlanRejected(
            f"TensorRT fused attention in {fused} of {attention_layers} layers, so the plan would be slow: {REMEDY}"
        )
    return fused


def check_close(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float) -> float:
    """The largest absolute difference of a plan's output; `PlanRejected` if it is above `tolerance` or not a number."""
    if found.shape != expected.shape:
        raise PlanRejected(f"the plan's output has shape {found.shape}, not {expected.shape}: {REMEDY}")
    difference = float(np.abs(found - expected).max())
    if not difference <= tolerance:
        raise PlanRejected(
            f"the plan differs from PyTorch in float32 by {difference:.2g} at a batch of {len(found)}, more than "
            f"{tolerance}: {REMEDY}"
        )
    return difference

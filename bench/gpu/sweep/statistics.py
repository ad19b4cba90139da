"""What Triton counted for each model between two moments."""

from collections.abc import Iterable, Mapping
from typing import Any

from tritonclient import grpc

Counted = dict[str, dict[str, Any]]
"""By model: `batches` (executions by batch size), and nanoseconds in `queue`, `compute_input`, `compute_infer` and
`compute_output`."""
PARTS = ("queue", "compute_input", "compute_infer", "compute_output")


def read(url: str) -> Counted:
    """Everything since the server at `url` started."""
    with grpc.InferenceServerClient(url, channel_args=[("grpc.enable_http_proxy", 0)]) as triton:
        return {
            model.name: {part: getattr(model.inference_stats, part).ns for part in PARTS}
            | {"batches": {str(batch.batch_size): batch.compute_infer.count for batch in model.batch_stats}}
            for model in triton.get_inference_statistics().model_stats
        }


def between(before: Counted, after: Counted) -> Counted:
    """What was counted from `before` to `after`; batch sizes that did not occur are left out."""
    found: Counted = {}
    for model, later in after.items():
        earlier = before.get(model, dict.fromkeys(PARTS, 0) | {"batches": {}})
        found[model] = {part: later[part] - earlier[part] for part in PARTS}
        executions = {size: count - earlier["batches"].get(size, 0) for size, count in later["batches"].items()}
        found[model]["batches"] = {size: count for size, count in executions.items() if count}
    return found


def empty_share(counted: Mapping[str, Any], networks: Iterable[str], batch: int) -> float | None:
    """The share of places that stayed empty in the batches of these networks; None if they computed nothing.

    A batch has `batch` places, or its own size where that is larger.
    """
    places = empty = 0
    for network in networks:
        for size, count in counted.get(network, {"batches": {}})["batches"].items():
            places += max(batch, int(size)) * count
            empty += max(0, batch - int(size)) * count
    return empty / places if places else None

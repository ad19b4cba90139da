"""Loading a checkpoint into transformers' class of it, with every tensor accounted for."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from export.checkpoint import refuse_tensors
from export.errors import ExportError

COUNTERS = ("position_ids", "num_batches_tracked")
"""Ends of the names of tensors without weights: numbers from 0 on, and how long a network was trained."""


def load_pretrained(
    model: type[PreTrainedModel],
    directory: Path,
    tensors: Mapping[str, Tensor],
    what: str,
    not_needed: tuple[str, ...] = (),
) -> Any:
    """An instance of `model` with the weights of a checkpoint `directory`, in float32 and in evaluation mode.

    `tensors` are those of the checkpoint. Those whose names begin with one of `not_needed` may be there and are left
    out. `ExportError` begins with `what` and names a tensor that is missing, left over or has another shape.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        # transformers types it as a network, but output_loading_info makes it a pair.
        loaded_pair: Any = model.from_pretrained(
            directory,
            dtype=torch.float32,
            output_loading_info=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
        network, loading = loaded_pair
    except Exception as error:  # transformers raises many kinds
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(f"{what}: transformers cannot load it: {reason}") from error
    unused = tuple(name for name in tensors if name.startswith(not_needed)) if not_needed else ()
    different = [key if isinstance(key, str) else key[0] for key in loading["mismatched_keys"]]
    refuse_tensors("is missing", _weights(loading["missing_keys"]), what)
    refuse_tensors("is left over", _weights(set(loading["unexpected_keys"]) - set(unused)), what)
    refuse_tensors("has another shape than config.json says", different, what)
    # transformers has dropped tensors without an error before: compare the sums of all values.
    stored, loaded = _sum(tensors, unused), _sum(network.state_dict())
    if abs(stored - loaded) > 1e-6 * max(1.0, abs(stored)):
        raise ExportError(
            f"{what}: transformers did not load every tensor (the sum of all values is {loaded:.6f}, stored "
            f"{stored:.6f}); install the version that pyproject.toml pins"
        )
    return network.eval()


def _weights(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.endswith(COUNTERS)]


def _sum(tensors: Mapping[str, Tensor], unused: Iterable[str] = ()) -> float:
    return sum(tensors[name].double().sum().item() for name in _weights(tensors.keys() - set(unused)))

"""Reading checkpoint directories in the Hugging Face layout; no tensor may be missing or left over."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from export.errors import ExportError, SourceUnavailable


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; `SourceUnavailable` if the file cannot be read or holds anything else."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise SourceUnavailable(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SourceUnavailable(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise SourceUnavailable(f"{path} does not hold a JSON object")
    return content


def read_tensors(directory: Path, file: str = "model.safetensors") -> dict[str, Tensor]:
    """The tensors of `file` by name, as float32.

    Names lose the prefix `_orig_mod.` of a compiled model. `SourceUnavailable` if the file is missing or damaged.
    """
    path = directory / file
    if not path.is_file():
        if (
            pickles := sorted(directory.glob("*.bin"))
            + sorted(directory.glob("*.pt*"))
            + sorted(directory.glob("*.ckpt"))
        ):
            why = f"is a pickle, and reading a pickle can run any code: convert it to {file}"
            raise SourceUnavailable(f"{pickles[0]} {why}")
        raise SourceUnavailable(f"{directory} has no {file}")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SourceUnavailable(f"{path} is damaged or incomplete: {error}") from error
    return {name.replace("_orig_mod.", ""): tensor.float() for name, tensor in tensors.items()}


def load_exactly(network: nn.Module, tensors: dict[str, Tensor], what: str) -> None:
    """Load `tensors` into `network`; `ExportError` names a tensor that is missing, left over or has another shape."""
    wanted = network.state_dict()
    refuse_tensors("is missing", wanted.keys() - tensors.keys(), what)
    refuse_tensors("is left over", tensors.keys() - wanted.keys(), what)
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            expected, found = tuple(wanted[name].shape), tuple(tensor.shape)
            raise ExportError(f"{what}: tensor {name} has shape {found}, expected {expected}")
    network.load_state_dict(tensors)


def refuse_tensors(problem: str, names: Any, what: str) -> None:
    """Raise an `ExportError` that lists the first three of `names`, unless `names` is empty."""
    listed = sorted(names)
    if listed:
        more = f" (and {len(listed) - 3} more)" if len(listed) > 3 else ""
        raise ExportError(f"{what}: tensor {', '.join(listed[:3])}{more} {problem}")

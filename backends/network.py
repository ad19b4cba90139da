"""The base of the network backends: an ONNX file behind an unmodified config.pbtxt.

A backend is a `TritonPythonModel` that derives from `NetworkModel` and implements how its runtime loads a file. File
names, completing a configuration, batching and errors are the same for all of them, and so are these settings in the
`parameters` of config.pbtxt:

- SHARE_NETWORK: `true` if all instances share one network, which takes requests in turn (`backends.shared`)
- MAX_ROWS: the most rows of an input, for a network without `max_batch_size`; default: any number
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import triton_python_backend_utils as pb_utils

from backends.accelerators import accelerator_settings
from backends.checked import CheckedNetwork, InvalidInput
from backends.shared import RemoteNetwork, SharedNetwork, address_of, holds_network
from backends.tensors import Network, Tensors
from video.errors import Reason
from video.shared_clips import SharedClips, token_of

DEFAULT_FILENAME = "model.onnx"
DEFAULT_MAX_BATCH_SIZE = 4  # Triton's own default for a batching model without a limit


class NetworkModel(ABC):
    """A Triton model whose network comes from an ONNX file; subclasses implement `load`."""

    runtime: ClassVar[str]
    """The runtime's name in messages."""
    strict: ClassVar[bool] = False
    """Whether -1 in the configuration is an error if the network has a fixed size, as in the native backend."""

    @classmethod
    @abstractmethod
    def load(cls, path: Path, settings: Mapping[str, str], gpu: int | None) -> Network:
        """Load the file at `path` for the GPU with the number `gpu`, or for the CPU if that is None.

        `settings` are the `parameters` of the configuration, and options of accelerators (`backends.accelerators`).
        """

    @classmethod
    def at_once(cls, settings: Mapping[str, str]) -> int:  # noqa: ARG003 - for subclasses
        """How many runs of its network at once `load` prepares for; ValueError if a setting is wrong."""
        return 1

    @classmethod
    def auto_complete_config(cls, config: Any) -> Any:
        """Complete inputs, outputs and shapes that the configuration leaves out, as the native backends do."""
        declared = config.as_dict()
        if all(_is_complete(tensor) for tensor in [*declared["input"], *declared["output"]]) and declared["output"]:
            return config
        # Triton does not pass the path or version to this method; the command line of the process has them.
        command = Path("/proc/self/cmdline").read_bytes().split(b"\0")
        path = Path(command[1].decode()).parent / (declared["default_model_filename"] or DEFAULT_FILENAME)
        complete_config(config, cls.load(path, _settings(declared), gpu=None))
        return config

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the network and check it against the configuration, unless another instance holds it."""
        config = json.loads(args["model_config"])
        directory = Path(args["model_repository"]) / args["model_version"]
        path = directory / (config.get("default_model_filename") or DEFAULT_FILENAME)
        if not path.is_file():
            raise pb_utils.TritonModelException(f"{path} is missing: has `make export` been run?")
        settings = _settings(config)
        self.batches = config["max_batch_size"] > 0
        # The largest batch at once: a CPU is no faster with a larger one, and needs memory for each row.
        self.rows = int(settings.get("EXECUTION_BATCH_SIZE", "0")) or math.inf
        self.shared_clips = SharedClips.from_environment()
        instance, shared = args["model_instance_name"], settings.get("SHARE_NETWORK") == "true"
        try:
            at_once = self.at_once(settings)
            if shared and not holds_network(instance):
                self._use(RemoteNetwork(address_of(instance), at_once=at_once))
                return
            loaded = self.load(path, settings, gpu_of(args))
        except pb_utils.TritonModelException:
            raise
        except Exception as error:
            raise pb_utils.TritonModelException(f"{self.runtime} cannot load {path}: {error}") from error
        check_config(config, loaded, strict=self.strict)
        checked = CheckedNetwork(loaded, self.runtime, int(settings.get("MAX_ROWS", "0")) or None)
        self._use(SharedNetwork(checked, address_of(instance)) if shared else checked)

    def _use(self, network: Network) -> None:
        self.network = network
        self._threads = ThreadPoolExecutor(network.at_once) if network.at_once > 1 else None

    def execute(self, requests: list) -> list:
        """Run all requests as one batch if their shapes fit; an error affects only the request that causes it."""
        inputs: list[Tensors] = [
            {tensor.name(): tensor.as_numpy() for tensor in request.inputs()} for request in requests
        ]
        # Of the calls whose clips are in a file; the others have None.
        tokens = [None if self.shared_clips is None else token_of(request.parameters()) for request in requests]
        if len(requests) > 1 and not any(tokens) and self.batches and _fit_together(inputs):
            try:
                together = {name: np.concatenate([tensors[name] for tensors in inputs]) for name in inputs[0]}
                outputs = self._run(together)
                ends = np.cumsum([_rows(tensors) for tensors in inputs])[:-1]
                split = {name: np.split(output, ends) for name, output in outputs.items()}
                return [
                    _response(request, {name: parts[index] for name, parts in split.items()})
                    for index, request in enumerate(requests)
                ]
            except Exception as error:
                pb_utils.Logger.log_warn(
                    f"a batch of {len(requests)} requests failed, running them one by one: {error}"
                )
        return [self._respond(*each) for each in zip(requests, inputs, tokens, strict=True)]

    def _respond(self, request: Any, inputs: Tensors, token: str | None) -> Any:
        try:
            if self.shared_clips is not None and token is not None:
                inputs = {name: self.shared_clips.read(token, tensor) for name, tensor in inputs.items()}
            return _response(request, self._run(inputs))
        except InvalidInput as error:
            return error_response(str(error), pb_utils.TritonError.INVALID_ARG)
        except Exception as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{self.runtime}: {error}"))

    def _run(self, inputs: Tensors) -> Tensors:
        rows = _rows(inputs)
        if not self.batches or rows <= self.rows:
            return self.network.run(inputs)
        inputs_of_parts = [
            {name: tensor[first : first + self.rows] for name, tensor in inputs.items()}
            for first in range(0, rows, int(self.rows))
        ]
        run_all = map if self._threads is None else self._threads.map
        parts = list(run_all(self.network.run, inputs_of_parts))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def error_response(sentence: str, code: int) -> Any:
    """The answer to a request that is at fault; clients read the reason in brackets at its end."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{sentence} [{Reason.INVALID_PARAMETER}]", code))


def gpu_of(args: Mapping[str, str]) -> int | None:
    """The number of an instance's GPU, from the arguments of `initialize`; None for the CPU."""
    return int(args["model_instance_device_id"]) if args["model_instance_kind"] == "GPU" else None


def complete_config(config: Any, network: Network) -> None:
    """Add the inputs and outputs of `network` that Triton's `config` lacks."""
    declared = config.as_dict()
    nothing_declared = not declared["input"] and not declared["output"]
    can_batch = all(spec.shape[:1] == (-1,) for spec in [*network.inputs, *network.outputs])
    if nothing_declared and can_batch and declared["max_batch_size"] == 0:
        config.set_max_batch_size(DEFAULT_MAX_BATCH_SIZE)
        config.set_dynamic_batching()
    leading = 1 if declared["max_batch_size"] > 0 else 0
    for specs, present, add in (
        (network.inputs, declared["input"], config.add_input),
        (network.outputs, declared["output"], config.add_output),
    ):
        complete = {tensor["name"] for tensor in present if _is_complete(tensor)}
        for spec in specs:
            if spec.name not in complete:
                dims = list(spec.shape[leading:])
                add({"name": spec.name, "data_type": _triton_type(spec.dtype), "dims": dims})


def check_config(config: Mapping[str, Any], network: Network, *, strict: bool) -> None:
    """Raise a `TritonModelException` that names the first tensor in which configuration and network differ.

    If `strict`, an axis that is -1 in the configuration only is a difference too.
    """
    leading = [-1] if config["max_batch_size"] > 0 else []
    for kind, specs in (("input", network.inputs), ("output", network.outputs)):
        by_name = {spec.name: spec for spec in specs}
        for tensor in config[kind]:
            name = tensor["name"]
            if name not in by_name:
                raise pb_utils.TritonModelException(f"the network has no {kind} {name}; it has {', '.join(by_name)}")
            spec = by_name[name]
            dims = leading + [int(dim) for dim in tensor["dims"]]
            fits = len(dims) == len(spec.shape) and all(
                theirs == ours or theirs == -1 or (ours == -1 and not strict)
                for ours, theirs in zip(dims, spec.shape, strict=True)
            )
            if not fits or tensor["data_type"] != _triton_type(spec.dtype):
                theirs = f"{_triton_type(spec.dtype)} {list(spec.shape)}"
                raise pb_utils.TritonModelException(
                    f"{kind} {name} is {theirs} in the network, {tensor['data_type']} {dims} in the configuration"
                )


def _settings(config: Mapping[str, Any]) -> dict[str, str]:
    parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
    return parameters | accelerator_settings(config)


def _is_complete(tensor: Mapping[str, Any]) -> bool:
    return bool(tensor["dims"]) and tensor["data_type"] != "TYPE_INVALID"


def _triton_type(dtype: np.dtype) -> str:
    name = dtype.name.upper()
    return "TYPE_" + (name.replace("FLOAT", "FP") if name.startswith("FLOAT") else name)


def _rows(tensors: Tensors) -> int:
    return len(next(iter(tensors.values())))


def _fit_together(inputs: Sequence[Tensors]) -> bool:
    shapes = [{name: tensor.shape[1:] for name, tensor in tensors.items()} for tensors in inputs]
    return all(shape == shapes[0] for shape in shapes)


def _response(request: Any, outputs: Tensors) -> Any:
    return pb_utils.InferenceResponse(
        [pb_utils.Tensor(name, np.ascontiguousarray(outputs[name])) for name in request.requested_output_names()]
    )

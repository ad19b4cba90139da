"""The `dali` backend with pip's DALI, for a Triton without the native one: serves the pipeline in `1/dali.py`.

`parameters` of config.pbtxt, the first as in the native backend:

- split_along_outer_axis: the outputs, separated by `:`, whose outer axis becomes the batch; every output must be listed
- DEVICE: the pipeline's argument `device`: `mixed` (GPU) or `cpu`; default: by the kind of the instance

Outputs stay on the GPU or in host memory, wherever DALI has them, as far as Triton's python backend supports that.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from nvidia.dali import Pipeline

from backends.dali_definition import pipeline_definition
from backends.network import error_response, gpu_of
from video.errors import InvalidParameter
from video.orders import FRAME_ORDER, ORDERS, check_orders, from_dali

DEFAULT_FILENAME = "dali.py"


class TritonPythonModel:
    """The class that Triton loads: one pipeline, one video at a time."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Build the pipeline."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config.get("parameters", {}).items()}
        directory = Path(args["model_repository"]) / args["model_version"]
        self.path = directory / (config.get("default_model_filename") or DEFAULT_FILENAME)
        gpu = gpu_of(args)
        # One video is one run: nothing is prefetched, and outputs live as long as something refers to them.
        self.arguments = {
            "exec_dynamic": True,
            "device": parameters.get("DEVICE") or ("cpu" if gpu is None else "mixed"),
            "device_id": gpu,
            "prefetch_queue_depth": 1,
        }
        self.inputs = [tensor["name"] for tensor in config["input"]]
        # A pipeline's outputs have an order but no names, also in the native backend.
        self.outputs = [tensor["name"] for tensor in config["output"]]
        missing = set(self.outputs) - set(parameters.get("split_along_outer_axis", "").split(":"))
        if missing:
            raise pb_utils.TritonModelException(f"{', '.join(missing)} must be in split_along_outer_axis")
        try:
            self._build()
        except Exception as error:
            raise pb_utils.TritonModelException(f"DALI cannot build {self.path}: {error}") from error

    def execute(self, requests: list[Any]) -> list[Any]:
        """One run of the pipeline per request; an error of one does not affect the others."""
        return [self._respond(request) for request in requests]

    def _build(self) -> None:
        self.pipeline: Pipeline = pipeline_definition(self.path)(**self.arguments)
        self.pipeline.build()

    def _respond(self, request: Any) -> Any:
        given = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}
        try:
            if given.keys() >= {*ORDERS, FRAME_ORDER}:
                check_orders(*(from_dali(given[name].reshape(-1)) for name in (*ORDERS, FRAME_ORDER)))
        except InvalidParameter as error:
            return error_response(str(error), pb_utils.TritonError.INVALID_ARG)
        try:
            for name in self.inputs:
                self.pipeline.feed_input(name, list(given[name]))
            samples_of_outputs = [output[0] for output in self.pipeline.run()]
        except Exception as error:
            self._build()  # an operator error leaves the pipeline unusable
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"DALI: {error}"))
        wanted = request.requested_output_names()
        tensors = zip(self.outputs, samples_of_outputs, strict=True)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor.from_dlpack(name, sample) for name, sample in tensors if name in wanted]
        )

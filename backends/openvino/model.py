"""The `openvino` backend with pip's OpenVINO, for a Triton without the native one.

`parameters` of config.pbtxt:

- PRECISION: `f32`, `bf16`, `int8` (the file NAME_int8.xml beside NAME.onnx, the rest in float32), or `auto` (f32 or
  bf16, whichever is faster on this CPU); default: the environment variable `PRECISION`, else `auto`
- CACHE_DIR: where compiled networks are cached for the next start, relative to the file; default: no cache
- EXECUTION_BATCH_SIZE: the largest batch that the network runs at once; larger ones are split
- SHARE_NETWORK: `true` if all instances share one network
- COMPUTE_LOCK: `true` for a network that computes only while no other network of the server with this setting does
"""

import os
from collections.abc import Mapping
from pathlib import Path

import triton_python_backend_utils  # noqa: F401 - before the project: it puts PYTHONPATH into sys.path

from backends.network import NetworkModel
from backends.tensors import Network


class TritonPythonModel(NetworkModel):
    """The class that Triton loads."""

    runtime = "OpenVINO"

    @classmethod
    def load(cls, path: Path, settings: Mapping[str, str], gpu: int | None) -> Network:  # noqa: ARG003 - CPU only
        # Not at the top: of instances that share a network, only the one that holds it needs OpenVINO.
        from backends.openvino_network import OpenVinoNetwork

        precision = settings.get("PRECISION") or os.environ.get("PRECISION") or "auto"
        cache = path.parent / settings["CACHE_DIR"] if settings.get("CACHE_DIR") else None
        return OpenVinoNetwork(path, precision, compute_lock=settings.get("COMPUTE_LOCK") == "true", cache=cache)

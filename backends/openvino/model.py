"""The `openvino` backend from pip's OpenVINO, for a Triton that lacks the native one.

Settings, as `parameters` of config.pbtxt:

- PRECISION: `f32`, `bf16`, `int8` (the file NAME_int8.xml that lies beside NAME.onnx, the rest in float32), or `auto`
  (f32 or bf16, what is faster on this CPU); the environment's `PRECISION` where the configuration has none, else `auto`
- CACHE_DIR: where compiled networks are kept for the next start, relative to the file; nowhere without it
- EXECUTION_BATCH_SIZE: the most rows that the network is given at once
- SHARE_NETWORK: `true` for instances that have one network together
- COMPUTE_LOCK: `true` for a network that computes only while no other such network of the server does
"""

import os
from collections.abc import Mapping
from pathlib import Path

from backends.network import NetworkModel
from backends.tensors import Network


class TritonPythonModel(NetworkModel):
    """What Triton loads."""

    runtime = "OpenVINO"

    @classmethod
    def load(cls, path: Path, settings: Mapping[str, str], gpu: int | None) -> Network:  # noqa: ARG003 - for CPUs
        # Not at the top: of the instances that share a network one holds it, and the others are small and soon there.
        from backends.openvino_network import OpenVinoNetwork

        precision = settings.get("PRECISION") or os.environ.get("PRECISION") or "auto"
        cache = path.parent / settings["CACHE_DIR"] if settings.get("CACHE_DIR") else None
        return OpenVinoNetwork(path, precision, compute_lock=settings.get("COMPUTE_LOCK") == "true", cache=cache)

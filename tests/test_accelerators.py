"""The options of config.pbtxt for CUDA, as pip's ONNX Runtime gets them."""

import importlib.util
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from google.protobuf import json_format

from tests.configs import config_of
from tests.conftest import MODEL_REPOSITORY


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The `onnxruntime` backend outside Triton."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", types.ModuleType("triton_python_backend_utils"))
    monkeypatch.delitem(sys.modules, "backends.network", raising=False)
    path = MODEL_REPOSITORY.parent / "backends" / "onnxruntime" / "model.py"
    spec = importlib.util.spec_from_file_location("onnxruntime_backend", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["backends.network"]  # it knows the wrong utilities


class Session:
    """An inference session that keeps its providers."""

    def __init__(self, path: Path, options: Any, providers: list[Any]) -> None:  # noqa: ARG002 - as ONNX Runtime's
        self.providers = providers

    def get_providers(self) -> list[str]:
        return [provider if isinstance(provider, str) else provider[0] for provider in self.providers]

    def get_inputs(self) -> list[Any]:
        return []

    get_outputs = get_inputs


def test_the_options_for_cuda_reach_the_provider(
    backend: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sessions: list[Session] = []

    def open_session(*arguments: Any, **options: Any) -> Session:
        sessions.append(Session(*arguments, **options))
        return sessions[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr("backends.network.CheckedNetwork", lambda network, *_: network)
    config = json_format.MessageToDict(config_of("motion_backbone", "gpu"), preserving_proto_field_name=True)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model_fp16.onnx").touch()
    config |= {"input": [], "output": []}
    for kind, expected in (
        (
            "GPU",
            [
                (
                    "CUDAExecutionProvider",
                    {"sdpa_kernel": "0", "enable_skip_layer_norm_strict_mode": "1", "device_id": 1},
                ),
                "CPUExecutionProvider",
            ],
        ),
        ("CPU", ["CPUExecutionProvider"]),
    ):
        arguments = {
            "model_config": json.dumps(config),
            "model_repository": str(tmp_path),
            "model_version": "1",
            "model_instance_name": "motion_backbone_0",
            "model_instance_kind": kind,
            "model_instance_device_id": "1",
        }
        backend.TritonPythonModel().initialize(arguments)
        assert sessions[-1].providers == expected

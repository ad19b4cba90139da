"""The Python-based backends, through a real server, with small ONNX files made for the tests."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from server import Server, ServerFailed, Settings, find_triton, launch

BACKENDS = ("openvino", "onnxruntime")
KEPT = """
backend: "openvino"
default_model_filename: "model.onnx"
parameters { key: "CACHE_DIR" value { string_value: "kept" } }
"""
MERGING = "dynamic_batching { max_queue_delay_microseconds: 300000 }"


def fp32(name: str, dims: int) -> str:
    """A float32 tensor as config.pbtxt has it."""
    return f'{{ name: "{name}" data_type: TYPE_FP32 dims: [ {dims} ] }}'


def write_model(path: Path, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> None:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "toy", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def write_product(path: Path, weight: float = 1.0) -> None:
    """X float32 (rows, columns) times a (4, 2) matrix of `weight`: fails unless X has 4 columns."""
    write_model(
        path,
        [
            # OpenVINO's float32 product does not check the number of columns; its sum does.
            helper.make_node("Add", ["X", "ZEROS"], ["FOUR"]),
            helper.make_node("MatMul", ["FOUR", "W"], ["Y"]),
            helper.make_node("Neg", ["X"], ["MINUS_X"]),
        ],
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", "columns"])],
        [
            helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("MINUS_X", TensorProto.FLOAT, ["rows", "columns"]),
        ],
        {"W": np.full((4, 2), weight, np.float32), "ZEROS": np.zeros(4, np.float32)},
    )


def write_lookup(path: Path) -> None:
    """I int64 (rows, 1) looked up in a table of three: fails if one is out of range."""
    write_model(
        path,
        [helper.make_node("Gather", ["TABLE", "I"], ["V"])],
        [helper.make_tensor_value_info("I", TensorProto.INT64, ["rows", 1])],
        [helper.make_tensor_value_info("V", TensorProto.FLOAT, ["rows", 1])],
        {"TABLE": np.array([10, 20, 30], np.float32)},
    )


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("toys")
    for backend in BACKENDS:
        file = f'backend: "{backend}"\ndefault_model_filename: "toy.onnx"\n'
        for name, write, config in (
            ("plain", write_product, file),
            ("merged", write_product, f"{file}max_batch_size: 8\n{MERGING}"),
            ("partly", write_product, f"{file}max_batch_size: 8\ninput [{fp32('X', 4)}]"),
            ("chunks", write_product, f"{file}max_batch_size: 8\n"
             'parameters { key: "EXECUTION_BATCH_SIZE" value { string_value: "3" } }'),
            ("lookup", write_lookup, f"{file}max_batch_size: 8\n{MERGING}"),
        ):  # fmt: skip
            if write is write_lookup and backend != "onnxruntime":
                continue  # in OpenVINO, an index out of range gives zero
            model = repository / f"{name}_{backend}"
            write(model / "1" / "toy.onnx")
            (model / "config.pbtxt").write_text(config)
    server = launch(Settings.on_free_ports(repository), find_triton())
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


def infer(server: Server, model: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    tensors = []
    for name, value in inputs.items():
        tensors.append(grpc.InferInput(name, list(value.shape), "INT64" if value.dtype == np.int64 else "FP32"))
        tensors[-1].set_data_from_numpy(value)
    with grpc.InferenceServerClient(server.url) as triton:
        answer = triton.infer(model, tensors)
    return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}


def executions(server: Server, model: str) -> tuple[int, int]:
    """Rows of all requests, and runs of the network, so far."""
    with grpc.InferenceServerClient(server.url) as triton:
        statistics = triton.get_inference_statistics(model).model_stats[0]
    return statistics.inference_count, statistics.execution_count


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_configuration_is_completed_from_the_file(toys: Server, backend: str) -> None:
    with grpc.InferenceServerClient(toys.url) as triton:
        config = triton.get_model_config(f"plain_{backend}").config
        metadata = triton.get_model_metadata(f"plain_{backend}")
    assert config.max_batch_size == 4
    assert [(tensor.name, list(tensor.dims)) for tensor in config.input] == [("X", [-1])]
    assert [(tensor.name, list(tensor.dims)) for tensor in config.output] == [("Y", [2]), ("MINUS_X", [-1])]
    assert [list(tensor.shape) for tensor in metadata.outputs] == [[-1, 2], [-1, -1]]
    outputs = infer(toys, f"plain_{backend}", X=np.arange(8, dtype=np.float32).reshape(2, 4))
    assert outputs["Y"].tolist() == [[6, 6], [22, 22]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_partial_configuration_is_completed(toys: Server, backend: str) -> None:
    with grpc.InferenceServerClient(toys.url) as triton:
        config = triton.get_model_config(f"partly_{backend}").config
    assert list(config.input[0].dims) == [4]
    assert [tensor.name for tensor in config.output] == ["Y", "MINUS_X"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_requests_are_batched_and_get_their_own_rows_back(toys: Server, backend: str) -> None:
    model = f"merged_{backend}"
    values = [np.full((1 + index % 2, 4), index, np.float32) for index in range(4)]
    before = executions(toys, model)
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda value: infer(toys, model, X=value), values))
    rows, runs = (after - earlier for after, earlier in zip(executions(toys, model), before, strict=True))
    assert rows == 6
    assert runs < 4
    for value, output in zip(values, outputs, strict=True):
        np.testing.assert_array_equal(output["Y"], value.sum(1, keepdims=True).repeat(2, 1))
        np.testing.assert_array_equal(output["MINUS_X"], -value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_large_batch_is_split(toys: Server, backend: str) -> None:
    value = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    outputs = infer(toys, f"chunks_{backend}", X=value)
    np.testing.assert_allclose(outputs["Y"], value.sum(1, keepdims=True).repeat(2, 1), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(outputs["MINUS_X"], -value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_request_that_the_network_refuses_fails_alone(toys: Server, backend: str) -> None:
    model = f"merged_{backend}"
    values = [np.ones((1, 5 if index == 1 else 4), np.float32) for index in range(4)]

    def ask(value: np.ndarray) -> object:
        try:
            return infer(toys, model, X=value)["Y"].tolist()
        except InferenceServerException as error:
            return error.status(), error.message().strip()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, values))
    assert [answers[index] for index in (0, 2, 3)] == [[[4, 4]]] * 3
    runtime, why = {
        "openvino": ("OpenVINO", "Eltwise shape infer input shapes dim index: 1 mismatch"),
        "onnxruntime": ("ONNX Runtime", "Attempting to broadcast an axis by a dimension other than 1. 4 by 5"),
    }[backend]
    sentence = f"{runtime} cannot run the network with X of shape [1, 5]: {why} [invalid_parameter]"
    assert answers[1] == ("StatusCode.INVALID_ARGUMENT", sentence)


def test_a_failed_batch_is_run_one_by_one(toys: Server) -> None:
    model = "lookup_onnxruntime"

    def ask(index: int) -> object:
        try:
            return infer(toys, model, I=np.array([[index]], np.int64))["V"].tolist()
        except InferenceServerException as error:
            return error.message()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, [0, 9, 1, 2]))
    assert [answers[index] for index in (0, 2, 3)] == [[[10]], [[20]], [[30]]]
    assert "out of data bounds" in str(answers[1])


REFUSED = {
    "name": (
        f"input [{fp32('Z', 4)}] output [{fp32('Y', 2)}]",
        "toy.onnx",
        "the network has no input Z; it has X",
    ),
    "shape": (
        f"input [{fp32('X', 4)}] output [{fp32('Y', 3)}]",
        "toy.onnx",
        "output Y is TYPE_FP32 [-1, 2] in the network, TYPE_FP32 [-1, 3] in the configuration",
    ),
    "file": (
        f"input [{fp32('X', 4)}] output [{fp32('Y', 2)}]",
        "other.onnx",
        "toy.onnx is missing: has `make export` been run?",
    ),
}
"""Configurations that do not fit, what their network's file is called, and what the server says."""


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The error and the log of a server whose models cannot be served."""
    repository = tmp_path_factory.mktemp("refused")
    for backend in BACKENDS:
        for name, (config, file, _) in REFUSED.items():
            model = repository / f"{name}_{backend}"
            write_product(model / "1" / file)
            start = f'backend: "{backend}" default_model_filename: "toy.onnx" max_batch_size: 4\n'
            (model / "config.pbtxt").write_text(start + config)
    server = launch(Settings.on_free_ports(repository), find_triton())
    try:
        with pytest.raises(ServerFailed) as raised:
            server.wait_until_ready()
    finally:
        server.stop()
    return str(raised.value), server.log


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_that_cannot_be_served_says_why(backend: str, name: str, refused: tuple[str, str]) -> None:
    error, log = refused
    lines = [line for line in log.splitlines() if f"failed to load '{name}_{backend}'" in line]
    assert REFUSED[name][2] in lines[0]
    # A start ends with the reason of the first model that failed.
    assert any(message in error for _, _, message in REFUSED.values())


@pytest.mark.slow
def test_compiled_networks_are_cached_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "model" / "1" / "model.onnx"
    cache = path.parent / "kept"

    def answer() -> tuple[list[float], set[str]]:
        server = launch(Settings.on_free_ports(tmp_path, precision="f32"), find_triton())
        try:
            server.wait_until_ready()
            return infer(server, "model", X=np.ones((1, 4), np.float32))["Y"].tolist(), {
                *map(str, cache.rglob("*.blob"))
            }
        finally:
            server.stop()

    write_product(path)
    (tmp_path / "model" / "config.pbtxt").write_text(KEPT)
    first, kept = answer()
    assert len(kept) == 1
    assert answer() == (first, kept)
    written = path.stat().st_mtime
    write_product(path, weight=2.0)
    os.utime(path, (written + 10, written + 10))
    again, remade = answer()
    assert first == [[4, 4]]
    assert again == [[8, 8]]
    assert len(remade) == 1


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_not_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model" / "1" / "model.onnx"
    write_product(path)
    (path.parent / "kept").write_text("a file where the directory should be")
    (tmp_path / "model" / "config.pbtxt").write_text(KEPT)
    server = launch(Settings.on_free_ports(tmp_path, precision="f32"), find_triton())
    try:
        server.wait_until_ready()
        assert infer(server, "model", X=np.ones((1, 4), np.float32))["Y"].tolist() == [[4, 4]]
        assert "networks are compiled at every start" in server.log
    finally:
        server.stop()

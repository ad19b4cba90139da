"""A network's inputs are checked before it runs, and a runtime's error becomes one sentence."""

from pathlib import Path

import numpy as np
import pytest

from backends.checked import CheckedNetwork, InvalidInput, RunFailed, detail
from backends.shared import RemoteNetwork, SharedNetwork
from backends.tensors import Network, Tensors, TensorSpec

FLOAT = np.dtype(np.float32)
OPENVINO = (
    "Exception from src/inference/src/cpp/infer_request.cpp:224:\n"
    "Exception from src/plugins/intel_cpu/src/node.cpp:794:\n"
    "[CPU] Add node with name 'FOUR' Check 'input_shape[j] == 1' failed at "
    "src/plugins/intel_cpu/src/shape_inference/custom/eltwise.cpp:52:\n"
    "Eltwise shape infer input shapes dim index: 1 mismatch\n\n\n"
)
ONNX_RUNTIME = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Add node. Name:'' Status Message: "
    "/onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:563 void "
    "onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to "
    "broadcast an axis by a dimension other than 1. 4 by 5\n"
)
OUT_OF_RANGE = (
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Non-zero status code returned while running Gather node. Name:'' "
    "Status Message: indices element out of data bounds, idx=9 must be within the inclusive range [-3,2]"
)


class Failing(Network):
    """A network that takes (rows, 4), and fails with a runtime's words, if it has any."""

    outputs = ()

    def __init__(self, said: str | None = None) -> None:
        self.inputs = [TensorSpec("X", FLOAT, (-1, 4))]
        self.runs = 0
        self._said = said

    def run(self, inputs: Tensors) -> Tensors:
        self.runs += 1
        if self._said is not None:
            raise RuntimeError(self._said)
        return inputs


def x(*shape: int) -> Tensors:
    return {"X": np.zeros(shape, FLOAT)}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5), r"X has the shape \[2, 5\], it must be \[-1, 4\]$"),
        ((4,), r"X has the shape \[4\], it must be \[-1, 4\]$"),
        ((1, 2, 4), r"X has the shape \[1, 2, 4\], it must be \[-1, 4\]$"),
        ((9, 4), "X has 9 rows, it must have from 1 to 8$"),
        ((0, 4), "X has 0 rows, it must have from 1 to 8$"),
    ],
)
def test_inputs_that_the_network_cannot_take_do_not_reach_it(shape: tuple[int, ...], message: str) -> None:
    network = Failing()
    checked = CheckedNetwork(network, "Runtime", max_rows=8)
    with pytest.raises(InvalidInput, match=f"^{message}"):
        checked.run(x(*shape))
    assert network.runs == 0
    assert checked.run(x(8, 4))["X"].shape == (8, 4)


def test_without_a_limit_any_number_of_rows_is_passed_on() -> None:
    for rows in (0, 1, 1000):
        assert CheckedNetwork(Failing(), "Runtime").run(x(rows, 4))["X"].shape == (rows, 4)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (OPENVINO, "Eltwise shape infer input shapes dim index: 1 mismatch"),
        (ONNX_RUNTIME, "Attempting to broadcast an axis by a dimension other than 1. 4 by 5"),
        (OUT_OF_RANGE, "indices element out of data bounds, idx=9 must be within the inclusive range [-3,2]"),
        ("\n \n", "no reason given"),
        ("x" * 5000, "x" * 300),
        ("Exception from src/a.cpp:1:\nException from src/b.cpp:2:\n", "no reason given"),
    ],
)
def test_a_runtimes_error_is_reduced_to_what_it_says(said: str, sentence: str) -> None:
    assert detail(said) == sentence


@pytest.mark.parametrize("said", [OPENVINO, ONNX_RUNTIME, OUT_OF_RANGE])
def test_what_a_runtime_refuses_is_the_callers_mistake(said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidInput) as raised:
        CheckedNetwork(Failing(said), "Runtime").run(x(1, 4))
    assert str(raised.value) == f"Runtime cannot run the network with X of shape [1, 4]: {detail(said)}"
    assert capfd.readouterr().err == ""


def test_any_other_failure_is_not_and_the_log_has_all_of_it_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    said = "Exception from src/a.cpp:1:\nstd::bad_alloc\n"
    with pytest.raises(RunFailed, match=r"^Runtime cannot run the network with X of shape \[1, 4\]: std::bad_alloc$"):
        CheckedNetwork(Failing(said), "Runtime").run(x(1, 4))
    assert capfd.readouterr().err == f"Runtime failed: {said!r}\n"


def test_other_instances_learn_whose_mistake_it_was(tmp_path: Path) -> None:
    wrong = SharedNetwork(CheckedNetwork(Failing(), "Runtime"), tmp_path / "wrong")
    broken = SharedNetwork(CheckedNetwork(Failing("std::bad_alloc"), "Runtime"), tmp_path / "broken")
    for network, inputs, error in ((wrong, x(1, 5), InvalidInput), (broken, x(1, 4), RuntimeError)):
        with pytest.raises(error) as ours:
            network.run(inputs)
        with pytest.raises(error) as theirs:
            RemoteNetwork(tmp_path / ("wrong" if network is wrong else "broken")).run(inputs)
        assert str(theirs.value) == str(ours.value)
        assert isinstance(theirs.value, InvalidInput) is (error is InvalidInput)

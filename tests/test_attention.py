"""Attention in the exported graphs: what the runtimes' fusions look for, and the same numbers as PyTorch's."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn import functional

from export.attention import AttentionForm, attend
from export.camera_network import load_camera
from export.fp16 import Fp16Network
from export.graph import write_graph
from export.motion_network import load_motion

TENSORRT = [AttentionForm.TENSORRT, AttentionForm.TENSORRT_FLOAT32]
SHAPE = (2, 3, 12, 16)  # batch, heads, tokens, size
QUERY, KEY, VALUE = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0)).half()


class Heads(nn.Module):
    """Attention over (batch, 3, heads, tokens, size): queries, keys and values."""

    def __init__(self, form: AttentionForm) -> None:
        super().__init__()
        self.form = form

    def forward(self, qkv: Tensor) -> Tensor:
        query, key, value = qkv.unbind(1)
        return attend(self.form, query, key, value)


class Graph:
    """An ONNX graph, to be followed from node to node."""

    def __init__(self, path: Path) -> None:
        self.model = onnx.shape_inference.infer_shapes(onnx.load(path))
        graph = self.model.graph
        self.nodes = list(graph.node)
        self._makers = {output: node for node in self.nodes for output in node.output}
        values = [*graph.value_info, *graph.output, *graph.input]
        self._types = {value.name: value.type.tensor_type.elem_type for value in values}
        self._types |= {tensor.name: tensor.data_type for tensor in graph.initializer}

    def type_of(self, tensor: str) -> int:
        """Its TensorProto type."""
        return self._types[tensor]

    def maker(self, tensor: str, *passing: str) -> onnx.NodeProto:
        """The node that computes a tensor; those of the types `passing` are passed by."""
        node = self._makers[tensor]
        while node.op_type in passing:
            node = self._makers[node.input[0]]
        return node

    def users(self, tensor: str) -> list[onnx.NodeProto]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if tensor in node.input]


def check_fusable(graph: Graph, layers: int, *, upcast: bool) -> None:
    """NVIDIA's documentation of TensorRT 11, "Fused Attention"."""
    softmaxes = [node for node in graph.nodes if node.op_type == "Softmax"]
    assert len(softmaxes) == layers
    for softmax in softmaxes:
        first = graph.maker(softmax.input[0])
        (second,) = graph.users(softmax.output[0])
        # Nothing is between the products but the softmax.
        assert (first.op_type, second.op_type) == ("MatMul", "MatMul")
        kind = TensorProto.FLOAT if upcast else TensorProto.FLOAT16
        query, key, value = first.input[0], first.input[1], second.input[1]
        assert {graph.type_of(name) for name in (query, key, value, *first.output, *second.output)} == {kind}
        if upcast:
            # Casts are next to the products; what they cast is fp16.
            casts = [
                graph.maker(query),
                graph.maker(key, "Transpose"),
                graph.maker(value),
                *graph.users(second.output[0]),
            ]
            assert [cast.op_type for cast in casts] == ["Cast"] * 4
            assert {graph.type_of(cast.input[0]) for cast in casts[:3]} == {TensorProto.FLOAT16}
            assert graph.type_of(casts[3].output[0]) == TensorProto.FLOAT16
            query, key = casts[0].input[0], casts[1].input[0]
        # The query is scaled, the key is not.
        assert graph.maker(query).op_type == "Mul"
        assert graph.type_of(query) == TensorProto.FLOAT16
        assert graph.maker(key, "Transpose", "Reshape").op_type != "Mul"


def export(network: nn.Module, example: Tensor, path: Path) -> Path:
    write_graph(network, example, path, input_name="IN", output_names=["OUT"])
    return path


def exact_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(query, key, value)


def run(path: Path, value: NDArray[Any]) -> NDArray[Any]:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"IN": value})[0]


@pytest.mark.parametrize(
    "form", [AttentionForm.TENSORRT_FLOAT32, pytest.param(AttentionForm.TENSORRT, marks=pytest.mark.slow)]
)
def test_attention_is_written_as_tensorrt_fuses_it(form: AttentionForm, tmp_path: Path) -> None:
    qkv = torch.stack([QUERY, KEY, VALUE], dim=1)
    path = export(Heads(form), qkv, tmp_path / "graph.onnx")
    check_fusable(Graph(path), 1, upcast=form is AttentionForm.TENSORRT_FLOAT32)
    more = torch.cat([qkv, qkv.flip(0), qkv])  # another batch than the exported one
    expected = exact_attention(*more.float().unbind(1))
    found = run(path, more.numpy())
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-3)


@pytest.mark.parametrize("form", [*TENSORRT, AttentionForm.OPENVINO_8_BITS])
def test_attention_in_a_form_computes_the_same_as_pytorch(form: AttentionForm) -> None:
    query, key, value = QUERY.float() * 3, KEY.float() * 3, VALUE.float()
    expected = exact_attention(query, key, value)
    torch.testing.assert_close(attend(form, query, key, value), expected)
    assert not torch.allclose(attend(form, query * 2, key, value), expected, atol=1e-2)


def test_only_the_upcast_form_adds_in_float32() -> None:
    """Sums of numbers that fp16 cannot hold beside each other."""
    query = torch.tensor([64.0, 0.125]).half().expand(1, 1, 1, 2)
    key = torch.tensor([[32.0, 4.0], [32.0, -4.0]]).half()[None, None]
    value = torch.tensor([[1.0], [0.0]]).half()[None, None]
    exact = exact_attention(query.double(), key.double(), value.double())
    upcast, half = (attend(form, query, key, value).double() for form in reversed(TENSORRT))
    assert abs(upcast - exact).max() < 1e-3
    assert abs(half - exact).max() > 0.1


def test_graphs_to_quantize_have_nothing_between_linear_layers_and_the_first_product(
    tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    network = load_motion(tiny_checkpoints[0])[0]
    clips = torch.randint(0, 256, (2, 16, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        expected = network(clips[:1]).numpy()
    assert network.use_attention(AttentionForm.OPENVINO_8_BITS) == 1
    path = export(network, clips, tmp_path / "graph.onnx")
    graph = Graph(path)
    (softmax,) = (node for node in graph.nodes if node.op_type == "Softmax")
    scaled = graph.maker(softmax.input[0])
    first = graph.maker(scaled.input[0])
    assert (scaled.op_type, first.op_type) == ("Mul", "MatMul")
    query, key = (graph.maker(tensor, "Transpose", "Reshape") for tensor in first.input)
    assert {query.op_type, key.op_type} <= {"Add", "MatMul", "Gemm"}
    assert query.output != key.output
    np.testing.assert_allclose(run(path, clips[:1].numpy()), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "form"),
    [
        pytest.param("motion_backbone", AttentionForm.TENSORRT_FLOAT32, marks=pytest.mark.slow),
        pytest.param("motion_backbone", AttentionForm.TENSORRT, marks=pytest.mark.slow),
        pytest.param("camera_classifier", AttentionForm.TENSORRT_FLOAT32, marks=pytest.mark.slow),
        pytest.param("camera_classifier", AttentionForm.TENSORRT, marks=pytest.mark.slow),
    ],
)
def test_the_networks_have_the_form_in_every_layer(
    model: str, form: AttentionForm, tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    network: Fp16Network
    if model == "motion_backbone":
        network = load_motion(tiny_checkpoints[0])[0]
    else:
        network = load_camera(tiny_checkpoints[1]).network
    clips = torch.randint(0, 256, (2, 16, 224, 224, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        expected = network(clips[:1]).numpy()
    network.to_fp16()
    layers = network.use_attention(form)
    assert layers == 1
    path = export(network, clips, tmp_path / "graph.onnx")
    check_fusable(Graph(path), layers, upcast=form is AttentionForm.TENSORRT_FLOAT32)
    np.testing.assert_allclose(run(path, clips[:1].numpy()), expected, atol=0.005)

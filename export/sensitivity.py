"""Which products of a quantized network lose the most, and keeping those in float32."""

from collections.abc import Collection, Iterator

import numpy as np
import openvino
from openvino import Input, Node, Output, opset13

from export.calibration import Clips

MOVES = ("Transpose", "Reshape")
"""Operations that may be between a quantized tensor and a product."""


def quantized_products(network: openvino.Model) -> list[Node]:
    """The matrix products of `network` with fake quantization on an input, in the order of computation."""
    return [
        node for node in network.get_ordered_ops() if node.get_type_name() == "MatMul" and any(_quantized_inputs(node))
    ]


def attention_products(network: openvino.Model) -> list[Node]:
    """The quantized products of two activations: of queries and keys, and of probabilities and values."""
    return [
        product
        for product in quantized_products(network)
        if not any(_is_weight(before_moves(reader).get_source_output()) for reader in product.inputs())
    ]


def losses(network: openvino.Model, inputs: Clips, names: Collection[str] | None = None) -> dict[str, float]:
    """By the name of a product: how far quantization moves its output, as a share of the output's norm.

    Of the products `names`; None: of all.

    Each product is compared with the same product of the same tensors before their quantization, so that what others
    lost does not count. The largest of `inputs`, a row for each run.
    """
    network = network.clone()
    products = [each for each in quantized_products(network) if names is None or each.get_friendly_name() in names]
    if not products:
        return {}
    shares = [opset13.result(_loss(product)) for product in products]
    measured = openvino.Model(shares, network.get_parameters(), "losses")
    # Fake quantization is computed as such: OpenVINO's low-precision kernels assume one reader of what it quantizes.
    hints = {"INFERENCE_PRECISION_HINT": "f32", "LP_TRANSFORMS_MODE": "NO"}
    request = openvino.Core().compile_model(measured, "CPU", hints).create_infer_request()
    runs = [[float(value) for value in request.infer([row[None]]).values()] for row in inputs]
    return dict(zip((product.get_friendly_name() for product in products), np.max(runs, axis=0).tolist(), strict=True))


def keep_in_float32(network: openvino.Model, names: Collection[str]) -> openvino.Model:
    """A copy of `network` whose products `names` read their inputs as they were before quantization."""
    network = network.clone()
    for product in quantized_products(network):
        if product.get_friendly_name() in names:
            for reader, quantizer in list(_quantized_inputs(product)):
                reader.replace_source_output(quantizer.input_value(0))
    network.validate_nodes_and_infer_types()
    return network


def with_exact(network: openvino.Model, *, weights: bool) -> openvino.Model:
    """A copy of `network` whose weights are as they were before quantization; without `weights`, its activations."""
    network = network.clone()
    for product in quantized_products(network):
        for reader, quantizer in list(_quantized_inputs(product)):
            if _is_weight(quantizer.input_value(0)) == weights:
                reader.replace_source_output(quantizer.input_value(0))
    network.validate_nodes_and_infer_types()
    return network


def _quantized_inputs(product: Node) -> Iterator[tuple[Input, Node]]:
    """Each fake quantization before `product`, with the input that reads it."""
    for reader in map(before_moves, product.inputs()):
        node = reader.get_source_output().get_node()
        if node.get_type_name() == "FakeQuantize":
            yield reader, node


def _is_weight(tensor: Output) -> bool:
    node = tensor.get_node()
    if node.get_type_name() == "FakeQuantize":
        return _is_weight(before_moves(node.input(0)).get_source_output())
    return node.get_type_name() == "Constant"


def before_moves(reader: Input) -> Input:
    """The input that reads the same tensor before it is transposed and reshaped."""
    while (node := reader.get_source_output().get_node()).get_type_name() in MOVES:
        reader = node.input(0)
    return reader


def _loss(product: Node) -> Node:
    attributes = product.get_attributes()
    exact = opset13.matmul(
        _unquantized(product.input_value(0)),
        _unquantized(product.input_value(1)),
        attributes["transpose_a"],
        attributes["transpose_b"],
    )

    def norm(tensor: Node) -> Node:
        return opset13.reduce_l2(tensor, list(range(len(product.get_output_partial_shape(0)))))

    return opset13.divide(norm(opset13.subtract(product, exact)), norm(exact))


def _unquantized(tensor: Output) -> Output:
    """The tensor as it would be without the fake quantization above it."""
    node = tensor.get_node()
    kind = node.get_type_name()
    if kind == "FakeQuantize":
        return node.input_value(0)
    if kind == "Transpose":
        return opset13.transpose(_unquantized(node.input_value(0)), node.input_value(1)).output(0)
    if kind == "Reshape":
        before = _unquantized(node.input_value(0))
        return opset13.reshape(before, node.input_value(1), node.get_attributes()["special_zero"]).output(0)
    return tensor

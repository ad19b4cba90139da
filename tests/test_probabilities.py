"""Attention's product of probabilities and values in 8 bits."""

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import opset13

from export.probabilities import RANGES, quantize_probabilities
from export.sensitivity import attention_products, losses, quantized_products

RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((1, 2, 64, 64)).astype(np.float32)
VALUES = RNG.standard_normal((1, 64, 2, 8)).astype(np.float32)
INPUTS = np.full((1, 1), 1, np.uint8)


def attention(scores: NDArray[np.float32] = SCORES, values: NDArray[np.float32] = VALUES) -> openvino.Model:
    """Softmax of constant scores, scaled by the input, times values whose heads are transposed."""
    x = opset13.parameter([1, 1], np.uint8)
    scale = opset13.reshape(opset13.convert(x, np.float32), [1, 1, 1, 1], False)
    moved = opset13.transpose(opset13.multiply(values, scale), [0, 2, 1, 3])
    product = opset13.matmul(opset13.softmax(opset13.multiply(scores, scale), 3), moved, False, False)
    product.set_friendly_name("attention")
    return openvino.Model([opset13.result(product)], [x])


def highest(network: openvino.Model) -> float:
    """The end of the range of probabilities."""
    (product,) = quantized_products(network)
    return float(product.input_value(0).get_node().input_value(2).get_node().get_data())


def test_probabilities_and_values_are_quantized() -> None:
    network = attention()
    quantized = quantize_probabilities(network, INPUTS)
    assert quantized_products(network) == []  # it is a copy
    (product,) = quantized_products(quantized)
    assert product.input_value(1).get_node().get_type_name() == "Transpose"  # values are quantized before they move
    assert 0 < losses(quantized, INPUTS)["attention"] < 0.03


def test_products_of_weights_are_no_attention() -> None:
    quantized = quantize_probabilities(attention(), INPUTS)
    assert [product.get_friendly_name() for product in attention_products(quantized)] == ["attention"]
    x = opset13.parameter([1, 8], np.float32)
    bounds = [np.float32(bound) for bound in (-1, 1, -1, 1)]
    weight = opset13.fake_quantize(opset13.constant(np.eye(8, dtype=np.float32)), *bounds, levels=255)
    for inputs in ((opset13.fake_quantize(x, *bounds, levels=255), weight), (x, opset13.transpose(weight, [1, 0]))):
        linear = openvino.Model([opset13.matmul(*inputs, False, True)], [x])
        assert len(quantized_products(linear)) == 1
        assert attention_products(linear) == []


@pytest.mark.parametrize(("tokens", "spread", "share"), [(64, 1.0, RANGES[0]), (1024, 1.2, RANGES[1])])
def test_rare_peaks_are_cut_off_for_finer_steps(tokens: int, spread: float, share: float) -> None:
    scores = np.float32(spread) * RNG.standard_normal((1, 1, tokens, tokens)).astype(np.float32)
    values = RNG.standard_normal((1, tokens, 1, 8)).astype(np.float32)
    largest = (np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)).max()
    quantized = quantize_probabilities(attention(scores, values), INPUTS)
    assert highest(quantized) == pytest.approx(share * largest, rel=1e-3)

"""Which products of a quantized network lose the most."""

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray
from openvino import Node, opset13

from export.int8_answers import Embeddings, Probabilities
from export.sensitivity import keep_in_float32, losses, quantized_products, with_exact

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((2, 8, 8)).astype(np.float32)
INPUTS = RNG.integers(0, 256, (3, 5, 8), np.uint8)


def quantized(value: Node, largest: float) -> Node:
    return opset13.fake_quantize(value, *map(np.float32, (-largest, largest, -largest, largest)), levels=255)


def network() -> openvino.Model:
    """Two products: the second one's range is a hundred times too wide, as with an outlier. Its input is moved, too."""
    x = opset13.parameter([1, 5, 8], np.uint8)
    scaled = opset13.divide(opset13.convert(x, np.float32), np.float32(255))
    first = opset13.matmul(quantized(scaled, 1.0), quantized(opset13.constant(WEIGHTS[0]), 4.0), False, True)
    first.set_friendly_name("first")
    moved = opset13.transpose(opset13.reshape(quantized(first, 400.0), [0, 0, 2, 4], True), [0, 2, 1, 3])
    second = opset13.matmul(moved, quantized(opset13.constant(WEIGHTS[1, :, :4]), 4.0), False, True)
    second.set_friendly_name("second")
    return openvino.Model([opset13.result(second)], [x])


def run(model: openvino.Model) -> NDArray[np.float32]:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(INPUTS[:1])[0])


def test_the_product_with_the_outlier_loses_the_most() -> None:
    model = network()
    assert [product.get_friendly_name() for product in quantized_products(model)] == ["first", "second"]
    lost = losses(model, INPUTS)
    assert lost["first"] < 0.05 < 0.2 < lost["second"]
    assert len(quantized_products(model)) == 2  # the model itself is left as it is


def test_products_that_are_kept_in_float32_lose_nothing() -> None:
    x = INPUTS[:1].astype(np.float32) / 255
    exact = (x @ WEIGHTS[0].T).reshape(1, 5, 2, 4).transpose(0, 2, 1, 3) @ WEIGHTS[1, :, :4].T
    model = network()
    both = keep_in_float32(model, ["first", "second"])
    assert quantized_products(both) == []
    np.testing.assert_allclose(run(both), exact, rtol=1e-4, atol=1e-4)
    one = keep_in_float32(model, ["second"])
    assert [product.get_friendly_name() for product in quantized_products(one)] == ["first"]
    assert np.abs(run(one) - exact).max() < 0.2 * np.abs(run(model) - exact).max()


def test_weights_or_activations_may_be_exact() -> None:
    model = network()
    exact = run(keep_in_float32(model, ["first", "second"]))
    errors = [np.abs(run(with_exact(model, weights=weights)) - exact).max() for weights in (True, False)]
    assert errors[1] < errors[0]  # the outlier is one of an activation
    assert min(errors) > 0
    both = with_exact(with_exact(model, weights=True), weights=False)
    np.testing.assert_allclose(run(both), exact, rtol=1e-4, atol=1e-4)


def test_errors_are_shares_of_the_range() -> None:
    expected, found = np.array([[0.2, 0.9]], np.float32), np.array([[0.25, 0.9]], np.float32)
    assert Probabilities().error(expected, found) == pytest.approx(0.05)
    unit = np.eye(2, dtype=np.float32)
    assert Embeddings().error(unit, 3 * unit) == pytest.approx(0)
    assert Embeddings().error(unit, unit[[0, 0]]) == pytest.approx(1)

"""How fast this CPU multiplies matrices, and computes a layer of a transformer, in each precision."""

import time

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import Node, Output, opset13

TOKENS = 1568
"""Of a segment or clip of the published networks."""


def matrix_rate(core: openvino.Core, precision: str, *, rows: int = TOKENS, width: int = 1536, runs: int = 4) -> float:
    """FLOP/s of a (rows, width) by (width, width) product in `precision` on all cores, the best of `runs`."""
    left = opset13.parameter([rows, width], np.float32)
    right = _weight(width, width)
    sides: list[Node] = [left, opset13.constant(right)]
    if precision == "int8":
        sides = [_quantized(side, 1.0) for side in sides]
    model = openvino.Model([opset13.matmul(*sides, False, False)], [left])
    return 2.0 * rows * width * width / _seconds(core, model, precision, np.ones((rows, width), np.float32), runs)


def layer_rate(
    core: openvino.Core, precision: str, *, tokens: int = TOKENS, width: int = 768, heads: int = 12, runs: int = 2
) -> float:
    """Layers a second of a transformer like the backbone in `precision` on all cores, the best of `runs`.

    In 8 bits, it is quantized as the export does it.
    """
    x = opset13.parameter([1, tokens, width], np.float32)
    int8 = precision == "int8"
    model = openvino.Model([_layer(x, width, heads, int8=int8)], [x])
    values = np.random.default_rng(0).uniform(-1, 1, (1, tokens, width)).astype(np.float32)
    return 1.0 / _seconds(core, model, precision, values, runs)


def _layer(x: Node, width: int, heads: int, *, int8: bool) -> Node:
    """A pre-norm block with exact GELU and an MLP of four times the width; its weights are noise."""

    def quantized(value: Node, largest: float) -> Node:
        return _quantized(value, largest) if int8 else value

    def linear(inputs: Node, outputs: int) -> Node:
        weight = quantized(opset13.constant(_weight(outputs, inputs.get_output_shape(0)[-1])), 1.0)
        return opset13.add(opset13.matmul(inputs, weight, False, True), np.zeros(outputs, np.float32))

    def normalised(inputs: Node) -> Node:
        return quantized(opset13.mvn(inputs, [2], True, 1e-6, "inside_sqrt"), 4.0)

    def of_heads(inputs: Node) -> Node:
        return opset13.transpose(opset13.reshape(inputs, [0, 0, heads, -1], True), [0, 2, 1, 3])

    hidden = normalised(x)
    query, key, value = (of_heads(quantized(linear(hidden, width), 4.0)) for _ in range(3))
    scores = opset13.multiply(opset13.matmul(query, key, False, True), np.float32((width / heads) ** -0.5))
    probabilities: Node = opset13.softmax(scores, 3)
    if int8:
        probabilities = opset13.fake_quantize(probabilities, *map(np.float32, (0, 0.1, 0, 0.1)), levels=256)
    attended = opset13.matmul(probabilities, value, False, False)
    merged = opset13.reshape(opset13.transpose(attended, [0, 2, 1, 3]), [0, 0, -1], True)
    x = opset13.add(x, linear(quantized(merged, 4.0), width))
    widened = opset13.gelu(linear(normalised(x), 4 * width), "erf")
    return opset13.add(x, linear(quantized(widened, 4.0), width))


def _quantized(value: Node | Output, largest: float) -> Node:
    return opset13.fake_quantize(value, *map(np.float32, (-largest, largest, -largest, largest)), levels=255)


def _weight(rows: int, columns: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, (rows, columns)).astype(np.float32) / np.float32(columns**0.5)


def _seconds(
    core: openvino.Core, model: openvino.Model, precision: str, values: NDArray[np.float32], runs: int
) -> float:
    hints = {"INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision}
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    seconds = []
    for _ in range(runs + 1):  # the first one is slower
        started = time.perf_counter()
        request.infer([values], share_inputs=True)
        seconds.append(time.perf_counter() - started)
    return min(seconds)

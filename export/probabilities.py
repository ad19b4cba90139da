"""Attention's second product, of probabilities and values, in 8 bits: NNCF quantizes the first one only.

OpenVINO computes both and the softmax between them in one kernel, if the probabilities of all heads have one range.
"""

from collections.abc import Mapping

import numpy as np
import openvino
from openvino import Input, Node, opset13

from export.calibration import Clips
from export.sensitivity import before_moves, losses

RANGES = (1.0, 0.5, 0.25)
"""Shares of the largest probability that may end the range: a shorter one has finer steps, and cuts peaks off."""


def quantize_probabilities(network: openvino.Model, inputs: Clips) -> openvino.Model:
    """A copy of `network` with fake quantization of the inputs of each product of a softmax and values.

    Values have the range that `inputs`, a row for each run, give them; probabilities the one of `RANGES` with which the
    product loses the least.
    """
    largest = _largest(network, inputs)
    candidates = {share: _with_ranges(network, largest, dict.fromkeys(largest, share)) for share in RANGES}
    lost = {share: losses(candidate, inputs, largest) for share, candidate in candidates.items()}
    best = {product: min((lost[share][product], share) for share in RANGES)[1] for product in largest}
    return _with_ranges(network, largest, best)


def _products(network: openvino.Model) -> list[Node]:
    """The products whose first input is a softmax that nothing else reads."""
    found = []
    for node in network.get_ordered_ops():
        if node.get_type_name() == "MatMul":
            source = node.input_value(0)
            if source.get_node().get_type_name() == "Softmax" and len(source.get_target_inputs()) == 1:
                found.append(node)
    return found


def _largest(network: openvino.Model, inputs: Clips) -> dict[str, tuple[float, float]]:
    """By product, its largest probability and its largest absolute value."""
    network = network.clone()
    products = _products(network)
    tensors = [tensor for product in products for tensor in (product.input_value(0), product.input_value(1))]
    results = [
        opset13.result(opset13.reduce_max(opset13.abs(tensor), list(range(len(tensor.get_partial_shape())))))
        for tensor in tensors
    ]
    measured = openvino.Model(results, network.get_parameters(), "ranges")
    request = openvino.Core().compile_model(measured, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    runs = [[float(value) for value in request.infer([row[None]]).values()] for row in inputs]
    pairs = np.max(runs, axis=0).reshape(-1, 2).tolist() if products else []
    return {product.get_friendly_name(): (pair[0], pair[1]) for product, pair in zip(products, pairs, strict=True)}


def _quantize(reader: Input, low: float, high: float, levels: int) -> None:
    bounds = map(np.float32, (low, high, low, high))
    reader.replace_source_output(opset13.fake_quantize(reader.get_source_output(), *bounds, levels=levels).output(0))


def _with_ranges(
    network: openvino.Model, largest: Mapping[str, tuple[float, float]], shares: Mapping[str, float]
) -> openvino.Model:
    network = network.clone()
    for product in _products(network):
        name = product.get_friendly_name()
        probability, value = largest[name]
        high = probability * shares[name]
        _quantize(product.input(0), 0, high, 256)
        _quantize(before_moves(product.input(1)), -value, value, 255)  # symmetric, as the kernel needs it
    network.validate_nodes_and_infer_types()
    return network

"""The shapes of a network in its config.pbtxt: native backends for GPUs want them exactly as the network has them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from export.repository import Transaction

FILES = ("config.pbtxt", "configs/tensorrt.pbtxt")
"""Configurations that run networks on a GPU."""


def write_shapes(transaction: Transaction, model: str, shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Give the tensors of `model` these shapes, whose first axis is the batch where the model batches; -1 is dynamic.

    Returns the files that had other shapes, relative to the model repository; the others are not touched.
    """
    changed = []
    for name in FILES:
        path = transaction.root / model / name
        if not path.is_file():
            continue
        before = after = path.read_text()
        batches = re.search(r"^max_batch_size: *([1-9]\d*)", before, re.MULTILINE) is not None
        for tensor, shape in shapes.items():
            rest = ", ".join(map(str, shape[1:]))
            dims = rest if batches else f"{shape[0]}, {rest}"
            after = re.sub(rf'(name: "{tensor}"[^}}]*dims: \[)[^\]]*(\])', rf"\g<1> {dims} \g<2>", after)
            if not batches:  # a warmup says how many of them it sends
                after = re.sub(rf'(key: "{tensor}"[^}}]*dims: \[ *\d+)[^\]]*(\])', rf"\g<1>, {rest} \g<2>", after)
        if after != before:
            transaction.stage_text(f"{model}/{name}", after)
            changed.append(str(Path(model, name)))
    return changed

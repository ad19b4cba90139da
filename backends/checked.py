"""A network that checks its inputs before it runs, and whose errors are one sentence each.

A runtime checks less, later, and in several lines that name its own source files.
"""

import re
import sys

from backends.tensors import Network, Tensors, TensorSpec

OF_INPUTS = re.compile(r"INVALID_ARGUMENT|\bshapes?\b|\bbroadcast|\bdimensions?\b", re.IGNORECASE)
"""What runtimes say if a network cannot take the sizes or values of its inputs, rather than run out of memory."""
SOURCE = re.compile(
    r"Exception from \S+:|Check '.*' failed at \S+|^.*\bStatus Message: |\S*/\S+:\d+.* was false\. |\S*/\S+:\d+:?"
)
"""Where in a runtime's source an error comes from."""
MAX_DETAIL = 300
MAX_LOGGED = 2000


class InvalidInput(ValueError):
    """The network cannot take these inputs; the message is a sentence for the caller."""


class RunFailed(RuntimeError):
    """The runtime failed; the message is a sentence, and the log has what the runtime said."""


class CheckedNetwork(Network):
    """Runs another network."""

    def __init__(self, network: Network, runtime: str, max_rows: int | None = None) -> None:
        """`runtime` is its name in messages; an input with any number of rows has at most `max_rows`, if given."""
        self.inputs, self.outputs, self.at_once = network.inputs, network.outputs, network.at_once
        self._network = network
        self._runtime = runtime
        self._max_rows = max_rows

    def run(self, inputs: Tensors) -> Tensors:
        """Compute every output; raises `InvalidInput` or `RunFailed`."""
        for spec in self.inputs:
            self._check(spec, inputs[spec.name].shape)
        try:
            return self._network.run(inputs)
        except Exception as error:
            raise self._sentence(inputs, str(error)) from error

    def _check(self, spec: TensorSpec, shape: tuple[int, ...]) -> None:
        sizes = zip(shape, spec.shape, strict=False)
        if len(shape) != len(spec.shape) or not all(allowed in (-1, size) for size, allowed in sizes):
            raise InvalidInput(f"{spec.name} has the shape {list(shape)}, it must be {list(spec.shape)}")
        if self._max_rows is not None and spec.shape[:1] == (-1,) and not 1 <= shape[0] <= self._max_rows:
            raise InvalidInput(f"{spec.name} has {shape[0]} rows, it must have from 1 to {self._max_rows}")

    def _sentence(self, inputs: Tensors, said: str) -> Exception:
        given = ", ".join(f"{name} of shape {list(tensor.shape)}" for name, tensor in inputs.items())
        sentence = f"{self._runtime} cannot run the network with {given}: {detail(said)}"
        if OF_INPUTS.search(said):
            return InvalidInput(sentence)
        print(f"{self._runtime} failed: {said[:MAX_LOGGED]!r}", file=sys.stderr, flush=True)
        return RunFailed(sentence)


def detail(said: str) -> str:
    """The last line of a runtime's error, without where in its source the error comes from."""
    lines = [SOURCE.sub("", line).strip() for line in said.splitlines()]
    return next((line[:MAX_DETAIL] for line in reversed(lines) if line), "no reason given")

"""One network for all instances of a model: the first instance holds it, the others send it their inputs.

Each request then has an instance of its own, and the network alternates between requests after every clip: a request
for one clip waits for one clip of each request before it, not for all clips of a long video. Instances are processes;
they talk over a socket that only this user can open, in JSON followed by the bytes of each tensor.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from backends.checked import InvalidInput
from backends.compute_lock import shared_path
from backends.tensors import Network, Tensors

PATIENCE_SECONDS = 20.0
"""Less than the time after which the supervisor kills processes of an unloaded model."""
RETRY_SECONDS = 0.1
GONE = "the process that holds the network is not healthy"
"""Triton's own message for a dead process ends the same; clients retry on it."""


def holds_network(instance_name: str) -> bool:
    """Whether an instance is the first of its group; Triton calls the second one `GROUP_1`."""
    return instance_name.endswith("_0")


def address_of(instance_name: str) -> Path:
    """The socket of the first instance in the group of `instance_name`."""
    return shared_path(instance_name.rpartition("_")[0])


class Line:
    """A first-in, first-out lock for threads, which several may hold at once."""

    def __init__(self, at_once: int = 1) -> None:
        self._lock = threading.Lock()
        self._free = at_once
        self._places: deque[threading.Lock] = deque()
        """Those who wait."""

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for the lock and hold it for the length of the block."""
        place = threading.Lock()
        place.acquire()
        with self._lock:
            if self._free:
                self._free -= 1
                place.release()
            else:
                self._places.append(place)
        with place:
            try:
                yield
            finally:
                with self._lock:
                    if self._places:
                        self._places.popleft().release()
                    else:
                        self._free += 1


class SharedNetwork(Network):
    """A network of this process, used by its own instance and by those that connect."""

    def __init__(self, network: Network, address: Path) -> None:
        """Listen at `address`; replaces an earlier listener, whose model is being unloaded."""
        self.inputs, self.outputs, self.at_once = network.inputs, network.outputs, network.at_once
        self._network = network
        self._line = Line(network.at_once)
        fresh = address.with_name(f"{address.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(fresh))
        self._listener.listen()
        fresh.rename(address)
        threading.Thread(target=self._accept, daemon=True).start()

    def run(self, inputs: Tensors) -> Tensors:
        with self._line.slot():
            return self._network.run(inputs)

    def _accept(self) -> None:
        while True:
            connection = Connection(self._listener.accept()[0].detach())
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection, contextlib.suppress(EOFError, OSError):  # until the other instance ends
            while True:
                inputs = _receive(connection)
                try:
                    outputs = self.run(inputs)
                except Exception as error:
                    failure = {"error": str(error), "invalid": isinstance(error, InvalidInput)}
                    connection.send_bytes(json.dumps(failure).encode())
                else:
                    _send(connection, outputs)


class NetworkGone(Exception):
    """The instance that holds the network died, and no other replaced it in time."""


class RemoteNetwork(Network):
    """The network of another instance.

    If that instance dies, the supervisor loads the model again, and waiting requests are answered by the new one.
    """

    inputs = outputs = ()

    def __init__(self, address: Path, patience_seconds: float = PATIENCE_SECONDS, at_once: int = 1) -> None:
        self.at_once = at_once
        self._address = address
        self._patience_seconds = patience_seconds
        self._of_thread = threading.local()

    @property
    def _connection(self) -> Connection | None:
        """Of this thread."""
        return getattr(self._of_thread, "connection", None)

    @_connection.setter
    def _connection(self, connection: Connection | None) -> None:
        self._of_thread.connection = connection

    def run(self, inputs: Tensors) -> Tensors:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                # Connect on first use: by then the model has all its instances, and the first one listens.
                if self._connection is None:
                    self._connection = _connect(self._address)
                _send(self._connection, inputs)
                return _receive(self._connection)
            except (EOFError, OSError) as error:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
                if time.monotonic() > deadline:
                    raise NetworkGone(GONE) from error
                time.sleep(RETRY_SECONDS)


def _connect(address: Path) -> Connection:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.connect(str(address))
        return Connection(end.detach())


def _send(connection: Connection, tensors: Mapping[str, np.ndarray]) -> None:
    specs = {name: [str(tensor.dtype), tensor.shape] for name, tensor in tensors.items()}
    connection.send_bytes(json.dumps({"tensors": specs}).encode())
    for tensor in tensors.values():
        if tensor.size:
            connection.send_bytes(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)


def _receive(connection: Connection) -> Tensors:
    message = json.loads(connection.recv_bytes())
    if "error" in message:
        raise (InvalidInput if message["invalid"] else RuntimeError)(message["error"])
    return {
        name: np.frombuffer(connection.recv_bytes() if np.prod(shape) else b"", dtype).reshape(shape)
        for name, (dtype, shape) in message["tensors"].items()
    }

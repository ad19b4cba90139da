"""One network for all instances of a model: the first instance holds it, the others send it what they are asked.

A request then has an instance of its own, and the network goes from one request to the next clip by clip: who asks for
one clip waits for one of each of those before it, and not for all that a film has. Instances are processes; what they
say to each other goes over a socket that this user alone can open, as a line of JSON and the bytes of each tensor.
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

from backends.compute_lock import shared_path
from backends.tensors import Network, Tensors

PATIENCE_SECONDS = 20.0
"""Less than what the supervisor lets a process of a model go on with that is being unloaded."""
RETRY_SECONDS = 0.1
GONE = "the process that holds the network is not healthy"
"""What Triton itself says of a process that died is `... is not healthy`: a caller may ask again."""


def holds_network(instance_name: str) -> bool:
    """Whether an instance is the first of its group; Triton calls the second one of two `GROUP_1`."""
    return instance_name.endswith("_0")


def address_of(instance_name: str) -> Path:
    """Where the first instance of the group of `instance_name` listens."""
    return shared_path(instance_name.rpartition("_")[0])


class Line:
    """Threads of one process, one at a time and in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: deque[threading.Lock] = deque()

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a turn, and have it for the length of the block."""
        place = threading.Lock()
        place.acquire()
        with self._lock:
            self._places.append(place)
            if self._places[0] is place:
                place.release()
        with place:
            try:
                yield
            finally:
                with self._lock:
                    self._places.popleft()
                    if self._places:
                        self._places[0].release()


class SharedNetwork(Network):
    """A network of this process, for its own instance and for those that connect."""

    def __init__(self, network: Network, address: Path) -> None:
        """Listen at `address`, in the place of who did before: one whose model is being unloaded."""
        self.inputs, self.outputs = network.inputs, network.outputs
        self._network = network
        self._line = Line()
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
        with connection, contextlib.suppress(EOFError, OSError):  # until the other instance goes
            while True:
                inputs = _receive(connection)
                try:
                    outputs = self.run(inputs)
                except Exception as error:
                    connection.send_bytes(json.dumps({"error": str(error)}).encode())
                else:
                    _send(connection, outputs)


class NetworkGone(Exception):
    """The instance that holds the network died, and there was no other for a while."""


class RemoteNetwork(Network):
    """The network of another instance.

    Where that dies, the supervisor loads the model again, and who waits here is answered by the new one.
    """

    inputs = outputs = ()

    def __init__(self, address: Path, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._address = address
        self._patience_seconds = patience_seconds
        self._connection: Connection | None = None

    def run(self, inputs: Tensors) -> Tensors:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                # Not before it is needed: the model has all its instances then, and the first of them listens.
                self._connection = self._connection or _connect(self._address)
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
        # Of a tensor that is empty there is nothing to say.
        if tensor.size:
            connection.send_bytes(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8))


def _receive(connection: Connection) -> Tensors:
    message = json.loads(connection.recv_bytes())
    if "error" in message:
        raise RuntimeError(message["error"])
    return {
        name: np.frombuffer(connection.recv_bytes() if np.prod(shape) else b"", dtype).reshape(shape)
        for name, (dtype, shape) in message["tensors"].items()
    }

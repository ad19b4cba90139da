"""Starting a server from code."""

import contextlib
from collections.abc import Iterator

from server.errors import ServerFailed
from server.installation import Triton, find_triton
from server.instance import Server
from server.leftovers import remove_leftovers
from server.metrics import Counts
from server.preflight import problems
from server.settings import Settings


def start(settings: Settings, counts: Counts | None = None) -> Server:
    """Start a server; it is not ready yet.

    `counts` are those of the server before it, which continue. Raises `ServerFailed` that names every problem found, or
    `NoServer`.
    """
    ports = {"HTTP_PORT": settings.http_port, "GRPC_PORT": settings.grpc_port, "METRICS_PORT": settings.metrics_port}
    triton = find_triton()
    remove_leftovers()  # first: they may hold ports and shared memory
    found = problems(
        settings.model_repository, settings.address, ports, triton.profile(), settings.precision, settings.tls
    )
    if found:
        raise ServerFailed("; ".join(found))
    try:
        return launch(settings, triton, counts)
    except OSError as error:
        raise ServerFailed(f"the server cannot be started: {error}") from error


def launch(settings: Settings, triton: Triton, counts: Counts | None = None) -> Server:
    """`start` without a search for problems, for any model repository; OSError if a port is taken."""
    server = Server(settings, triton, counts or Counts())
    server.open()
    return server


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Server]:
    """A server that is ready, for the length of a `with` block."""
    server = start(settings)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()

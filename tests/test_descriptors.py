"""A server whose callers use up its file descriptors goes on serving."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from client import Client
from fixtures.synthetic import encode
from server import Settings
from server.descriptors import RESERVED
from tests.processes import alive, descendants, stubs
from tests.test_serve import drain, serving
from tests.waiting import wait_for

LIMIT = 1024
CONNECTIONS = 1100


def limited(program: str) -> subprocess.CompletedProcess[str]:
    """A Python program that may open up to 64 descriptors at first, and 128 if it raises its limit."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128)),
    )


def test_the_limit_is_raised_to_what_the_system_allows() -> None:
    program = (
        "import resource; from server.descriptors import raise_limit; raise_limit(); raise_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert limited(program).stdout == "(128, 128)\n"


def test_reserved_descriptors_are_there_when_no_others_are() -> None:
    program = f"""
import os
from server.descriptors import ReservedDescriptors
from video.processes import find_process
reserved = ReservedDescriptors()
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    find_process(os.getpid())  # a process that cannot be looked at has not ended
except OSError as error:
    print(error.strerror)
with reserved.released():
    print(find_process(os.getpid()).pid == os.getpid(), len(os.listdir("/proc/self/fd")) <= 64 - {RESERVED} + 1)
print(len(reserved._held) == {RESERVED})
"""
    result = limited(program)
    assert result.stdout.splitlines() == ["Too many open files", "True True", "True"], result.stderr


@contextmanager
def descriptors(limit: int) -> Iterator[None]:
    """The limit of this process, and of those that it starts, for the length of a `with` block."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("which", ["grpc", "http"])
def test_idle_connections_do_not_end_the_server(which: str, tiny_repository: Path) -> None:
    settings = Settings.on_free_ports(tiny_repository, precision="f32")
    port = settings.grpc_port if which == "grpc" else settings.http_port
    video = encode(50)
    with (
        serving(settings, limit=LIMIT) as process,
        Client(f"localhost:{settings.grpc_port}", away_seconds=60) as client,
    ):
        lines = drain(process.stdout)
        expected = client.score(video)
        triton = next(pid for pid in descendants(process.pid) if stubs(pid, "motion_head"))
        with ExitStack() as stack, descriptors(2 * CONNECTIONS):
            for _ in range(CONNECTIONS):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            exhausted = process.pid if which == "grpc" else triton
            wait_for(lambda: len(os.listdir(f"/proc/{exhausted}/fd")) >= LIMIT - 2 * RESERVED)
            victim = stubs(triton, "motion_head")[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: not alive(victim))
            if which == "grpc":  # over HTTP, tritonserver cannot be reached until callers leave it a connection
                wait_for(lambda: "motion_head is ready again" in "".join(lines))
            assert process.poll() is None
        assert client.score(video) == expected
        assert process.poll() is None
    assert "Traceback" not in "".join(lines)

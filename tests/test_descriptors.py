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

from client import Client
from fixtures.synthetic import encode
from server import Settings
from server.descriptors import RESERVED
from server.local_http import open_local
from tests.processes import descendants, stubs
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


def test_a_share_of_the_descriptors_is_a_bound() -> None:
    program = "from server.descriptors import share; print(share(512, 8), share(4, 8), share(512, 1000))"
    assert limited(program).stdout == "8 4 1\n"


def test_idle_connections_to_every_port_lock_nobody_out(small_repository: Path) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    url = f"localhost:{settings.grpc_port}"
    video = encode(50)
    with serving(settings, limit=LIMIT) as process, Client(url, away_seconds=60) as client:
        lines = drain(process.stdout)
        expected = client.score(video)
        triton = next(pid for pid in descendants(process.pid) if stubs(pid, "motion_head"))
        with ExitStack() as stack, descriptors(4 * CONNECTIONS):
            for port in (settings.grpc_port, settings.http_port, settings.metrics_port):
                for _ in range(CONNECTIONS):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            assert client.score(video) == expected
            with Client(url) as another:
                assert another.score(video) == expected
            victim = stubs(triton, "motion_head")[0]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: "motion_head is ready again" in "".join(lines), 15)
            assert client.score(video) == expected
            with open_local(f"http://127.0.0.1:{settings.http_port}/v2/health/ready", 5) as answer:
                assert answer.status == 200
            with open_local(f"http://127.0.0.1:{settings.metrics_port}/metrics", 5) as answer:
                assert b"nv_inference_request_success" in answer.read()
            for pid in (process.pid, triton):
                assert len(os.listdir(f"/proc/{pid}/fd")) < LIMIT - 2 * RESERVED
        assert process.poll() is None
    output = "".join(lines)
    assert "Traceback" not in output
    assert output.count("too many connections") == 3  # one line for each port
    assert len(output) < 100_000

"""What a decoder process cannot do, shown by trying it from inside the sandbox."""

import json
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from client import Client
from fixtures.synthetic import encode
from server import Server
from tests.processes import workers
from video import IsolatedDecoder, Limits

FORBIDDEN = {
    "open a file": "open('/etc/passwd')",
    "make a file": "open('/tmp/video-motion-escape', 'w')",
    "list a folder": "os.listdir('/')",
    "remove a file": "os.unlink('/tmp/video-motion-escape')",
    "reach the network": "socket.socket(socket.AF_INET)",
    "reach a local socket": "socket.socket(socket.AF_UNIX)",
    "start a process": "os.fork()",
    "become a program": "os.execv('/bin/true', ['true'])",
    "end another process": "os.kill(os.getppid(), 0)",
    "change a limit": "ctypes_call('setrlimit', resource.RLIMIT_AS, (ctypes.c_ulonglong * 2)(1 << 40, 1 << 40))",
    "change its user": "os.setuid(65534)",
    "make memory with a name": "os.memfd_create('x')",
    "mount": "ctypes_call('mount', b'none', b'/mnt', b'tmpfs', 0, None)",
    "trace": "ctypes_call('ptrace', 16, os.getppid(), None, None)",
    "leave its namespaces": "ctypes_call('unshare', 0x10000000)",
}


def inside(body: str, before: str = "") -> object:
    """The `result` that `body` sets in a process inside the sandbox."""
    program = f"""
import ctypes, json, os, resource, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)

def ctypes_call(name, *arguments):
    if getattr(libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

from video import sandbox
{before}
missing = sandbox.enter()
{textwrap.dedent(body)}
os.write(1, json.dumps(result).encode())
os._exit(0)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


def test_everything_but_computing_is_forbidden() -> None:
    tries = inside(f"""
        result = {{"missing": missing}}
        for name, statement in {FORBIDDEN!r}.items():
            try:
                exec(statement)
                result[name] = "done"
            except OSError as error:
                result[name] = error.errno
        """)
    assert tries == {"missing": []} | dict.fromkeys(FORBIDDEN, 1)  # EPERM


def test_threads_and_memory_are_allowed() -> None:
    computed = inside("""
        result = []
        thread = threading.Thread(target=lambda: result.append(len(bytearray(100_000_000))))
        thread.start()
        thread.join()
        """)
    assert computed == [100_000_000]


def test_a_missing_barrier_is_named() -> None:
    missing = inside("result = missing", before="sys.modules['pyseccomp'] = None")
    assert isinstance(missing, list)
    assert [name.partition(" (")[0] for name in missing] == ["the system call filter"]


@pytest.mark.parametrize("model", [pytest.param("video_sampling", marks=pytest.mark.slow), "video_decode"])
def test_the_workers_of_a_server_are_in_the_sandbox(model: str, server: Server, client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:  # so many that each worker gets one, and so has started
        list(pool.map(client.score, [encode(20)] * 16))
    for worker in workers(server.process.pid, model):
        status = Path(f"/proc/{worker}/status").read_text()
        assert "NoNewPrivs:\t1\n" in status
        assert "Seccomp:\t2\n" in status
        # It has its own socket and the standard streams, and no other descriptor of its parent.
        open_files = {os.readlink(path) for path in Path(f"/proc/{worker}/fd").iterdir()}
        assert {name.partition(":")[0] for name in open_files} <= {"/dev/null", "pipe", "socket"}
        assert sum(name.startswith("socket:") for name in open_files) == 1


def test_cpu_time_is_limited_per_request() -> None:
    decoder = IsolatedDecoder(Limits(timeout_seconds=30))
    video = encode(20)
    seen = []
    try:
        for _ in range(2):
            plan = decoder.plan(memoryview(video), {})
            assert np.diff(plan["frame_indices"]).min() > 0
            assert decoder._process is not None
            limits = Path(f"/proc/{decoder._process.pid}/limits").read_text().splitlines()
            (line,) = (line for line in limits if line.startswith("Max cpu time"))
            seen.append(int(line.split()[3]))
    finally:
        decoder.close()
    seconds = 30 * len(os.sched_getaffinity(0))
    assert all(seconds <= limit <= seconds + 5 for limit in seen)

"""Processes that are started while calls arrive, as tritonserver is after a start that crashed."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

STARTS = """
import os, subprocess, threading
import server
import grpc
from server.ports import LOOPBACK, free_ports
from server.proxy import INFER, Proxy

port, upstream = free_ports(LOOPBACK, 2)
proxy = Proxy(LOOPBACK, port, f"{LOOPBACK}:{upstream}")

def call():
    while True:
        with grpc.insecure_channel(f"{LOOPBACK}:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                channel.unary_unary(INFER)(b"", timeout=5)
            except grpc.RpcError:
                called.set()

called = threading.Event()
for _ in range(3):
    threading.Thread(target=call, daemon=True).start()
called.wait(30)
print([subprocess.Popen(["true"], preexec_fn=lambda: None).wait(30) for _ in range(150)], flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_no_process_crashes_because_calls_arrive_when_it_is_forked() -> None:
    """With gRPC's handlers, a tenth of them did."""
    command = [sys.executable, "-c", STARTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a process that hangs before it is another program, too
    assert output == f"{[0] * 150}\n"

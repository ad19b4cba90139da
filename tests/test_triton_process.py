"""Why tritonserver ended, as its log and its exit status say it."""

import os
import sys
import threading

import pytest

from server.triton_process import TritonProcess

ABORT = "import os; os.abort()"
GRPC = "F1128 05:12:07.000001 4711 ev_epoll1_linux.cc:123] poller encountered epoll_wait error: Bad file descriptor"
THROWN = "terminate called after throwing an instance of 'lock_exception'\n  what():  lock_exception"


def ended(lines: str, then: str = "raise SystemExit(1)") -> str:
    """The reason that is given for a process that writes `lines` and ends."""
    process = TritonProcess([sys.executable, "-c", f"print({lines!r}, flush=True); {then}"], os.environ, "none_")
    process.popen.wait(30)
    try:
        return process.failure()
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("lines", "then", "reason"),
    [
        ("I1128 all is well", "raise SystemExit(3)", "exit status 3"),
        ("I1128 all is well", ABORT, "ended by SIGABRT"),
        (GRPC, ABORT, "poller encountered epoll_wait error: Bad file descriptor; ended by SIGABRT"),
        (THROWN, ABORT, "lock_exception; ended by SIGABRT"),
        ("error: creating server: Internal", "raise SystemExit(1)", "error: creating server: Internal"),
        (
            "E1128 05:12:07.1 1 m.cc:1] \"failed to load 'motion_head' version 1: Internal: no file\\n\\nAt: here\"",
            "raise SystemExit(1)",
            "failed to load 'motion_head' version 1: Internal: no file",
        ),
    ],
)
def test_the_reason_is_what_it_wrote_and_how_it_ended(lines: str, then: str, reason: str) -> None:
    assert ended(lines, then) == reason


def test_its_errors_can_be_read_while_it_writes() -> None:
    """As if a start takes too long, and it is still loading models."""
    process = TritonProcess([sys.executable, "-c", "print('E1128 failed')"], os.environ, "none_")
    process.popen.wait(30)
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            process._keep("E1128 failed\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(1000):
            assert "E1128 failed" in process.errors + process.log
            assert process.failure() == "exit status 0"
    finally:
        ended.set()
        writer.join()
        process.kill()

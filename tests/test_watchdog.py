"""A tritonserver that is stopped or hangs is killed in time, and one that is only slow is not."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import ANY

import pytest

from server import watchdog
from server.liveness import Probe
from server.watchdog import BUSY_SECONDS, POLL_SECONDS, Activity, HangDetector, Watchdog, activity_of
from tests.waiting import wait_for

STOPPED, SILENT, BUSY = "has been stopped", "does nothing", "has not answered for 30 s"


Look = tuple[str, bool, Activity]


def looks(
    seconds: float, *, state: str = "S", answers: bool = False, share: float = 0.0, busy: bool = False
) -> list[Look]:
    """What is seen for so long.

    The threads compute or wait for `share` of a core; `busy`: one does at each look, or waits for a disk.
    """
    count = round(seconds / POLL_SECONDS)
    return [(state, answers, Activity(share * POLL_SECONDS * look, busy)) for look in range(1, count + 1)]


@pytest.mark.parametrize(
    ("seen", "after", "why"),
    [
        pytest.param(looks(60, answers=True), None, "", id="answers"),
        pytest.param(looks(10, state="T"), 1.5, STOPPED, id="stopped"),
        pytest.param(looks(10, state="T", answers=True), 1.5, STOPPED, id="stopped after it had answered"),
        pytest.param((looks(1, state="T") + looks(0.5, answers=True)) * 9, None, "", id="stopped for moments"),
        pytest.param(looks(60, state="t"), None, "", id="held by a debugger"),
        pytest.param(looks(10), 3.0, SILENT, id="hangs"),
        pytest.param(looks(10, share=0.02), 3.0, SILENT, id="hangs, and threads poll"),
        pytest.param(looks(20, share=0.2), None, "", id="computes"),
        pytest.param(looks(20, busy=True), None, "", id="waits for a disk, or for a core that does not come"),
        pytest.param(looks(60, busy=True), BUSY_SECONDS, BUSY, id="waits for ever"),
        pytest.param(looks(10, busy=True) + looks(10), 12.0, SILENT, id="hangs after it has waited"),
        pytest.param((looks(1.5) + looks(0.5, busy=True)) * 10, None, "", id="waits now and then"),
        pytest.param(looks(60, share=2.0), BUSY_SECONDS, BUSY, id="computes for ever"),
        pytest.param(looks(10, share=1.0) + looks(10), 12.0, SILENT, id="hangs after it has computed"),
        pytest.param((looks(2.5) + looks(0.5, answers=True)) * 9, None, "", id="answers slowly"),
    ],
)
def test_it_is_killed_if_it_is_stopped_or_hangs_and_not_if_it_is_busy(
    seen: list[Look], after: float | None, why: str
) -> None:
    detector, killed = HangDetector(0.0), None
    for number, (state, answered, activity) in enumerate(seen, start=1):
        now = number * POLL_SECONDS
        wanted = activity if detector.silent else None
        verdict = detector.verdict(now, state=state, answered=answered, activity=wanted)
        if verdict is not None:
            killed = now
            assert why
            assert why in verdict
            break
    assert killed == after


def test_what_was_seen_before_this_process_lost_its_core_does_not_count() -> None:
    detector = HangDetector(0.0)
    for round_start in range(0, 100, 4):
        for moment in (0.0, 0.5, 1.0, 1.5, 2.0):  # and then 2 s without a look
            now = round_start + moment
            still = Activity(0.0, busy=False)
            assert detector.verdict(now, state="S", answered=False, activity=still) is None


def test_an_unknown_activity_is_no_idleness() -> None:
    detector = HangDetector(0.0)
    for look in range(1, round(BUSY_SECONDS / POLL_SECONDS)):
        assert detector.verdict(look * POLL_SECONDS, state="S", answered=False, activity=None) is None


SERVER = """
import http.server, socketserver, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if served.hangs:
            time.sleep(1000)
        if served.slow:
            time.sleep(served.slow)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

class Served(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, hangs, slow = True, False, 0.0

served = Served(("127.0.0.1", 0), Handler)
print(served.server_address[1], flush=True)
import threading
threading.Thread(target=served.serve_forever, daemon=True).start()
for line in sys.stdin:
    exec(line)
"""


@contextmanager
def watched(
    monkeypatch: pytest.MonkeyPatch, is_ending: Callable[[], bool] = lambda: False
) -> Iterator[subprocess.Popen[str]]:
    """A server and its watchdog, whose times are a fifth of the usual ones."""
    for limit in ("POLL_SECONDS", "LATE_SECONDS", "STOPPED_SECONDS", "SILENT_SECONDS"):
        monkeypatch.setattr(watchdog, limit, getattr(watchdog, limit) / 5)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        dog = Watchdog(process, f"http://127.0.0.1:{process.stdout.readline().strip()}", is_ending)
        try:
            yield process
        finally:
            dog.close()
            process.kill()


def tell(process: subprocess.Popen[str], statement: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{statement}\n")
    process.stdin.flush()


@pytest.mark.heavy
@pytest.mark.parametrize("how", ["stopped", "hangs"])
def test_a_server_is_killed_if_it_is_stopped_or_hangs(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(monkeypatch) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        if how == "stopped":
            process.send_signal(signal.SIGSTOP)
        else:
            tell(process, "served.hangs = True")
        assert process.wait(5) == -signal.SIGKILL
    (message,) = caplog.messages
    assert f"tritonserver (process {process.pid}): " in message
    assert "stopped for 0.2 s" in message if how == "stopped" else "not answered for 0.6 s, and does nothing" in message


@pytest.mark.heavy
def test_a_server_that_was_asked_to_end_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    with watched(monkeypatch, asked.is_set) as process:
        asked.set()
        tell(process, "served.hangs = True")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)


@pytest.mark.heavy
def test_a_server_that_is_slow_or_busy_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(monkeypatch) as process:
        tell(process, "served.slow = 0.4")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        tell(process, "served.hangs = True")
        tell(process, "while True: pass")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)


def test_a_probe_survives_refusals_and_closed_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        probe = Probe(f"http://127.0.0.1:{port}")
        assert not probe.answered()
        connection, _ = listener.accept()
        assert b"/v2/health/live" in connection.recv(1000)
        assert not probe.answered()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        wait_for(probe.answered, seconds=5)
        assert connection.recv(1000)  # it has asked again
        connection.close()
        assert not probe.answered()
    assert not probe.answered()
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert not probe.answered()
        connection, _ = listener.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        wait_for(probe.answered, seconds=5)
        connection.close()
    probe.close()


def threads_of(work: str) -> subprocess.Popen[bytes]:
    """A process with three threads that do `work`, after they have begun."""
    program = (
        "import threading, time\n"
        "def work():\n"
        f"    while True: {work}\n"
        "for _ in range(3): threading.Thread(target=work, daemon=True).start()\n"
        "print(flush=True)\n"
        "input()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_the_activity_of_a_process_counts_all_its_threads() -> None:
    with threads_of("pass") as process:
        before = activity_of(process.pid)
        time.sleep(0.3)
        after = activity_of(process.pid)
        process.kill()
    assert before is not None
    assert after is not None
    assert after.seconds - before.seconds > 0.05
    assert activity_of(process.pid) is None


def test_a_process_is_busy_while_a_thread_has_a_core_or_waits_for_one() -> None:
    """Whether the one or the other does not matter, so that this holds on a machine with any load."""
    for work, busy in (("pass", True), ("time.sleep(1000)", False)):
        with threads_of(work) as process:
            wait_for(partial(is_seen, process.pid, busy))
            process.kill()


def is_seen(pid: int, busy: bool) -> bool:
    return activity_of(pid) == Activity(ANY, busy)

"""The HTTP and metrics ports: what is served, what is refused unread, and callers that never send, or never stop."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from server import http_api
from server.flags import KEY_NAME
from server.http_api import MAX_OPEN_BODY_BYTES, HttpApi
from server.http_server import MAX_HEAD_BYTES, MAX_LINGER_BYTES, HttpLimits
from server.metrics import Counts, MetricsEndpoint
from server.ports import free_ports
from tests.waiting import wait_for

KEY = "secret"
SERVED = (
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/stats",
    "/v2/models/video_motion",
    "/v2/models/video_motion/ready",
    "/v2/models/video_motion/config",
    "/v2/models/video_motion/versions/1",
    "/v2/models/video_motion/versions/1/stats",
    "/v2/models/video_motion/stats?verbose=1",
)
CLOSED = (
    "/v2/repository/index",
    "/v2/repository/models/video_motion/unload",
    "/v2/models/video_motion/infer",
    "/v2/models/video_motion/versions/1/infer",
    "/v2/models/video_motion/generate",
    "/v2/models/video_motion/trace/setting",
    "/v2/models/video_motion/%69nfer",
    "/v2/models/video_motion%2Finfer",
    "/v2/health/../repository/index",
    "/v2/systemsharedmemory/status",
    "/v2/trace/setting",
    "/v2/logging",
)
QUICK = HttpLimits(head_seconds=0.5, idle_seconds=1.0, stall_seconds=0.5)


class Triton:
    """Stands in for tritonserver; remembers what reached it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, int]] = []
        self.hold = threading.Event()
        self.hold.set()
        triton = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                triton.hold.wait(20)
                size = 0
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    while part := int(self.rfile.readline(), 16):
                        size += len(self.rfile.read(part))
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    size = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                triton.requests.append((self.command, self.path, size))
                body = json.dumps({"path": self.path}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_HEAD = answer

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.listener.daemon_threads = True
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.listener.server_port

    def close(self) -> None:
        self.listener.shutdown()
        self.listener.server_close()


@pytest.fixture(scope="module")
def one_triton() -> Iterator[Triton]:
    triton = Triton()
    yield triton
    triton.close()


@pytest.fixture
def triton(one_triton: Triton) -> Triton:
    one_triton.requests.clear()
    return one_triton


@contextlib.contextmanager
def serving(triton: Triton, limits: HttpLimits | None = None) -> Iterator[tuple[HttpApi, int]]:
    (port,) = free_ports("127.0.0.1", 1)
    api = HttpApi("127.0.0.1", port, KEY, lambda: triton.address, limits)
    try:
        yield api, port
    finally:
        api.close()


@pytest.fixture
def port(triton: Triton) -> Iterator[int]:
    with serving(triton) as (_, found):
        yield found


def ask(
    port: int, target: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str]]:
    """Status and JSON of one request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def with_key(value: str = KEY) -> dict[str, str]:
    return {KEY_NAME: value}


def test_health_metadata_and_statistics_are_served(port: int, triton: Triton) -> None:
    for target in SERVED:
        assert ask(port, target) == (200, {"path": target})
    assert [path for _, path, _ in triton.requests] == list(SERVED)
    assert ask(port, SERVED[0], "HEAD") == (200, {})


@pytest.mark.parametrize("target", CLOSED)
def test_other_apis_need_the_key_and_do_not_reach_triton_without_it(target: str, port: int, triton: Triton) -> None:
    for method in ("GET", "POST"):
        for headers in ({}, with_key("wrong"), with_key("")):
            status, answer = ask(port, target, method, b"{}" if method == "POST" else None, **headers)
            assert status == 403
            assert answer["error"].startswith("this API needs the server's key in the header video-motion-key")
    assert triton.requests == []
    assert ask(port, target, "POST", b"{}", **with_key()) == (200, {"path": target})
    assert triton.requests == [("POST", target, 2)]


def test_what_is_not_served_is_said(port: int, triton: Triton) -> None:
    for target in ("/", "/metrics", "/v3/health/live", "/v2x", "*"):
        status, answer = ask(port, target)
        assert (status, answer["error"]) == (404, "health, metadata and statistics are served here, under /v2")
    status, answer = ask(port, "/v2/health/ready", "POST", b"{}")
    assert (status, answer["error"]) == (405, "health, metadata and statistics are read with GET")
    assert triton.requests == []


def test_bodies_with_the_key_arrive_whole(port: int, triton: Triton) -> None:
    body = bytes(5 << 20)
    assert ask(port, CLOSED[2], "POST", body, **with_key())[0] == 200
    assert ask(port, CLOSED[2], "POST", body, Expect="100-continue", **with_key())[0] == 200
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", CLOSED[2], iter([b"a" * 1000] * 1000), with_key(), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert [size for _, _, size in triton.requests] == [5 << 20, 5 << 20, 1_000_000]


def endless(port: int, head: str, chunk: bytes, seconds: float = 10) -> tuple[int, bytes]:
    """Send a head and then chunks without end; how many bytes went out until the server had enough, and its answer."""
    sent, answered = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(head.encode())
        deadline = time.monotonic() + seconds
        connection.setblocking(False)
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                answered += connection.recv(65536)
            try:
                sent += connection.send(chunk)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                with contextlib.suppress(OSError):  # what came since the last look
                    answered += connection.recv(65536)
                return sent, answered
    raise AssertionError(f"the server still reads after {sent} bytes")


CHUNK = b"%x\r\n" % (64 << 10) + bytes(64 << 10) + b"\r\n"


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/v2/models/video_motion/infer", 403),
        ("POST", "/v2/repository/models/video_motion/load", 403),
        ("POST", "/v2/health/ready", 405),
        ("GET", "/v2/health/ready", 413),
        ("GET", "/none", 404),
    ],
)
@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: 100000000000"])
def test_a_body_without_end_is_refused_unread(
    framing: str, method: str, target: str, status: int, port: int, triton: Triton
) -> None:
    sent, answered = endless(port, f"{method} {target} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n", CHUNK)
    assert answered.startswith(f"HTTP/1.1 {status} ".encode())
    assert b'{"error": "' in answered
    assert sent < MAX_LINGER_BYTES + (16 << 20)  # what the kernel keeps included
    assert triton.requests == []


def test_a_body_with_the_key_has_a_bound(port: int, triton: Triton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "MAX_BODY_BYTES", 1000)
    status, answer = ask(port, CLOSED[2], "POST", bytes(1001), **with_key())
    assert (status, answer["error"]) == (413, "the body has 1001 bytes, the limit is 1000")
    head = f"POST {CLOSED[2]} HTTP/1.1\r\nHost: a\r\n{KEY_NAME}: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, answered = endless(port, head, CHUNK)
    assert b"the body is larger than 1000 bytes, which is the limit here" in answered
    assert ask(port, CLOSED[2], "POST", bytes(1000), **with_key())[0] == 200


def raw(port: int, data: bytes) -> bytes:
    """What the server answers to these bytes until it closes the connection."""
    answered = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                answered += part
    return answered


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MAX_HEAD_BYTES, 431),
        (b"x" * (MAX_HEAD_BYTES + 1), 431),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\n\r\n", 400),  # without a host
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnothing\r\n", 400),
    ],
)
def test_what_is_not_http_is_refused_in_one_sentence(data: bytes, status: int, port: int, triton: Triton) -> None:
    head, _, body = raw(port, data).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]
    assert triton.requests == []


@pytest.mark.heavy
def test_callers_that_stop_sending_are_left(triton: Triton) -> None:
    with serving(triton, QUICK) as (_, port):
        started = time.monotonic()
        assert raw(port, b"") == b""
        assert raw(port, b"GET /v2 HT") == b""
        stalled = raw(port, b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        assert stalled.startswith(b"HTTP/1.1 408 ")
        assert b"the body stopped arriving for 0.5 s" in stalled
        assert b'"path"' in raw(port, b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")  # answered, then idle
        assert 2.5 < time.monotonic() - started < 9


def test_a_head_that_comes_byte_by_byte_has_a_limit(triton: Triton) -> None:
    with serving(triton, QUICK) as (_, port), socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.settimeout(0.05)
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() < started + 10:
                slow.send(b"G")
                with contextlib.suppress(TimeoutError):
                    assert slow.recv(100) == b""
                    break
        assert time.monotonic() - started < 5


def test_a_body_that_comes_byte_by_byte_has_a_limit(triton: Triton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "OPEN_SECONDS", 0.5)
    with serving(triton) as (_, port), socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % MAX_OPEN_BODY_BYTES)
        slow.settimeout(0.05)
        answered, started = b"", time.monotonic()
        while not answered and time.monotonic() < started + 10:
            slow.send(b"x")
            with contextlib.suppress(TimeoutError):
                answered = slow.recv(4096)
    assert b" 408 " in answered
    assert b"the body did not arrive within 0.5 s" in answered


def test_connections_are_kept_and_requests_answered_in_order(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for target in SERVED:
        connection.request("GET", target)
        assert json.load(connection.getresponse()) == {"path": target}
    connection.close()
    pipelined = b"".join(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for target in SERVED)
    answered = raw(port, pipelined + b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answered.count(b"HTTP/1.1 200 ") == len(SERVED)
    assert raw(port, b"GET /v2 HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_request_within_a_body_does_not_reach_triton(port: int, triton: Triton) -> None:
    hidden = b"POST /v2/repository/index HTTP/1.1\r\nHost: a\r\n\r\n"
    for framing in (b"Content-Length: %d\r\n" % len(hidden), b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"):
        raw(port, b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + framing + b"\r\n" + hidden)
    assert {path for _, path, _ in triton.requests} <= {"/v2"}


@pytest.mark.heavy
def test_idle_connections_lock_nobody_out(triton: Triton) -> None:
    with serving(triton) as (api, port), ExitStack() as stack:
        total = api._server.connections.total
        for _ in range(2 * total):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        started = time.monotonic()
        for target in SERVED:
            assert ask(port, target)[0] == 200
        assert time.monotonic() - started < 5
        assert len(api._server.connections) <= total // 2
        assert api._server.connections.refused == 0


def test_slow_bodies_lock_nobody_out(triton: Triton) -> None:
    with serving(triton) as (api, port), ExitStack() as stack:
        for _ in range(api._server.connections.per_group):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            slow.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\na")
        wait_for(lambda: len(api._server.connections) == api._server.connections.per_group)
        assert ask(port, "/v2/health/ready")[0] == 200


def test_a_triton_that_is_away_or_hangs_is_reported(triton: Triton, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "OPEN_SECONDS", 0.5)
    with serving(triton) as (_, port):
        triton.hold.clear()
        try:
            status, answer = ask(port, "/v2/health/ready")
        finally:
            triton.hold.set()
        assert (status, answer["error"]) == (504, "tritonserver did not answer within 0.5 s")
        (nobody,) = free_ports("127.0.0.1", 1)
        monkeypatch.setattr(Triton, "address", ("127.0.0.1", nobody))
        status, answer = ask(port, "/v2/health/ready")
        assert status == 503
        assert answer["error"].startswith("tritonserver does not answer (")


def test_a_taken_port_is_an_error(port: int, triton: Triton) -> None:
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        HttpApi("127.0.0.1", port, KEY, lambda: triton.address)


@pytest.mark.heavy
def test_metrics_are_served_among_idle_connections(triton: Triton) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    endpoint = MetricsEndpoint("127.0.0.1", port, lambda: triton.address, Counts())
    try:
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            answered = raw(port, b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b'{"path": "/metrics"}' in answered  # Triton's part
            assert b"\nvideo_motion_server_restarts_total 0.0" in answered
            assert len(endpoint._server.connections) <= endpoint._server.connections.per_group
        assert ask(port, "/")[0] == 404
        assert ask(port, "/metrics", "POST", b"{}")[0] == 405
    finally:
        endpoint.close()


@pytest.mark.heavy
def test_a_flood_of_connections_does_not_cut_off_new_requests(triton: Triton) -> None:
    """Connections come faster than the event loop turns; a request among them is still answered."""
    with serving(triton) as (api, port), ExitStack() as stack:
        ended = threading.Event()

        def flood() -> None:
            while not ended.is_set():
                with ExitStack() as held, contextlib.suppress(OSError):
                    for _ in range(300):
                        held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))

        threads = [threading.Thread(target=flood) for _ in range(2)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(ended.set)
        wait_for(lambda: api._server.connections.displaced > 100)
        for _ in range(50):
            assert ask(port, "/v2/health/ready")[0] == 200

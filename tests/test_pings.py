"""How often callers may ask the server whether it is still there, as raw HTTP/2."""

import socket
import time
from collections.abc import Iterator

import pytest

from server import proxy
from server.pings import GRPC_OPTIONS, KEEPALIVE_SECONDS, PING_INTERVAL_SECONDS, TRITON_FLAGS
from server.ports import LOOPBACK, free_ports
from server.proxy import Proxy

SETTINGS, PING, GOAWAY = 4, 6, 7
ACK = 1
PINGS = 4
"""By default, gRPC answers three pings without data and closes the connection after the fourth."""


def frame(kind: int, flags: int = 0, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + bytes(4) + content


def frames(connection: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and content of the frames that come."""
    with connection.makefile("rb") as stream:
        while head := stream.read(9):
            yield head[3], head[4], stream.read(int.from_bytes(head[:3], "big"))


def ping(port: int, pause_seconds: float) -> tuple[int, bytes]:
    """Ping PINGS times without a call; pings answered, and the reason if the server ended the connection."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
        coming = frames(connection)
        for number in range(PINGS):
            connection.sendall(frame(PING, content=bytes(8)))
            for kind, flags, content in coming:
                if kind == GOAWAY:
                    return number, content[8:]
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK))
                if kind == PING and flags & ACK:
                    break
            if number < PINGS - 1:
                time.sleep(pause_seconds)
        connection.sendall(frame(PING, content=b"the last"))  # what comes after a ping that was one too many
        for kind, flags, content in coming:
            if kind == GOAWAY:
                return PINGS, content[8:]
            if kind == PING and flags & ACK and content == b"the last":
                return PINGS, b""
        return PINGS, b"closed"


@pytest.fixture
def port() -> Iterator[int]:
    port, triton = free_ports(LOOPBACK, 2)
    proxy = Proxy(LOOPBACK, port, f"{LOOPBACK}:{triton}")
    try:
        yield port
    finally:
        proxy.close()


@pytest.mark.heavy
def test_a_ping_a_second_between_calls_is_answered(port: int) -> None:
    assert ping(port, PING_INTERVAL_SECONDS + 0.05) == (PINGS, b"")


def test_pings_without_a_pause_end_the_connection(port: int) -> None:
    answered, reason = ping(port, 0)
    assert answered <= PINGS
    assert reason == b"too_many_pings"


def test_tritonserver_itself_has_the_same_limit() -> None:
    assert TRITON_FLAGS == [
        "--grpc-http2-min-recv-ping-interval-without-data=1000",
        "--grpc-keepalive-permit-without-calls=true",
        "--grpc-keepalive-time=30000",
        "--grpc-keepalive-timeout=60000",
        "--grpc-http2-max-pings-without-data=0",
    ]


@pytest.mark.heavy
def test_a_silent_caller_is_pinged_and_one_that_does_not_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    shorter = {"grpc.keepalive_time_ms": 1000, "grpc.keepalive_timeout_ms": 500, "grpc.http2.ping_timeout_ms": 500}
    monkeypatch.setattr(proxy, "LISTENING", [(name, shorter.get(name, value)) for name, value in proxy.LISTENING])
    port, triton = free_ports(LOOPBACK, 2)
    ours = Proxy(LOOPBACK, port, f"{LOOPBACK}:{triton}")
    try:
        with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
            pings = []
            for kind, flags, content in frames(connection):
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK))
                if kind == PING and not flags & ACK:
                    pings.append(time.monotonic())
                    if len(pings) == 1:
                        connection.sendall(frame(PING, ACK, content))
            assert len(pings) == 2
            assert pings[1] - pings[0] > 0.9
            assert 0.4 < time.monotonic() - pings[1] < 5
    finally:
        ours.close()


def test_the_server_pings_before_a_balancer_forgets_the_connection() -> None:
    assert KEEPALIVE_SECONDS < 50
    assert dict(GRPC_OPTIONS)["grpc.keepalive_time_ms"] == KEEPALIVE_SECONDS * 1000
    assert set(GRPC_OPTIONS) <= set(proxy.LISTENING)

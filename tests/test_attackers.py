"""A real server under attack: a caller with good videos does not notice."""

import contextlib
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from client import Client
from fixtures.synthetic import encode
from server import Server
from server.proxy import INFER
from tests.http2 import RawCaller
from tests.waiting import wait_for

VIDEO = encode(20)
ROUNDS = 10
MOST_GROWTH_KIB = 64 << 10


class Attack(threading.Thread):
    """Repeats an attack until it is ended; an attacker's own errors do not matter."""

    def __init__(self, once: Callable[[threading.Event], None]) -> None:
        super().__init__(daemon=True)
        self._once = once
        self.ended = threading.Event()
        self.rounds = 0

    def run(self) -> None:
        while not self.ended.is_set():
            with contextlib.suppress(OSError):
                self._once(self.ended)
            self.rounds += 1
            self.ended.wait(0.2)


def idle_connections(port: int) -> Callable[[threading.Event], None]:
    def once(ended: threading.Event) -> None:
        with ExitStack() as stack:
            for _ in range(300):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            ended.wait(1)

    return once


def calls_without_messages(port: int) -> Callable[[threading.Event], None]:
    def once(ended: threading.Event) -> None:
        with ExitStack() as stack:
            for _ in range(4):
                caller = stack.enter_context(RawCaller(port))
                for _ in range(100):
                    caller.begin_message(caller.open(INFER), 1 << 20)
            ended.wait(2)

    return once


def body_without_end(port: int) -> Callable[[threading.Event], None]:
    def once(ended: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(
                b"POST /v2/models/video_motion/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
            )
            while not ended.is_set():
                connection.sendall(bytes(1 << 20))

    return once


def resident_kib(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


@pytest.mark.slow
def test_a_good_caller_goes_on_while_others_attack(server: Server) -> None:
    grpc_port, http_port, metrics_port = (
        server.settings.grpc_port,
        server.settings.http_port,
        server.settings.metrics_port,
    )
    attacks = [
        Attack(calls_without_messages(grpc_port)),
        Attack(body_without_end(http_port)),
        *(Attack(idle_connections(port)) for port in (grpc_port, http_port, metrics_port)),
    ]
    with Client(server.url, retries=0, timeout_seconds=30) as client:
        expected = client.score(VIDEO)
        before = resident_kib(server.process.pid)
        for attack in attacks:
            attack.start()
        try:
            wait_for(lambda: all(attack.rounds > 0 for attack in attacks))
            for _ in range(ROUNDS):
                started = time.monotonic()
                assert client.score(VIDEO) == expected
                assert time.monotonic() - started < 10
                assert client.is_ready()
                with urllib.request.urlopen(f"{server.public_http_url}/v2/health/ready", timeout=5) as answer:
                    assert answer.status == 200
        finally:
            for attack in attacks:
                attack.ended.set()
            for attack in attacks:
                attack.join(10)
        assert resident_kib(server.process.pid) - before < MOST_GROWTH_KIB
        assert client.score(VIDEO) == expected
    assert server.proxy is not None
    connections = server.proxy.connections
    wait_for(lambda: len(connections) < 10)
    assert connections.refused == 0
    assert len(os.listdir(f"/proc/{server.process.pid}/fd")) < 1000

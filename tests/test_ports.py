"""Free ports, and an answer that is not HTTP where a server is looked for."""

import socket
import threading
from pathlib import Path
from urllib.error import HTTPError

import pytest

from server import ports
from server.flags import Endpoints
from server.local_http import open_local
from server.ports import CANDIDATES, LOOPBACK, free_ports
from server.readiness import is_ready
from server.settings import Settings

HTTP_2_SETTINGS = bytes.fromhex("00000c0400000000000003000000640000100000")


@pytest.mark.parametrize("address", [LOOPBACK, "::1", "0.0.0.0"])
def test_free_ports_differ_and_can_be_listened_at(address: str) -> None:
    found = free_ports(address, 20)
    assert len(set(found)) == 20
    assert all(port in CANDIDATES for port in found)
    for port in found:
        ports.listener(address, port).close()


def test_a_port_in_use_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken, free) = free_ports(LOOPBACK, 2)
    monkeypatch.setattr(ports, "CANDIDATES", [taken, free])
    with socket.create_server((LOOPBACK, taken)):
        assert free_ports(LOOPBACK, 1) == [free]
        with pytest.raises(OSError, match=f"{LOOPBACK} has no 2 free ports between {taken} and {free}"):
            free_ports(LOOPBACK, 2)


def test_triton_gets_no_port_that_the_server_needs_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings.on_free_ports(tmp_path)
    own = [settings.http_port, settings.grpc_port, settings.metrics_port]
    others = free_ports(LOOPBACK, 3, own)
    monkeypatch.setattr(ports, "CANDIDATES", own + others)
    chosen = Endpoints.choose(settings)
    assert {chosen.http_port, chosen.grpc_port, chosen.metrics_port} == set(others)


def test_an_address_of_another_machine_has_no_free_port() -> None:
    with pytest.raises(OSError, match="assign"):
        free_ports("192.0.2.1", 1)


@pytest.mark.parametrize("answer", [HTTP_2_SETTINGS, b"", b"hello\r\n"], ids=["HTTP/2", "nothing", "text"])
def test_what_does_not_speak_http_is_not_a_ready_server(answer: bytes) -> None:
    def speak(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _address = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=speak, args=[listener])
        thread.start()
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        assert not is_ready(url)
        with pytest.raises(ConnectionError) as refused:
            open_local(url, 5)
        assert not isinstance(refused.value, HTTPError)
        thread.join()

"""MAX_CONNECTION_AGE_SECONDS and STOP_TIMEOUT_SECONDS: callers connect again and lose nothing."""

import threading
import time
from pathlib import Path

import pytest

from client import Client
from server.errors import ServerFailed
from server.flags import Endpoints, triton_flags
from server.ports import LOOPBACK, free_ports
from server.proxy import Proxy
from server.settings import Settings
from tests.fake_triton import fake_triton
from tests.waiting import wait_for


def test_callers_connect_again_and_no_call_is_lost() -> None:
    (port,) = free_ports(LOOPBACK, 1)
    with fake_triton() as (fake, triton):
        proxy = Proxy(LOOPBACK, port, f"{LOOPBACK}:{triton}", max_connection_age_seconds=0.3)
        admitted: list[str] = []
        admit = proxy.connections.admit
        proxy.connections.admit = lambda address, close: admitted.append(address) or admit(address, close)  # type: ignore[method-assign,func-returns-value]
        try:
            with Client(f"{LOOPBACK}:{port}", away_seconds=0, retries=0) as client:
                fake.answering.clear()
                answered = []
                long = threading.Thread(target=lambda: answered.append(client.score(b"a long video").info.frames))
                long.start()
                wait_for(lambda: fake.asked == 1)
                wait_for(lambda: client.is_ready() and len(admitted) > 1)  # the call's connection is too old for others
                fake.answering.set()
                long.join(30)
                assert answered == [25]
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    assert client.score(b"a video").info.frames == 25
            assert len(admitted) > 3
        finally:
            proxy.close()


def test_without_the_proxy_tritonserver_has_the_same_limit(tmp_path: Path) -> None:
    def flags(**others: bool) -> list[str]:
        settings = Settings(tmp_path, max_connection_age_seconds=300.0, **others)  # type: ignore[arg-type]
        return triton_flags(settings, Endpoints.choose(settings), "key", "prefix", from_pip=True)

    assert "--grpc-max-connection-age=300000" in flags(proxy=False)
    assert not [flag for flag in flags(proxy=True) if "connection-age" in flag]


def test_variables(tmp_path: Path) -> None:
    given = {"STOP_TIMEOUT_SECONDS": "180", "MAX_CONNECTION_AGE_SECONDS": "300"}
    settings = Settings.from_environment(tmp_path, given)
    assert (settings.stop_timeout_seconds, settings.max_connection_age_seconds) == (180.0, 300.0)
    settings = Settings.from_environment(tmp_path, {"STOP_TIMEOUT_SECONDS": ""})
    assert (settings.stop_timeout_seconds, settings.max_connection_age_seconds) == (20.0, None)


@pytest.mark.parametrize("name", ["STOP_TIMEOUT_SECONDS", "MAX_CONNECTION_AGE_SECONDS"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "86401"])
def test_a_wrong_number_of_seconds_is_named(name: str, value: str, tmp_path: Path) -> None:
    message = f"^{name} is '{value}', it must be a whole number of seconds from 1 to 86400$"
    with pytest.raises(ServerFailed, match=message):
        Settings.from_environment(tmp_path, {name: value})

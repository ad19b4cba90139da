"""HTTP proxies that the environment names: who is reached through one, and what a message then says."""

import asyncio
import re

import pytest

from client import AsyncClient, Client, DeadlineExceeded, ServerAway
from client._sdk.proxies import VARIABLES, Proxy, host_of, proxy_for
from server.ports import LOOPBACK, free_ports
from server.proxy import Proxy as ServerProxy
from tests.fake_triton import fake_triton
from tests.tunnels import HttpProxy, listening

VIDEO = b"a video"
PUBLIC = "models.example.com:8001"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_without_a_proxy(variable: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def score(url: str) -> int:
        async with AsyncClient(url, timeout_seconds=5) as client:
            return (await client.score(VIDEO)).info.frames

    refusing = HttpProxy()
    with fake_triton() as (_, port), listening(refusing) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy}")
        with Client(f"{host}:{port}", timeout_seconds=5) as client:
            assert client.score(VIDEO).info.frames == 25
            assert client.is_ready()
        assert asyncio.run(score(f"{host}:{port}")) == 25
    assert refusing.asked == []


def test_the_server_reaches_triton_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = HttpProxy()
    with fake_triton() as (_, triton), listening(refusing) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        (port,) = free_ports(LOOPBACK, 1)
        server = ServerProxy(LOOPBACK, port, f"{LOOPBACK}:{triton}")
        try:
            with Client(f"{LOOPBACK}:{port}", timeout_seconds=5) as client:
                assert client.score(VIDEO).info.frames == 25
        finally:
            server.close()
    assert refusing.asked == []


def test_another_host_is_reached_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_triton() as (_, port), listening(tunnel := HttpProxy(port)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy}")
        with Client(PUBLIC, timeout_seconds=5) as client:
            assert client.score(VIDEO).info.frames == 25
    assert tunnel.asked == [PUBLIC]


def test_a_private_name_is_reached_through_the_proxy_of_grpc_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_triton() as (_, port), listening(tunnel := HttpProxy(port)) as proxy:
        monkeypatch.setenv("grpc_proxy", f"http://127.0.0.1:{proxy}")
        with Client("gpu1:8001", timeout_seconds=5) as client:
            assert client.score(VIDEO).info.frames == 25
    assert tunnel.asked == ["gpu1:8001"]


def test_a_message_names_the_proxy_and_not_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(HttpProxy()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{proxy}/")
        with Client(PUBLIC, timeout_seconds=5) as client, pytest.raises(ServerAway) as raised:
            client.score(VIDEO)
    assert re.fullmatch(
        rf"no server answers at {PUBLIC} through the proxy 127\.0\.0\.1:{proxy} of http_proxy \(.*503.*\); "
        r"is it running, or must no_proxy name its host\?",
        str(raised.value),
    )


def test_a_proxy_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def score() -> None:
        async with AsyncClient(PUBLIC, timeout_seconds=5) as client:
            await client.score(VIDEO)

    (port,) = free_ports(LOOPBACK, 1)
    monkeypatch.setenv("grpc_proxy", f"http://127.0.0.1:{port}")
    sentence = rf"at {PUBLIC} through the proxy 127\.0\.0\.1:{port} of grpc_proxy \(Connection refused\)"
    with Client(PUBLIC, timeout_seconds=5) as client, pytest.raises(ServerAway, match=sentence):
        client.score(VIDEO)
    with pytest.raises(ServerAway, match=sentence):
        asyncio.run(score())


def test_a_missed_deadline_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_triton() as (triton, port), listening(HttpProxy(port)) as proxy:
        triton.answering.clear()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        with Client(PUBLIC, timeout_seconds=0.5, retries=0) as client, pytest.raises(DeadlineExceeded) as raised:
            client.score(VIDEO)
    assert str(raised.value) == (
        f"no answer from {PUBLIC} through the proxy 127.0.0.1:{proxy} of http_proxy in the time allowed"
    )


def test_a_proxy_that_grpc_does_not_support_is_said_to_be_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:secret@127.0.0.1:1080")
    with Client("models.invalid:8001", timeout_seconds=5) as client, pytest.raises(ServerAway) as raised:
        client.score(VIDEO)
    assert str(raised.value).endswith(
        "; is it running (gRPC supports only http:// proxies, so it did not use the proxy 127.0.0.1:1080 of "
        "https_proxy)?"
    )


HTTP = {"http_proxy": "http://p:1"}
THROUGH = Proxy("http://p:1", "http_proxy")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8001",
        "LocalHost:8001",
        "localhost.:8001",
        "a.localhost:8001",
        ":8001",
        "127.0.0.1:8001",
        "127.1.2.3",
        "[::1]:8001",
        "::1",
        "[::ffff:127.0.0.1]:8001",
        "0.0.0.0:8001",
        "dns:///localhost:8001",
        "dns:localhost:8001",
        "ipv4:127.0.0.1:8001",
        "ipv6:[::1]:8001",
        "unix:/run/triton",
        "unix:///run/triton",
    ],
)
def test_this_machine_has_many_names(url: str) -> None:
    everything = dict.fromkeys(VARIABLES, "http://p:1")
    assert proxy_for(url, everything) is None


@pytest.mark.parametrize(
    "url",
    [
        "gpu1:8001",
        "gpu1",
        "triton.local:8001",
        "triton.internal",
        "triton.default.svc:8001",
        "triton.default.svc.cluster.local:8001",
        "gpu.lan.:8001",
        "nas.home.arpa:8001",
        "10.0.0.5:8001",
        "172.16.3.4:8001",
        "172.31.255.255:8001",
        "192.168.1.1:8001",
        "100.64.0.1:8001",
        "169.254.1.1:8001",
        "[fd00::1]:8001",
        "[fe80::1%eth0]:8001",
        "dns:///gpu1:8001",
    ],
)
def test_private_names_have_no_proxy_unless_it_is_of_grpc_alone(url: str) -> None:
    assert proxy_for(url, HTTP) is None
    assert proxy_for(url, {"https_proxy": "http://p:1"}) is None
    assert proxy_for(url, {"grpc_proxy": "http://p:1"}) == Proxy("http://p:1", "grpc_proxy")


@pytest.mark.parametrize(
    "url",
    [
        PUBLIC,
        "8.8.8.8:8001",
        "172.32.0.1:8001",
        "172.15.0.1:8001",
        "100.128.0.1:8001",
        "[2001:4860:4860::8888]:8001",
        "localhost.example.com:8001",
        "mylocalhost.example.com",
        "dns:///models.example.com:8001",
    ],
)
def test_other_hosts_have_the_proxy_of_the_environment(url: str) -> None:
    assert proxy_for(url, HTTP) == THROUGH
    assert proxy_for(url, {}) is None


def test_the_first_variable_counts_and_an_empty_one_means_none() -> None:
    every = {"http_proxy": "http://a:1", "https_proxy": "http://b:1", "grpc_proxy": "http://c:1"}
    assert proxy_for(PUBLIC, every) == Proxy("http://c:1", "grpc_proxy")
    assert proxy_for(PUBLIC, every | {"grpc_proxy": ""}) is None
    del every["grpc_proxy"]
    assert proxy_for(PUBLIC, every) == Proxy("http://b:1", "https_proxy")


@pytest.mark.parametrize(
    ("exceptions", "url", "expected"),
    [
        ("example.com", PUBLIC, None),
        (".example.com", PUBLIC, None),
        ("a.org, MODELS.example.com ", PUBLIC, None),
        ("*", PUBLIC, None),
        ("8.8.0.0/16", "8.8.8.8:1", None),
        ("8.8.8.8", "8.8.8.8:1", None),
        ("8.9.0.0/16", "8.8.8.8:1", THROUGH),
        ("example.org", PUBLIC, THROUGH),
        ("", PUBLIC, THROUGH),
        (",", PUBLIC, THROUGH),
        ("8.8.0.0/16", PUBLIC, THROUGH),
    ],
)
def test_no_proxy_names_exceptions(exceptions: str, url: str, expected: Proxy | None) -> None:
    assert proxy_for(url, HTTP | {"no_proxy": exceptions}) == expected
    assert proxy_for(url, HTTP | {"no_grpc_proxy": exceptions, "no_proxy": "*"}) == expected


def test_hosts_of_addresses() -> None:
    assert [host_of(url) for url in ("A.b:1", "a", "[::1]:1", "::1", "dns://9.9.9.9/a:1", "unix:a")] == [
        "a.b", "a", "::1", "::1", "a", None,
    ]  # fmt: skip

"""`dns:///NAME:PORT`: all servers of a name share the load, and come and go with the answers of the name server."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import trustme

from client import AsyncClient, Client, ServerAway, Tls
from client._commands.score import main as score_command
from client._sdk import balance, names
from client._sdk.balance import Ask, Balancer, Nowhere, Pause, Probe
from client._sdk.connections import FORGET_SECONDS, Connections
from server.ports import LOOPBACK, free_ports
from tests.fake_triton import FakeTriton, fake_triton
from tests.test_connections import FakeClient
from tests.waiting import wait_for

VIDEO = b"a video"
NAME = "video-motion-grpc"
THREE = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
NEW_SERVER_HAS_WORK_SECONDS = 10


class NameServer:
    """Answers as the test says, in the place of the system's resolver."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: tuple[str, ...] = addresses
        """None of them: the name is unknown."""
        self.asked = 0
        self.takes = 0.0

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert host == NAME
        self.asked += 1
        time.sleep(self.takes)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in self.addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, self.addresses, strict=True)
        ]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> NameServer:
    server = NameServer(*THREE[:2])
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    return server


@pytest.fixture
def servers() -> Iterator[tuple[list[FakeTriton], int, list[contextlib.ExitStack]]]:
    """Three servers on three addresses and one port, and what ends each."""
    (port,) = free_ports(LOOPBACK, 1)
    ends = [contextlib.ExitStack() for _ in THREE]
    with contextlib.ExitStack() as all_of_them:
        for end in ends:
            all_of_them.push(end)
        found = [end.enter_context(fake_triton(address=ip, port=port))[0] for end, ip in zip(ends, THREE, strict=True)]
        yield found, port, ends


class Simulation:
    """A balancer whose clock and name server the test moves; lookups answer at once."""

    def __init__(self, *urls: str) -> None:
        self.now = 100.0
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.lookups: list[float] = []
        self.held: list[Callable[[], None]] | None = None
        self.balancer = Balancer(urls, lambda: self.now, self._lookup, self._run)

    def _lookup(self, host: str, port: int) -> tuple[str, ...]:
        self.lookups.append(self.now)
        if not self.addresses.get(host):
            raise OSError("Name or service not known")
        return tuple(f"{address}:{port}" for address in self.addresses[host])

    def _run(self, work: Callable[[], None]) -> None:
        work() if self.held is None else self.held.append(work)

    def asked(self, count: int) -> list[str]:
        """Where so many requests go that are answered at once; probes succeed."""
        urls: list[str] = []
        while len(urls) < count:
            step = self.balancer.next()
            if isinstance(step, Probe):
                self.balancer.mark_ready(step.endpoint)
                continue
            assert isinstance(step, Ask), step
            self.balancer.release(step.endpoint)
            urls.append(step.endpoint.url)
        return urls


def test_all_addresses_of_a_name_share_the_load() -> None:
    world = Simulation("dns:///workers:8001", "other:9")
    world.addresses["workers"] = ("10.0.0.1", "10.0.0.2")
    assert sorted(world.asked(6)) == sorted(["10.0.0.1:8001", "10.0.0.2:8001", "other:9"] * 2)
    assert world.balancer.host_of("10.0.0.1:8001") == "workers"
    assert world.balancer.host_of("other:9") is None


def test_servers_come_and_go_with_the_answers() -> None:
    world = Simulation("dns:///workers:8001")
    world.addresses["workers"] = ("10.0.0.1", "10.0.0.2")
    world.asked(200)
    world.addresses["workers"] = ("10.0.0.2", "10.0.0.3")
    world.now += names.LOOKUP_SECONDS - 0.1
    assert set(world.asked(4)) == {"10.0.0.1:8001", "10.0.0.2:8001"}
    world.now += 0.1
    after = world.asked(6)
    # The new one gets its share, not all that it has missed.
    assert sorted(after) == ["10.0.0.2:8001"] * 3 + ["10.0.0.3:8001"] * 3
    assert len(world.lookups) == 2


def test_a_new_server_is_probed_before_it_gets_a_video_and_the_first_ones_are_not() -> None:
    world = Simulation("dns:///workers:8001")
    world.addresses["workers"] = ("10.0.0.1",)
    assert isinstance(world.balancer.next(), Ask)
    world.addresses["workers"] = ("10.0.0.1", "10.0.0.2")
    world.now += names.LOOKUP_SECONDS
    step = world.balancer.next()
    assert isinstance(step, Probe)
    assert step.endpoint.url == "10.0.0.2:8001"


def test_a_server_that_has_gone_keeps_the_request_that_it_holds() -> None:
    world = Simulation("dns:///workers:8001")
    world.addresses["workers"] = ("10.0.0.1",)
    step = world.balancer.next()
    assert isinstance(step, Ask)
    world.addresses["workers"] = ("10.0.0.2",)
    world.now += names.LOOKUP_SECONDS
    assert world.asked(2) == ["10.0.0.2:8001"] * 2
    world.balancer.mark_answered(step.endpoint)
    world.balancer.release(step.endpoint)
    assert world.asked(1) == ["10.0.0.2:8001"]


def test_a_name_that_is_unknown_for_a_while_keeps_its_servers() -> None:
    world = Simulation("dns:///workers:8001")
    world.addresses["workers"] = ("10.0.0.1",)
    world.asked(1)
    world.addresses.clear()
    for _ in range(5):
        world.now += names.LOOKUP_SECONDS
        assert world.asked(1) == ["10.0.0.1:8001"]
    assert len(world.lookups) == 6


def test_an_unreachable_server_hurries_the_next_lookup() -> None:
    world = Simulation("dns:///workers:8001")
    world.addresses["workers"] = ("10.0.0.1",)
    step = world.balancer.next()
    assert isinstance(step, Ask)
    world.balancer.mark_unreachable(step.endpoint)
    world.addresses["workers"] = ("10.0.0.2",)
    world.now += names.HURRIED_LOOKUP_SECONDS
    assert world.asked(1) == ["10.0.0.2:8001"]


def test_requests_wait_for_the_first_answer_and_a_little_for_one_that_replaces_an_old_one() -> None:
    world = Simulation("dns:///workers:8001")
    world.addresses["workers"] = ("10.0.0.1",)
    world.held = []
    assert isinstance(world.balancer.next(), Pause)
    world.held.pop()()
    world.asked(1)
    world.addresses["workers"] = ("10.0.0.2",)
    world.now += names.LOOKUP_SECONDS
    assert world.asked(1) == ["10.0.0.1:8001"]  # the answer is on its way, and the last one is not old
    world.held.pop()()
    world.asked(1)
    world.now += 3 * names.LOOKUP_SECONDS
    assert isinstance(world.balancer.next(), Pause)
    world.now += names.NEXT_WAIT_SECONDS
    assert world.asked(1) == ["10.0.0.2:8001"]
    assert len(world.held) == 1


def test_a_name_without_an_address_is_an_error_and_is_looked_up_again() -> None:
    world = Simulation("dns:///workers:8001")
    step = world.balancer.next()
    assert step == Nowhere(
        "no server answers at dns:///workers:8001: its address is not known (Name or service not known)"
    )
    world.addresses["workers"] = ("10.0.0.1",)
    assert isinstance(world.balancer.next(), Nowhere)
    world.now += names.HURRIED_LOOKUP_SECONDS
    assert world.asked(1) == ["10.0.0.1:8001"]


def test_a_lookup_without_end_or_without_a_thread_is_an_error() -> None:
    world = Simulation("dns:///workers:8001")
    world.held = []
    assert isinstance(world.balancer.next(), Pause)
    world.now += names.FIRST_WAIT_SECONDS
    assert world.balancer.next() == Nowhere(
        "no server answers at dns:///workers:8001: its address is not known (its lookup takes too long)"
    )

    def refuse(_: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    step = Balancer(["dns:///workers:8001"], run=refuse).next()
    assert isinstance(step, Nowhere)
    assert "(can't start new thread)" in step.reason


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("dns:///workers", "'dns:///workers' has no port, write dns:///workers:8001"),
        ("dns:///workers:0", "'dns:///workers:0' has the port 0, it must be from 1 to 65535"),
        ("dns:///workers:99999", "'dns:///workers:99999' has the port 99999, it must be from 1 to 65535"),
        ("dns:///", "'dns:///' does not name servers, write dns:///NAME:PORT"),
        ("dns:a,b:8001", "'dns:a,b:8001' does not name servers, write dns:///NAME:PORT"),
    ],
)
def test_a_wrong_url_is_refused(url: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Client(url)
    with pytest.raises(SystemExit) as exited:
        score_command(["video.mp4", "--url", url])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("url", ["localhost:8001", "[::1]:8001", "dns://8.8.8.8/workers:8001", "unix:/tmp/a.sock"])
def test_other_addresses_are_left_to_grpc(url: str) -> None:
    assert names.name_of(url) is None


def test_a_name_behind_an_http_proxy_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert names.name_of("dns:///gpu.example.com:8001") is None
    assert names.name_of("dns:///workers:8001") is not None


def test_each_server_counts_once_although_it_has_addresses_of_both_kinds(name_server: NameServer) -> None:
    name_server.addresses = ("2001:db8::1", "10.0.0.2", "10.0.0.1", "2001:db8::2", "10.0.0.1")
    assert names.look_up(NAME, 8001) == ("10.0.0.1:8001", "10.0.0.2:8001")
    name_server.addresses = ("2001:db8::1",)
    assert names.look_up(NAME, 8001) == ("[2001:db8::1]:8001",)


def test_a_name_that_no_host_can_have_is_an_error() -> None:
    for name in (f"{'x' * 70}.example", "a\0b"):
        with Client(f"dns:///{name}:8001") as client, pytest.raises(ServerAway, match="its address is not known"):
            client.score(VIDEO)


def keep_scoring(url: str, stop: threading.Event, counts: list[int]) -> None:
    """Score in four threads until `stop`; each adds how many it scored. A video that fails ends the test."""
    with Client(url, away_seconds=20, retries=10) as client:

        def one() -> None:
            scored = 0
            while not stop.is_set():
                assert client.score(VIDEO).info.frames == 25
                scored += 1
                time.sleep(0.01)
            counts.append(scored)

        threads = [threading.Thread(target=one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def test_no_video_is_lost_while_the_answer_changes_under_load(
    name_server: NameServer,
    servers: tuple[list[FakeTriton], int, list[contextlib.ExitStack]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 0.5)
    (first, second, third), port, ends = servers
    stop, counts = threading.Event(), list[int]()
    load = threading.Thread(target=keep_scoring, args=(f"dns:///{NAME}:{port}", stop, counts))
    load.start()
    try:
        wait_for(lambda: first.asked > 20 and second.asked > 20)
        name_server.addresses = THREE[1:]
        changed = time.monotonic()
        wait_for(lambda: third.asked > 20, NEW_SERVER_HAS_WORK_SECONDS)
        assert time.monotonic() - changed < NEW_SERVER_HAS_WORK_SECONDS
        before = first.asked
        ends[0].close()  # nobody asks it any more
        wait_for(lambda: third.asked > 60)
        assert first.asked <= before + 4  # each thread may have chosen it just before the change
        ends[1].close()  # without a warning: the name still stands for it
        name_server.addresses = (THREE[2],)
        wait_for(lambda: third.asked > 120)
    finally:
        stop.set()
        load.join(60)
    assert len(counts) == 4
    assert sum(counts) > 150


def test_the_asynchronous_client_follows_the_name_too(
    name_server: NameServer,
    servers: tuple[list[FakeTriton], int, list[contextlib.ExitStack]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 0.1)
    (first, second, third), port, _ = servers

    async def run() -> None:
        async with AsyncClient(f"dns:///{NAME}:{port}", away_seconds=0) as client:
            await asyncio.gather(*(client.score(VIDEO) for _ in range(6)))
            assert min(first.asked, second.asked) > 0
            assert (first.asked + second.asked, third.asked) == (6, 0)
            name_server.addresses = THREE[2:]
            while not third.asked:
                assert (await client.score(VIDEO)).info.frames == 25
                await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_certificates_are_for_the_name_and_not_for_the_addresses(name_server: NameServer, tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = Tls(tmp_path / "ca.pem")
    name_server.addresses = THREE[:1]
    for certified, trusted in ((NAME, True), ("another-name", False)):
        certificate = ca.issue_cert(certified)
        pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
        with (
            fake_triton(credentials=grpc.ssl_server_credentials([pair])) as (fake, port),
            Client(f"dns:///{NAME}:{port}", tls=tls, away_seconds=0) as client,
        ):
            if trusted:
                assert client.score(VIDEO).info.frames == 25
            else:
                with pytest.raises(ServerAway):
                    client.score(VIDEO)
            assert fake.asked == trusted


def test_the_connection_to_a_server_that_has_gone_is_closed() -> None:
    now = 0.0
    ours: Connections[FakeClient] = Connections(FakeClient, clock=lambda: now)
    gone = ours.acquire("gone:1")
    ours.release(gone)
    now = FORGET_SECONDS + 1
    other = ours.acquire("other:1")
    assert ours.release(other) == [gone.client]


CHANGING_HOSTS = """
import threading, time
from pathlib import Path
from client import Client
from tests.fake_triton import fake_triton
from tests.waiting import wait_for

hosts = Path("/etc/hosts")
with fake_triton(address="127.0.0.1") as (first, port), fake_triton(address="127.0.0.2", port=port) as (second, _):
    hosts.write_text("127.0.0.1 workers.test\\n")
    with Client(f"dns:///workers.test:{port}") as client:
        stop = threading.Event()
        def load():
            while not stop.is_set():
                client.score(b"a video")
                time.sleep(0.01)
        thread = threading.Thread(target=load)
        thread.start()
        wait_for(lambda: first.asked > 5)
        assert not second.asked
        hosts.write_text("127.0.0.1 workers.test\\n127.0.0.2 workers.test\\n")
        wait_for(lambda: second.asked, 10)
        print("the new server has work")
        stop.set()
        thread.join()
"""


def may_mount() -> bool:
    """Whether this user may give a process a hosts file of its own."""
    return subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0


@pytest.mark.heavy
@pytest.mark.skipif(not may_mount(), reason="the system lets this user make no namespaces (unshare -Urm)")
def test_the_systems_own_resolver_is_asked_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    script = f'mount --bind {tmp_path}/hosts /etc/hosts && exec "$0" -c "$1"'
    result = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, sys.executable, CHANGING_HOSTS],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout) == (0, "the new server has work\n"), result.stderr


def test_the_defaults_give_a_new_server_work_in_time() -> None:
    kubernetes_keeps_an_answer = 5
    assert kubernetes_keeps_an_answer + names.LOOKUP_SECONDS < NEW_SERVER_HAS_WORK_SECONDS
    assert balance.PAUSES_SECONDS[-1] <= 1

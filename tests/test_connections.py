"""Connections that a balancer forgets: they are not used after a pause, and a call on one is repeated on another."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import trustme
from tritonclient.utils import InferenceServerException

from client import AsyncClient, Client, DeadlineExceeded, ServerError, Tls, UnreadableFile
from client._sdk import channels, connections
from client._sdk.connections import Connections
from tests.fake_triton import FakeTriton, fake_triton
from tests.tunnels import ForgetfulBalancer, listening
from tests.waiting import wait_for

VIDEO = b"a video"
FORGETS_SECONDS = 0.3
Score = Callable[[str, float, int], None]
"""Scores so many videos, with a pause of so many seconds between them."""


def score(url: str, pause_seconds: float, videos: int) -> None:
    with Client(url, timeout_seconds=1) as client:
        for number in range(videos):
            time.sleep(pause_seconds if number else 0)
            assert client.score(VIDEO).info.frames == 25


def score_async(url: str, pause_seconds: float, videos: int) -> None:
    async def run() -> None:
        async with AsyncClient(url, timeout_seconds=1) as client:
            for number in range(videos):
                await asyncio.sleep(pause_seconds if number else 0)
                assert (await client.score(VIDEO)).info.frames == 25

    asyncio.run(run())


@pytest.fixture(params=[score, score_async])
def both(request: pytest.FixtureRequest) -> Score:
    return request.param


@pytest.fixture
def triton() -> Iterator[tuple[FakeTriton, int]]:
    with fake_triton([("grpc.http2.max_ping_strikes", 0)]) as started:
        yield started


def answer_later(triton: FakeTriton, seconds: float) -> None:
    """Hold the answers for so long."""
    triton.answering.clear()
    threading.Timer(seconds, triton.answering.set).start()


@pytest.mark.heavy
def test_a_call_that_times_out_on_a_forgotten_connection_is_repeated_on_a_new_one(
    both: Score, triton: tuple[FakeTriton, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 60)
    fake, port = triton
    balancer = ForgetfulBalancer(port, FORGETS_SECONDS)
    with listening(balancer) as listened:
        both(f"127.0.0.1:{listened}", FORGETS_SECONDS + 0.1, 2)
    assert (balancer.forgotten, balancer.connections, fake.asked) == (1, 2, 2)


def test_a_connection_that_was_idle_is_not_used_again(
    both: Score, triton: tuple[FakeTriton, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", FORGETS_SECONDS / 2)
    fake, port = triton
    balancer = ForgetfulBalancer(port, FORGETS_SECONDS)
    with listening(balancer) as listened:
        both(f"127.0.0.1:{listened}", FORGETS_SECONDS + 0.1, 3)
    assert (balancer.forgotten, balancer.connections, fake.asked) == (0, 3, 3)


def test_calls_without_a_pause_share_a_connection(both: Score, triton: tuple[FakeTriton, int]) -> None:
    fake, port = triton
    both(f"127.0.0.1:{port}", 0, 5)
    assert (len(fake.peers), fake.asked) == (1, 5)


def test_a_call_that_a_server_ends_as_cancelled_is_repeated(both: Score, triton: tuple[FakeTriton, int]) -> None:
    fake, port = triton
    fake.cancelled = frozenset({2, 3})
    both(f"127.0.0.1:{port}", 0, 2)
    assert fake.asked == 4


def test_a_video_whose_calls_are_always_cancelled_is_given_up(triton: tuple[FakeTriton, int]) -> None:
    fake, port = triton
    fake.cancelled = frozenset(range(2, 10))
    with Client(f"127.0.0.1:{port}") as client:
        client.score(VIDEO)
        with pytest.raises(ServerError, match="3 servers went down while they had this video"):
            client.score(VIDEO)
    assert fake.asked == 4


@pytest.mark.heavy
def test_a_connection_that_is_forgotten_during_a_call_is_noticed_before_the_deadline(
    triton: tuple[FakeTriton, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "PING_SECONDS", 1.0)
    monkeypatch.setattr(channels, "PING_TIMEOUT_SECONDS", 0.3)
    fake, port = triton
    balancer = ForgetfulBalancer(port, FORGETS_SECONDS)
    with listening(balancer) as listened, Client(f"127.0.0.1:{listened}", timeout_seconds=60) as client:
        client.score(VIDEO)
        started = time.monotonic()
        fake.answering.clear()
        call = threading.Thread(target=client.score, args=[VIDEO])
        call.start()
        wait_for(lambda: fake.asked == 3)
        fake.answering.set()
        call.join(30)
        assert time.monotonic() - started < 10
    assert (balancer.forgotten, fake.asked) == (1, 3)


@pytest.mark.heavy
def test_pings_during_a_call_keep_its_connection(
    triton: tuple[FakeTriton, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "PING_SECONDS", 1.0)  # gRPC sends no more than one a second
    fake, port = triton
    balancer = ForgetfulBalancer(port, 1.6)
    with listening(balancer) as listened, Client(f"127.0.0.1:{listened}", timeout_seconds=60) as client:
        answer_later(fake, 3.2)
        client.score(VIDEO)
    assert (balancer.forgotten, fake.asked) == (0, 1)


@pytest.mark.slow
def test_a_server_that_forbids_pings_gets_none_on_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "PING_SECONDS", 1.0)
    with (
        fake_triton([("grpc.http2.max_ping_strikes", 1)]) as (fake, port),
        Client(f"127.0.0.1:{port}", timeout_seconds=60) as client,
    ):
        fake.answering.clear()
        answered: list[int] = []
        call = threading.Thread(target=lambda: answered.append(client.score(VIDEO).info.frames))
        call.start()
        wait_for(lambda: fake.asked == 2)
        fake.answering.set()
        call.join(30)
    assert answered == [25]
    assert len(fake.peers) == 2


def test_the_defaults_suit_balancers_that_forget_after_a_minute() -> None:
    assert channels.PING_SECONDS < 50
    assert channels.PING_SECONDS + channels.PING_TIMEOUT_SECONDS < 120
    assert connections.IDLE_SECONDS < 4


@pytest.mark.heavy
def test_a_server_is_ready_although_the_connection_to_it_was_forgotten(
    triton: tuple[FakeTriton, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 60)
    balancer = ForgetfulBalancer(triton[1], FORGETS_SECONDS)
    with listening(balancer) as listened:
        url = f"127.0.0.1:{listened}"

        async def run() -> None:
            async with AsyncClient(url, timeout_seconds=0.5) as client:
                assert await client.is_ready()
                await asyncio.sleep(FORGETS_SECONDS + 0.1)
                assert await client.is_ready()

        with Client(url, timeout_seconds=0.5) as client:
            assert client.is_ready()
            time.sleep(FORGETS_SECONDS + 0.1)
            assert client.is_ready()
        asyncio.run(run())
    assert balancer.forgotten == 2


def test_a_deadline_leaves_other_calls_on_the_connection_alone(triton: tuple[FakeTriton, int]) -> None:
    fake, port = triton
    answered = []
    fake.answering.clear()
    with Client(f"127.0.0.1:{port}", timeout_seconds=30, retries=0) as client:
        patient = threading.Thread(target=lambda: answered.append(client.score(VIDEO)))
        patient.start()
        wait_for(lambda: fake.asked == 1)
        client.timeout_seconds = 0.2
        with pytest.raises(DeadlineExceeded):
            client.score(VIDEO)
        fake.answering.set()
        patient.join(30)
        client.timeout_seconds = 30
        client.score(VIDEO)
    assert len(answered) == 1
    assert len(fake.peers) == 2


class FakeClient:
    """Stands for tritonclient's."""

    def __init__(self, url: str, *, host: str | None, own: bool, pings: bool) -> None:
        self.host = host
        self.url = url
        self.own = own
        self.pings = pings


def failed(connection: connections.Connection[FakeClient], of: Connections[FakeClient], status: str, why: str) -> None:
    with (
        pytest.raises(InferenceServerException),
        of.watch(connection),
    ):
        raise InferenceServerException(why, status=f"StatusCode.{status}")


def test_a_connection_is_closed_after_its_last_call_and_once() -> None:
    ours: Connections[FakeClient] = Connections(FakeClient, clock=lambda: 0.0)
    first, second = ours.acquire("here:1"), ours.acquire("here:1")
    assert first is second
    failed(first, ours, "DEADLINE_EXCEEDED", "Deadline Exceeded")
    assert ours.release(first) == []
    third = ours.acquire("here:1")
    assert (third is first, third.client.own, third.client.pings) == (False, True, True)
    failed(second, ours, "DEADLINE_EXCEEDED", "Deadline Exceeded")
    assert ours.release(second) == [first.client]
    assert ours.acquire("here:1") is third
    assert ours.close() == [third.client]
    assert ours.close() == []


@pytest.mark.parametrize(
    ("status", "why"), [("UNAVAILABLE", "Connection refused"), ("INVALID_ARGUMENT", "the file is empty [empty]")]
)
def test_other_failures_replace_no_connection(status: str, why: str) -> None:
    ours: Connections[FakeClient] = Connections(FakeClient, clock=lambda: 0.0)
    connection = ours.acquire("here:1")
    failed(connection, ours, status, why)
    assert ours.acquire("here:1") is connection


def test_only_a_connection_without_calls_is_idle() -> None:
    now = 0.0
    ours: Connections[FakeClient] = Connections(FakeClient, clock=lambda: now)
    busy = ours.acquire("here:1")
    now = 1000.0
    assert ours.acquire("here:1") is busy
    assert ours.release(busy) == ours.release(busy) == []
    now += connections.IDLE_SECONDS
    assert ours.acquire("here:1") is busy
    ours.release(busy)
    now += connections.IDLE_SECONDS + 0.1
    other = ours.acquire("here:1")
    assert other is not busy
    assert ours.release(other) == [busy.client]
    failed(other, ours, "UNAVAILABLE", "Too many pings")
    assert not ours.acquire("here:1").client.pings
    assert ours.acquire("there:1").client.pings


def test_the_files_of_the_encryption_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = trustme.CA()
    pem = tmp_path / "ca.pem"
    certificate = ca.issue_cert("localhost")
    server_credentials = grpc.ssl_server_credentials(
        [(certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())]
    )
    monkeypatch.setattr(connections, "IDLE_SECONDS", -1)
    with fake_triton(credentials=server_credentials) as (fake, port):
        ca.cert_pem.write_to_path(str(pem))

        async def score() -> None:
            async with AsyncClient(f"localhost:{port}", tls=Tls(pem)) as client:
                pem.unlink()
                for _ in range(2):
                    await client.score(VIDEO)

        with Client(f"localhost:{port}", tls=Tls(pem)) as client:
            for _ in range(2):
                client.score(VIDEO)
            asyncio.run(score())
            client.score(VIDEO)
    assert len(fake.peers) == 5
    for kind in (Client, AsyncClient):
        with pytest.raises(UnreadableFile, match=f"cannot read {pem}: No such file"):
            kind("localhost:1", tls=Tls(pem))

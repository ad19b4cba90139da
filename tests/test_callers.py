"""Connections and calls that send nothing, or little: the proxy bounds them, and other callers do not notice."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import grpc
import pytest

from server.connections import LOG_SECONDS, Connections, group_of
from server.ports import free_ports
from server.proxy import INFER, MAX_CALLS_PER_CONNECTION, MAX_HEALTH_BYTES, Proxy
from server.reception import ReceptionLimits
from tests.http2 import RawCaller
from tests.waiting import wait_for

SERVICE = "/inference.GRPCInferenceService"
READY, METADATA = f"{SERVICE}/ServerReady", f"{SERVICE}/ModelMetadata"
QUICK = ReceptionLimits(seconds=600, window_seconds=1.0, calls=40, health_calls=4)
PATIENT = ReceptionLimits(calls=40, health_calls=4)
CONNECTIONS = 20
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


class Echo(grpc.GenericRpcHandler):
    """Stands in for Triton: answers a call with the length of its message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if method.endswith("RepositoryIndex"):
                context.abort(grpc.StatusCode.UNAVAILABLE, "This protocol is restricted, expecting header 'a'")
            return str(len(request)).encode()

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers([Echo()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0)


Start = Callable[..., tuple[Proxy, int]]


@pytest.fixture
def start(upstream: str) -> Iterator[Start]:
    """Starts a proxy with these limits; the proxy and its port."""
    with ExitStack() as stack:

        def started(limits: ReceptionLimits, max_connections: int = CONNECTIONS) -> tuple[Proxy, int]:
            (port,) = free_ports("127.0.0.1", 1)
            proxy = Proxy("127.0.0.1", port, upstream, limits=limits, max_connections=max_connections)
            stack.callback(proxy.close)
            return proxy, port

        yield started


@contextlib.contextmanager
def channel(port: int) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=OWN_CONNECTION) as connected:
        yield connected


def call(port: int, method: str = INFER, message: bytes = b"abc", seconds: float = 10) -> bytes:
    """The answer to one call over a connection of its own."""
    with channel(port) as connected:
        return connected.unary_unary(method)(message, timeout=seconds)


def receiving(proxy: Proxy) -> int:
    return len(proxy._reception._all)


class Abandoned:
    """A call that is opened with gRPC's library and whose message is never sent."""

    def __init__(self, connected: grpc.Channel, method: str = INFER) -> None:
        self._ended = threading.Event()
        self.call = connected.stream_unary(method).future(self._messages())

    def _messages(self) -> Iterator[bytes]:
        self._ended.wait(60)
        yield from ()

    def error(self) -> tuple[grpc.StatusCode, str]:
        """How the server ends it."""
        try:
            found = self.call.exception(timeout=20)
            return found.code(), found.details()
        finally:
            self._ended.set()

    def end(self) -> None:
        self.call.cancel()
        self._ended.set()


def test_calls_pass_through(start: Start) -> None:
    _, port = start(PATIENT)
    for method in (INFER, READY, METADATA):
        assert call(port, method) == b"3"
    assert call(port, message=bytes(3 << 20)) == str(3 << 20).encode()
    with channel(port) as connected, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(connected.unary_unary(METADATA), bytes(index)) for index in range(100)]
        assert [one.result() for one in asked] == [str(index).encode() for index in range(100)]


def test_idle_connections_give_way_to_new_ones(start: Start) -> None:
    proxy, port = start(PATIENT)
    with ExitStack() as stack, channel(port) as good:
        assert good.unary_unary(INFER)(b"abc", timeout=10) == b"3"
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(5 * CONNECTIONS)]
        # The one that has made a call stays, although the others came later, and new ones are served.
        assert good.unary_unary(INFER)(b"abc", timeout=10) == b"3"
        assert call(port) == b"3"
        wait_for(lambda: len(proxy.connections) <= CONNECTIONS // 2)
        assert proxy.connections.displaced >= 4 * CONNECTIONS
        assert proxy.connections.refused == 0
        idle[0].settimeout(10)
        while idle[0].recv(4096):  # gRPC's greeting, and then the end at once
            pass


def test_one_address_does_not_use_up_the_connections(start: Start) -> None:
    proxy, port = start(PATIENT)
    with ExitStack() as stack:
        for _ in range(2 * CONNECTIONS):
            stack.enter_context(RawCaller(port, source="127.0.0.2"))
        wait_for(lambda: proxy.connections.displaced >= CONNECTIONS)
        assert len(proxy.connections) == CONNECTIONS // 2
        assert call(port) == b"3"


def test_many_addresses_do_not_lock_others_out(start: Start) -> None:
    proxy, port = start(PATIENT)
    with ExitStack() as stack:
        for number in range(2 * CONNECTIONS):
            caller = stack.enter_context(RawCaller(port, source=f"127.0.1.{number % 10 + 1}"))
            caller.open(INFER)
        wait_for(lambda: len(proxy.connections) == CONNECTIONS)
        assert call(port) == b"3"


def test_connections_at_work_do_not_give_way() -> None:
    connections = Connections("test", total=2, per_group=2)
    closed: list[int] = []
    places = [connections.admit("10.0.0.1", partial(closed.append, number)) for number in range(2)]
    for place in places:
        assert place is not None
        place.begin_answering()
    assert connections.admit("10.0.0.2", lambda: None) is None
    assert (connections.refused, connections.displaced, closed) == (1, 0, [])
    assert places[1] is not None
    places[1].end_answering()
    assert connections.admit("10.0.0.2", lambda: None) is not None
    assert (connections.refused, connections.displaced, closed, len(connections)) == (1, 1, [1], 2)


def test_a_fast_upload_does_not_give_way_and_a_slow_one_does() -> None:
    connections = Connections("test", total=2, per_group=2)
    closed: list[str] = []
    fast = connections.admit("10.0.0.1", lambda: closed.append("fast"))
    slow = connections.admit("10.0.0.1", lambda: closed.append("slow"))
    assert fast is not None
    assert slow is not None
    for place in (fast, slow):
        place.begin_receiving()
    fast.received += 1 << 20
    slow.received += 100
    assert connections.admit("10.0.0.1", lambda: closed.append("new")) is not None
    assert closed == ["slow"]


def test_what_an_address_counts_for() -> None:
    assert group_of("10.1.2.3") == group_of("::ffff:10.1.2.3") == "10.1.2.3"
    assert group_of("2001:db8::1") == group_of("2001:db8::ffff:2") != group_of("2001:db8:0:1::1")
    assert group_of("fe80::1%eth0") == "fe80::/64"


def test_a_flood_of_connections_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    connections = Connections("gRPC", total=2, per_group=1)
    for _ in range(1000):
        connections.admit("10.0.0.1", lambda: None)
    assert len(caplog.messages) == 1
    assert "gRPC: too many connections (at most 2, 1 of one address)" in caplog.messages[0]
    connections._logged -= LOG_SECONDS
    connections.admit("10.0.0.1", lambda: None)
    assert "999 closed or refused since the last message" in caplog.messages[1]


def test_calls_without_messages_lock_nobody_out(start: Start) -> None:
    proxy, port = start(PATIENT)
    with channel(port) as theirs, channel(port) as ours:
        held = [Abandoned(theirs) for _ in range(MAX_CALLS_PER_CONNECTION)]
        try:
            wait_for(lambda: receiving(proxy) >= PATIENT.calls)
            for _ in range(3):
                for method in (READY, METADATA, INFER):
                    assert ours.unary_unary(method)(b"abc", timeout=10) == b"3"
                assert call(port) == b"3"
            assert receiving(proxy) <= PATIENT.calls
        finally:
            for one in held:
                one.end()


def test_calls_without_messages_over_many_connections_lock_nobody_out(start: Start) -> None:
    proxy, port = start(PATIENT, max_connections=4 * CONNECTIONS)
    with ExitStack() as stack:
        callers = [stack.enter_context(RawCaller(port)) for _ in range(CONNECTIONS)]
        for caller in callers:
            for _ in range(10):
                caller.open(INFER)
        wait_for(lambda: receiving(proxy) >= PATIENT.calls)
        for method in (READY, METADATA, INFER):
            assert call(port, method) == b"3"


def test_a_call_that_gave_way_says_so(start: Start) -> None:
    proxy, port = start(PATIENT)
    with channel(port) as theirs, channel(port) as ours:
        held = [Abandoned(theirs) for _ in range(PATIENT.calls)]
        wait_for(lambda: receiving(proxy) == PATIENT.calls)
        late = Abandoned(theirs)
        status, message = late.error()
        assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert message == "40 calls are being received, 40 of them over this connection: retry later"
        assert ours.unary_unary(INFER)(b"abc", timeout=10) == b"3"
        # The connection is idle in all but name, so all its calls gave way.
        message = "40 calls are being received, this one gave way to another caller's: retry later"
        assert [one.error() for one in held] == [(grpc.StatusCode.RESOURCE_EXHAUSTED, message)] * PATIENT.calls


def test_one_call_gives_way_at_a_time_if_a_caller_has_few(start: Start) -> None:
    proxy, port = start(ReceptionLimits(calls=10))
    with channel(port) as theirs, channel(port) as ours:
        held = [Abandoned(theirs) for _ in range(10)]
        wait_for(lambda: receiving(proxy) == 10)
        assert ours.unary_unary(INFER)(b"abc", timeout=10) == b"3"
        wait_for(lambda: receiving(proxy) == 9)
        wait_for(lambda: any(one.call.done() for one in held))
        (gone,) = (one for one in held if one.call.done())
        assert gone.error()[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        for one in held:
            one.end()


def test_open_calls_of_a_connection_are_bounded_whatever_it_sends(start: Start) -> None:
    proxy, port = start(ReceptionLimits(calls=10_000))
    with RawCaller(port) as caller:
        with contextlib.suppress(OSError):  # the server ends such a connection
            for _ in range(4 * MAX_CALLS_PER_CONNECTION):
                caller.open(INFER)
        wait_for(lambda: receiving(proxy) > 0 or caller.closed(0.01))
        assert receiving(proxy) <= MAX_CALLS_PER_CONNECTION
        assert call(port) == b"3"


def test_calls_about_health_are_bounded_by_connection_alone(start: Start) -> None:
    proxy, port = start(PATIENT)
    with channel(port) as theirs:
        held = [Abandoned(theirs, READY) for _ in range(PATIENT.health_calls)]
        wait_for(lambda: receiving(proxy) == PATIENT.health_calls)
        assert Abandoned(theirs, READY).error() == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "this connection has 4 open calls about health, which is the limit",
        )
        assert theirs.unary_unary(INFER)(b"abc", timeout=10) == b"3"
        assert call(port, READY) == b"3"
        for one in held:
            one.end()
        wait_for(lambda: receiving(proxy) == 0)
        assert theirs.unary_unary(READY)(b"abc", timeout=10) == b"3"


def test_a_call_about_health_has_a_small_message(start: Start) -> None:
    _, port = start(PATIENT)
    assert call(port, READY, bytes(MAX_HEALTH_BYTES)) == b"4096"
    with pytest.raises(grpc.RpcError) as raised:
        call(port, READY, bytes(MAX_HEALTH_BYTES + 1))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == "a message about health has 4097 bytes, the limit is 4096"


@pytest.mark.heavy
@pytest.mark.parametrize("method", [INFER, READY, METADATA])
def test_a_message_that_does_not_come_ends_the_call(method: str, start: Start) -> None:
    proxy, port = start(QUICK)
    with channel(port) as connected:
        abandoned = Abandoned(connected, method)
        wait_for(lambda: receiving(proxy) == 1)
        # Others over the same connection are answered meanwhile.
        assert connected.unary_unary(INFER)(b"abc", timeout=10) == b"3"
        status, message = abandoned.error()
        assert status is grpc.StatusCode.DEADLINE_EXCEEDED
        assert message.startswith("the message arrived too slowly: ")
        assert message.endswith(" bytes/s over 1 s, the least is 16384")
        wait_for(lambda: receiving(proxy) == 0)


@pytest.mark.heavy
def test_a_message_that_comes_too_slowly_ends_the_call_and_a_fast_one_arrives(start: Start) -> None:
    proxy, port = start(QUICK)
    with RawCaller(port) as slow, RawCaller(port) as fast:
        streams = {caller: caller.open(INFER) for caller in (slow, fast)}
        for caller, stream in streams.items():
            caller.begin_message(stream, 1 << 20)
        wait_for(lambda: receiving(proxy) == 2)
        started = time.monotonic()
        while receiving(proxy) == 2:
            slow.send(streams[slow], bytes(10))
            fast.send(streams[fast], bytes(1000))
            time.sleep(0.02)
            assert time.monotonic() - started < 10
        (left,) = proxy._reception._all
        assert left.connection.received > 20_000  # the fast one's
        assert time.monotonic() - started > QUICK.window_seconds / 2


def test_a_message_has_a_time_limit_whatever_its_rate(start: Start) -> None:
    _, port = start(ReceptionLimits(seconds=0.5))
    with channel(port) as connected:
        assert Abandoned(connected).error() == (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "the message did not arrive within 0.5 s",
        )


def test_a_call_without_a_message_is_refused(start: Start) -> None:
    _, port = start(PATIENT)
    with channel(port) as connected, pytest.raises(grpc.RpcError) as raised:
        connected.stream_unary(INFER)(iter([]), timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == "the call has no message"


def test_a_closed_api_says_that_permission_is_denied(start: Start) -> None:
    _, port = start(PATIENT)
    with pytest.raises(grpc.RpcError) as raised:
        call(port, f"{SERVICE}/RepositoryIndex")
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert raised.value.details().startswith("This protocol is restricted")


def test_a_proxy_leaves_no_connection_and_no_socket(upstream: str) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    proxy = Proxy("127.0.0.1", port, upstream)
    path = proxy._front._path
    assert path.is_socket()
    assert path.parent.stat().st_mode & 0o077 == 0
    with RawCaller(port) as caller:
        caller.open(INFER)
        wait_for(lambda: receiving(proxy) == 1)
        caller.close()
        wait_for(lambda: receiving(proxy) == 0 and len(proxy.connections) == 0 and not proxy._front._by_name)
    with RawCaller(port) as caller:
        wait_for(lambda: len(proxy.connections) == 1)
        proxy.close()
        assert caller.closed()
    assert not path.exists()


def test_calls_without_messages_do_not_delay_the_end_of_the_server(upstream: str) -> None:
    (port,) = free_ports("127.0.0.1", 1)
    proxy = Proxy("127.0.0.1", port, upstream)
    with channel(port) as connected:
        abandoned = Abandoned(connected)
        wait_for(lambda: receiving(proxy) == 1)
        started = time.monotonic()
        proxy.close(grace_seconds=20)
        assert time.monotonic() - started < 10
        assert abandoned.error() == (
            grpc.StatusCode.UNAVAILABLE,
            "the server is stopping, and the message of this call had not arrived",
        )


def test_a_directory_whose_name_is_too_long_for_a_socket_is_named(
    upstream: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    (port,) = free_ports("127.0.0.1", 1)
    with pytest.raises(OSError, match=r"is too long for a socket, .*: set XDG_RUNTIME_DIR or TMPDIR to a shorter"):
        Proxy("127.0.0.1", port, upstream)


def test_a_compressed_message_is_refused_before_it_is_unpacked(start: Start) -> None:
    """A few megabytes can be gigabytes."""
    _, port = start(PATIENT)
    for method in (INFER, READY, METADATA):
        with channel(port) as connected, pytest.raises(grpc.RpcError) as raised:
            connected.unary_unary(method)(bytes(1 << 20), timeout=10, compression=grpc.Compression.Gzip)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert raised.value.details() == "Compression algorithm 'gzip' is disabled."
    assert call(port) == b"3"


def test_noise_costs_other_callers_nothing(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    proxy, port = start(PATIENT)
    for junk in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" + bytes(200),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
    ):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(junk)
    assert call(port) == b"3"
    wait_for(lambda: len(proxy.connections) == 0)
    output = capfd.readouterr()
    assert len(output.out) + len(output.err) < 1000

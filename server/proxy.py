"""The gRPC proxy in front of Triton: it queues calls fairly, and keeps cancellations from Triton, which can crash it.

Why it exists: tritonserver 2.51 (release 24.10, the one that pip installs) can crash if a call is cancelled while it is
answered. Of 240 cancelled calls for motion and camera, seven crashed it; none of 640 did through the proxy. Two reports
look like the same crash: triton-inference-server/server issues 7368 (24.05 to 24.08) and 8034 (25.01). Both are closed,
with fixes in later releases; whether those end the crashes seen here was not measured. `GATE=off` leaves the proxy out.

So a call for inference that Triton has received is never cancelled there: the proxy waits for its answer and discards
it. It tells the models that read videos that the caller has gone (`server.cpu_shares`), and they stop. Calls in the
queue whose caller disconnects are dropped before decoding. Callers take turns, and those who make Triton work for
nothing come last (`server.waste`).

Connections (`server.tcp_front`) and calls whose messages have not arrived (`server.reception`) are bounded, so that a
caller that sends nothing locks nobody out.

Triton implements TLS and restricted protocols itself. The restricted protocols stay Triton's, and the proxy passes the
key through. TLS ends in the proxy because gRPC connections end there: a proxy that passed encrypted bytes through could
not tell one call from another. Between proxy and Triton, calls stay on the loopback interface.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from server.closed_models import ClosedModels, model_name
from server.connections import Connection, Connections
from server.cpu_shares import CpuShares
from server.descriptors import share
from server.fair_queue import FairQueue, QueueFull
from server.missing_signals import missing_signal
from server.pings import GRPC_OPTIONS
from server.ports import in_url
from server.reception import HEALTH, NotReceived, Reception, ReceptionLimits, Stopping, TooManyCalls
from server.request_video import find_video
from server.runtime_files import runtime_path
from server.tcp_front import TcpFront
from server.tls import ServerTls
from video.call_files import new_token
from video.cpu_share import CALL
from video.errors import NoRoom, Reason
from video.malloc_trim import LARGE_BYTES, give_back
from video.shared_clips import MARK, SharedClips
from video.shared_memory import cannot_write, free_bytes, no_room
from video.shared_videos import MARK as VIDEO
from video.shared_videos import SharedVideos

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
ENSEMBLES = ("video_motion", "video_signals")
"""In their calls, videos and clips may be in files: they have no output with the clips themselves."""
MAX_IN_FLIGHT = 16
"""Calls in flight to Triton: enough to keep every model busy; any more would wait in Triton, not here."""
MAX_PER_CALLER = 2
"""Calls of one caller in flight, in the cpu profile. The models that read videos have more processes, so one caller's
long videos never occupy all of them. Two keep the networks busy: while one video is computed, the next is decoded."""
MAX_PER_CALLER_WITH_GPU = 11
"""The same in the profiles with a GPU, whose `video_decode` has one process more: what NVDEC does not read may take
long on the CPU."""
MAX_WAITING = 64
TRIM_SECONDS = 1.0
"""How long after a large request its memory is returned to the system."""
MAX_CONNECTIONS = 512
"""Connections at once; fewer if the process may not have the descriptors."""
MAX_CALLS_PER_CONNECTION = 128
"""Open calls of one connection; a caller's gRPC library keeps more to itself until others are answered."""
OTHERS_IN_FLIGHT, OTHERS_PER_CALLER, OTHERS_WAITING = 32, 4, 256
"""The queue of calls that are neither inference nor about health, such as metadata."""
MAX_HEALTH_BYTES = 4096
HANDSHAKE_SECONDS = 20
MAX_SOCKET_PATH_BYTES = 107
RESTRICTED = "This protocol is restricted"
"""Triton's message if a closed API is called without the key."""
NO_ROOM = "Failed to increase the shared memory pool"
"""Triton's message if a tensor does not fit into /dev/shm; only that request fails."""
MESSAGES = [("grpc.max_receive_message_length", 2**31 - 1), ("grpc.max_send_message_length", -1)]
NOT_PASSED_ON = ("user-agent", "te", "content-type", CALL, MARK, VIDEO)
"""Metadata of callers: what is gRPC's, and what only the proxy may say."""
LISTENING = [
    *MESSAGES,
    ("grpc.max_concurrent_streams", MAX_CALLS_PER_CONNECTION),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    # Callers behind a balancer ping, so that it does not forget their connections; the proxy pings those that do not.
    *GRPC_OPTIONS,
    # Not compressed: 2 MB of it can be 2 GiB. Videos are compressed already.
    ("grpc.compression_enabled_algorithms_bitset", 1),
]
CONNECTING = [
    *MESSAGES,
    ("grpc.enable_http_proxy", 0),  # Triton is on this machine, and an HTTP proxy of the network cannot reach it
    # By default the pause before gRPC reconnects grows to two minutes, and Triton is not up yet at first.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 500),
]


class Proxy:
    """Listens in a thread of its own until it is closed."""

    def __init__(
        self,
        address: str,
        port: int,
        upstream: str,
        tls: ServerTls | None = None,
        max_per_caller: int = MAX_IN_FLIGHT,
        closed: ClosedModels | None = None,
        cpu_shares: CpuShares | None = None,
        limits: ReceptionLimits | None = None,
        max_connections: int | None = None,
        max_connection_age_seconds: float | None = None,
        shared_clips: SharedClips | None = None,
        shared_videos: SharedVideos | None = None,
    ) -> None:
        """Listen on `address` and `port`, OSError if that fails, and forward to Triton at `upstream` (ADDRESS:PORT).

        At most `max_per_caller` calls of one caller are in flight; half of `max_connections` may be of one address.
        A connection that is older than `max_connection_age_seconds` takes no more calls, and ends after its last one.
        Without `closed`, callers may call every model; without `cpu_shares`, the models are not told how many callers
        there are; without `shared_clips` or `cpu_shares`, clips are passed on in copies, and so are videos without
        `shared_videos`.
        """
        self._options = list(LISTENING)
        if max_connection_age_seconds is not None:
            self._options.append(("grpc.max_connection_age_ms", round(max_connection_age_seconds * 1000)))
        self._cpu_shares = cpu_shares
        self._closed = closed
        self._shared_clips = shared_clips
        self._shared_videos = shared_videos
        self._being_written = 0
        """Bytes of videos that are being written to shared memory: they are not all taken yet."""
        self.queue = FairQueue(MAX_IN_FLIGHT, MAX_WAITING, max_per_caller)
        self._others = FairQueue(OTHERS_IN_FLIGHT, OTHERS_WAITING, OTHERS_PER_CALLER)
        self._reception = Reception(limits or ReceptionLimits())
        total = max_connections or share(MAX_CONNECTIONS, 8)
        self.connections = Connections("gRPC", total, max(total // 2, 1))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        try:
            self._run(self._open(address, port, upstream, tls))
        except BaseException:
            self._end()
            raise

    def close(self, grace_seconds: float = 0.0) -> None:
        """Accept no more calls, give those in flight `grace_seconds` to finish, and stop."""
        self._run(self._close(grace_seconds))
        self._end()

    def change_upstream(self, upstream: str) -> None:
        """Forward to Triton at another ADDRESS:PORT from now on."""
        self._run(self._connect(upstream))

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self, address: str, port: int, upstream: str, tls: ServerTls | None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        """Calls in flight, and the release of their slots."""
        self._trimming: asyncio.Task[None] | None = None
        self._channel = grpc.aio.insecure_channel(upstream, options=CONNECTING)
        self._server = grpc.aio.server(options=self._options)
        self._server.add_generic_rpc_handlers([_Handlers(self._receive)])
        path = _socket_path(address, port)
        self._front = TcpFront(path, self.connections)
        await self._front.open(address, port)
        try:
            if tls is None:
                self._server.add_insecure_port(f"unix:{path}")
            else:
                self._server.add_secure_port(f"unix:{path}", credentials(tls))
            await self._server.start()
        except (RuntimeError, OSError) as error:
            await self._front.close()
            if isinstance(error, OSError):
                raise
            raise OSError(f"cannot listen on {path} for {in_url(address)}:{port}: {error}") from error

    async def _connect(self, upstream: str) -> None:
        before, self._channel = self._channel, grpc.aio.insecure_channel(upstream, options=CONNECTING)
        await before.close()

    async def _close(self, grace_seconds: float) -> None:
        self._front.stop_listening()
        self._reception.stop()
        await self._server.stop(grace_seconds)
        if self._tasks:  # calls whose callers have disconnected
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        left = [*self._tasks, *([self._trimming] if self._trimming else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._reception.close()
        await self._front.close()
        await self._channel.close()

    async def _receive(self, method: str, context: grpc.aio.ServicerContext) -> bytes:
        """Wait for the message of a call, then for its answer."""
        connection = self._front.find(context.peer())
        if connection is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection has ended")
            raise AssertionError("abort always raises")
        try:
            async with contextlib.AsyncExitStack() as stack:
                if health := method in HEALTH:
                    await stack.enter_async_context(self._reception.health_call(connection))
                request = _Request(await self._reception.receive(connection, context.read, health=health))
                return await self._answer(method, request, connection, context)
        except NotReceived as error:
            self._trim_soon()  # part of it may have arrived
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))
        except Stopping as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except TooManyCalls as error:
            self._trim_soon()
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        raise AssertionError("abort always raises")

    async def _answer(
        self, method: str, request: "_Request", connection: Connection, context: grpc.aio.ServicerContext
    ) -> bytes:
        if request.content is grpc.aio.EOF:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call has no message")
        if method in HEALTH and request.size > MAX_HEALTH_BYTES:
            sizes = f"{request.size} bytes, the limit is {MAX_HEALTH_BYTES}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a message about health has {sizes}")
        connection.begin_answering()
        try:
            return await self._forward(method, request, connection.group, context)
        finally:
            connection.end_answering()

    async def _forward(
        self, method: str, request: "_Request", address: str, context: grpc.aio.ServicerContext
    ) -> bytes:
        try:
            if method in HEALTH:
                return await self._call(method, request, context)
            if method != INFER:
                async with self._others.slot(context.peer(), address):
                    return await self._call(method, request, context)
            if self._closed is not None and (refusal := self._closed.refusal(request.content, _metadata(context))):
                await context.abort(*refusal)
            async with contextlib.AsyncExitStack() as stack:
                caller = context.peer()
                added: list[tuple[str, str]] = []
                number: int | None = None
                if self._cpu_shares is not None:
                    stack.enter_context(self._cpu_shares.presence(caller, address))
                await stack.enter_async_context(self.queue.slot(caller, address))
                if self._cpu_shares is not None:
                    number = stack.enter_context(
                        self._cpu_shares.call(caller, address, lambda: self.queue.waste.is_wasteful(address))
                    )
                    added = [(CALL, str(number))]
                    if self._shared_clips is not None and _is_for_ensemble(request.content):
                        clips = new_token()
                        added.append((MARK, clips))
                        stack.callback(self._shared_clips.remove, clips)
                call = _InFlight(address, time.monotonic())
                answer = asyncio.create_task(self._infer(request, context, added))
                # If the caller disconnects, the call keeps its slot until Triton has answered.
                slot = stack.pop_all()
                self._tasks.add(answer)
                answer.add_done_callback(lambda task: self._finish(task, slot, call))
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                if answer.cancelled():  # with the connection to a tritonserver that has ended
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "tritonserver is being restarted")
                call.is_abandoned = True
                if self._cpu_shares is not None and number is not None and not answer.done():
                    self._cpu_shares.abandon(number)
                raise
        except (QueueFull, NoRoom) as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(*_translate(error))
        finally:
            if request.size >= LARGE_BYTES:
                self._trim_soon()
        raise AssertionError("abort always raises")

    def _trim_soon(self) -> None:
        """Return the memory of large requests to the system, of several at once."""
        if self._trimming is None or self._trimming.done():
            self._trimming = asyncio.create_task(self._trim())

    async def _trim(self) -> None:
        await asyncio.sleep(TRIM_SECONDS)  # gRPC frees a request a little after it was answered
        await asyncio.to_thread(give_back)

    def _finish(self, answer: asyncio.Task[bytes], slot: contextlib.AsyncExitStack, call: "_InFlight") -> None:
        self._tasks.discard(answer)
        error = None if answer.cancelled() else answer.exception()  # retrieved, or asyncio would log it
        if call.is_abandoned or (isinstance(error, grpc.aio.AioRpcError) and _took_too_much(error)):
            self.queue.waste.add(call.address, time.monotonic() - call.started)
        task = asyncio.get_running_loop().create_task(slot.aclose())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _infer(
        self, request: "_Request", context: grpc.aio.ServicerContext, added: Sequence[tuple[str, str]]
    ) -> bytes:
        """The answer to a call for inference; its video goes in a file if it is one for an ensemble."""
        shared = self._shared_videos
        video = find_video(request.content) if shared is not None and _is_for_ensemble(request.content) else None
        if shared is None or video is None:
            return await self._call(INFER, request, context, added)
        size = video.end - video.start
        # Beyond the limit of a cgroup, writing would not fail, but end the process.
        if size + self._being_written > free_bytes():
            raise no_room(free_bytes())
        token = new_token()
        try:
            try:
                with memoryview(request.take()) as message:
                    await self._write(shared, token, message[video.start : video.end])
            except OSError as error:
                raise cannot_write(error) from error
            if size >= LARGE_BYTES:
                self._trim_soon()
            request.content = video.rest
            return await self._call(INFER, request, context, [*added, (VIDEO, token)])
        finally:
            shared.remove(token)

    async def _write(self, shared: SharedVideos, token: str, video: memoryview) -> None:
        """Write the file of a call; OSError if that fails. It has ended in any case when this returns or raises."""
        self._being_written += video.nbytes
        writing = asyncio.create_task(asyncio.to_thread(shared.write, token, video))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # or the file would be there after it was removed
            raise
        finally:
            self._being_written -= video.nbytes

    async def _call(
        self, method: str, request: "_Request", context: grpc.aio.ServicerContext, added: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        metadata = [
            (key, value)
            for key, value in context.invocation_metadata() or ()
            if not key.startswith(("grpc-", ":")) and key not in NOT_PASSED_ON
        ]
        metadata += added
        # No deadline: when it passed, it would cancel the call.
        if len(request.content) < LARGE_BYTES:
            return await self._channel.unary_unary(method)(request.take(), metadata=metadata)
        # To gRPC, the request is a stream of one message: otherwise it would keep the message until it has the answer.
        call = self._channel.stream_unary(method)(metadata=metadata)
        with contextlib.suppress(asyncio.InvalidStateError):  # it has ended already, and says why when it is awaited
            await call.write(request.take())
            await call.done_writing()
        self._trim_soon()
        return await call


class _Request:
    """The message of a call, which is dropped once it is sent on: a video may have 2 GiB."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = 0 if content is grpc.aio.EOF else len(content)

    def take(self) -> bytes:
        """The message, which is not kept here any longer."""
        content, self.content = self.content, b""
        return content


def _is_for_ensemble(request: bytes) -> bool:
    try:
        return model_name(request) in ENSEMBLES
    except ValueError:  # Triton says what is wrong with it
        return False


@dataclass
class _InFlight:
    """A call that Triton answers."""

    address: str
    started: float
    """When it got its slot, by the monotonic clock, in seconds."""
    is_abandoned: bool = False
    """Whether its caller has gone."""


def _took_too_much(error: grpc.aio.AioRpcError) -> bool:
    """Whether a video took more time than it may."""
    return any(f"[{reason}]" in (error.details() or "") for reason in (Reason.BUSY, Reason.TIMED_OUT))


def _metadata(context: grpc.aio.ServicerContext) -> dict[str, str | bytes]:
    return dict(context.invocation_metadata() or ())


def _socket_path(address: str, port: int) -> Path:
    """Where gRPC's server listens for the callers of this address and port; OSError if the path is too long."""
    path = runtime_path(address, port, "grpc")
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        too_long = f"{path} is too long for a socket, which may have {MAX_SOCKET_PATH_BYTES} bytes"
        raise OSError(f"{too_long}: set XDG_RUNTIME_DIR or TMPDIR to a shorter directory")
    return path


def credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """The server's credentials for gRPC; OSError if a file cannot be read."""
    ca = None if tls.client_ca is None else tls.client_ca.read_bytes()
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)


def _translate(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    """Triton's own status and message, with three exceptions.

    Full shared memory is worth a retry; a closed API is not, although Triton says UNAVAILABLE. What `signals` leaves
    out has a sentence.
    """
    message = error.details() or ""
    if message.startswith(RESTRICTED):
        return grpc.StatusCode.PERMISSION_DENIED, message
    if sentence := missing_signal(message):
        return grpc.StatusCode.INVALID_ARGUMENT, sentence
    if NO_ROOM not in message:
        return error.code(), message
    return grpc.StatusCode.UNAVAILABLE, str(no_room(free_bytes()))


class _Handlers(grpc.GenericRpcHandler):
    """Every method, with messages as bytes."""

    def __init__(self, receive: Callable[[str, grpc.aio.ServicerContext], Awaitable[bytes]]) -> None:
        self._receive = receive

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        async def unary(requests: Any, context: grpc.aio.ServicerContext) -> bytes:  # noqa: ARG001 - gRPC's signature
            return await self._receive(method, context)

        async def stream(requests: Any, context: grpc.aio.ServicerContext) -> None:  # noqa: ARG001 - gRPC's signature
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "streams are not supported: call ModelInfer")

        if method == STREAM:
            return grpc.stream_stream_rpc_method_handler(stream)
        # To gRPC, the request is a stream of one message: only then does it call before the message has arrived.
        return grpc.stream_unary_rpc_method_handler(unary)

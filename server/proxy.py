"""What callers talk to over gRPC: it hands whole calls on to Triton, and keeps from it what Triton takes badly.

A call that is cancelled while Triton answers it can crash tritonserver (seen with release 24.10: of 240 cancelled calls
for motion and camera, seven did). So a call for inference that has gone on to Triton is never cancelled: its answer is
thrown away. Calls that wait here when their caller goes are dropped, before anything is decoded. Callers take turns.
TLS ends here.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from server.fair_queue import FairQueue, QueueFull
from video.malloc_trim import LARGE_BYTES, give_back
from video.shared_memory import free_bytes, no_room

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
MAX_IN_FLIGHT = 16
"""Calls that Triton has at once: enough to keep every model busy, few enough that most of those who wait wait here."""
MAX_PER_CALLER = 2
"""Of one caller in the cpu profile, whose models have one more process each: one caller's films are never in all of
them. Two keep the networks busy, for while they compute one video the next one is decoded."""
MAX_WAITING = 64
GIVE_BACK_SECONDS = 1.0
"""How often memory that large requests took is returned, at most."""
MAX_RECEIVED = 256
"""Calls whose messages are received at once, of whatever kind; the next are refused unread."""
NO_ROOM = "Failed to increase the shared memory pool"
"""How Triton says that a tensor does not fit into what is left of it. The request fails, and nothing else does."""
MESSAGES = [("grpc.max_receive_message_length", 2**31 - 1), ("grpc.max_send_message_length", -1)]
LISTENING = [*MESSAGES, ("grpc.so_reuseport", 0)]  # or a second server would silently share the port
CONNECTING = [
    *MESSAGES,
    # gRPC's own pause before it connects again grows to two minutes, and Triton is not there at first.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 500),
]


@dataclass(frozen=True)
class Tls:
    """How callers are shown who this is, and show who they are; PEM files."""

    certificate: Path
    """The server's, with those that it was signed with."""
    key: Path
    """Its private key."""
    client_ca: Path | None = None
    """Whose certificates callers must have; they need none where this is not given."""

    def credentials(self) -> grpc.ServerCredentials:
        """As gRPC wants them; OSError where a file cannot be read."""
        ca = None if self.client_ca is None else self.client_ca.read_bytes()
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)


class Proxy:
    """Listens until it is closed, in a thread of its own."""

    def __init__(
        self,
        address: str,
        port: int,
        upstream: str,
        tls: Tls | None = None,
        max_per_caller: int = MAX_IN_FLIGHT,
    ) -> None:
        """Listen on `address` and `port`, and hand on to Triton at `upstream`; OSError where that cannot be.

        Of one caller Triton has `max_per_caller` calls at once.
        """
        self.queue = FairQueue(MAX_IN_FLIGHT, MAX_WAITING, max_per_caller)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        try:
            self._run(self._open(address, port, upstream, tls))
        except BaseException:
            self._end()
            raise

    def close(self, grace_seconds: float = 0.0) -> None:
        """Take no more calls, give those under way some time, and stop."""
        self._run(self._close(grace_seconds))
        self._end()

    def hand_on_to(self, upstream: str) -> None:
        """Hand on to a Triton elsewhere from now on."""
        self._run(self._connect(upstream))

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self, address: str, port: int, upstream: str, tls: Tls | None) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()
        self._giving_back: asyncio.Task[None] | None = None
        self._channel = grpc.aio.insecure_channel(upstream, options=CONNECTING)
        self._server = grpc.aio.server(options=LISTENING, maximum_concurrent_rpcs=MAX_RECEIVED)
        self._server.add_generic_rpc_handlers([_Handlers(self._hand_on)])
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        try:
            if tls is None:
                self._server.add_insecure_port(where)
            else:
                self._server.add_secure_port(where, tls.credentials())
        except RuntimeError as error:
            raise OSError(f"cannot listen on {where}: {error}") from error
        await self._server.start()

    async def _connect(self, upstream: str) -> None:
        before, self._channel = self._channel, grpc.aio.insecure_channel(upstream, options=CONNECTING)
        await before.close()

    async def _close(self, grace_seconds: float) -> None:
        await self._server.stop(grace_seconds)
        if self._under_way:  # those whose callers have gone
            await asyncio.wait(self._under_way, timeout=grace_seconds)
        left = [*self._under_way, *([self._giving_back] if self._giving_back else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._channel.close()

    async def _hand_on(self, method: str, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            if method != INFER:
                return await self._ask(method, request, context)
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(self.queue.slot(context.peer()))
                answer = asyncio.create_task(self._ask(method, request, context))
                # Whoever goes, Triton is let finish; until then the turn is not over.
                keep = stack.pop_all()
                self._under_way.add(answer)
                answer.add_done_callback(lambda task: self._leave(task, keep))
            return await asyncio.shield(answer)
        except QueueFull as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except grpc.aio.AioRpcError as error:
            await context.abort(*_told(error))
        finally:
            if len(request) >= LARGE_BYTES:
                self._give_back_soon()
        raise AssertionError("abort always raises")

    def _give_back_soon(self) -> None:
        """Return the memory of large requests to the machine, of several at once."""
        if self._giving_back is None or self._giving_back.done():
            self._giving_back = asyncio.create_task(self._give_back())

    async def _give_back(self) -> None:
        await asyncio.sleep(GIVE_BACK_SECONDS)  # gRPC lets go of a request a little after it has been answered
        await asyncio.to_thread(give_back)

    def _leave(self, answer: asyncio.Task[bytes], keep: contextlib.AsyncExitStack) -> None:
        self._under_way.discard(answer)
        if not answer.cancelled():
            answer.exception()  # looked at, for nobody else may
        task = asyncio.get_running_loop().create_task(keep.aclose())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _ask(self, method: str, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        metadata = [
            (key, value)
            for key, value in context.invocation_metadata() or ()
            if not key.startswith(("grpc-", ":")) and key not in ("user-agent", "te", "content-type")
        ]
        # No deadline: it would cancel the call.
        return await self._channel.unary_unary(method)(request, metadata=metadata)


def _told(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    """What a caller is told of a call that failed: what Triton said, unless it was at the end of its shared memory."""
    said = error.details() or ""
    if NO_ROOM not in said:
        return error.code(), said
    return grpc.StatusCode.UNAVAILABLE, str(no_room(free_bytes()))


class _Handlers(grpc.GenericRpcHandler):
    """Every method, its messages as they are."""

    def __init__(self, hand_on: Callable[[str, bytes, grpc.aio.ServicerContext], Awaitable[bytes]]) -> None:
        self._hand_on = hand_on

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        async def unary(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return await self._hand_on(method, request, context)

        async def stream(requests: Any, context: grpc.aio.ServicerContext) -> None:  # noqa: ARG001 - what gRPC gives
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "streams are not served here: call ModelInfer")

        if method == STREAM:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

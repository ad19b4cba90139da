"""HTTP/1.1 for callers that are not trusted: connections, heads, bodies and waiting are bounded.

h11 reads and writes the protocol. What is asked for, a handler answers.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import h11

from server.connections import Connection, Connections
from server.descriptors import share
from server.loop_thread import LoopThread
from server.ports import ACCEPT_AT_ONCE, BACKLOG, listener

log = logging.getLogger(__name__)
MAX_HEAD_BYTES = 16 << 10
READ_BYTES = 64 << 10
LINGER_SECONDS = 1.0
MAX_LINGER_BYTES = 1 << 20
HEAD_TOO_LARGE = 431
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class HttpLimits:
    """How long a caller may take."""

    head_seconds: float = 10.0
    """For the head of a request, and for the first one of a connection to begin."""
    idle_seconds: float = 120.0
    """Between two requests; Prometheus asks at least this often."""
    stall_seconds: float = 10.0
    """Between two parts of a body, sent or received."""


@dataclass(frozen=True)
class Answer:
    """What a handler answers."""

    status: int
    headers: Headers
    body: bytes


class HttpError(Exception):
    """A request that is refused: the message becomes the body, as Triton writes errors."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def answer(self) -> Answer:
        """The answer that says so."""
        body = json.dumps({"error": str(self)}).encode() + b"\n"
        return Answer(self.status, [(b"content-type", b"application/json")], body)


class Body:
    """The body of a request, which need not be read."""

    def __init__(self, exchange: "_Exchange") -> None:
        self._exchange = exchange

    async def chunks(self, max_bytes: int) -> AsyncIterator[bytes]:
        """Its parts; `HttpError` if it has more than `max_bytes`, or stops arriving."""
        total = 0
        async for chunk in self._exchange.body():
            total += len(chunk)
            if total > max_bytes:
                raise HttpError(413, f"the body is larger than {max_bytes} bytes, which is the limit here")
            yield chunk

    async def discard(self, max_bytes: int, seconds: float) -> None:
        """Read a body that has no meaning; `HttpError` as above, or if it takes longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                async for _ in self.chunks(max_bytes):
                    pass
        except TimeoutError:
            raise HttpError(408, f"the body did not arrive within {seconds:g} s") from None


Handler = Callable[[h11.Request, Body], Awaitable[Answer]]


class HttpServer:
    """Listens in a thread of its own until it is closed."""

    def __init__(
        self,
        what: str,
        address: str,
        port: int,
        handler: Handler,
        max_connections: int,
        limits: HttpLimits | None = None,
    ) -> None:
        """Listen on `address` and `port`, OSError if that fails.

        At most `max_connections` are open, half of them of one address; `what` names the port in messages.
        """
        total = share(max_connections, 16)
        self.connections = Connections(what, total, max(total // 2, 1))
        self._handler = handler
        self._limits = limits or HttpLimits()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = LoopThread(what)
        try:
            self._thread.run(self._open(address, port))
        except BaseException:
            self._thread.end()
            raise

    def close(self) -> None:
        """Stop listening and end all connections."""
        self._thread.run(self._close())
        self._thread.end()

    async def _open(self, address: str, port: int) -> None:
        listening = listener(address, port)
        self._server = await asyncio.start_server(self._serve, sock=listening, backlog=ACCEPT_AT_ONCE, limit=READ_BYTES)
        listening.listen(BACKLOG)

    async def _close(self) -> None:
        self._server.close()
        self.connections.close_all()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = writer.get_extra_info("peername")
        connection = None if peer is None else self.connections.admit(peer[0], writer.transport.abort)
        try:
            if connection is not None:
                # A caller that disconnects or says nothing is no error.
                with contextlib.suppress(OSError, TimeoutError, h11.ProtocolError):
                    await self._converse(_Exchange(reader, writer, self._limits, connection), connection)
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()
            if connection is not None:
                self.connections.remove(connection)
            self._tasks.discard(task)

    async def _converse(self, exchange: "_Exchange", connection: Connection) -> None:
        while True:
            try:
                request = await exchange.request()
            except HttpError as error:
                await exchange.send(error.answer)
                return
            if request is None:
                return
            connection.begin_answering()
            try:
                answer = await self._answer(request, Body(exchange))
                await exchange.send(answer)
            finally:
                connection.end_answering()
            if not exchange.next():
                return

    async def _answer(self, request: h11.Request, body: Body) -> Answer:
        try:
            return await self._handler(request, body)
        except HttpError as error:
            return error.answer
        except Exception:
            log.exception("a request over HTTP failed")
            return HttpError(500, "the server failed to answer this request").answer


class _Exchange:
    """The requests and answers of one connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: HttpLimits,
        connection: Connection,
    ) -> None:
        self._reader, self._writer, self._limits, self._connection = reader, writer, limits, connection
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._first = True
        self._method = b""

    async def request(self) -> h11.Request | None:
        """The head of the next request; None if there is no other, `HttpError` if it is not valid."""
        limits = self._limits
        async with asyncio.timeout(limits.head_seconds if self._first else limits.idle_seconds) as limit:
            self._first = False
            while True:
                try:
                    event = self._http.next_event()
                except h11.RemoteProtocolError as error:
                    raise self._refused(error) from error
                if isinstance(event, h11.Request):
                    self._method = event.method
                    return event
                if event is not h11.NEED_DATA:
                    return None
                if not await self._receive():
                    return None
                # From its first byte on, a head has its own limit.
                head = asyncio.get_running_loop().time() + limits.head_seconds
                when = limit.when()
                if when is None or head < when:
                    limit.reschedule(head)

    async def body(self) -> AsyncIterator[bytes]:
        """The parts of the body; while they arrive, the connection counts as one that receives."""
        if self._http.they_are_waiting_for_100_continue:
            await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        self._connection.end_answering()
        self._connection.begin_receiving()
        try:
            while (data := await self._part()) is not None:
                yield data
        finally:
            self._connection.end_receiving()
            self._connection.begin_answering()

    async def _part(self) -> bytes | None:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise HttpError(400, f"the body is not valid HTTP: {error}") from error
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if event is not h11.NEED_DATA:
                return None
            try:
                async with asyncio.timeout(self._limits.stall_seconds):
                    await self._receive()
            except TimeoutError:
                seconds = f"{self._limits.stall_seconds:g} s"
                raise HttpError(408, f"the body stopped arriving for {seconds}") from None

    async def send(self, answer: Answer) -> None:
        """Send an answer, and end the connection if its request was not read to the end."""
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        unread = self._http.their_state is not h11.DONE
        if unread:
            headers.append((b"connection", b"close"))
        data = self._http.send(h11.Response(status_code=answer.status, headers=headers))
        data = (data or b"") + (self._http.send(h11.Data(data=answer.body)) or b"" if self._method != b"HEAD" else b"")
        await self._write(data + (self._http.send(h11.EndOfMessage()) or b""))
        if unread:
            await self._linger()

    def next(self) -> bool:
        """Whether the connection may have another request."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _receive(self) -> bool:
        data = await self._reader.read(READ_BYTES)
        self._connection.received += len(data)
        self._http.receive_data(data)
        return bool(data)

    async def _write(self, data: bytes | None) -> None:
        for start in range(0, len(data or b""), READ_BYTES):
            self._writer.write((data or b"")[start : start + READ_BYTES])
            async with asyncio.timeout(self._limits.stall_seconds):
                await self._writer.drain()

    async def _linger(self) -> None:
        """Read on for a moment: a connection closed at once could be reset before the caller has read the answer."""
        self._writer.write_eof()
        left = MAX_LINGER_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and (data := await self._reader.read(READ_BYTES)):
                    left -= len(data)

    def _refused(self, error: h11.RemoteProtocolError) -> HttpError:
        if error.error_status_hint == HEAD_TOO_LARGE:
            return HttpError(HEAD_TOO_LARGE, f"the head of the request is larger than {MAX_HEAD_BYTES} bytes")
        return HttpError(error.error_status_hint, f"the request is not valid HTTP: {error}")

"""One HTTP request to tritonserver, without blocking the event loop."""

import asyncio
from collections.abc import AsyncIterator

import h11

from server.http_server import READ_BYTES, Answer, Headers

MAX_ANSWER_BYTES = 256 << 20
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade content-length expect".split()
)


class NoAnswer(Exception):
    """tritonserver could not be reached, or broke off."""


def end_to_end(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers that are passed on: all but those about one connection."""
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]


async def exchange(
    address: tuple[str, int],
    method: bytes,
    target: bytes,
    headers: Headers = (),
    body: AsyncIterator[bytes] | None = None,
    *,
    seconds: float,
) -> Answer:
    """The answer to a request; `NoAnswer` says why there is none, TimeoutError after `seconds` without a byte.

    A body is sent in chunks, unless `headers` has its length.
    """
    async with asyncio.timeout(seconds) as limit:
        try:
            reader, writer = await asyncio.open_connection(*address, limit=READ_BYTES)
        except OSError as error:
            raise NoAnswer(str(error)) from error
        try:
            return await _converse(reader, writer, limit, seconds, method, target, headers, body)
        except (OSError, h11.ProtocolError) as error:
            raise NoAnswer(str(error)) from error
        finally:
            writer.transport.abort()


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    limit: asyncio.Timeout,
    seconds: float,
    method: bytes,
    target: bytes,
    headers: Headers,
    body: AsyncIterator[bytes] | None,
) -> Answer:
    loop = asyncio.get_running_loop()
    http = h11.Connection(h11.CLIENT)

    async def write(event: h11.Event) -> None:
        writer.write(http.send(event) or b"")
        await writer.drain()
        limit.reschedule(loop.time() + seconds)

    own = [(b"host", b"localhost"), (b"connection", b"close")]
    kept = [(name, value) for name, value in headers if name.lower() != b"host"]
    await write(h11.Request(method=method, target=target, headers=[*own, *kept]))
    if body is not None:
        async for chunk in body:
            await write(h11.Data(data=chunk))
    await write(h11.EndOfMessage())
    status, answered, parts, total = 0, [], [], 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(READ_BYTES))
            limit.reschedule(loop.time() + seconds)
        elif isinstance(event, h11.Response):
            status, answered = event.status_code, end_to_end(event.headers.raw_items())
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
            total += len(event.data)
            if total > MAX_ANSWER_BYTES:
                raise NoAnswer(f"its answer is larger than {MAX_ANSWER_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, answered, b"".join(parts))
        elif isinstance(event, h11.ConnectionClosed):
            raise NoAnswer("it closed the connection")

"""What stands between a client and a server: a balancer that forgets idle connections, and an HTTP proxy."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from server.ports import LOOPBACK

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Tunnel:
    """Listens on a port of its own and passes bytes on to `target`."""

    def __init__(self, target: int | None = None) -> None:
        self.target = target
        self.connections = 0
        self._writers: list[Writer] = []

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Serve one connection."""
        self.connections += 1
        self._writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.accept(reader, writer)

    async def accept(self, reader: Reader, writer: Writer) -> None:
        """Pass on what comes in both directions until one side ends."""
        assert self.target is not None
        there, back = await asyncio.open_connection(LOOPBACK, self.target)
        self._writers.append(back)
        await asyncio.gather(self.pump(reader, back), self.pump(there, writer))

    async def pump(self, source: Reader, sink: Writer) -> None:
        """Pass on what comes in one direction."""
        while data := await source.read(65536):
            await self.pass_on(data, sink)
        sink.close()

    async def pass_on(self, data: bytes, sink: Writer) -> None:
        """Write what came."""
        sink.write(data)
        await sink.drain()

    def abort(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()


class ForgetfulBalancer(Tunnel):
    """Forgets a connection that nothing came by for so long: swallows what is sent, and tells nobody."""

    def __init__(self, target: int, idle_seconds: float) -> None:
        super().__init__(target)
        self.idle_seconds = idle_seconds
        self.forgotten = 0
        """Connections forgotten."""

    async def accept(self, reader: Reader, writer: Writer) -> None:
        assert self.target is not None
        there, back = await asyncio.open_connection(LOOPBACK, self.target)
        self._writers.append(back)
        last, forgotten = time.monotonic(), False

        async def pump(source: Reader, sink: Writer) -> None:
            nonlocal last, forgotten
            while data := await source.read(65536):
                if not forgotten and time.monotonic() - last > self.idle_seconds:
                    forgotten = True
                    self.forgotten += 1
                if not forgotten:
                    last = time.monotonic()
                    await self.pass_on(data, sink)

        await asyncio.gather(pump(reader, back), pump(there, writer))


class HttpProxy(Tunnel):
    """An HTTP proxy that tunnels every CONNECT to `target`, or refuses all if there is none."""

    def __init__(self, target: int | None = None) -> None:
        super().__init__(target)
        self.asked: list[str] = []
        """HOST:PORT of every request."""

    async def accept(self, reader: Reader, writer: Writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split()[1])
        if self.target is None:
            await self.pass_on(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", writer)
            writer.close()
        else:
            await self.pass_on(b"HTTP/1.1 200 Connection established\r\n\r\n", writer)
            await super().accept(reader, writer)


@contextmanager
def listening(tunnel: Tunnel) -> Iterator[int]:
    """The port of a tunnel, in a thread of its own for the length of a `with` block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def close() -> None:
        server.close()
        tunnel.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(tunnel.serve, LOOPBACK, 0), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

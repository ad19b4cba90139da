"""Accepts the connections of gRPC's callers and passes their bytes on.

gRPC's own server neither bounds the connections of one address nor tells how fast a message arrives. Here both are
seen, also of encrypted connections. The bytes go to a Unix socket in a private directory, so nobody can go around this.
"""

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import cast

from server.connections import Connection, Connections
from server.ports import ACCEPT_AT_ONCE, BACKLOG, listener

BUFFER_BYTES = 256 << 10
CONNECT_TRIES = 100
CONNECT_PAUSE_SECONDS = 0.02


class TcpFront:
    """Listens until it is closed, in the running event loop."""

    def __init__(self, path: Path, connections: Connections) -> None:
        """Pass bytes on to the Unix socket `path`."""
        self.connections = connections
        self._path = path
        self._by_name: dict[str, Connection] = {}
        self._buffer = bytearray(BUFFER_BYTES)
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, address: str, port: int) -> None:
        """Listen; OSError if that fails."""
        loop = asyncio.get_running_loop()
        listening = listener(address, port)
        self._server = await loop.create_server(lambda: _Caller(self), sock=listening, backlog=ACCEPT_AT_ONCE)
        listening.listen(BACKLOG)

    def stop_listening(self) -> None:
        """Accept no more connections; the others stay."""
        self._server.close()

    async def close(self) -> None:
        """End every connection."""
        self._server.close()
        self.connections.close_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def find(self, peer: str) -> Connection | None:
        """The caller's connection behind what gRPC calls `peer`; None if it has ended."""
        return self._by_name.get(peer.rpartition(":")[2])

    def start(self, caller: "_Caller") -> None:
        """Connect a new caller; a task that ends when that is done."""
        task = asyncio.get_running_loop().create_task(self._connect(caller))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, caller: "_Caller") -> None:
        upstream = socket.socket(socket.AF_UNIX)
        try:
            upstream.setblocking(False)
            upstream.bind("")  # the kernel chooses a name, by which gRPC tells this caller from others
            await _connect(upstream, self._path)
            name = upstream.getsockname()[1:].decode()
            loop = asyncio.get_running_loop()
            server, _ = await loop.create_connection(lambda: _Upstream(self, caller, name), sock=upstream)
        except OSError:
            upstream.close()
            caller.end()
            return
        caller.connected(server)

    def register(self, name: str, connection: Connection) -> None:
        """Remember a caller by the name of its Unix socket."""
        self._by_name[name] = connection

    def forget(self, name: str) -> None:
        """Undo `register`."""
        self._by_name.pop(name, None)

    @property
    def buffer(self) -> bytearray:
        """What is read next; its content is passed on before anything else is read."""
        return self._buffer


async def _connect(upstream: socket.socket, path: Path) -> None:
    """Connect a Unix socket; asyncio takes a full backlog for success."""
    for _ in range(CONNECT_TRIES):
        with contextlib.suppress(BlockingIOError):
            upstream.connect(str(path))
            return
        await asyncio.sleep(CONNECT_PAUSE_SECONDS)
    raise TimeoutError("gRPC's server accepts no connection")


class _End(asyncio.BufferedProtocol):
    """One end of a connection; what it receives, the other end sends."""

    def __init__(self, front: TcpFront) -> None:
        self.front = front
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's signature
        return self.front.buffer

    def buffer_updated(self, nbytes: int) -> None:
        other = self.other.transport if self.other is not None else None
        if other is not None and not other.is_closing():
            other.write(bytes(memoryview(self.front.buffer)[:nbytes]))

    def eof_received(self) -> bool:
        return False  # gRPC does not use connections that are closed in one direction

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self.other is not None:
            self.other.end()

    def end(self) -> None:
        """Send what is left, then close."""
        if self.transport is not None:
            self.transport.close()


class _Caller(_End):
    """The caller's end."""

    connection: Connection | None = None
    _first = b""
    """What it sent before there was another end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        address = transport.get_extra_info("peername")
        # A caller that has gone already has no address.
        if address is not None:
            self.connection = self.front.connections.admit(address[0], self.abort)
        if self.connection is None:
            self.transport.abort()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def connected(self, server: asyncio.Transport) -> None:
        """Begin to pass bytes on."""
        assert self.transport is not None
        if self.transport.is_closing():
            server.abort()
        else:
            server.write(self._first)
            self._first = b""
            self.transport.resume_reading()

    def buffer_updated(self, nbytes: int) -> None:
        if self.connection is not None:
            self.connection.received += nbytes
        if self.other is None and self.transport is not None:
            # gRPC's server hears of callers only when they have sent something.
            self._first = bytes(memoryview(self.front.buffer)[:nbytes])
            self.transport.pause_reading()
            self.front.start(self)
        else:
            super().buffer_updated(nbytes)

    def connection_lost(self, error: Exception | None) -> None:
        if self.connection is not None:
            self.front.connections.remove(self.connection)
        super().connection_lost(error)

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()


class _Upstream(_End):
    """The end towards gRPC's server."""

    def __init__(self, front: TcpFront, caller: _Caller, name: str) -> None:
        super().__init__(front)
        self.other, caller.other = caller, self
        self._name = name
        if caller.connection is not None:
            front.register(name, caller.connection)

    def connection_lost(self, error: Exception | None) -> None:
        self.front.forget(self._name)
        super().connection_lost(error)

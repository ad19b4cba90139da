"""Hostile callers, for `python -m bench.soak --attackers`: each kind wastes another resource of a server.

They run in a process of their own with little priority, so that the good callers' latencies are those of the server and
not of Python threads beside them, and come from an address of their own, as another machine's would.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import av
import numpy as np
from av import VideoStream
from tritonclient import grpc

from client import Client, ClientError
from server import Settings
from server.ports import LOOPBACK

ADDRESS = "127.0.0.2"
"""What the server sees as theirs."""
NICENESS = 10
IDLE_CONNECTIONS = 100
"""To each of the three ports."""
SLOW_CONNECTIONS = 4
SLOW_CALLS = 80
"""On each of these connections; every one sends a byte a second."""
ENDLESS_BODIES = 2
BOMBS = 2
CANCELLERS = 2
CALLS_TO_CANCEL = 4
BOMB_FRAMES = 300
BOMB_SIZE = (8192, 4320)
CHUNK = b"10000\r\n" + bytes(0x10000) + b"\r\n"
CHUNK_SECONDS = 0.02
"""One body sends 3 MB/s."""
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_HEADERS = 4


@dataclass(frozen=True)
class Attackers:
    """All kinds at once, against one server."""

    settings: Settings
    """Where it listens."""
    bomb: bytes
    """A small file that takes a decoder seconds."""
    good: bytes
    """A video for the calls that are cancelled."""
    counts: Counter[str]
    """What they have done so far, by kind."""

    def run(self, seconds: float) -> None:
        """Attack for so long from another process, then close everything."""
        with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (NICENESS,)) as process:
            self.counts.update(process.submit(self.attack, seconds).result())

    def attack(self, seconds: float) -> Counter[str]:
        """The same in this process; returns what was done."""
        asyncio.run(self._attack(seconds))
        return self.counts

    async def _attack(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        settings = self.settings
        ports = (settings.grpc_port, settings.http_port, settings.metrics_port)
        with_sockets: list[Awaitable[None]] = [
            *(self._again(port, self._idle) for port in ports for _ in range(IDLE_CONNECTIONS)),
            *(self._again(settings.grpc_port, self._send_slowly) for _ in range(SLOW_CONNECTIONS)),
            *(self._again(settings.http_port, self._send_without_end) for _ in range(ENDLESS_BODIES)),
        ]
        async with _relay(settings.grpc_port) as url:
            with_clients = [self._send_bombs] * BOMBS + [self._cancel] * CANCELLERS
            threads = [asyncio.create_task(asyncio.to_thread(attack, url, end)) for attack in with_clients]
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*with_sockets), seconds)
            await asyncio.gather(*threads)

    async def _again(
        self, port: int, attack: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> None:
        """Connect and attack, again when the server ends the connection."""
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(ADDRESS, 0))
                try:
                    await attack(reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(1)

    async def _idle(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        self.counts["idle connections"] += 1
        while await reader.read(65536):
            pass

    async def _send_slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Open calls over raw HTTP/2 whose messages never become whole."""
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS))
        streams = range(1, 2 * SLOW_CALLS, 2)
        for stream in streams:
            writer.write(_frame(_HEADERS, _END_HEADERS, stream, _call_headers()))
            writer.write(_frame(_DATA, 0, stream, b"\0" + (10_000_000).to_bytes(4, "big")))
            self.counts["slow calls"] += 1
        answers = asyncio.create_task(_until_end(reader))
        try:
            while not answers.done():
                await asyncio.sleep(1)
                for stream in streams:
                    writer.write(_frame(_DATA, 0, stream, b"x"))
                await writer.drain()
        finally:
            answers.cancel()

    async def _send_without_end(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send a body of HTTP for as long as the server takes it."""
        self.counts["endless bodies"] += 1
        path = b"/v2/models/video_motion/infer"
        writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(CHUNK)
            await writer.drain()
            self.counts["bytes in endless bodies"] += len(CHUNK)
            await asyncio.sleep(CHUNK_SECONDS)

    def _send_bombs(self, url: str, end: float) -> None:
        with Client(url, retries=0) as client:
            while (left := end - time.monotonic()) > 0:
                client.timeout_seconds = left
                self.counts["bombs"] += 1
                try:
                    client.score(self.bomb)
                except ClientError as error:
                    self.counts[f"bombs: {error.reason}"] += 1
                    time.sleep(0.1)

    def _cancel(self, url: str, end: float) -> None:
        choose = random.Random()
        tensor = grpc.InferInput("VIDEO", [1, len(self.good)], "UINT8")
        tensor.set_data_from_numpy(np.frombuffer(self.good, np.uint8)[None])
        while time.monotonic() < end:
            own = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
            with grpc.InferenceServerClient(url, channel_args=own) as triton:
                calls = [triton.async_infer("video_motion", [tensor], _ignore) for _ in range(CALLS_TO_CANCEL)]
                time.sleep(choose.random() * 0.4)
                for call in calls:
                    call.cancel()
                self.counts["cancelled calls"] += len(calls)


def bomb(cache: Path) -> bytes:
    """An H.264 file of one grey picture, huge and repeated: kilobytes that take a decoder seconds. Kept in `cache`."""
    if not cache.is_file():
        file = BytesIO()
        width, height = BOMB_SIZE
        with av.open(file, "w", format="mp4") as output:
            options = {"preset": "ultrafast", "x264-params": "cabac=1:keyint=infinite:bframes=0:scenecut=0"}
            stream = cast(VideoStream, output.add_stream("libx264", rate=25, options=options))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 128, np.uint8), format="yuv420p")
            for index in range(BOMB_FRAMES):
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        partial = cache.with_suffix(".partial")
        partial.write_bytes(file.getvalue())
        partial.rename(cache)
    return cache.read_bytes()


@asynccontextmanager
async def _relay(port: int) -> AsyncIterator[str]:
    """Where gRPC's clients, which cannot choose their address, reach the server from that of the attackers."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while not sink.is_closing() and (data := await source.read(65536)):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):  # the loop cancels what is open at its end
            there, back = await asyncio.open_connection(LOOPBACK, port, local_addr=(ADDRESS, 0))
            await asyncio.gather(pump(reader, back), pump(there, writer))
        writer.close()

    server = await asyncio.start_server(relay, ADDRESS, 0)
    try:
        yield f"{ADDRESS}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _until_end(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(65536):
            pass


def _ignore(result: object, error: object) -> None:
    """The callback of a call whose answer nobody wants."""


def _frame(kind: int, flags: int = 0, stream: int = 0, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def _call_headers() -> bytes:
    """The headers of a call for inference, each as an HPACK literal."""
    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": b"/inference.GRPCInferenceService/ModelInfer",
        b":authority": b"x",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    return b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in headers.items())

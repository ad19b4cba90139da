"""A small RTSP server: it plays an H.264 stream to one player over the player's own connection."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from socket import create_server, socket
from typing import cast

import av
from av.container import InputContainer

_START_CODE = b"\x00\x00\x01"
_DESCRIPTION = "\r\n".join(
    [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=test",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 packetization-mode=1",
        "a=control:track1",
        "",
    ]
)
_CLOCK, _FIRST_TICKS = 90_000, 1_000_000


class RtspServer:
    """What the player asked for."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        """The first lines of the requests."""
        self.transports: list[str] = []
        """The transports that were asked for."""


@contextmanager
def rtsp_server(video: bytes) -> Iterator[tuple[RtspServer, str]]:
    """One that plays the H.264 frames of an MPEG-TS, and its address."""
    seen = RtspServer()
    with create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                _answer(connection, seen, video)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield seen, f"rtsp://127.0.0.1:{port}/stream"
        thread.join(30)
        assert not thread.is_alive()


def _answer(connection: socket, seen: RtspServer, video: bytes) -> None:
    lines = connection.makefile("rb")
    while request := lines.readline().decode().strip():
        headers = {}
        while line := lines.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        seen.requests.append(request)
        method = request.split()[0]
        extra, body = "", ""
        if method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            extra, body = f"Content-Type: application/sdp\r\nContent-Length: {len(_DESCRIPTION)}\r\n", _DESCRIPTION
        elif method == "SETUP":
            seen.transports.append(headers["transport"])
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}\r\n{body}".encode())
        if method == "PLAY":
            for packet in _rtp_packets(video):
                connection.sendall(b"$\x00" + struct.pack(">H", len(packet)) + packet)
            return


def _rtp_packets(video: bytes) -> Iterator[bytes]:
    """A packet for each NAL unit: over TCP they may be large."""
    sequence = 0
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            units = [unit.rstrip(b"\x00") for unit in bytes(packet).split(_START_CODE) if unit.strip(b"\x00")]
            ticks = _FIRST_TICKS + round(packet.pts * stream.time_base * _CLOCK)
            for index, unit in enumerate(units):
                marker = 0x80 if index == len(units) - 1 else 0
                yield struct.pack(">BBHII", 0x80, marker | 96, sequence & 0xFFFF, ticks & 0xFFFFFFFF, 1) + unit
                sequence += 1

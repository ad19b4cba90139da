"""A caller that speaks HTTP/2 by hand, and so can do what gRPC's own library never does."""

import socket
import struct

HEADERS, DATA, RST_STREAM, SETTINGS, GOAWAY = 1, 0, 3, 4, 7
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header, uncompressed and not indexed."""
    return b"\0" + b"".join(bytes((len(text),)) + text.encode() for text in (name, value))


class RawCaller:
    """A connection that opens calls and sends as much of their messages as a test wants."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        self._stream = -1

    def open(self, path: str) -> int:
        """Begin a call; the number of its stream."""
        self._stream += 2
        headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost", "te": "trailers"}
        block = b"".join(literal(*pair) for pair in {**headers, "content-type": "application/grpc"}.items())
        self.socket.sendall(frame(HEADERS, END_HEADERS, self._stream, block))
        return self._stream

    def begin_message(self, stream: int, size: int) -> None:
        """Announce a message of `size` bytes."""
        self.send(stream, b"\0" + struct.pack(">I", size))

    def send(self, stream: int, data: bytes) -> None:
        """Send a part of it."""
        self.socket.sendall(frame(DATA, 0, stream, data))

    def closed(self, seconds: float = 10) -> bool:
        """Read until the server closes the connection; whether it does."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "RawCaller":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

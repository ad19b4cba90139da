"""Whether tritonserver answers at all: connections that ask it again and again whether it lives.

They are opened once and kept, so that they also work if callers have used up tritonserver's descriptors.
"""

import contextlib
import socket
from urllib.parse import urlsplit

CONNECT_SECONDS = 0.2
REQUEST = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER_BYTES = 1 << 16


class Probe:
    """One such connection; it never waits for an answer."""

    def __init__(self, http_url: str) -> None:
        """`http_url`: the URL of the HTTP API, without a path."""
        parts = urlsplit(http_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._address = parts.hostname, parts.port
        self._connection: socket.socket | None = None
        self._asked = False

    def answered(self) -> bool:
        """Whether an answer has come since the last call; asks again if so. Any answer counts."""
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._address, CONNECT_SECONDS)
                self._connection.setblocking(False)
            answered = self._asked and self._receive()
            if answered or not self._asked:
                self._asked = self._connection.send(REQUEST) > 0
            return answered
        except OSError:  # refused or closed: the next call connects again
            self.close()
            return False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._asked = None, False

    def _receive(self) -> bool:
        assert self._connection is not None
        with contextlib.suppress(BlockingIOError):
            if not self._connection.recv(ANSWER_BYTES):
                raise ConnectionError("tritonserver closed the connection")
            return True
        return False

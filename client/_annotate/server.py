"""Serves the page to this machine alone, and saves each answer."""

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .store import Store

LARGEST_BYTES = 4 << 20
"""Of a request; ten thousand answers take a fiftieth."""


class AnnotationServer:
    """An HTTP server on 127.0.0.1, under an address that cannot be guessed."""

    def __init__(self, page: str, store: Store, port: int = 0) -> None:
        """port: 0 for any that is free. Raises OSError."""
        self._page = page.encode()
        self._store = store
        self._lock = threading.Lock()
        self._token = secrets.token_urlsafe(16)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.answers = 0
        """Answers of the page that the file has."""
        self.problem: str | None = None
        """Why the last answers could not be saved."""

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._token}/"

    def serve(self) -> None:
        """Serve until the page or `stop` ends it."""
        try:
            self._server.serve_forever(poll_interval=0.1)
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """End `serve`; may be called by a signal handler in the thread that serves."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self._is_own("/"):
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(owner._page)))
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(owner._page)

            def do_POST(self) -> None:
                if self.path.endswith("/finish"):
                    if self._is_own("/finish"):
                        self._say(204)
                        owner.stop()
                elif self._is_own("/answers"):
                    self._say(*owner._save(self._body()))

            def _is_own(self, path: str) -> bool:
                # A page of another site that guesses the port has neither the name nor the token.
                host = self.headers.get("Host", "").rpartition(":")[0]
                own = host in ("127.0.0.1", "localhost") and self.path == f"/{owner._token}{path}"
                if not own:
                    self._say(404, "not found")
                return own

            def _body(self) -> bytes | None:
                length = int(self.headers.get("Content-Length") or 0)
                return self.rfile.read(length) if 0 < length <= LARGEST_BYTES else None

            def _say(self, status: int, text: str = "") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Requests are no news."""

        return Handler

    def _save(self, body: bytes | None) -> tuple[int, str]:
        """Save what the page sent; the status and the text of the answer."""
        if body is None:
            return 413, f"the answers must have 1 to {LARGEST_BYTES} bytes"
        try:
            answers = [(row, keep) for row, keep in json.loads(body)]
            with self._lock:
                self._store.save(answers)
                self.answers = len(answers)
                self.problem = None
        except OSError as error:
            self.problem = f"cannot write {self._store.path}: {error.strerror or error}"
            return 500, self.problem
        except (ValueError, TypeError) as error:
            return 400, f"these are no answers: {error}"
        return 204, ""

"""A small HTTP server of the OpenAI chat API, which answers, fails or breaks off as a test says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]
TOKENS = 10
"""Of every answer."""


class Reply:
    """What to do with a request."""

    def __init__(
        self,
        text: str | None = "a grey dog runs along a wet beach",
        *,
        status: int = 200,
        message: str = "",
        cut: bool = False,
        body: bytes | None = None,
        wait: threading.Event | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """text: the caption; status: with `message` as its error; cut: no answer at all; body: instead of JSON.

        wait: for it before the answer.
        """
        self.text, self.status, self.message = text, status, message
        self.cut, self.body, self.wait, self.headers = cut, body, wait, headers or {}


class ChatServer:
    """The server, with what it was sent."""

    def __init__(self, reply: Callable[[Request, int], Reply]) -> None:
        """reply: for a request and the number of requests before it."""
        self.reply = reply
        self.requests: list[Request] = []
        self.keys: set[str | None] = set()
        """The values of the header `Authorization`."""
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    number = len(outer.requests)
                    outer.requests.append(request)
                    outer.keys.add(self.headers["Authorization"])
                given = outer.reply(request, number) if self.path == "/v1/chat/completions" else Reply(status=404)
                if given.wait is not None:
                    given.wait.wait(30)
                if given.cut:
                    self.close_connection = True
                    return
                body = given.body if given.body is not None else json.dumps(_content(given)).encode()
                self.send_response(given.status)
                for name, value in {"Content-Type": "application/json", **given.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass  # clients are killed

        self.http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def count(self) -> int:
        """Requests so far."""
        with self.lock:
            return len(self.requests)

    def has(self, count: int) -> bool:
        """Whether there were so many requests."""
        return self.count() >= count


def _content(given: Reply) -> dict[str, Any]:
    if given.status != 200:
        return {"error": {"message": given.message, "type": "test", "code": None}}
    message = {"role": "assistant", "content": given.text}
    usage = {"prompt_tokens": TOKENS - 1, "completion_tokens": 1, "total_tokens": TOKENS}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


@contextmanager
def chat_server(reply: Callable[[Request, int], Reply]) -> Iterator[ChatServer]:
    """A server on a free port."""
    server = ChatServer(reply)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def prompt_of(request: Request) -> str:
    """The text of the first message."""
    text: str = request["messages"][0]["content"][0]["text"]
    return text

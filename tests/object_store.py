"""An S3 over HTTP in this process (moto), which can refuse requests and break connections."""

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

from server.ports import LOOPBACK

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Faults:
    """What the store does instead of answering. It may change while the store serves."""

    refused: float = 0.0
    """Share of the requests that get 503."""
    broken: float = 0.0
    """Share of the GETs whose connection breaks in the middle of the body."""
    forbidden: tuple[str, ...] = ()
    """Ends of paths that get 403."""
    failing: tuple[str, ...] = ()
    """Ends of paths that get 500."""
    failing_query: str = ""
    """Requests with this in their query get 500."""
    throttles: bool = False
    """Whether every request gets 503."""
    away: bool = False
    """Whether every connection breaks before an answer."""
    refused_after: int | None = None
    """Number of requests after which it is away."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))


class ObjectStore:
    """One that is listening."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://{LOOPBACK}:{port}"
        self.environment = ENVIRONMENT | {"AWS_ENDPOINT_URL": self.endpoint}
        """The variables with which clients find it."""
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        """Method and path with query of every request."""

    def make(self, bucket: str) -> None:
        """Make a bucket."""
        self._backend.create_bucket(bucket, "us-east-1")

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Put an object there, without a request."""
        self._backend.put_object(bucket, key, data)

    def get(self, bucket: str, key: str) -> bytes | None:
        """An object, without a request; None if there is none."""
        found = self._backend.get_object(bucket, key)
        return None if found is None else bytes(found.value)

    def unfinished(self, bucket: str) -> int:
        """Number of uploads in parts that were neither completed nor given up."""
        return len(self._backend.get_bucket(bucket).multiparts)

    def asked(self, method: str, end: str = "") -> int:
        """Number of requests so far of a method, for paths with this end."""
        return sum(1 for one, path in self.requests if one == method and path.partition("?")[0].endswith(end))

    @property
    def _backend(self) -> Any:
        return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Start one with nothing in it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store: ObjectStore | None = None
    moto = create_backend_app("s3")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        assert store is not None
        return _answer(store, moto, environ, start_response)

    server = make_server(LOOPBACK, 0, app, threaded=True)
    store = ObjectStore(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()


def _answer(
    store: ObjectStore, app: App, environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    faults = store.faults
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    store.requests.append((method, f"{path}?{environ['QUERY_STRING']}"))
    if faults.away or (faults.refused_after is not None and len(store.requests) > faults.refused_after):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return []
    if faults.throttles or faults.chance.random() < faults.refused:
        return _error(environ, start_response, "503 Slow Down", "SlowDown", "Please reduce your request rate.")
    if faults.forbidden and path.endswith(faults.forbidden):
        return _error(environ, start_response, "403 Forbidden", "AccessDenied", "Access Denied")
    in_query = bool(faults.failing_query) and faults.failing_query in environ["QUERY_STRING"]
    if in_query or (faults.failing and path.endswith(faults.failing)):
        return _error(environ, start_response, "500 Internal Server Error", "InternalError", "We failed.")
    if method == "GET" and faults.chance.random() < faults.broken:
        return _half(environ, app, start_response)
    return app(environ, start_response)


def _error(
    environ: dict[str, Any], start_response: Callable[..., Any], status: str, code: str, text: str
) -> list[bytes]:
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else body
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _half(environ: dict[str, Any], app: App, start_response: Callable[..., Any]) -> Iterator[bytes]:
    """The answer of `app` up to its middle; then the connection ends."""
    kept: list[Any] = []
    body = b"".join(app(environ, lambda *arguments: kept.extend(arguments)))
    headers = [(name, value) for name, value in kept[1] if name.lower() != "content-length"]
    start_response(kept[0], [*headers, ("Content-Length", str(len(body)))])
    yield body[: len(body) // 2]
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)

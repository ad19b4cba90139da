"""The HTTP port: health, metadata and statistics for everybody, the other APIs for those who have the key.

tritonserver keeps a body in memory before it looks at the request, however long it is. So nothing reaches it that it
would refuse.
"""

import contextlib
import hmac
import re
from collections.abc import AsyncIterator, Callable

import h11

from server.flags import KEY_NAME
from server.http_server import Answer, Body, HttpError, HttpLimits, HttpServer
from server.http_upstream import NoAnswer, end_to_end, exchange
from server.model_control import ModelControl

MAX_CONNECTIONS = 256
MAX_OPEN_BODY_BYTES = 4096
"""Of a request without the key: none needs a body."""
MAX_BODY_BYTES = (2 << 30) + (1 << 20)
"""Of a request with the key: the largest video, and what is around it."""
OPEN_SECONDS = 10.0
CLOSED_SECONDS = 600.0
"""How long tritonserver may take; a request for inference or for loading a model takes longer than one about health."""
OPEN = re.compile(
    rb"/v2(?:/|/health/(?:live|ready)|/models/stats|/models/[^/%?#]+(?:/versions/[0-9]+)?(?:/ready|/config|/stats)?)?"
    rb"(?:\?[^#]*)?"
)


class HttpApi:
    """Serves the HTTP port until it is closed."""

    def __init__(
        self,
        address: str,
        port: int,
        key: str,
        triton: Callable[[], tuple[str, int]],
        limits: HttpLimits | None = None,
        control: ModelControl | None = None,
    ) -> None:
        """Listen on `address` and `port`, OSError if that fails; `triton` returns tritonserver's address and port.

        `control` learns which models are loaded and unloaded.
        """
        self._control = control
        self._key = key.encode()
        self._triton = triton
        self._server = HttpServer("HTTP", address, port, self._answer, MAX_CONNECTIONS, limits)

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    async def _answer(self, request: h11.Request, body: Body) -> Answer:
        has_key = self._has_key(request)
        if not has_key:
            _check_open(request)
            await body.discard(MAX_OPEN_BODY_BYTES, OPEN_SECONDS)
        headers = end_to_end(request.headers.raw_items())
        sent: AsyncIterator[bytes] | None = None
        length = next((value for name, value in request.headers if name == b"content-length"), None)
        if has_key:
            if length is not None and int(length) > MAX_BODY_BYTES:
                raise HttpError(413, f"the body has {int(length)} bytes, the limit is {MAX_BODY_BYTES}")
            if length is not None:
                headers.append((b"content-length", length))
            elif any(name == b"transfer-encoding" for name, _ in request.headers):
                headers.append((b"transfer-encoding", b"chunked"))
            sent = body.chunks(MAX_BODY_BYTES)
        seconds = CLOSED_SECONDS if has_key else OPEN_SECONDS
        change: contextlib.AbstractContextManager[Callable[[], None]] = contextlib.nullcontext(lambda: None)
        if has_key and self._control is not None:
            change = self._control.change(request.method, request.target)
        try:
            with change as succeeded:
                answer = await exchange(self._triton(), request.method, request.target, headers, sent, seconds=seconds)
                if answer.status == 200:
                    succeeded()
                return answer
        except NoAnswer as error:
            raise HttpError(503, f"tritonserver does not answer ({error}), retry later") from error
        except TimeoutError:
            raise HttpError(504, f"tritonserver did not answer within {seconds:g} s") from None

    def _has_key(self, request: h11.Request) -> bool:
        name = KEY_NAME.encode()
        return any(found == name and hmac.compare_digest(value, self._key) for found, value in request.headers)


def _check_open(request: h11.Request) -> None:
    """Raise `HttpError` unless everybody may make this request."""
    if OPEN.fullmatch(request.target):
        if request.method not in (b"GET", b"HEAD"):
            raise HttpError(405, "health, metadata and statistics are read with GET")
        return
    if request.target.startswith(b"/v2/"):
        raise HttpError(403, f"this API needs the server's key in the header {KEY_NAME}; videos are scored over gRPC")
    raise HttpError(404, "health, metadata and statistics are served here, under /v2")

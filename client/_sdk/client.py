"""The client for threads."""

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from ..errors import ClientError
from .attempts import PROBE_SECONDS, PROBES, Step, attempts
from .balance import Pause, Probe
from .base import BaseClient
from .channels import connect, credentials
from .connections import Connection, Connections
from .parameters import Parameters, given
from .request import (
    Request,
    Video,
    read_video,
    score_answer,
    score_request,
    signal_requests,
    weights_answer,
    weights_request,
)
from .result import Score, Weights
from .signals import asked_for
from .text import TextEmbedding, text_answer, text_request, text_served
from .triton_errors import from_triton, is_deadline


class Client(BaseClient):
    """Scores videos on Triton servers over gRPC; safe to use from several threads.

        with Client("localhost:8001") as client:
            score = client.score("video.mp4")

    `AsyncClient` is the same for asyncio. Methods raise the exceptions of the module `errors`.
    """

    def _prepare(self) -> None:
        self._slots = threading.BoundedSemaphore(self._max_in_flight)
        self._connections: Connections[grpc.InferenceServerClient] = Connections(
            partial(connect, credentials=credentials(self._tls)), self._balancer.host_of
        )

    def score(
        self, video: Video, *, heads: str | Iterable[str] | None = None, **parameters: Unpack[Parameters]
    ) -> Score:
        """The score of a video: a path, a URL, or the bytes of a whole encoded file.

        heads: names of heads; None: with `signals`, all that are served over embeddings of these signals.
        `parameters` are those of `Parameters`. Raises `ClientError`; for an unknown parameter, one that is a TypeError.
        """
        numbers = given(parameters)
        asked = asked_for(parameters.get("signals"), heads, numbers)
        with self._slots:
            if asked is None:
                return score_answer(self._ask(score_request(video, numbers)), video)
            score = self._converse(signal_requests(video, read_video(video), numbers, asked, self._served))
            self._served = score.weights
            return score

    def weights(self) -> Weights:
        """Which weights the server serves; needs no video."""
        with self._slots:
            return weights_answer(self._ask(weights_request()))

    def embed_text(self, text: str) -> TextEmbedding:
        """The embedding of a text by the text encoder of the server's image encoder.

        Its cosine with an embedding of `Score.frames` says how well they fit. Raises `ClientError`; `InvalidRequest` if
        the text is empty or there is no text encoder.
        """
        request = text_request(text)
        with self._slots, text_served():
            return text_answer(self._ask(request))

    def is_ready(self) -> bool:
        """Whether any server answers and has loaded all models; does not raise."""
        return not self._connections.closed and any(self._probe(url, self.timeout_seconds) for url in self.urls)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.close():
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _converse(self, requests: Generator[Request, Any, Score]) -> Score:
        try:
            request = next(requests)
            while True:
                try:
                    answer = self._ask(request)
                except ClientError as error:
                    request = requests.throw(error)
                else:
                    request = requests.send(answer)
        except StopIteration as end:
            return end.value

    def _ask(self, request: Request) -> Any:
        with closing(attempts(self._balancer, self._policy)) as steps:
            try:
                step = next(steps)
                while True:
                    try:
                        result = self._take(step, request)
                    except ClientError as error:
                        step = steps.throw(error)
                    else:
                        step = steps.send(result)
            except StopIteration as end:
                return end.value

    def _take(self, step: Step, request: Request) -> Any:
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        url = step.endpoint.url
        if isinstance(step, Probe):
            return self._probe(url, PROBE_SECONDS)
        with self._connection(url) as connection:
            try:
                with self._connections.watch(connection) as triton:
                    return triton.infer(**vars(request), client_timeout=self.timeout_seconds)
            except InferenceServerException as error:
                raise from_triton(error, url, request.request_id, connection.proxy) from error
            except ValueError as error:  # of gRPC, if another thread closes the client meanwhile
                raise ClientError("the client is closed") from error

    def _probe(self, url: str, timeout_seconds: float) -> bool:
        for _ in range(PROBES):
            with self._connection(url) as connection:
                old = connection.answered
                try:
                    with self._connections.watch(connection) as triton:
                        return triton.is_server_ready(client_timeout=timeout_seconds)
                except InferenceServerException as error:
                    if not (old and is_deadline(error)):
                        return False
                except ValueError:  # of gRPC, if another thread closes the client meanwhile
                    return False
        return False

    @contextmanager
    def _connection(self, url: str) -> Iterator[Connection[grpc.InferenceServerClient]]:
        connection = self._connections.acquire(url)
        try:
            yield connection
        finally:
            for replaced in self._connections.release(connection):
                replaced.close()

"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import asynccontextmanager, closing
from functools import partial
from types import TracebackType
from typing import Any, Self, Unpack

from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

from ..errors import ClientError
from .attempts import PROBE_SECONDS, PROBES, Step, attempts
from .balance import Pause, Probe
from .base import BaseClient
from .channels import connect_async, credentials
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


class AsyncClient(BaseClient):
    """Scores videos on Triton servers over gRPC, from one event loop.

        async with AsyncClient("localhost:8001") as client:
            scores = await asyncio.gather(*map(client.score, paths))

    `Client` is the same for threads. Methods raise the exceptions of the module `errors`. Cancelling a call also
    cancels it on the server, which can crash Triton 2.51 if no proxy stands in front of it.
    """

    def _prepare(self) -> None:
        self._slots = asyncio.Semaphore(self._max_in_flight)
        # Each connection is made in the event loop that uses it.
        self._connections: Connections[aio.InferenceServerClient] = Connections(
            partial(connect_async, credentials=credentials(self._tls)), self._balancer.host_of
        )

    async def score(
        self, video: Video, *, heads: str | Iterable[str] | None = None, **parameters: Unpack[Parameters]
    ) -> Score:
        """The score of a video: a path, a URL, or the bytes of a whole encoded file.

        heads: names of heads; None: with `signals`, all that are served over embeddings of these signals.
        `parameters` are those of `Parameters`. Raises `ClientError`; for an unknown parameter, one that is a TypeError.
        """
        numbers = given(parameters)
        asked = asked_for(parameters.get("signals"), heads, numbers)
        async with self._slots:
            if asked is not None:
                content = await asyncio.to_thread(read_video, video)
                score = await self._converse(signal_requests(video, content, numbers, asked, self._served))
                self._served = score.weights
                return score
            request = await asyncio.to_thread(score_request, video, numbers)
            return score_answer(await self._ask(request), video)

    async def weights(self) -> Weights:
        """Which weights the server serves; needs no video."""
        async with self._slots:
            return weights_answer(await self._ask(weights_request()))

    async def embed_text(self, text: str) -> TextEmbedding:
        """The embedding of a text by the text encoder of the server's image encoder.

        Its cosine with an embedding of `Score.frames` says how well they fit. Raises `ClientError`; `InvalidRequest` if
        the text is empty or there is no text encoder.
        """
        request = text_request(text)
        async with self._slots:
            with text_served():
                return text_answer(await self._ask(request))

    async def is_ready(self) -> bool:
        """Whether any server answers and has loaded all models; does not raise."""
        return not self._connections.closed and any([await self._probe(url, self.timeout_seconds) for url in self.urls])

    async def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.close():
            await connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _converse(self, requests: Generator[Request, Any, Score]) -> Score:
        try:
            request = next(requests)
            while True:
                try:
                    answer = await self._ask(request)
                except ClientError as error:
                    request = requests.throw(error)
                else:
                    request = requests.send(answer)
        except StopIteration as end:
            return end.value

    async def _ask(self, request: Request) -> Any:
        with closing(attempts(self._balancer, self._policy)) as steps:
            try:
                step = next(steps)
                while True:
                    try:
                        result = await self._take(step, request)
                    except ClientError as error:
                        step = steps.throw(error)
                    else:
                        step = steps.send(result)
            except StopIteration as end:
                return end.value

    async def _take(self, step: Step, request: Request) -> Any:
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        url = step.endpoint.url
        if isinstance(step, Probe):
            return await self._probe(url, PROBE_SECONDS)
        async with self._connection(url) as connection:
            try:
                with self._connections.watch(connection) as triton:
                    return await triton.infer(**vars(request), client_timeout=self.timeout_seconds)
            except InferenceServerException as error:
                raise from_triton(error, url, request.request_id, connection.proxy) from error

    async def _probe(self, url: str, timeout_seconds: float) -> bool:
        for _ in range(PROBES):
            async with self._connection(url) as connection:
                old = connection.answered
                try:
                    with self._connections.watch(connection) as triton:
                        return await triton.is_server_ready(client_timeout=timeout_seconds)
                except InferenceServerException as error:
                    if not (old and is_deadline(error)):
                        return False
        return False

    @asynccontextmanager
    async def _connection(self, url: str) -> AsyncIterator[Connection[aio.InferenceServerClient]]:
        connection = self._connections.acquire(url)
        try:
            yield connection
        finally:
            for replaced in self._connections.release(connection):
                await replaced.close()

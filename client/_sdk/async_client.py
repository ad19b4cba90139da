"""The client for asyncio."""

import asyncio
from contextlib import closing
from types import TracebackType
from typing import Any, Self, Unpack

from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

from ..errors import ClientError, from_triton
from .attempts import PROBE_SECONDS, Step, attempts
from .balance import Pause, Probe
from .base import BaseClient
from .channels import connect_async
from .parameters import Parameters, given
from .request import Request, Video, score_answer, score_request, weights_answer, weights_request
from .result import Score, Weights


class AsyncClient(BaseClient):
    """Scores videos on Triton servers over gRPC; for one event loop.

        async with AsyncClient("localhost:8001") as client:
            scores = await asyncio.gather(*map(client.score, paths))

    `Client` is the same for threads. Methods raise the exceptions of `client.errors`. Cancelling a call cancels it on
    the server, which Triton 2.51 may not survive.
    """

    def _prepare(self) -> None:
        self._places = asyncio.Semaphore(self._max_in_flight)
        self._connections: dict[str, aio.InferenceServerClient] = {}  # made in the loop that will use them

    async def score(self, video: Video, **parameters: Unpack[Parameters]) -> Score:
        """Score a video: a path, or the bytes of a whole encoded file. `Parameters` says what else can be asked."""
        numbers = given(parameters)
        async with self._places:
            request = await asyncio.to_thread(score_request, video, numbers)
            return score_answer(await self._ask(request))

    async def weights(self) -> Weights:
        """Which weights the server serves; no video is needed."""
        async with self._places:
            return weights_answer(await self._ask(weights_request()))

    async def is_ready(self) -> bool:
        """Whether a server answers and has everything loaded."""
        return any([await self._probe(url, self.timeout_seconds) for url in self.urls])

    async def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _connection(self, url: str) -> aio.InferenceServerClient:
        if url not in self._connections:
            self._connections[url] = connect_async(url, self._tls)
        return self._connections[url]

    async def _ask(self, request: Request) -> Any:
        with closing(attempts(self._balancer, self._patience)) as steps:
            try:
                step = next(steps)
                while True:
                    try:
                        outcome = await self._take(step, request)
                    except ClientError as error:
                        step = steps.throw(error)
                    else:
                        step = steps.send(outcome)
            except StopIteration as end:
                return end.value

    async def _take(self, step: Step, request: Request) -> Any:
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        url = step.endpoint.url
        if isinstance(step, Probe):
            return await self._probe(url, PROBE_SECONDS)
        try:
            return await self._connection(url).infer(**vars(request), client_timeout=self.timeout_seconds)
        except InferenceServerException as error:
            raise from_triton(error, url) from error

    async def _probe(self, url: str, timeout_seconds: float) -> bool:
        try:
            return await self._connection(url).is_server_ready(client_timeout=timeout_seconds)
        except InferenceServerException:
            return False

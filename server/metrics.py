"""The metrics of a server: those of Triton and its models, and those of the proxy and the supervisor."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h11
from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.fair_queue import FairQueue
from server.http_server import Answer, Body, HttpError, HttpServer
from server.http_upstream import NoAnswer, exchange

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT_SECONDS = 10.0
MAX_CONNECTIONS = 64
MAX_BODY_BYTES = 4096
"""Of a request, which needs none."""
MODELS = ("video_sampling", "video_decode", "video_decode_nvdec", "motion_backbone", "motion_head", "camera_classifier")
disable_created_metrics()  # no creation time for each counter


@dataclass(frozen=True)
class _Counted:
    """The queue that counts now, and what those before it have counted."""

    queue: FairQueue | None
    refused_before: int
    cancelled_before: int

    @property
    def all_refused(self) -> int:
        return self.refused_before + (self.queue.refused if self.queue else 0)

    @property
    def all_cancelled(self) -> int:
        return self.cancelled_before + (self.queue.cancelled if self.queue else 0)


class Counts(Collector):
    """What the proxy and the supervisor count; kept while tritonserver itself is restarted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.model_reloads = Counter(
            "video_motion_model_reloads",
            "Models loaded again because one of their processes died",
            ["model"],
            registry=self.registry,
        )
        for model in MODELS:
            self.model_reloads.labels(model)  # each series exists from the start, at 0
        self.server_restarts = Counter(
            "video_motion_server_restarts", "Restarts of tritonserver", registry=self.registry
        )
        self._counted = _Counted(None, 0, 0)
        self.registry.register(self)

    def watch(self, queue: FairQueue) -> None:
        """Take the numbers of requests from `queue` from now on."""
        self._counted = _Counted(queue, self._counted.all_refused, self._counted.all_cancelled)

    def collect(self) -> Iterator[Metric]:
        """The numbers of requests, for the registry; none without a proxy."""
        counted = self._counted  # once: another thread may set another one
        if (queue := counted.queue) is None:
            return
        yield CounterMetricFamily(
            "video_motion_queue_rejections",
            "Requests rejected because the queue was full",
            counted.all_refused,
        )
        yield CounterMetricFamily(
            "video_motion_requests_abandoned",
            "Requests cancelled by their caller while they waited",
            counted.all_cancelled,
        )
        yield GaugeMetricFamily("video_motion_requests_waiting", "Requests in the queue", queue.waiting)
        yield GaugeMetricFamily("video_motion_requests_in_flight", "Requests in flight to Triton", queue.in_flight)


class MetricsEndpoint:
    """Serves /metrics, in a thread of its own, until it is closed."""

    def __init__(self, address: str, port: int, triton: Callable[[], tuple[str, int]], counts: Counts) -> None:
        """Listen on `address` and `port`, OSError if that fails; `triton` returns where Triton serves its metrics."""
        self._triton = triton
        self._counts = counts
        self._server = HttpServer("metrics", address, port, self._answer, MAX_CONNECTIONS)

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    async def _answer(self, request: h11.Request, body: Body) -> Answer:
        if request.target.partition(b"?")[0] != b"/metrics":
            raise HttpError(404, "only /metrics is served here")
        if request.method not in (b"GET", b"HEAD"):
            raise HttpError(405, "metrics are read with GET")
        await body.discard(MAX_BODY_BYTES, TIMEOUT_SECONDS)
        content = await _of_triton(self._triton()) + generate_latest(self._counts.registry)
        return Answer(200, [(b"content-type", CONTENT_TYPE.encode())], content)


async def _of_triton(address: tuple[str, int]) -> bytes:
    """Triton's metrics; nothing while it is not running."""
    try:
        return (await exchange(address, b"GET", b"/metrics", seconds=TIMEOUT_SECONDS)).body
    except (NoAnswer, TimeoutError):
        return b""

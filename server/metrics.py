"""The metrics of a server: those of Triton and its models, and those of the proxy and the supervisor."""

import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.fair_queue import FairQueue
from server.local_http import open_local
from server.ports import family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT_SECONDS = 10.0
MODELS = ("video_sampling", "video_decode", "motion_backbone", "motion_head", "camera_classifier")
disable_created_metrics()  # no creation time for each counter


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
        self._queue: FairQueue | None = None
        self._refused_before = self._cancelled_before = 0
        self.registry.register(self)

    def watch(self, queue: FairQueue) -> None:
        """Take the numbers of requests from `queue` from now on."""
        if self._queue is not None:
            self._refused_before += self._queue.refused
            self._cancelled_before += self._queue.cancelled
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        """The numbers of requests, for the registry; none without a proxy."""
        if (queue := self._queue) is None:
            return
        yield CounterMetricFamily(
            "video_motion_queue_rejections",
            "Requests rejected because the queue was full",
            self._refused_before + queue.refused,
        )
        yield CounterMetricFamily(
            "video_motion_requests_abandoned",
            "Requests cancelled by their caller while they waited",
            self._cancelled_before + queue.cancelled,
        )
        yield GaugeMetricFamily("video_motion_requests_waiting", "Requests in the queue", queue.waiting)
        yield GaugeMetricFamily("video_motion_requests_in_flight", "Requests in flight to Triton", queue.in_flight)


class MetricsEndpoint:
    """Serves /metrics, in threads of its own, until it is closed."""

    def __init__(self, address: str, port: int, triton_url: Callable[[], str], counts: Counts) -> None:
        """Listen on `address` and `port`, OSError if that fails; `triton_url` returns the URL of Triton's metrics."""

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT_SECONDS

            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404, "only /metrics is served here")
                    return
                content = _of_triton(triton_url()) + generate_latest(counts.registry)
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                """No line for every scrape."""

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A scraper that disconnects is no error."""

            address_family = family(address)

        self._listener = Listener((address, port), Handler)
        self._thread = threading.Thread(target=self._listener.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()


def _of_triton(url: str) -> bytes:
    """Triton's metrics; nothing while it is not running."""
    try:
        with open_local(url, TIMEOUT_SECONDS) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException):
        return b""

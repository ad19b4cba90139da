"""The metrics of a server: Triton's, which include those of its models, and what only those around Triton know."""

import http.client
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.fair_queue import FairQueue

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
TIMEOUT_SECONDS = 10.0
MODELS = ("video_sampling", "video_decode", "motion_backbone", "motion_head", "camera_classifier")
disable_created_metrics()  # a sample a counter that says when it was made, which nobody asks for


class Counts(Collector):
    """What happens around Triton; kept while tritonserver itself is started again."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.model_reloads = Counter(
            "video_motion_model_reloads",
            "Models loaded again because a process of theirs died",
            ["model"],
            registry=self.registry,
        )
        for model in MODELS:
            self.model_reloads.labels(model)  # there from the start, at 0
        self.server_restarts = Counter(
            "video_motion_server_restarts", "Times that tritonserver was started again", registry=self.registry
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
        """The numbers of requests, as the registry asks for them."""
        if (queue := self._queue) is None:
            return
        yield CounterMetricFamily(
            "video_motion_queue_rejections",
            "Requests that found the queue full",
            self._refused_before + queue.refused,
        )
        yield CounterMetricFamily(
            "video_motion_requests_abandoned",
            "Requests whose caller had gone before their turn came",
            self._cancelled_before + queue.cancelled,
        )
        yield GaugeMetricFamily("video_motion_requests_waiting", "Requests that wait for Triton", queue.waiting)
        yield GaugeMetricFamily("video_motion_requests_in_flight", "Requests that Triton has", queue.in_flight)


class MetricsEndpoint:
    """Serves /metrics until it is closed, in threads of its own."""

    def __init__(self, address: str, port: int, triton_url: Callable[[], str], counts: Counts) -> None:
        """Listen on `address` and `port`; `triton_url` tells where Triton's own are. OSError where that cannot be."""

        class Handler(BaseHTTPRequestHandler):
            timeout = TIMEOUT_SECONDS

            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404, "only /metrics is here")
                    return
                content = _of_triton(triton_url()) + generate_latest(counts.registry)
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                """A line for each time that metrics are collected would say nothing."""

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Whoever collects metrics may go in the middle of it."""

            address_family = _family(address)

        self._listener = Listener((address, port), Handler)
        self._thread = threading.Thread(target=self._listener.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _of_triton(url: str) -> bytes:
    """Triton's metrics; none while it is away."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this server
    try:
        with direct.open(url, timeout=TIMEOUT_SECONDS) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException):
        return b""

"""Triton's own traces over OpenTelemetry, with the flags of docs/operations.md."""

import json
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from tritonclient import grpc

from fixtures.synthetic import encode
from server import Settings, running
from tests.waiting import wait_for

TRACE = "0af7651916cd43dd8448eb211c80319c"
SECONDS = 30
"""Triton exports spans every five seconds."""


def spans_of(posted: list[tuple[str, dict]]) -> list[dict]:
    """Every span that was posted so far."""
    resources = [resource for _, content in posted for resource in content["resourceSpans"]]
    return [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]


def has_more_than(items: list, count: int) -> bool:
    return len(items) > count


@pytest.mark.slow
def test_a_collector_gets_the_spans_of_every_step_under_the_callers_trace(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[tuple[str, dict]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, json.loads(content)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        flags = [
            "--trace-config=mode=opentelemetry",
            "--trace-config=level=TIMESTAMPS",
            "--trace-config=rate=1",
            f"--trace-config=opentelemetry,url=http://127.0.0.1:{collector.server_port}/v1/traces",
            "--trace-config=opentelemetry,resource=service.name=video-motion",
        ]
        monkeypatch.setenv("TRITON_FLAGS", " ".join(flags))
        with running(Settings.on_free_ports(small_repository, precision="f32")) as server:
            video = np.frombuffer(encode(30), np.uint8)[None]
            tensor = grpc.InferInput("VIDEO", list(video.shape), "UINT8")
            tensor.set_data_from_numpy(video)
            with grpc.InferenceServerClient(server.url) as triton:
                deadline = time.monotonic() + SECONDS
                # Once in some runs Triton 2.51 gave the first request of a server a trace of its own.
                while time.monotonic() < deadline and TRACE not in {span["traceId"] for span in spans_of(posted)}:
                    triton.infer("video_motion", [tensor], headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
                    wait_for(partial(has_more_than, posted, len(posted)))
        collector.shutdown()

    assert {path for path, _ in posted} == {"/v1/traces"}
    steps = {"video_sampling", "video_decode", "motion_backbone", "motion_head", "camera_classifier", "video_motion"}
    assert steps <= {span["name"] for span in spans_of(posted) if span["traceId"] == TRACE}
    resources = [resource for _, content in posted for resource in content["resourceSpans"]]
    attributes = [attribute for resource in resources for attribute in resource["resource"]["attributes"]]
    assert {"key": "service.name", "value": {"stringValue": "video-motion"}} in attributes

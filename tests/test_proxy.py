"""The proxy in front of Triton: calls pass through unchanged; cancelled ones neither crash Triton nor cause work."""

import json
import os
import random
import signal
import time
import urllib.request

import grpc as grpc_core
import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from client import Client
from fixtures.synthetic import encode
from server import Server
from server.fair_queue import FairQueue
from server.ports import free_ports
from server.proxy import MAX_PER_CALLER, Proxy
from tests.processes import workers
from tests.waiting import wait_for

VIDEO = encode(20)
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
OUTPUTS = ("MOTION_SCORES", "CAMERA_PROBABILITIES")


def ask(triton: grpc.InferenceServerClient, video: bytes = VIDEO, **options: object) -> grpc.InferResult:
    tensor = grpc.InferInput("VIDEO", [1, len(video)], "UINT8")
    tensor.set_data_from_numpy(np.frombuffer(video, np.uint8)[None])
    outputs = [grpc.InferRequestedOutput(name) for name in OUTPUTS]
    if "callback" in options:
        return triton.async_infer("video_motion", [tensor], outputs=outputs, **options)
    return triton.infer("video_motion", [tensor], outputs=outputs, **options)


def ignore(**_: object) -> None:
    """The callback for an answer that no caller waits for."""


def decoded(server: Server) -> int:
    """Requests that video_decode has answered."""
    with urllib.request.urlopen(f"{server.http_url}/v2/models/video_decode/stats", timeout=10) as answer:
        return json.load(answer)["model_stats"][0]["inference_count"]


def queue_of(server: Server) -> FairQueue:
    """The fair queue of a server's proxy."""
    assert server.proxy is not None
    return server.proxy.queue


def test_calls_cancelled_at_any_moment_do_not_crash_the_server(server: Server, client: Client) -> None:
    """Without the proxy, one of thirty such calls crashed tritonserver."""
    before = client.score(VIDEO)
    choose = random.Random(0)
    for _ in range(15):
        with grpc.InferenceServerClient(server.url) as triton:
            calls = [ask(triton, callback=ignore) for _ in range(8)]
            time.sleep(choose.random() * 0.4)
            for call in calls:
                call.cancel()
    assert client.score(VIDEO) == before
    assert server.process.poll() is None


def test_a_deadline_is_reported_in_time_and_affects_no_other_call(server: Server, client: Client) -> None:
    before = client.score(VIDEO)
    for worker in (stopped := workers(server.process.pid, "video_decode")):
        os.kill(worker, signal.SIGSTOP)
    with grpc.InferenceServerClient(server.url) as triton:
        started = time.monotonic()
        with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
            ask(triton, client_timeout=1.0)
        assert time.monotonic() - started < 3
    for worker in stopped:
        os.kill(worker, signal.SIGCONT)
    assert client.score(VIDEO) == before


def test_a_cancelled_request_in_the_queue_is_not_decoded(server: Server, client: Client) -> None:
    client.score(VIDEO)
    queue = queue_of(server)
    before, left = decoded(server), queue.cancelled
    stopped = workers(server.process.pid, "video_sampling")
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    answered: list[object] = []
    with grpc.InferenceServerClient(server.url) as triton:
        for _ in range(MAX_PER_CALLER):
            ask(triton, callback=lambda **said: answered.append(said["error"]))
        wait_for(lambda: queue.in_flight == MAX_PER_CALLER)
        going = [ask(triton, callback=ignore) for _ in range(20)]
        wait_for(lambda: queue.waiting == 20)
        for call in going:
            call.cancel()
        wait_for(lambda: queue.cancelled == left + 20)
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
        wait_for(lambda: answered == [None] * MAX_PER_CALLER)
    wait_for(lambda: queue.in_flight == 0)
    assert decoded(server) - before == MAX_PER_CALLER


@pytest.mark.slow
def test_a_caller_does_not_wait_for_all_requests_of_another(server: Server) -> None:
    queue = queue_of(server)
    order: list[str] = []
    # With connections of their own, like callers in other processes.
    many, one = (grpc.InferenceServerClient(server.url, channel_args=OWN_CONNECTION) for _ in range(2))
    with many, one:
        for worker in (stopped := workers(server.process.pid, "video_sampling")):
            os.kill(worker, signal.SIGSTOP)
        for _ in range(60):
            ask(many, callback=lambda **_: order.append("many"))
        wait_for(lambda: queue.waiting == 60 - MAX_PER_CALLER)
        ask(one, callback=lambda **_: order.append("one"))
        wait_for(lambda: queue.in_flight == MAX_PER_CALLER + 1)
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
        wait_for(lambda: len(order) == 61)
    # After those in flight, and a few that were answered out of order, but not after all sixty.
    assert order.index("one") < MAX_PER_CALLER + 12


def test_errors_pass_through_with_their_status_and_message(server: Server) -> None:
    with grpc.InferenceServerClient(server.url) as triton:
        with pytest.raises(InferenceServerException) as raised:
            ask(triton, b"text")
        assert raised.value.status() == "StatusCode.INVALID_ARGUMENT"
        assert "is not a video in a supported container" in raised.value.message()
        with pytest.raises(InferenceServerException, match="unknown model"):
            triton.get_model_metadata("none")


def test_streams_are_refused(server: Server) -> None:
    with grpc_core.insecure_channel(server.url) as channel:
        call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(iter([b""]))
        with pytest.raises(grpc_core.RpcError) as raised:
            list(call)
    assert raised.value.code() is grpc_core.StatusCode.UNIMPLEMENTED
    assert raised.value.details() == "streams are not supported: call ModelInfer"


def test_a_taken_port_is_an_error_and_not_shared() -> None:
    proxy = Proxy("127.0.0.1", port := free_port(), "127.0.0.1:9")
    try:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            Proxy("127.0.0.1", port, "127.0.0.1:9")
    finally:
        proxy.close()


def free_port() -> int:
    return free_ports("127.0.0.1", 1)[0]


def test_without_triton_calls_fail_with_unavailable() -> None:
    proxy = Proxy("127.0.0.1", port := free_port(), f"127.0.0.1:{free_port()}")
    try:
        with grpc.InferenceServerClient(f"127.0.0.1:{port}") as triton:
            with pytest.raises(InferenceServerException) as raised:
                ask(triton)
            assert raised.value.status() == "StatusCode.UNAVAILABLE"
    finally:
        proxy.close()

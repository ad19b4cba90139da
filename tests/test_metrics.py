"""The server's metrics: exact counts of requests, even if processes die."""

import os
import signal
import sys
import time
import types
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import pytest

from client import Client, InvalidRequest, Parameters, ServerError, ServerUnavailable
from fixtures.synthetic import encode, encode_audio
from server import Server
from server.fair_queue import FairQueue
from server.local_http import open_local
from server.metrics import Counts
from server.proxy import MAX_PER_CALLER, MAX_WAITING
from tests.metrics import risen, scrape
from tests.processes import kill_when_busy, stubs, workers
from tests.waiting import wait_for
from video.decoder import Decoder
from video.errors import Reason, RequestOutcome
from video.request_record import RequestRecord

if TYPE_CHECKING:
    from video.metrics import Metrics

GOOD = encode(60)
SHORT = encode(4)


@cache
def long_video() -> bytes:
    """Five seconds of 1080p, which keep a decoder busy for a while."""
    return encode(125, width=1920, height=1080, options={"preset": "ultrafast"})


def score_at_once(client: Client, video: bytes, count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        first, *others = pool.map(client.score, [video] * count)
    assert all(score == first for score in others)


def test_requests_are_counted_by_outcome_and_reason_in_every_process(server: Server, client: Client) -> None:
    before = scrape(server)
    score_at_once(client, GOOD, 6)
    refused: list[tuple[bytes, Parameters]] = [
        (GOOD[:2000], {}),
        (encode_audio(), {}),
        (GOOD, {"fps": -1}),
        (GOOD, {"fps": 0}),
    ]
    for bad, parameters in refused:
        with pytest.raises(InvalidRequest):
            client.score(bad, **parameters)
    after = scrape(server)
    assert risen("video_motion_videos_total", before, after) == {
        ("none", "video_sampling", "ok", "none"): 6,
        ("ffmpeg", "video_decode", "ok", "none"): 6,
        ("none", "video_sampling", "refused", "truncated"): 1,
        ("none", "video_sampling", "refused", "no_video_stream"): 1,
        ("none", "video_sampling", "refused", "invalid_parameter"): 2,
    }
    assert risen("video_motion_seconds_count", before, after) == {
        ("none", "video_sampling", "ok"): 6,
        ("ffmpeg", "video_decode", "ok"): 6,
        ("none", "video_sampling", "refused"): 4,
    }
    assert risen("video_motion_received_bytes_total", before, after) == {
        ("video_sampling",): 8 * len(GOOD) + 2000 + len(encode_audio()),
        ("video_decode",): 6 * len(GOOD),
    }
    clips = {(kind, model): 6.0 for kind in ("motion", "camera") for model in ("video_sampling", "video_decode")}
    assert risen("video_motion_clips_total", before, after) == clips
    wanted = risen("video_motion_frames_wanted_total", before, after)
    decoded = risen("video_motion_frames_decoded_total", before, after)
    assert wanted["video_sampling",] == wanted["video_decode",]
    assert wanted["video_decode",] <= decoded["video_decode",] <= 6 * 60
    assert risen("video_motion_worker_restarts_total", before, after) == {}


def test_a_request_for_the_weights_is_not_counted_as_a_video(server: Server, client: Client) -> None:
    before = scrape(server)
    client.weights()
    assert risen("video_motion_videos_total", before, scrape(server)) == {}


@pytest.mark.slow
def test_a_worker_that_dies_is_counted_with_its_cause(server: Server, client: Client) -> None:
    before = scrape(server)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(client.score, long_video(), fps=25)
        kill_when_busy(workers(server.process.pid, "video_decode"), signal.SIGSEGV)
        with pytest.raises(ServerError):
            held.result()
    killed = workers(server.process.pid, "video_sampling")
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    score_at_once(client, long_video(), 4)
    after = scrape(server)
    assert risen("video_motion_videos_total", before, after) == {
        ("none", "video_sampling", "ok", "none"): 5,
        ("ffmpeg", "video_decode", "ok", "none"): 4,
        ("ffmpeg", "video_decode", "failed", "worker_died"): 1,
    }
    restarts = risen("video_motion_worker_restarts_total", before, after)
    assert restarts.keys() == {("killed", "video_sampling"), ("crashed", "video_decode")}
    assert 1 <= restarts["killed", "video_sampling"] <= len(killed)  # of those that have had a request since
    assert restarts["crashed", "video_decode"] == 1


@pytest.mark.slow
def test_counts_survive_restarts_of_processes_and_models(server: Server, client: Client) -> None:
    before = scrape(server)
    client.score(GOOD)
    for model in ("video_sampling", "video_decode"):
        os.kill(stubs(server.process.pid, model)[0], signal.SIGKILL)
        time.sleep(0.2)
        for step in ("unload", "load"):
            control(server, f"repository/models/{model}/{step}")
    score_at_once(client, GOOD, 8)
    after = scrape(server)
    expected = {("none", "video_sampling", "ok", "none"): 9.0, ("ffmpeg", "video_decode", "ok", "none"): 9.0}
    assert risen("video_motion_videos_total", before, after) == expected
    started = risen("video_motion_model_start_time_seconds", before, after)
    assert started.keys() == {("video_sampling",), ("video_decode",)}
    assert min(started.values()) > 0


def control(server: Server, path: str) -> None:
    request = urllib.request.Request(f"{server.http_url}/v2/{path}", b"{}", server.key_header, method="POST")
    with open_local(request, 120):
        pass


@pytest.mark.slow
def test_rejections_of_a_full_queue_are_counted(server: Server, client: Client) -> None:
    client.score(SHORT)
    before = scrape(server)
    assert server.proxy is not None
    queue = server.proxy.queue
    refused_before = queue.refused
    stopped = workers(server.process.pid, "video_sampling")
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)

    def ask(_: int) -> bool:
        try:
            impatient.score(SHORT)
        except ServerUnavailable:
            return False
        return True

    with Client(server.url, retries=0, max_in_flight=90) as impatient, ThreadPoolExecutor(90) as pool:
        asked = [pool.submit(ask, index) for index in range(90)]
        wait_for(lambda: queue.waiting + queue.in_flight + queue.refused - refused_before == 90)
        full = scrape(server)
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
        answers = Counter(one.result() for one in asked)
    assert answers == {True: MAX_PER_CALLER + MAX_WAITING, False: 90 - MAX_PER_CALLER - MAX_WAITING}
    assert full["video_motion_requests_waiting", ()] == MAX_WAITING
    assert full["video_motion_requests_in_flight", ()] == MAX_PER_CALLER
    after = scrape(server)
    assert risen("video_motion_queue_rejections_total", before, after) == {(): answers[False]}
    assert after["video_motion_requests_waiting", ()] == 0
    assert risen("video_motion_requests_abandoned_total", before, after) == {}


def test_a_counter_never_falls_when_a_server_takes_the_place_of_another() -> None:
    """Prometheus takes a counter that falls for one that began again."""
    seen: list[float] = []

    class Scraped(Counts):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if seen:  # a scrape in another thread, between any two changes
                scrape_counts()

    def scrape_counts() -> None:
        seen.append(next(iter(counts.collect())).samples[0].value)

    counts = Scraped()
    for refused in (3, 2, 5):
        queue = FairQueue(1, 0, 1)
        counts.watch(queue)
        queue.refused += refused
        scrape_counts()
    assert seen == sorted(seen)
    assert seen[-1] == 10


def test_every_reason_has_its_outcome_and_a_series_from_the_start(server: Server) -> None:
    series = {
        (dict(labels)["outcome"], dict(labels)["reason"], dict(labels)["decoder"])
        for name, labels in scrape(server)
        if name == "video_motion_videos_total"
    }
    results = [("ok", "none"), *((reason.outcome, reason) for reason in Reason)]
    assert series == {(*result, decoder) for result in results for decoder in ("none", "ffmpeg")}
    failures = {reason for reason in Reason if reason.outcome is RequestOutcome.FAILED}
    assert failures == {
        Reason.TIMED_OUT,
        Reason.WORKER_DIED,
        Reason.DECODER_FAILED,
        Reason.NO_ROOM,
        Reason.BUSY,
        Reason.UNEXPECTED,
    }


@pytest.fixture
def metrics_of(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Callable[..., Metrics]]":
    """Makes Metrics with a class in place of Triton's MetricFamily."""

    def make(family: type, model: str = "video_sampling", decoders: Sequence[Decoder] = ()) -> "Metrics":
        monkeypatch.setitem(
            sys.modules,
            "triton_python_backend_utils",
            types.SimpleNamespace(MetricFamily=family),
        )
        monkeypatch.delitem(sys.modules, "video.metrics", raising=False)
        from video.metrics import Metrics

        return Metrics(model, decoders)

    yield make
    sys.modules.pop("video.metrics", None)


def test_a_server_without_metrics_logs_that_once_and_serves(
    metrics_of: "Callable[..., Metrics]", capfd: pytest.CaptureFixture[str]
) -> None:
    class Refusing:
        COUNTER = GAUGE = HISTOGRAM = 0

        def __init__(self, **_: object) -> None:
            raise RuntimeError("metrics are off")

    metrics = metrics_of(Refusing)
    for _ in range(3):
        metrics.count(RequestRecord("video_sampling", "", video_bytes=1))
    assert capfd.readouterr().err == "video_sampling: its metrics cannot be created: metrics are off\n"


class Counting:
    """In place of Triton's MetricFamily: the values of its metrics by name and labels."""

    COUNTER = GAUGE = HISTOGRAM = 0
    values: ClassVar[Counter[tuple[str, ...]]] = Counter()

    def __init__(self, name: str, **_: object) -> None:
        self.name = name

    def Metric(self, labels: dict[str, str], **_: object) -> types.SimpleNamespace:
        key = (self.name, *labels.values())
        self.values.setdefault(key, 0)

        def add(value: int) -> None:
            self.values[key] += value

        return types.SimpleNamespace(increment=add, observe=lambda _: add(1), set=lambda _: None)


def test_a_profile_with_nvdec_counts_by_decoder_and_the_videos_that_nvdec_failed_on(
    metrics_of: "Callable[..., Metrics]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "values", Counter())
    model = "video_decode"
    metrics = metrics_of(Counting, model, [Decoder.NVDEC, Decoder.FFMPEG])
    assert {key[-1] for key in Counting.values if key[0] == "video_motion_videos_total"} == {"nvdec", "ffmpeg"}
    assert Counting.values["video_motion_nvdec_failures_total", model] == 0  # there from the start
    metrics.count(RequestRecord(model, "", video_bytes=1, decoder=Decoder.NVDEC))
    metrics.count(RequestRecord(model, "", video_bytes=1, decoder=Decoder.FFMPEG, nvdec_error="no"))
    failed = RequestRecord(model, "", video_bytes=1)
    failed.fail(Reason.UNEXPECTED, "before a decoder was chosen")
    metrics.count(failed)
    found = {
        key[1:]: count for key, count in Counting.values.items() if key[0] == "video_motion_videos_total" and count
    }
    assert found == {
        (model, "ok", "none", "nvdec"): 1,
        (model, "ok", "none", "ffmpeg"): 1,
        (model, "failed", "unexpected", "ffmpeg"): 1,
    }
    assert Counting.values["video_motion_seconds", model, "ok", "nvdec"] == 1
    assert Counting.values["video_motion_nvdec_failures_total", model] == 1

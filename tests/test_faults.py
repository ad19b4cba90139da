"""A decoder that dies or hangs costs one request; everything else keeps working."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from client import Client, Score, ServerError, ServerUnavailable
from fixtures.synthetic import encode
from server import Server
from server.proxy import MAX_PER_CALLER, MAX_WAITING
from tests.conftest import DECODE_TIMEOUT_SECONDS
from tests.processes import alive, kill_when_busy, stubs, workers
from tests.waiting import wait_for

GOOD = encode(60)


def test_a_worker_that_dies_costs_the_request_it_holds(server: Server, client: Client) -> None:
    before = client.score(GOOD)
    large = encode(50, width=1920, height=1080, options={"preset": "ultrafast"})
    with ThreadPoolExecutor() as pool:
        held = pool.submit(client.score, large, fps=25)
        kill_when_busy(workers(server.process.pid, "video_decode"), signal.SIGKILL)
        with pytest.raises(ServerError, match="the decoder process was killed by SIGKILL"):
            held.result()
    assert client.score(GOOD) == before


@pytest.mark.parametrize("model", [pytest.param("video_sampling", marks=pytest.mark.slow), "video_decode"])
def test_workers_that_hang_are_killed_in_time(server: Server, client: Client, model: str) -> None:
    before = client.score(GOOD)
    stopped = workers(server.process.pid, model)
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(ServerError, match=f"reading the video took longer than {DECODE_TIMEOUT_SECONDS} s"):
        client.score(GOOD)
    assert time.monotonic() - started < DECODE_TIMEOUT_SECONDS + 3
    for worker in stopped:
        if alive(worker):
            os.kill(worker, signal.SIGCONT)  # those without a request
    assert client.score(GOOD) == before


def test_a_worker_that_died_idle_is_not_noticed(server: Server, client: Client) -> None:
    before = client.score(GOOD)
    for model in ("video_sampling", "video_decode"):
        for worker in workers(server.process.pid, model):
            os.kill(worker, signal.SIGKILL)
    assert client.score(GOOD) == before


def test_a_full_queue_refuses_at_once_and_answers_those_in_it(server: Server, client: Client) -> None:
    video = encode(4)
    before = client.score(video)
    assert server.proxy is not None
    queue = server.proxy.queue

    def score_alone(_: int) -> Score:
        with Client(server.url, timeout_seconds=60) as alone:
            return alone.score(video)

    def each_process_has_a_worker() -> bool:
        """One whose worker an earlier test killed starts another one with its next request."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(score_alone, range(8)))
        return len(workers(server.process.pid, "video_sampling")) == len(stubs(server.process.pid, "video_sampling"))

    wait_for(each_process_has_a_worker)
    stopped = workers(server.process.pid, "video_sampling")
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)

    def ask(_: int) -> Score | tuple[str, float]:
        started = time.monotonic()
        try:
            return impatient.score(video)
        except ServerUnavailable as error:
            return str(error), time.monotonic() - started

    with Client(server.url, retries=0, max_in_flight=100) as impatient, ThreadPoolExecutor(100) as pool:
        asked = [pool.submit(ask, index) for index in range(100)]
        # A refused call is done; one that failed otherwise is, too, and is shown below.
        wait_for(lambda: queue.waiting + queue.in_flight + sum(one.done() for one in asked) >= 100)
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
        answers = [one.result() for one in asked]
    refused = [answer for answer in answers if answer != before]
    assert len(refused) == 100 - MAX_PER_CALLER - MAX_WAITING
    for answer in refused:
        assert isinstance(answer, tuple)
        message, seconds = answer
        assert message == "the queue is full: 64 requests waiting, 2 in flight"
        assert seconds < 2

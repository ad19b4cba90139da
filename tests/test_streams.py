"""Several runs of networks at once, each on its part of the cores."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from backends.compute_lock import ComputeLock
from backends.shared import RemoteNetwork, SharedNetwork
from backends.streams import stream_count
from backends.tensors import Network, Tensors
from server.preflight import problems
from tests.waiting import wait_for


@pytest.mark.parametrize(
    ("asked", "cores", "streams"),
    [("auto", 1, 1), ("auto", 15, 1), ("auto", 16, 2), ("auto", 64, 8), ("1", 64, 1), ("2", 2, 2)],
)
def test_streams_by_the_number_of_cores(asked: str, cores: int, streams: int) -> None:
    assert stream_count(asked, cores) == streams


@pytest.mark.parametrize("asked", ["0", "3", "-1", "many", "1.5", "²"])
def test_another_number_of_streams_is_refused(asked: str) -> None:
    with pytest.raises(ValueError, match="it must be auto or a number from 1 to 2, the usable cores"):
        stream_count(asked, 2)


def test_a_wrong_number_of_streams_is_reported_before_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMS", "1000")
    sentence = "STREAMS is '1000', it must be auto or a number from 1 to "
    assert problems(tmp_path, "127.0.0.1", {}, "cpu")[-1].startswith(sentence)
    assert not any("STREAMS" in problem for problem in problems(tmp_path, "127.0.0.1", {}, "gpu"))
    monkeypatch.setenv("STREAMS", "")
    assert not any("STREAMS" in problem for problem in problems(tmp_path, "127.0.0.1", {}, "cpu"))


class Counting(Network):
    """A network that records how many runs were there at once, and waits until it may go on."""

    inputs = outputs = ()

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.running = self.most = 0
        self.may_go_on = threading.Event()
        self._lock = threading.Lock()

    def run(self, inputs: Tensors) -> Tensors:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.may_go_on.wait(30)
        with self._lock:
            self.running -= 1
        return {"Y": inputs["X"] * 2}


def test_a_shared_network_runs_as_often_at_once_as_it_can(tmp_path: Path) -> None:
    network = Counting(2)
    shared = SharedNetwork(network, tmp_path / "network")
    assert shared.at_once == 2
    remote = RemoteNetwork(tmp_path / "network", at_once=2)
    with ThreadPoolExecutor(5) as pool:
        runs: list[Callable[[Tensors], Tensors]] = [shared.run, remote.run, remote.run, remote.run, shared.run]
        answers = [pool.submit(run, {"X": np.array([[number]], np.float32)}) for number, run in enumerate(runs)]
        wait_for(lambda: network.running == 2 and len(shared._line._places) == 3)
        network.may_go_on.set()
        assert [answer.result()["Y"].item() for answer in answers] == [0, 2, 4, 6, 8]
    assert network.most == 2


def test_as_many_hold_the_compute_lock_as_it_has_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    first, second = ComputeLock(2), ComputeLock(2)  # of two processes
    held, may_end = [], threading.Event()

    def take(lock: ComputeLock, name: str) -> None:
        with lock.take():
            held.append(name)
            may_end.wait(30)

    threads = [threading.Thread(target=take, args=each) for each in ((first, "a"), (second, "b"), (first, "c"))]
    threads[0].start()
    wait_for(lambda: held == ["a"])
    threads[1].start()
    wait_for(lambda: held == ["a", "b"])
    threads[2].start()
    threads[2].join(0.05)
    assert held == ["a", "b"]
    may_end.set()
    for thread in threads:
        thread.join()
    assert held == ["a", "b", "c"]

"""Instances that share a network, and networks that share the cores."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from backends.compute_lock import ComputeLock
from backends.shared import NetworkGone, RemoteNetwork, SharedNetwork, address_of, holds_network
from backends.tensors import Network, Tensors
from tests.waiting import wait_for


class Doubling(Network):
    """A network that records whose clip it gets, and blocks until it may continue."""

    inputs = outputs = ()

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def run(self, inputs: Tensors) -> Tensors:
        whose = int(inputs["X"][0, 0])
        self.asked.append(whose)
        self.may_go_on.wait(30)
        if whose < 0:
            raise ValueError("no such clip")
        return {"Y": inputs["X"] * 2, "NOTHING": np.empty((0, 3), np.float32)}


@pytest.fixture
def network() -> Doubling:
    return Doubling()


@pytest.fixture
def shared(network: Doubling, tmp_path: Path) -> SharedNetwork:
    return SharedNetwork(network, tmp_path / "network")


def clip(whose: int) -> Tensors:
    return {"X": np.full((1, 2), whose, np.uint8).astype(np.float32)}


def test_the_first_instance_holds_the_network_and_all_of_them_find_it() -> None:
    assert [holds_network(name) for name in ("head_0", "backbone_0_0", "backbone_0_1", "backbone_0_10")] == [
        True,
        True,
        False,
        False,
    ]
    assert address_of("backbone_0_0") == address_of("backbone_0_2")
    assert address_of("backbone_0_0") != address_of("classifier_0_0")


def test_other_instances_get_the_same_answers(shared: SharedNetwork, tmp_path: Path) -> None:
    outputs = RemoteNetwork(tmp_path / "network").run(clip(3))
    for name, output in shared.run(clip(3)).items():
        assert outputs[name].dtype == output.dtype
        np.testing.assert_array_equal(outputs[name], output)


def test_an_error_of_the_network_affects_only_its_request(shared: SharedNetwork, tmp_path: Path) -> None:
    remote = RemoteNetwork(tmp_path / "network")
    with pytest.raises(RuntimeError, match="no such clip"):
        remote.run({"X": -np.ones((1, 2), np.float32)})
    assert remote.run(clip(1))["Y"][0, 0] == 2


def test_one_clip_waits_for_one_clip_of_a_long_video_and_not_for_all(
    network: Doubling, shared: SharedNetwork, tmp_path: Path
) -> None:
    long, short = 1, 2
    network.may_go_on.clear()

    def ask(whose: int, clips: int) -> None:
        remote = RemoteNetwork(tmp_path / "network")
        for _ in range(clips):
            remote.run(clip(whose))

    threads = [threading.Thread(target=ask, args=(long, 20))]
    threads[0].start()
    wait_for(lambda: network.asked == [long])
    threads.append(threading.Thread(target=ask, args=(short, 1)))
    threads[1].start()
    wait_for(lambda: len(shared._line._places) == 1)
    network.may_go_on.set()
    for thread in threads:
        thread.join()
    assert network.asked == [long, short] + [long] * 19


def test_an_instance_whose_network_is_gone_fails_and_finds_the_next_one(network: Doubling, tmp_path: Path) -> None:
    remote = RemoteNetwork(tmp_path / "network", patience_seconds=0)
    # As in Triton's message for a dead process: clients wait and retry.
    with pytest.raises(NetworkGone, match="is not healthy"):
        remote.run(clip(1))
    SharedNetwork(network, tmp_path / "network")
    assert remote.run(clip(1))["Y"][0, 0] == 2
    other = Doubling()
    SharedNetwork(other, tmp_path / "network")  # loaded again; the old one still serves its connections
    RemoteNetwork(tmp_path / "network").run(clip(4))
    assert other.asked == [4]


def test_requests_to_a_dead_process_are_answered_by_the_next_one(network: Doubling, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from backends.shared import SharedNetwork;"
        "from tests.test_shared import Doubling; n = Doubling(); n.may_go_on.clear();"
        "SharedNetwork(n, Path(sys.argv[1])); print(flush=True)\n"
        "while not n.asked: time.sleep(0.01)\n"
        "print(flush=True); time.sleep(60)"
    )
    address, answers = tmp_path / "network", []
    with subprocess.Popen([sys.executable, "-c", program, str(address)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        asking = threading.Thread(target=lambda: answers.append(RemoteNetwork(address).run(clip(3))["Y"][0, 0]))
        asking.start()
        holder.stdout.readline()  # it has the clip
        holder.kill()
    SharedNetwork(network, address)
    asking.join()
    assert answers == [6]
    assert network.asked == [3]


def test_the_compute_lock_passes_to_a_waiting_process_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    first, second = ComputeLock(), ComputeLock()
    order: list[str] = []

    def take(turns: ComputeLock, name: str) -> None:
        with turns.take():
            order.append(name)

    def waits() -> bool:
        """Whether the head of the queue is locked."""
        descriptor = os.open(next(tmp_path.glob("*/*.place")), os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    with first.take():
        thread = threading.Thread(target=take, args=(second, "second"))
        thread.start()
        wait_for(waits)
    take(first, "first again")
    thread.join()
    assert order == ["second", "first again"]

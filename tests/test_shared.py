"""Instances that have one network together, and networks that have the cores together: by turns."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backends.compute_lock import ComputeLock
from backends.shared import NetworkGone, RemoteNetwork, SharedNetwork, address_of, holds_network
from backends.tensors import Network, Tensors


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Doubling(Network):
    """A network that says whose clip it has, and waits until it may go on."""

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


def test_the_first_instance_of_a_model_holds_the_network_and_all_of_them_find_it():
    assert [holds_network(name) for name in ("head_0", "backbone_0_0", "backbone_0_1", "backbone_0_10")] == [
        True,
        True,
        False,
        False,
    ]
    assert address_of("backbone_0_0") == address_of("backbone_0_2")
    assert address_of("backbone_0_0") != address_of("classifier_0_0")


def test_other_instances_are_answered_as_the_first_one_is(shared: SharedNetwork, tmp_path: Path):
    outputs = RemoteNetwork(tmp_path / "network").run(clip(3))
    for name, output in shared.run(clip(3)).items():
        assert outputs[name].dtype == output.dtype
        np.testing.assert_array_equal(outputs[name], output)


def test_what_the_network_cannot_compute_is_told_to_who_asked_and_to_nobody_else(shared: SharedNetwork, tmp_path: Path):
    remote = RemoteNetwork(tmp_path / "network")
    with pytest.raises(RuntimeError, match="no such clip"):
        remote.run({"X": -np.ones((1, 2), np.float32)})
    assert remote.run(clip(1))["Y"][0, 0] == 2


def test_one_clip_waits_for_one_of_a_film_and_not_for_all(network: Doubling, shared: SharedNetwork, tmp_path: Path):
    film, short = 1, 2
    network.may_go_on.clear()

    def ask(whose: int, clips: int) -> None:
        remote = RemoteNetwork(tmp_path / "network")
        for _ in range(clips):
            remote.run(clip(whose))

    threads = [threading.Thread(target=ask, args=(film, 20))]
    threads[0].start()
    wait_for(lambda: network.asked == [film])
    threads.append(threading.Thread(target=ask, args=(short, 1)))
    threads[1].start()
    wait_for(lambda: len(shared._line._places) == 2)
    network.may_go_on.set()
    for thread in threads:
        thread.join()
    assert network.asked == [film, short] + [film] * 19


def test_an_instance_without_a_network_says_so_and_finds_the_next_one(network: Doubling, tmp_path: Path):
    remote = RemoteNetwork(tmp_path / "network", patience_seconds=0)
    # As Triton says it of a process that died: the client waits and asks again.
    with pytest.raises(NetworkGone, match="is not healthy"):
        remote.run(clip(1))
    SharedNetwork(network, tmp_path / "network")
    assert remote.run(clip(1))["Y"][0, 0] == 2
    other = Doubling()
    SharedNetwork(other, tmp_path / "network")  # loaded again, while the one before still serves who has it
    RemoteNetwork(tmp_path / "network").run(clip(4))
    assert other.asked == [4]


def test_who_waits_for_a_network_whose_process_dies_is_answered_by_the_next_one(network: Doubling, tmp_path: Path):
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


def test_whoever_has_had_the_cores_does_not_have_them_again_before_another_who_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    first, second = ComputeLock(), ComputeLock()
    order: list[str] = []

    def take(turns: ComputeLock, name: str) -> None:
        with turns.take():
            order.append(name)

    def waits() -> bool:
        """Whether somebody has the place at the head of the line."""
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

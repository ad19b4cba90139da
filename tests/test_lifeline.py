"""What holds a lifeline ends with the process at its other end, in whatever state it is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.processes import alive
from tests.waiting import wait_for
from video import lifeline
from video.lifeline import VARIABLE, Lifeline

HOLDER = "import os, signal\nfrom video.lifeline import hold\nhold()\nprint(os.getpid(), flush=True)\n"
THEN = {
    "waiting": "signal.pause()",
    "stopped": "os.kill(os.getpid(), signal.SIGSTOP)",
    "computing in C": "10 ** 10 ** 9",  # no other thread of Python runs meanwhile
    "ignoring signals": "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 13, 15, 29)]; signal.pause()",
}
OWNER = """
import subprocess, sys
from video.lifeline import Lifeline
line = Lifeline()
children = [subprocess.Popen([sys.executable, "-c", program], pass_fds=[line.reading], env=line.environment,
                             start_new_session=True) for program in sys.argv[1:]]
line.handed_over()
sys.stdin.read()
"""
BECOMES = """
import os, sys
from video.lifeline import Lifeline
environment = Lifeline().become_tritonserver()
os.execve("/bin/sh", ["sh", "-c", f'"{sys.executable}" -c "$0" & read line', sys.argv[1]], environment)
"""


@pytest.fixture
def ended() -> Iterator[list[int]]:
    """Processes to end after the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def owner(program: str, *holders: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *holders], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.heavy
@pytest.mark.parametrize("how", THEN)
def test_a_holder_ends_with_the_owner(how: str, ended: list[int]) -> None:
    with owner(OWNER, HOLDER + THEN[how], HOLDER + THEN["waiting"]) as process:
        assert process.stdout is not None
        ended += [int(process.stdout.readline()) for _ in range(2)]
        assert all(map(alive, ended))
        process.kill()
    wait_for(lambda: not any(map(alive, ended)), seconds=2)


def test_a_holder_ends_with_an_owner_that_has_become_another_program(ended: list[int]) -> None:
    with owner(BECOMES, HOLDER + THEN["waiting"]) as process:
        assert process.stdout is not None
        ended.append(int(process.stdout.readline()))
        process.kill()
    wait_for(lambda: not any(map(alive, ended)), seconds=2)


def test_a_holder_that_comes_too_late_ends_at_once() -> None:
    line = Lifeline()
    line.cut()
    line.cut()
    late = subprocess.run([sys.executable, "-c", HOLDER], pass_fds=[line.reading], env=line.environment, timeout=30)
    line.handed_over()
    assert late.returncode == -signal.SIGKILL


def test_other_holders_do_not_matter_and_it_is_held_once() -> None:
    line = Lifeline()
    environment = line.environment
    twice = f"{HOLDER}hold()\nassert {VARIABLE!r} not in os.environ"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", twice], pass_fds=[line.reading], env=environment, check=True, timeout=30)
    line.handed_over()
    line.cut()


def test_without_a_lifeline_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    lifeline.hold()


def test_a_descriptor_that_is_no_pipe_is_refused_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as file:
        monkeypatch.setenv(VARIABLE, f"{file.fileno()},{file.fileno()}")
        with pytest.raises(ValueError, match=f"{VARIABLE} is '{file.fileno()},.*', which is not a pipe"):
            lifeline.hold()
        os.fstat(file.fileno())

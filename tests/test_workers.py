"""The worker processes of commands: when they are started and ended, and what is heard of them."""

import contextlib
import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from client._workers.answers import Answers
from client._workers.each_thread import ForEachThread
from client._workers.worker import Worker


def test_lines_come_in_order_and_a_cut_one_is_the_end() -> None:
    reading, writing = os.pipe()
    answers = Answers(os.fdopen(reading, "rb"))
    os.write(writing, b"one\ntwo\nthr")
    assert [answers.next(10), answers.next(10)] == [b"one\n", b"two\n"]
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        answers.next(0.05)
    assert time.monotonic() - began < 5
    os.write(writing, b"ee\nfour")
    os.close(writing)
    assert answers.next(10) == b"three\n"
    with pytest.raises(EOFError):
        answers.next(10)
    answers.close()


def test_there_may_be_more_open_files_than_select_takes() -> None:
    """1024: `score --first-pass --in-flight 400` has more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip(f"this user may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    reading, writing = os.pipe()
    try:
        high = fcntl.fcntl(reading, fcntl.F_DUPFD, 1100)
        os.close(reading)
        answers = Answers(os.fdopen(high, "rb"))
        os.write(writing, b"one\n")
        assert answers.next(10) == b"one\n"
        os.close(writing)
        answers.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Fake(Worker):
    """Runs a program in place of a module."""

    def __init__(self, program: str) -> None:
        super().__init__("a module")
        self.started: list[subprocess.Popen[bytes]] = []
        self._program = program

    def _new_process(self) -> subprocess.Popen[bytes]:
        command, pipe = [sys.executable, "-S", "-c", self._program], subprocess.PIPE
        self.started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe))
        return self.started[-1]


ECHO = "import sys; [print(line, end='', flush=True) for line in sys.stdin]"


def test_a_worker_is_started_when_it_is_asked_and_again_after_it_died() -> None:
    worker = Fake(ECHO)
    with contextlib.closing(worker):
        for number in range(2):
            worker.ask({"number": number})
            assert worker.answer(30) == {"number": number}
        assert len(worker.started) == 1
        worker.kill()
        with pytest.raises(EOFError):
            worker.answer(30)
        worker.ask({"number": 2}, b'{"number": 3}\n')
        assert [worker.answer(30), worker.answer(30)] == [{"number": 2}, {"number": 3}]
        assert [process.poll() for process in worker.started] == [-signal.SIGKILL, None]
    assert worker.started[1].poll() == -signal.SIGKILL


def test_a_worker_that_died_before_it_is_asked_is_no_longer_held() -> None:
    worker = Fake("")
    with contextlib.closing(worker):
        worker.start()
        worker.started[0].wait()
        with pytest.raises(EOFError):
            worker.ask({"number": 0})
        worker.start()
        assert len(worker.started) == 2


def test_a_worker_that_says_nothing_is_ended() -> None:
    worker = Fake("import sys; sys.stdin.read()")
    with contextlib.closing(worker):
        worker.ask({})
        with pytest.raises(TimeoutError):
            worker.answer(0.01)
        assert worker.started[0].poll() == -signal.SIGKILL


def test_each_thread_has_an_object_of_its_own() -> None:
    objects = ForEachThread(object)
    assert objects.all() == []
    both_have_one = threading.Barrier(2)

    def twice(_: int) -> bool:
        first = objects.own()
        both_have_one.wait(30)
        return objects.own() is first

    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(twice, range(2))] == [True, True]
    assert len({*objects.all()}) == len(objects.all()) == 2

"""What a command hears of its worker processes."""

import fcntl
import os
import resource
import time

import pytest

from client._workers.answers import Answers


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

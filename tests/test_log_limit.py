"""What tritonserver writes is passed on in bounded amounts."""

import os
import sys
from pathlib import Path

import pytest

from server.log_limit import MAX_TEXTS, REPEATS, WINDOW_SECONDS, LogLimit
from server.triton_process import MAX_LINE_CHARACTERS, TritonProcess

FLOOD = 100_000


def prefixed(second: float, text: str) -> str:
    return f"E1127 04:10:{second:09.6f} {int(second)} {text}\n"


def test_different_lines_pass_unchanged_and_in_order() -> None:
    limit = LogLimit()
    lines = [prefixed(number, f"line {number}") for number in range(50)] + ["\n"] * 10 + ['{"id": 1}\n']
    assert [one for line in lines for one in limit.admit(line, 0)] == lines
    assert limit.end() == []


def test_repeated_lines_are_counted_whatever_their_time() -> None:
    limit = LogLimit()
    lines = [prefixed(number / 1000, "Error from accept() call") for number in range(1000)]
    passed = [one for line in lines for one in limit.admit(line, 1.0)]
    assert passed == lines[:REPEATS]
    assert limit.admit("another\n", WINDOW_SECONDS + 1) == [
        f"server: tritonserver wrote this {1000 - REPEATS} times more: Error from accept() call\n",
        "another\n",
    ]
    assert limit.admit(lines[0], WINDOW_SECONDS + 2) == [lines[0]]  # a new window


def test_lines_that_alternate_are_repeated_too() -> None:
    limit = LogLimit()
    passed = [one for _ in range(1000) for text in ("one\n", "two\n") for one in limit.admit(text, 0)]
    assert passed == ["one\n", "two\n"] * REPEATS
    assert len(limit.end()) == 2


@pytest.mark.parametrize("form", ["error {}\n", '{{"id": {}}}\n'])
def test_different_lines_are_bounded_in_rate_and_those_left_out_counted(form: str) -> None:
    limit = LogLimit()
    seconds, each = 20, 1500
    passed = [one for number in range(seconds * each) for one in limit.admit(form.format(number), number / each)]
    written = [line for line in passed if not line.startswith("server: ")]
    assert len(written) <= 5000 + seconds * 500
    counts = [int(line.split()[1]) for line in [*passed, *limit.end()] if line.startswith("server: ")]
    assert sum(counts) + len(written) == seconds * each


@pytest.mark.heavy
def test_summaries_are_bounded_too() -> None:
    """Texts that come round just after each was forgotten."""
    limit = LogLimit()
    texts = [f"text {number}\n" for number in range(MAX_TEXTS + 1)]
    passed = [one for _ in range(8) for text in texts for _ in range(REPEATS + 1) for one in limit.admit(text, 0)]
    assert len(passed) <= 2001  # and one that counts the others


@pytest.mark.heavy
def test_a_flood_of_a_child_process_is_read_and_not_copied(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "while not Path(sys.argv[1]).exists():\n"
        "    pass\n"
        f"sys.stdout.write('E1127 04:10:31.000001 77 Too many open files\\n' * {FLOOD})\n"
        f"sys.stdout.write('x' * {3 * MAX_LINE_CHARACTERS} + '\\nlast\\n')"
    )
    (tmp_path / "program.py").write_text(program)
    shows = tmp_path / "shows"
    command = [sys.executable, str(tmp_path / "program.py"), str(shows)]
    process = TritonProcess(command, os.environ, "video_motion_none_")
    process.show_log()
    shows.touch()  # what is written before is not shown
    assert process.popen.wait(30) == 0
    process.kill()
    shown = capfd.readouterr().out
    assert shown.count("Too many open files") == REPEATS + 1
    assert f"server: tritonserver wrote this {FLOOD - REPEATS} times more: Too many open files\n" in shown
    assert "last\n" in shown
    assert len(process.log) < 4 * MAX_LINE_CHARACTERS

"""What every command has: help that ends with examples, exit statuses, and a way out by Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client import __main__ as overview
from client._commands import program
from client._commands.program import COMMANDS, sibling
from fixtures.score_tables import write_scores


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        program.run(command, f"video-motion {command}", ["--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_exit_statuses_and_ends_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(command, capsys)
    before, _, examples = text.rpartition("\nexamples:\n")
    statuses = re.search(r"Exit status: (.*?)\.\n", before, re.DOTALL)
    assert statuses is not None
    assert re.findall(r"\b(\d+)\s[a-z]", statuses[1]) == ["0", "1", "2", "130"]
    lines = examples.splitlines()
    assert 1 <= len(lines) <= 2
    assert all(line.startswith(f"  video-motion {command} ") for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_use_options_that_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(command, capsys)
    options, _, examples = text.rpartition("\nexamples:\n")
    used = set(re.findall(r"--[a-z-]+", examples))
    assert used <= set(re.findall(r"--[a-z-]+", options.split("Exit status")[0]))


def test_the_overview_names_every_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["video-motion"])
    with pytest.raises(SystemExit):
        overview.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {command}  " in text for command in COMMANDS)
    assert "130 interrupted by Ctrl-C" in text
    assert text.splitlines()[-1].startswith("  video-motion score ")


def test_a_command_that_does_not_exist_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        overview.main(["shout"])
    assert stopped.value.code == 2
    assert "invalid choice: 'shout'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("python -m client.filter", "python -m client.score"),
        ("python -m video_motion.filter", "python -m video_motion.score"),
        ("python -m client filter", "python -m client score"),
        ("video-motion filter", "video-motion score"),
    ],
)
def test_other_commands_are_named_as_this_one_was_typed(typed: str, expected: str) -> None:
    assert sibling(typed, "score") == expected


@pytest.mark.heavy
@pytest.mark.parametrize(
    "arguments",
    [["filter", "--drop", "static", "--kept", "kept.txt"], ["summary"], ["report"]],
    ids=lambda arguments: arguments[0],
)
def test_ctrl_c_is_status_130_without_a_traceback(arguments: list[str], tmp_path: Path) -> None:
    pipe = tmp_path / "scores.jsonl"
    os.mkfifo(pipe)
    command, *rest = arguments
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    # SIGINT is ignored in jobs that a script started. A preexec_fn would run fork handlers of gRPC in the child.
    typed = ["env", "--default-signal=INT", sys.executable, "-m", f"client.{command}", str(pipe), *rest]
    with subprocess.Popen(
        typed,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        writer = opened_by_a_reader(pipe, process)
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=30) == ("", "")
        finally:
            process.kill()
            os.close(writer)
    assert process.returncode == 130
    assert [file.name for file in tmp_path.iterdir()] == [pipe.name]


@pytest.mark.heavy
@pytest.mark.parametrize("command", ["filter", "summary"])
def test_a_reader_that_closed_its_pipe_is_no_traceback(command: str, tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores.parquet", [(1.0, 1.0, 1.0)])
    reader, writer = os.pipe()
    os.close(reader)
    options = ["--drop", "static"] if command == "filter" else []
    typed = [sys.executable, "-m", f"client.{command}", str(scores), *options]
    result = subprocess.run(typed, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")


def opened_by_a_reader(pipe: Path, process: subprocess.Popen[str]) -> int:
    """The writing end of a pipe, once the process reads from it."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no reader yet
            time.sleep(0.01)
    raise AssertionError("the command did not open its table")

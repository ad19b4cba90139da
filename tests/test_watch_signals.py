"""`watch` as a process: Ctrl-C, a kill, standard input, and the annotated video that they leave."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.synthetic import encode
from tests.fake_triton import fake_triton
from tests.test_watch import frames_of
from tests.waiting import wait_for

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parent.parent


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command with a stand-in server, reading a pipe that the caller writes."""
    with fake_triton() as (_, port):
        # SIGINT is ignored in jobs that a script started.
        typed = ["env", "--default-signal=INT", sys.executable, "-m", "client.watch", "-"]
        options = ["--url", f"127.0.0.1:{port}", "--clip-seconds", "0.5", "--no-realtime", *arguments]
        pipe = subprocess.PIPE
        with subprocess.Popen([*typed, *options], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
            try:
                yield process
            finally:
                process.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_leaves_a_video_that_plays(tmp_path: Path, number: signal.Signals, status: int) -> None:
    output = tmp_path / "annotated.mp4"
    with running("--output", str(output)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        # Keyframes of the output are 60 frames apart.
        os.write(process.stdin.fileno(), encode(180, width=64, height=48, container="mpegts"))
        rows = [json.loads(process.stdout.readline()) for _ in range(12)]
        assert [row["source"] for row in rows] == ["standard input"] * 12
        if number == signal.SIGKILL:
            wait_for(lambda: output.exists() and output.stat().st_size > 10_000)
        process.send_signal(number)
        rest, errors = process.stdout.read(), process.stderr.read().decode()
        assert process.wait(30) == status
    frames = frames_of(output)
    assert len(frames) >= (60 if number == signal.SIGKILL else 150)
    if number != signal.SIGKILL:
        assert "ending the watch; press Ctrl-C again to quit now" in errors
        assert "clips answered" in errors
        assert "Traceback" not in errors
        assert all(json.loads(line) for line in rest.splitlines())


def test_a_pipe_that_ends_is_status_0() -> None:
    with running() as process:
        printed, errors = process.communicate(encode(50, width=64, height=48, container="matroska"), timeout=60)
    assert process.returncode == 0
    assert len(printed.splitlines()) == 4
    assert errors.decode().startswith("standard input ended after 2.0 s\n4 clips answered, 0 skipped, 0 failed;")

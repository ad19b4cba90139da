"""deploy/slurm/score.sbatch, with stand-ins for Apptainer and for the command that scores."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "deploy" / "slurm" / "score.sbatch"
APPTAINER = f"""#!{sys.executable}
import http.server, os, sys
open(os.environ["LOG"] + ".server", "a").write(" ".join(sys.argv[1:]) + "\\n")
if os.environ.get("BROKEN"):
    sys.exit("no such image")

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/v2/health/ready" else 404)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(os.environ["APPTAINERENV_HTTP_PORT"])), Ready).serve_forever()
"""
VIDEO_MOTION = """#!/bin/sh
echo "$@" >> "$LOG"
cat "$3" >> "$LOG"
exit ${SCORE_STATUS:-0}
"""

Result = subprocess.CompletedProcess[str]


class Job:
    """An array job on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        (folder / "bin").mkdir()
        for name, content in (("apptainer", APPTAINER), ("video-motion", VIDEO_MOTION)):
            path = folder / "bin" / name
            path.write_text(content)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        (folder / "manifest.txt").write_text("".join(f"{number}.mp4\n" for number in range(5)))

    def run(self, task: int | None, shares: object = 2, manifest: str = "manifest.txt", **others: str) -> Result:
        """One task of an array."""
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "LOG": str(self.log),
            "TMPDIR": str(self.folder),
            **({} if task is None else {"SLURM_ARRAY_TASK_ID": str(task)}),
            **others,
        }
        return subprocess.run(
            ["bash", str(SCRIPT), str(shares), manifest, "out", "/models", "image.sif"],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_the_tasks_share_the_manifest_and_each_has_a_server(job: Job) -> None:
    for task in (0, 1):
        result = job.run(task)
        assert result.returncode == 0, result.stderr
    lines = job.log.read_text().splitlines()
    assert [line for line in lines if not line.startswith("score")] == ["0.mp4", "2.mp4", "4.mp4", "1.mp4", "3.mp4"]
    for task, line in enumerate(line for line in lines if line.startswith("score")):
        table = f"out/0000{task}"
        assert line.startswith(f"score --manifest {table}.txt --output {table}.parquet --url 127.0.0.1:")
    server, _ = job.log.with_suffix(".server").read_text().splitlines()
    assert "--bind /models:/models:ro" in server
    assert server.endswith("image.sif python3 -m server --model-repository=/models")
    assert not [*job.folder.glob("video-motion.*")]  # the server's /tmp


def test_the_status_is_that_of_the_scores(job: Job) -> None:
    assert job.run(0, SCORE_STATUS="1").returncode == 1


def test_a_server_that_does_not_start_ends_the_task(job: Job) -> None:
    result = job.run(0, BROKEN="1")
    assert (result.returncode, result.stderr) == (1, "the server has ended, out/00000.server.log says why\n")
    assert (job.folder / "out" / "00000.server.log").read_text() == "no such image\n"
    assert not job.log.exists()


def test_a_task_without_videos_starts_no_server(job: Job) -> None:
    result = job.run(9, shares=10)
    assert (result.returncode, result.stdout) == (0, "no video for share 9 of 10\n")
    assert not job.log.with_suffix(".server").exists()


@pytest.mark.parametrize(
    ("task", "shares", "manifest", "message"),
    [
        (None, 2, "manifest.txt", "score.sbatch is for an array job: add --array=0-63\n"),
        (2, 2, "manifest.txt", "there are '2' shares, so no task 2: the tasks of 64 shares are 0 to 63\n"),
        (0, "all", "manifest.txt", "there are 'all' shares, so no task 0: the tasks of 64 shares are 0 to 63\n"),
        (0, 2, "gone.txt", "cannot read gone.txt\n"),
    ],
)
def test_wrong_use_is_named(job: Job, task: int | None, shares: object, manifest: str, message: str) -> None:
    result = job.run(task, shares, manifest)
    assert (result.returncode, result.stderr) == (2, message)


def test_wrong_arguments_show_the_usage() -> None:
    result = subprocess.run(["bash", str(SCRIPT), "manifest.txt"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: sbatch --array=0-63 score.sbatch 64 MANIFEST")

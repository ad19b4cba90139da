"""The Dockerfile, as far as it goes without Docker: what it copies is there, builds, and is enough for the server."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def instructions() -> list[tuple[str, str]]:
    """Each instruction and its arguments."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word.isupper()]


def test_the_base_is_one_release_of_nvidias_image(instructions: list[tuple[str, str]]):
    assert re.fullmatch(r"TRITON=\d\d\.\d\d", next(rest for word, rest in instructions if word == "ARG"))
    assert [rest for word, rest in instructions if word == "FROM"] == [
        "nvcr.io/nvidia/tritonserver:${TRITON}-py3 AS base", "base AS export", "base AS serve",
    ]  # fmt: skip


def test_what_runs_is_not_root(instructions: list[tuple[str, str]]):
    users = [rest for word, rest in instructions if word == "USER"]
    assert users == ["1000:1000"] * 2
    last = max(index for index, (word, _) in enumerate(instructions) if word == "FROM")
    assert "USER" in [word for word, _ in instructions[last:]]


@pytest.mark.heavy
def test_what_it_copies_builds_and_is_what_the_models_import(instructions: list[tuple[str, str]], tmp_path: Path):
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [name for word, rest in instructions if word == "COPY" for name in rest.split()[:-1]]
    assert set(copied) == kept
    for name in copied:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / "context" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / "context").mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / "context" / name)
    site = tmp_path / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(tmp_path / "context")]
    subprocess.run([sys.executable, *install], check=True, timeout=300, capture_output=True)
    code = "import video.isolation, video.worker, export.tensorrt, server.launcher, video; print(video.__file__)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(site)}
    )
    assert found.stdout.strip() == str(site / "video" / "__init__.py")

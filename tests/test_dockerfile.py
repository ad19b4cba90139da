"""The Dockerfile, as far as it can be checked without Docker: what it copies is complete, and serves."""

import importlib.metadata
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from client import Client
from fixtures.synthetic import encode
from server import Settings

ROOT = Path(__file__).parent.parent
INSTALLED_AT = "/opt/video-motion"
SERVED = ("server.__main__", "server.launcher", "video.worker", "video.sandbox", "video.plan", "video.nvdec_driver")
"""What the server and its decoder processes run; video.triton needs a stub."""


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """Each instruction and its arguments."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word.isupper()]


@pytest.fixture(scope="module")
def context(instructions: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the image has in /opt/video-motion."""
    directory = tmp_path_factory.mktemp("image") / "video-motion"
    directory.mkdir()
    for name in copied(instructions):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)
    return directory


def copied(instructions: list[tuple[str, str]]) -> list[str]:
    return [name for word, rest in instructions if word == "COPY" for name in rest.split()[:-1]]


def stage(instructions: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    """The instructions of one stage."""
    starts = [index for index, (word, _) in enumerate(instructions) if word == "FROM"] + [len(instructions)]
    for start, end in itertools.pairwise(starts):
        if instructions[start][1].endswith(f" AS {name}"):
            return instructions[start:end]
    raise KeyError(name)


def variables(instructions: list[tuple[str, str]]) -> dict[str, str]:
    return dict(pair.split("=", 1) for word, rest in instructions if word == "ENV" for pair in rest.split())


def test_the_base_is_one_release_of_nvidias_image(instructions: list[tuple[str, str]]) -> None:
    assert re.fullmatch(r"TRITON=\d\d\.\d\d", next(rest for word, rest in instructions if word == "ARG"))
    assert [rest for word, rest in instructions if word == "FROM"] == [
        "nvcr.io/nvidia/tritonserver:${TRITON}-py3 AS base", "base AS export", "base AS serve",
    ]  # fmt: skip


def test_neither_image_runs_as_root(instructions: list[tuple[str, str]]) -> None:
    for name in ("export", "serve"):
        assert ("USER", "1000:1000") in stage(instructions, name)


def test_the_image_serves_by_default_as_the_readme_says(instructions: list[tuple[str, str]]) -> None:
    assert instructions[-1][0] == "CMD"
    assert json.loads(instructions[-1][1]) == ["python3", "-m", "server", "--model-repository=/models"]
    assert not any(word == "ENTRYPOINT" for word, _ in stage(instructions, "serve"))  # or CMD could not be replaced
    assert variables(stage(instructions, "serve"))["ADDRESS"] == "0.0.0.0"
    assert ("EXPOSE", "8000 8001 8002") in instructions


def test_the_health_check_uses_the_port_that_is_served(instructions: list[tuple[str, str]], tmp_path: Path) -> None:
    (check,) = (rest for word, rest in instructions if word == "HEALTHCHECK")
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\necho "$@"\n')
    curl.chmod(0o755)
    for environment, port in (({}, 8000), ({"HTTP_PORT": "9000"}, 9000)):
        asked = subprocess.run(
            ["/bin/sh", "-c", check.partition(" CMD ")[2]],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert asked.stdout.split()[-1] == f"http://localhost:{port}/v2/health/ready"
        assert "--fail" in asked.stdout
        assert "--noproxy * " in asked.stdout  # the proxy that Docker passes into containers cannot reach them


def test_nothing_of_the_project_is_installed_and_all_of_it_is_in_the_path(instructions: list[tuple[str, str]]) -> None:
    installs = [
        install for word, rest in instructions if word == "RUN" for install in re.findall(r"pip install ([^&]+)", rest)
    ]
    assert [install.strip() for install in installs] == [
        "--ignore-installed 'pip>=25.1'", "--group pyproject.toml:proxy", "--group pyproject.toml:export",
    ]  # fmt: skip
    assert ("WORKDIR", INSTALLED_AT) in stage(instructions, "base")
    assert variables(stage(instructions, "base"))["PYTHONPATH"] == INSTALLED_AT


def test_the_context_is_what_is_copied(instructions: list[tuple[str, str]]) -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied(instructions)) == kept


def group(name: str) -> Iterator[Requirement]:
    """The requirements of a dependency group of pyproject.toml."""
    for entry in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"][name]:
        if isinstance(entry, str):
            yield Requirement(entry)
        else:
            yield from group(entry["include-group"])


def distributions(requirements: Iterator[Requirement]) -> dict[str, importlib.metadata.Distribution]:
    """What pip installs for `requirements`: they and what they depend on."""
    found: dict[str, importlib.metadata.Distribution] = {}
    left = list(requirements)
    while left:
        requirement = left.pop()
        if requirement.name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        found[requirement.name] = importlib.metadata.distribution(requirement.name)
        left += map(Requirement, found[requirement.name].requires or ())
    return found


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the packages of the group that the image installs, and no others."""
    site = tmp_path_factory.mktemp("site")
    for distribution in distributions(group("proxy")).values():
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    return site


def imported(module: str, path: list[Path], directory: Path) -> subprocess.CompletedProcess[str]:
    """The outcome of importing a module with nothing but the standard library and `path`."""
    return subprocess.run(
        [sys.executable, "-S", "-c", f"import {module} as module; print(module.__file__)"],
        env={"PYTHONPATH": os.pathsep.join(map(str, path))},
        cwd=directory,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("module", SERVED)
def test_what_it_copies_runs_with_the_packages_of_its_group(
    module: str, context: Path, packages: Path, tmp_path: Path
) -> None:
    result = imported(module, [context, packages], tmp_path)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()) == context / (module.replace(".", "/") + ".py")
    # Neither is importable by other means.
    assert "No module named 'server'" in imported("server", [packages], tmp_path).stderr
    assert "No module named 'numpy'" in imported("server.__main__", [context], tmp_path).stderr


@pytest.mark.slow
def test_the_copied_sources_serve(context: Path, small_repository: Path, tmp_path: Path) -> None:
    settings = Settings.on_free_ports(small_repository)
    # The variables that the container has; no HOME.
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(context),
        "ADDRESS": "0.0.0.0",
        "HTTP_PORT": str(settings.http_port),
        "GRPC_PORT": str(settings.grpc_port),
        "METRICS_PORT": str(settings.metrics_port),
        "PRECISION": "f32",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "server", "--model-repository", str(small_repository)],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if "ready after" in line:
                    break
            assert "ready after" in "".join(lines)
            assert f"gRPC on 0.0.0.0:{settings.grpc_port}" in lines[-1]
            with Client(f"localhost:{settings.grpc_port}") as client:
                assert client.score(encode(30)).info.frames == 30
            process.send_signal(signal.SIGTERM)  # as `docker stop` does
            process.communicate(timeout=60)
            assert process.returncode == 0
        finally:
            process.kill()

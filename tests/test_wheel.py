"""The wheel: what is in it, and that it works in an environment of its own."""

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from client import __version__
from fixtures.synthetic import encode
from server import Server

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE")
LARGEST_BYTES = 500_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, so that nothing is written into the checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copy(ROOT / name, directory)
    shutil.copytree(ROOT / "client", directory / "client", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", "."]
    built = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (directory / "out").iterdir()
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and what it depends on, and nothing else."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, symlinks=True)
    # This environment's pip, and no compilation of what is never imported: both take seconds.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(directory)]
    command = [*pip, "install", "--quiet", "--no-compile", str(wheel)]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert installed.returncode == 0, installed.stderr
    return directory


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with a video, far from the checkout."""
    (tmp_path / "video.mp4").write_bytes(encode(50))
    return tmp_path


def run(environment: Path, cwd: Path, *command: object) -> subprocess.CompletedProcess[str]:
    program, *arguments = map(str, command)
    return subprocess.run(
        [str(environment / "bin" / program), *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_wheel_is_the_client_alone_and_all_of_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    information = f"video_motion-{__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"video_motion", information}
    files = (file for file in (ROOT / "client").rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    expected = {f"video_motion/{file.relative_to(ROOT / 'client')}" for file in files}
    assert {name for name in names if name.startswith("video_motion/")} == expected
    assert "video_motion/py.typed" in names
    page = {Path(name).suffix for name in names if name.startswith("video_motion/_report/")}
    assert {".html", ".css", ".js"} <= page
    assert [name for name in names if "test" in name.lower()] == []
    assert wheel.stat().st_size < LARGEST_BYTES


@pytest.mark.slow
def test_it_works_from_anywhere_without_the_checkout(environment: Path, elsewhere: Path) -> None:
    version = run(environment, elsewhere, "video-motion", "--version")
    assert version.stdout == f"video-motion {__version__}\n"
    overview = run(environment, elsewhere, "video-motion", "--help")
    assert overview.returncode == 0
    assert all(f"  {command}  " in overview.stdout for command in ("score", "filter", "summary", "report"))
    module = run(environment, elsewhere, "python", "-m", "video_motion.score", "--help")
    assert module.returncode == 0
    assert "usage: python -m video_motion.score" in module.stdout
    needs = run(environment, elsewhere, "video-motion", "report", "scores.parquet")
    assert (needs.returncode, needs.stderr) == (
        1,
        "video-motion report needs pyarrow and av: pip install pyarrow av\n",
    )
    watch = run(environment, elsewhere, "video-motion", "watch", "video.mp4")
    assert watch.returncode == 1
    assert watch.stderr.startswith("video-motion watch needs av and pillow: pip install av pillow (the extra 'watch'")
    scenes = run(environment, elsewhere, "video-motion", "scenes", "video.mp4", "--output", "scenes.csv")
    assert scenes.returncode == 1
    assert scenes.stderr.startswith(
        "video-motion scenes needs scenedetect-headless and opencv-python-headless and av: pip install "
    )
    for command, packages, extra in (("annotate", "pyarrow and av", "report"), ("cut", "pyarrow and av", "cut")):
        needs = run(environment, elsewhere, "video-motion", command, "scores.parquet")
        install = f"pip install {packages.replace(' and', '')} (the extra {extra!r} of the wheel has them)"
        assert (needs.returncode, needs.stderr) == (1, f"video-motion {command} needs {packages}: {install}\n")
    client = run(environment, elsewhere, "python", "-c", "import client")
    assert client.returncode == 1
    assert "No module named 'client'" in client.stderr


def test_it_scores(environment: Path, elsewhere: Path, server: Server) -> None:
    command = run(environment, elsewhere, "video-motion", "score", "video.mp4", "--url", server.url)
    assert command.returncode == 0, command.stderr
    printed = json.loads(command.stdout)
    assert (printed["video"], printed["info"]["frames"]) == ("video.mp4", 50)
    program = (
        "import json, sys; from video_motion import Client\n"
        "with Client(sys.argv[1]) as client: score = client.score('video.mp4')\n"
        "print(json.dumps({'video': score.video, **score.as_dict()}))"
    )
    library = run(environment, elsewhere, "python", "-c", program, server.url)
    assert library.returncode == 0, library.stderr
    assert json.loads(library.stdout) == printed


def test_no_text_says_to_install_the_package_by_its_name() -> None:
    """No package index has it."""
    told = re.compile(r"pip install\b.*video[-_]motion", re.IGNORECASE)
    assert [str(file) for file in (ROOT / "client").rglob("*.py") if told.search(file.read_text())] == []

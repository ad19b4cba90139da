"""A bundle for a machine without network, of stand-ins for the packages: made, split, joined, started offline."""

import ast
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.bundle import __main__ as bundle
from deploy.bundle import repository, start
from deploy.bundle.errors import BundleError
from deploy.bundle.packages import REPLACED, Package, chosen_packages, needed, requirements
from deploy.bundle.pieces import Pieces
from deploy.bundle.target import Target, target

ROOT = Path(__file__).parents[1]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER_PYTHON = "3.12" if PYTHON == "3.11" else "3.11"
MIB = 1 << 20

PYPROJECT = """
[project]
name = "stand-in"
requires-python = ">=3.11,<3.14"
dependencies = ["tritonclient[grpc]>=2"]

[dependency-groups]
video = ["numpy<2"]
proxy = [{ include-group = "video" }]
gpu = ["onnxruntime-gpu[cuda]>=1", "nvidia-dali-cuda130"]
export = ["torch==2.0", "onnxruntime"]
triton = ["nvidia-pytriton==1.0"]
videos = ["scikit-video==1.0"]
"""
TABLE = """
import numpy
print("GPU  skipped  numpy", numpy.VERSION)
"""
WHEELS: dict[str, tuple[str, ...]] = {
    "tritonclient": (
        f"only-on-the-other; python_version == '{OTHER_PYTHON}'",
        "grpcio; extra == 'grpc'",
        "unused; extra == 'http'",
    ),
    "only-on-the-other": (),
    "grpcio": (),
    "unused": (),
    "numpy": (),
    "onnxruntime-gpu": ("nvidia-cudnn-cu13; extra == 'cuda'", "numpy"),
    "onnxruntime": ("numpy",),
    "nvidia-dali-cuda130": ("six",),
    "six": (),
    "torch": ("nvidia-cudnn-cu13", "sympy"),
    "nvidia-cudnn-cu13": (),
    "sympy": (),
    "nvidia-pytriton": ("not-wanted",),
    "scikit-video": ("not-wanted",),
}
VERSIONS = {"tritonclient": "2.0", "torch": "2.0"}


def write_wheel(directory: Path, name: str, version: str, requires: tuple[str, ...]) -> None:
    """A wheel with one module, which has the version."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Provides-Extra: {extra}\n" for extra in ("cuda", "grpc", "http"))
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    with zipfile.ZipFile(directory / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name.replace('-', '_')}.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


def write_pip(directory: Path) -> None:
    """The wheel of this environment's pip."""
    pip = importlib.metadata.distribution("pip")
    with zipfile.ZipFile(directory / f"pip-{pip.version}-py3-none-any.whl", "w") as wheel:
        for file in pip.files or ():
            if not file.parts[0].startswith("..") and file.suffix != ".pyc":
                wheel.write(str(file.locate()), str(file))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("index")
    for name, requires in WHEELS.items():
        write_wheel(directory, name, VERSIONS.get(name, "1.0"), requires)
    write_pip(directory)
    return directory


@pytest.fixture(autouse=True)
def pip_of_the_index(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", "-C", str(directory), *identity, *arguments], check=True, capture_output=True)


def write_project(directory: Path) -> Path:
    """A committed project whose check of the GPU prints the version of numpy, with exported networks."""
    (directory / "bench" / "gpu").mkdir(parents=True)
    (directory / "bench" / "gpu" / "__main__.py").write_text(TABLE)
    (directory / "pyproject.toml").write_text(PYPROJECT)
    shutil.copy(ROOT / ".gitignore", directory)
    networks = directory / "model_repository" / "motion_backbone" / "1"
    networks.mkdir(parents=True)
    (networks.parent / "config.pbtxt").write_text("committed")
    git(directory, "init", "--quiet")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message=all")
    for name in ("model_fp16.onnx", "model.plan", "model_int8.bin", "model.onnx.partial"):
        (networks / name).write_text(name)
    (directory / "model_repository" / "weights.json").write_text("{}")
    (directory / "bench" / "not_committed.py").write_text("")
    return directory


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("project"))


def offline(command: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command without network: in a namespace that has none, if this machine makes one."""
    alone = ["unshare", "--map-root-user", "--net"]
    can = shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "PIP_INDEX_URL": "http://127.0.0.1:9"}
    return subprocess.run(
        [*(alone if can else []), "bash", "-c", command],
        cwd=directory,
        env=environment | {"PYTHON": sys.executable} | variables,
        capture_output=True,
        text=True,
    )


@pytest.mark.heavy
@pytest.mark.slow
def test_a_bundle_in_pieces_is_joined_and_started_without_network(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, there = tmp_path / "bundle", tmp_path / "there"
    output.mkdir()
    for old in ("bundle.tar.0999", "notes.txt"):
        (output / old).write_text("from before")
    assert bundle.main(["--output", str(output), "--piece-mib", "1"], project) == 0
    pieces = sorted(output.glob("bundle.tar.*"))
    assert len(pieces) > 2
    assert [piece.stat().st_size for piece in pieces[:-1]] == [MIB] * (len(pieces) - 1)
    assert {path.name for path in output.iterdir()} == {*(piece.name for piece in pieces), "SHA256SUMS", "notes.txt"}
    how = capsys.readouterr().out.splitlines()[-1].partition("there: ")[2]

    shutil.copytree(output, there)
    done = offline(how, there)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert "start: numpy 1.0" in done.stdout
    assert last.startswith("start: next: cd ")
    assert offline(last.partition("next: ")[2], there).stdout == "GPU  skipped  numpy 1.0\n"

    about = json.loads((there / "bundle.json").read_text())
    packages = {name.partition("-")[0] for name in about["wheels"]}
    assert packages == {
        *("tritonclient", "grpcio", "numpy", "onnxruntime_gpu", "nvidia_cudnn_cu13", "nvidia_dali_cuda130", "six"),
        *("torch", "sympy", "nvidia_pytriton", "scikit_video", "pip"),
    }
    files = {str(path.relative_to(there / "video-motion")) for path in (there / "video-motion").rglob("*")}
    networks = "model_repository/motion_backbone/1"
    assert {"pyproject.toml", f"{networks}/model_fp16.onnx", "model_repository/weights.json"} <= files
    assert not {"bench/not_committed.py", f"{networks}/model.plan", f"{networks}/model_int8.bin"} & files
    assert not [name for name in files if name.endswith(".partial")]
    # What make looks at: it installs nothing there.
    assert {".venv/.ready", ".venv/.gpu"} <= files

    (there / "wheels" / about["wheels"][0]).unlink()
    missing = offline(f"{sys.executable} start.py", there)
    assert missing.returncode == 1
    assert f"1 of {len(about['wheels'])} wheels are missing, such as {about['wheels'][0]}" in missing.stderr


def test_a_damaged_piece_is_noticed(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path, 10)
    pieces.write(b"0123456789abc")
    pieces.write(b"defghij")
    pieces.close()
    assert [path.read_bytes() for path in sorted(tmp_path.glob("bundle.tar.*"))] == [b"0123456789", b"abcdefghij"]
    digest = hashlib.sha256(b"abcdefghij").hexdigest()
    assert f"{digest}  bundle.tar.0001\n" in (tmp_path / "SHA256SUMS").read_text()
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path).returncode == 0
    (tmp_path / "bundle.tar.0001").write_bytes(b"abcdefghi.")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True).returncode == 1


def names(packages: list[Package]) -> set[str]:
    return {package.name for package in packages}


@pytest.mark.heavy
def test_packages_are_those_of_the_other_machine(project: Path) -> None:
    """Its Python, not this one, decides on markers; and its PyTorch brings CUDA's libraries."""
    chosen = names(chosen_packages(project, Target(OTHER_PYTHON, has_pytorch=True)))
    assert chosen == {
        *("tritonclient", "only-on-the-other", "grpcio", "numpy", "onnxruntime-gpu", "nvidia-dali-cuda130", "six")
    }


@pytest.mark.heavy
def test_an_index_of_packages_for_cpus_is_refused(
    project: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(tmp_path, "torch", "2.0+cpu", ())
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path} {index}")
    with pytest.raises(BundleError, match=r"PyTorch 2\.0\+cpu, which has no CUDA: use an index without"):
        chosen_packages(project, Target(PYTHON, has_pytorch=False))


@pytest.mark.heavy
def test_a_package_that_does_not_exist_is_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert bundle.main(["--output", str(tmp_path / "out")], project) == 1
    assert "bundle: pip install failed: Could not find a version that satisfies" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("version", ["3.10", "3", "3.12.1", "three"])
def test_a_python_that_is_not_supported_is_refused(version: str) -> None:
    with pytest.raises(BundleError, match=rf"no bundle for Python {version}: the project supports >=3\.11,<3\.14"):
        target(version, False, ROOT)


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "much"])
def test_a_size_of_pieces_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bundle.main([f"--piece-mib={size}"])
    assert f"{size} is not a whole number of MiB, 1 or more" in capsys.readouterr().err


def test_only_a_checkout_has_committed_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert bundle.main(["--output", str(tmp_path / "out")], tmp_path) == 1
    assert f"{tmp_path} is not a git checkout" in capsys.readouterr().err


def test_a_committed_link_out_of_the_project_is_named_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "project")
    (project / "elsewhere").symlink_to("/nowhere")
    git(project, "add", "elsewhere")
    git(project, "commit", "--quiet", "--message=link")
    monkeypatch.setattr(bundle, "chosen_packages", lambda *_: pytest.fail("packages were looked for"))
    assert bundle.main(["--output", str(tmp_path / "out")], project) == 1
    said = "bundle: a committed file cannot be packed: 'elsewhere' is a link to an absolute path\n"
    assert capsys.readouterr().err == said
    assert list((tmp_path / "out").iterdir()) == []


def test_changes_that_are_not_committed_and_missing_networks_are_known(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    assert not repository.has_changes(project)
    (project / "pyproject.toml").write_text("")
    assert repository.has_changes(project)
    (project / "model_repository" / "weights.json").unlink()
    assert repository.networks(project) == {}


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A bundle for this Python without wheels."""
    shutil.copy(start.__file__, tmp_path / "start.py")
    about = {"python": PYTHON, "pytorch": True, "networks": False, "wheels": []}
    (tmp_path / "bundle.json").write_text(json.dumps(about))
    return tmp_path


def told(directory: Path, about: dict[str, object], **variables: str) -> str:
    """What start.py says before it fails."""
    path = directory / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | about))
    done = offline(f"{sys.executable} start.py", directory, **variables)
    assert done.returncode == 1
    assert not (directory / "video-motion").exists()
    return done.stderr


@pytest.mark.heavy
def test_another_python_is_named(unpacked: Path) -> None:
    wrong = told(unpacked, {"python": "3.99"})
    assert f"for Python 3.99, and {sys.executable} is Python {PYTHON}: set PYTHON to a Python 3.99" in wrong
    missing = told(unpacked, {"python": "3.99"}, PYTHON="python-of-nobody")
    assert "for Python 3.99, and python-of-nobody does not exist" in missing


@pytest.mark.heavy
def test_missing_pytorch_is_named(unpacked: Path) -> None:
    (unpacked / "torch.py").write_text("raise ImportError")
    said = told(unpacked, {"pytorch": False}, PYTHONPATH=str(unpacked))
    assert "this bundle has no PyTorch, and" in said
    assert "set PYTHON to the Python that has it, or make a bundle without HAS_PYTORCH" in said


def test_pytorch_of_the_machine_is_seen_after_the_packages_of_the_bundle(tmp_path: Path) -> None:
    site, environment = tmp_path / "site", tmp_path / "venv"
    (site / "nvidia" / "cudnn" / "lib").mkdir(parents=True)
    (site / "nvidia" / "cu13" / "lib").mkdir(parents=True)
    for library in ("libcublas.so.13", "libnvjpeg.so.13"):
        (site / "nvidia" / "cu13" / "lib" / library).write_text("the machine's")
    (site / "torch.py").write_text("")
    (site / "numpy.py").write_text("whose = 'the machine'")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    own = environment / "lib" / f"python{PYTHON}" / "site-packages"
    (own / "nvidia" / "dali").mkdir(parents=True)
    (own / "nvidia" / "__init__.py").write_text("")
    (own / "nvidia" / "cu13" / "lib").mkdir(parents=True)
    (own / "nvidia" / "cu13" / "lib" / "libnvjpeg.so.13").write_text("the bundle's")
    (own / "numpy.py").write_text("whose = 'the bundle'")
    python = str(environment / "bin" / "python")
    start.share_pytorch(python, site)
    found = subprocess.check_output([python, "-c", "import torch, numpy, nvidia.dali; print(numpy.whose)"], text=True)
    assert found == "the bundle\n"
    # Where ONNX Runtime looks.
    assert (own / "nvidia" / "cudnn" / "lib").is_dir()
    assert (own / "nvidia" / "cu13" / "lib" / "libcublas.so.13").read_text() == "the machine's"
    assert (own / "nvidia" / "cu13" / "lib" / "libnvjpeg.so.13").read_text() == "the bundle's"


@pytest.mark.parametrize(
    ("of_pytorch", "said"),
    [("13.2", ""), ("12.8", "needs CUDA 13.0, and PyTorch's is 12.8"), (None, "and this PyTorch has none")],
)
def test_pytorch_of_another_cuda_is_named(
    of_pytorch: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "onnxruntime" / "capi").mkdir(parents=True)
    (tmp_path / "onnxruntime" / "__init__.py").write_text("")
    (tmp_path / "onnxruntime" / "capi" / "build_and_package_info.py").write_text("cuda_version = '13.0'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    start.compare_cuda(sys.executable, of_pytorch)
    found = capsys.readouterr().out
    assert said in found
    assert bool(found) == bool(said)


def test_pytorch_is_found_where_this_python_imports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text("cuda = '13.0'")
    (tmp_path / "torch" / "__init__.py").write_text("from torch import version")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert start.find_pytorch() == (tmp_path, "13.0")


def test_make_passes_its_variables_on() -> None:
    variables = ["PYTHON_VERSION=3.12", "PIECE_MIB=44", "HAS_PYTORCH=1", "OUTPUT=there"]
    shown = subprocess.check_output(["make", "--dry-run", "gpu-bundle", *variables], cwd=ROOT, text=True)
    command = " ".join(shown.replace("\\\n", " ").split())
    assert "-m deploy.bundle --python-version 3.12 --piece-mib 44 --has-pytorch --output there" in command
    plain = subprocess.check_output(["make", "--dry-run", "gpu-bundle"], cwd=ROOT, text=True)
    assert "--" not in plain.partition("-m deploy.bundle")[2]


STARTS = (
    *("bench/gpu/__main__.py", "export/__main__.py", "server/__main__.py", "server/launcher.py", "video/worker.py"),
    *("video/stub_start.py", "backends/dali/model.py", "backends/onnxruntime/model.py"),
    *(
        "model_repository/video_sampling/1/model.py",
        "model_repository/video_decode/1/decode.py",
        "model_repository/video_decode_nvdec/1/dali.py",
    ),
)
OF_TRITON = {"triton_python_backend_utils"}


def imports(starts: tuple[str, ...]) -> set[str]:
    """Names of what the files, and the modules of the project that they import, import from elsewhere when loaded."""
    waiting, seen, outside = [ROOT / start for start in starts], set(), set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = list(path.relative_to(ROOT).parent.parts) if node.level else []
                base = base[: len(base) - node.level + 1] if node.level else base
                stem = ".".join([*base, *([node.module] if node.module else [])])
                modules = [stem, *(f"{stem}.{alias.name}" for alias in node.names)]
            else:
                continue
            for module in modules:
                inside = ROOT.joinpath(*module.split("."))
                files = [inside.with_suffix(".py"), inside / "__init__.py"]
                waiting += [file for file in files if file.is_file()]
                if not (ROOT / module.split(".")[0]).is_dir():
                    outside.add(module.split(".")[0])
    return outside


@pytest.mark.heavy
def test_what_the_gpu_profile_imports_is_in_the_bundle() -> None:
    installed: dict[str, Package] = {}
    for distribution in importlib.metadata.distributions():
        name = canonicalize_name(distribution.name)
        installed[name] = Package(name, distribution.version, tuple(map(Requirement, distribution.requires or ())))
    for replaced, other in REPLACED.items():
        installed[other] = installed[replaced]
    found, _ = needed(requirements(ROOT), installed, Target(PYTHON, has_pytorch=False).environment())
    where = importlib.metadata.packages_distributions()
    outside = imports(STARTS) - sys.stdlib_module_names - OF_TRITON - {"nvidia"}
    assert {"numpy", "av", "torch", "onnxruntime", "tritonclient"} <= outside
    assert [name for name in outside if not {canonicalize_name(other) for other in where.get(name, ())} & found] == []

"""Makes the virtual environment video-motion/.venv from the wheels beside this file, without network.

    python3 start.py

It needs Python, nothing else. The environment variable PYTHON names the one to use, if it is not the first in PATH. A
bundle without PyTorch needs the Python that imports PyTorch.
"""

from __future__ import annotations  # the first Python that runs this may be an old one

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE / "video-motion"
VENV = PROJECT / ".venv"
IS_CHOSEN = "VIDEO_MOTION_PYTHON_IS_CHOSEN"
"""Set in the process that this script was started in again, by another Python."""
PYTORCH = """
import json, os, torch
print(json.dumps([os.path.dirname(os.path.dirname(os.path.abspath(torch.__file__))), torch.version.cuda]))
"""
CUDA_OF_ONNXRUNTIME = "from onnxruntime.capi.build_and_package_info import cuda_version; print(cuda_version)"
WHAT_IS_THERE = """
import importlib.metadata, shutil, subprocess
for name in ("numpy", "av", "onnxruntime-gpu", "nvidia-dali-cuda130", "torch", "transformers"):
    try:
        print("start:", name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print("start:", name, "is missing")
if shutil.which("nvidia-smi") is None:
    print("start: no NVIDIA GPU: nvidia-smi is not installed")
else:
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    print("start: GPU", (done.stdout + done.stderr).strip().replace("\\n", "; "))
"""


def main() -> None:
    """Make the environment, say what is in it, and what to run next."""
    bundle = json.loads((HERE / "bundle.json").read_text())
    use_python(bundle["python"])
    check_wheels(bundle["wheels"])
    site, cuda = (None, None) if bundle["pytorch"] else find_pytorch()
    print(f"start: installing {len(bundle['wheels'])} packages into {VENV}", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    # Without pip, which Debian ships apart: the bundle has one.
    run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], "the module venv failed")
    python = str(VENV / "bin" / "python")
    install(python, bundle["wheels"])
    if site is not None:
        share_pytorch(python, site)
        compare_cuda(python, cuda)
    for stamp in (".ready", ".gpu"):  # with these, `make serve` and `make gpu-check` install nothing
        (VENV / stamp).touch()
    run([python, "-c", WHAT_IS_THERE], "the new environment does not run")
    if not bundle["networks"]:
        print("start: there are no networks to serve; the check of the GPU makes its own")
    print(f"start: next: cd {PROJECT} && .venv/bin/python -m bench.gpu")


def use_python(version: str) -> None:
    """Go on in a Python of this version: PYTHON, this one, or another in PATH."""
    asked = os.environ.get("PYTHON")
    this = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if this == version and (asked is None or IS_CHOSEN in os.environ):
        return
    found = shutil.which(asked or f"python{version}")
    if found is None or IS_CHOSEN in os.environ:
        has = f"{asked} does not exist" if asked and found is None else f"{sys.executable} is Python {this}"
        fail(f"the wheels of this bundle are for Python {version}, and {has}: set PYTHON to a Python {version}")
    assert found is not None
    os.environ[IS_CHOSEN] = "1"
    os.execv(found, [found, __file__])


def check_wheels(names: list[str]) -> None:
    """Whether every wheel is there."""
    missing = [name for name in names if not (HERE / "wheels" / name).is_file()]
    if missing:
        fail(f"{len(missing)} of {len(names)} wheels are missing, such as {missing[0]}: unpack the whole bundle again")


def find_pytorch() -> tuple[Path, str | None]:
    """The directory that holds this Python's PyTorch, and its version of CUDA; None if it has none."""
    done = subprocess.run([sys.executable, "-c", PYTORCH], capture_output=True, text=True)
    if done.returncode:
        instead = "set PYTHON to the Python that has it, or make a bundle without HAS_PYTORCH"
        fail(f"this bundle has no PyTorch, and {sys.executable} cannot import torch: {instead}")
    site, cuda = json.loads(done.stdout.splitlines()[-1])
    return Path(site), cuda


def install(python: str, names: list[str]) -> None:
    """Install the wheels with the bundle's pip, as they are: they were chosen together."""
    wheels = [str(HERE / "wheels" / name) for name in names]
    pip = next(wheel for wheel in wheels if Path(wheel).name.startswith("pip-"))
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    variables.update(PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1")
    command = [python, f"{pip}/pip", "install", "--quiet", "--no-deps", "--no-compile", "--no-cache-dir", *wheels]
    run(command, "pip failed", variables)


def share_pytorch(python: str, site: Path) -> None:
    """Let the environment see the machine's packages after its own, which has another numpy."""
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(subprocess.check_output([python, "-c", purelib], text=True).strip())
    (own / "machine.pth").write_text(f"{site}\n")
    # ONNX Runtime looks for CUDA's libraries only in its own environment, where DALI has put others beside them.
    if (site / "nvidia").is_dir():
        (own / "nvidia").mkdir(exist_ok=True)
        link_missing(site / "nvidia", own / "nvidia")


def link_missing(source: Path, target: Path) -> None:
    """Links in the folder `target`, and in folders that both have, to what only `source` has."""
    for entry in source.iterdir():
        place = target / entry.name
        if not place.exists():
            place.symlink_to(entry)
        elif entry.is_dir() and not place.is_symlink():
            link_missing(entry, place)


def compare_cuda(python: str, cuda: str | None) -> None:
    """Say so if the machine's PyTorch does not have the CUDA that ONNX Runtime needs."""
    done = subprocess.run([python, "-c", CUDA_OF_ONNXRUNTIME], capture_output=True, text=True)
    needed = done.stdout.strip()
    if done.returncode == 0 and needed.partition(".")[0] != (cuda or "none").partition(".")[0]:
        has = f"PyTorch's is {cuda}" if cuda else "this PyTorch has none"
        instead = "the networks cannot run on the GPU; use a bundle made without HAS_PYTORCH"
        print(f"start: ONNX Runtime needs CUDA {needed}, and {has}: {instead}")


def run(command: list[str], otherwise: str, variables: dict[str, str] | None = None) -> None:
    """Run a command that shows its own errors."""
    if subprocess.run(command, env=variables).returncode:
        fail(otherwise)


def fail(why: str) -> None:
    """Stop with one sentence."""
    sys.exit(f"start: {why}")


if __name__ == "__main__":
    main()

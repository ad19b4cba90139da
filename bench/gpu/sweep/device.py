"""The GPU of a sweep: its name, its driver and how many NVDECs it has."""

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from bench.gpu.steps import Skipped

NVDECS = {"A100": 5, "H100": 7, "H200": 7}
"""Engines by GPU. A100: NVIDIA's guide to MIG (5 in the profile of the whole GPU). H100, H200: their data sheets."""


@dataclass(frozen=True)
class Device:
    """The GPU that is measured: the first of CUDA_VISIBLE_DEVICES, or of the machine."""

    name: str
    """As the driver calls it, such as `NVIDIA H100 80GB HBM3`."""
    driver: str
    nvdecs: int
    """Engines that decode videos."""
    id: str = "0"
    """Its index or UUID, for nvidia-smi and CUDA."""

    @property
    def config_name(self) -> str:
        """What its configuration is called: the name in lower case, all but letters and digits as hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


def use_alone(device: Device) -> None:
    """Let this process and its children see only this GPU, by the index that nvidia-smi uses."""
    os.environ |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": device.id}


def find_device(nvdecs: int | None = None) -> Device:
    """The GPU; `Skipped` if there is none, or nothing says how many engines it has, not even `nvdecs`.

    Without `nvdecs`, the driver is asked through PyNvVideoCodec if that is installed, else the table decides.
    """
    if shutil.which("nvidia-smi") is None:
        raise Skipped("no NVIDIA GPU: nvidia-smi is not installed")
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0] or "0"
    query = ["nvidia-smi", f"--id={gpu}", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    run = subprocess.run(query, capture_output=True, text=True)
    if run.returncode:
        raise Skipped(f"no NVIDIA GPU: {(run.stdout + run.stderr).strip()}")
    name, _, driver = run.stdout.splitlines()[0].rpartition(", ")
    engines = nvdecs or _of_driver() or _of_table(name)
    if engines is None:
        raise Skipped(f"nothing says how many NVDECs {name} has: install pynvvideocodec, or give --nvdecs")
    return Device(name, driver, engines, gpu)


def _of_table(name: str) -> int | None:
    return next((engines for model, engines in NVDECS.items() if re.search(rf"\b{model}\b", name)), None)


def _of_driver() -> int | None:
    """What the driver says; None without PyNvVideoCodec."""
    if importlib.util.find_spec("PyNvVideoCodec") is None:
        return None
    try:
        codec = importlib.import_module("PyNvVideoCodec")  # which looks for the driver's libraries, NVENC's too
        return int(codec.GetDecoderCaps()["num_decoder_engines"])  # of its defaults: GPU 0, H.264, 8-bit 4:2:0
    except (RuntimeError, ImportError) as error:
        why = str(error).partition("\n")[0]
        raise Skipped(
            f"PyNvVideoCodec cannot ask the driver how many NVDECs there are, give --nvdecs: {why}"
        ) from error

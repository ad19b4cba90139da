"""What is looked at before a server is started, so that what is wrong is said in one sentence."""

import json
import os
import socket
import ssl
from pathlib import Path

from server.proxy import Tls
from video.shared_memory import DIRECTORY as SHARED_MEMORY

SHARED_MEMORY_BYTES = 1 << 30
"""The clips of the largest videos, three at once: 64 of 2.4 MB each, twice (out of the decoder and into a network); and
the videos."""

NETWORKS = ("motion_backbone", "motion_head", "camera_classifier")


def problems(
    model_repository: Path,
    address: str,
    ports: dict[str, int],
    profile: str = "cpu",
    precision: str = "auto",
    tls: Tls | None = None,
) -> list[str]:
    """Why a server cannot start, a sentence each; none where it can."""
    return [*_repository(model_repository, profile, precision), *_ports(address, ports), *_shared_memory(), *_tls(tls)]


def _repository(model_repository: Path, profile: str, precision: str) -> list[str]:
    if not (model_repository / "video_motion" / "config.pbtxt").is_file():
        return [f"{model_repository} is not a model repository of this project: it has no video_motion"]
    manifest = model_repository / "weights.json"
    missing = [name for name in NETWORKS if not list((model_repository / name).glob("[0-9]*/model.*"))]
    if not manifest.is_file() or missing:
        return [f"{model_repository} has no networks yet: run `make export` first"]
    try:
        json.loads(manifest.read_text())
    except ValueError:
        return [f"{manifest} is damaged: run `make export` again"]
    if profile == "gpu" and not list(model_repository.glob("*/1/model_fp16.onnx")):
        return [f"{model_repository} has no fp16 networks, for the GPU: run `make export` without --target cpu"]
    if profile == "cpu" and precision == "int8" and not list(model_repository.glob("*/1/model_int8.xml")):
        return [f"PRECISION is int8, and {model_repository} has no 8-bit networks: export with --int8"]
    return []


def _ports(address: str, ports: dict[str, int]) -> list[str]:
    found = []
    for variable, port in ports.items():
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                reason = "is taken" if error.errno == 98 else f"cannot be used: {error.strerror}"
                found.append(f"port {port} {reason}; choose another with {variable}=...")
    return found


def _tls(tls: Tls | None) -> list[str]:
    if tls is None:
        return []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")  # or OpenSSL asks for one
    except (OSError, ValueError) as error:
        return [f"{tls.certificate} and {tls.key} cannot be used: {_said(error)}"]
    try:
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
    except (OSError, ValueError) as error:
        return [f"{tls.client_ca} cannot be used: {_said(error)}"]
    return []


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return {"KEY_VALUES_MISMATCH": "the key is another certificate's"}.get(error.reason, "it is no such PEM file")
    return getattr(error, "strerror", None) or str(error)


def _shared_memory() -> list[str]:
    try:
        status = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        return [f"{SHARED_MEMORY} cannot be used: {error.strerror}"]
    free = status.f_bavail * status.f_frsize
    if free < SHARED_MEMORY_BYTES:
        mebibytes = f"{free >> 20} MiB free, {SHARED_MEMORY_BYTES >> 20} MiB are needed"
        return [f"{SHARED_MEMORY} is too small: {mebibytes} (in Docker: --shm-size=2g)"]
    return []

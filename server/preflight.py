"""Checks before a server is started, so that each problem is reported in one sentence."""

import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from backends.streams import stream_count
from server.heads import other_encoders
from server.ports import family
from server.tls import ServerTls
from video.cgroup import usable_cores
from video.shared_memory import DIRECTORY as SHARED_MEMORY

SHARED_MEMORY_BYTES = 1 << 30
"""Room for three of the largest videos at once: 64 clips of 2.4 MB each, twice where Triton copies them (out of the
decoder and into a network), and the files."""

NETWORKS = ("motion_backbone", "motion_head", "camera_classifier")
OPTIONAL = ("frames", "text", "actions", "autoencoder")
"""Keys of `weights.json` with the networks that need not be there."""


def problems(
    model_repository: Path,
    address: str,
    ports: dict[str, int],
    profile: str = "cpu",
    precision: str = "auto",
    tls: ServerTls | None = None,
) -> list[str]:
    """Why a server cannot start, one sentence per reason; empty if it can."""
    found = [*_repository(model_repository, profile, precision), *_ports(address, ports), *_shared_memory(), *_tls(tls)]
    return [*found, *_streams()] if profile == "cpu" else found


def _repository(model_repository: Path, profile: str, precision: str) -> list[str]:
    if not (model_repository / "video_motion" / "config.pbtxt").is_file():
        return [f"{model_repository} is not a model repository of this project: it does not contain video_motion"]
    manifest = model_repository / "weights.json"
    nothing = f"{model_repository} has no networks yet: run `make export` first"
    if not manifest.is_file() or any(_lacks(model_repository, name, "model.*") for name in NETWORKS):
        return [nothing]
    try:
        content = json.loads(manifest.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict) or not all(isinstance(content.get(key, {}), dict) for key in (*OPTIONAL, "int8")):
        return [f"{manifest} is damaged: run `make export` again"]
    if "motion" not in content or "camera" not in content:
        return [nothing]
    if profile == "gpu" and not list(model_repository.glob("*/1/model_fp16.onnx")):
        return [f"{model_repository} has no fp16 networks for the GPU: run `make export` without TARGET=cpu"]
    if profile == "cpu" and precision == "int8" and not list(model_repository.glob("*/1/model_int8.xml")):
        return [f"PRECISION is int8, but {model_repository} has no 8-bit networks: export with --int8"]
    return _optional(model_repository, content, profile, precision)


def _optional(model_repository: Path, manifest: dict[str, Any], profile: str, precision: str) -> list[str]:
    """Problems of the optional networks, which may have been exported for another profile than the first two."""
    found = [f"{sentence}: train it again, or --remove it" for sentence in other_encoders(manifest)]
    if "text" in manifest and _lacks(model_repository, "text_embedding", "tokenizer.json"):
        found.append(f"{model_repository} has no text_embedding, which weights.json names: export it again (--text)")
    for key in OPTIONAL:
        model = manifest.get(key, {}).get("model")
        if model is None:
            continue
        if _lacks(model_repository, model, "model.*"):
            found.append(f"{model_repository} has no {model}, which weights.json names: export it again (--{key})")
        elif profile == "gpu" and _lacks(model_repository, model, "model_fp16.onnx"):
            found.append(f"{model} has no fp16 network for the GPU: export it again (--{key}) without --target cpu")
        elif key in ("text", "autoencoder"):  # these have no 8-bit form
            continue
        elif profile == "cpu" and precision == "int8" and _lacks(model_repository, model, "model_int8.xml"):
            found.append(f"PRECISION is int8, but {model} has no 8-bit network: export it again (--{key}) with --int8")
    return found


def _lacks(model_repository: Path, model: str, file: str) -> bool:
    return not list((model_repository / model).glob(f"[0-9]*/{file}"))


def _ports(address: str, ports: dict[str, int]) -> list[str]:
    found = []
    for variable, port in ports.items():
        with socket.socket(family(address)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                reason = "is taken" if error.errno == 98 else f"cannot be used: {error.strerror}"
                found.append(f"port {port} {reason}; choose another with {variable}=...")
    return found


def _tls(tls: ServerTls | None) -> list[str]:
    if tls is None:
        return []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password="")  # without it, OpenSSL prompts for one
    except (OSError, ValueError) as error:
        return [f"{tls.certificate} and {tls.key} cannot be used: {_reason(error)}"]
    try:
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
    except (OSError, ValueError) as error:
        return [f"{tls.client_ca} cannot be used: {_reason(error)}"]
    return []


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        return "the key does not belong to the certificate" if mismatch else "not a valid PEM file"
    return getattr(error, "strerror", None) or str(error)


def _streams() -> list[str]:
    try:
        stream_count(os.environ.get("STREAMS") or "auto", usable_cores())
    except ValueError as error:
        return [str(error)]
    return []


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

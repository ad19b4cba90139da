"""How to start a server, in code or by environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.errors import ServerFailed
from server.ports import LOOPBACK, free_ports
from server.tls import ServerTls

MAX_SECONDS = 86400


@dataclass(frozen=True)
class Settings:
    """How to start a server."""

    model_repository: Path
    """The directory that holds the models."""
    address: str = LOOPBACK
    """The address that it listens on."""
    http_port: int = 8000
    grpc_port: int = 8001
    metrics_port: int = 8002
    ready_timeout_seconds: float = 300.0
    """How long it may take to load all models."""
    idle_timeout_seconds: float = 30.0
    """How long its processes may be idle while it loads them."""
    stop_timeout_seconds: float = 20.0
    """How long requests in flight may take when it is asked to stop."""
    max_connection_age_seconds: float | None = None
    """When a gRPC connection takes no more calls, so that its caller makes another one; None: never."""
    tls: ServerTls | None = None
    """How gRPC is encrypted; HTTP is never encrypted, and with TLS it listens on the loopback interface only."""
    precision: str = "auto"
    """`auto`, `f32`, `bf16` or `int8`: what the networks of the cpu profile compute in."""
    max_int8_error: float | None = None
    """The largest stated error of 8-bit networks that `auto` may choose; None: `backends.precision.MAX_INT8_ERROR`."""
    proxy: bool = True
    """Whether gRPC calls pass the proxy (`server.proxy`); otherwise tritonserver itself listens on the gRPC port."""
    open_video_decode: bool = False
    """Whether the proxy lets callers without the server's key call `video_decode`."""

    @classmethod
    def on_free_ports(cls, model_repository: Path, **others: Any) -> "Settings":
        """Settings with free ports, to run a server beside others."""
        http, grpc, metrics = free_ports(LOOPBACK, 3)
        return cls(model_repository, http_port=http, grpc_port=grpc, metrics_port=metrics, **others)

    @classmethod
    def from_environment(cls, model_repository: Path, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings that the variables of `python -m server --help` give.

        An empty variable is one that is not set. Raises `ServerFailed` that names a variable with a wrong value.
        """
        return cls(
            model_repository,
            address=environment.get("ADDRESS") or LOOPBACK,
            http_port=_port(environment, "HTTP_PORT", cls.http_port),
            grpc_port=_port(environment, "GRPC_PORT", cls.grpc_port),
            metrics_port=_port(environment, "METRICS_PORT", cls.metrics_port),
            tls=_tls(environment),
            precision=environment.get("PRECISION") or cls.precision,
            max_int8_error=max_int8_error(environment),
            proxy=_switch(environment, "GATE", cls.proxy),
            stop_timeout_seconds=_seconds(environment, "STOP_TIMEOUT_SECONDS") or cls.stop_timeout_seconds,
            max_connection_age_seconds=_seconds(environment, "MAX_CONNECTION_AGE_SECONDS"),
            open_video_decode=_switch(environment, "OPEN_VIDEO_DECODE", cls.open_video_decode),
        )


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ServerFailed(f"{name} is {text!r}, it must be a port from 1 to 65535")
    return int(text)


def max_int8_error(environment: Mapping[str, str] = os.environ) -> float | None:
    """The variable MAX_INT8_ERROR; None if it is not set, `ServerFailed` if it is not a share."""
    text = environment.get("MAX_INT8_ERROR")
    if not text:
        return None
    try:
        bound = float(text)
    except ValueError:
        bound = -1.0
    if not 0 <= bound <= 1:
        raise ServerFailed(f"MAX_INT8_ERROR is {text!r}, it must be a number from 0 to 1")
    return bound


def _seconds(environment: Mapping[str, str], name: str) -> float | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.isdigit() or not 0 < int(text) <= MAX_SECONDS:
        raise ServerFailed(f"{name} is {text!r}, it must be a whole number of seconds from 1 to {MAX_SECONDS}")
    return float(text)


def _switch(environment: Mapping[str, str], name: str, default: bool) -> bool:
    text = environment.get(name) or ("on" if default else "off")
    if text not in ("on", "off"):
        raise ServerFailed(f"{name} is {text!r}, it must be on or off")
    return text == "on"


def _tls(environment: Mapping[str, str]) -> ServerTls | None:
    certificate, key, client_ca = (
        Path(path) if (path := environment.get(name)) else None
        for name in ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA")
    )
    if certificate and key:
        return ServerTls(certificate, key, client_ca)
    if certificate or key or client_ca:
        raise ServerFailed("TLS needs both TLS_CERTIFICATE and TLS_KEY; TLS_CLIENT_CA works only with them")
    return None

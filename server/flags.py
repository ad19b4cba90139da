"""The flags that tritonserver is started with."""

import os
import shlex
from dataclasses import dataclass

from server.ports import LOOPBACK, free_ports, in_url
from server.settings import Settings
from video.cpu_share import CALL
from video.shared_clips import MARK
from video.shared_videos import MARK as VIDEO

CLOSED = ("model-repository", "shared-memory", "trace", "logging")
"""APIs that need the server's key; all others change nothing that another caller would notice."""
CLOSED_IN_HTTP = ("inference", *CLOSED)
"""A request over HTTP would bypass the proxy and, as HTTP is not encrypted, TLS."""
KEY_NAME = "video-motion-key"
GRPC_KEY_NAME = f"triton-grpc-protocol-{KEY_NAME}"
"""The name of the key in gRPC's metadata; KEY_NAME is that of the HTTP header."""
BACKENDS_FROM_PIP = ("python", "openvino", "onnxruntime", "dali")
"""Those that run in stubs of the python backend if Triton comes from pip."""
FORWARD = "--grpc-header-forward-pattern"
"""The flag that says which metadata becomes parameters of a request."""
STUB_TIMEOUT_SECONDS = 60
"""How long a stub may take to start, which takes a moment; loading its model is not counted."""


@dataclass(frozen=True)
class Endpoints:
    """Where tritonserver itself listens."""

    http_port: int
    """On the loopback interface, behind `server.http_api`."""
    grpc_address: str
    grpc_port: int
    metrics_port: int
    """On the loopback interface."""

    @classmethod
    def choose(cls, settings: Settings) -> "Endpoints":
        """Free ports of the loopback interface, unless callers reach tritonserver itself there."""
        taken_soon = (settings.grpc_port, settings.http_port, settings.metrics_port)
        grpc_port, metrics_port, http_port = free_ports(LOOPBACK, 3, taken_soon)
        return cls(
            http_port=http_port,
            grpc_address=LOOPBACK if settings.proxy else settings.address,
            grpc_port=grpc_port if settings.proxy else settings.grpc_port,
            metrics_port=metrics_port,
        )

    @property
    def http_url(self) -> str:
        """The URL of tritonserver's own HTTP API, without a path."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def grpc(self) -> str:
        """ADDRESS:PORT of gRPC."""
        return f"{in_url(self.grpc_address)}:{self.grpc_port}"

    @property
    def http(self) -> tuple[str, int]:
        """Address and port of tritonserver's own HTTP API."""
        return LOOPBACK, self.http_port

    @property
    def metrics(self) -> tuple[str, int]:
        """Address and port of tritonserver's own metrics."""
        return LOOPBACK, self.metrics_port


def triton_flags(
    settings: Settings, endpoints: Endpoints, key: str, shared_memory_prefix: str, *, from_pip: bool
) -> list[str]:
    """The flags for tritonserver; those in TRITON_FLAGS come last, and win.

    `key` opens the closed APIs; the names of shared memory begin with `shared_memory_prefix`, so that what a killed
    server leaves can be removed.
    """
    flags = [
        f"--model-repository={settings.model_repository}",
        f"--http-address={LOOPBACK}",
        f"--http-port={endpoints.http_port}",
        f"--grpc-address={in_url(endpoints.grpc_address)}",
        f"--grpc-port={endpoints.grpc_port}",
        f"--metrics-address={LOOPBACK}",
        f"--metrics-port={endpoints.metrics_port}",
        f"--exit-timeout-secs={settings.stop_timeout_seconds:.0f}",
        # All models load at the start; the supervisor can load one again.
        "--model-control-mode=explicit",
        "--load-model=*",
        f"--http-restricted-api={','.join(CLOSED_IN_HTTP)}:{KEY_NAME}={key}",
        f"--grpc-restricted-protocol={','.join(CLOSED)}:{KEY_NAME}={key}",
    ]
    if settings.proxy:
        flags.append(f"{FORWARD}=^({CALL}|{MARK}|{VIDEO})$")
    else:
        flags += _tls_flags(settings)
        if settings.max_connection_age_seconds is not None:
            flags.append(f"--grpc-max-connection-age={round(settings.max_connection_age_seconds * 1000)}")
    for backend in BACKENDS_FROM_PIP if from_pip else ("python",):
        flags.append(f"--backend-config={backend},shm-region-prefix-name={shared_memory_prefix}{backend}")
        flags.append(f"--backend-config={backend},stub-timeout-seconds={STUB_TIMEOUT_SECONDS}")
    return flags + own_flags()


def own_flags() -> list[str]:
    """The user's flags, in TRITON_FLAGS."""
    return shlex.split(os.environ.get("TRITON_FLAGS", ""))


def forwards_marks() -> bool:
    """Whether the metadata that only the proxy sets certainly reaches the models: not if the user chose which does."""
    return not any(flag.split("=")[0] == FORWARD for flag in own_flags())


def _tls_flags(settings: Settings) -> list[str]:
    """Triton's own TLS; with the proxy, TLS ends there instead."""
    tls = settings.tls
    if tls is None:
        return []
    flags = [f"--grpc-server-cert={tls.certificate}", f"--grpc-server-key={tls.key}"]
    if tls.client_ca is None:
        return ["--grpc-use-ssl=true", *flags]
    return ["--grpc-use-ssl-mutual=true", *flags, f"--grpc-root-cert={tls.client_ca}"]

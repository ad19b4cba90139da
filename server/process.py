"""A tritonserver as a child process that is ready or says why not, and leaves nothing behind."""

import contextlib
import ctypes
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from server.installation import Triton, find_triton, precision_environment
from server.key import write_key
from server.metrics import Counts, MetricsEndpoint
from server.preflight import problems
from server.processes import Progress, descendants, model_of
from server.proxy import MAX_IN_FLIGHT, MAX_PER_CALLER, Proxy, Tls
from video.malloc_trim import OWN_PAGES
from video.shared_memory import DIRECTORY as SHARED_MEMORY

LOG_LINES = 400
LOOPBACK = "127.0.0.1"
MAX_PORTS_LOST = 3
SHARED_MEMORY_PREFIX = "video_motion_"
PR_SET_PDEATHSIG = 1
SIG_IGN = 1
# Looked up here: after a fork beside threads, little may be done.
PRCTL, SIGNAL = ctypes.CDLL(None).prctl, ctypes.CDLL(None).signal
STUB_TIMEOUT_SECONDS = 60
"""For a process of the python backend to come up, which takes a moment; loading its model is not in it."""
NO_GPU = ("NVML", "CUDA", "CudaDriverHelper")
CLOSED = ("model-repository", "shared-memory", "trace", "logging")
"""APIs for whoever has the server's key: the rest of them change nothing that another caller would notice."""
CLOSED_IN_HTTP = ("inference", *CLOSED)
"""Over HTTP a request would pass the proxy: its queue, its turns, and what it keeps from Triton."""
KEY_NAME = "video-motion-key"
GRPC_KEY_NAME = f"triton-grpc-protocol-{KEY_NAME}"
"""The name of the key in gRPC's metadata."""
BACKENDS_FROM_PIP = ("python", "openvino", "onnxruntime", "dali")


class ServerFailed(Exception):
    """The server did not become ready; the message says why."""


@dataclass(frozen=True)
class Settings:
    """How to start a server."""

    model_repository: Path
    """The directory that holds the six models."""
    address: str = "127.0.0.1"
    """The address that it listens on."""
    http_port: int = 8000
    grpc_port: int = 8001
    metrics_port: int = 8002
    ready_timeout_seconds: float = 300.0
    """How long it may take to load everything."""
    idle_timeout_seconds: float = 30.0
    """How long nothing may happen meanwhile."""
    stop_timeout_seconds: float = 20.0
    """How long requests under way may take when it is asked to stop."""
    tls: Tls | None = None
    """How gRPC is encrypted; HTTP, which is not, then listens on this machine only."""
    precision: str = "auto"
    """`auto`, `f32`, `bf16` or `int8`: what the networks of the cpu profile compute in."""

    @classmethod
    def on_free_ports(cls, model_repository: Path, **others: Any) -> "Settings":
        """Settings with ports that nobody listens on, for a server beside others."""
        http, grpc, metrics = _free_ports(cls.address, 3)
        return cls(model_repository, http_port=http, grpc_port=grpc, metrics_port=metrics, **others)


class Server:
    """A running tritonserver."""

    def __init__(self, settings: Settings, triton: Triton, counts: Counts | None = None) -> None:
        self.settings = settings
        self.counts = counts or Counts()
        self.profile = triton.profile()
        self.notice = triton.notice()
        self.url = f"{_in_url(settings.address)}:{settings.grpc_port}"
        self.key = secrets.token_urlsafe(32)
        """What the APIs in `CLOSED` ask for."""
        self.key_file = write_key(self.key, settings.grpc_port)
        """Where it is written, for this user."""
        http_address = settings.address if settings.tls is None else LOOPBACK
        self.http_url = f"http://{_in_url(http_address)}:{settings.http_port}"
        self._http_address = http_address
        self._export = self._export_there()
        self._prefix = f"{SHARED_MEMORY_PREFIX}{os.getpid()}_{time.monotonic_ns()}_"
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._show_log = False
        self._triton = triton
        self._choose_ports()
        precision = precision_environment(self.profile, settings.precision)
        self._environment = os.environ | OWN_PAGES | triton.environment | precision
        self._start()
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            self._metrics = MetricsEndpoint(
                settings.address, settings.metrics_port, lambda: self._triton_metrics_url, self.counts
            )
            stack.callback(self._metrics.close)
            # Last: starting a process beside gRPC's threads is delicate.
            max_per_caller = MAX_PER_CALLER if self.profile == "cpu" else MAX_IN_FLIGHT
            self.proxy = Proxy(settings.address, settings.grpc_port, self._triton_url, settings.tls, max_per_caller)
            stack.pop_all()
        self.counts.watch(self.proxy.queue)

    def _choose_ports(self) -> None:
        """Choose where Triton itself listens for the proxy and for whoever collects metrics: on this machine only."""
        port, metrics_port = _free_ports(LOOPBACK, 2)
        self._triton_url = f"{LOOPBACK}:{port}"
        self._triton_metrics_url = f"http://{LOOPBACK}:{metrics_port}/metrics"
        arguments = self._arguments(port, metrics_port, from_pip=self._triton.backend_directory is not None)
        self._command = self._triton.command(arguments, self.profile)

    def _start(self) -> None:
        self.process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the parent, which ends the server in order
            preexec_fn=_prepare_child,
        )
        assert self.process.stdout is not None
        self._reader = threading.Thread(target=self._read_log, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _arguments(self, port: int, metrics_port: int, *, from_pip: bool) -> list[str]:
        settings = self.settings
        arguments = [
            f"--model-repository={settings.model_repository}",
            # How libevent, which Triton listens with, wants to be told.
            f"--http-address={'ipv6:' if ':' in self._http_address else ''}{self._http_address}",
            f"--http-port={settings.http_port}",
            f"--grpc-address={LOOPBACK}",
            f"--grpc-port={port}",
            f"--metrics-address={LOOPBACK}",
            f"--metrics-port={metrics_port}",
            f"--exit-timeout-secs={settings.stop_timeout_seconds:.0f}",
            # All models at the start, and again when the supervisor says so.
            "--model-control-mode=explicit",
            "--load-model=*",
            f"--http-restricted-api={','.join(CLOSED_IN_HTTP)}:{KEY_NAME}={self.key}",
            f"--grpc-restricted-protocol={','.join(CLOSED)}:{KEY_NAME}={self.key}",
        ]
        for backend in BACKENDS_FROM_PIP if from_pip else ("python",):
            # A name of our own for shared memory, so that what a killed server leaves can be removed.
            arguments.append(f"--backend-config={backend},shm-region-prefix-name={self._prefix}{backend}")
            arguments.append(f"--backend-config={backend},stub-timeout-seconds={STUB_TIMEOUT_SECONDS}")
        return arguments + shlex.split(os.environ.get("TRITON_FLAGS", ""))

    def _read_log(self, stream: IO[str]) -> None:
        for line in stream:
            self._log.append(line)
            if self._show_log:
                try:
                    print(line, end="", flush=True)
                except OSError:  # nobody reads our output any more; the server's is read on, or it would block
                    self._show_log = False

    def exported_anew(self) -> bool | None:
        """Whether the networks are others than when the server started; None while they are being replaced."""
        there = self._export_there()
        return None if there is None else there != self._export

    def _export_there(self) -> tuple[int, int] | None:
        try:
            status = (self.settings.model_repository / "weights.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    @property
    def key_header(self) -> dict[str, str]:
        """The HTTP header that opens the closed APIs."""
        return {KEY_NAME: self.key}

    @property
    def log(self) -> str:
        """The last lines that the server wrote."""
        return "".join(self._log)

    @property
    def errors(self) -> str:
        """Of those, the ones that are neither progress nor tables nor about the GPU that is not there."""
        return "".join(line for line in self._log if line[0] not in "IW+|\n" and not any(w in line for w in NO_GPU))

    def show_log(self) -> None:
        """Print from now on what the server writes."""
        self._show_log = True

    def wait_until_ready(self) -> None:
        """Return when every model is loaded; `ServerFailed` where that does not come to pass.

        A tritonserver of which nothing more comes, as one start in hundreds was seen to end, is started again, once. So
        is one that lost a port to another process, for it listens last of all; on other ports, and a few times.
        """
        url = f"{self.http_url}/v2/health/ready"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this server
        deadline = time.monotonic() + self.settings.ready_timeout_seconds
        progress, may_start_again, ports_lost = Progress(self.process.pid), True, 0
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self._reader.join(timeout=5)
                if self._lost_port() and (ports_lost := ports_lost + 1) < MAX_PORTS_LOST:
                    lost = f"{self._reason()}, starting tritonserver again on other ports"
                    print(f"server: {lost}", file=sys.stderr, flush=True)
                    self._end()
                    self._choose_ports()
                    self.proxy.hand_on_to(self._triton_url)
                    self._log.clear()
                    self._start()
                    progress = Progress(self.process.pid)
                    continue
                raise ServerFailed(f"tritonserver stopped before it was ready: {self._reason()}")
            with contextlib.suppress(OSError, urllib.error.URLError), direct.open(url, timeout=5):
                return
            if may_start_again and progress.idle_seconds() > self.settings.idle_timeout_seconds:
                idle = f"nothing happened for {self.settings.idle_timeout_seconds:g} s"
                print(f"server: {idle}, starting tritonserver again; {self._what_runs()}", file=sys.stderr, flush=True)
                self._end()
                self._start()
                may_start_again = False
            time.sleep(0.1)
        waited = f"{self.settings.ready_timeout_seconds:g} s"
        raise ServerFailed(f"tritonserver was not ready after {waited}; {self._what_runs()}")

    def _lost_port(self) -> bool:
        """Whether another process took a port of Triton's own before Triton listened on it.

        That of its metrics it may miss only after it has said that it is ready: then it ends by itself a moment later.
        """
        return any(f"failed to start {service} service" in self.log for service in ("GRPC", "Metrics"))

    def _what_runs(self) -> str:
        """Each process with its state and CPU time: what is busy is slow, and what is not waits in vain."""
        said = [
            f"{model_of(process) or Path(command[0]).name} {process.pid} "
            f"({process.state}, {process.cpu_seconds:.1f} s of CPU)"
            for process in descendants(self.process.pid)
            if (command := process.command)
        ]
        last = "".join([*self._log][-3:]).strip()
        return f"its processes are {', '.join(said) or 'none'}; the last that it said: {last}"

    def _reason(self) -> str:
        """What the log says of the failure: Triton writes `failed to load 'MODEL' version 1: REASON`."""
        for line in self._log:
            for mark in ("failed to load '", "failed to start ", "error: "):
                if mark in line:
                    return line[line.index(mark) :].strip().split("\\n\\nAt:")[0].rstrip('" ')
        return f"exit status {self.process.returncode}"

    def stop(self) -> int:
        """Ask the server to stop, end it if it does not, and remove what it leaves; its exit status."""
        self.proxy.close(self.settings.stop_timeout_seconds if self.process.poll() is None else 0.0)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.settings.stop_timeout_seconds + 10)
        self._metrics.close()
        self.key_file.unlink(missing_ok=True)
        return self._end()

    def _end(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # the stubs, and the server itself where it did not stop
        status = self.process.wait()
        self._reader.join(timeout=5)
        for path in SHARED_MEMORY.glob(f"{self._prefix}*"):
            path.unlink(missing_ok=True)
        return status


def _free_ports(address: str, count: int) -> list[int]:
    listeners = [socket.create_server((address, 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def start(settings: Settings, counts: Counts | None = None) -> Server:
    """Start a server; `ServerFailed` or `NoServer` with all reasons why it cannot be.

    `counts` go on from those of a server before it.
    """
    ports = {"HTTP_PORT": settings.http_port, "GRPC_PORT": settings.grpc_port, "METRICS_PORT": settings.metrics_port}
    triton = find_triton()
    found = problems(
        settings.model_repository, settings.address, ports, triton.profile(), settings.precision, settings.tls
    )
    if found:
        raise ServerFailed("; ".join(found))
    _remove_leftovers()
    try:
        return Server(settings, triton, counts)
    except OSError as error:
        raise ServerFailed(f"the server cannot be started: {error}") from error


def _remove_leftovers() -> None:
    """Remove shared memory of servers whose parent was killed before it could."""
    for path in SHARED_MEMORY.glob(f"{SHARED_MEMORY_PREFIX}*"):
        pid = path.name.removeprefix(SHARED_MEMORY_PREFIX).partition("_")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Server]:
    """A server that is ready, for the length of a `with` block."""
    server = start(settings)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


def _prepare_child() -> None:
    """In the child: should this process be killed, so is the server; its stubs follow it.

    Shared memory beyond a limit of file sizes (`ulimit -f`) is then an error, as that beyond /dev/shm is, and no death.
    """
    PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
    SIGNAL(signal.SIGXFSZ, ctypes.c_void_p(SIG_IGN))

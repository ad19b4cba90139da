"""A started server: tritonserver with its key file, metrics endpoint and proxy."""

import contextlib
import logging
import os
import secrets
import subprocess
from pathlib import Path

from server.bytecode import compile_models
from server.closed_models import ClosedModels
from server.configurations import DO_NOT_COMPLETE, all_complete, name_others
from server.cpu_shares import CpuShares
from server.flags import GRPC_KEY_NAME, KEY_NAME, Endpoints, forwards_marks, triton_flags
from server.http_api import HttpApi
from server.installation import Triton, precision_environment
from server.key import write_key
from server.leftovers import new_prefix
from server.loaded_files import LoadedFiles
from server.metrics import Counts, MetricsEndpoint
from server.model_control import ModelControl
from server.ports import LOOPBACK, in_url
from server.private_memory import WARNING, exposed_regions
from server.proxy import MAX_IN_FLIGHT, MAX_PER_CALLER, MAX_PER_CALLER_WITH_GPU, Proxy
from server.readiness import wait_until_ready
from server.runtime_files import RuntimeFiles, remove
from server.settings import Settings
from server.triton_process import TritonProcess
from video.cpu_share import VARIABLE
from video.malloc_trim import OWN_PAGES
from video.processes import processes_by_model
from video.shared_clips import SharedClips
from video.shared_memory import DIRECTORY
from video.shared_videos import SharedVideos

log = logging.getLogger(__name__)
STOP_SECONDS = 10.0
"""How much longer than its requests tritonserver itself may take to stop."""


class Server:
    """A server; `server.start` makes one."""

    triton_process: TritonProcess
    proxy: Proxy | None
    """What listens on the gRPC port; None if tritonserver itself does."""
    key_file: Path
    """Where `key` is written, readable by this user only."""

    def __init__(self, settings: Settings, triton: Triton, counts: Counts) -> None:
        """Nothing is started yet; `NoServer` if the precision is not available."""
        self.settings = settings
        self.counts = counts
        self.profile = triton.profile()
        """`cpu` or `gpu`."""
        self.notice = triton.notice()
        """Why a GPU of this machine is not used, if it is not."""
        self.key = secrets.token_urlsafe(32)
        """What opens the closed APIs (`server.flags.CLOSED`)."""
        self.url = f"{in_url(settings.address)}:{settings.grpc_port}"
        """ADDRESS:PORT of gRPC, for callers."""
        self._triton = triton
        self._endpoints = Endpoints.choose(settings)
        self.loaded_files = LoadedFiles(settings.model_repository)
        """From which files the models were loaded."""
        self._shared_memory_prefix = new_prefix()
        precision = precision_environment(
            self.profile, settings.precision, settings.model_repository, settings.max_int8_error
        )
        self.model_control = ModelControl(self._processes_of, self.loaded_files)
        """Models that holders of the key load and unload."""
        self._cpu_shares: CpuShares | None = None
        self._shared_clips: SharedClips | None = None
        self._shared_videos: SharedVideos | None = None
        # Native backends know nothing of such files, and those on a GPU do not need them.
        if self.profile == "cpu" and triton.backend_directory is not None:
            self._shared_clips = SharedClips(f"{DIRECTORY}/{self._shared_memory_prefix}clips_")
            if forwards_marks():
                self._shared_videos = SharedVideos(f"{DIRECTORY}/{self._shared_memory_prefix}video_")
        self._environment = os.environ | OWN_PAGES | triton.environment | precision

    def open(self) -> None:
        """Start everything; if something fails, stop the rest and raise OSError."""
        with contextlib.ExitStack() as stack:
            self._files = RuntimeFiles(self.settings.address, self.settings.grpc_port)
            stack.callback(self._files.close)
            self.key_file = write_key(self.key, self.settings.address, self.settings.grpc_port)
            stack.callback(remove, self.key_file)
            if self.settings.proxy:
                self._cpu_shares = CpuShares(self._files.path("shares"), MAX_IN_FLIGHT)
                stack.callback(self._cpu_shares.close)
                self._environment[VARIABLE] = str(self._cpu_shares.path)
                if self._shared_clips is not None:
                    self._environment |= self._shared_clips.environment
                if self._shared_videos is not None:
                    self._environment |= self._shared_videos.environment
            self._start_triton()
            stack.callback(lambda: self.triton_process.kill())
            address = self.settings.address
            self._metrics = MetricsEndpoint(
                address, self.settings.metrics_port, lambda: self._endpoints.metrics, self.counts
            )
            stack.callback(self._metrics.close)
            self._http = HttpApi(
                self._http_address,
                self.settings.http_port,
                self.key,
                lambda: self._endpoints.http,
                control=self.model_control,
            )
            stack.callback(self._http.close)
            self.proxy = None
            if self.settings.proxy:
                # Last: forking beside gRPC's threads is risky.
                max_per_caller = MAX_PER_CALLER if self.profile == "cpu" else MAX_PER_CALLER_WITH_GPU
                port, tls = self.settings.grpc_port, self.settings.tls
                closed = None if self.settings.open_video_decode else ClosedModels(self.key, GRPC_KEY_NAME)
                self.proxy = Proxy(
                    address,
                    port,
                    self.upstream,
                    tls,
                    max_per_caller,
                    closed,
                    self._cpu_shares,
                    max_connection_age_seconds=self.settings.max_connection_age_seconds,
                    shared_clips=self._shared_clips,
                    shared_videos=self._shared_videos,
                )
                self.counts.watch(self.proxy.queue)
            stack.pop_all()

    def _start_triton(self) -> None:
        compile_models(self.settings.model_repository)
        from_pip = self._triton.backend_directory is not None
        flags = triton_flags(self.settings, self._endpoints, self.key, self._shared_memory_prefix, from_pip=from_pip)
        if from_pip and not name_others(flags) and all_complete(self.settings.model_repository, self.profile):
            flags.insert(0, DO_NOT_COMPLETE)
        command = self._triton.command(flags, self.profile)
        self.triton_process = TritonProcess(command, self._environment, self._shared_memory_prefix)

    def _processes_of(self, model: str) -> frozenset[int]:
        try:
            return frozenset(processes_by_model(self.process.pid).get(model, ()))
        except OSError:  # no free descriptors: then none are taken for older ones
            return frozenset()

    def restart(self) -> None:
        """End tritonserver and start it again."""
        self.triton_process.kill()
        self._start_triton()

    def restart_on_other_ports(self) -> None:
        """Restart tritonserver, with other ports for the APIs that only this process uses."""
        self.triton_process.kill()
        self._endpoints = Endpoints.choose(self.settings)
        if self.proxy is not None:
            self.proxy.change_upstream(self.upstream)
        self._start_triton()

    def lost_files(self) -> list[Path]:
        """Files that it needs and that somebody removed, such as a cleaner of temporary files or the end of a session.

        Without them, no caller can connect, and no model that reads videos can be loaded again.
        """
        needed = [self._files.path(ending) for ending in ("grpc", "shares")] if self.settings.proxy else []
        return [path for path in needed if not path.exists()]

    def lost_own_port(self) -> bool:
        """Whether another process took a port that `restart_on_other_ports` would change."""
        return self.triton_process.lost_port(["HTTP", "Metrics", *(["GRPC"] if self.proxy is not None else [])])

    @property
    def process(self) -> subprocess.Popen[str]:
        """tritonserver, which may be another process after a restart."""
        return self.triton_process.popen

    @property
    def upstream(self) -> str:
        """ADDRESS:PORT at which tritonserver itself serves gRPC."""
        return self._endpoints.grpc

    @property
    def http_url(self) -> str:
        """The URL of tritonserver's own HTTP API, without a path; for this process, which callers cannot lock out."""
        return self._endpoints.http_url

    @property
    def public_http_url(self) -> str:
        """The URL of the HTTP API for callers, without a path."""
        return f"http://{in_url(self._http_address)}:{self.settings.http_port}"

    @property
    def _http_address(self) -> str:
        # HTTP is not encrypted.
        return self.settings.address if self.settings.tls is None else LOOPBACK

    @property
    def key_header(self) -> dict[str, str]:
        """The HTTP header that opens the closed APIs."""
        return {KEY_NAME: self.key}

    @property
    def log(self) -> str:
        """The last lines that tritonserver wrote."""
        return self.triton_process.log

    def wait_until_ready(self) -> None:
        """Return when all models are loaded; `ServerFailed` if that does not happen in time."""
        wait_until_ready(self)
        if exposed_regions(self._shared_memory_prefix):
            log.warning(WARNING)

    def stop(self) -> int:
        """Let requests in flight finish, end tritonserver and remove what it leaves; its exit status."""
        timeout = self.settings.stop_timeout_seconds
        if self.proxy is not None:
            self.proxy.close(timeout if self.process.poll() is None else 0.0)
        self.triton_process.interrupt(timeout + STOP_SECONDS)
        self._http.close()
        self._metrics.close()
        remove(self.key_file)
        if self._cpu_shares is not None:
            self._cpu_shares.close()
        self._files.close()
        return self.triton_process.kill()

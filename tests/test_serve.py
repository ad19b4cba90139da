"""Starting and ending a server: `make serve`, and NVIDIA's own command in the virtual environment."""

import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from client import Client, ClientError
from fixtures.synthetic import encode
from server import (
    Server,
    ServerFailed,
    Settings,
    Triton,
    find_triton,
    flags,
    installation,
    leftovers,
    preflight,
    running,
    start,
)
from server.pings import TRITON_FLAGS
from tests.conftest import copy_repository
from tests.metrics import scrape
from tests.processes import alive, command, descendants, stubs
from tests.test_private_memory import regions_of
from tests.waiting import wait_for
from video import processes

LAUNCHER = Path(sys.prefix, "bin", "tritonserver")


def environment(settings: Settings, **others: str) -> dict[str, str]:
    of_settings = {
        "HTTP_PORT": str(settings.http_port),
        "GRPC_PORT": str(settings.grpc_port),
        "METRICS_PORT": str(settings.metrics_port),
        "PRECISION": settings.precision,
    }
    return os.environ | of_settings | others


@contextlib.contextmanager
def serving(settings: Settings, limit: int | None = None, **others: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m server` that has said that it is ready, with at most `limit` descriptors a process.

    `others` are environment variables.
    """
    command = [sys.executable, "-m", "server", "--model-repository", str(settings.model_repository)]
    process = subprocess.Popen(
        command if limit is None else ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *command],
        env=environment(settings, **others),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "ready after" in line:
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def drain(stream: IO[str] | None) -> list[str]:
    """The lines of a stream of a `Popen`, read in the background so that its writer never blocks."""
    assert stream is not None
    lines: list[str] = []
    threading.Thread(target=lambda: lines.extend(stream), daemon=True).start()
    return lines


def run_server(settings: Settings, **others: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", "--model-repository", str(settings.model_repository)],
        env=environment(settings, **others),
        capture_output=True,
        text=True,
        timeout=120,
    )


def wait_until_gone(pids: list[int], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(alive, pids))


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_server_stops_on_a_signal_and_leaves_nothing(how: signal.Signals, small_repository: Path) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    with serving(settings) as process:
        with Client(f"localhost:{settings.grpc_port}") as client:
            assert client.score(encode(30)).info.frames == 30
        running = descendants(process.pid)
        own_memory = f"{leftovers.PREFIX}{process.pid}_*"  # other servers may run beside this one
        assert list(Path("/dev/shm").glob(own_memory))
        assert any("video.worker" in command(pid) for pid in running)
        process.send_signal(how)
        output, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert "server: stopping" in output
    assert "Traceback" not in output
    assert not any(map(alive, running))
    assert not list(Path("/dev/shm").glob(own_memory))


@contextlib.contextmanager
def requests_in_flight(url: str, count: int = 6) -> Iterator[None]:
    """So many callers at once, each of which sends the next video when it has its answer, or no answer."""
    video, ended = encode(120), threading.Event()

    def call() -> None:
        with Client(url, timeout_seconds=10, retries=0, away_seconds=0) as client:
            while not ended.is_set():
                with contextlib.suppress(ClientError):
                    client.score(video)
                    answered.release()

    answered = threading.Semaphore(0)
    callers = [threading.Thread(target=call) for _ in range(count)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(count):
            assert answered.acquire(timeout=60)
        yield
    finally:
        ended.set()
        for caller in callers:
            caller.join()


@pytest.mark.parametrize("time", [1, *(pytest.param(time, marks=pytest.mark.slow) for time in range(2, 11))])
def test_a_killed_supervisor_takes_everything_with_it(time: int, small_repository: Path) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    with serving(settings) as process, requests_in_flight(f"localhost:{settings.grpc_port}"):
        drain(process.stdout)
        running = descendants(process.pid)
        assert len(running) > 6
        process.kill()
        gone = wait_until_gone(running, seconds=5)
        left = {pid: command(pid) for pid in running if alive(pid)}
        for pid in left:  # or they would disturb all tests that follow
            os.kill(pid, signal.SIGKILL)
        assert gone, left


@pytest.mark.slow
def test_a_supervisor_that_is_killed_while_models_load_takes_everything_with_it(small_repository: Path) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    for model in ("video_sampling", "motion_backbone", "camera_classifier"):
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "--model-repository", str(small_repository)], env=environment(settings)
        )
        wait_for(functools.partial(stubs, process.pid, model))
        running = descendants(process.pid)
        process.kill()
        process.wait()
        gone = wait_until_gone(running, seconds=5)
        left = {pid: command(pid) for pid in running if alive(pid)}
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert gone, left


def test_a_taken_port_is_named(small_repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_server(Settings.on_free_ports(small_repository, precision="f32"), GRPC_PORT=str(port))
    assert result.returncode == 1
    assert f"port {port} is taken; choose another with GRPC_PORT=..." in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_port_that_another_process_takes_during_the_start_is_replaced(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    free_ports = flags.free_ports
    with socket.create_server(("127.0.0.1", 0)) as taken:
        lost = taken.getsockname()[1]
        choices = [[lost, *free_ports("127.0.0.1", 2)], free_ports("127.0.0.1", 3)]
        monkeypatch.setattr(flags, "free_ports", lambda *_: choices.pop(0))
        with running(settings) as started, Client(started.url) as client:
            assert client.score(encode(20)).info.frames == 20
            assert any(name.startswith("nv_") for name, _ in scrape(started))
    taken_by = f"failed to start GRPC service: Unavailable - Socket '127.0.0.1:{lost}' already in use"
    assert f"{taken_by}, restarting tritonserver on other ports" in caplog.messages
    assert choices == []


@pytest.mark.slow
def test_an_ipv6_address_works(small_repository: Path) -> None:
    with running(Settings.on_free_ports(small_repository, precision="f32", address="::1")) as started:
        assert started.url.startswith("[::1]:")
        with Client(started.url) as client:
            assert client.score(encode(20)).info.frames == 20
        with urllib.request.urlopen(f"{started.public_http_url}/v2/health/ready", timeout=10) as answer:
            assert answer.status == 200
        assert any(name.startswith("nv_") for name, _ in scrape(started))


@pytest.mark.heavy
def test_without_an_export_the_command_for_it_is_named(tmp_path: Path) -> None:
    repository = copy_repository(tmp_path / "model_repository")
    result = run_server(Settings.on_free_ports(repository, precision="f32"))
    assert result.returncode == 1
    assert "has no networks yet: run `make export` first" in result.stderr


@pytest.mark.slow
def test_a_damaged_network_is_named(small_repository: Path, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(small_repository, tmp_path / "model_repository"))
    network = repository / "motion_head" / "1" / "model.onnx"
    network.write_bytes(network.read_bytes()[: network.stat().st_size // 2])
    result = run_server(Settings.on_free_ports(repository))
    assert result.returncode == 1
    assert "failed to load 'motion_head'" in result.stderr
    assert "OpenVINO cannot load" in result.stderr


@contextlib.contextmanager
def stopping_what_loads(triton: int, model: str) -> Iterator[set[int]]:
    """Stop each process of a model that a tritonserver starts; enters when one of them has been stopped for a second.

    The first may only complete the configuration and then end; another follows, and is stopped too.
    """
    stopped: set[int] = set()
    ended = threading.Event()

    def stop() -> None:
        while not ended.wait(0.01):
            for pid in set(stubs(triton, model)) - stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                stopped.add(pid)

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        since = time.monotonic()
        while time.monotonic() < since + 1:
            time.sleep(0.05)
            if not any(process.pid in stopped and process.state == "T" for process in processes.descendants(triton)):
                since = time.monotonic()
        yield stopped
    finally:
        ended.set()
        stopper.join()


def test_a_start_that_times_out_names_the_stuck_process(small_repository: Path) -> None:
    started = start(Settings.on_free_ports(small_repository, precision="f32", ready_timeout_seconds=1))
    try:
        with (
            stopping_what_loads(started.process.pid, "motion_head") as stopped,
            pytest.raises(ServerFailed, match="not ready after 1 s; its processes are ") as raised,
        ):
            started.wait_until_ready()
        (found,) = re.findall(r"motion_head (\d+) \(T, \d+\.\d s of CPU\)", str(raised.value))
        assert int(found) in stopped
    finally:
        started.process.kill()  # or it would wait for the stopped process
        started.stop()


def assert_serves_anew(started: Server, first: int, stopped: set[int]) -> None:
    """Another tritonserver than `first` answers, and nothing is left of that one and its stopped processes."""
    with Client(started.url) as client:
        client.score(encode(20))
    assert started.process.pid != first
    assert wait_until_gone([first, *stopped])


@pytest.mark.slow
def test_a_start_that_makes_no_progress_is_retried(small_repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    started = start(Settings.on_free_ports(small_repository, precision="f32", idle_timeout_seconds=4))
    try:
        first = started.process.pid
        with stopping_what_loads(first, "motion_head") as stopped:
            started.wait_until_ready()
        assert_serves_anew(started, first, stopped)
    finally:
        started.stop()
    (message,) = caplog.messages
    assert message.startswith("idle for 4 s, restarting tritonserver; its processes are ")
    (found,) = re.findall(r"motion_head (\d+) \(T, ", message)
    assert int(found) in stopped


@pytest.mark.slow
def test_a_start_that_crashes_is_retried(small_repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    started = start(Settings.on_free_ports(small_repository, precision="f32"))
    try:
        first = started.process.pid
        with stopping_what_loads(first, "motion_head") as stopped:
            os.kill(first, signal.SIGABRT)
            started.wait_until_ready()
        assert_serves_anew(started, first, stopped)
    finally:
        started.stop()
    assert caplog.messages == ["tritonserver crashed (ended by SIGABRT), restarting it"]


def test_missing_8_bit_networks_are_named(small_repository: Path) -> None:
    result = run_server(Settings.on_free_ports(small_repository), PRECISION="int8")
    assert result.returncode == 1
    assert "PRECISION is int8" in result.stderr
    assert "has no 8-bit networks: export with --int8" in result.stderr


def test_a_damaged_manifest_is_named(small_repository: Path, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(small_repository, tmp_path / "model_repository"))
    (repository / "weights.json").write_text("{")
    result = run_server(Settings.on_free_ports(repository, precision="f32"))
    assert result.returncode == 1
    assert "weights.json is damaged: run `make export` again" in result.stderr


@pytest.mark.heavy
def test_a_directory_that_is_not_a_model_repository_is_named(tmp_path: Path) -> None:
    result = run_server(Settings.on_free_ports(tmp_path, precision="f32"))
    assert result.returncode == 1
    assert f"{tmp_path} is not a model repository of this project" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GRPC_PORT", "many", "it must be a port from 1 to 65535"),
        ("PRECISION", "fp8", "it must be one of auto, f32, bf16, int8"),
    ],
)
def test_a_bad_variable_is_named(variable: str, value: str, message: str, small_repository: Path) -> None:
    result = run_server(Settings.on_free_ports(small_repository), **{variable: value})
    assert result.returncode == 1
    assert f"{variable} is '{value}', {message}" in result.stderr


def test_too_little_shared_memory_is_reported_before_the_start(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SHARED_MEMORY_BYTES", 1 << 60)
    (problem,) = preflight.problems(small_repository, "127.0.0.1", {})
    assert "/dev/shm is too small" in problem
    assert "--shm-size" in problem


@pytest.mark.parametrize(
    "content", ["[]", "1", '{"frames": null}', '{"text": [], "motion": {}, "camera": {}}', '{"int8": 1}']
)
def test_a_manifest_that_no_export_writes_is_damaged(content: str, small_repository: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(small_repository, tmp_path / "repository")
    (repository / "weights.json").write_text(content)
    (problem,) = preflight.problems(repository, "127.0.0.1", {})
    assert problem == f"{repository / 'weights.json'} is damaged: run `make export` again"


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = preflight.problems(tmp_path, "127.0.0.1", {"HTTP_PORT": taken.getsockname()[1]})
    assert len(found) == 2


@contextlib.contextmanager
def typed(repository: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """NVIDIA's command when it is ready, and a client of it.

    Restarted once if it makes no progress, because it has no supervisor.
    """
    for may_start_again in (True, False):
        settings = Settings.on_free_ports(repository)
        command = [
            str(LAUNCHER),
            f"--model-repository={repository}",
            f"--grpc-port={settings.grpc_port}",
            f"--http-port={settings.http_port}",
            f"--metrics-port={settings.metrics_port}",
        ]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | {"PATH": "/usr/bin:/bin"}, cwd="/"
            ) as process,
            Client(f"localhost:{settings.grpc_port}") as client,
        ):
            try:
                if wait_until_ready(process, client):
                    yield process, client
                    return
            finally:
                for left in descendants(process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(left, signal.SIGKILL)
                process.kill()
        assert may_start_again, log.read_text(errors="replace")[-4000:]


def wait_until_ready(process: subprocess.Popen[bytes], client: Client, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if client.is_ready():
            return True
        time.sleep(0.2)
    return False


def test_tritonserver_works_as_typed(small_repository: Path, tmp_path: Path) -> None:
    with typed(small_repository, tmp_path / "log") as (process, client):
        assert client.score(encode(30)).info.frames == 30
        assert {stat.S_IMODE(path.stat().st_mode) for path in regions_of(process.pid)} == {0o600}
        running = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        assert wait_until_gone(running)


@pytest.mark.slow
def test_a_killed_tritonserver_takes_everything_with_it(small_repository: Path, tmp_path: Path) -> None:
    with typed(small_repository, tmp_path / "log") as (process, client), requests_in_flight(client.urls[0]):
        running = descendants(process.pid)
        assert len(running) > 6
        process.kill()
        process.wait()
        assert wait_until_gone(running, seconds=5)


def test_a_native_installation_is_preferred(tmp_path: Path) -> None:
    real = tmp_path / "tritonserver"
    real.write_text('#!/bin/sh\necho "real: $@"\n')
    real.chmod(0o755)
    result = subprocess.run(
        [LAUNCHER, "--model-repository=here", "--log-verbose=1"],
        env=os.environ | {"PATH": f"{LAUNCHER.parent}:{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    profile = "" if installation.has_gpu() else "--model-config-name=cpu "
    quantiles = "--metrics-config=summary_latencies=true"
    pings = " ".join(TRITON_FLAGS)
    assert result.stdout == f"real: {profile}{quantiles} {pings} --model-repository=here --log-verbose=1\n"


def test_a_given_flag_overrides_the_default() -> None:
    given = [
        "--model-config-name=tensorrt",
        "--backend-directory=/elsewhere",
        "--metrics-config=counter_latencies=true",
        "--grpc-http2-min-recv-ping-interval-without-data=5000",
        "--grpc-keepalive-permit-without-calls=false",
        "--grpc-keepalive-time=1000",
        "--grpc-keepalive-timeout=1000",
        "--grpc-http2-max-pings-without-data=1",
    ]
    assert find_triton().command(given, "cpu")[1:] == given


def test_an_unused_gpu_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("server.installation.has_gpu", lambda: True)
    monkeypatch.setattr("server.installation.GPU_PACKAGES", ("onnxruntime-gpu", "no-such-package"))
    from_pip, native = Triton(tmp_path, backend_directory=tmp_path), Triton(tmp_path)
    assert (from_pip.profile(), native.profile()) == ("cpu", "gpu")
    assert native.notice() is None
    assert from_pip.notice() == (
        "the GPU is not used: onnxruntime-gpu and no-such-package are not installed (run `make setup-gpu`)"
    )
    monkeypatch.setattr("server.installation.has_gpu", lambda: False)
    assert (from_pip.profile(), from_pip.notice()) == ("cpu", None)


def test_native_backends_get_memory_pools_for_clips(tmp_path: Path) -> None:
    native = Triton(tmp_path)
    pinned = "--pinned-memory-pool-byte-size"
    assert f"{pinned}=1073741824" in native.command([], "gpu")
    assert [flag for flag in native.command([f"{pinned}=5"], "gpu") if flag.startswith(pinned)] == [f"{pinned}=5"]
    assert not any(flag.startswith(pinned) for flag in native.command([], "cpu"))
    assert not any(flag.startswith(pinned) for flag in Triton(tmp_path, backend_directory=tmp_path).command([], "gpu"))


def test_the_gpu_profile_is_not_started_without_its_networks(small_repository: Path) -> None:
    (problem,) = preflight.problems(small_repository, "127.0.0.1", {}, "gpu")
    assert "has no fp16 networks for the GPU: run `make export` without TARGET=cpu" in problem

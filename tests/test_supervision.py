"""Processes of a server are killed or stopped under load: it recovers by itself, and callers get their answers."""

import contextlib
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from client import Client, ClientError, Score, ServerAway, ServerError
from export.networks import export_networks
from export.random_weights import write_motion_checkpoint
from fixtures.synthetic import encode
from server import Server, Settings
from server.flags import GRPC_KEY_NAME
from server.runtime_files import RuntimeFiles
from server.supervisor import Supervisor
from tests.processes import alive, command, descendants, hanging, stubs, workers
from tests.test_serve import drain, serving, wait_until_gone

GOOD = encode(60)
ALONE = "KILLS" in os.environ
"""Whether the test of random kills runs as a measurement; in the suite, limits allow for a loaded machine."""
KILLS = int(os.environ.get("KILLS", "8"))
"""Number of random kills: `KILLS=50 python -m pytest tests/test_supervision.py -k random`."""
WHOLE_SECONDS = 10 if ALONE else 30
"""The limit is 10; an idle machine takes two to four, six if tritonserver died as well."""
NOTICED_SECONDS = 5
"""How long it may take until a tritonserver that is stopped or hangs has been killed."""
INFER = "models/video_motion/infer"
PROCESSES = {"video_sampling": 3, "video_decode": 4, "motion_backbone": 3, "motion_head": 1, "camera_classifier": 3}


class Served:
    """A server under `python -m server`."""

    def __init__(self, supervisor: int, url: str) -> None:
        self.supervisor = supervisor
        self.url = url

    @property
    def triton(self) -> int:
        """The pid of tritonserver, which changes when it is restarted; 0 while it does not run."""
        found = (pid for pid in descendants(self.supervisor) if "bin/tritonserver" in command(pid))
        return next(found, 0)

    def wait_until_whole(self, killed: int, model: str = "", before: Collection[int] = ()) -> None:
        """Return when every model has its processes again, without `killed`, and the server is ready.

        All processes of `model` must be new: those in `before` no longer serve.
        """
        started = time.monotonic()
        with Client(self.url, timeout_seconds=5) as client:
            while True:
                there = {model: stubs(self.triton, model) for model in PROCESSES}
                # While a model is unloaded, older processes may still run.
                counts = all(len(set(there[model]) - {killed}) >= count for model, count in PROCESSES.items())
                anew = not before or len(set(there[model]) - set(before)) >= PROCESSES[model]
                if counts and anew and not alive(killed) and client.is_ready():
                    return
                assert time.monotonic() - started < WHOLE_SECONDS, f"not recovered: {there}"
                time.sleep(0.1)


@pytest.fixture(scope="module")
def served(tiny_repository: Path) -> Iterator[Served]:
    settings = Settings.on_free_ports(tiny_repository, precision="f32")
    with serving(settings) as supervisor:
        lines = drain(supervisor.stdout)
        yield Served(supervisor.pid, f"localhost:{settings.grpc_port}")
        print("".join(lines))  # shown if a test fails


@contextmanager
def load(url: str, expected: Score, callers: int = 3) -> Iterator[list[object]]:
    """Callers that score the same video over and over; yields a list of their errors and wrong scores."""
    wrong: list[object] = []
    answers: list[Score] = []
    ended = threading.Event()

    def call() -> None:
        with Client(url, timeout_seconds=30, away_seconds=60) as client:
            client.weights()
            while not ended.is_set():
                try:
                    answers.append(client.score(GOOD))
                    if answers[-1] != expected:
                        wrong.append(answers[-1])
                except ClientError as error:
                    wrong.append(error)

    with ThreadPoolExecutor(callers) as pool:
        asked = [pool.submit(call) for _ in range(callers)]
        try:
            yield wrong
        finally:
            ended.set()
        for one in asked:
            one.result()
    assert len(answers) >= callers


# A decoder and a network, and each signal: all pairs take minutes.
QUICK = {("video_decode", signal.SIGSTOP), ("motion_backbone", signal.SIGKILL)}


@pytest.mark.parametrize(
    ("model", "how"),
    [
        pytest.param(model, how, marks=[pytest.mark.slow] * ((model, how) not in QUICK))
        for model in PROCESSES
        for how in (signal.SIGKILL, signal.SIGSTOP)
    ],
)
def test_a_killed_or_stopped_process_is_replaced_and_no_request_fails(
    how: signal.Signals, model: str, served: Served
) -> None:
    with Client(served.url, away_seconds=60) as client:
        expected = client.score(GOOD)
        with load(served.url, expected) as wrong:
            time.sleep(0.3)
            victim = stubs(served.triton, model)[-1]
            os.kill(victim, how)
            served.wait_until_whole(victim)
            assert client.score(GOOD) == expected
    assert wrong == []


def test_a_stopped_decoder_process_costs_one_request_and_not_the_next(served: Served) -> None:
    with Client(served.url, away_seconds=60) as client:
        expected = client.score(GOOD)
        for model in ("video_sampling", "video_decode"):
            for worker in workers(served.triton, model):
                os.kill(worker, signal.SIGSTOP)
            started = time.monotonic()
            with contextlib.suppress(ServerError):
                assert client.score(GOOD) == expected
            assert time.monotonic() - started < WHOLE_SECONDS
            assert client.score(GOOD) == expected


@pytest.mark.slow
def test_random_kills_under_load(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    choose = random.Random(0)
    table = [f"{'model':18}{'process':9}{'signal':9}seconds"]
    recoveries: list[float] = []
    with Client(served.url, away_seconds=60) as client:
        expected = client.score(GOOD)
        with load(served.url, expected) as wrong:
            for _ in range(KILLS):
                time.sleep(choose.random())
                model = choose.choice(list(PROCESSES))
                before, reading = stubs(served.triton, model), workers(served.triton, model)
                victim = choose.choice(before[-PROCESSES[model] :] + reading)
                how = choose.choice([signal.SIGKILL, signal.SIGSTOP])
                started = time.monotonic()
                os.kill(victim, how)
                served.wait_until_whole(victim, model, before if victim in before else ())
                assert client.score(GOOD) == expected
                recoveries.append(time.monotonic() - started)
                kind = "worker" if victim in reading else "stub"
                table.append(f"{model:18}{kind:9}{how.name:9}{recoveries[-1]:7.1f}")
        assert client.score(GOOD) == expected
    table.append(
        f"{KILLS} kills: ready, with a right answer, after {statistics.median(recoveries):.1f} s "
        f"(median), {max(recoveries):.1f} s (longest); {len(wrong)} requests failed with their worker"
    )
    with capsys.disabled() if ALONE else contextlib.nullcontext():
        print("", *table, sep="\n")
    # A killed worker costs the request that it holds.
    assert all("the decoder process was killed" in str(error) for error in wrong)
    assert len(wrong) <= KILLS
    assert max(recoveries) < WHOLE_SECONDS


def test_a_stopped_hanging_or_dead_tritonserver_is_restarted_and_given_up_in_the_end(small_repository: Path) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    with serving(settings) as process:
        lines = drain(process.stdout)
        served = Served(process.pid, f"localhost:{settings.grpc_port}")
        with Client(served.url, timeout_seconds=30, away_seconds=60) as client:
            expected = client.score(GOOD)
            stopped = served.triton
            os.kill(stopped, signal.SIGSTOP)
            assert wait_until_gone([stopped], NOTICED_SECONDS)
            assert client.score(GOOD) == expected
            with hanging(served.triton):
                assert wait_until_gone([served.triton], NOTICED_SECONDS)
            assert client.score(GOOD) == expected
            last = descendants(process.pid)
            os.kill(served.triton, signal.SIGKILL)
            assert process.wait(timeout=60) == 1
            with pytest.raises(ServerAway, match="no server answers"):
                Client(served.url).score(GOOD)
        assert wait_until_gone(last)
    output = "".join(lines)
    assert f"server: tritonserver (process {stopped}): it has been stopped for 1 s, killing it" in output
    assert output.count("): it has not answered for 3 s, and does nothing, killing it") == 1
    assert output.count("server: tritonserver ended by itself with status -9") == 3
    assert "server: giving up: tritonserver ended 3 times within 120 s" in output
    assert "Traceback" not in output


def test_the_death_of_tritonserver_during_a_control_request_is_noticed() -> None:
    # Its connection stays open, because a stub that it has just forked holds it too.
    with socket.create_server(("127.0.0.1", 0)) as silent, subprocess.Popen(["sleep", "0.5"]) as process:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        server = SimpleNamespace(process=process, http_url=url, key_header={})
        with pytest.raises(ConnectionError, match="tritonserver ended before it answered"):
            Supervisor(cast(Server, server))._control("repository/models/motion_head/load")


@pytest.mark.parametrize("missing", ["grpc", "shares"])
def test_a_server_whose_files_were_removed_is_started_again(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    server = object.__new__(Server)
    server.settings = Settings(tmp_path)
    server._files = RuntimeFiles("127.0.0.1", 1)
    for ending in ("grpc", "shares"):
        server._files.path(ending).touch()
    assert server.lost_files() == []
    server._files.path(missing).unlink()
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            seen = SimpleNamespace(
                process=process,
                triton_process=SimpleNamespace(popen=process, is_ending=False),
                http_url="http://127.0.0.1:1",
                lost_files=server.lost_files,
            )
            assert Supervisor(cast(Server, seen)).watch() is None
        finally:
            process.kill()
    assert f"127.0.0.1_1.{missing} was removed: restarting the server" in caplog.text
    server.settings = Settings(tmp_path, proxy=False)
    assert server.lost_files() == []
    server._files.close()


@pytest.mark.slow
def test_a_server_recovers_if_its_runtime_directory_is_removed(small_repository: Path) -> None:
    """As when the user's last session ends."""
    settings = Settings.on_free_ports(small_repository, precision="f32")
    url = f"localhost:{settings.grpc_port}"
    with tempfile.TemporaryDirectory() as short:  # paths of sockets may have 107 bytes
        gone = Path(short, "gone")
        gone.mkdir()
        with serving(settings, XDG_RUNTIME_DIR=str(gone), TMPDIR=short) as supervisor:
            lines = drain(supervisor.stdout)
            served = Served(supervisor.pid, url)
            victims = stubs(served.triton, "video_decode")
            with Client(url, away_seconds=WHOLE_SECONDS) as client:
                expected = client.score(GOOD)
                shutil.rmtree(gone)
                assert wait_until_gone(victims, WHOLE_SECONDS)
                assert client.score(GOOD) == expected
                (decoder,) = stubs(served.triton, "video_decode")
                os.kill(decoder, signal.SIGKILL)
                assert wait_until_gone([decoder])
                assert client.score(GOOD) == expected
            supervisor.send_signal(signal.SIGTERM)
            assert supervisor.wait(40) == 0
        assert any("was removed: restarting the server" in line for line in lines)


@pytest.mark.parametrize("with_key", [False, True])
def test_apis_that_change_the_server_need_the_key(with_key: bool, server: Server) -> None:
    headers = {GRPC_KEY_NAME: server.key} if with_key else {}
    http_headers = server.key_header if with_key else {}
    with grpc.InferenceServerClient(server.url) as triton:
        closed = {
            "repository": lambda: triton.get_model_repository_index(headers=headers),
            "load": lambda: triton.load_model("video_sampling", headers=headers),
            "shared memory": lambda: triton.get_system_shared_memory_status(headers=headers),
            "trace": lambda: triton.get_trace_settings(headers=headers),
            "log settings": lambda: triton.get_log_settings(headers=headers),
        }
        for what, ask in closed.items():
            if with_key and what != "load":
                ask()
            elif not with_key:
                with pytest.raises(InferenceServerException, match="This protocol is restricted") as refused:
                    ask()
                assert refused.value.status() == "StatusCode.PERMISSION_DENIED"
        assert triton.is_server_ready()
    for path in ("repository/index", "systemsharedmemory/status", "trace/setting", "logging", INFER):
        post = path in ("repository/index", INFER)
        request = urllib.request.Request(
            f"{server.public_http_url}/v2/{path}", data=b"{}" if post else None, headers=http_headers
        )
        if with_key and path == INFER:
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=10)
            assert caught.value.code != 403  # the key is accepted, but the request has no input
        elif with_key:
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        else:
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=10)
            assert caught.value.code == 403
    for path in ("health/live", "health/ready", "models/video_motion", "models/video_decode/stats"):
        with urllib.request.urlopen(f"{server.public_http_url}/v2/{path}", timeout=10) as answer:
            assert answer.status == 200


@pytest.mark.slow
def test_a_new_export_is_served_completely_or_not_at_all(
    tiny_repository: Path, tiny_checkpoints: tuple[Path, Path], tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(tiny_repository, tmp_path / "model_repository"))
    write_motion_checkpoint(tmp_path / "other", width=48, depth=1, head_depth=1, use_sigmoid=True, seed=1)
    settings = Settings.on_free_ports(repository, precision="f32")
    with serving(settings) as process:
        lines = drain(process.stdout)
        served = Served(process.pid, f"localhost:{settings.grpc_port}")
        with Client(served.url, away_seconds=60) as client:
            old = client.score(GOOD)
            export_networks(str(tmp_path / "other"), str(tiny_checkpoints[1]), repository, lambda _: None, target="cpu")
            assert client.score(GOOD) == old
            # One network of the new export with others of the old one would give wrong scores.
            os.kill(victim := stubs(served.triton, "motion_head")[0], signal.SIGKILL)
            served.wait_until_whole(victim)
            new = client.score(GOOD)
        output = "".join(lines)
    assert new.weights.motion != old.weights.motion
    assert new.motion != old.motion
    assert new.camera == old.camera
    assert "a process of motion_head died, and the networks were exported again: restarting the server" in output
    assert "ended by itself" not in output

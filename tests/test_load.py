"""`python -m server.load`: a head that is exported while the server runs."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from client import Client, ClientError
from export.networks import export_networks
from fixtures.synthetic import encode
from server import Server, Settings, running
from server.key import write_key
from server.load import main
from server.loaded_files import LoadedFiles
from server.model_control import Change, ModelControl
from server.supervisor import Supervisor
from tests.processes import alive
from tests.waiting import wait_for
from training.heads.kinds import KINDS
from training.heads.saved import HeadConfig, load_head, save_head
from video.processes import processes_by_model

VIDEO = encode(60, width=64, height=48)
LABELS = ("still", "pan")
NETWORKS = ("motion_backbone", "motion_head", "camera_classifier", "video_decode")


@pytest.fixture(scope="module")
def served(small_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without optional networks."""
    repository = Path(shutil.copytree(small_repository, tmp_path_factory.mktemp("load") / "model_repository"))
    with running(Settings.on_free_ports(repository, precision="f32")) as started:
        yield started


@pytest.fixture
def ports(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_PORT", str(served.settings.grpc_port))
    monkeypatch.setenv("HTTP_PORT", str(served.settings.http_port))


def save(directory: Path, encoder: str) -> Path:
    config = HeadConfig("linear", "segments", encoder, None, 16, 48, LABELS, multi_label=False)
    directory.mkdir()
    torch.manual_seed(0)
    save_head(KINDS["linear"](config.shape), config, directory)
    return directory


def load(served: Server, *arguments: str) -> int:
    return main([*arguments, "--model-repository", str(served.settings.model_repository)])


def reloads(served: Server) -> float:
    """How often the supervisor took a model for one that died."""
    (metric,) = served.counts.model_reloads.collect()
    return sum(sample.value for sample in metric.samples if sample.name.endswith("_total"))


def stubs(served: Server) -> dict[str, set[int]]:
    return processes_by_model(served.process.pid)


@pytest.mark.usefixtures("ports")
def test_a_head_comes_and_goes_while_videos_are_scored(
    served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = served.settings.model_repository
    motion = json.loads((repository / "weights.json").read_text())["motion"]
    head = save(tmp_path / "moves", motion)
    supervisor = Supervisor(served)
    before = stubs(served)
    networks = {model: before[model] for model in NETWORKS}
    failures: list[ClientError] = []
    scored = 0
    ended = threading.Event()

    def score() -> None:
        nonlocal scored
        with Client(served.url, timeout_seconds=60) as client:
            while not ended.is_set():
                try:
                    client.score(VIDEO)
                    scored += 1
                except ClientError as error:
                    failures.append(error)

    thread = threading.Thread(target=score)
    thread.start()
    try:
        export_networks(None, None, repository, lambda _: None, target="cpu", heads={"moves": head})
        assert load(served, "head_moves") == 0
        said = capsys.readouterr().out.splitlines()
        assert [line.partition(":")[0] for line in said] == [
            *("head_moves", "embedding_copy", "video_sampling", "video_signals", "head_moves")
        ]
        assert said[-1] == "head_moves: ready"
        supervisor.look()
        served_by = stubs(served)["head_moves"]
        with Client(served.url, timeout_seconds=60) as client:
            assert [head.name for head in client.weights().heads] == ["moves"]
            score_of_head = client.score(VIDEO, signals="segments", heads="moves")
        assert score_of_head.segments is not None
        with torch.inference_mode():
            (expected,) = load_head(head)(torch.tensor(np.asarray(score_of_head.segments))).tolist()
        assert score_of_head.heads is not None
        assert score_of_head.heads["moves"] == pytest.approx(dict(zip(LABELS, expected, strict=True)), abs=1e-3)
        # It is watched like the others: neither taken for a process that was left, nor missed.
        assert supervisor._processes["head_moves"] == served_by
        assert reloads(served) == 0
        # The export was loaded: a process that dies costs its model a reload, not the server a restart.
        for pid in served_by:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(alive, served_by)))
        supervisor.look()
        assert (reloads(served), supervisor._restart) == (1, False)
        served_by = stubs(served)["head_moves"]
        with Client(served.url, timeout_seconds=60) as client:
            assert client.score(VIDEO, signals="segments", heads="moves").heads == score_of_head.heads

        export_networks(None, None, repository, lambda _: None, target="cpu", remove=["head_moves"])
        assert load(served, "--remove", "head_moves") == 0
        assert capsys.readouterr().out.splitlines()[-1] == "head_moves: unloaded"
        wait_for(lambda: not any(map(alive, served_by)))
        supervisor.look()
        assert "head_moves" not in supervisor._processes
        with Client(served.url) as client:
            assert client.weights().heads == ()
        assert {model: stubs(served)[model] for model in networks} == networks
        assert reloads(served) == 1
        assert served.loaded_files.replaced() is False
    finally:
        ended.set()
        thread.join()
    assert failures == []
    assert scored > 3


@pytest.mark.usefixtures("ports")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("head_other",), "head_other is not an optional network of {repository} (those are: "),
        (("motion_head",), "motion_head is not an optional network of {repository}"),
    ],
)
def test_what_was_not_exported_is_not_loaded(
    arguments: tuple[str, ...], sentence: str, served: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(served, *arguments) == 1
    assert sentence.format(repository=served.settings.model_repository) in capsys.readouterr().err


@pytest.mark.usefixtures("ports")
def test_a_head_over_another_encoder_than_the_one_that_is_served_is_refused(
    served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((served.settings.model_repository / "weights.json").read_text())
    head = {"model": "head_x", "on": "segments", "encoder": "other@1", "labels": ["a", "b"]}
    for changed, sentence in (
        ({"heads": {"x": head}}, f"head_x learned from embeddings by other@1, not by {manifest['motion']}"),
        (
            {"motion": "other@1", "heads": {"x": head}},
            f"the server has the motion predictor of {manifest['motion']}, and the repository that of other@1: "
            "restart it",
        ),
    ):
        (tmp_path / "weights.json").write_text(json.dumps(manifest | changed))
        assert main(["head_x", "--model-repository", str(tmp_path)]) == 1
        assert capsys.readouterr().err == f"server.load: {sentence}\n"


@pytest.mark.usefixtures("ports")
def test_a_model_that_triton_cannot_load_has_its_reason(
    served: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The manifest of another directory names a head that the server's repository does not have."""
    manifest = json.loads((served.settings.model_repository / "weights.json").read_text())
    head = {"model": "head_absent", "on": "segments", "encoder": manifest["motion"], "labels": ["a", "b"]}
    (tmp_path / "weights.json").write_text(json.dumps(manifest | {"heads": {"absent": head}}))
    assert main(["head_absent", "--model-repository", str(tmp_path)]) == 1
    assert "failed to load 'head_absent', failed to poll from model repository" in capsys.readouterr().err
    with Client(served.url) as client:
        assert client.score(VIDEO).motion is not None


def test_without_a_server_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("GRPC_PORT", "9")
    assert main(["head_moves"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        "server.load: no server of this user listens on gRPC port 9 of 127.0.0.1: start one with `make serve`"
    )


@pytest.mark.usefixtures("ports")
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_ports_of_two_servers_are_told_apart(
    address: str, served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("GRPC_PORT", "9")
    write_key("of another server", address, 9)
    assert load(served, "--remove", "head_moves") == 1
    assert capsys.readouterr().err == (
        f"server.load: the server on HTTP port {served.settings.http_port} is another one than that on gRPC port 9: "
        "set HTTP_PORT and GRPC_PORT to the ports of one server\n"
    )


@pytest.mark.usefixtures("ports")
def test_a_port_without_a_server_is_a_sentence(
    served: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HTTP_PORT", str(port))
    assert load(served, "--remove", "head_moves") == 1
    assert f"the server at http://127.0.0.1:{port}/v2 does not answer: " in capsys.readouterr().err
    assert load(served, "--remove", "head_moves", "--url", "here") == 1
    assert "the server at here/v2 does not answer: unknown url type" in capsys.readouterr().err


@pytest.mark.usefixtures("ports")
def test_ctrl_c_has_its_status(served: Server) -> None:
    """While a server that never answers is asked."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        repository = served.settings.model_repository
        command = (sys.executable, "-m", "server.load", "--remove", "head_moves", "--model-repository", str(repository))
        environment = os.environ | {"HTTP_PORT": str(silent.getsockname()[1])}
        # A shell starts background jobs with SIGINT ignored, which children inherit.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        loading = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        signal.signal(signal.SIGINT, before)
        with loading:
            connection, _ = silent.accept()
            with connection:
                loading.send_signal(signal.SIGINT)
                _, error = loading.communicate(timeout=30)
    assert (loading.returncode, error) == (130, "")


@pytest.mark.slow
def test_a_tritonserver_by_itself_loads_a_head(
    small_repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With explicit model control, as in a container without `python -m server`."""
    repository = Path(shutil.copytree(small_repository, tmp_path / "model_repository"))
    head = save(tmp_path / "moves", json.loads((repository / "weights.json").read_text())["motion"])
    with alone(repository) as (http, grpc):
        export_networks(None, None, repository, lambda _: None, target="cpu", heads={"moves": head})
        assert main(["head_moves", "--model-repository", str(repository), "--url", f"http://{http}"]) == 0
        assert capsys.readouterr().out.endswith("\nhead_moves: ready\n")
        with Client(grpc, timeout_seconds=60) as client:
            assert client.weights().heads[0].name == "moves"
            found = client.score(VIDEO, signals="segments", heads="moves").heads
        assert found is not None
        assert set(found["moves"]) == set(LABELS)


@contextmanager
def alone(repository: Path) -> Iterator[tuple[str, str]]:
    """A tritonserver with explicit model control, and its HTTP and gRPC addresses."""
    settings = Settings.on_free_ports(repository, precision="f32")
    http, grpc = (f"127.0.0.1:{port}" for port in (settings.http_port, settings.grpc_port))
    command = (
        *(str(Path(sys.executable).with_name("tritonserver")), f"--model-repository={repository}"),
        *("--model-config-name=cpu", "--model-control-mode=explicit", "--load-model=*"),
        *(f"--http-port={settings.http_port}", f"--grpc-port={settings.grpc_port}", "--allow-metrics=false"),
    )
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with Client(grpc) as client:
                wait_for(client.is_ready, seconds=60)
            yield http, grpc
        finally:
            process.send_signal(signal.SIGINT)


def test_a_wrong_port_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GRPC_PORT", "x")
    assert main(["head_moves"]) == 1
    assert "GRPC_PORT" in capsys.readouterr().err


def test_the_supervisor_learns_which_models_are_changed(tmp_path: Path) -> None:
    control = ModelControl(lambda model: frozenset({len(model)}), LoadedFiles(tmp_path))
    with control.change(b"POST", b"/v2/repository/models/head_moves/load"):
        assert control.busy() == {"head_moves"}
        assert control.made() == []
    assert control.busy() == frozenset()
    assert control.made() == [Change("head_moves", True, frozenset({10}))]
    assert control.made() == []
    for method, target in ((b"GET", b"/v2/repository/models/a/load"), (b"POST", b"/v2/models/a/infer")):
        with control.change(method, target):
            assert control.busy() == frozenset()
    with pytest.raises(OSError, match="no"), control.change(b"POST", b"/v2/repository/models/a/unload"):
        raise OSError("no")
    assert control.made() == [Change("a", False, frozenset({1}))]


def test_a_change_that_cannot_begin_leaves_the_supervisor_to_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if an export removes a folder while the files of a model are looked at."""
    files = LoadedFiles(tmp_path)
    control = ModelControl(lambda _: frozenset(), files)

    def fail(_: str) -> None:
        raise FileNotFoundError("a/1")

    monkeypatch.setattr(files, "stamp", fail)
    with (
        pytest.raises(FileNotFoundError, match="a/1"),
        control.change(b"POST", b"/v2/repository/models/a/load"),
    ):
        pass
    assert control.busy() == frozenset()
    assert control.made() == []

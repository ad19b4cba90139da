"""GATE=off: no proxy, tritonserver itself listens on the gRPC port, and everything else stays as it is."""

import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import grpc as grpc_core
import pytest
import trustme
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from client import Client, ServerUnavailable, Tls
from fixtures.synthetic import encode
from server import ServerFailed, Settings, running
from server.flags import GRPC_KEY_NAME
from server.tls import ServerTls
from tests.metrics import scrape
from tests.processes import stubs
from tests.test_bad_input import call, to_decode
from tests.test_serve import drain, run_server, serving
from tests.test_tls import Certificates, write

VIDEO = encode(20)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write(trustme.CA(), tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write(trustme.CA(), tmp_path_factory.mktemp("tls") / "others")


@pytest.mark.slow
def test_without_the_proxy_the_supervisor_and_the_closed_apis_stay(small_repository: Path) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    url, http = f"127.0.0.1:{settings.grpc_port}", f"http://127.0.0.1:{settings.http_port}/v2"
    with serving(settings, GATE="off") as process:
        lines = drain(process.stdout)
        with Client(url, away_seconds=60) as client:
            expected = client.score(VIDEO)
            (victim,) = stubs(process.pid, "motion_head")
            os.kill(victim, signal.SIGKILL)
            deadline = time.monotonic() + 30
            while stubs(process.pid, "motion_head") in ([], [victim]):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert client.score(VIDEO) == expected
        with grpc.InferenceServerClient(url) as triton:
            for ask in (
                triton.get_model_repository_index,
                triton.get_system_shared_memory_status,
                triton.get_trace_settings,
                triton.get_log_settings,
            ):
                with pytest.raises(InferenceServerException, match="This protocol is restricted"):
                    ask()
        for path in ("repository/index", "models/video_motion/infer"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(urllib.request.Request(f"{http}/{path}", data=b"{}"), timeout=10)
            assert caught.value.code == 403
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) == 0
    assert 'video_motion_model_reloads_total{model="motion_head"} 1.0' in metrics
    assert "nv_inference_request_success" in metrics
    assert "video_motion_requests_waiting" not in metrics  # there is no queue
    assert "server: motion_head is ready again after " in "".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutual", [pytest.param(False, marks=pytest.mark.slow, id="encrypted"), pytest.param(True, id="mutual")]
)
def test_tritonserver_itself_does_tls(
    mutual: bool, small_repository: Path, certificates: Certificates, others: Certificates
) -> None:
    tls = ServerTls(certificates.server, certificates.server_key, certificates.ca if mutual else None)
    settings = Settings.on_free_ports(small_repository, precision="f32", proxy=False, tls=tls)
    trusted = Tls(certificates.ca, certificates.client, certificates.client_key)
    refused = [None, Tls(others.ca, certificates.client, certificates.client_key)]
    if mutual:
        refused += [Tls(certificates.ca), Tls(certificates.ca, others.client, others.client_key)]
    with running(settings) as server:
        assert server.proxy is None
        url = f"localhost:{settings.grpc_port}"
        with Client(url, tls=trusted) as client:
            assert client.score(VIDEO).info.frames == 20
        if not mutual:
            with Client(url, tls=Tls(certificates.ca)) as anybody:
                assert anybody.weights().labels
        for files in refused:
            with Client(url, tls=files, timeout_seconds=10) as client, pytest.raises(ServerUnavailable):
                client.weights()
        assert any(name.startswith("nv_") for name, _ in scrape(server))
        ca = certificates.ca.read_bytes()
        pair = certificates.client_key.read_bytes(), certificates.client.read_bytes()
        credentials = grpc_core.ssl_channel_credentials(ca, *pair)
        with grpc.InferenceServerClient(url, ssl=True, creds=credentials) as triton:
            with pytest.raises(InferenceServerException, match="This protocol is restricted"):
                triton.get_model_repository_index()
            assert triton.get_model_repository_index(headers={GRPC_KEY_NAME: server.key}).models


@pytest.mark.slow
def test_an_ipv6_address_is_listened_on(small_repository: Path) -> None:
    with (
        running(Settings.on_free_ports(small_repository, precision="f32", address="::1", proxy=False)) as server,
        Client(server.url) as client,
    ):
        assert client.score(VIDEO).info.frames == 20


@pytest.mark.slow
@pytest.mark.parametrize("open_by", [{"proxy": False}, {"open_video_decode": True}], ids=str)
def test_the_decoder_is_open_if_a_setting_says_so(open_by: dict[str, bool], small_repository: Path) -> None:
    with running(Settings.on_free_ports(small_repository, precision="f32", **open_by)) as server:
        assert call(server, "video_decode", to_decode(16, 16, 16)).as_numpy("MOTION_CLIPS").shape[0] == 1
        with pytest.raises(InferenceServerException, match="all orders are empty"):
            call(server, "video_decode", to_decode(16, 0, 0))


@pytest.mark.parametrize("value", ["no", "OFF", "0"])
def test_another_value_is_an_error_that_names_the_variable(value: str, tmp_path: Path) -> None:
    with pytest.raises(ServerFailed, match=f"GATE is '{value}', it must be on or off"):
        Settings.from_environment(tmp_path, {"GATE": value})
    result = run_server(Settings.on_free_ports(tmp_path), GATE=value)
    assert result.returncode == 1
    assert result.stderr == f"server: GATE is '{value}', it must be on or off\n"


def test_the_proxy_is_on_by_default(tmp_path: Path) -> None:
    assert [Settings.from_environment(tmp_path, {"GATE": value}).proxy for value in ("", "on", "off")] == [
        True, True, False,
    ]  # fmt: skip
    assert Settings.from_environment(tmp_path, {}).proxy

"""TLS, mutual TLS, and the key to the closed APIs."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import trustme
from tritonclient import grpc
from tritonclient.utils import InferenceServerException, shared_memory

from client import AsyncClient, Client, ServerUnavailable, Tls, UnreadableFile
from fixtures.synthetic import encode
from server import Server, ServerFailed, Settings
from server import proxy as server_proxy
from server.flags import GRPC_KEY_NAME
from server.ports import free_ports
from server.preflight import problems
from server.tls import ServerTls

VIDEO = encode(20)


@dataclass(frozen=True)
class Certificates:
    """PEM files of a test's own authority."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def write(authority: trustme.CA, directory: Path) -> Certificates:
    directory.mkdir()
    paths = Certificates(
        *(directory / f"{name}.pem" for name in ("ca", "server", "server_key", "client", "client_key"))
    )
    authority.cert_pem.write_to_path(str(paths.ca))
    for issued, certificate, key in (
        (authority.issue_cert("localhost", "127.0.0.1"), paths.server, paths.server_key),
        (authority.issue_cert("caller@example.org"), paths.client, paths.client_key),
    ):
        issued.private_key_pem.write_to_path(str(key))
        for blob in issued.cert_chain_pems:
            blob.write_to_path(str(certificate), append=True)
    return paths


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write(trustme.CA(), tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write(trustme.CA(), tmp_path_factory.mktemp("tls") / "others")


@pytest.fixture(params=["encrypted", "mutual"])
def encrypted(request: pytest.FixtureRequest, server: Server, certificates: Certificates) -> Iterator[tuple[str, bool]]:
    """The address of an encrypted proxy to the server, and whether callers need a certificate."""
    mutual = request.param == "mutual"
    tls = ServerTls(certificates.server, certificates.server_key, certificates.ca if mutual else None)
    (port,) = free_ports("127.0.0.1", 1)
    proxy = server_proxy.Proxy("127.0.0.1", port, server.upstream, tls)
    yield f"localhost:{port}", mutual
    proxy.close()


def test_a_caller_with_the_right_certificates_is_answered(
    encrypted: tuple[str, bool], certificates: Certificates, client: Client
) -> None:
    url, _ = encrypted
    expected = client.score(VIDEO)
    tls = Tls(certificates.ca, certificates.client, certificates.client_key)
    with Client(url, tls=tls) as ours:
        assert ours.score(VIDEO) == expected

    async def score() -> object:
        async with AsyncClient(url, tls=tls) as ours:
            return await ours.score(VIDEO)

    assert asyncio.run(score()) == expected


def test_other_callers_are_refused(
    encrypted: tuple[str, bool], certificates: Certificates, others: Certificates
) -> None:
    url, mutual = encrypted
    refused = [None, Tls(others.ca, certificates.client, certificates.client_key)]
    if mutual:
        refused += [Tls(certificates.ca), Tls(certificates.ca, others.client, others.client_key)]
    else:
        with Client(url, tls=Tls(certificates.ca)) as anybody:
            assert anybody.weights().labels
    for tls in refused:
        with Client(url, tls=tls, timeout_seconds=10) as client, pytest.raises(ServerUnavailable):
            client.weights()


def test_the_command_line_takes_the_same_files(
    encrypted: tuple[str, bool], certificates: Certificates, tmp_path: Path
) -> None:
    url, _ = encrypted
    video = tmp_path / "video.mp4"
    video.write_bytes(VIDEO)
    files = {"ca": certificates.ca, "certificate": certificates.client, "key": certificates.client_key}
    flags = [part for name, path in files.items() for part in (f"--tls-{name}", str(path))]
    command = [sys.executable, "-m", "client.score", "--url", url, *flags, str(video)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["info"]["frames"] == 20


def test_files_that_cannot_be_used_are_named(certificates: Certificates, others: Certificates, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=f"cannot read {tmp_path}/none.pem: No such file"):
        Client(tls=Tls(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="a certificate and its key must be given together"):
        Tls(certificate=certificates.client)
    text = tmp_path / "text.pem"
    text.write_text("not a certificate")
    for tls, message in (
        (ServerTls(tmp_path / "none.pem", certificates.server_key), "cannot be used: No such file"),
        (ServerTls(text, certificates.server_key), "cannot be used: not a valid PEM file"),
        (
            ServerTls(certificates.server, others.server_key),
            "cannot be used: the key does not belong to the certificate",
        ),
        (ServerTls(certificates.server, certificates.server_key, text), f"{text} cannot be used: not a valid PEM"),
    ):
        found = problems(tmp_path, "127.0.0.1", {}, tls=tls)
        assert any(message in problem for problem in found), found


def test_the_environment_names_the_certificates(certificates: Certificates, tmp_path: Path) -> None:
    def tls(**environment: Path) -> ServerTls | None:
        return Settings.from_environment(tmp_path, {name: str(path) for name, path in environment.items()}).tls

    assert tls() is None
    for one in ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA"):
        with pytest.raises(ServerFailed, match="TLS needs both TLS_CERTIFICATE and TLS_KEY"):
            tls(**{one: certificates.server})
    files = {"TLS_CERTIFICATE": certificates.server, "TLS_KEY": certificates.server_key}
    assert tls(**files) == ServerTls(certificates.server, certificates.server_key)
    mutual = ServerTls(certificates.server, certificates.server_key, certificates.ca)
    assert tls(**files, TLS_CLIENT_CA=certificates.ca) == mutual


def unregister(triton: grpc.InferenceServerClient, name: str, headers: dict[str, str]) -> None:
    """Triton says that a region is in use for a moment after it has answered."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return triton.unregister_system_shared_memory(name, headers=headers)
        except InferenceServerException as error:
            if "currently in use" not in error.message() or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def test_the_key_opens_shared_memory(server: Server) -> None:
    assert stat.S_IMODE(server.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.key_file.parent.stat().st_mode) == 0o700
    headers = {GRPC_KEY_NAME: server.key_file.read_text()}
    name = f"/video_motion_test_{os.getpid()}"
    region = shared_memory.create_shared_memory_region("video", name, len(VIDEO))
    try:
        shared_memory.set_shared_memory_region(region, [np.frombuffer(VIDEO, np.uint8)])
        with grpc.InferenceServerClient(server.url) as triton:
            with pytest.raises(InferenceServerException, match="This protocol is restricted"):
                triton.register_system_shared_memory("video", name, len(VIDEO))
            triton.register_system_shared_memory("video", name, len(VIDEO), headers=headers)
            tensor = grpc.InferInput("VIDEO", [1, len(VIDEO)], "UINT8")
            tensor.set_shared_memory("video", len(VIDEO))
            shared = triton.infer("video_motion", [tensor]).as_numpy("MOTION_SCORES")
            unregister(triton, "video", headers)
            tensor = grpc.InferInput("VIDEO", [1, len(VIDEO)], "UINT8")
            tensor.set_data_from_numpy(np.frombuffer(VIDEO, np.uint8)[None])
            sent = triton.infer("video_motion", [tensor]).as_numpy("MOTION_SCORES")
    finally:
        shared_memory.destroy_shared_memory_region(region)
    np.testing.assert_array_equal(shared, sent)


NOISE = """
import socket, sys
from pathlib import Path
from server.proxy import Proxy
from server.tls import ServerTls
port, certificate, key = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
proxy = Proxy("127.0.0.1", port, "127.0.0.1:9", ServerTls(certificate, key, None))
for _ in range(30):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
        while connection.recv(4096):
            pass
proxy.close()
"""


def test_failed_handshakes_are_not_logged(certificates: Certificates) -> None:
    """Callers could fill the disk with them."""
    (port,) = free_ports("127.0.0.1", 1)
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    command = [sys.executable, "-c", NOISE, str(port), str(certificates.server), str(certificates.server_key)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")

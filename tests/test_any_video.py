"""`Client.score` raises a `ClientError` and nothing else, whatever path, bytes, parameters or answer it gets."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client import AsyncClient, Client, ClientError, InvalidRequest, Score, ServerError, UnreadableFile
from client._sdk.connections import Connections
from tests.stub_server import OUTPUTS, StubConnection

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # with NUL, surrogates and everything else
PARTS = st.sampled_from(
    ["/", "..", ".", "\0", "\ud800", "\udcff", "~", "x" * 300, "y/" * 2500, "dev", "zero", "folder", "a.mp4"]
)
NAMES = ANY_TEXT | st.lists(PARTS | ANY_TEXT, max_size=5).map("/".join)


class PathOf:
    """A path as programs have it: of text or of bytes."""

    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> Any:
        return self.path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any")
    (folder / "folder").mkdir()
    (folder / "a.mp4").write_text("a video")
    (folder / "empty.mp4").touch()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    return folder


@contextmanager
def stub_client(outputs: dict[str, Any] | None = None) -> Iterator[Client]:
    with Client("localhost:9") as client:
        client._connections = Connections(lambda *_, **__: StubConnection(outputs))
        yield client


def asked(client: Client, video: Any, **parameters: Any) -> Score | ClientError:
    """The score or the `ClientError`; everything else is raised."""
    try:
        return client.score(video, **parameters)
    except ClientError as raised:
        error = raised
    assert 0 < len(str(error)) < 500
    return error


@given(NAMES)
def test_any_path_is_scored_or_a_client_error(folder: Path, name: str) -> None:
    with stub_client() as client:
        for path in (name, os.path.join(folder, name), PathOf(name), PathOf(name.encode("utf-8", "surrogatepass"))):
            result = asked(client, path)
            assert isinstance(result, Score | UnreadableFile | InvalidRequest)


@given(st.binary())
def test_any_bytes_are_scored_or_a_client_error(content: bytes) -> None:
    with stub_client() as client:
        result = asked(client, content)
        assert isinstance(result, Score) is bool(content)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "No such file or directory"),
        ("a\0.mp4", "its name has an embedded null byte"),
        ("\ud800.mp4", "no file can have this name"),
        ("x" * 5000 + ".mp4", "File name too long"),
        ("folder", "it is a directory or a device"),
        ("pipe.mp4", "it is a directory or a device"),
        ("loop.mp4", "Too many levels of symbolic links"),
        ("gone.mp4", "No such file or directory"),
        ("a.mp4/b.mp4", "Not a directory"),
        (None, "it has the type NoneType, not that of a path or bytes"),
        (5, "it has the type int, not that of a path or bytes"),
        (["a.mp4"], "it has the type list, not that of a path or bytes"),
    ],
)
def test_what_cannot_be_read_says_why(name: Any, message: str, folder: Path) -> None:
    path = os.path.join(folder, name) if isinstance(name, str) and name else name
    with stub_client() as client, pytest.raises(UnreadableFile, match=f"^cannot read the file: {message}$"):
        client.score(path)

    async def ask() -> None:
        async with AsyncClient("localhost:9") as asynchronous:
            await asynchronous.score(path)

    with pytest.raises(UnreadableFile, match=message):
        asyncio.run(ask())


def test_a_file_that_no_memory_is_left_for_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("client._sdk.request.np.fromfile", no_memory)
    with stub_client() as client, pytest.raises(UnreadableFile, match="no memory for its 7 bytes"):
        client.score(folder / "a.mp4")


NUMBERS: st.SearchStrategy[Any] = (
    st.none() | st.integers() | st.floats() | st.text() | st.booleans() | st.complex_numbers() | st.just([])
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(["fps", "max_frames", "start_seconds", "max_clips"]) | st.text(), NUMBERS))
def test_any_parameters_are_sent_or_a_client_error(parameters: dict[str, Any]) -> None:
    with stub_client() as client:
        asked(
            client, b"a video", **{name: value for name, value in parameters.items() if name not in ("self", "video")}
        )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"speed": 2}, "there is no parameter 'speed'"),
        ({"fps": "fast"}, "the parameter fps is not a number"),
        ({"max_frames": 10**400}, "the parameter max_frames is not a number"),
    ],
)
def test_a_wrong_parameter_is_an_invalid_request(parameters: dict[str, Any], message: str) -> None:
    with stub_client() as client, pytest.raises(InvalidRequest, match=message) as raised:
        client.score(b"a video", **parameters)
    assert raised.value.reason == "invalid_parameter"
    assert isinstance(raised.value, TypeError) is ("speed" in parameters)  # as for any unknown argument in Python


TENSORS = st.sampled_from(
    [None, np.zeros((0,)), np.zeros((1, 3)), np.array([b"{}"], object), np.array([b"\xff"], object)]
) | st.binary(max_size=9).map(lambda content: np.array([content], object))


@settings(max_examples=150)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(OUTPUTS, TENSORS)))
def test_any_answer_is_a_score_or_a_client_error(changed: dict[str, Any]) -> None:
    with stub_client(OUTPUTS | changed) as client:
        result = asked(client, b"a video")
        assert isinstance(result, Score | ServerError)
        with suppress(ServerError):
            client.weights()


def test_a_client_that_is_closed_says_so() -> None:
    client = Client("localhost:9")
    client.close()
    with pytest.raises(ClientError, match="the client is closed"):
        client.score(b"a video")
    assert not client.is_ready()

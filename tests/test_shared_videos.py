"""Videos that go from the proxy to the models in a file of shared memory."""

import contextlib
import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

import server.proxy
from client import Client
from fixtures.stripped import video_of
from fixtures.synthetic import encode
from server import Server
from server.cpu_shares import CpuShares
from server.flags import forwards_marks
from server.leftovers import remove_leftovers
from server.proxy import INFER, MESSAGES
from server.request_video import find_video
from server.settings import Settings
from tests.test_isolation import orders_of
from tests.test_serve import drain, requests_in_flight, serving, wait_until_gone
from tests.upstream import Upstream, proxied, upstream
from tests.waiting import wait_for
from video import DecoderFailed, InvalidParameter, IsolatedDecoder, Limits
from video.call_files import new_token
from video.processes import descendants
from video.shared_memory import DIRECTORY
from video.shared_videos import MARK, VARIABLE, SharedVideos, VideoFile
from video.strip import Strip

__all__ = ["upstream"]

VIDEO = encode(60)
FORGED = ["0", "../../../etc/passwd", "/etc/passwd", "0" * 31 + "/", "A" * 32, "²" * 32, "", "0" * 33, "0" * 32 + "\n"]


def message(content: bytes = VIDEO, model: str = "video_motion") -> service_pb2.ModelInferRequest:
    """A request as clients write it."""
    request = service_pb2.ModelInferRequest(model_name=model, id="x", raw_input_contents=[content])
    request.parameters["max_frames"].int64_param = 16
    request.inputs.add(name="VIDEO", datatype="UINT8", shape=[1, len(content)])
    request.outputs.add(name="VIDEO_INFO")
    return request


@pytest.mark.parametrize("content", [b"x", bytes(127), bytes(128), bytes(3_000_000)])
def test_a_video_is_found_and_the_rest_of_the_request_stays(content: bytes) -> None:
    request = message(content)
    serialized = request.SerializeToString()
    found = find_video(serialized)
    assert found is not None
    assert serialized[found.start : found.end] == content
    rest = service_pb2.ModelInferRequest.FromString(found.rest)
    request.inputs[0].shape[:] = [1, 1]
    request.raw_input_contents[:] = [b"\0"]
    assert rest == request


def changed(change: Callable[[service_pb2.ModelInferRequest], object]) -> bytes:
    request = message()
    change(request)
    return request.SerializeToString()


OTHERS = {
    "empty": message(b"").SerializeToString(),
    "no input": changed(lambda request: request.ClearField("inputs")),
    "no content": changed(lambda request: request.ClearField("raw_input_contents")),
    "two inputs": changed(lambda request: request.inputs.add(name="VIDEO", datatype="UINT8", shape=[1, len(VIDEO)])),
    "two contents": changed(lambda request: request.raw_input_contents.append(b"x")),
    "another input": changed(lambda request: setattr(request.inputs[0], "name", "VIDEOS")),
    "another type": changed(lambda request: setattr(request.inputs[0], "datatype", "INT8")),
    "another size": changed(lambda request: request.inputs[0].shape.__setitem__(1, len(VIDEO) + 1)),
    "another rank": changed(lambda request: request.inputs[0].shape.append(1)),
    "two videos": changed(lambda request: request.inputs[0].shape.__setitem__(0, 2)),
    "no shape": changed(lambda request: request.inputs[0].ClearField("shape")),
    "in shared memory": changed(
        lambda request: setattr(request.inputs[0].parameters["shared_memory_region"], "string_param", "r")
    ),
    "as contents": changed(lambda request: request.inputs[0].contents.uint_contents.append(1)),
    "cut off": message().SerializeToString()[:-1],
    "a number for the content": message().SerializeToString() + b"\x38\x01",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_any_other_request_stays_as_it_is(kind: str) -> None:
    assert find_video(OTHERS[kind]) is None


@given(st.lists(st.sampled_from([message(b"abc").SerializeToString(), b"\x0a\x05other", b"\x08\x05"])), st.binary())
def test_what_is_found_is_what_protobuf_finds(parts: list[bytes], end: bytes) -> None:
    serialized = b"".join(parts) + end
    found = find_video(serialized)
    if found is None:
        return
    parsed = service_pb2.ModelInferRequest.FromString(serialized)
    assert list(parsed.raw_input_contents) == [serialized[found.start : found.end]]
    assert service_pb2.ModelInferRequest.FromString(found.rest).model_name == parsed.model_name


@pytest.fixture
def shared(tmp_path: Path) -> SharedVideos:
    return SharedVideos(f"{tmp_path}/video_")


def written(shared: SharedVideos, content: bytes = VIDEO) -> str:
    token = new_token()
    shared.write(token, memoryview(content))
    return token


def test_a_file_is_for_its_user_only_and_is_removed_with_its_call(shared: SharedVideos) -> None:
    token = written(shared)
    shared.write(token, np.arange(5, dtype=np.uint8).data, stripped=True)
    path = shared.path(token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with shared.opened(token) as file, shared.opened(token, stripped=True) as stripped:
        shared.remove(token)
        shared.remove(token)  # a call whose models have removed it
        assert list(path.parent.iterdir()) == []
        assert os.pread(file.descriptor, file.nbytes + 1, 0) == VIDEO  # a reader keeps it
        assert os.pread(stripped.descriptor, stripped.nbytes + 1, 0) == bytes(range(5))
    with pytest.raises(DecoderFailed, match=r"^the server has no video for this call any more"):
        shared.opened(token).__enter__()


def test_the_name_of_a_file_is_no_token(shared: SharedVideos) -> None:
    """Every user of the machine can list /dev/shm."""
    token = written(shared)
    (path,) = files(shared)
    listed = path.name.removeprefix("video_")
    assert token not in path.name
    with pytest.raises(DecoderFailed, match=r"^the server has no video for this call any more"):
        shared.opened(listed).__enter__()


def test_no_file_is_written_twice(shared: SharedVideos) -> None:
    with pytest.raises(FileExistsError):
        shared.write(written(shared), memoryview(VIDEO))


@pytest.mark.parametrize("token", [*FORGED, 0, None, 1.5, True])
def test_a_forged_token_names_no_file(token: object, shared: SharedVideos) -> None:
    for stripped in (False, True):
        with pytest.raises(InvalidParameter, match=r"^triton_video is .*, which only the server sets: no file has"):
            shared.opened(token, stripped=stripped).__enter__()  # type: ignore[arg-type]


def test_a_link_is_not_followed(shared: SharedVideos, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(VIDEO)
    token = new_token()
    shared.path(token).symlink_to(tmp_path / "secret")
    with pytest.raises(DecoderFailed):
        shared.opened(token).__enter__()


def test_models_learn_from_the_environment(shared: SharedVideos) -> None:
    found = SharedVideos.from_environment(shared.environment)
    assert found is not None
    token = new_token()
    assert found.path(token) == shared.path(token)
    assert SharedVideos.from_environment({}) is SharedVideos.from_environment({VARIABLE: ""}) is None


def test_videos_are_copied_if_the_user_chose_which_metadata_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_FLAGS", raising=False)
    assert forwards_marks()
    monkeypatch.setenv("TRITON_FLAGS", "--log-verbose=1")
    assert forwards_marks()
    monkeypatch.setenv("TRITON_FLAGS", "--log-verbose=1 --grpc-header-forward-pattern=^x-.*$")
    assert not forwards_marks()


@pytest.mark.heavy
def test_a_decoder_reads_an_open_file_as_it_reads_memory(shared: SharedVideos) -> None:
    video = video_of("x264, groups of 20")
    decoder = IsolatedDecoder(Limits())
    try:
        expected = decoder.plan(memoryview(video), {}, strip=Strip.FOR_FFMPEG)
        token = written(shared, video)
        shared.write(token, expected["stripped_video"].data, stripped=True)
        with shared.opened(token) as file, shared.opened(token, stripped=True) as stripped:
            plan = decoder.plan(file, {}, strip=Strip.FOR_FFMPEG)
            assert np.array_equal(plan.pop("stripped_video"), expected.pop("stripped_video"))
            assert plan == expected
            clips = [
                decoder.decode(given, *orders_of(plan), 224, stripped_video=other, stripped_indices=indices)
                for given, other, indices in (
                    (memoryview(video), None, None),
                    (file, None, None),
                    (file, stripped, np.array(plan["stripped_indices"])),
                )
            ]
        for motion, camera, *_ in clips[1:]:
            assert np.array_equal(motion, clips[0].motion)
            assert np.array_equal(camera, clips[0].camera)
        with shared.opened(token) as file:
            small = VideoFile(file.descriptor, Limits().max_bytes + 1)
            with pytest.raises(Exception, match="the maximum is"):
                decoder.plan(small, {})
    finally:
        decoder.close()


@pytest.fixture
def handing_on(shared: SharedVideos, tmp_path: Path) -> dict[str, Any]:
    """The settings of a proxy that hands videos on."""
    return {"cpu_shares": CpuShares(tmp_path / "shares", 4), "shared_videos": shared}


@contextlib.contextmanager
def held(upstream: Upstream, channel: grpc.Channel) -> Iterator[grpc.Future]:
    """A call that has reached `upstream`, which answers it after the block."""
    there, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        there.set()
        go_on.wait(30)

    upstream.during = wait
    call = channel.unary_unary(INFER).future(message().SerializeToString(), timeout=30)
    try:
        assert there.wait(30)
        yield call
    finally:
        go_on.set()


def files(shared: SharedVideos) -> list[Path]:
    """The files of all calls."""
    prefix = Path(shared._prefix)
    return sorted(prefix.parent.glob(f"{prefix.name}*"))


@pytest.mark.parametrize("model", ["video_motion", "video_signals"])
@pytest.mark.parametrize("size", [100, 8 << 20])
def test_a_video_of_an_ensemble_is_in_a_file_until_its_call_ends(
    model: str, size: int, upstream: Upstream, shared: SharedVideos, handing_on: dict[str, Any]
) -> None:
    video = bytes(range(100)) + bytes(size - 100)
    found: list[bytes] = []

    def look() -> None:
        with shared.opened(str(upstream.calls[-1][1][MARK])) as file:
            found.append(os.pread(file.descriptor, size + 1, 0))

    upstream.during = look
    with proxied(upstream, **handing_on) as (_, channel):
        answer = channel.unary_unary(INFER)(
            message(video, model).SerializeToString(), timeout=30, metadata=[(MARK, FORGED[1])]
        )
        wait_for(lambda: not files(shared))
    assert found == [video]
    expected = message(b"\0", model)
    assert service_pb2.ModelInferRequest.FromString(answer) == expected


@pytest.mark.parametrize("model", ["video_decode", "video_sampling", "motion_backbone", "another"])
def test_a_model_that_is_called_by_itself_gets_its_input_itself(
    model: str, upstream: Upstream, shared: SharedVideos, handing_on: dict[str, Any]
) -> None:
    sent = message(model=model).SerializeToString()
    with proxied(upstream, **handing_on) as (_, channel):
        assert channel.unary_unary(INFER)(sent, timeout=30, metadata=[(MARK, new_token())]) == sent
    assert MARK not in upstream.calls[-1][1]


@pytest.mark.parametrize("kind", ["empty", "two inputs", "in shared memory"])
def test_an_unusual_request_reaches_triton_as_it_is(kind: str, upstream: Upstream, handing_on: dict[str, Any]) -> None:
    with proxied(upstream, **handing_on) as (_, channel):
        answer = channel.unary_unary(INFER)(OTHERS[kind], timeout=30, metadata=[(MARK, "x")])
    assert answer == OTHERS[kind]
    assert MARK not in upstream.calls[-1][1]


def test_a_video_stays_until_triton_has_answered_a_caller_that_has_gone(
    upstream: Upstream, shared: SharedVideos, handing_on: dict[str, Any]
) -> None:
    with proxied(upstream, **handing_on) as (_, channel):
        with held(upstream, channel) as call:
            call.cancel()
            wait_for(call.cancelled)
            time.sleep(0.2)  # the proxy learns it a moment later
            assert len(files(shared)) == 1
        wait_for(lambda: not files(shared))


def test_a_proxy_that_is_closed_removes_what_is_in_flight(
    upstream: Upstream, shared: SharedVideos, handing_on: dict[str, Any]
) -> None:
    with contextlib.ExitStack() as answered:
        with proxied(upstream, **handing_on) as (_, channel):
            call = answered.enter_context(held(upstream, channel))
            assert len(files(shared)) == 1
        assert files(shared) == []
    assert call.exception(30) is not None


def test_a_video_that_has_no_room_can_be_sent_again(
    upstream: Upstream, shared: SharedVideos, handing_on: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_with(number: int) -> Callable[..., None]:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        return fail

    no_room, too_many = "has no room for this video: retry later", "shared memory (Too many open files): retry later"
    with proxied(upstream, **handing_on) as (_, channel):
        infer = channel.unary_unary(INFER)
        for what, name, instead, sentence in (
            (server.proxy, "free_bytes", lambda: len(VIDEO) - 1, no_room),
            (shared, "write", fail_with(errno.ENOSPC), no_room),
            (shared, "write", fail_with(errno.EMFILE), too_many),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(what, name, instead)
                with pytest.raises(grpc.RpcError) as raised:
                    infer(message().SerializeToString(), timeout=30)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert sentence in raised.value.details()
        assert upstream.calls == []
        assert infer(message().SerializeToString(), timeout=30)
    assert files(shared) == []


def holding(shared: SharedVideos, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Set when a file is about to be written, and to be set for it to be written."""
    there, go_on = threading.Event(), threading.Event()
    write = shared.write

    def held(token: str, content: memoryview) -> None:
        there.set()
        go_on.wait(30)
        write(token, content)

    monkeypatch.setattr(shared, "write", held)
    return there, go_on


def test_what_is_being_written_counts_as_taken(
    upstream: Upstream, shared: SharedVideos, handing_on: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, go_on = holding(shared, monkeypatch)
    monkeypatch.setattr(server.proxy, "free_bytes", lambda: 2 * len(VIDEO) - 1)
    with proxied(upstream, **handing_on) as (_, channel):
        infer = channel.unary_unary(INFER)
        first = infer.future(message().SerializeToString(), timeout=30)
        assert there.wait(30)
        with pytest.raises(grpc.RpcError) as raised:
            infer(message().SerializeToString(), timeout=30)
        assert "has no room for this video: retry later" in raised.value.details()
        go_on.set()
        assert first.result(30)
        assert infer(message().SerializeToString(), timeout=30)


def test_a_proxy_that_is_closed_while_a_file_is_written_leaves_none(
    upstream: Upstream, shared: SharedVideos, handing_on: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, go_on = holding(shared, monkeypatch)
    with proxied(upstream, **handing_on) as (_, channel):
        call = channel.unary_unary(INFER).future(message().SerializeToString(), timeout=30)
        assert there.wait(30)
        threading.Timer(0.3, go_on.set).start()  # after the call was cancelled
    assert call.exception(30) is not None
    assert upstream.calls == []
    assert files(shared) == []


def of_server(server: Server) -> SharedVideos:
    """The files of a running server."""
    assert server._shared_videos is not None
    return server._shared_videos


def ask(url: str, request: service_pb2.ModelInferRequest, **metadata: str) -> service_pb2.ModelInferResponse:
    with grpc.insecure_channel(url, options=MESSAGES) as channel:
        call = channel.unary_unary(INFER, response_deserializer=service_pb2.ModelInferResponse.FromString)
        return call(request.SerializeToString(), timeout=60, metadata=list(metadata.items()))


def whole(content: bytes) -> service_pb2.ModelInferRequest:
    """A request for every output."""
    request = message(content)
    request.ClearField("outputs")
    request.ClearField("parameters")
    return request


@pytest.mark.parametrize("stripped", [False, True])
def test_a_video_has_the_same_answer_in_a_file_and_in_bytes(stripped: bool, server: Server) -> None:
    video, few = (video_of("x265, layers"), {"max_frames": 1, "max_clips": 1}) if stripped else (VIDEO, {})
    with contextlib.closing(IsolatedDecoder(Limits())) as decoder:
        plan = decoder.plan(memoryview(video), few, strip=Strip.WHERE_IT_PAYS)
        assert bool(plan["stripped_bytes"]) == stripped
    request = whole(video)
    for name, value in few.items():
        request.parameters[name].int64_param = value
    in_a_file, in_bytes = ask(server.url, request), ask(server.upstream, request)
    assert in_a_file.outputs == in_bytes.outputs
    assert in_a_file.raw_output_contents == in_bytes.raw_output_contents
    wait_for(lambda: not files(of_server(server)))


def test_a_caller_cannot_name_a_file(server: Server) -> None:
    token = written(of_server(server), b"not a video, but a secret\n" * 9)
    try:
        expected = ask(server.url, message())
        assert ask(server.url, message(), **{MARK: token}).raw_output_contents == expected.raw_output_contents
        for model in ("video_motion", "video_sampling"):
            request = message(model=model)
            request.parameters[MARK].string_param = token
            with pytest.raises(grpc.RpcError) as raised:
                ask(server.url, request)
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "reserved for Triton usage" in raised.value.details()
        alone = message(model="video_sampling")
        assert ask(server.url, alone, **{MARK: token}).raw_output_contents == expected.raw_output_contents
    finally:
        of_server(server).remove(token)


@pytest.mark.parametrize("token", [token for token in FORGED if token.isascii() and token.isprintable() and token])
def test_who_reaches_triton_beside_the_proxy_cannot_name_a_file_either(token: str, server: Server) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        ask(server.upstream, message(), **{MARK: token})
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"triton_video is {token!r}, which only the server sets: no file has this name" in raised.value.details()


def test_who_lists_shared_memory_and_reaches_triton_beside_the_proxy_reads_no_file(server: Server) -> None:
    token = written(of_server(server))
    try:
        (path,) = files(of_server(server))
        listed = path.name.removeprefix(Path(of_server(server)._prefix).name)
        with pytest.raises(grpc.RpcError) as raised:
            ask(server.upstream, message(), **{MARK: listed})
        assert "the server has no video for this call any more" in raised.value.details()
        assert path.exists()
        assert ask(server.upstream, message(), **{MARK: token}).outputs  # as the proxy asks
    finally:
        of_server(server).remove(token)


def test_a_call_whose_file_is_gone_fails_and_the_next_one_is_answered(server: Server) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        ask(server.upstream, message(), **{MARK: "0" * 32})
    assert "the server has no video for this call any more (No such file or directory)" in raised.value.details()
    assert ask(server.url, message()).outputs


def test_callers_that_go_leave_no_file(server: Server) -> None:
    request = whole(encode(300)).SerializeToString()
    for pause in (0.0, 0.02, 0.05, 0.1, 0.2):
        with grpc.insecure_channel(server.url, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            calls = [channel.unary_unary(INFER).future(request, timeout=60) for _ in range(3)]
            threading.Event().wait(pause)
            for call in calls:
                call.cancel()
    with Client(server.url, timeout_seconds=60) as client:
        assert client.score(VIDEO).info.frames == 60
    wait_for(lambda: not files(of_server(server)))


@pytest.mark.slow
def test_files_of_a_killed_server_go_with_the_next_start(small_repository: Path) -> None:
    settings = Settings.on_free_ports(small_repository, precision="f32")
    with serving(settings) as process:
        own = f"video_motion_{process.pid}_*_video_*"
        with requests_in_flight(f"localhost:{settings.grpc_port}"):
            drain(process.stdout)
            wait_for(lambda: list(DIRECTORY.glob(own)), every=0.001)
            running = [found.pid for found in descendants(process.pid)]
            process.kill()
            process.wait()
            assert wait_until_gone(running)
    remove_leftovers()
    assert not list(DIRECTORY.glob(own))

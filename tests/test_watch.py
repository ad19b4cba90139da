"""`watch` with classifiers in this process: what is sent, skipped and said, and the annotated video."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from client import Client, ClientError, InvalidRequest, ServerAway
from client._commands import program
from client._watch import annotated, packet_queue, reader
from client._watch import watch as watch_module
from client._watch.picture import Preparation
from client._watch.reader import Reader
from client._watch.source import source_of
from client.watch import Action, Counts, SourceError, SourceStalled, UnwritableOutput, Watch, WatchedClip
from fixtures.synthetic import encode, encode_audio
from tests.rtsp_server import rtsp_server
from tests.stub_classifiers import StubClassifiers, classify_everything
from tests.waiting import wait_for

pytestmark = pytest.mark.heavy

FAST = {"preset": "ultrafast", "g": "10"}
SMALL: dict[str, Any] = {"width": 64, "height": 48}


@pytest.fixture
def classifiers(monkeypatch: pytest.MonkeyPatch) -> StubClassifiers:
    return classify_everything(monkeypatch)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """3.2 s: with clips of 1 s, three whole ones, and the rest is too short."""
    path = tmp_path / "video.mp4"
    path.write_bytes(encode(80, options=FAST, **SMALL))
    return path


def stream(frames: int = 80, container: str = "mpegts") -> bytes:
    return encode(frames, container=container, options=FAST, **SMALL)


def watched(source: object, **arguments: object) -> tuple[list[WatchedClip], list[str], Counts]:
    """All clips, sentences and counts of a source that ends."""
    said: list[str] = []
    with Client() as client, Watch(client, source, notify=said.append, **arguments) as watch:  # type: ignore[arg-type]
        return list(watch), said, watch.counts


def times(clips: list[WatchedClip]) -> list[tuple[float, float]]:
    return [(round(clip.start_seconds, 2), round(clip.end_seconds, 2)) for clip in clips]


@contextmanager
def pipe_of(path: Path, *parts: bytes, until: threading.Event | None = None) -> Iterator[Path]:
    """A named pipe into which these bytes are written; it stays open until the event."""
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for part in parts:
                file.write(part)
            if until:
                until.wait(30)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield path
    finally:
        if until:
            until.set()
        writer.join(30)
        assert not writer.is_alive()


@contextmanager
def served(*connections: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that treats one connection after the other like this, and refuses further ones."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            for treat in connections:
                connection, _ = listening.accept()
                with connection:
                    treat(connection)
            listening.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{port}"
        thread.join(30)
        assert not thread.is_alive()


# What is sent, and what comes back.


def test_each_clip_of_a_file_is_sent_and_answered(classifiers: StubClassifiers, video: Path) -> None:
    clips, said, counts = watched(video, clip_seconds=1.0)
    assert times(clips) == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    assert len(classifiers.clips) == 3
    for clip, sent in zip(clips, classifiers.clips, strict=True):
        assert sent.shape == (16, 224, 224, 3)
        assert clip.probabilities["bright"] == pytest.approx(sent.mean() / 255, abs=1e-5)
        assert clip.labels == (["bright"] if clip.probabilities["bright"] >= 0.5 else ["dark"])
        assert clip.actions is None
        assert clip.latency_seconds > 0
    assert classifiers.most_in_flight == 1
    assert said == [f"{video} ended after 3.2 s"]
    assert counts == Counts(clips=3, frames=80, seconds=3.2)


def test_the_frames_of_a_clip_are_those_of_the_rule(classifiers: StubClassifiers, video: Path) -> None:
    watched(video, clip_seconds=1.0, stride_seconds=0.5)
    with cast(InputContainer, av.open(str(video))) as container:
        prepare = Preparation(224)
        pictures = [prepare(frame) for frame in container.decode(video=0)]
    indices = [0, 1, 3, 4, 6, 8, 9, 11, 12, 14, 16, 17, 19, 20, 22, 24]
    assert len(classifiers.clips) == 5
    for number, sent in enumerate(classifiers.clips):
        # 12.5 frames per stride: the first frame of every second clip is 12.5 rounded up.
        first = int(np.ceil(number * 12.5))
        expected = [pictures[first + index] for index in indices]
        if number % 2 == 0:
            assert np.array_equal(sent, expected)
        else:
            assert np.array_equal(sent[0], expected[0])


def test_actions_come_too_where_they_are_served(monkeypatch: pytest.MonkeyPatch, video: Path) -> None:
    classify_everything(monkeypatch, actions=True)
    clips, _, _ = watched(video, clip_seconds=3.0)
    assert clips[0].actions == (Action("riding a bike: fast", 0.75), Action("class 7", 0.125))
    assert clips[0].as_dict()["actions"][0] == {"label": "riding a bike: fast", "probability": 0.75}


@pytest.mark.parametrize("container", ["mpegts", "matroska"])
def test_a_pipe_that_ends_has_the_clips_of_the_file(
    classifiers: StubClassifiers, tmp_path: Path, container: str
) -> None:
    with pipe_of(tmp_path / "pipe", stream(container=container)) as pipe:
        clips, said, counts = watched(pipe, clip_seconds=1.0, realtime=False)
    assert times(clips) == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    assert counts.frames == 80
    assert said == [f"{pipe} ended after 3.2 s"]


# Keeping up.


def test_a_live_source_does_not_wait_for_the_server(classifiers: StubClassifiers, tmp_path: Path) -> None:
    classifiers.answering.clear()
    said: list[str] = []
    with (
        pipe_of(tmp_path / "pipe", stream(70)) as pipe,
        Client() as client,
        Watch(client, pipe, clip_seconds=0.5, notify=said.append) as watch,
    ):
        wait_for(lambda: watch.counts.clips_skipped == 5)
        assert watch.counts.clips == 0
        assert len(classifiers.clips) == 1
        classifiers.answering.set()
        (clip,) = watch
    assert clip.clips_skipped == 5
    assert watch.counts.clips_skipped == 5
    assert watch.counts.frames_dropped == 0
    assert classifiers.most_in_flight == 1
    assert len(classifiers.clips) == 1  # none was in a queue


def test_a_file_waits_for_the_server(classifiers: StubClassifiers, video: Path) -> None:
    classifiers.answering.clear()
    with Client() as client, Watch(client, video, clip_seconds=0.5) as watch:
        wait_for(lambda: classifiers.clips)
        classifiers.answering.set()
        assert len(list(watch)) == 6
    assert watch.counts.clips_skipped == 0


def test_a_file_in_real_time_takes_its_time_and_skips(classifiers: StubClassifiers, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(encode(25, options=FAST, **SMALL))
    classifiers.answering.clear()
    began = time.monotonic()
    with Client() as client, Watch(client, path, clip_seconds=0.2, realtime=True) as watch:
        wait_for(lambda: watch.counts.frames == 25)
        assert time.monotonic() - began > 0.9
        wait_for(lambda: watch.counts.clips_skipped == 4)
        classifiers.answering.set()
        assert len(list(watch)) == 1


def test_a_machine_that_is_too_slow_drops_frames_and_stays_near(
    classifiers: StubClassifiers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "LATE_SECONDS", 0.5)
    monkeypatch.setattr(watch_module, "CAUGHT_UP_SECONDS", 0.2)
    monkeypatch.setattr(packet_queue, "SHED_SECONDS", 1.0)
    with pipe_of(tmp_path / "pipe", stream(500)) as pipe:
        clips, said, counts = watched(pipe, clip_seconds=0.4)
    assert counts.frames_dropped > 0
    assert counts.frames + counts.frames_dropped >= 500 - 20
    assert clips
    assert all(clip.behind_seconds <= 1.0 + 0.04 for clip in clips)
    assert 0 < counts.seconds <= 20  # packets dropped before the first frame is decoded do not count
    assert said[0] == f"{pipe} ended after {counts.seconds:.1f} s"


def test_answers_that_nobody_takes_do_not_pile_up(
    classifiers: StubClassifiers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "WAITING_ANSWERS", 2)
    with (
        pipe_of(tmp_path / "pipe", stream(60)) as pipe,
        Client() as client,
        Watch(client, pipe, clip_seconds=0.1) as watch,
    ):
        wait_for(lambda: watch.counts.frames == 60)
        assert watch._results.qsize() <= 2
        assert len(classifiers.clips) <= 3
        assert watch.counts.clips_skipped >= 15


# Sources that end in another way.


def test_a_pipe_that_stalls_has_a_sentence(classifiers: StubClassifiers, tmp_path: Path) -> None:
    content = stream(80)
    until = threading.Event()
    got: list[WatchedClip] = []
    with pipe_of(tmp_path / "pipe", content[: len(content) * 3 // 4], until=until) as pipe, Client() as client:
        watch = Watch(client, pipe, clip_seconds=0.5, realtime=False, stall_seconds=0.5)
        with watch, pytest.raises(SourceStalled) as raised:
            got.extend(watch)
    assert str(raised.value) == f"no frame came from {pipe} for 0.5 s"
    assert len(got) >= 3


def test_a_pipe_into_which_nothing_is_written_stalls(
    classifiers: StubClassifiers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PROBE_SECONDS", 0.1)
    until = threading.Event()
    began = time.monotonic()
    with pipe_of(tmp_path / "pipe", until=until) as pipe, pytest.raises(SourceStalled):
        watched(pipe, stall_seconds=0.2)
    assert time.monotonic() - began < 10


def test_a_pipe_that_breaks_in_the_middle_of_a_frame_ends(classifiers: StubClassifiers, tmp_path: Path) -> None:
    content = stream(80)
    with pipe_of(tmp_path / "pipe", content[: len(content) // 2 + 77]) as pipe:
        clips, said, _ = watched(pipe, clip_seconds=0.5, realtime=False)
    assert 2 <= len(clips) < 6
    assert len(said) == 1
    assert re.fullmatch(rf"{pipe} ended after [12]\.\d s", said[0])


def test_damage_in_the_middle_is_counted_and_passed(classifiers: StubClassifiers, tmp_path: Path) -> None:
    content = np.frombuffer(stream(80), np.uint8).copy()
    packets = content[: content.size // 188 * 188].reshape(-1, 188)
    flipped = np.random.default_rng(1).random((60, 160)) < 0.05
    packets[60:120, 28:] ^= np.where(flipped, 255, 0).astype(np.uint8)
    with pipe_of(tmp_path / "pipe", content.tobytes()) as pipe:
        clips, _, counts = watched(pipe, clip_seconds=0.5, realtime=False)
    assert counts.frames < 80
    assert counts.frames_damaged > 0
    assert clips[-1].end_seconds - clips[0].start_seconds >= 2.5


def test_a_clock_that_begins_anew_begins_new_clips(classifiers: StubClassifiers, tmp_path: Path) -> None:
    with pipe_of(tmp_path / "pipe", stream(50) + stream(50)) as pipe:
        clips, said, counts = watched(pipe, clip_seconds=1.0, realtime=False)
    assert counts.frames == 100
    # What was left of the first stream was too short for a clip.
    assert times(clips) == [(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)]
    assert said[0] == "the time jumps from 1.96 to 0.00 s: a new stream begins"
    assert counts.seconds == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"cannot read {}: it ended before anything came"),
        (
            b"no video" * 1000,
            r"cannot read {}: Invalid data found when processing input; a pipe needs a format that can be read "
            r"in one pass, such as MPEG-TS or Matroska",
        ),
        (encode_audio("matroska"), r"{} has no video stream"),
    ],
    ids=["empty", "noise", "audio"],
)
def test_what_is_no_video_has_a_sentence(
    classifiers: StubClassifiers, tmp_path: Path, content: bytes, message: str
) -> None:
    with pipe_of(tmp_path / "pipe", content) as pipe, pytest.raises(SourceError) as raised:
        watched(pipe)
    assert re.fullmatch(message.format(re.escape(str(pipe))), str(raised.value))
    assert not isinstance(raised.value, SourceStalled)


def test_a_device_that_is_no_camera_has_a_sentence(classifiers: StubClassifiers) -> None:
    with pytest.raises(SourceError, match=r"^cannot read /dev/null: [A-Z].+"):
        watched("/dev/null")


def test_an_address_where_nothing_listens_has_a_sentence(classifiers: StubClassifiers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SourceError, match=rf"^cannot read tcp://me:\*\*\*@127\.0\.0\.1:{port}: Connection refused$"):
        watched(f"tcp://me:secret@127.0.0.1:{port}", reconnect=True)


def test_a_stream_that_ends_is_opened_again(classifiers: StubClassifiers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "PAUSES_SECONDS", (0.05, 0.1))
    said: list[str] = []
    content = stream(50)
    with served(lambda one: one.sendall(content), lambda two: two.sendall(content)) as address, Client() as client:
        with Watch(client, address, clip_seconds=0.4, reconnect=True, notify=said.append) as watch:
            for _ in watch:
                if len(said) >= 2:  # the source is back
                    break
        assert watch.counts.reconnections == 1
    assert said[0] == f"{address} ended after 2.0 s; it is opened again in 0.05 s"
    assert re.fullmatch(rf"{address} is back after \d+\.\d s", said[1])


def test_a_stream_that_stalls_is_opened_again(classifiers: StubClassifiers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "PAUSES_SECONDS", (0.05, 0.1))
    said: list[str] = []
    content = stream(50)
    over = threading.Event()

    def stall(connection: socket.socket) -> None:
        connection.sendall(content)
        over.wait(30)

    with served(stall, lambda two: two.sendall(content)) as address, Client() as client:

        def note(sentence: str) -> None:
            said.append(sentence)
            over.set()
            if "is back" in sentence:
                watch.stop()

        with Watch(client, address, clip_seconds=0.4, reconnect=True, stall_seconds=0.3, notify=note) as watch:
            clips = list(watch)
    assert clips
    assert len(clips) + watch.counts.clips_skipped >= 3
    assert said[0] == f"no frame came from {address} for 0.3 s; it is opened again in 0.05 s"


def test_rtsp_is_read_over_tcp(classifiers: StubClassifiers) -> None:
    with rtsp_server(stream(60)) as (seen, address):
        clips, said, counts = watched(address.replace("//", "//me:secret@"), clip_seconds=1.0)
    assert [round(clip.end_seconds - clip.start_seconds, 6) for clip in clips] == [1.0, 1.0]
    assert counts.frames == 60
    assert all("RTP/AVP/TCP" in transport for transport in seen.transports)
    assert [request.split()[0] for request in seen.requests][-1] == "PLAY"
    assert said == [f"{address.replace('//', '//me:***@')} ended after 2.4 s"]


def test_a_stream_that_stays_away_is_not_named_again_and_again(
    classifiers: StubClassifiers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "PAUSES_SECONDS", (0.01, 0.02))
    opened: list[float] = []

    def counted(*arguments: Any, **named: Any) -> Reader:
        opened.append(time.monotonic())
        return Reader(*arguments, **named)

    monkeypatch.setattr(watch_module, "Reader", counted)
    said: list[str] = []
    content = stream(30)
    with served(lambda one: one.sendall(content)) as address, Client() as client:
        arguments = {"clip_seconds": 0.4, "reconnect": True, "notify": said.append}
        with Watch(client, address, **arguments) as watch:  # type: ignore[arg-type]
            wait_for(lambda: len(opened) >= 6)
            watch.stop()
            list(watch)
    assert said == [
        f"{address} ended after 1.2 s; it is opened again in 0.01 s",
        f"cannot read {address}: Connection refused; from now on it is opened again every 0.02 s",
    ]


# Servers that fail.


def test_an_error_about_a_clip_does_not_end_the_watch(classifiers: StubClassifiers, video: Path) -> None:
    classifiers.errors.append(InferenceServerException("the classifier failed", status="StatusCode.INTERNAL"))
    clips, said, counts = watched(video, clip_seconds=1.0)
    assert (len(clips), counts.clips_failed) == (2, 1)
    assert said[0] == "no answer for the clip from 0.00 to 1.00 s: the classifier failed"


def test_a_server_that_is_gone_ends_the_watch(classifiers: StubClassifiers, video: Path) -> None:
    gone = InferenceServerException("failed to connect", status="StatusCode.UNAVAILABLE")
    classifiers.errors += [gone] * 50
    with (
        Client(away_seconds=0) as client,
        Watch(client, video, clip_seconds=1.0) as watch,
        pytest.raises(ServerAway, match="no server answers at localhost:8001"),
    ):
        list(watch)


def test_stopping_answers_the_clip_in_flight(classifiers: StubClassifiers, video: Path) -> None:
    classifiers.answering.clear()
    with Client() as client, Watch(client, video, clip_seconds=0.5) as watch:
        wait_for(lambda: classifiers.clips)
        watch.stop()
        classifiers.answering.set()
        assert len(list(watch)) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "watch-decoder"]


def test_leaving_early_ends_the_threads(classifiers: StubClassifiers, video: Path) -> None:
    with Client() as client, Watch(client, video, clip_seconds=0.1) as watch:
        next(watch)
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("watch-")], 5)
    assert list(watch) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clip_seconds": 0.0}, "clip_seconds is 0, it must be from 0.1 to 60"),
        ({"clip_seconds": float("nan")}, "clip_seconds is nan, it must be from 0.1 to 60"),
        ({"stride_seconds": 4000}, "stride_seconds is 4000, it must be from 0.1 to 3600"),
        ({"stall_seconds": 0}, "stall_seconds is 0, it must be above 0"),
        ({"reconnect": True}, "reconnect is for cameras and network streams, and {} is a file"),
        ({"output": "a.avi"}, "output is a.avi, it must end in .mp4"),
        ({"output": "{}"}, "output would overwrite the source"),
    ],
)
def test_what_is_not_allowed_has_a_sentence(
    classifiers: StubClassifiers, video: Path, arguments: dict, message: str
) -> None:
    given = {name: str(video) if value == "{}" else value for name, value in arguments.items()}
    with pytest.raises(InvalidRequest) as raised:
        watched(video, **given)
    assert str(raised.value) == message.format(video)


def test_a_camera_does_not_wait(classifiers: StubClassifiers) -> None:
    with pytest.raises(InvalidRequest, match="realtime cannot be off: a camera does not wait"):
        watched("/dev/null", realtime=False)


# The annotated video.


def frames_of(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    """Time and luma of each frame."""
    with cast(InputContainer, av.open(str(path))) as container:
        lumas = ((frame.time or 0.0, frame.to_ndarray(format="gray8")) for frame in container.decode(video=0))
        return [(seconds, luma.astype(np.uint8, copy=False)) for seconds, luma in lumas]


def has_band(luma: NDArray[np.uint8]) -> bool:
    """Whether there is text on black in the lower left corner."""
    corner = luma[-12:, :12].astype(int)
    return bool(corner.min() < 40 and np.median(corner) < 40)


def test_the_labels_are_drawn_into_the_frames_of_their_clip(classifiers: StubClassifiers, tmp_path: Path) -> None:
    source, output = tmp_path / "video.mp4", tmp_path / "annotated.mp4"
    source.write_bytes(encode(60, width=160, height=120, options=FAST))
    clips, _, _ = watched(source, clip_seconds=1.0, stride_seconds=1.5, output=output)
    assert times(clips) == [(0.0, 1.0), (1.4, 2.4)]
    frames = frames_of(output)
    assert [time for time, _ in frames] == pytest.approx([index / 25 for index in range(60)], abs=1e-3)
    inside = [any(start - 1e-6 <= time < end - 1e-6 for start, end in times(clips)) for time, _ in frames]
    assert [has_band(luma) for _, luma in frames] == inside
    assert not all(inside)
    originals = frames_of(source)
    assert np.abs(frames[30][1].astype(int) - originals[30][1]).mean() < 6  # the picture is the source's


def test_frames_that_cannot_wait_are_written_without_labels(
    classifiers: StubClassifiers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotated, "HELD_BYTES", 10 * 64 * 48 * 3 // 2)
    classifiers.answering.clear()
    output = tmp_path / "annotated.mp4"
    with (
        pipe_of(tmp_path / "pipe", stream(60)) as pipe,
        Client() as client,
        Watch(client, pipe, clip_seconds=0.5, output=output) as watch,
    ):
        wait_for(lambda: watch.counts.frames == 60)
        classifiers.answering.set()
        list(watch)
    frames = frames_of(output)
    assert len(frames) == 60
    assert 10 <= watch.unlabelled < 60


def test_odd_large_and_turned_frames_are_annotated(classifiers: StubClassifiers, tmp_path: Path) -> None:
    source, output = tmp_path / "video.mp4", tmp_path / "annotated.mp4"
    source.write_bytes(encode(2, width=1602, height=906, options=FAST, rotation_degrees=90))
    watched(source, output=output)
    (_, first), *_ = frames_of(output)
    assert first.shape == (1272, 720)


def test_an_output_that_cannot_be_written_has_a_sentence(classifiers: StubClassifiers, video: Path) -> None:
    output = video.parent / "missing" / "annotated.mp4"
    with pytest.raises(UnwritableOutput) as raised:
        watched(video, output=output)
    assert str(raised.value) == f"cannot write {output}: No such file or directory"


# The command.


def command(*arguments: object) -> int:
    return program.run("watch", "video-motion watch", [*map(str, arguments)])


def test_json_lines(classifiers: StubClassifiers, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(video, "--clip-seconds", 1) == 0
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [(row["start_seconds"], row["end_seconds"]) for row in rows] == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    assert list(rows[0]) == [
        "source",
        "start_seconds",
        "end_seconds",
        "labels",
        "probabilities",
        "actions",
        "time",
        "latency_seconds",
        "behind_seconds",
        "frames_dropped",
        "clips_skipped",
        "weights",
    ]
    assert rows[0]["source"] == str(video)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[0]["time"])
    assert rows[0]["weights"] == {"camera": "b@2", "precision": "unknown"}
    assert printed.err.splitlines() == [
        f"{video} ended after 3.2 s",
        "3 clips answered, 0 skipped, 0 failed; 80 frames, 0 dropped, 0 damaged",
    ]


def test_a_line_that_changes_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classify_everything(monkeypatch, actions=True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "150")
    assert command(video, "--clip-seconds", 1) == 0
    printed = capsys.readouterr().out
    line = r"\d\d:\d\d:\d\d  0\.00 - 1\.00 s  (bright|dark) 0\.\d\d; riding a bike: fast 0\.75  \d+\.\d\d s, "
    shown = printed.split("\r\x1b[K")
    assert re.fullmatch(line + "0 frames dropped, 0 clips skipped", shown[1])
    assert len(shown) >= 4


def test_a_narrow_terminal_has_one_line(
    classifiers: StubClassifiers, video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "30")
    command(video, "--clip-seconds", 1)
    assert max(len(part) for part in capsys.readouterr().out.replace("\n", "").split("\r\x1b[K")) == 29


def test_failures_are_status_1_and_wrong_values_2(
    classifiers: StubClassifiers, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pipe_of(video.parent / "pipe", b"no video" * 1000) as pipe:
        assert command(pipe) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"video-motion watch: cannot read {pipe}: Invalid data found when processing input")
    assert last == "0 clips answered, 0 skipped, 0 failed; 0 frames, 0 dropped, 0 damaged"
    assert command("missing.mp4") == 1
    assert capsys.readouterr().err == "video-motion watch: cannot read missing.mp4: No such file or directory\n"
    assert command(video, "--reconnect") == 2
    assert "reconnect is for cameras and network streams" in capsys.readouterr().err
    classifiers.errors.append(InferenceServerException("the classifier failed", status="StatusCode.INTERNAL"))
    assert command(video, "--clip-seconds", 3) == 1
    for arguments in (["--timeout", "0"], ["--away", "-1"], ["--stall-seconds", "nan"]):
        with pytest.raises(SystemExit) as stopped:
            command(video, *arguments)
        assert stopped.value.code == 2


def test_without_pyav_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("client._optional.find_spec", lambda _: None)
    assert command("video.mp4") == 1
    sentence = "video-motion watch needs av and pillow: pip install av pillow (the extra 'watch' of the wheel has them)"
    assert capsys.readouterr().err == sentence + "\n"


@pytest.mark.heavy
def test_the_client_alone_does_not_import_pyav() -> None:
    check = "import sys, client, client._commands.score; assert not {'av', 'PIL'} & set(sys.modules), 'imported'"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=Path(__file__).parent.parent, timeout=60)


def test_a_closed_client_is_named(classifiers: StubClassifiers, video: Path) -> None:
    client = Client()
    client.close()
    with Watch(client, video) as watch, pytest.raises(ClientError, match="the client is closed"):
        list(watch)


def test_the_source_of_a_watch_is_shown(classifiers: StubClassifiers, video: Path) -> None:
    with Client() as client, Watch(client, video) as watch:
        assert watch.source == source_of(video).shown == str(video)


def test_bytes_are_not_sniffed_as_urls(classifiers: StubClassifiers, tmp_path: Path) -> None:
    odd = tmp_path / "a:b.mp4"
    odd.write_bytes(BytesIO(encode(30, options=FAST, **SMALL)).getvalue())
    clips, _, _ = watched(odd, clip_seconds=1.0)
    assert len(clips) == 1

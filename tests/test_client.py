"""The client against a real server: the library, and the command line as a process."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import client._sdk.parameters
import client._sdk.request
from client import Client, DeadlineExceeded, InvalidRequest, ServerUnavailable, UnreadableFile, Weights
from client._commands.score import HELP
from client._sdk.result import CameraClip, parse_score
from fixtures.synthetic import encode, encode_audio
from server import Server
from tests.processes import workers
from tests.test_request_log import lines_of
from video.clips import CLIP_FRAMES
from video.formats import CONTAINERS
from video.parameters import MAX_SEGMENTS
from video.parameters import Parameters as ServerParameters

VIDEO = encode(130, width=240, height=136)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "a video.mp4"
    path.write_bytes(VIDEO)
    return path


def score(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "client.score", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_json_is_the_object_of_the_readme(server: Server, video: Path) -> None:
    result = score("--url", server.url, video)
    assert result.returncode == 0
    answer = json.loads(result.stdout)
    assert list(answer) == ["video", "motion", "camera", "info", "weights", "decoder"]
    assert answer["video"] == str(video)
    assert list(answer["motion"]) == ["camera_movement_score", "object_movement_score", "dynamics_score"]
    clip = answer["camera"][2]
    assert list(clip) == ["start_seconds", "end_seconds", "labels", "probabilities"]
    assert (clip["start_seconds"], clip["end_seconds"]) == (3.2, 5.2)
    assert set(clip["labels"]) == {label for label, value in clip["probabilities"].items() if value >= 0.5}
    assert len(clip["probabilities"]) == 21
    assert answer["info"] == {
        "duration_seconds": 5.2,
        "frames": 130,
        "frames_per_second": 25.0,
        "width": 240,
        "height": 136,
    }
    assert list(answer["weights"]) == ["motion", "camera", "precision"]
    assert answer["weights"]["precision"] == "f32"


def test_the_table_names_what_it_shows(server: Server, video: Path) -> None:
    result = score("--url", server.url, "--format", "table", video)
    first, motion, *clips = result.stdout.splitlines()
    assert first == f"{video}  5.20 s, 130 frames, 25.00 frames/s, 240 x 136"
    assert re.fullmatch(r"  motion   camera \d\.\d{3}   object \d\.\d{3}   dynamics \d\.\d{3}", motion)
    assert len(clips) == 3
    assert clips[2].split()[1:4] == ["3.20", "-", "5.20"]


def test_several_videos_are_a_line_each_and_failures_are_named(server: Server, video: Path, tmp_path: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("not a video\n")
    device = Path("/dev/null")
    result = score("--url", server.url, video, text, tmp_path / "gone.mp4", device, video)
    assert result.returncode == 1
    assert [json.loads(line)["video"] for line in result.stdout.splitlines()] == [str(video), str(video)]
    assert result.stderr.splitlines() == [
        f"{text}: the file (12 bytes) is not a video in a supported container ({CONTAINERS})",
        f"{tmp_path / 'gone.mp4'}: cannot read the file: No such file or directory",
        f"{device}: cannot read the file: it is a directory or a device",
        "3 of 5 videos failed",
    ]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "arguments", [[], ["--format", "xml", "v.mp4"], ["--timeout", "0", "v.mp4"], ["--timeout", "soon", "v.mp4"]]
)
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    result = score(*arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("python -m client.score: error: ")
    assert line.endswith(" (--help lists the options)")


def test_a_server_that_is_down_is_said_to_be_down(video: Path) -> None:
    result = score("--url", "localhost:9", video)
    assert result.returncode == 1
    assert result.stderr == f"{video}: no server answers at localhost:9 (Connection refused); is it running?\n"


def test_an_empty_file_is_not_even_sent(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with Client("localhost:9") as unconnected, pytest.raises(InvalidRequest, match="the file is empty"):
        unconnected.score(tmp_path / "empty.mp4")


def test_a_reader_that_goes_away_is_no_traceback(server: Server, video: Path) -> None:
    command = f"{sys.executable} -m client.score --url {server.url} '{video}' '{video}' '{video}' | head -c 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert result.stdout == "{"
    assert result.stderr == ""


def test_bytes_and_paths_are_the_same_video(client: Client, video: Path) -> None:
    assert client.score(VIDEO) == client.score(video) == client.score(str(video))


def test_a_deadline_is_kept(server: Server, client: Client) -> None:
    client.score(VIDEO)
    stopped = workers(server.process.pid, "video_sampling")
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    try:
        with (
            Client(server.url, timeout_seconds=0.5, retries=0) as hasty,
            pytest.raises(DeadlineExceeded, match="no answer from"),
        ):
            hasty.score(VIDEO)
    finally:
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
    assert client.score(VIDEO).info.frames == 130


def test_exceptions_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client("localhost:9") as unconnected:
        with pytest.raises(ServerUnavailable):
            unconnected.score(VIDEO)
        with pytest.raises(ServerUnavailable):
            unconnected.weights()
        with pytest.raises(UnreadableFile):
            unconnected.score(tmp_path / "gone.mp4")
        monkeypatch.setattr(client._sdk.request, "MAX_BYTES", 1000)
        with pytest.raises(InvalidRequest, match="a request can carry 2 GiB"):
            unconnected.score(VIDEO)


def test_readiness_is_a_question_and_not_an_exception(client: Client) -> None:
    assert client.is_ready()
    with Client("localhost:9") as unconnected:
        assert not unconnected.is_ready()


def test_labels_are_reported_from_one_half_on() -> None:
    clip = CameraClip(0, 2, {"pan_left": 0.5, "shake": 0.9, "static": 0.499999})
    assert clip.labels == ["shake", "pan_left"]


def test_answers_are_read_with_the_labels_of_the_checkpoint() -> None:
    outputs = {
        "WEIGHTS": np.array([b'{"motion": "a@1", "camera": "random:0", "labels": ["left", "right"]}'], object),
        "MOTION_SCORES": np.array([[0.1, 1.2, 2.3]], np.float32),
        "VIDEO_INFO": np.array([[1.0, 25, 25.0, 64, 48]]),
        "HEADER_DURATION_SECONDS": np.array([np.nan]),
        "CLIP_SECONDS": np.array([[0, 3.28]], np.float32),
        "CAMERA_PROBABILITIES": np.array([[0.25, 0.7]], np.float32),
    }
    answer = parse_score(outputs)
    assert vars(answer.motion) == {"camera_movement_score": 0.1, "object_movement_score": 1.2, "dynamics_score": 2.3}
    assert answer.camera == (CameraClip(0.0, 3.28, {"left": 0.25, "right": 0.7}),)
    assert answer.weights == Weights("a@1", "random:0", ("left", "right"))
    assert answer.weights.stand_in
    assert answer.info.header_duration_seconds is None
    assert answer.decoder is None
    assert "decoder" not in answer.as_dict()
    outputs["DECODER"] = np.array([b"nvdec"], object)
    assert parse_score(outputs).as_dict()["decoder"] == parse_score(outputs).decoder == "nvdec"
    assert parse_score(outputs) == answer  # what decoded a video is not part of what was found
    outputs["HEADER_DURATION_SECONDS"] = np.array([3600.0])
    assert parse_score(outputs).info.header_duration_seconds == 3600


def test_the_client_and_the_server_declare_the_same_parameters() -> None:
    """Neither can import the other, but both read one file of ranges."""
    assert [field.name for field in dataclasses.fields(ServerParameters)] == [*client._sdk.parameters.NAMES]


def test_the_most_frames_make_the_most_segments() -> None:
    """A further segment is added to the whole ones."""
    assert client._sdk.parameters.RANGES["max_frames"] == (1, (MAX_SEGMENTS - 1) * CLIP_FRAMES)


def test_the_help_names_the_defaults_of_the_server() -> None:
    for name, text in HELP.items():
        default = getattr(ServerParameters, name)
        assert (f"(server's default: {default:g})" in text) if default is not None else ("server" not in text)


def test_a_score_has_the_name_of_its_video_and_compares_without_it(client: Client, video: Path) -> None:
    named, as_text, unnamed = client.score(video), client.score(str(video)), client.score(VIDEO)
    assert (named.video, as_text.video, unnamed.video) == (str(video), str(video), None)
    assert "video" not in named.as_dict()
    assert named == unnamed


def test_the_request_log_has_the_name_of_the_file(server: Server, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a name ] [to] find ü.mp4"
    path.write_bytes(VIDEO[:2000])
    with pytest.raises(InvalidRequest) as raised:
        client.score(path)
    assert str(raised.value).startswith("the file ")
    assert raised.value.reason == "truncated"
    (entry,) = lines_of(server, r"a name ] [to] find \xfc.mp4")
    assert (entry["reason"], entry["error"]) == ("truncated", str(raised.value))


def test_a_failure_in_a_table_has_the_reason_of_the_server(server: Server, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"not a video")
    (tmp_path / "sound.mp4").write_bytes(encode_audio())
    output = tmp_path / "scores.jsonl"
    names = ("text.mp4", "sound.mp4", "gone.mp4")
    videos = [tmp_path / name for name in names]
    assert score("--url", server.url, *videos, "--output", output, "--in-flight", 1).returncode == 1
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [list(row) for row in rows] == [["video", "error", "error_kind", "reason"]] * 3
    assert [row["reason"] for row in rows] == ["not_a_video", "no_video_stream", "unreadable_file"]
    assert not any("[" in row["error"] for row in rows)


def test_a_parameter_that_does_not_exist_is_a_mistake_of_the_program() -> None:
    with (
        Client("localhost:9") as unconnected,
        pytest.raises(TypeError, match="no parameter 'fsp'; the parameters are fps,"),
    ):
        unconnected.score(VIDEO, fsp=4)  # type: ignore[call-arg]


def test_the_client_needs_nothing_heavy() -> None:
    heavy = "{'torch', 'av', 'pyarrow', 'PIL', 'openvino', 'onnxruntime', 'transformers', 'server', 'video', 'export'}"
    program = f"import client, client.score, sys; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

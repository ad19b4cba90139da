"""The command `cut`: what its clips hold, how it goes on after a kill, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pyarrow as pa
import pytest
from av.container import InputContainer
from pyarrow import parquet

from client._commands.cut import main
from client._cut import pool
from client._cut.pool import Worker
from client._inputs.choices import Choices
from client._inputs.inputs import Inputs
from client._inputs.manifest import Manifest
from client._inputs.skipped import Skipped
from fixtures.score_tables import METADATA, write_scores
from fixtures.synthetic import encode, picture
from tests.waiting import wait_for

RATE = 25
FRAME = 1 / RATE
SOUND_RATE = 16_000
ROOT = Path(__file__).parent.parent
FAST = ("--crf", "30", "--jobs", "2")


def marked(seconds: int, *, sound: bool = True, container: str = "mp4", gop: int = 50) -> bytes:
    """A video whose frames and samples say when they are: grey rises with time, and so does the level of the sound."""
    file = BytesIO()
    options = {"crf": "10", "g": str(gop), "sc_threshold": "0"} | ({"bf": "0"} if container == "avi" else {})
    with av.open(file, "w", format=container) as output:
        video = cast(av.VideoStream, output.add_stream("libx264", rate=RATE, options=options))
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = cast(av.AudioStream, output.add_stream("aac", rate=SOUND_RATE, layout="mono")) if sound else None
        for index in range(seconds * RATE):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level(index), np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(video.encode(frame))
            if audio is not None:
                samples = SOUND_RATE // RATE
                tone = np.sin(np.arange(samples) * 0.5) * (index + 1) / (seconds * RATE) * 0.9
                chunk = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
                chunk.sample_rate, chunk.pts, chunk.time_base = SOUND_RATE, index * samples, Fraction(1, SOUND_RATE)
                output.mux(audio.encode(chunk))
        output.mux(video.encode(None))
        if audio is not None:
            output.mux(audio.encode(None))
    return file.getvalue()


def level(index: int) -> int:
    return 20 + index * 2 % 200


def list_of(path: Path, rows: list[tuple[str, object, object]]) -> Path:
    lines = [f"{name},{start},{end}\n" for name, start, end in rows]
    path.write_text("path,start_seconds,end_seconds\n" + "".join(lines))
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any], str]:
    status = main([*map(str, arguments), "--format", "json"])
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else {}, err


def clips(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if ".cut" not in path.parts)


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row for row in rows}


def times(path: Path) -> list[float]:
    """The timestamps of the frames of a clip."""
    with av.open(path) as container:
        return [frame.time for frame in container.decode(video=0)]


def seconds_of(stream: av.VideoStream | av.AudioStream) -> float:
    assert stream.duration is not None
    assert stream.time_base is not None
    return float(stream.duration * stream.time_base)


def greys(path: Path) -> list[float]:
    with av.open(path) as container:
        return [float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)]


def is_frame(grey: float, index: int) -> bool:
    """Whether a grey level is that of a frame: levels are two apart."""
    wanted = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level(index), np.uint8), format="rgb24")
    return abs(grey - float(wanted.to_ndarray(format="gray").mean())) < 1.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds with a keyframe every 50 frames."""
    path = tmp_path_factory.mktemp("cut") / "video.mp4"
    path.write_bytes(marked(3))
    return path


@pytest.mark.heavy
@pytest.mark.parametrize(("start", "end"), [(0.0, 0.4), (0.56, 1.2), (2.12, 3.0), (1.0, None)])
def test_an_exact_clip_has_the_frames_of_the_part_and_no_other(
    start: float, end: float | None, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), start, "" if end is None else end)])
    status, counts, err = run(capsys, parts, "--output", tmp_path / "clips", *FAST)
    assert (status, err, counts["written"]) == (0, "", 1)
    clip = tmp_path / "clips" / "000000_video.mp4"
    first, last = round(start * RATE), round((end or 3.0) * RATE) - 1
    found = times(clip)
    assert found == pytest.approx([index * FRAME for index in range(last - first + 1)], abs=0.001)
    shown = greys(clip)
    assert is_frame(shown[0], first)
    assert is_frame(shown[-1], last)
    with av.open(clip) as container:
        assert seconds_of(container.streams.video[0]) == pytest.approx((last - first + 1) * FRAME, abs=0.001)
    row = lines(tmp_path / "clips")["000000_video.mp4"]
    assert row["frames"] == last - first + 1
    assert row["first_frame_seconds"] == pytest.approx(first * FRAME)


def loudness(path: Path, seconds: float) -> float:
    """The level of the sound at a time of a clip."""
    with av.open(path) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    first = frames[0].time or 0.0
    at = round((seconds - first) * SOUND_RATE)
    return float(np.sqrt(np.mean(samples[max(0, at - 200) : at + 200] ** 2)) * np.sqrt(2))


@pytest.mark.heavy
@pytest.mark.parametrize("how", [(), ("--copy",)])
def test_sound_goes_along_in_step_with_the_picture(
    how: tuple[str, ...], video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), 2.0, 2.8)])
    assert run(capsys, parts, "--output", tmp_path / "clips", *how)[0] == 0
    clip = tmp_path / "clips" / "000000_video.mp4"
    with av.open(clip) as container:
        assert seconds_of(container.streams.audio[0]) == pytest.approx(0.8, abs=0.07)
    # The level of the source rises by 0.3 a second.
    for seconds in (0.2, 0.6):
        assert loudness(clip, seconds) == pytest.approx((2.0 + seconds) / 3 * 0.9, abs=0.03)
    quiet = tmp_path / "quiet"
    assert run(capsys, parts, "--output", quiet, "--no-sound", *how)[0] == 0
    with av.open(quiet / "000000_video.mp4") as container:
        assert not container.streams.audio


@pytest.mark.heavy
def test_a_copy_starts_at_the_keyframe_before_and_says_so(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), 1.48, 1.8), (str(video), 2.4, 2.8), (str(video), 2.0, 2.4)])
    status, counts, _ = run(capsys, parts, "--output", tmp_path / "clips", "--copy")
    assert status == 0
    rows = lines(tmp_path / "clips")
    earlier = [rows[f"00000{index}_video.mp4"]["earlier_seconds"] for index in range(3)]
    assert earlier == pytest.approx([1.48, 0.4, 0.0], abs=0.001)
    assert counts["earlier_seconds"] == {"median": 0.4, "max": 1.48}
    later = [rows[f"00000{index}_video.mp4"]["later_seconds"] for index in range(3)]
    assert max(later) > 0  # x264 refers to a frame after the end
    expected = {"median": round(sorted(later)[1], 3), "max": round(max(later), 3)}
    assert counts["later_seconds"] == expected
    for index, (key, end) in enumerate([(0, 1.8), (50, 2.8), (50, 2.4)]):
        shown = greys(tmp_path / "clips" / f"00000{index}_video.mp4")
        row = rows[f"00000{index}_video.mp4"]
        assert is_frame(shown[0], key)
        assert len(shown) == row["frames"]
        assert len(shown) * FRAME == pytest.approx(end - key * FRAME + row["later_seconds"], abs=0.001)
        assert row["later_seconds"] < 0.2
    # The packets are the same: nothing was encoded.
    with av.open(video) as source, av.open(tmp_path / "clips" / "000002_video.mp4") as copy:
        theirs = {bytes(packet) for packet in source.demux(video=0)}
        assert {bytes(packet) for packet in copy.demux(video=0)} <= theirs


@pytest.mark.heavy
@pytest.mark.parametrize("container", ["matroska", "mpegts", "avi"])
def test_other_containers_are_cut_to_the_frame(
    container: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix = {"matroska": "mkv", "mpegts": "ts", "avi": "avi"}[container]
    path = tmp_path / f"video.{suffix}"
    path.write_bytes(marked(3, container=container, sound=False, gop=20))
    parts = tmp_path / "list.jsonl"
    parts.write_text(json.dumps({"path": path.name, "start_seconds": 1.2, "end_seconds": 2.0}) + "\n")
    if container == "mpegts":
        assert times(path)[0] > 0  # the times of a manifest count from the first frame
    status, _, err = run(capsys, parts, "--output", tmp_path / "clips", *FAST)
    assert (status, err) == (0, "")
    shown = greys(tmp_path / "clips" / "000000_video.mp4")
    assert len(shown) == 20
    assert is_frame(shown[0], 30)
    assert is_frame(shown[-1], 49)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("codec", "suffix", "name"), [("hevc", ".mp4", "hevc"), ("vp9", ".webm", "vp9"), ("av1", ".mkv", "av1")]
)
def test_codecs_sizes_and_containers(
    codec: str, suffix: str, name: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), 0.4, 0.8)])
    arguments = ("--codec", codec, "--crf", "40", "--size", "24", "--name", "{stem}-{start_seconds:.1f}" + suffix)
    status, _, err = run(capsys, parts, "--output", tmp_path / "clips", *arguments)
    assert (status, err) == (0, "")
    with av.open(tmp_path / "clips" / f"video-0.4{suffix}") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name.replace("libdav1d", "av1"), stream.width, stream.height) == (name, 32, 24)
        assert sum(1 for _ in container.decode(stream)) == 10


@pytest.mark.heavy
def test_rotation_pixel_shape_range_and_gaps_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaps = [0, 1, 2, 7, 8, 20, 21, 22, 30, 31]
    (tmp_path / "turned.mp4").write_bytes(encode(10, rotation_degrees=90, pts=gaps))
    (tmp_path / "full.mov").write_bytes(encode(10, codec="mjpeg", container="mov"))
    parts = list_of(tmp_path / "list.csv", [("turned.mp4", "", ""), ("full.mov", "", "")])
    status, _, err = run(capsys, parts, "--output", tmp_path / "clips", "--size", "60", "--crf", "10")
    assert (status, err) == (0, "")
    turned = tmp_path / "clips" / "000000_turned.mp4"
    with av.open(turned) as container:
        frame = next(container.decode(video=0))
        assert (frame.rotation, frame.width, frame.height) == (-90, 80, 60)
    assert times(turned) == pytest.approx([pts / 25 for pts in gaps], abs=0.001)
    with av.open(tmp_path / "clips" / "000001_full.mp4") as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    wanted = (
        av.VideoFrame.from_ndarray(picture(0, 160, 120), format="rgb24").reformat(80, 60).to_ndarray(format="rgb24")
    )
    assert np.abs(shown.astype(float).mean((0, 1)) - wanted.astype(float).mean((0, 1))).max() < 4


@pytest.mark.heavy
def test_rows_of_a_table_are_cut_and_those_without_scores_left_out(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names may have columns of the table; files are found beside it."""
    (tmp_path / "a.mp4").write_bytes(video.read_bytes())
    parts: list[tuple[float | None, float | None]] = [(0.4, 0.8), (None, None), (0.0, 0.2), (1.0, 1.2)]
    moving = (2.0, 1.0, 1.0)
    rows: list[tuple[float, float, float] | str] = [(0.5, 1.0, 1.0), "the file is empty", moving, moving]
    scores = write_scores(
        tmp_path / "kept.parquet",
        rows,
        videos=["a.mp4"] * 4,
        parts=parts,
        skipped=[None, None, None, "static"],
    )
    name = "{width}p/{camera_movement_score:.1f}_{index}.mp4"
    status, counts, _ = run(capsys, scores, "--output", tmp_path / "clips", "--name", name, *FAST)
    assert (status, counts["parts"], counts["without_scores"]) == (0, 2, 2)
    assert clips(tmp_path / "clips") == ["640p/0.5_0.mp4", "640p/2.0_1.mp4", "clips.jsonl"]
    assert lines(tmp_path / "clips")["640p/2.0_1.mp4"]["frames"] == 5
    # The list is a manifest: whole files, found beside it.
    items = list(Manifest(str(tmp_path / "clips" / "clips.jsonl")).items(Skipped()))
    assert sorted(item.path for item in items) == [
        str(tmp_path / "clips" / path) for path in clips(tmp_path / "clips")[:2]
    ]
    assert all(item.part == {} and item.problem is None for item in items)


@pytest.mark.heavy
def test_a_part_that_fails_is_named_and_tried_again(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.mp4").write_bytes(video.read_bytes()[:3000])
    rows = [("gone.mp4", "", ""), ("broken.mp4", 1, 2), (str(video), 8, 9), (str(video), 0.4, 0.8)]
    parts = list_of(tmp_path / "list.csv", [*rows, ("0.tar/a.mp4", 0, 2)])
    status, counts, err = run(capsys, parts, "--output", tmp_path / "clips", *FAST)
    assert (status, counts["written"], counts["failed"]) == (1, 1, 4)
    assert {*err.splitlines()} == {
        f"{tmp_path / 'broken.mp4'}, 1 s to 2 s: it cannot be decoded: Invalid data found when processing input",
        "gone.mp4: the file was not found",
        "0.tar/a.mp4, 0 s to 2 s: the video is in a shard, and only score and filter --kept-shards read shards",
        f"{video}, 8 s to 9 s: it has no frame from 8 s to 9 s: the last one before is at 2.96 s",
    }
    assert clips(tmp_path / "clips") == ["000003_video.mp4", "clips.jsonl"]
    (tmp_path / "gone.mp4").write_bytes(encode(10))
    status, counts, _ = run(capsys, parts, "--output", tmp_path / "clips", *FAST)
    assert (counts["written"], counts["already_there"], counts["failed"]) == (1, 1, 3)


def test_a_worker_that_crashes_or_hangs_fails_its_part_only(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "import sys\nfor line in sys.stdin:\n    if 'die' in line: import os; os.kill(os.getpid(), 9)\n"
    answer += "    if 'hang' not in line: print('{\"facts\": 1}', flush=True)"
    worker = Worker((sys.executable, "-c", answer), stall_seconds=1.0)
    try:
        assert worker.ask({"do": "die"}) == {"error": "the decoder crashed", "errno": None}
        assert worker.ask({"do": "well"}) == {"facts": 1}
        assert worker.ask({"do": "hang"}) == {"error": "nothing was read or written for 1 s", "errno": None}
        assert worker.ask({"do": "well"}) == {"facts": 1}
    finally:
        worker.close()
    assert worker.ask({"do": "well"}) == {"facts": 1}
    worker.close()


# Shards.


@pytest.mark.heavy
def test_shards_have_each_clip_with_its_row(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts: list[tuple[float | None, float | None]] = [(index * 0.2, index * 0.2 + 0.2) for index in range(5)]
    videos = ["a.b.mp4", "a.b.mp4", "gone.mp4", "a.b.mp4", "a.b.mp4"]
    (tmp_path / "a.b.mp4").write_bytes(video.read_bytes())
    scores = write_scores(tmp_path / "kept.parquet", [(0.5, 1.0, 1.0)] * 5, videos=videos, parts=parts)
    arguments = (scores, "--shards", tmp_path / "shards", "--shard-size", "2", *FAST)
    status, counts, _ = run(capsys, *arguments)
    assert (status, counts["written"], counts["failed"]) == (1, 4, 1)
    assert clips(tmp_path / "shards") == ["000000.tar", "000001.tar", "000002.tar"]
    found: dict[str, dict[str, Any]] = {}
    for shard in range(3):
        with tarfile.open(tmp_path / "shards" / f"{shard:06}.tar") as tar:
            names = tar.getnames()
            assert names == sorted(names)
            for name in names:
                content = cast(Any, tar.extractfile(name)).read()
                found.setdefault(name.split(".")[0], {})[name.split(".", 1)[1]] = content
    assert [*found] == ["000000_a_b", "000001_a_b", "000003_a_b", "000004_a_b"]  # up to the first dot
    row = json.loads(found["000003_a_b"]["json"])
    assert row["motion"]["camera_movement_score"] == 0.5
    assert row["parameters"] == {"start_seconds": parts[3][0], "end_seconds": parts[3][1]}
    assert row["clip"]["frames"] == 5
    (tmp_path / "sample.mp4").write_bytes(found["000003_a_b"]["mp4"])
    assert len(times(tmp_path / "sample.mp4")) == 5
    # Done shards stay as they are.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "shards").glob("*.tar")}
    status, counts, _ = run(capsys, *arguments)
    assert (status, counts["written"], counts["already_there"]) == (0, 0, 5)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "shards").glob("*.tar")} == before


def test_a_sample_of_a_table_without_motion_has_its_camera_labels(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row without motion scores has failed only where motion was asked for."""
    (tmp_path / "a.mp4").write_bytes(video.read_bytes())
    metadata = replace(METADATA, signals=("camera",))
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)], videos=["a.mp4"], metadata=metadata)
    table = parquet.read_table(scores)
    for name in ("camera_movement_score", "object_movement_score", "dynamics_score"):
        table = table.set_column(table.column_names.index(name), name, pa.nulls(1, pa.float32()))
    parquet.write_table(table, scores)
    assert run(capsys, scores, "--shards", tmp_path / "shards", *FAST)[0] == 0
    with tarfile.open(tmp_path / "shards" / "000000.tar") as tar:
        row = json.loads(cast(Any, tar.extractfile("000000_a.json")).read())
    assert row["camera"][0]["labels"] == ["static"]
    assert not {"error", "motion"} & row.keys()


@pytest.mark.parametrize("kind", ["table", "csv", "jsonl"])
def test_captions_and_ids_of_a_list_are_found_in_its_shards(
    kind: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And columns of the list, measures too, make names; text that is a number can be padded."""
    (tmp_path / "v.mp4").write_bytes(video.read_bytes())
    rows = [{"path": "v.mp4", "caption": "a, dog", "clip_id": "7", "sharpness": 61.25, "end_seconds": 0.2}]
    if kind == "table":
        metadata = replace(METADATA, kept=("caption", "clip_id"))
        parts = write_scores(
            tmp_path / "kept.parquet",
            [(0.5, 1.0, 1.0)],
            videos=["v.mp4"],
            parts=[(None, 0.2)],
            measures=[{"sharpness": 61.25}],
            metadata=metadata,
        )
        content = parquet.read_table(parts)
        for name in metadata.kept:
            content = content.append_column(name, pa.array([rows[0][name]], pa.string()))
        parquet.write_table(content, parts)
    elif kind == "csv":
        parts = tmp_path / "list.csv"
        parts.write_text('path,caption,clip_id,sharpness,end_seconds\nv.mp4,"a, dog",7,61.25,0.2\n')
    else:
        parts = tmp_path / "list.jsonl"
        parts.write_text(json.dumps(rows[0]) + "\n")
    name = "{clip_id:03}_{sharpness:.1f}.mp4"
    shards = tmp_path / "shards"
    status, _, err = run(capsys, parts, "--shards", shards, "--name", name, *FAST)
    assert (status, err) == (0, "")
    shard = shards / "000000.tar"
    with tarfile.open(shard) as tar:
        assert tar.getnames() == ["007_61_2.json", "007_61_2.mp4", "007_61_2.txt"]
        assert cast(Any, tar.extractfile("007_61_2.txt")).read() == b"a, dog"
    skipped = Skipped()
    inputs = Inputs([str(shard)], [], choices=Choices(keep=("caption", "clip_id", "none")))
    (item,) = inputs.items(skipped)
    assert item.kept == {"caption": "a, dog", "clip_id": "7"}
    assert skipped.sentences() == ["NOTE: no sample of the shards has none: --keep has nothing to take"]


def test_a_name_from_an_empty_column_is_refused(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.jsonl", [])
    parts.write_text(json.dumps({"path": str(video), "scene": None}) + "\n")
    status, _, err = run(capsys, parts, "--output", tmp_path / "clips", "--name", "{scene}.mp4")
    assert (status, err) == (1, f"--name '{{scene}}.mp4' cannot be filled for {video}: its scene is empty\n")


# Killed and stopped runs.


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "client", "cut", *map(str, arguments), "--format", "json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def killed_and_taken_up(folder: Path, parts: Path, total: int, kills: list[int], *arguments: object) -> dict[str, Any]:
    """Run, kill the run where so many clips are there, and so on; then run to the end."""
    for least in kills:
        process = start(parts, *arguments)
        while made(folder) < least and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        for path in folder.glob("*.mp4"):  # what is seen is whole
            assert times(path)
    process = start(parts, *arguments)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    counts = dict(json.loads(out))
    assert counts["written"] + counts["already_there"] == total
    assert counts["already_there"] >= max(kills)
    return counts


def made(folder: Path) -> int:
    file = folder / "clips.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def check_all(folder: Path, rows: list[tuple[str, float, float]]) -> None:
    """No clip twice, none half, each as long as its part, and nothing else in the folder."""
    found = lines(folder)
    wanted = [f"{index:06}_{Path(name).stem}.mp4" for index, (name, _, _) in enumerate(rows)]
    assert sorted(found) == wanted
    assert clips(folder) == [*wanted, "clips.jsonl"]
    assert not (folder / ".cut" / "partial").exists()
    for name, (_, first, end) in zip(wanted, rows, strict=True):
        at = times(folder / name)
        assert at[0] == pytest.approx(0, abs=0.001)
        assert found[name]["first_frame_seconds"] == pytest.approx(first, abs=FRAME)
        assert at[-1] + FRAME == pytest.approx(end - first, abs=FRAME + 0.001)


def many_parts(folder: Path, video: Path, count: int) -> tuple[Path, list[tuple[str, float, float]]]:
    random = np.random.default_rng(3)
    starts = random.uniform(0, 2.2, count)
    rows = [(str(video), round(float(at), 3), round(float(at) + 0.4, 3)) for at in starts]
    return list_of(folder / "list.csv", [*rows]), rows


@pytest.mark.heavy
def test_a_killed_run_goes_on(video: Path, tmp_path: Path) -> None:
    parts, rows = many_parts(tmp_path, video, 16)
    killed_and_taken_up(tmp_path / "clips", parts, 16, [3], "--output", tmp_path / "clips", *FAST)
    check_all(tmp_path / "clips", rows)


@pytest.mark.slow
def test_two_hundred_parts_killed_three_times(video: Path, tmp_path: Path) -> None:
    parts, rows = many_parts(tmp_path, video, 200)
    killed_and_taken_up(tmp_path / "clips", parts, 200, [20, 80, 140], "--output", tmp_path / "clips", *FAST)
    check_all(tmp_path / "clips", rows)


@pytest.mark.heavy
def test_what_a_kill_can_leave_is_mended(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clip without its line, a line that is half, a removed clip, and partial files."""
    parts = list_of(tmp_path / "list.csv", [(str(video), index * 0.2, index * 0.2 + 0.2) for index in range(4)])
    folder = tmp_path / "clips"
    assert run(capsys, parts, "--output", folder, *FAST)[0] == 0
    before = lines(folder)
    kept = [json.dumps(before[f"00000{index}_video.mp4"]) for index in range(3)]
    (folder / "clips.jsonl").write_text("\n".join(kept)[:-20])  # the third is half, the fourth is gone
    (folder / "000000_video.mp4").unlink()
    (folder / ".cut" / "partial").mkdir()
    (folder / ".cut" / "partial" / "7-2.mp4").write_bytes(b"half")
    status, counts, _ = run(capsys, parts, "--output", folder, *FAST)
    assert (status, counts["written"], counts["already_there"]) == (0, 3, 1)
    assert lines(folder) == before
    assert clips(folder) == [f"00000{index}_video.mp4" for index in range(4)] + ["clips.jsonl"]
    assert not (folder / ".cut" / "partial").exists()


@pytest.mark.heavy
def test_ctrl_c_finishes_what_is_being_cut(video: Path, tmp_path: Path) -> None:
    parts, _ = many_parts(tmp_path, video, 60)
    folder = tmp_path / "clips"
    process = start(parts, "--output", folder, *FAST)
    wait_for(lambda: made(folder) >= 2 or process.poll() is not None, 60)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it, too
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finishing the clips that are being cut" in err
    counts = json.loads(out)
    assert 2 <= counts["written"] < 60
    assert counts["failed"] == 0
    assert made(folder) == counts["written"]


@pytest.mark.heavy
def test_two_runs_do_not_share_a_folder(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts, _ = many_parts(tmp_path, video, 60)
    process = start(parts, "--output", tmp_path / "clips", *FAST)
    try:
        wait_for(lambda: made(tmp_path / "clips") or process.poll() is not None, 60)
        status, _, err = run(capsys, parts, "--output", tmp_path / "clips", *FAST)
        assert (status, err) == (1, f"another run is writing into {tmp_path / 'clips'}\n")
    finally:
        process.kill()
        process.communicate()


# What is refused.


@pytest.mark.heavy
def test_a_folder_belongs_to_one_list_and_one_choice_of_settings(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), 0.2, 0.4)])
    folder = tmp_path / "clips"
    assert run(capsys, parts, "--output", folder, *FAST)[0] == 0
    status, _, err = run(capsys, parts, "--output", folder, "--crf", "20")
    sentence = f"{folder} was cut with other settings (crf was 30, not 20): choose another folder\n"
    assert (status, err) == (1, sentence)
    list_of(parts, [(str(video), 0.2, 0.6)])
    status, _, err = run(capsys, parts, "--output", folder, *FAST)
    assert (status, err) == (1, f"{folder} was cut from another list: choose another folder\n")
    status, _, err = run(capsys, parts, "--output", tmp_path, *FAST)
    assert (status, err) == (
        1,
        f"{tmp_path} is not empty, and no run of this command wrote it: choose another folder\n",
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("{stem}.mp4", "--name gives 'video.mp4' to parts 1 and 2 of the list: add {index} to it"),
        ("{colour}_{index}.mp4", "--name has {colour}, and the list has only: end_seconds, index, start_seconds, "),
        ("{index}", "a clip's name ends in 'no suffix', it must end in .mp4, .mov, .mkv, .webm"),
        ("{index}.gif", "a clip's name ends in '.gif', it must end in .mp4, .mov, .mkv, .webm"),
        ("{index}.webm", ".webm cannot hold h264: choose --codec vp9 or av1, or another suffix"),
        ("../{index}.mp4", "--name gives '../0.mp4' for "),
        ("/tmp/{index}.mp4", "--name gives '/tmp/0.mp4' for "),
        (".cut/{index}.mp4", "--name gives '.cut/0.mp4' for "),
        ("{index.real}.mp4", "--name '{index.real}.mp4': {index.real} is not the name of a column"),
        ("{index", "--name '{index' is no template: "),
        ("{stem:d}.mp4", "--name '{stem:d}.mp4' cannot be filled for "),
        ("a" * 250 + "{index}.mp4", "--name gives a name of 255 bytes for "),
    ],
)
def test_names_are_checked_before_anything_is_cut(
    name: str, sentence: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), 0.2, 0.4), (str(video), 0.4, 0.6)])
    status, _, err = run(capsys, parts, "--output", tmp_path / "clips", "--name", name)
    assert status == 1
    assert err.startswith(sentence)
    assert not (tmp_path / "clips").exists()


@pytest.mark.heavy
def test_a_value_of_a_column_cannot_lead_out_of_the_folder(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), 0.2, 0.4)])
    assert run(capsys, parts, "--output", tmp_path / "clips", "--name", "{video}.mp4", *FAST)[0] == 0
    (name,) = lines(tmp_path / "clips")
    assert name == str(video).replace("/", "_") + ".mp4"


def test_a_full_disk_ends_the_run(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker says that the disk is full; no other part is tried."""
    full = 'print(\'{"error": "No space left on device", "errno": 28}\', flush=True)'
    monkeypatch.setattr(
        pool.Worker.__init__, "__defaults__", ((sys.executable, "-c", f"input(); {full}; input()"), 5.0)
    )
    parts, _ = many_parts(tmp_path, video, 50)
    status, counts, err = run(capsys, parts, "--output", tmp_path / "clips", *FAST)
    assert (status, counts) == (1, {})
    assert err == f"cannot write into {tmp_path / 'clips'}: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list.csv"], "one of the arguments --output --shards is required"),
        (["list.csv", "--output", "a", "--shards", "b"], "not allowed with argument"),
        (["list.csv", "--output", "a", "--copy", "--crf", "3"], "--crf is for encoding, and --copy does not encode"),
        (["list.csv", "--output", "a", "--crf", "52"], "--crf is 52, it must be between 0 and 51 for h264"),
        (["list.csv", "--output", "a", "--size", "big"], "--size is 'big', it must be a number of pixels, or two"),
        (["list.csv", "--output", "a", "--size", "1"], "--size is '1', it must be"),
        (["list.csv", "--output", "a", "--shard-size", "9"], "--shard-size is for --shards DIR"),
        (["list.csv", "--output", "a", "--jobs", "0"], "0 is not at least 1"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_what_is_no_list_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.csv").write_text("colour,number\nred,1\n")
    status, _, err = run(capsys, tmp_path / "list.csv", "--output", tmp_path / "clips")
    assert status == 1
    assert "the manifest has no column 'path' or 'video'; its first line is 'colour,number'" in err
    status, _, err = run(capsys, tmp_path / "gone.parquet", "--output", tmp_path / "clips")
    assert status == 1
    assert "No such file or directory" in err
    assert not (tmp_path / "clips").exists()


def test_a_table_without_parts_leaves_an_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `filter --kept` writes it where every row is dropped."""
    scores = write_scores(tmp_path / "kept.parquet", [])
    status, counts, err = run(capsys, scores, "--output", tmp_path / "clips")
    assert (status, counts["parts"], err) == (0, 0, "")
    assert (tmp_path / "clips" / "clips.jsonl").read_text() == ""
    assert run(capsys, scores, "--shards", tmp_path / "shards")[0] == 0
    assert clips(tmp_path / "shards") == []


@pytest.mark.heavy
@pytest.mark.parametrize("how", [(), ("--copy",)])
def test_sound_that_comes_late_in_the_file_is_not_lost(
    how: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files whose sound follows the frames of the same time by seconds."""
    with av.open(BytesIO(marked(3))) as source, av.open(tmp_path / "late.mp4", "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        packets = [
            (float(packet.dts * packet.time_base) + 2 * packet.stream_index, index, packet)
            for index, packet in enumerate(cast(InputContainer, source).demux())
            if packet.dts is not None
        ]
        for _, _, packet in sorted(packets):
            packet.stream = streams[packet.stream_index]
            output.mux_one(packet)
    parts = list_of(tmp_path / "list.csv", [("late.mp4", 0.2, 1.0)])
    assert run(capsys, parts, "--output", tmp_path / "clips", *how)[0] == 0
    with av.open(tmp_path / "clips" / "000000_late.mp4") as container:
        assert seconds_of(container.streams.audio[0]) > 0.75


@pytest.mark.heavy
def test_a_damaged_list_of_clips_is_refused(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = list_of(tmp_path / "list.csv", [(str(video), 0.2, 0.4)])
    folder = tmp_path / "clips"
    assert run(capsys, parts, "--output", folder, *FAST)[0] == 0
    (folder / "clips.jsonl").write_text("nonsense\n")
    status, _, err = run(capsys, parts, "--output", folder, *FAST)
    assert (status, err) == (
        1,
        f"{folder / 'clips.jsonl'} is damaged: 'nonsense' is no line of it; remove that line\n",
    )
    assert (folder / "clips.jsonl").read_text() == "nonsense\n"
    (folder / ".cut" / "run.json").write_text("{")
    status, _, err = run(capsys, parts, "--output", folder, *FAST)
    assert (status, err) == (1, f"{folder / '.cut' / 'run.json'} is damaged: remove {folder}, and start again\n")

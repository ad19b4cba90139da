"""The first pass: what it sees, what it skips, and what becomes of it in a run and its table; without a server."""

import json
import os
import re
import signal
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client import Client, InvalidRequest, Score
from client._commands import filter as filter_command
from client._commands import report as report_command
from client._commands import score as score_command
from client._commands import summary as summary_command
from client._commands.first_pass_argument import with_value
from client._first_pass import footage
from client._first_pass.errors import FirstPassError
from client._first_pass.first_pass import FirstPass
from client._first_pass.footage import look_at
from client._first_pass.look import HEIGHT, WIDTH, Look, Looking
from client._first_pass.part import WHOLE, Part
from client._first_pass.thresholds import DEFAULT, KEY, Thresholds, read_thresholds, write_thresholds
from client._first_pass.workers import Workers
from client._inputs.inputs import Inputs
from client._inputs.item import Content, Item
from client._runs.run import scoring
from client._runs.table_run import journal_of, run_table
from client._tables.columns import is_failed, is_skipped, scores_of
from client._tables.journal import OtherTerms
from client._tables.row import FIRST_PASS_COLUMNS
from client._tables.table import read_batches, read_metadata, read_table
from fixtures.rendered import encode_pictures, moved, texture
from fixtures.still import FRAMES, RATE, still_and_moving, still_and_moving_pictures
from tests.test_table import SCORE, WEIGHTS

SKIPPED = {"frozen": "frozen", "black": "black", "static": "static"}
MOVING = ("pan", "late", "fade", "small")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of each kind, and a file that is none."""
    folder = tmp_path_factory.mktemp("first") / "videos"
    folder.mkdir()
    for name, video in still_and_moving().items():
        (folder / f"{name}.mp4").write_bytes(video)
    (folder / "zero.mp4").write_bytes(b"this is no video")
    return folder


# What is seen


def seen(pictures: list[np.ndarray]) -> Look:
    looking = Looking()
    for picture in pictures:
        looking.take(picture.astype(np.uint8))
    look = looking.result()
    assert look is not None
    return look


def test_change_is_that_of_one_cell_from_the_first_picture() -> None:
    still = np.full((HEIGHT, WIDTH), 100)
    cell = still.copy()
    cell[8:12, 20:24] += 7
    assert seen([still, still, cell, still]) == Look(7.0, 0.0, 1 - 2 / 3)
    half = still.copy()
    half[8:12, 20:22] += 7  # half of the cell
    assert seen([still, half, half, half]).change == 3.5


def test_a_slow_change_adds_up() -> None:
    fade = [np.full((HEIGHT, WIDTH), 100 + index // 3) for index in range(31)]
    look = seen(fade)  # a level for every third picture: never two in one step
    assert look.change == 10
    assert look.frozen_share == 1 - 5 / 30
    assert DEFAULT.verdict(look) is None


def test_a_picture_is_black_if_nearly_all_of_it_is() -> None:
    dark = np.full((HEIGHT, WIDTH), 25)
    speck = dark.copy()
    speck.reshape(-1)[: int(0.02 * dark.size)] = 255
    stain = dark.copy()
    stain.reshape(-1)[: int(0.02 * dark.size) + 1] = 255
    assert seen([dark, speck, stain, dark + 1]).black_share == 0.5


def test_fewer_than_four_pictures_say_nothing() -> None:
    looking = Looking()
    for _ in range(3):
        looking.take(np.zeros((HEIGHT, WIDTH), np.uint8))
    assert looking.result() is None


def test_each_kind_of_video_gets_its_verdict(videos: Path) -> None:
    for name, by in SKIPPED.items():
        look = look_at(str(videos / f"{name}.mp4"), thresholds=DEFAULT)
        assert look is not None, name
        assert DEFAULT.verdict(look) == by
        assert look == look_at(str(videos / f"{name}.mp4"))
    for name in MOVING:
        assert look_at(str(videos / f"{name}.mp4"), thresholds=DEFAULT) is None, name
        whole = look_at(str(videos / f"{name}.mp4"))
        assert whole is not None
        assert DEFAULT.verdict(whole) is None
        assert whole.change > 10


def test_a_moving_video_is_not_read_further_than_it_takes(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    small = footage._small

    def noted(frame: Any) -> Any:
        looked.append(frame)
        return small(frame)

    monkeypatch.setattr(footage, "_small", noted)
    look_at(str(videos / "pan.mp4"), thresholds=DEFAULT)
    stopped = len(looked)
    looked.clear()
    look_at(str(videos / "pan.mp4"))
    assert stopped <= 3 < 8 < len(looked)


def test_keyframes_tell_of_motion_before_anything_else_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = texture(2, 160, 120)
    video = encode_pictures(
        [picture] * 36 + moved(picture, 36, 5), RATE, options={"preset": "veryfast", "g": "12", "sc_threshold": "0"}
    )

    def not_needed(*_: object) -> Any:
        raise AssertionError("the keyframes are enough")

    monkeypatch.setattr(footage, "_pictures", not_needed)
    assert look_at(video, thresholds=DEFAULT) is None


def test_a_part_is_looked_at_alone(videos: Path) -> None:
    late = str(videos / "late.mp4")
    still = look_at(late, Part(0.0, 1.8))
    assert still is not None
    assert DEFAULT.verdict(still) == "frozen"
    assert look_at(late, Part(0.5, None), DEFAULT) is None
    end = look_at(late, Part(3.4, None, True))
    assert end is not None
    assert end.frozen_share == 0
    with pytest.raises(FirstPassError, match="the part has no frame"):
        look_at(late, Part(60.0, None))


def test_the_times_of_a_part_are_timestamps_unless_they_count_from_the_first_frame() -> None:
    picture = texture(3, 160, 120)
    pictures = [picture] * 24 + moved(picture, 24, 4)
    video = begins_at(3, encode_pictures(pictures, RATE, options={"preset": "veryfast", "bf": "0"}))
    first = look_at(video, Part(0.0, 1.9, True))
    assert first is not None
    assert DEFAULT.verdict(first) == "frozen"
    with pytest.raises(FirstPassError, match="the part has no frame"):
        look_at(video, Part(0.0, 1.9))
    same = look_at(video, Part(3.0, 4.9))
    assert same == first


def test_windows_of_a_long_video_reach_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "LONG_SECONDS", 4.0)
    monkeypatch.setattr(footage, "WINDOWS", 4)
    monkeypatch.setattr(footage, "WINDOW_SECONDS", 1.0)
    picture = texture(4, 96, 64)
    options = {"preset": "veryfast", "g": "12"}
    still = look_at(encode_pictures([picture] * 120, RATE, options=options))
    assert still is not None
    assert still.change < 5  # what an encoder makes of ten keyframes of one picture
    for where in (0, 108):  # the first and the last second
        pictures = [picture] * 120
        pictures[where : where + 12] = moved(picture, 12, 4)
        moving = look_at(encode_pictures(pictures, RATE, options=options))
        assert moving is not None
        assert moving.change > 20


def test_a_long_video_whose_keyframes_are_too_far_apart_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "LONG_SECONDS", 4.0)
    monkeypatch.setattr(footage, "MOST_BEFORE_SECONDS", 2.0)
    video = encode_pictures([texture(4, 96, 64)] * 120, RATE, options={"preset": "veryfast", "g": "1000"})
    with pytest.raises(FirstPassError, match="its keyframes are too far apart"):
        look_at(video)


@pytest.mark.parametrize("what", ["nothing", "text", "half"])
def test_what_cannot_be_decoded_has_no_verdict(what: str, videos: Path) -> None:
    whole = encode_pictures(
        still_and_moving_pictures()["frozen"], RATE, container="matroska", options={"preset": "veryfast", "g": "6"}
    )
    content = {"nothing": b"", "text": b"no video", "half": whole[: len(whole) // 2]}[what]
    with pytest.raises(FirstPassError, match=r"it cannot be decoded: |it ends [\d.]+ s before its end"):
        look_at(content)


def begins_at(seconds: int, video: bytes) -> bytes:
    """The same video in a file whose first frame has this timestamp."""
    file = BytesIO()
    with av.open(BytesIO(video), "r") as source, av.open(file, "w", format="matroska") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.pts is not None and packet.dts is not None:
                later = int(seconds / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
                output.mux(packet)
    return file.getvalue()


# Thresholds


def test_the_first_of_black_frozen_and_static_is_the_verdict() -> None:
    assert DEFAULT.verdict(Look(0.0, 1.0, 1.0)) == "black"
    assert DEFAULT.verdict(Look(0.0, 0.9, 1.0)) == "frozen"
    assert DEFAULT.verdict(Look(DEFAULT.static_change or 0, 0.0, 0.9)) == "static"
    assert DEFAULT.verdict(Look((DEFAULT.static_change or 0) + 0.01, 0.9, 0.9)) is None
    assert Thresholds(None, 0.9, None).verdict(Look(200.0, 1.0, 0.9)) == "frozen"
    assert Thresholds(None, None, 0.9).verdict(Look(0.0, 0.8, 1.0)) is None


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([0, 20, 27, 28, 29, 60]), min_size=4, max_size=12),
    st.sampled_from([None, 0.0, 2.0, 40.0]),
    st.sampled_from([None, 0.5, 0.8, 1.0]),
    st.sampled_from([None, 0.5, 0.8, 1.0]),
)
def test_what_is_skipped_in_the_end_may_be_skipped_all_along(
    levels: list[int], static: float | None, frozen: float | None, black: float | None
) -> None:
    thresholds = Thresholds(static, frozen, black)
    looking = Looking()
    possible = []
    for level in levels:
        looking.take(np.full((HEIGHT, WIDTH), level, np.uint8))
        possible.append(thresholds.may_skip(looking, len(levels)))
    look = looking.result()
    assert look is not None
    if thresholds.verdict(look):
        assert all(possible)


def test_thresholds_are_written_and_read(tmp_path: Path) -> None:
    thresholds = Thresholds(3.25, None, 0.95)
    write_thresholds(tmp_path / "t.json", thresholds, {"recall": 0.99})
    assert read_thresholds(tmp_path / "t.json") == thresholds


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[]", "it has no object 'first_pass_thresholds'"),
        ("{", "Expecting property name"),
        ('{"static_change": 2}', "it has no object 'first_pass_thresholds'"),
        ({"static": 2}, "there is no threshold 'static', only static_change, frozen_share, black_share"),
        ({"static_change": "2"}, "static_change is 2, it must be null or a number from 0 to 255"),
        ({"static_change": True}, "static_change is True, it must be null or a number"),
        ({"black_share": 1.5}, "black_share is 1.5, it must be null or a number from 0 to 1"),
        ({"static_change": None}, "they would skip nothing"),
        ({}, "they would skip nothing"),
    ],
)
def test_a_wrong_file_of_thresholds_is_refused(content: Any, why: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(content if isinstance(content, str) else json.dumps({KEY: content}))
    with pytest.raises(FirstPassError) as raised:
        read_thresholds(path)
    assert str(raised.value).startswith(f"{path} has no thresholds of a first pass: {why}")


def test_a_missing_file_of_thresholds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FirstPassError, match=r"cannot read .*t\.json: No such file"):
        read_thresholds(tmp_path / "t.json")


# Processes


def test_a_process_looks_at_files_and_at_bytes(videos: Path) -> None:
    workers = Workers(DEFAULT, 1)
    try:
        frozen = workers.look(str(videos / "frozen.mp4"), WHOLE)
        assert frozen == look_at(str(videos / "frozen.mp4"))
        assert workers.look((videos / "frozen.mp4").read_bytes(), WHOLE) == frozen
        assert workers.look((videos / "pan.mp4").read_bytes(), WHOLE) is None
        with pytest.raises(FirstPassError, match="it cannot be decoded"):
            workers.look(b"this is no video", WHOLE)
        (worker,) = workers._workers.all()
        process = worker._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with pytest.raises(FirstPassError, match="the decoder crashed"):
            workers.look(str(videos / "frozen.mp4"), WHOLE)
        assert workers.look(str(videos / "late.mp4"), Part(0.0, 1.8, True)) is not None
    finally:
        workers.close()
    assert worker._process is None


def test_a_look_that_takes_too_long_ends(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client._first_pass.workers.LONGEST_SECONDS", 0.0)
    workers = Workers(DEFAULT, 1)
    try:
        with pytest.raises(FirstPassError, match="it takes more than 0 s"):
            workers.look(str(videos / "frozen.mp4"), WHOLE)
        (worker,) = workers._workers.all()
        assert worker._process is None
    finally:
        workers.close()


# Runs


class Stub(FirstPass):
    """Looks in this process, which starts faster."""

    def look(self, video: str | bytes, parameters: Any) -> Look | None:
        start, end = (parameters.get(name) for name in ("start_seconds", "end_seconds"))
        try:
            return look_at(video, Part(start, end, bool(parameters.get("from_first_frame"))), self._thresholds)
        except FirstPassError:
            return None


def fake_client(sent: list[object]) -> Client:
    """Scores every video but zero.mp4."""

    def score(video: str | bytes, **_: float) -> Score:
        sent.append(video if isinstance(video, bytes) else Path(video).stem)
        if str(video).endswith("zero.mp4"):
            raise InvalidRequest("the file is not a video", reason="not_a_video")
        return SCORE

    return cast(Client, SimpleNamespace(weights=lambda: WEIGHTS, score=score, is_ready=lambda: True))


def run(videos: Path, output: Path, thresholds: Thresholds | None = DEFAULT, **more: Any) -> tuple[int, list[object]]:
    sent: list[object] = []
    inputs = Inputs([str(videos)], [], output=output)
    first_pass = more.pop("first_pass", Stub(thresholds, jobs=1))
    status = run_table(fake_client(sent), inputs, output, {}, in_flight=1, first_pass=first_pass, **more)
    return status, sent


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    return {Path(row["video"]).stem: row for row in read_table(path).to_pylist()}


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_skipped_videos_are_rows_without_scores_and_are_not_sent(
    suffix: str, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / f"scores{suffix}"
    status, sent = run(videos, output)
    assert status == 1  # zero.mp4, of which the server says what is wrong
    assert sorted(map(str, sent)) == sorted([*MOVING, "zero"])
    assert "the first pass skipped 3 videos" in capsys.readouterr().err
    rows = rows_of(output)
    assert len(rows) == 8
    for name, by in SKIPPED.items():
        row = rows[name]
        assert row["skipped_by"] == by
        assert row["error"] is row["camera_movement_score"] is row["clips"] is row["duration_seconds"] is None
        look = look_at(str(videos / f"{name}.mp4"))
        assert look is not None
        assert [row[each] for each in FIRST_PASS_COLUMNS] == pytest.approx([*look.as_row().values()], abs=1e-6)
    for name in MOVING:
        row = rows[name]
        assert row["camera_movement_score"] == 0.5
        assert [row[each] for each in ("skipped_by", *FIRST_PASS_COLUMNS)] == [None] * 4
    assert (rows["zero"]["reason"], rows["zero"]["skipped_by"]) == ("not_a_video", None)
    (batch,) = read_batches(output)
    assert is_skipped(batch).sum() == 3
    assert is_failed(batch, scores_of(batch)).sum() == 4
    assert read_metadata(output).signals is None
    assert run(videos, output) == (1, [])  # everything is there


def test_without_a_first_pass_no_row_has_its_columns(videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    _, sent = run(videos, output, first_pass=None)
    assert len(sent) == 8
    assert not {*FIRST_PASS_COLUMNS} & {*read_table(output).column_names}


def test_measuring_skips_nothing_and_says_what_was_seen(videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    _, sent = run(videos, output, None)
    assert len(sent) == 8
    rows = rows_of(output)
    assert {row["skipped_by"] for row in rows.values()} == {None}
    assert all(rows[name]["first_pass_change"] > 10 for name in MOVING)
    assert rows["frozen"]["first_pass_frozen_share"] == rows["black"]["first_pass_black_share"] == 1
    assert rows["zero"]["first_pass_change"] is None


def test_a_run_resumes_with_the_same_thresholds_alone(videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.jsonl"
    run(videos, output)
    before = output.read_bytes()
    others = {
        'with --first-pass {"static_change": 4.0, "frozen_share": 1.0, "black_share": 1.0}': Stub(
            Thresholds(4.0, 1.0, 1.0), jobs=1
        ),
        'with --first-pass {"measure": 1}': Stub(None, jobs=1),
        "without --first-pass": None,
    }
    for shown, other in others.items():
        with pytest.raises(OtherTerms) as raised:
            run(videos, output, first_pass=other)
        begun = f"was begun with --first-pass {json.dumps(DEFAULT.as_dict())}, now it is {shown}: "
        assert begun in str(raised.value)
    assert output.read_bytes() == before
    whole = tmp_path / "whole.jsonl"
    run(videos, whole, first_pass=None)
    with pytest.raises(OtherTerms, match="was begun without --first-pass, now it is with"):
        run(videos, whole)


def test_skipped_videos_are_not_failures_that_are_retried(videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    run(videos, output)
    status, sent = run(videos, output, retry_failed=True)
    assert (status, sent) == (1, ["zero"])
    assert {name for name, row in rows_of(output).items() if row["skipped_by"]} == {*SKIPPED}


def test_a_lost_table_is_written_again_with_what_was_skipped(videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores.parquet"
    run(videos, output)
    before = read_table(output)
    output.unlink()
    run(videos, output)
    assert read_table(output).equals(before)
    assert journal_of(output).exists()


def test_a_table_of_skipped_videos_alone_can_be_read(videos: Path, tmp_path: Path) -> None:
    for suffix in (".parquet", ".jsonl", ".csv"):
        output = tmp_path / f"scores{suffix}"
        sent: list[object] = []
        names = [str(videos / "frozen.mp4"), str(videos / "black.mp4")]
        inputs = Inputs(names, [], output=output)
        with Stub(DEFAULT, jobs=1) as first_pass:
            assert run_table(fake_client(sent), inputs, output, {}, in_flight=1, first_pass=first_pass) == 0
        assert sent == []
        assert read_table(output).column("skipped_by").to_pylist() == ["frozen", "black"]


def test_a_video_that_a_manifest_holds_is_looked_at_and_then_sent(videos: Path) -> None:
    sent: list[object] = []
    score = scoring(fake_client(sent), {}, None, Stub(DEFAULT, jobs=1))
    pan, still = ((videos / f"{name}.mp4").read_bytes() for name in ("pan", "frozen"))
    assert score(Item("pan", content=Content(pan, "pan"))).result == SCORE
    assert sent == [pan]
    assert score(Item("still", content=Content(still, "still"))).look is not None
    assert sent == [pan]


def test_the_part_of_a_manifest_is_what_is_looked_at(videos: Path) -> None:
    sent: list[object] = []
    score = scoring(fake_client(sent), {"from_first_frame": 1}, None, Stub(DEFAULT, jobs=1))
    late = str(videos / "late.mp4")
    assert getattr(score(Item(late, 0.0, 1.8)).result, "by", None) == "frozen"
    assert score(Item(late, 1.0, 4.5)).result == SCORE
    assert sent == ["late"]


# Commands


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A client without a server; the names of what is sent."""
    sent: list[object] = []
    fake = fake_client(sent)
    monkeypatch.setattr(Client, "weights", lambda _: WEIGHTS)
    monkeypatch.setattr(Client, "score", lambda _, video, **__: fake.score(video))
    return sent


def test_score_prints_what_is_skipped(
    videos: Path, connected: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(videos / f"{name}.mp4") for name in ("frozen", "pan")]
    assert score_command.main(["--first-pass", *names, "--format", "json"]) == 0
    skipped, scored = map(json.loads, capsys.readouterr().out.splitlines())
    assert skipped["video"] == names[0]
    assert skipped["skipped_by"] == "frozen"
    assert not {"motion", "error"} & {*skipped}
    assert scored["motion"]["camera_movement_score"] == 0.5
    assert connected == ["pan"]
    assert score_command.main([*names, "--first-pass", "--format", "table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{names[0]}  not scored: frozen (change ")
    assert lines[1].startswith(f"{names[1]}  3.50 s")


def test_thresholds_of_a_file_are_used(
    videos: Path, connected: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_thresholds(tmp_path / "t.json", Thresholds(255.0, None, None), {})
    output = tmp_path / "scores.jsonl"
    command = [str(videos / "pan.mp4"), "--first-pass", str(tmp_path / "t.json"), "--output", str(output)]
    assert score_command.main(command) == 0
    assert connected == []
    assert rows_of(output)["pan"]["skipped_by"] == "static"
    assert score_command.main([*command[:1], "--first-pass", "--output", str(output)]) == 2
    assert "was begun with --first-pass" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given_arguments", "meant"),
    [
        (["--first-pass", "a.mp4"], ["--first-pass=default", "a.mp4"]),
        (["a.mp4", "--first-pass"], ["a.mp4", "--first-pass=default"]),
        (["--first-pass", "--output", "o.csv"], ["--first-pass=default", "--output", "o.csv"]),
        (["--first-pass", "t.json", "a.mp4"], ["--first-pass", "t.json", "a.mp4"]),
        (["--first-pass", "measure", "a.mp4"], ["--first-pass", "measure", "a.mp4"]),
        (["--first-pass=t.json", "a.mp4"], ["--first-pass=t.json", "a.mp4"]),
        ([], []),
    ],
)
def test_the_video_after_the_option_is_no_value_of_it(given_arguments: list[str], meant: list[str]) -> None:
    assert with_value(given_arguments) == meant


def test_what_does_not_go_with_a_first_pass_is_refused(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = str(videos / "pan.mp4")
    with pytest.raises(SystemExit) as raised:
        score_command.main([video, "--first-pass", "--engine", "ray", "--output", str(tmp_path / "o.parquet")])
    assert raised.value.code == 2
    assert "--first-pass looks at the videos on this machine: leave out --engine ray" in capsys.readouterr().err
    with pytest.raises(SystemExit) as raised:
        score_command.main([video, "--first-pass=t.yaml"])
    assert raised.value.code == 2
    assert "--first-pass t.yaml: thresholds are in a file that ends in .json" in capsys.readouterr().err
    assert score_command.main([video, "--first-pass", str(tmp_path / "none.json")]) == 2
    assert "cannot read" in capsys.readouterr().err
    monkeypatch.setattr("client._optional.find_spec", lambda name: None if name == "av" else object())
    assert score_command.main([video, "--first-pass"]) == 1
    said = capsys.readouterr().err
    assert "--first-pass needs av: pip install av (the extra 'video' of the wheel has them)" in said


def test_filter_drops_what_was_skipped(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "scores.parquet"
    run(videos, table)
    lists = {what: tmp_path / f"{what}.jsonl" for what in ("kept", "dropped", "failed")}
    command = [str(table), "--drop", "static", "--format", "json"]
    for what, path in lists.items():
        command += [f"--{what}", str(path)]
    capsys.readouterr()
    assert filter_command.main(command) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["videos"], counts["kept"], counts["dropped"], counts["failed"]) == (8, 4, 3, 1)
    assert counts["dropped_by"] == {"static": 0, "first_pass": 3}
    dropped = [json.loads(line) for line in lists["dropped"].read_text().splitlines()]
    assert {Path(row["video"]).stem: row["skipped_by"] for row in dropped} == SKIPPED
    assert {name for row in dropped for name in row["dropped_by"]} == {"first_pass"}
    assert all(row["first_pass_change"] < 3 and "error" not in row for row in dropped)
    assert len(lists["failed"].read_text().splitlines()) == 1
    assert read_table(lists["dropped"]).column("skipped_by").null_count == 0
    assert filter_command.main([str(table), "--drop", "chaotic", "--format", "table"]) == 0
    shown = capsys.readouterr().out
    assert "a first pass skipped them: they have no scores" in shown
    assert "57.1% of those that did not fail" in shown
    text = tmp_path / "dropped.txt"
    assert filter_command.main([str(table), "--drop", "static", "--dropped", str(text), "--format", "json"]) == 0
    assert all(line.endswith("\tfirst_pass") for line in text.read_text().splitlines())


def test_summary_counts_what_was_skipped_apart(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "scores.parquet"
    run(videos, table)
    capsys.readouterr()
    assert summary_command.main([str(table), "--format", "json"]) == 0
    (summary,) = json.loads(capsys.readouterr().out)["sets"]
    assert (summary["videos"], summary["failed"]) == (8, 1)
    assert summary["skipped_by"] == {"black": 1, "frozen": 1, "static": 1}
    assert summary["scores"]["camera_movement_score"]["mean"] == 0.5
    assert summary_command.main([str(table), "--format", "table"]) == 0
    said = re.search(r"8 videos, 1 failed, 3 skipped by a first pass \((.*)\), 8 clips", capsys.readouterr().out)
    assert said
    assert sorted(said[1].split(", ")) == ["1 black", "1 frozen", "1 static"]
    assert summary_command.main([str(table), "--per-video", "--format", "json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(line["skipped_by"] for line in lines if "skipped_by" in line) == ["black", "frozen", "static"]
    assert summary_command.main([str(table), "--per-video", "--format", "table"]) == 0
    assert "frozen.mp4  not scored: frozen" in capsys.readouterr().out


def test_the_report_leaves_out_what_was_skipped(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, page = tmp_path / "scores.parquet", tmp_path / "page.html"
    run(videos, table)
    capsys.readouterr()
    assert report_command.main([str(table), "--output", str(page), "--examples", "0"]) == 0
    assert "5 videos, 1 failed (3 that a first pass skipped are not on the page)" in capsys.readouterr().out
    assert '"videos": 5, "scored": 4' in page.read_text()


def test_the_videos_are_as_they_are_said_to_be(videos: Path) -> None:
    """Or the tests above would be about something else."""
    look = look_at(str(videos / "static.mp4"))
    assert look is not None
    assert 0 < look.change <= (DEFAULT.static_change or 0)
    assert look.frozen_share < 1
    assert FRAMES / RATE == 5

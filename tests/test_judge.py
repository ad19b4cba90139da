"""The command `judge`."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet
from scipy.stats import binomtest

from client._commands.judge import main
from client._judge.errors import JudgeError
from client._judge.flow import dynamic
from client._judge.judgement import Failed, compare, judge
from client._judge.measure_flow import is_dynamic
from client._judge.observed import match, read_observed
from client._judge.prompts import Prompt, read_prompts
from client._judge.statistics import mean, sign_test, wilson
from export.random_weights import CAMERA_LABELS
from fixtures.browser import Browser
from fixtures.score_tables import METADATA, write_scores
from fixtures.synthetic import encode
from server import Server
from tests.stub_server import Answer, StubConnection, answer_everything

Clips = list[tuple[float, float, list[str]]]
FAST, STILL = (1.5, 1.0, 0.2), (0.1, 0.1, 0.0)


def write_prompts(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_prompts(tmp_path: Path) -> None:
    path = write_prompts(tmp_path / "p.csv", 'prompt,move,category\n"a, zoom in",pan;static,nature\nb zoom in,,\n')
    assert read_prompts(path) == [
        Prompt("a, zoom in", ("pan", "static"), "nature", None),
        Prompt("b zoom in", (), "all", None),
    ]
    path = write_prompts(tmp_path / "q.csv", 'video,prompt\n1.mp4,"b, zoom in"\n')
    assert read_prompts(path) == [Prompt("b, zoom in", ("zoom_in",), "all", "1.mp4")]


def test_another_column_can_name_the_moves(tmp_path: Path) -> None:
    path = write_prompts(tmp_path / "p.csv", 'prompt,move,camera\n"a, zoom in",pan,tilt_up;roll\nb,pan,\n')
    assert [prompt.moves for prompt in read_prompts(path, "camera")] == [("tilt_up", "roll"), ()]
    with pytest.raises(JudgeError, match="has no column 'moves', only 'prompt', 'move', 'camera'"):
        read_prompts(path, "moves")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no column 'prompt', only nothing"),
        ("text\na\n", "has no column 'prompt', only 'text'"),
        ("prompt\n", "has no prompts"),
        ("prompt,move\na,spin\n", "line 2: there is no camera move 'spin', only arc_left"),
        ("prompt,move\n,pan\n", "line 2: the prompt is empty"),
        ('prompt\n"a', "is not a CSV file"),
        ("prompt\na\nb\na\n", "line 4: 'a' is in line 2 already: each video belongs to one prompt"),
        ("prompt,video\na,1.mp4\nb,1.mp4\n", "line 3: '1.mp4' is in line 2 already"),
        ("prompt\na dog, zoom in\n", "line 2 has more cells than the first line: a text with commas needs quotation"),
    ],
)
def test_prompts_that_cannot_be_used_are_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=sentence):
        read_prompts(write_prompts(tmp_path / "p.csv", text))
    with pytest.raises(JudgeError, match="cannot read"):
        read_prompts(tmp_path / "absent.csv")


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (3, 10), (70, 100)])
def test_intervals_of_shares_are_those_of_scipy(successes: int, trials: int) -> None:
    found = wilson(successes, trials)
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((successes / trials, *expected))
    assert wilson(0, 0) is None


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (5, 5), (9, 1), (40, 60)])
def test_the_sign_test_is_that_of_scipy(wins: int, losses: int) -> None:
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1
    assert sign_test(wins, losses) == pytest.approx(expected)


def test_means_have_intervals() -> None:
    found = mean([1.0, 2.0, 3.0] * 30)
    assert found is not None
    assert found.value == 2
    assert 1.75 < found.low < 2 < found.high < 2.25
    assert mean([]) is None


def scores(path: Path, videos: dict[str, tuple[tuple[float, float, float] | str, Clips]]) -> Path:
    return write_scores(
        path,
        [motion for motion, _ in videos.values()],
        videos=list(videos),
        clips=[clips for _, clips in videos.values()],
    )


def clips(*labels: list[str]) -> Clips:
    return [(2.0 * index, 2.0 * index + 2, each) for index, each in enumerate(labels)]


@pytest.fixture
def prompts() -> list[Prompt]:
    return [
        Prompt("one", ("pan_left",), "nature", None),
        Prompt("two", ("static",), "nature", "second.mp4"),
        Prompt("three", ("zoom",), "city", None),
        Prompt("four", (), "city", None),
        Prompt("five", ("pan_left", "zoom_in"), "city", None),
    ]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return scores(
        tmp_path / "scores.parquet",
        {
            "v/one-0.mp4": (FAST, clips(["pan_left", "pov"], ["pan_left"], ["zoom_in"])),
            "v/one-1.mp4": (FAST, clips(["tilt_up"], [])),
            "v/second.mp4": (STILL, clips(["static"], ["static", "undefined"])),
            "v/three.mp4": (FAST, clips(["zoom_out"], ["static"], ["static"])),
            "v/four.mp4": (STILL, clips(["undefined"])),
            "v/five.mp4": ("the file is empty", []),
        },
    )


def test_what_was_asked_and_what_is_shown(prompts: list[Prompt], table: Path) -> None:
    scored = read_observed(table)
    assert scored.failed == {"v/five.mp4": "the file is empty"}
    failed = match(prompts, {video: (video, why) for video, why in scored.failed.items()})
    found = judge("ours", prompts, match(prompts, scored.videos), failed=failed, labels=scored.metadata.labels)
    assert (found.prompts, found.videos, found.missing) == (4, 5, [])
    assert found.failed == [Failed("v/five.mp4", "five", "the file is empty")]
    assert [(each.video, each.prompt, each.moves, each.observed) for each in found.missed] == [
        ("v/one-1.mp4", "one", ["pan_left"], "tilt_up")
    ]
    assert found.not_told == []
    shares = {each.move: (each.videos, each.share and each.share.value) for each in found.adherence}
    assert shares == {"pan_left": (2, 0.5), "static": (1, 1.0), "zoom": (1, 1.0), "all": (4, 0.75)}
    assert found.requested == ["pan_left", "static", "zoom"]
    assert found.observed == ["pan_left", "tilt_up", "static", "none"]
    assert found.confusion == [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]]
    assert found.scores["nature"]["camera"].value == pytest.approx((1.5 + 1.5 + 0.1) / 3)
    assert set(found.scores) == {"nature", "city", "all"}
    assert found.moving is not None
    assert found.moving.value == pytest.approx(3 / 5)
    assert found.dynamic_degree is None


def test_static_must_hold_for_every_clip(tmp_path: Path) -> None:
    table = scores(tmp_path / "s.parquet", {"a.mp4": (STILL, clips(["static"], []))})
    observed = read_observed(table).videos
    assert not observed["a.mp4"].fulfils("static")
    assert observed["a.mp4"].longest == "static"


def test_vbenchs_rule_stands_beside_ours(prompts: list[Prompt], table: Path) -> None:
    observed = read_observed(table).videos
    flow: dict[str, bool | str] = {video: "one" in video for video in observed}
    flow["v/four.mp4"] = "the decoder crashed"
    found = judge("ours", prompts, match(prompts, observed), flow)
    assert found.dynamic_degree is not None
    assert found.dynamic_degree.value == 0.5
    assert found.agreement == [[1, 0], [1, 2]]
    assert found.not_measured == {"v/four.mp4": "the decoder crashed"}


def test_two_generators_are_compared_prompt_by_prompt(prompts: list[Prompt], table: Path, tmp_path: Path) -> None:
    other = scores(
        tmp_path / "other.parquet",
        {
            "w/one.mp4": (FAST, clips(["pan_left"])),
            "w/second.mp4": (FAST, clips(["pan_left"])),
            "w/three.mp4": (FAST, clips(["zoom_in"])),
            "w/five.mp4": (FAST, clips(["zoom_in"])),
        },
    )
    first, second = (match(prompts, read_observed(path).videos) for path in (table, other))
    found = {each.what: (each.wins, each.losses, each.ties, each.p) for each in compare(prompts, first, second)}
    assert found["adherence"] == (1, 1, 1, 1.0)  # of one.mp4's two videos, one shows the pan
    assert found["camera"] == (0, 1, 2, 1.0)
    assert set(found) == {"adherence", "camera", "object", "dynamics"}


def test_a_move_that_the_weights_lack_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled networks have no `track`: that is not 0 %."""
    labels = tuple(label for label in CAMERA_LABELS if label not in ("track", "pov"))
    metadata = replace(METADATA, weights={"motion": "demo", "camera": "random:0", "precision": "f32"}, labels=labels)
    shown = [clips(["pan_left"]), clips(["zoom_in"]), clips(["pan_left"])]
    table = write_scores(
        tmp_path / "s.parquet", [FAST] * 3, videos=["a.mp4", "b.mp4", "c.mp4"], clips=shown, metadata=metadata
    )
    prompts = write_prompts(tmp_path / "p.csv", "prompt,move\na,track\nb,track;pan_left\nc,pan_left\n")
    output, content = tmp_path / "judge.html", tmp_path / "judge.json"
    assert main([str(prompts), str(table), "--output", str(output), "--json", str(content)]) == 0
    said = capsys.readouterr()
    assert re.search(r"track +2 videos  not told by these weights", said.out)
    assert f"NOTE: {table}: the camera moves come from random weights and mean nothing\n" in said.err
    (generator,) = json.loads(content.read_text())["generators"]
    shares = {
        each["move"]: (each["videos"], each["share"] and each["share"]["value"]) for each in generator["adherence"]
    }
    assert shares == {"pan_left": (2, 0.5), "track": (2, None), "all": (1, 1.0)}
    assert generator["not_told"] == ["track"]
    assert [(each["video"], each["moves"]) for each in generator["missed"]] == [("b.mp4", ["pan_left"])]
    assert generator["notes"] == [
        "the camera moves come from random weights and mean nothing",
        "the motion scores come from demo weights and are far less accurate than those of published networks",
    ]
    text = output.read_text()
    assert "<td>track</td><td>2</td><td>not told by these weights</td>" in text
    assert "the camera moves come from random weights and mean nothing" in text
    assert "Weights: motion: demo; camera: random:0" in text


def test_other_weights_or_parameters_of_two_tables_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_scores(tmp_path / "a.parquet", [FAST], videos=["x.mp4"])
    other = replace(METADATA, weights=METADATA.weights | {"camera": "other@2"}, parameters={"clip_seconds": 1.0})
    second = write_scores(tmp_path / "b.parquet", [FAST], videos=["x.mp4"], metadata=other)
    prompts = write_prompts(tmp_path / "p.csv", "prompt\nx\n")
    output, content = tmp_path / "judge.html", tmp_path / "judge.json"
    assert main([str(prompts), str(first), str(second), "--output", str(output), "--json", str(content)]) == 0
    notes = json.loads(content.read_text())["notes"]
    assert [note.partition(":")[0] for note in notes] == [
        "the generators were scored with other weights (camera",
        "the generators were scored with another clip_seconds (the default and 1)",
    ]
    assert all(f"NOTE: {note}\n" in said for said in [capsys.readouterr().err] for note in notes)
    assert all(note in output.read_text() for note in notes)


def test_a_video_counts_for_one_prompt() -> None:
    prompts = [Prompt(text, (), "all", None) for text in ("a dog", "a dog-3")]
    videos = {name: name for name in ("v/a dog-3.mp4", "v/a dog-4.mp4")}
    assert match(prompts, videos) == [["v/a dog-4.mp4"], ["v/a dog-3.mp4"]]
    named = [Prompt("x", (), "all", "deep/1.mp4"), Prompt("y", (), "all", "1.mp4")]
    assert match(named, {name: name for name in ("/v/deep/1.mp4", "/v/1.mp4")}) == [["/v/deep/1.mp4"], ["/v/1.mp4"]]


def moving_square(frames: int, pixels: int, size: int = 256) -> list[NDArray[np.uint8]]:
    """A textured picture that moves so many pixels a frame."""
    wide = np.random.default_rng(0).integers(0, 256, (size, size + frames * pixels), np.uint8)
    wide = cv2.GaussianBlur(wide, (0, 0), 3)
    wide = cv2.normalize(wide, wide, 0, 255, cv2.NORM_MINMAX)
    return [np.repeat(wide[:, pixels * i : pixels * i + size, None], 3, 2) for i in range(frames)]


def write_video(path: Path, frames: list[NDArray[np.uint8]], rate: int) -> Path:
    import av

    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "ultrafast"}
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("pixels", "expected"), [(0, False), (3, False), (10, True)])
def test_vbenchs_rule(pixels: int, expected: bool, tmp_path: Path) -> None:
    """At 8 frames per second and a side of 256, pairs move from 6 pixels on."""
    path = write_video(tmp_path / "v.mp4", moving_square(16, pixels), 8)
    assert is_dynamic(str(path)) is expected


def test_vbenchs_rule_skips_frames_of_a_faster_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", moving_square(48, 3), 24)  # 9 pixels between frames at 8 per second
    assert is_dynamic(str(path)) is True


def test_a_quarter_of_the_pairs_must_move(tmp_path: Path) -> None:
    moving = moving_square(16, 10)
    few, enough = moving[:4] + [moving[3]] * 12, moving[:5] + [moving[4]] * 11
    assert is_dynamic(str(write_video(tmp_path / "few.mp4", few, 8))) is False
    assert is_dynamic(str(write_video(tmp_path / "enough.mp4", enough, 8))) is True


def test_a_video_that_cannot_be_measured_has_a_reason(tmp_path: Path) -> None:
    broken, short = tmp_path / "broken.mp4", tmp_path / "short.mp4"
    broken.write_bytes(b"no video")
    write_video(short, moving_square(1, 1), 8)
    found = dynamic([str(broken), str(short), str(tmp_path / "absent.mp4")])
    assert found == {
        str(broken): "it cannot be decoded: Invalid data found when processing input",
        str(short): "the video has fewer than two frames at 8 per second",
        str(tmp_path / "absent.mp4"): "it cannot be decoded: No such file or directory",
    }


def test_the_command_writes_page_and_json(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = write_prompts(
        tmp_path / "p.csv", "prompt,move,video\none,pan_left,\n<b>two</b>,static,second.mp4\nfive,zoom,\n"
    )
    output, content = tmp_path / "judge.html", tmp_path / "judge.json"
    assert main([str(prompts), str(table), "--output", str(output), "--json", str(content)]) == 1
    said = capsys.readouterr()
    line = f"video-motion judge: {table}: "
    assert said.err == f"{line}1 video has no scores\n{line}v/five.mp4: the file is empty\n"
    assert said.out.startswith(f"{table}: 3 videos of 2 prompts\n")
    (generator,) = json.loads(content.read_text())["generators"]
    assert [each["move"] for each in generator["adherence"]] == ["pan_left", "static", "all"]
    assert generator["failed"] == [{"video": "v/five.mp4", "prompt": "five", "why": "the file is empty"}]
    assert generator["missed"] == [
        {"video": "v/one-1.mp4", "prompt": "one", "moves": ["pan_left"], "observed": "tilt_up"}
    ]
    assert generator["weights"] == {"motion": "made@1", "camera": "made@2", "precision": "f32"}
    assert generator["notes"] == []
    text = output.read_text()
    assert "<td>pan_left</td><td>2</td><td>50.0% (9.5% to 90.5%)</td>" in text
    assert "http" not in text.replace("http-equiv", "")
    # What a prompt says is text.
    prompts.write_text("prompt,move\n<script>x</script>,pan\none,pan\n")
    assert main([str(prompts), str(table), "--output", str(output)]) == 1
    assert "1 prompt has no video: &lt;script&gt;x&lt;/script&gt;" in output.read_text()


def test_prompts_that_ask_for_nothing_certain_are_counted(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = write_prompts(
        tmp_path / "p.csv",
        'prompt,camera,video\n"pan left, a dog",,one-0.mp4\na man zooms in,,second.mp4\n'
        '"a cat, static shot",zoom,three.mp4\n',
    )
    output, content = tmp_path / "judge.html", tmp_path / "judge.json"
    command = [str(prompts), str(table), "--output", str(output), "--json", str(content)]
    for more, moves, count in (((), ["pan_left", "static", "all"], 1), (("--moves", "camera"), ["zoom", "all"], 2)):
        assert main([*command, *more]) == 0
        (generator,) = json.loads(content.read_text())["generators"]
        assert [each["move"] for each in generator["adherence"]] == moves
        assert (generator["prompts"], generator["no_move_asked"]) == (3, count)
        counts = "1 prompt asks" if count == 1 else "2 prompts ask"
        assert f"<p>{counts} for no camera move, or for none for certain" in output.read_text()
        assert re.search(rf"^  no move asked +{count} prompts?$", capsys.readouterr().out, re.MULTILINE)
    assert main([*command, "--moves", "absent"]) == 1
    assert "has no column 'absent', only 'prompt', 'camera', 'video'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("{prompts}", "{table}", "{table}"), 2, "both generators are the same"),
        (("{prompts}", "a", "b", "c"), 2, "name one or two generators"),
        (("{prompts}", "{table}", "--json", "{output}"), 2, "--json and --output are the same file"),
        (("{prompts}", "{table}", "--json", "{prompts}"), 2, "--json and PROMPTS are the same file"),
        (("{prompts}", "{table}", "--json", "none/a.json"), 2, "--json none/a.json: there is no folder none"),
        (("{prompts}", "{table}", "--retry-failed"), 2, "--retry-failed is for a folder"),
        (("{prompts}", "{prompts}"), 1, "is not a table of scores"),
        (("{prompts}", "absent"), 1, "absent is neither a folder nor a table"),
        (("{table}", "{table}"), 1, "is not a CSV file in UTF-8"),
    ],
)
def test_what_cannot_be_judged_is_a_sentence(
    arguments: tuple[str, ...],
    status: int,
    sentence: str,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prompts = write_prompts(tmp_path / "p.csv", "prompt\nnobody made this\n")
    output = tmp_path / "judge.html"
    named = [argument.format(prompts=prompts, table=table, output=output) for argument in arguments]
    command = [*named, "--output", str(output)]
    if status == 2:
        with pytest.raises(SystemExit):
            main(command)
    else:
        assert main(command) == 1
    assert sentence in capsys.readouterr().err
    assert main([str(prompts), str(table), "--output", str(tmp_path / "judge.html")]) == 1
    assert "has no video of any prompt" in capsys.readouterr().err


def test_a_folder_is_scored_first(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    for name in ("a dog runs-0", "a dog runs-1", "a cat, zoom in"):
        (folder / f"{name}.mp4").write_bytes(encode(20, width=64, height=48))
    prompts = write_prompts(tmp_path / "p.csv", 'prompt\na dog runs\n"a cat, zoom in"\n')
    command = [str(prompts), str(folder), "--output", str(tmp_path / "judge.html"), "--url", server.url]
    assert main(command) == 0
    assert f"{folder}: 3 videos of 2 prompts" in capsys.readouterr().out
    assert len(list(tmp_path.glob("ours-*.scores.parquet"))) == 1
    assert main(command) == 0  # from the table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos, whose content is their names."""
    path = tmp_path / "ours"
    path.mkdir()
    for name in ("one", "two"):
        (path / f"{name}.mp4").write_text(name)
    return path


@pytest.fixture
def judged(tmp_path: Path, folder: Path) -> list[str]:
    """A command line that judges them."""
    prompts = write_prompts(tmp_path / "p.csv", "prompt\none\ntwo\n")
    return [str(prompts), str(folder), *("--output", str(tmp_path / "j.html"), "--json", str(tmp_path / "j.json"))]


def test_files_that_changed_are_scored_again_and_those_that_are_gone_left_out(
    folder: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = answer_everything(monkeypatch)
    assert main(judged) == 0
    assert sorted(connection.videos) == [b"one", b"two"]
    (table,) = folder.parent.glob("ours-*.scores.parquet")
    assert main(judged) == 0
    assert len(connection.videos) == 2
    (folder / "one.mp4").write_text("another")
    status = (folder / "two.mp4").stat()
    (folder / "two.mp4").write_text("new")  # as long as before, and restored with an older time
    os.utime(folder / "two.mp4", ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))
    (folder / "two-2.mp4").write_text("more")
    capsys.readouterr()
    assert main(judged) == 0
    said = capsys.readouterr()
    assert sorted(connection.videos[2:]) == [b"another", b"more", b"new"]
    assert "2 videos changed since the last run, and were scored again\n" in said.err
    assert f"{folder}: 3 videos of 2 prompts" in said.out
    (folder / "two.mp4").unlink()
    assert main(judged) == 0
    said = capsys.readouterr()
    assert f"1 video of {table} is not in {folder} any more, and left out\n" in said.err
    assert f"{folder}: 2 videos of 2 prompts" in said.out
    rows = parquet.read_table(table).to_pylist()
    assert sorted(Path(row["video"]).name for row in rows) == ["one.mp4", "two-2.mp4", "two.mp4"]


def test_a_table_of_files_that_have_changed_is_refused(
    folder: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_everything(monkeypatch)
    assert main(judged) == 0
    (table,) = folder.parent.glob("ours-*.scores.parquet")
    of_table = [judged[0], str(table), *judged[2:]]
    assert main(of_table) == 0
    status = (folder / "two.mp4").stat()
    (folder / "two.mp4").write_text("new")  # as long as before, and older than the table
    os.utime(folder / "two.mp4", ns=(status.st_atime_ns, status.st_mtime_ns - 10**9))
    capsys.readouterr()
    assert main(of_table) == 1
    what = f"1 file of {table} has changed since the scores were made, such as {folder / 'two.mp4'}"
    assert capsys.readouterr().err == f"video-motion judge: {what}: name the folder, which scores what has changed\n"
    assert main(judged) == 0  # scores it again
    assert main(of_table) == 0
    (folder / "two.mp4").unlink()  # what is gone cannot be compared
    assert main(of_table) == 0


def test_files_that_are_newer_than_a_table_are_named(
    folder: Path, judged: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of another run does not know which files it is of."""
    table = write_scores(folder.parent / "s.parquet", [FAST, FAST], videos=["ours/one.mp4", "ours/two.mp4"])
    command = [judged[0], str(table), *judged[2:]]
    now = table.stat().st_mtime_ns
    for name in ("one", "two"):
        os.utime(folder / f"{name}.mp4", ns=(now, now - 10**9))
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    os.utime(folder / "one.mp4", ns=(now, now + 10**9))
    assert main(command) == 0
    note = "1 file is newer than the table, such as ours/one.mp4: its scores may be those of another video"
    assert f"NOTE: {table}: {note}" in capsys.readouterr().err
    (generator,) = json.loads((folder.parent / "j.json").read_text())["generators"]
    assert [text.startswith(note) for text in generator["notes"]] == [True]
    assert note in (folder.parent / "j.html").read_text()


def test_folders_of_the_same_name_have_tables_of_their_own(
    folder: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_everything(monkeypatch)
    other = folder.parent / "other" / "ours"
    other.mkdir(parents=True)
    (other / "one.mp4").write_text("other")
    assert main([*judged[:2], str(other), *judged[2:]]) == 1  # a prompt without a video
    said = capsys.readouterr()
    assert f"{folder}: 2 videos of 2 prompts" in said.out
    assert f"{other}: 1 video of 1 prompt" in said.out
    assert f"video-motion judge: {other}: 1 prompt has no video\nvideo-motion judge: {other}: two\n" in said.err
    assert len(list(folder.parent.glob("ours-*.scores.parquet"))) == 2


def test_failures_are_tried_again_on_request(
    folder: Path, judged: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = answer_everything(monkeypatch)
    infer = type(connection).infer

    def fail(self: StubConnection, model_name: str, inputs: list[Any], **options: Any) -> Answer:
        broken = model_name == "video_motion" and inputs[0]._get_content() == b"two"
        answer = infer(self, model_name, inputs, **options)
        return Answer({}) if broken else answer

    monkeypatch.setattr(type(connection), "infer", fail)
    assert main(judged) == 1
    content = json.loads((folder.parent / "j.json").read_text())["generators"][0]
    assert ([each["video"] for each in content["failed"]], content["missing"]) == ([str(folder / "two.mp4")], [])
    monkeypatch.setattr(type(connection), "infer", infer)
    assert main(judged) == 1
    assert main([*judged, "--retry-failed"]) == 0
    assert [video for video in connection.videos if video == b"two"] == [b"two"] * 2
    assert main(judged) == 0
    assert "has no scores" not in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.heavy
def test_the_page_in_a_browser(window: Browser, table: Path, tmp_path: Path) -> None:
    file = write_prompts(tmp_path / "p.csv", "prompt,move,video\none,pan_left,\ntwo,static,second.mp4\nthree,zoom,\n")
    output = tmp_path / "judge.html"
    assert main([str(file), str(table), "--output", str(output)]) == 0
    for width in (1280, 400):
        window.open(output, width=width)
        assert window.find("h1").text == "What was asked and what is shown"
        assert window.run("return document.querySelectorAll('.confusion tr').length") == 4
        assert window.run("return document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert window.errors() == []


@pytest.mark.heavy
def test_a_wide_confusion_matrix_scrolls_in_its_box(window: Browser, tmp_path: Path) -> None:
    moves = [label for label in CAMERA_LABELS if label not in ("pov", "undefined")]
    names = [f"{move}.mp4" for move in moves]
    table = write_scores(
        tmp_path / "s.parquet", [FAST] * len(moves), videos=names, clips=[clips([move]) for move in moves]
    )
    file = write_prompts(tmp_path / "p.csv", "prompt,move\n" + "".join(f"{move},{move}\n" for move in moves))
    output = tmp_path / "judge.html"
    assert main([str(file), str(table), "--output", str(output)]) == 0
    box = "const box = document.querySelector('.confusion').parentElement;"
    side = "return document.querySelectorAll('.confusion tr')[3].firstChild.getBoundingClientRect().left"
    for width, is_wider in ((500, True), (1280, False)):
        window.open(output, width=width)
        assert window.run("return document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert window.run(f"{box} return box.scrollWidth > box.clientWidth") is is_wider
        before = window.run(side)
        assert window.run(f"{box} box.scrollLeft = 150; return box.scrollLeft > 0") is is_wider
        assert window.run(side) == pytest.approx(before, abs=1)  # the names of the rows stay

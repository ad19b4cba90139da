"""Scenes of footage: where they begin, what becomes of videos that have none, and that a killed run resumes."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from client._commands import scenes, score
from client._inputs.choices import Choices
from client._inputs.inputs import Inputs
from client._inputs.item import Item
from client._scenes import workers
from client._scenes.flashes import Flashes
from client._scenes.journal import Entry, Journal
from client._scenes.progress import ProgressBar
from client._scenes.run import journal_of, run_scenes
from client._scenes.settings import DEFAULT_DETECTORS, THRESHOLDS, Settings
from client._scenes.worker import find_scenes
from client._scenes.write import COLUMNS, write_scenes
from client._tables.journal import JournalError, OtherTerms
from client._tables.table import read_table
from client._workers.worker import Worker
from fixtures.joined import RATES, Joined, joined
from fixtures.real_videos import real_videos
from fixtures.synthetic import encode, encode_audio
from tests.stub_server import answer_everything
from tests.waiting import wait_for
from video.sampling import _frames_between

pytestmark = pytest.mark.heavy  # OpenCV, and a process for each test

ROOT = Path(__file__).parent.parent
TOLERANCE_FRAMES = 2
SIZE = (48, 64, 3)


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shot(seed: int, frames: int) -> list[NDArray[np.uint8]]:
    """A picture of coloured blocks that stands still."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return [np.kron(blocks, np.ones((8, 8, 1), np.uint8))] * frames


def film(path: str, shots: Sequence[list[NDArray[np.uint8]]], rate: Fraction = Fraction(25)) -> str:
    frames = [frame for one in shots for frame in one]
    padded = [np.asarray(np.pad(frame, ((0, 132), (0, 256), (0, 0)), "wrap"), np.uint8) for frame in frames]
    Joined(padded, rate, [], [], []).write(Path(path))
    return path


def rows_of(path: str) -> list[dict[str, Any]]:
    if path.endswith(".parquet"):
        return list(parquet.read_table(path).to_pylist())
    if path.endswith(".jsonl"):
        return [dict.fromkeys(COLUMNS) | json.loads(line) for line in Path(path).read_text().splitlines()]
    numbers = {"start_seconds": float, "end_seconds": float, "scene": int}
    with Path(path).open(newline="") as file:
        return [
            {name: numbers.get(name, str)(value) if value else None for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


# Where scenes begin.


def counted(videos: Iterator[Joined], settings: Settings) -> tuple[int, int, int]:
    """Hard cuts that were found, those that were missed, and boundaries where there is none.

    A boundary in a fade is one of two scenes, and no hard cut; a second one there is wrong.
    """
    right = missed = wrong = 0
    for number, video in enumerate(videos):
        path = Path(f"{number}.mp4")
        video.write(path)
        found = find_scenes(str(path), settings)
        assert found[0][0] == 0
        assert found[-1][1] == pytest.approx(len(video.frames) / video.rate, abs=1e-3)
        assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
        cuts, fades = set(video.cuts), list(video.fades)
        for start, _ in found[1:]:
            index = round(start * video.rate)
            near = [cut for cut in cuts if abs(cut - index) <= TOLERANCE_FRAMES]
            around = [one for one in fades if one[0] - TOLERANCE_FRAMES <= index <= one[1] + TOLERANCE_FRAMES]
            if near:
                cuts.remove(near[0])
                right += 1
            elif around:
                fades.remove(around[0])
            else:
                wrong += 1
        missed += len(cuts)
        path.unlink()
    return right, missed, wrong


def check(right: int, missed: int, wrong: int) -> None:
    assert right / (right + wrong) >= 0.95, (right, missed, wrong)
    assert right / (right + missed) >= 0.95, (right, missed, wrong)


def test_hard_cuts_are_found_and_flashes_are_none() -> None:
    video = joined(29)
    assert (len(video.cuts), len(video.fades), len(video.flashes)) == (4, 1, 4)
    right, missed, wrong = counted(iter([video]), Settings())
    check(right, missed, wrong)


@pytest.mark.slow
def test_hard_cuts_of_forty_videos_are_found() -> None:
    right, missed, wrong = counted((joined(seed) for seed in range(40)), Settings())
    assert right + missed > 100
    check(right, missed, wrong)


def test_the_cuts_of_a_real_video_are_found() -> None:
    found = find_scenes(str(real_videos()["bikes"]), Settings())
    assert [round(start * 25) for start, _ in found] == [0, 30, 76, 137, 187]
    found = find_scenes(str(real_videos()["bikes"]), Settings(shortest_seconds=0.0))
    assert [round(start * 25) for start, _ in found] == [0, 30, 76, 137, 187, 242]  # as a person sees them


@pytest.mark.parametrize("detector", ["content", "adaptive", "hash"])
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
def test_a_cut_is_at_the_time_of_its_frame(detector: str, rate: Fraction) -> None:
    film("a.mp4", [shot(1, 30), shot(2, 31), shot(3, 40)], rate)
    expected = [Fraction(0), 30 / rate, 61 / rate, 101 / rate]
    found = find_scenes("a.mp4", Settings((detector,)))
    assert [start for start, _ in found] + [found[-1][1]] == pytest.approx([float(one) for one in expected], abs=1e-6)


def test_the_detector_threshold_finds_fades_alone() -> None:
    one, two, three = shot(1, 30), shot(2, 40), shot(3, 30)
    dark = [(one[0] * light).astype(np.uint8) for light in np.linspace(1, 0, 12)]
    light = [(two[0] * light).astype(np.uint8) for light in np.linspace(0, 1, 12)]
    film("a.mp4", [one, dark, light, two, three])
    (_, first), (second, end) = find_scenes("a.mp4", Settings(("threshold",)))
    assert first == second
    assert 30 / 25 < first < 54 / 25
    assert end == pytest.approx(124 / 25)
    both = find_scenes("a.mp4", Settings(("threshold", "hash")))
    assert [start for start, _ in both][-1] == pytest.approx(94 / 25)
    assert len(both) >= 3


def test_shots_that_are_too_short_join_what_follows_and_the_last_one_what_was_before() -> None:
    film("a.mp4", [shot(1, 5), shot(2, 30), shot(3, 10), shot(4, 30), shot(5, 5)])
    starts = {
        shortest: [round(start * 25) for start, _ in find_scenes("a.mp4", Settings(("content",), None, shortest))]
        for shortest in (0.6, 0.0)
    }
    assert starts == {0.6: [0, 35], 0.0: [0, 5, 35, 45, 75]}


def test_frames_can_be_left_out_and_made_smaller() -> None:
    film("a.mp4", [shot(1, 30), shot(2, 33)])
    for settings in (Settings(("content",), downscale=8), Settings(("content",), frame_skip=2)):
        (_, cut), _ = find_scenes("a.mp4", settings)
        assert 30 / 25 <= cut <= (30 + settings.frame_skip) / 25
    assert len(find_scenes("a.mp4", Settings(("content",), threshold=254.0))) == 1


def test_times_count_from_the_first_frame_also_where_the_rate_varies() -> None:
    pts = [100 + (index if index < 30 else 3 * index - 60) for index in range(60)]
    Path("a.mkv").write_bytes(encode(60, pts=pts, container="matroska"))
    found = find_scenes("a.mkv", Settings(("threshold",)))
    assert [start for start, _ in found] == [0]
    assert found[0][1] == pytest.approx((pts[-1] - pts[0] + 1) / 25, abs=0.1)


@pytest.mark.parametrize("rate", RATES)
def test_the_times_of_a_scene_select_its_frames_on_the_server(rate: Fraction) -> None:
    times = np.array([float(index / rate) + 0.033 for index in range(4000)])
    for first in range(3990):
        start, end = (round(float(index / rate), 6) for index in (first, first + 7))
        assert _frames_between(times, times[0] + start, times[0] + end) == (first, first + 7)


def test_a_flash_is_a_picture_that_comes_back() -> None:
    one, two = shot(1, 1)[0], shot(2, 1)[0]
    for pictures, expected in (
        ([one] * 10 + [two] * 3 + [one] * 10, True),
        ([one] * 10 + [two] * 13, False),
        ([one] * 10 + [two] * 9 + [one] * 4, False),  # longer than a flash
    ):
        flashes = Flashes(25)
        for frame in pictures:
            flashes.add(frame)
        assert flashes.is_flash(10) is expected
    assert not flashes.is_flash(0)


# The command.


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".csv"])
def test_every_format_has_the_same_rows_and_is_a_manifest(ending: str) -> None:
    found = [Entry("a, b.mp4", ((0.0, 1.2), (1.2, 2.333333)), None), Entry("c.mp4", (), "it cannot be opened")]
    write_scenes(Path(f"s{ending}"), found, Settings())
    columns: list[tuple[Any, ...]] = [
        ("a, b.mp4", 0.0, 1.2, 0, None),
        ("a, b.mp4", 1.2, 2.333333, 1, None),
        ("c.mp4", None, None, None, "it cannot be opened"),
    ]
    assert rows_of(f"s{ending}") == [dict(zip(COLUMNS, row, strict=True)) for row in columns]
    items = [*Inputs([], [f"s{ending}"], choices=Choices.of(None, None, "scene"))]
    assert items == [Item("a, b.mp4", 0.0, 1.2), Item("a, b.mp4", 1.2, 2.333333), Item("c.mp4")]
    assert [item.kept.get("scene") for item in items] == ["0", "1", None]
    assert not list(Path().glob("*.partial"))


def test_the_output_is_a_manifest_of_scenes_and_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film("a, b.mp4", [shot(1, 30), shot(2, 30)])
    film("c.mp4", [shot(3, 30)])
    (tmp_path / "broken.mp4").write_bytes(encode(30)[:3000])
    (tmp_path / "sound.mp4").write_bytes(encode_audio())
    output = "scenes.csv"
    assert scenes.main([".", "gone.mp4", "--output", output, "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert "gone.mp4: it cannot be opened: No such file or directory\n" in said
    assert "./sound.mp4: the video has no video stream that can be decoded\n" in said
    assert said.endswith(f"{output}: 3 scenes of 5 videos, 3 failed (retry them with --retry-failed)\n")
    rows = {(row["path"], row["scene"]): row for row in rows_of(output)}
    assert [(path, scene) for path, scene in rows if scene is not None and path.startswith("./a")] == [
        ("./a, b.mp4", 0),
        ("./a, b.mp4", 1),
    ]
    second = rows["./a, b.mp4", 1]
    assert (second["start_seconds"], second["end_seconds"], second["error"]) == (1.2, 2.4, None)
    assert rows["./c.mp4", 0]["end_seconds"] == 1.2
    failures = {path for path, scene in rows if scene is None}
    assert failures == {"./broken.mp4", "./sound.mp4", "gone.mp4"}
    assert all(rows[path, None]["error"] and rows[path, None]["start_seconds"] is None for path in failures)
    assert not list(tmp_path.glob("*.partial"))
    # It is a list for score, which counts from the first frame too.
    server = answer_everything(monkeypatch)
    assert score.main(["--manifest", output, "--keep", "scene", "--output", "scores.parquet"]) == 1
    scored = {(row["video"], row["scene"]): row for row in read_table("scores.parquet").to_pylist()}
    assert scored["./a, b.mp4", "1"]["start_seconds"] == 1.2
    assert scored["./a, b.mp4", "1"]["from_first_frame"] == 1
    assert {path for (path, scene) in scored if scene is None} == failures
    assert scored["gone.mp4", None]["reason"] == "unreadable_file"
    assert len(server.videos) == 5


def test_a_run_adds_videos_and_looks_again_at_failures_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mp4"):
        film(name, [shot(1, 30)])
    Path("c.mp4").write_bytes(b"no video")
    looked: list[str] = []
    monkeypatch.setattr(workers.Workers, "find", looking(looked))
    common = ["--output", "s.csv", "--jobs", "1"]
    assert scenes.main(["a.mp4", "c.mp4", *common]) == 1
    assert scenes.main([str(tmp_path / "a.mp4"), "b.mp4", "a.mp4", "b.mp4", *common]) == 1  # c has failed still
    assert looked == ["a.mp4", "c.mp4", "b.mp4"]
    film("c.mp4", [shot(1, 40)])
    assert scenes.main(["a.mp4", "b.mp4", "c.mp4", *common, "--retry-failed"]) == 0
    assert looked[3:] == ["c.mp4"]
    assert [(row["path"], row["end_seconds"]) for row in rows_of("s.csv")] == [
        ("a.mp4", 1.2),
        ("b.mp4", 1.2),
        ("c.mp4", 1.6),
    ]
    capsys.readouterr()
    assert scenes.main(["a.mp4", *common, "--detector", "hash"]) == 2
    default = json.dumps(DEFAULT_DETECTORS)
    assert f's.csv.journal was begun with detectors {default}, now it is ["hash"]' in capsys.readouterr().err


def looking(looked: list[str]) -> Any:
    """`Workers.find` in this process, which notes what it is asked for."""

    def find(_: workers.Workers, path: str, __: object) -> list[tuple[float, float]]:
        looked.append(path)
        return find_scenes(path, Settings())

    return find


def test_a_killed_run_resumes_and_has_every_scene_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(5):
        film(f"{index}.mp4", [shot(index, 30), shot(index + 50, 60)])
    arguments = [".", "--output", "s.csv", "--jobs", "1"]
    journal = journal_of(tmp_path / "s.csv")
    command = [sys.executable, "-m", "client", "scenes", *arguments]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE) as process:
        wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 3)  # a line is about the settings
        process.kill()
    assert not Path("s.csv").exists()
    done = journal.read_bytes().count(b"\n") - 1
    with journal.open("ab") as file:
        file.write(b'{"names": ["x"], "pa')  # what was being written
    looked: list[str] = []
    monkeypatch.setattr(workers.Workers, "find", looking(looked))
    assert scenes.main(arguments) == 0
    assert len(looked) == 5 - done < 4
    expected = [(f"./{index}.mp4", scene) for index in range(5) for scene in (0, 1)]
    assert sorted((row["path"], row["scene"]) for row in rows_of("s.csv")) == expected


def test_ctrl_c_ends_the_processes_and_writes_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(3):
        film(f"{index}.mp4", [shot(index, 30)])
    started: list[subprocess.Popen[bytes]] = []
    start = Worker._new_process

    def start_one_that_hangs(self: Worker) -> subprocess.Popen[bytes]:
        program = "import sys, time; sys.stdin.readline(); print('{\"scenes\": [[0, 1]]}', flush=True); time.sleep(600)"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen([sys.executable, "-c", program], **pipes))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(Worker, "_new_process", start_one_that_hangs)
    journal = Path("s.csv.journal")

    def interrupt() -> None:
        wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") == 2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert scenes.main([".", "--output", "s.csv", "--jobs", "1"]) == 130
    thread.join()
    assert [process.poll() for process in started] == [-signal.SIGKILL]
    assert len(rows_of("s.csv")) == 1
    assert capsys.readouterr().err.endswith(
        "s.csv: 1 scene of 1 video, 0 failed; run the same command again to resume\n"
    )
    monkeypatch.setattr(Worker, "_new_process", start)
    assert scenes.main([".", "--output", "s.csv", "--jobs", "1"]) == 0
    assert len(rows_of("s.csv")) == 3


def test_a_decoder_that_crashes_or_stands_still_fails_its_video_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mp4"):
        Path(name).write_bytes(encode(30))
    start = Worker._new_process
    for program, message in (
        ("import sys; sys.stdin.readline()", "the decoder crashed"),
        ("import sys; sys.stdin.read()", "decoding stood still for 0.2 s"),
    ):
        started: list[int] = []

        def once(self: Worker, program: str = program, started: list[int] = started) -> Any:
            started.append(1)
            if len(started) > 1:
                monkeypatch.setattr(workers, "STALL_SECONDS", 60.0)
                return start(self)
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            return subprocess.Popen([sys.executable, "-c", program], **pipes)  # type: ignore[call-overload]

        monkeypatch.setattr(Worker, "_new_process", once)
        monkeypatch.setattr(workers, "STALL_SECONDS", 0.2 if "still" in message else 60.0)
        output = f"{len(message)}.csv"
        assert scenes.main(["a.mp4", "b.mp4", "--output", output, "--jobs", "1"]) == 1
        assert [(row["path"], row["error"]) for row in rows_of(output)] == [("a.mp4", message), ("b.mp4", None)]
    capsys.readouterr()


def test_lists_with_parts_or_with_files_have_rows_that_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.mp4").write_bytes(encode(30))
    Path("a.csv").write_text("id,start_seconds\na,1\n")
    parquet.write_table(pa.table({"video": [b"bytes"]}), "a.parquet")
    arguments = ["--manifest", "a.csv", "--path-template", "{id}.mp4", "--output"]
    assert scenes.main([*arguments, "s.csv"]) == 1
    assert "scenes are looked for in whole videos (--columns start_seconds=,end_seconds= takes no parts)" in str(
        rows_of("s.csv")[0]["error"]
    )
    assert scenes.main([*arguments, "t.csv", "--columns", "start_seconds="]) == 0
    assert scenes.main(["--manifest", "a.parquet", "--output", "u.csv"]) == 1
    assert rows_of("u.csv")[0]["error"].startswith("the manifest holds the file itself")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a video, a folder, a pattern or a --manifest"),
        (["a.mp4", "--detector", "hash", "--detector", "content", "--threshold", "1"], "--threshold is for one"),
        (["a.mp4", "--detector", "hash", "--threshold", "0"], "--threshold is 0, it must be above 0"),
        (["a.mp4", "--detector", "hash", "--threshold", "nan"], "--threshold is nan, it must be above 0"),
        (["a.mp4", "--threshold", "3"], "--threshold is for one detector: name it with --detector"),
        (["a.mp4", "--min-scene-seconds", "-1"], "--min-scene-seconds is -1, it must be at least 0"),
        (["a.mp4", "--downscale", "0"], "--downscale is 0, it must be at least 1"),
        (["a.mp4", "--frame-skip", "-1"], "--frame-skip is -1, it must be at least 0"),
        (["a.mp4", "--jobs", "0"], "--jobs is 0, it must be at least 1"),
        (["a.mp4", "--detector", "guess"], "invalid choice: 'guess'"),
    ],
)
def test_wrong_options_are_a_sentence_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        scenes.main([*arguments, "--output", "s.csv"])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not Path("s.csv.journal").exists()


def test_outputs_and_journals_that_cannot_be_used_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.mp4").write_bytes(encode(30))
    Path("there.csv").write_text("mine")
    Path("c.csv.journal").write_text('{"names": [], "path": "x"}\n')
    for output, message, status in (
        ("there.csv", "there.csv: exists, but there.csv.journal is missing", 2),
        ("a.txt", "the name of the output must end in .parquet, .jsonl, .csv", 2),
        ("nowhere/a.csv", "there is no folder nowhere", 2),
    ):
        assert scenes.main(["a.mp4", "--output", output]) == status
        assert message in capsys.readouterr().err
    assert Path("there.csv").read_text() == "mine"
    sqlite = b"SQLite format 3\0 with a line\nand no end of the last one"
    for content in (b"no json\n", sqlite):  # of another command: nothing is cut off it
        Path("b.csv.journal").write_bytes(content)
        with pytest.raises(JournalError, match="not a journal of scenes"):
            run_scenes(Inputs(["a.mp4"], []), Path("b.csv"), Settings(), jobs=1, threads=1)
        assert Path("b.csv.journal").read_bytes() == content
    with pytest.raises(JournalError, match="not a journal of scenes"):
        run_scenes(Inputs(["a.mp4"], []), Path("c.csv"), Settings(), jobs=1, threads=1)
    assert run_scenes(Inputs(["a.mp4"], []), Path("d.csv"), Settings(), jobs=1, threads=1) == 0
    with pytest.raises(OtherTerms, match="begun with frame_skip 0, now it is 1"):
        run_scenes(Inputs(["a.mp4"], []), Path("d.csv"), Settings(frame_skip=1), jobs=1, threads=1)
    text = Path("d.csv.journal").read_text().splitlines()
    Path("d.csv.journal").write_text("\n".join([text[0], "{}", *text[1:], ""]))
    with pytest.raises(JournalError, match=r"d\.csv\.journal is damaged \(line 2\)"):
        run_scenes(Inputs(["a.mp4"], []), Path("d.csv"), Settings(), jobs=1, threads=1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_of_a_terminal_moves_within_a_video(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = ProgressBar()
    progress.count(["a.mp4", "b.mp4"])
    wait_for(lambda: "0.0/2 videos" in terminal.getvalue())
    for share, shown in ((0.25, "0.2/2 videos"), (0.5, "0.5/2 videos"), (0.4, None)):
        progress.share(b"a", share)
        progress._bar.refresh()
        assert shown is None or shown in terminal.getvalue()
    progress.done(b"a", 3)
    progress.done(b"b", 0)
    progress.close()
    last = terminal.getvalue().rstrip().rpartition("\r")[2]
    assert "100% |" in last
    assert "2.0/2 videos" in last
    assert "3 scenes, 1 failed" in last


def test_two_runs_do_not_write_one_journal() -> None:
    first = Journal(Path("s.csv.journal"), Settings())
    with pytest.raises(JournalError, match=r"another run is writing to s\.csv\.journal"):
        Journal(Path("s.csv.journal"), Settings())
    first.close()
    Journal(Path("s.csv.journal"), Settings()).close()


def test_every_detector_has_a_threshold_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scenes.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all(f"{name} {value:g}" in text for name, value in THRESHOLDS.items())

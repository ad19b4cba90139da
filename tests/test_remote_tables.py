"""Tables and lists by URL in the commands after `score`, and videos by URL in `cut` and `caption`."""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from pyarrow import parquet

from client import UnreadableFile
from client._commands import caption, cut, evaluate, filter, judge, learn, report, scenes, search, summary
from client._remote import copies, writing
from client._remote.copies import Copies
from client._remote.patience import STORE_AWAY
from client._remote.reading import local_copy
from fixtures.frame_tables import write_frames
from fixtures.score_tables import write_scores
from fixtures.synthetic import encode
from tests.chat_server import Reply, chat_server
from tests.stub_text import answer_with_text

TABLE = "memory://data/scores.parquet"
SCORES: list[tuple[float, float, float] | str] = [(0.0, 0.0, 0.1), (1.0, 2.5, 0.1), "the file is empty"]


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store in this process, with a table that is here, too."""
    monkeypatch.chdir(tmp_path)
    system = fsspec.filesystem("memory")
    write_scores(tmp_path / "scores.parquet", SCORES)
    system.pipe("/data/scores.parquet", (tmp_path / "scores.parquet").read_bytes())
    yield system
    system.rm("/", recursive=True)


@pytest.fixture
def video() -> bytes:
    return encode(40, rate=20)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_filter_reads_and_writes_by_url(memory: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory.pipe("/data/kept.jsonl", b"of an earlier run")
    lists = ["--kept", "memory://data/kept.jsonl", "--dropped", "memory://data/no.parquet", "--failed", "failed.txt"]
    assert filter.main([TABLE, "--drop", "static", "--verdicts", *lists]) == 0
    out, err = capsys.readouterr()
    by_url = json.loads(out)
    assert f"{TABLE} does not tell" in err
    named = ["--kept", "kept.jsonl", "--dropped", "no.parquet"]
    assert filter.main(["scores.parquet", "--drop", "static", "--verdicts", *named]) == 0
    assert by_url == printed(capsys) | {"scores": TABLE}
    assert (by_url["kept"], by_url["dropped"], by_url["failed"]) == (1, 1, 1)
    for name in ("kept.jsonl", "no.parquet"):
        assert memory.cat(f"/data/{name}") == (tmp_path / name).read_bytes()
    assert (tmp_path / "failed.txt").read_text() == "videos/0000002.mp4\tthe file is empty\n"


def test_lists_that_cannot_be_uploaded_stay_on_this_machine(
    memory: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    upload: Callable[[Path, str], None] = writing.upload

    def refused(local: Path, url: str) -> None:
        if "kept" in url:
            raise writing.UploadError(f"{url}: cannot write it: refused; it is on this machine as {local}")
        upload(local, url)

    monkeypatch.setattr(writing, "upload", refused)
    lists = ["--kept", "memory://data/kept.txt", "--dropped", "memory://data/no.txt"]
    assert filter.main([TABLE, "--drop", "static", *lists]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("memory://data/kept.txt: cannot write it: refused")
    left = Path(said.err.rpartition(" as ")[2].strip())
    assert left.read_text() == "videos/0000001.mp4\n"
    left.unlink()
    left.parent.rmdir()
    assert not memory.exists("/data/kept.txt")
    assert memory.cat("/data/no.txt") == b"videos/0000000.mp4\tstatic\n"


def test_a_filter_that_fails_uploads_nothing(memory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    memory.pipe("/data/kept.parquet", b"of an earlier run")
    memory.pipe("/data/scores.parquet", b"no table")
    assert filter.main([TABLE, "--drop", "static", "--kept", "memory://data/kept.parquet"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{TABLE} is not a table of scores: ")
    assert "video-motion-" not in said  # the name of a copy that is gone
    assert memory.cat("/data/kept.parquet") == b"of an earlier run"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([TABLE, "--kept", "https://host/kept.txt"], "--kept https://host/kept.txt: web servers take no files"),
        ([TABLE, "--kept", "memory://data/kept.csv"], "--kept memory://data/kept.csv must end in .txt"),
        ([TABLE, "--kept", TABLE], "the table and the lists must be different files"),
        ([TABLE, "--kept-shards", "s3://b/kept/"], "argument --kept-shards: s3://b/kept/ is a URL, and this must be"),
        ([TABLE, "--learned", "s3://b/f.json"], "argument --learned: s3://b/f.json is a URL, and this must be a file"),
    ],
)
def test_wrong_places_are_refused(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        filter.main([*arguments, "--drop", "static"])
    assert status.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (caption.main, ["scores.parquet", "--api", "http://host/v1", "--model", "m", "--output", "s3://b/a.parquet"]),
        (cut.main, ["scores.parquet", "--output", "s3://b/clips/"]),
        (evaluate.main, ["s3://b/scores.parquet"]),
        (judge.main, ["s3://b/prompts.csv", "--output", "a.html"]),
        (learn.main, ["s3://b/scores.parquet", "--annotations", "a.csv", "--output", "a.json"]),
        (report.main, ["scores.parquet", "--output", "s3://b/report.html"]),
        (scenes.main, ["a.mp4", "--output", "s3://b/scenes.csv"]),
        (search.main, ["scores.parquet", "a dog", "--output", "s3://b/found.parquet"]),
    ],
    ids=["caption", "cut", "evaluate", "judge", "learn", "report", "scenes", "search"],
)
def test_what_takes_no_url_says_so(
    main: Callable[[list[str]], int], arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as status:
        main(arguments)
    assert status.value.code == 2
    assert " is a URL, and this must be a file of this machine" in capsys.readouterr().err
    assert not (tmp_path / "s3:").exists()


def test_summaries_of_tables_by_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert summary.main([TABLE, "scores.parquet"]) == 0
    first, second = printed(capsys)["sets"]
    assert first == second | {"scores_file": TABLE}
    assert (first["videos"], first["failed"]) == (3, 1)
    assert summary.main([TABLE, "--per-video"]) == 0
    by_url = capsys.readouterr().out
    assert summary.main(["scores.parquet", "--per-video"]) == 0
    assert by_url == capsys.readouterr().out


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("memory://data/none.parquet", "cannot read memory://data/none.parquet: the store has no such file"),
        (
            "memory://data/scores.txt",
            "memory://data/scores.txt is not a table of scores: its name must end in .parquet",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_named(named: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    for main, arguments in ((summary.main, []), (filter.main, ["--drop", "static"]), (report.main, [])):
        assert main([named, *arguments]) == 1
        assert capsys.readouterr().err.startswith(sentence)


def test_a_report_names_the_table_by_its_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main([TABLE, "--examples", "0"]) == 0
    page = (tmp_path / "report.html").read_text()
    assert f'"scoresArgument": "{TABLE}"' in page
    assert f"{tempfile.gettempdir()}/video-motion-" not in page


def test_a_search_reads_a_table_and_an_example_by_url(
    memory: Any, tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = answer_with_text(monkeypatch)
    memory.pipe("/data/a.mp4", video)
    frames = {"memory://data/a.mp4": np.eye(1, 4, dtype=np.float32), "gone.mp4": np.eye(2, 4, dtype=np.float32)[1:]}
    scores = write_frames(tmp_path / "frames.parquet", frames)
    memory.pipe("/data/frames.parquet", scores.read_bytes())
    found = []
    for named in ("memory://data/frames.parquet", "frames.parquet"):
        assert search.main([named, "a dog", "--html", "found.html", "--format", "json"]) == 0
        out, err = capsys.readouterr()
        assert err == "found.html: 1 of 2 videos has no preview\n"
        found.append(out)
    assert found[0] == found[1]
    assert search.main(["memory://data/frames.parquet", "--like", "memory://data/a.mp4", "--html", "found.html"]) == 0
    assert connection.videos[-1] == video
    assert "<h1>Like a.mp4</h1>" in (tmp_path / "found.html").read_text()


def test_parts_of_a_video_in_a_store_are_cut_from_one_copy(
    memory: Any, tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = count_copies(monkeypatch)
    memory.pipe({"/data/a.mp4": video, "/data/b.mp4": b"no video"})
    lines = ["path,start_seconds,end_seconds", "a.mp4,0,0.5", "a.mp4,0.5,1", "a.mp4,1,2", "b.mp4,0,1", "gone.mp4,0,1"]
    memory.pipe("/data/list.csv", "\n".join(lines).encode())
    assert cut.main(["memory://data/list.csv", "--output", "clips", "--crf", "40", "--jobs", "2"]) == 1
    out, err = capsys.readouterr()
    counts = {"parts": 5, "written": 3, "already_there": 0, "failed": 2, "without_scores": 0}
    assert json.loads(out) | {"seconds": 2.0} == {"output": "clips", **counts, "seconds": 2.0}
    assert "memory://data/b.mp4, 0 s to 1 s: it cannot be decoded" in err
    assert "memory://data/gone.mp4, 0 s to 1 s: the store has no such file" in err
    assert made.count("memory://data/a.mp4") == 1
    assert not any(path.exists() for path in made.paths)
    names = [json.loads(line)["source"] for line in (tmp_path / "clips" / "clips.jsonl").read_text().splitlines()]
    assert names == ["memory://data/a.mp4"] * 3


def test_a_table_by_url_is_cut(memory: Any, tmp_path: Path, video: bytes) -> None:
    memory.pipe("/data/a.mp4", video)
    parts = [(0.0, 0.5), (None, None)]
    named = write_scores(
        tmp_path / "parts.parquet", [(0.0, 0.0, 0.0), "bad"], videos=["memory://data/a.mp4"] * 2, parts=parts
    )
    memory.pipe("/data/parts.parquet", named.read_bytes())
    assert cut.main(["memory://data/parts.parquet", "--output", "clips", "--copy"]) == 0
    assert len((tmp_path / "clips" / "clips.jsonl").read_text().splitlines()) == 1


def test_a_store_that_is_away_ends_a_cut(
    memory: Any, video: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory.pipe({"/data/a.mp4": video, "/data/b.mp4": video})

    def copy(url: str) -> Any:
        if url.endswith("b.mp4"):
            raise UnreadableFile("the store does not answer, for 120 s", reason=STORE_AWAY)
        return local_copy(url)

    monkeypatch.setattr(copies, "local_copy", copy)
    Path("list.txt").write_text("memory://data/a.mp4\nmemory://data/b.mp4\n")
    command = ["list.txt", "--output", "clips", "--copy", "--jobs", "1"]
    assert cut.main(command) == 1
    expected = "memory://data/b.mp4: the store does not answer, for 120 s; run the same command again to resume\n"
    assert capsys.readouterr().err.endswith(expected)
    monkeypatch.setattr(copies, "local_copy", local_copy)
    assert cut.main(command) == 0
    assert printed(capsys)["already_there"] == 1


def test_videos_by_url_are_captioned(
    memory: Any, tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made = count_copies(monkeypatch)
    memory.pipe("/data/a.mp4", video)
    videos = ["memory://data/a.mp4", "memory://data/a.mp4", "memory://data/gone.mp4"]
    parts = [(0.0, 1.0), (1.0, 2.0), (None, None)]
    scores = write_scores(tmp_path / "parts.parquet", [(1.0, 1.0, 1.0)] * 3, videos=videos, parts=parts)
    memory.pipe("/data/parts.parquet", scores.read_bytes())
    with chat_server(lambda *_: Reply()) as server:
        named = ["--api", server.url, "--model", "m", "--output", "captions.parquet", "--in-flight", "1"]
        assert caption.main(["memory://data/parts.parquet", *named]) == 1
        assert [len(request["messages"][0]["content"]) for request in server.requests] == [4, 4]
    rows = parquet.read_table("captions.parquet").to_pylist()
    assert [row["error"] for row in rows] == [None, None, "the store has no such file"]
    assert made == ["memory://data/a.mp4"]


def test_a_store_that_is_away_stops_captions(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def copy(_: str) -> Any:
        raise UnreadableFile("the store does not answer, for 120 s", reason=STORE_AWAY)

    monkeypatch.setattr(copies, "local_copy", copy)
    write_scores(tmp_path / "one.parquet", [(1.0, 1.0, 1.0)], videos=["memory://data/a.mp4"])
    named = ["--api", "http://localhost:1/v1", "--model", "m", "--output", "captions.parquet"]
    assert caption.main(["one.parquet", *named]) == 1
    said = capfd.readouterr().err
    assert "stopped: memory://data/a.mp4: the store does not answer, for 120 s\n" in said
    assert "run the same command again to resume" in said


class Made(list[str]):
    """The URLs that were copied, and the copies."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[Path] = []


def count_copies(monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made()

    def copy(url: str) -> Any:
        path, remove = local_copy(url)
        made.append(url)
        made.paths.append(path)
        return path, remove

    monkeypatch.setattr(copies, "local_copy", copy)
    return made


def test_threads_share_a_copy_and_the_last_one_stays(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_copies(monkeypatch)
    memory.pipe({"/data/a": b"a", "/data/b": b"b"})
    place = Copies()
    together = threading.Barrier(4, timeout=10)
    read: list[bytes] = []

    def use() -> None:
        with place.path_of("memory://data/a") as path:
            together.wait()
            read.append(Path(path).read_bytes())

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with place.path_of("memory://data/a") as path:
        read.append(Path(path).read_bytes())
    assert read == [b"a"] * 5
    assert made == ["memory://data/a"]
    with place.path_of("memory://data/b"), place.path_of("scores.parquet") as here:
        assert here == "scores.parquet"
    assert [path.exists() for path in made.paths] == [False, True]
    place.close()
    assert not any(path.exists() for path in made.paths)


def test_a_copy_that_failed_is_tried_again(memory: Any) -> None:
    place = Copies()
    for _ in range(2):
        with pytest.raises(UnreadableFile, match="the store has no such file"), place.path_of("memory://data/a"):
            pass
    memory.pipe("/data/a", b"a")
    with place.path_of("memory://data/a") as path:
        assert Path(path).read_bytes() == b"a"
    place.close()

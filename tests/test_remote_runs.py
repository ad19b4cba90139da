"""`score` on URLs: prefixes, patterns, lists, single files and tables in an S3; a stub stands for the server."""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from s3fs import S3FileSystem

from client import Client
from client._commands import scenes as scenes_command
from client._commands.score import main
from client._inputs.inputs import Inputs
from client._inputs.item import Item
from client._ray.waves import waves
from client._remote import listing, patience
from client._remote.writing import state_of
from client._report import previews
from client._report.write import write_report
from client._scenes.run import _Run
from client._sdk.request import request_id
from client._tables.found import place_of
from client.table import read_table
from fixtures.shards import write_shard
from fixtures.synthetic import encode
from tests.object_store import Faults, ObjectStore, object_store
from tests.stub_server import StubConnection, answer_everything

NAMES = ["a.mp4", "b/c.mp4", "b/d.mkv"]
URLS = [f"s3://data/clips/{name}" for name in NAMES]


@pytest.fixture(scope="module")
def running_store() -> Iterator[ObjectStore]:
    S3FileSystem.clear_instance_cache()
    with object_store() as store:
        store.make("data")
        for name in (*NAMES, "notes.txt"):
            store.put("data", f"clips/{name}", f"video {name}".encode())
        yield store
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def store(running_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectStore:
    for name, value in (running_store.environment | {"AWS_MAX_ATTEMPTS": "1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setattr(patience, "SECONDS", 0.2)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(patience, "_all", {})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    running_store.faults = Faults()
    running_store.requests.clear()
    return running_store


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> StubConnection:
    return answer_everything(monkeypatch)


def rows(path: Path | bytes) -> list[dict[str, Any]]:
    text = path.decode() if isinstance(path, bytes) else path.read_text()
    return [json.loads(line) for line in text.splitlines()]


def names(path: Path | bytes) -> list[str]:
    return sorted(row["video"] for row in rows(path))


def remove(store: ObjectStore, *keys: str) -> None:
    for key in keys:
        store._backend.delete_object("data", key)


@pytest.mark.parametrize(
    "named",
    [
        "s3://data/clips",
        pytest.param("s3://data/cl*/", marks=pytest.mark.slow),
        "s3://data/**/*.m*",
    ],
)
def test_what_is_below_a_prefix_or_matches_a_pattern_is_scored(
    named: str, store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([named, "--output", "scores.jsonl"]) == 0
    assert names(tmp_path / "scores.jsonl") == URLS
    assert sorted(triton.videos) == sorted(f"video {name}".encode() for name in NAMES)
    if named.endswith("/clips"):
        assert "1 file that is no video by its name was skipped: 1 .txt" in capsys.readouterr().err
    assert main([named, "--output", "scores.jsonl"]) == 0  # nothing is read again
    assert len(rows(tmp_path / "scores.jsonl")) == 3
    assert len(triton.videos) == 3
    assert store.asked("GET", "/a.mp4") == 1


def test_shards_in_a_store_are_read_as_streams(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.make("shards")
    for number in range(2):
        shard = write_shard(
            tmp_path / "shard.tar", {f"{number}.mp4": f"video {number}".encode(), f"{number}.txt": b"a"}
        )
        store.put("shards", f"{number}.tar", shard.read_bytes())
    assert main(["s3://shards/{0..2}.tar", "--keep", "caption", "--output", "scores.jsonl"]) == 1
    assert names(tmp_path / "scores.jsonl") == ["s3://shards/0.tar/0.mp4", "s3://shards/1.tar/1.mp4"]
    assert sorted(triton.videos) == [b"video 0", b"video 1"]
    assert "s3://shards/2.tar: the store has no such file" in capsys.readouterr().err
    store.faults = Faults(away=True)
    assert main(["s3://shards/*.tar", "--keep", "caption", "--output", "scores.jsonl"]) != 0  # stops, and loses nothing
    store.faults = Faults()
    assert main(["s3://shards/*.tar", "--keep", "caption", "--output", "scores.jsonl"]) == 0
    assert len(triton.videos) == 2


def test_without_output_urls_are_printed_in_their_order(
    store: ObjectStore, triton: StubConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([URLS[2], URLS[0], "s3://data/clips/none.mp4", "--format", "json"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["video"] for line in said.out.splitlines()] == [URLS[2], URLS[0]]
    assert "s3://data/clips/none.mp4: the store has no such file" in said.err


def test_other_names_of_a_scheme_are_the_same_video(store: ObjectStore, triton: StubConnection, tmp_path: Path) -> None:
    assert main([URLS[0], URLS[0].replace("s3:", "s3a:"), "--output", "scores.jsonl", "--in-flight", "1"]) == 0
    assert names(tmp_path / "scores.jsonl") == [URLS[0]]
    assert Item("s3a://b/k").place == Item("s3://b/k").place != Item("gs://b/k").place


def test_what_a_bucket_refuses_is_a_row_with_a_reason(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.faults.forbidden, store.faults.failing = ("/a.mp4",), ("/c.mp4",)
    assert main(["s3://data/clips/", "s3://data/clips/none.mp4", "--output", "scores.jsonl"]) == 1
    found = {row["video"]: (row.get("error_kind"), row.get("reason")) for row in rows(tmp_path / "scores.jsonl")}
    assert found == {
        URLS[0]: ("UnreadableFile", "forbidden"),
        URLS[1]: ("UnreadableFile", "store_failed"),
        URLS[2]: (None, None),
        "s3://data/clips/none.mp4": ("UnreadableFile", "not_found"),
    }
    assert f"{URLS[0]}: the store refuses access (403)" in capsys.readouterr().err
    store.faults = Faults()
    store.put("data", "clips/none.mp4", b"now it is there")
    assert main(["--output", "scores.jsonl", "--retry-failed"]) == 0
    assert names(tmp_path / "scores.jsonl") == sorted([*URLS, "s3://data/clips/none.mp4"])
    remove(store, "clips/none.mp4")


def test_a_file_above_the_limit_is_a_row_and_is_not_read(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client._sdk.request.MAX_BYTES", 11)
    assert main(["s3://data/clips/", "--output", "scores.jsonl"]) == 1
    found = {row["video"]: row.get("reason") for row in rows(tmp_path / "scores.jsonl")}
    assert found == {URLS[0]: None, URLS[1]: "too_large", URLS[2]: "too_large"}
    assert (store.asked("GET", "a.mp4"), store.asked("GET", "c.mp4")) == (1, 0)


@pytest.mark.parametrize("how", [Faults(away=True), Faults(throttles=True)], ids=["away", "throttled"])
def test_a_store_that_is_away_stops_the_run_which_goes_on_later(
    how: Faults, store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infer = triton.infer

    def infer_and_lose(*arguments: Any, **options: Any) -> Any:
        if triton.videos:
            store.faults = how
        return infer(*arguments, **options)

    triton.infer = infer_and_lose  # type: ignore[method-assign]
    assert main(["s3://data/clips/", "--output", "scores.jsonl", "--in-flight", "1"]) == 1
    said = capsys.readouterr().err
    assert "stopped: the store " in said
    assert "run the same command again to resume" in said
    scored = names(tmp_path / "scores.jsonl")
    assert 0 < len(scored) < 3
    assert not any("error" in row for row in rows(tmp_path / "scores.jsonl"))
    triton.infer = infer  # type: ignore[method-assign]
    store.faults = Faults()
    assert main(["s3://data/clips/", "--output", "scores.jsonl"]) == 0
    assert names(tmp_path / "scores.jsonl") == URLS
    assert len(triton.videos) == 3


def test_a_listing_that_stays_broken_ends_the_run_which_goes_on_later(
    store: ObjectStore,
    triton: StubConnection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(listing, "PAGE", 1)
    infer = triton.infer

    def infer_and_break(*arguments: Any, **options: Any) -> Any:
        if triton.videos:
            store.faults.failing_query = "list-type=2"
        return infer(*arguments, **options)

    triton.infer = infer_and_break  # type: ignore[method-assign]
    assert main(["s3://data/clips/", "--output", "scores.jsonl", "--in-flight", "1"]) == 1
    said = capsys.readouterr().err
    assert "stopped: s3://data/clips/: the store does not answer or breaks off (500)" in said
    assert said.endswith("failed; run the same command again to resume\n")
    assert 0 < len(names(tmp_path / "scores.jsonl")) < 3
    assert main(["s3://data/clips/", "--format", "json"]) == 1  # nothing to resume
    assert capsys.readouterr().err.endswith("; run the same command again\n")
    triton.infer = infer  # type: ignore[method-assign]
    store.faults = Faults()
    assert main(["s3://data/clips/", "--output", "scores.jsonl"]) == 0
    assert names(tmp_path / "scores.jsonl") == URLS


def test_what_is_deduped_is_read_once(store: ObjectStore, triton: StubConnection, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        store.put("data", f"same/{name}.mp4", b"the same")
    store.faults.forbidden = ("/three.mp4",)
    assert main(["s3://data/same/", "--dedupe", "--output", "scores.jsonl", "--in-flight", "1"]) == 1
    assert [store.asked("GET", f"/{name}.mp4") for name in ("one", "two")] == [1, 1]
    assert triton.videos == [b"the same"]
    found = {row["video"].rpartition("/")[2]: row for row in rows(tmp_path / "scores.jsonl")}
    assert found["three.mp4"]["reason"] == "forbidden"
    assert found["two.mp4"]["duplicate_of"] == "s3://data/same/one.mp4"
    remove(store, "same/one.mp4", "same/two.mp4", "same/three.mp4")


def test_a_store_that_is_away_at_the_start_is_status_1_and_a_wrong_address_2(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.faults.away = True
    assert main(["s3://data/clips/", "--output", "scores.jsonl"]) == 1
    assert "s3://data/clips/: the store does not answer or breaks off" in capsys.readouterr().err
    store.faults = Faults()
    for named, expected in {
        "s3://data/nothing/": "there are no videos below this address",
        "s3://data/*.avi": "nothing matches this pattern",
        "s3://nobucket/": "the store has no such bucket (404)",
        "https://host/videos/": "web servers do not list their files",
        "s3://data/clips/n*": "",
    }.items():
        assert main([named, "--output", "scores.jsonl"]) == (2 if expected else 0)
        assert expected in capsys.readouterr().err
    store.put("data", "texts/a.txt", b"")
    assert main(["s3://data/texts/", "--output", "others.jsonl"]) == 2
    assert "but other files: 1 .txt (--any tries every file)" in capsys.readouterr().err
    remove(store, "texts/a.txt")


@pytest.mark.parametrize(
    "suffix", [".parquet", *(pytest.param(suffix, marks=pytest.mark.slow) for suffix in (".jsonl", ".csv"))]
)
def test_a_table_is_uploaded_and_goes_on_from_a_journal_of_this_machine(
    suffix: str, store: ObjectStore, triton: StubConnection, tmp_path: Path
) -> None:
    url = f"s3://data/out/scores{suffix}"

    def scored() -> list[str]:
        (tmp_path / f"there{suffix}").write_bytes(store.get("data", f"out/scores{suffix}") or b"")
        return sorted(read_table(tmp_path / f"there{suffix}").column("video").to_pylist())

    assert main([URLS[0], "--output", url]) == 0
    assert scored() == URLS[:1]
    assert [path.name for path in state_of(url).iterdir()] == [f"scores{suffix}.journal"]
    assert main(["s3://data/clips/", "--output", url]) == 0
    assert scored() == URLS
    assert len(triton.videos) == 3
    assert not (tmp_path / "s3:").exists()
    remove(store, f"out/scores{suffix}")


def test_the_output_is_no_input(store: ObjectStore, triton: StubConnection, tmp_path: Path) -> None:
    for _ in range(2):
        assert main(["s3://data/clips/", "--any", "--output", "s3://data/clips/scores.csv", "--journal", "j"]) == 0
    text = (store.get("data", "clips/scores.csv") or b"").decode()
    assert sorted(line.partition(",")[0] for line in text.splitlines()[1:]) == sorted(
        [*URLS, "s3://data/clips/notes.txt"]
    )
    assert sorted(os.listdir(tmp_path)) == ["j"]
    remove(store, "clips/scores.csv")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"a")
    for _ in range(2):
        assert main(["videos", "--any", "--output", "local.jsonl", "--journal", "videos/journal"]) == 0
    assert names(tmp_path / "local.jsonl") == ["videos/a.mp4"]


def test_an_upload_that_fails_is_said_and_made_by_the_next_run(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infer = triton.infer

    def infer_and_refuse(*arguments: Any, **options: Any) -> Any:
        store.faults.forbidden = ("/up.jsonl",)
        return infer(*arguments, **options)

    triton.infer = infer_and_refuse  # type: ignore[method-assign]
    command = [URLS[0], "--output", "s3://data/up.jsonl", "--journal", "up.journal"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "s3://data/up.jsonl: cannot write it: the store refuses access (403)" in said
    assert "it is on this machine as up.journal.up.jsonl" in said
    assert names(tmp_path / "up.journal.up.jsonl") == URLS[:1]
    assert store.get("data", "up.jsonl") is None
    triton.infer = infer  # type: ignore[method-assign]
    store.faults = Faults()
    assert main(command) == 0
    assert names(store.get("data", "up.jsonl") or b"") == URLS[:1]
    assert len(triton.videos) == 1
    assert not (tmp_path / "up.journal.up.jsonl").exists()
    remove(store, "up.jsonl")


@pytest.mark.parametrize("fault", ["bucket", "forbidden"])
def test_a_bucket_that_takes_nothing_is_found_before_anything_is_scored(
    fault: str, store: ObjectStore, triton: StubConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket, key = ("no-such-bucket", "o.jsonl") if fault == "bucket" else ("data", f"{fault}.jsonl")
    store.faults.forbidden = (f"{fault}.jsonl.partial",)
    before = len(store.requests)
    assert main([URLS[0], "--output", f"s3://{bucket}/{key}"]) == 1
    assert f"s3://{bucket}/{key}: cannot write there: " in capsys.readouterr().err
    assert not [path for method, path in store.requests[before:] if method == "GET" and "a.mp4" in path]
    store.faults.forbidden = ()
    assert main([URLS[0], "--output", f"s3://data/{key}"]) == 0
    assert store.get("data", f"{key}.partial") is None
    assert store.get("data", key) is not None


def test_an_output_that_is_there_already_is_not_replaced(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.put("data", "other.jsonl", b"of someone else")
    assert main([URLS[0], "--output", "s3://data/other.jsonl"]) == 2
    assert "s3://data/other.jsonl: exists, but this machine has no journal of it (" in capsys.readouterr().err
    assert store.get("data", "other.jsonl") == b"of someone else"
    assert main([URLS[0], "--output", "s3://data/one.jsonl", "--journal", "j"]) == 0
    assert main([URLS[0], "--output", "s3://data/two.jsonl", "--journal", "j"]) == 2
    assert "j is the journal of s3://data/one.jsonl: name another journal" in capsys.readouterr().err
    assert store.get("data", "two.jsonl") is None
    remove(store, "other.jsonl", "one.jsonl")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output", "s3://data/scores.txt"], "s3://data/scores.txt: the name of the output must end in .parquet"),
        (["--output", "https://host/scores.csv"], "https://host/scores.csv: web servers take no files"),
        (
            ["--output", "s3://data/s.csv", "--journal", "no/j"],
            "s3://data/s.csv: there is no folder no for its journal",
        ),
        (["--output", "s.csv", "--journal", "no/j"], "s.csv: there is no folder no"),
        (
            ["--output", "s3://data/s.csv", "--retry-failed"],
            "s3://data/s.csv: nothing to retry, s.csv.journal does not",
        ),
        (["--journal", "j"], "--journal is for --output"),
    ],
)
def test_wrong_destinations_are_refused_before_anything_is_scored(
    arguments: list[str], expected: str, store: ObjectStore, triton: StubConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main([URLS[0], *arguments])
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert expected in capsys.readouterr().err
    assert triton.videos == []


def test_a_journal_elsewhere_is_that_of_a_file_too(store: ObjectStore, triton: StubConnection, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for _ in range(2):
        assert main([URLS[0], "--output", "scores.jsonl", "--journal", "elsewhere/j"]) == 0
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "scores.jsonl"]
    assert len(triton.videos) == 1


@pytest.mark.parametrize("kind", ["csv", "txt", "jsonl"])
def test_a_list_by_url_names_videos_beside_it(
    kind: str, store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here.mp4").write_bytes(b"here")
    named = ["a.mp4", "b/c.mp4", URLS[2], "here.mp4", "gone.mp4"]
    lists = {
        "csv": "".join(f"{line}\n" for line in ["path,caption", *(f"{name},x" for name in named)]),
        "txt": "".join(f"{name}\n" for name in named),
        "jsonl": "".join(json.dumps({"path": name, "caption": "x"}) + "\n" for name in named),
    }
    store.put("data", f"clips/list.{kind}", lists[kind].encode())
    keep = [] if kind == "txt" else ["--keep", "caption"]
    assert main(["--manifest", f"s3://data/clips/list.{kind}", *keep, "--output", "scores.jsonl"]) == 1
    assert names(tmp_path / "scores.jsonl") == sorted([*URLS, "here.mp4", "s3://data/clips/gone.mp4"])
    assert f"s3://data/clips/list.{kind}: read as" in capsys.readouterr().err
    if keep:
        assert {row["kept"]["caption"] for row in rows(tmp_path / "scores.jsonl")} == {"x"}
    remove(store, f"clips/list.{kind}")


def test_a_list_of_this_machine_and_templates_name_urls(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.txt").write_text("https://host/a?signature=x\n" + "".join(f"{u}\n" for u in URLS))
    assert [item.path for item in Inputs([], ["lists/list.txt"])] == ["https://host/a?signature=x", *URLS]
    (tmp_path / "ids.csv").write_text("id\na\n")
    template = ["--path-template", "s3://data/clips/{id}.mp4"]
    assert main(["--manifest", "ids.csv", *template, "--output", "scores.jsonl"]) == 0
    assert names(tmp_path / "scores.jsonl") == URLS[:1]
    assert main(["--manifest", "s3://data/no.csv", "--output", "scores.jsonl"]) == 2
    assert "s3://data/no.csv: cannot read the manifest: the store has no such file" in capsys.readouterr().err


def test_the_client_takes_urls_and_names_them_in_the_log(store: ObjectStore, triton: StubConnection) -> None:
    with Client("localhost:1") as client:
        score = client.score(URLS[1])
    assert score.video == URLS[1]
    assert triton.videos == [b"video b/c.mp4"]
    assert request_id("https://host/d/a.mp4?signature=secret") == "a.mp4"


def test_a_preview_that_cannot_be_read_has_a_reason(store: ObjectStore, tmp_path: Path) -> None:
    gone = previews.Segment("s3://data/gone.mp4", 0.0, 1.0)
    made = previews.make_previews([gone])
    assert made[gone].mp4 is None
    assert made[gone].reason.startswith("the store has no such file")
    assert place_of("s3://data/real.mp4", tmp_path / "scores.jsonl") == "s3://data/real.mp4"


def test_a_process_that_ends_without_a_word_leaves_no_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text("raise SystemExit(3)")
    monkeypatch.setattr(previews, "SCRIPT", silent)
    segment = previews.Segment(tmp_path / "a.mp4", 0.0, 1.0)
    assert previews.make_previews([segment])[segment].reason == "it cannot be decoded"


def test_scenes_are_looked_for_in_copies(store: ObjectStore) -> None:
    seen: list[tuple[str, bytes]] = []

    def find(path: str, _: object) -> list[Any]:
        seen.append((path, Path(path).read_bytes()))
        return []

    run = _Run(cast(Any, None), cast(Any, SimpleNamespace(find=find)), cast(Any, None))
    assert run._look(Item(URLS[0])).error is None
    ((path, data),) = seen
    assert data == b"video a.mp4"
    assert not Path(path).exists()
    assert str(run._look(Item("s3://data/gone.mp4")).error).startswith("the store has no such file")


def test_a_store_that_is_away_stops_the_search_for_scenes_which_goes_on_later(
    store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.faults.away = True
    assert scenes_command.main(["s3://data/clips/", "--output", "scenes.jsonl"]) == 1
    said = capsys.readouterr().err
    assert "s3://data/clips/: the store does not answer or breaks off" in said
    assert said.endswith("; run the same command again\n")
    assert scenes_command.main([*URLS, "--output", "scenes.jsonl", "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert f"stopped: {URLS[0]}: the store " in said
    assert "0 scenes of 0 videos, 0 failed; run the same command again to resume" in said
    store.faults = Faults()
    monkeypatch.setattr("client._scenes.workers.Workers.find", lambda *_: [(0.0, 1.0)])
    assert scenes_command.main([*URLS, "--output", "scenes.jsonl"]) == 0
    assert sorted(row["path"] for row in rows(tmp_path / "scenes.jsonl")) == URLS


def test_ray_is_given_urls_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (wave,) = waves([Item(URLS[0]), Item("a.mp4")])
    assert [row["path"].decode() for row in wave.blocks[0].to_pylist()] == [URLS[0], str(tmp_path / "a.mp4")]


def test_a_report_has_previews_of_urls(store: ObjectStore, triton: StubConnection, tmp_path: Path) -> None:
    store.put("data", "real.mp4", encode(40, rate=20))
    assert main(["s3://data/real.mp4", "--output", "scores.jsonl"]) == 0
    report = write_report(tmp_path / "scores.jsonl", tmp_path / "report.html")
    assert (report.examples, report.without_preview) == (1, 0)
    remove(store, "real.mp4")


def test_faults_cost_no_row(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SECONDS", 20)
    for number in range(20):
        store.put("data", f"many/{number:03}.mp4", f"video {number}".encode())
    store.faults.refused, store.faults.broken = 0.15, 0.1
    assert main(["s3://data/many/", "--output", "s3://data/many.jsonl", "--in-flight", "4"]) == 0
    found = Counter(row["video"] for row in rows(store.get("data", "many.jsonl") or b""))
    assert found == {f"s3://data/many/{number:03}.mp4": 1 for number in range(20)}
    assert sorted(triton.videos) == sorted(f"video {number}".encode() for number in range(20))
    assert store.asked("HEAD") + store.asked("GET") > 42
    remove(store, "many.jsonl", *(f"many/{number:03}.mp4" for number in range(20)))


def test_threads_read_at_the_same_time(
    store: ObjectStore, triton: StubConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(3, timeout=10)
    read: Callable[..., bytes] = S3FileSystem.cat_file

    def held(self: S3FileSystem, *arguments: Any, **options: Any) -> bytes:
        together.wait()
        return read(self, *arguments, **options)

    monkeypatch.setattr(S3FileSystem, "cat_file", held)
    assert main(["s3://data/clips/", "--output", "scores.jsonl", "--in-flight", "3"]) == 0

"""`score --dedupe`: the same bytes are scored once, under every name."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from pyarrow import parquet

from client import Client, InvalidRequest, Score
from client._commands import filter as filter_command
from client._commands import score as score_command
from client._inputs.inputs import Inputs
from client._runs.table_run import run_table
from client._sdk.request import read_video
from client._sdk.result import Weights
from client._tables.journal import OtherTerms
from client._tables.table import SCHEMA, read_metadata, read_table
from fixtures.shards import write_shard
from tests.stub_server import answer_everything
from tests.test_table import SCORE, WEIGHTS


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Server:
    """Scores every video but `bad`; `during` is called with the bytes of each."""

    def __init__(self, during: Callable[[bytes], object] = lambda _: None) -> None:
        self.sent: list[bytes] = []
        self.parameters: list[dict[str, float]] = []
        self._during = during
        self._lock = threading.Lock()

    def client(self, weights: Weights = WEIGHTS) -> Client:
        return cast(Client, SimpleNamespace(weights=lambda: weights, score=self._score, is_ready=lambda: True))

    def _score(self, video: str | bytes, **parameters: float) -> Score:
        data = read_video(video)[0].tobytes()
        with self._lock:
            self.sent.append(data)
            self.parameters.append(parameters)
        self._during(data)
        if data == b"bad":
            raise InvalidRequest("it is cut off", reason="truncated")
        return SCORE


def run(server: Server, names: list[str], output: str = "scores.parquet", in_flight: int = 1, **named: Any) -> int:
    inputs = named.pop("inputs", None) or Inputs(names, [])
    parameters = named.pop("parameters", {})
    options = {"dedupe": True, **named}
    return run_table(server.client(), inputs, Path(output), parameters, in_flight=in_flight, **options)


def write(**videos: bytes) -> None:
    for name, data in videos.items():
        Path(f"{name}.mp4").write_bytes(data)


def duplicates(path: str) -> dict[str, str | None]:
    rows = read_table(path).to_pylist()
    return {row["video"]: row["duplicate_of"] for row in rows}


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_the_same_bytes_are_sent_once_and_each_name_has_a_row(
    suffix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(a=b"one", b=b"two", c=b"one", d=b"one")
    write_shard(Path("s.tar"), {"x.mp4": b"two", "y.mp4": b"three"})
    parquet.write_table(pa.table({"video": [b"three", b"four"]}), "files.parquet")
    server = answer_everything(monkeypatch)
    output = f"scores{suffix}"
    arguments = ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "s.tar", "--hugging-face", "files.parquet"]
    assert score_command.main([*arguments, "--output", output, "--dedupe", "--in-flight", "1"]) == 0
    assert server.videos == [b"one", b"two", b"three", b"four"]
    assert "4 videos have the bytes of another one, and were not sent" in capsys.readouterr().err
    expected = {
        "a.mp4": None,
        "b.mp4": None,
        "c.mp4": "a.mp4",
        "d.mp4": "a.mp4",
        "s.tar/x.mp4": "b.mp4",
        "s.tar/y.mp4": None,
        "files.parquet#1": "s.tar/y.mp4",
        "files.parquet#2": None,
    }
    assert duplicates(output) == expected
    table = read_table(output)
    assert table.column_names == [*SCHEMA.names, "duplicate_of"]
    rows = table.drop_columns(["video", "duplicate_of"]).to_pylist()
    assert all(row == rows[0] for row in rows)
    assert read_metadata(output).signals is None
    assert filter_command.main([output, "--drop", "static", "--kept", "kept.jsonl"]) == 0
    assert duplicates("kept.jsonl") == expected


def test_what_was_scored_is_known_after_a_restart_also_under_another_name() -> None:
    write(a=b"one", b=b"two")
    server = Server()
    assert run(server, ["a.mp4", "b.mp4"]) == 0
    os.rename("a.mp4", "renamed.mp4")
    write(c=b"two")
    assert run(server, ["renamed.mp4", "b.mp4", "c.mp4"]) == 0
    assert server.sent == [b"one", b"two"]
    assert duplicates("scores.parquet") == {
        "a.mp4": None,
        "b.mp4": None,
        "renamed.mp4": "a.mp4",
        "c.mp4": "b.mp4",
    }


def test_videos_in_flight_at_once_count(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}.mp4" for number in range(12)]
    for name in names:
        Path(name).write_bytes(b"one")
    hold = threading.Event()
    waiting: list[bytes] = []
    from client._runs import dedupe

    digest = dedupe._digest_of_file

    def count(path: str) -> str | None:
        found = digest(path)
        waiting.append(b"")
        if len(waiting) == 4:  # each of the threads has one
            hold.set()
        return found

    monkeypatch.setattr(dedupe, "_digest_of_file", count)
    server = Server(lambda _: hold.wait(30))
    assert run(server, names, in_flight=4) == 0
    assert server.sent == [b"one"]
    found = duplicates("scores.parquet")
    (original,) = [name for name, other in found.items() if other is None]
    assert found == {name: None if name == original else original for name in names}


def test_another_part_or_parameter_is_another_video(tmp_path: Path) -> None:
    write(a=b"one", b=b"one")
    (tmp_path / "list.csv").write_text("path,start_seconds\na.mp4,1\nb.mp4,1\nb.mp4,2\na.mp4,\n")
    server = Server()
    assert run(server, [], inputs=Inputs([], ["list.csv"]), parameters={"from_first_frame": 1.0}) == 0
    starts = [parameters.get("start_seconds") for parameters in server.parameters]
    assert starts == [1.0, 2.0, None]
    rows = read_table("scores.parquet").to_pylist()
    assert [(row["video"], row["start_seconds"], row["duplicate_of"]) for row in rows] == [
        ("a.mp4", 1.0, None),
        ("b.mp4", 1.0, "a.mp4"),
        ("b.mp4", 2.0, None),
        ("a.mp4", None, None),
    ]


def test_what_is_kept_is_each_videos_own() -> None:
    members = {"a.mp4": b"one", "a.txt": b"first", "b.mp4": b"one", "b.txt": b"second", "c.mp4": b"one"}
    write_shard(Path("s.tar"), members)
    arguments = ["s.tar", "--keep", "caption", "--output", "scores.csv", "--dedupe", "--in-flight", "1"]
    with pytest.MonkeyPatch.context() as patch:
        server = answer_everything(patch)
        assert score_command.main(arguments) == 0
    assert server.videos == [b"one"]
    assert read_table("scores.csv").column("caption").to_pylist() == ["first", "second", None]


def test_a_failure_is_no_answer_for_others() -> None:
    write(a=b"bad", b=b"bad", c=b"one")
    server = Server()
    assert run(server, ["a.mp4", "b.mp4", "c.mp4", "gone.mp4"], "scores.jsonl") == 1
    assert server.sent == [b"bad", b"bad", b"one"]
    os.mkfifo("pipe.mp4")
    assert run(server, ["pipe.mp4"], "pipe.csv") == 1
    rows = [json.loads(line) for line in Path("scores.jsonl").read_text().splitlines()]
    assert [row.get("error") for row in rows[:3]] == ["it is cut off", "it is cut off", None]
    assert "No such file" in rows[3]["error"]
    write(a=b"one", b=b"new", d=b"new")
    server.sent.clear()
    assert run(server, ["a.mp4", "b.mp4"], "scores.jsonl", retry_failed=True) == 1  # gone.mp4 is
    assert server.sent == [b"new"]  # a.mp4 has now the bytes of c.mp4
    assert run(server, ["d.mp4"], "scores.jsonl") == 1
    found = duplicates("scores.jsonl")
    assert (found["a.mp4"], found["b.mp4"], found["d.mp4"]) == ("c.mp4", None, "b.mp4")
    assert server.sent == [b"new"]


def test_a_server_with_other_weights_stops_the_run_before_a_duplicate_is_written() -> None:
    write(a=b"one", b=b"one")
    server = Server()
    other = Weights(**{**vars(WEIGHTS), "motion": "another"})
    client = server.client(other)
    assert run_table(client, Inputs(["a.mp4", "b.mp4"], []), Path("a.csv"), {}, in_flight=1, dedupe=True) == 1
    assert read_table("a.csv").num_rows == 0


def test_runs_of_one_table_agree() -> None:
    write(a=b"one")
    assert run(Server(), ["a.mp4"], "a.csv", dedupe=False) == 0
    with pytest.raises(OtherTerms, match="was begun without --dedupe, now it is with --dedupe:"):
        run(Server(), ["a.mp4"], "a.csv")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [([], "--dedupe needs an --output"), (["--output", "a.csv", "--engine", "ray"], "--dedupe is not for --engine")],
)
def test_where_it_cannot_be_done_it_is_refused(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(a=b"one")
    with pytest.raises(SystemExit):
        score_command.main(["a.mp4", "--dedupe", *arguments])
    assert why in capsys.readouterr().err

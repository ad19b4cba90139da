"""The command `search`, against numpy; no server."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from bench.search import measure
from client import Client, ClientError, InvalidRequest
from client._commands import filter as filter_command
from client._commands.search import main
from client._search import frames as search_frames
from client._search.hits import best_hits
from client._tables import table as tables
from client._tables.table import read_metadata, read_table
from fixtures.frame_tables import write_frames
from fixtures.synthetic import encode
from tests.stub_signals import FRAME_EMBEDDINGS, answer_with_signals
from tests.stub_text import TextConnection, answer_with_text, embedding_of

WIDTH = 4
SENTENCE = "a dog runs on a beach"
Matrices = dict[str, NDArray[np.floating] | None]


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> TextConnection:
    return answer_with_text(monkeypatch)


def make_videos(count: int, seed: int = 0) -> Matrices:
    """Videos of 1 to 5 frames; every seventh failed."""
    rng = np.random.default_rng(seed)
    return {
        f"{index:04}.mp4": None if index % 7 == 3 else rng.standard_normal((int(rng.integers(1, 6)), WIDTH), np.float32)
        for index in range(count)
    }


def cosines(frames: NDArray[np.floating], text: NDArray[np.floating]) -> NDArray[np.float64]:
    frames, text = frames.astype(np.float64), text.astype(np.float64)
    return frames @ text / np.linalg.norm(frames, axis=1) / np.linalg.norm(text)


def expected_order(videos: Matrices, text: NDArray[np.floating], by: str) -> list[tuple[str, float, float, int]]:
    """Every scored video with its best cosine, its mean and its best frame, best first."""
    found: list[tuple[str, float, float, int]] = []
    for name, frames in videos.items():
        if frames is not None:
            each = cosines(frames, text)
            found.append((name, float(each.max()), float(each.mean()), int(each.argmax())))
    return sorted(found, key=lambda entry: -(entry[1] if by == "best" else entry[2]))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    status = main([*map(str, arguments), "--format", "json"])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize("by", ["best", "mean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_search_finds_what_numpy_finds(
    by: str,
    dtype: type[np.floating],
    connection: TextConnection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tables, "_READ_BYTES", 500)  # some rows at once
    videos = make_videos(300)
    scores = write_frames(tmp_path / "scores.parquet", videos, dtype=dtype)
    stored = {name: None if frames is None else frames.astype(dtype) for name, frames in videos.items()}
    status, found, _ = run(capsys, scores, SENTENCE, "--top", 20, "--by", by)
    assert status == 0
    assert connection.texts == [SENTENCE]
    expected = expected_order(stored, embedding_of(SENTENCE), by)[:20]
    assert [hit["video"] for hit in found] == [name for name, *_ in expected]
    assert [hit["rank"] for hit in found] == list(range(1, 21))
    for hit, (_, best, mean, frame) in zip(found, expected, strict=True):
        assert hit["similarity"] == pytest.approx(best, abs=1e-5)
        assert hit["similarity_mean"] == pytest.approx(mean, abs=1e-5)
        assert hit["best_seconds"] == frame
    assert found[0].keys() == {"rank", "video", "similarity", "similarity_mean", "best_seconds"}


def test_rows_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the table is, or a row group of it."""
    monkeypatch.setattr(tables, "_READ_BYTES", 8000)
    rng = np.random.default_rng(0)
    videos: Matrices = {str(index): rng.standard_normal((2, 16), np.float32) for index in range(500)}
    scores = write_frames(tmp_path / "scores.parquet", videos, row_group_rows=500)
    sizes = [rows.frames.nbytes for rows in search_frames.frame_rows(scores, read_metadata(scores), 16)]
    assert sum(sizes) == 500 * 2 * 16 * 4
    assert max(sizes) <= 8000


def test_of_equal_videos_the_first_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_READ_BYTES", 500)
    one, other = np.eye(2, WIDTH, dtype=np.float32)
    videos: Matrices = {str(index): (one if index % 3 else other)[None] for index in range(200)}
    scores = write_frames(tmp_path / "scores.parquet", videos)
    hits = best_hits(search_frames.frame_rows(scores, read_metadata(scores), WIDTH), one[None], 7)
    assert [hit.row for hit in hits] == [1, 2, 4, 5, 7, 8, 10]


def test_frames_of_length_zero_fit_nothing(tmp_path: Path) -> None:
    videos: Matrices = {"zero": np.zeros((2, WIDTH), np.float32), "against": -np.eye(1, WIDTH, dtype=np.float32)}
    scores = write_frames(tmp_path / "scores.parquet", videos)
    query = np.eye(1, WIDTH, dtype=np.float32)
    hits = best_hits(search_frames.frame_rows(scores, read_metadata(scores), WIDTH), query, 2)
    assert [(hit.row, hit.similarity) for hit in hits] == [(0, 0.0), (1, -1.0)]


@pytest.mark.usefixtures("connection")
def test_the_output_is_a_table_of_the_videos_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables, "_READ_BYTES", 500)
    videos = make_videos(120)
    scores = write_frames(tmp_path / "scores.parquet", videos)
    output = tmp_path / "found.parquet"
    labels = ["food", "travel", "history"]
    options = ["--top", 15, "--output", output, "--labels", ",".join(labels)]
    status, found, _ = run(capsys, scores, SENTENCE, *options)
    assert status == 0
    table = parquet.read_table(output)
    assert table.column("video").to_pylist() == [hit["video"] for hit in found]
    for row, hit in zip(table.to_pylist(), found, strict=True):
        frames = videos[row["video"]]
        assert frames is not None
        np.testing.assert_array_equal(np.array(row["frame_embeddings"], np.float32), frames)
        topics = {label: cosines(frames, embedding_of(f"a photo of {label}")).mean() for label in labels}
        assert row["topic"] == hit["topic"] == max(topics, key=lambda label: topics[label])
        assert row["topic_similarity"] == pytest.approx(max(topics.values()), abs=1e-5)
        assert row["similarity"] == pytest.approx(hit["similarity"], abs=1e-5)
    # Other commands read it, in its order.
    assert read_table(output).num_rows == 15
    assert read_metadata(output) == read_metadata(scores)
    assert filter_command.main([str(output), "--drop", "static", "--kept", str(tmp_path / "kept.txt")]) == 0
    assert (tmp_path / "kept.txt").read_text().split() == [hit["video"] for hit in found]


@pytest.mark.usefixtures("connection")
def test_labels_alone_give_every_video_a_topic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables, "_READ_BYTES", 500)
    videos = make_videos(100)
    scores = write_frames(tmp_path / "scores.parquet", videos)
    output = tmp_path / "topics.parquet"
    status, (said,), _ = run(
        capsys, scores, "--labels", " food , travel", "--template", "{} in a film", "--output", output
    )
    assert status == 0
    rows = parquet.read_table(output).to_pylist()
    assert [row["video"] for row in rows] == list(videos)
    for row in rows:
        frames = videos[row["video"]]
        if frames is None:
            assert (row["topic"], row["topic_similarity"], row["error"]) == (None, None, "the file is empty")
            continue
        food, travel = (cosines(frames, embedding_of(f"{label} in a film")).mean() for label in ("food", "travel"))
        assert row["topic"] == ("food" if food > travel else "travel")
    counts = {label: sum(row["topic"] == label for row in rows) for label in ("food", "travel")}
    assert said == {"scores": str(scores), "topics": counts}
    assert min(counts.values()) > 0


def test_an_example_finds_videos_like_it(
    connection: TextConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = tmp_path / "example.mp4"
    example.write_bytes(b"example")
    videos = make_videos(60)
    scores = write_frames(tmp_path / "scores.parquet", videos)
    status, found, _ = run(capsys, scores, "--like", example, "--top", 5)
    assert status == 0
    assert connection.videos == [b"example"]
    assert connection.parameters == [{"signals": "frames", "frames": 3.0}]  # as many as in the table
    assert connection.texts == []
    lengths = np.linalg.norm(FRAME_EMBEDDINGS, axis=1, keepdims=True)
    query = (FRAME_EMBEDDINGS / lengths).mean(0)
    assert [hit["video"] for hit in found] == [name for name, *_ in expected_order(videos, query, "best")[:5]]


@pytest.mark.usefixtures("connection")
def test_the_page_shows_the_second_that_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there.mp4").write_bytes(encode(100, rate=20))
    text = embedding_of(SENTENCE)
    videos: Matrices = {"there.mp4": np.stack([-text, -text, text]), "<b>gone</b>.mp4": text[None] + 0.5}
    scores = write_frames(tmp_path / "scores.parquet", videos)
    page = tmp_path / "found.html"
    status, found, err = run(capsys, scores, SENTENCE, "--html", page)
    assert status == 0
    assert [hit["video"] for hit in found] == list(videos)
    assert err == f"{page}: 1 of 2 videos has no preview\n"
    content = page.read_text()
    assert content.count('<video src="data:video/mp4;base64,') == 1
    assert "best at 2.0 s" in content
    assert "the file was not found" in content
    assert "&lt;b&gt;gone&lt;/b&gt;.mp4" in content
    assert "<b>gone" not in content
    assert "http" not in content.replace("http-equiv", "")  # needs no network
    assert f"<title>{SENTENCE}</title>" in content


@pytest.mark.usefixtures("connection")
def test_a_person_reads_a_line_for_each_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_frames(tmp_path / "scores.parquet", {"a.mp4": np.stack([embedding_of(SENTENCE)] * 2)})
    assert main([str(scores), SENTENCE, "--format", "table", "--labels", "food"]) == 0
    assert capsys.readouterr().out == "   1   1.000  mean  1.000  at    0.00 s  a.mp4  food\n"


@pytest.mark.usefixtures("connection")
def test_a_long_sentence_is_cut_and_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_frames(tmp_path / "scores.parquet", make_videos(3))
    _, _, err = run(capsys, scores, "word " * 100)
    assert err == "NOTE: the encoder takes 77 tokens; 23 were cut\n"


@pytest.mark.usefixtures("connection")
def test_json_lines_are_searched_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = make_videos(20)
    rows = [
        {"video": name, "error": "the file is empty"}
        if frames is None
        else {"video": name, "info": {}, "frame_embeddings": frames.tolist(), "frame_seconds": list(range(len(frames)))}
        for name, frames in videos.items()
    ]
    scores = tmp_path / "scores.jsonl"
    scores.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, found, _ = run(capsys, scores, SENTENCE, "--top", 3)
    assert status == 0
    assert [hit["video"] for hit in found] == [
        name for name, *_ in expected_order(videos, embedding_of(SENTENCE), "best")[:3]
    ]


@pytest.mark.usefixtures("connection")
def test_a_table_without_any_embedding_finds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = write_frames(tmp_path / "scores.parquet", {"a.mp4": None})
    output = tmp_path / "found.parquet"
    status, found, err = run(capsys, scores, SENTENCE, "--output", output)
    assert (status, found, err) == (0, [], f"NOTE: no video of {scores} has embeddings\n")
    assert read_table(output).num_rows == 0


def test_what_cannot_be_searched_has_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = make_videos(5)
    scores = write_frames(tmp_path / "scores.parquet", videos)

    def error(path: Path = scores) -> str:
        status, found, err = run(capsys, path, SENTENCE)
        assert (status, found) == (1, [])
        return err

    answer_with_signals(monkeypatch)  # no text encoder
    assert "the server has no model text_embedding, so it cannot embed text: export" in error()
    answer_with_text(monkeypatch, encoder="other@1")
    assert f"the embeddings of {scores} are by c@3, the server's would be by other@1" in error()
    answer_with_text(monkeypatch, lambda text: embedding_of(text, 7))
    assert f"{scores} has embeddings of 4 values, the server's have 7" in error()
    answer_with_text(monkeypatch, lambda _: np.zeros(WIDTH, np.float32))
    assert "the server's embedding has no direction" in error()
    answer_with_text(monkeypatch)
    without = tmp_path / "without.parquet"
    parquet.write_table(parquet.read_table(scores).drop_columns(["frame_embeddings"]), without)
    assert (
        f"{without} has no embeddings of frames: score the videos with frames among the signals, into another"
        in error(without)
    )
    assert "cannot read" in error(tmp_path / "none.parquet")


def test_what_is_searched_for_is_named(
    connection: TextConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = write_frames(tmp_path / "scores.parquet", make_videos(5))
    absent = tmp_path / "nothere.mp4"
    assert run(capsys, scores, "--like", absent)[0] == 1
    assert main([str(scores), "--like", str(absent)]) == 1
    assert f"video-motion search: {absent}: cannot read the file" in capsys.readouterr().err

    def refuse(_: str) -> NDArray[np.floating]:
        raise InvalidRequest("TEXT has 10,001 characters, at most 10,000 are allowed")

    connection.embed = refuse
    assert main([str(scores), "word"]) == 1
    assert "video-motion search: the sentence: has 10,001 characters" in capsys.readouterr().err
    assert main([str(scores), "--labels", "food,x", "--output", str(tmp_path / "o.parquet")]) == 1
    assert "video-motion search: the label 'food': has 10,001" in capsys.readouterr().err


def test_random_weights_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with_text(monkeypatch, encoder="random:0")
    scores = write_frames(tmp_path / "scores.parquet", make_videos(5), encoder="random:0")
    assert main([str(scores), SENTENCE]) == 0
    assert "NOTE: the server has random weights: what is found means nothing\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give a sentence, --like VIDEO or --labels"),
        (["dog", "--like", "a.mp4"], "give a sentence or --like, not both"),
        (["--labels", "a,b"], "--labels alone gives every video a label: name the --output"),
        (["dog", "--labels", "a,,b"], "--labels has an empty label"),
        (["dog", "--labels", "a,a"], "--labels has a label twice"),
        (["dog", "--top", "0"], "--top is 0, it must be from 1 to 100000"),
        (["dog", "--output", "a.csv"], "--output a.csv must end in .parquet"),
        (["dog", "--output", "scores.parquet"], "--output and the table are the same file"),
        (["dog", "--output", "there.parquet"], "--output there.parquet exists: choose another name, or delete it"),
        (["dog", "--output", "none/a.parquet"], "--output none/a.parquet: there is no folder none"),
        (["dog", "--html", "none/a.html"], "--html none/a.html: there is no folder none"),
        (["dog", "--html", "."], "--html . is a folder"),
        (["dog", "--template", "a film of {}"], "--template is for --labels"),
        ([" "], "the sentence is empty"),
        (["dog", "--labels", "a", "--template", "a photo"], "--template must have {} where the label goes"),
        (["dog", "--labels", "a", "--template", "{0} {1}"], "--template must have {} where the label goes"),
        (["dog", "--timeout", "0"], "--timeout is 0, it must be above 0"),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / "scores.parquet", make_videos(2))
    (tmp_path / "there.parquet").write_bytes(b"another table")
    with pytest.raises(SystemExit) as raised:
        main(["scores.parquet", *arguments])
    assert raised.value.code == 2
    assert sentence in capsys.readouterr().err


def test_the_client_embeds_text(connection: TextConnection) -> None:
    with Client("localhost:1") as client:
        found = client.embed_text("two words")
        np.testing.assert_array_equal(found.embedding, embedding_of("two words"))
        assert (found.tokens, found.tokens_cut) == (2, 0)
        wrong: Any = b"bytes"
        with pytest.raises(InvalidRequest, match="a text must be a string, not bytes"):
            client.embed_text(wrong)
        with pytest.raises(InvalidRequest, match="the text cannot be written as UTF-8"):
            client.embed_text("\ud800")
        connection.embed = lambda _: np.zeros((2, 2), np.float32)
        assert client.embed_text("x").embedding.shape == (4,)
        connection.embed = lambda _: np.array("nothing", object)
        with pytest.raises(ClientError, match="not that of this model"):
            client.embed_text("x")


@pytest.mark.slow
def test_a_million_videos_are_searched_in_less_than_500_megabytes(tmp_path: Path) -> None:
    measured = measure(tmp_path, rows=1_000_000, width=512)
    print(measured)
    assert measured.peak_mib < 500
    assert measured.is_right

"""The command `caption`, against a real HTTP server of the chat API."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from client._captions.encode_frames import frames_at
from client._captions.prompt import fill, read_template
from client._captions.rules import broken_rules, cleaned
from client._commands import caption as command
from fixtures.score_tables import write_scores
from fixtures.synthetic import encode
from tests.chat_server import TOKENS, ChatServer, Reply, Request, chat_server, prompt_of
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent
KEY = "sk-a-very-secret-key"
GOOD = "a grey dog runs along a wet beach"
SOON = {"retry-after-ms": "5"}
PROGRAM = (
    "import sys; from client._commands import caption; caption.pictures_of = lambda *_: [b'picture']; "
    "sys.exit(caption.main(sys.argv[1:]))"
)


@pytest.fixture
def without_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures without files."""
    monkeypatch.setattr(command, "pictures_of", lambda *_: [b"picture"])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def table(directory: Path, count: int) -> Path:
    """A table of videos, the motion of which is said in the prompt."""
    clips = [[(0.0, 2.0, ["pan_left"])]] * count
    return write_scores(directory / "kept.parquet", [(1.0, 2.5, 0.1)] * count, clips=clips)


def listed(directory: Path, count: int) -> Path:
    """Their older captions, which name them."""
    path = directory / "old.csv"
    rows = "".join(f"videos/{index:07}.mp4,old {index}\n" for index in range(count))
    path.write_text(f"video,caption\n{rows}")
    return path


def arguments(server: ChatServer, directory: Path, count: int, *options: object) -> list[str]:
    fixed = ["--api", server.url, "--model", "some/model", "--output", directory / "captions.parquet"]
    return [*map(str, [table(directory, count), *fixed, "--texts", listed(directory, count), *options])]


def rows_of(directory: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(directory / "captions.parquet").to_pylist()
    return rows


def always(text: str) -> Callable[[Request, int], Reply]:
    return lambda *_: Reply(text)


def assert_no_key(directory: Path, *texts: str) -> None:
    for path in directory.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert all(KEY not in text for text in texts)


def test_a_model_sees_frames_the_older_caption_and_the_motion(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "0000000.mp4").write_bytes(encode(80, rate=20, width=192, height=108))
    with chat_server(always(f' "{GOOD}"\n')) as server:
        assert command.main(arguments(server, tmp_path, 1)) == 0
        (request,) = server.requests
        assert server.keys == {f"Bearer {KEY}"}
    assert request["model"] == "some/model"
    prompt = prompt_of(request)
    assert "These are 3 frames" in prompt
    assert "An older caption of the video is: old 0\n" in prompt
    assert "The motion was measured: the camera pans left; the subject moves strongly\n" in prompt
    assert "at most 100 words" in prompt
    pictures = [part["image_url"]["url"] for part in request["messages"][0]["content"][1:]]
    assert len(pictures) == 3
    opened = [Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/jpeg;base64,")))) for url in pictures]
    assert [picture.size for picture in opened] == [(240, 240)] * 3
    arrays = [np.asarray(picture, np.int64) for picture in opened]
    assert all(array[:40].max() < 12 < array[100:140].max() for array in arrays)  # 16:9 in a square
    assert all(np.abs(one - other).max() > 30 for one, other in pairwise(arrays))
    (row,) = rows_of(tmp_path)
    assert row == {
        "video": "videos/0000000.mp4",
        **dict.fromkeys(("start_seconds", "end_seconds", "from_first_frame", "error")),
        "caption": "old 0",
        "recaption": GOOD,
        "motion_phrase": "the camera pans left; the subject moves strongly",
        "model": "some/model",
        "tokens": TOKENS,
        "attempts": 1,
    }
    out, err = capfd.readouterr()
    assert err == f"{tmp_path}/captions.parquet: 1 video, 0 failed; {TOKENS} tokens\n"
    assert_no_key(tmp_path, out, err)


def test_the_frames_are_the_first_the_middle_and_the_last(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(encode(80, rate=20))

    def means(start: float, end: float, count: int) -> list[float]:
        return [float(np.asarray(image).mean()) for image in frames_at(str(path), start, end, count)]

    every = means(0.0, 4.0, 81)[:80]  # a twentieth of a second apart
    assert means(0.0, 4.0, 3) == [every[0], every[40], every[79]]
    assert means(1.0, 3.0, 3) == [every[20], every[40], every[59]]  # the end is not in the part
    assert means(0.0, 4.0, 1) == [every[40]]
    assert len({*every}) > 40


def test_a_video_without_frames_is_a_row(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "0000001.mp4").write_bytes(b"no video")
    with chat_server(always(GOOD)) as server:
        assert command.main(arguments(server, tmp_path, 2)) == 1
        assert server.count() == 0
    errors = {row["video"][-5:]: row["error"] for row in rows_of(tmp_path)}
    assert errors["0.mp4"] == "the file was not found"
    assert errors["1.mp4"].startswith("it cannot be decoded: ")
    assert "videos/0000000.mp4: the file was not found\n" in capfd.readouterr().err


@pytest.mark.usefixtures("without_videos")
@pytest.mark.parametrize(
    ("wrong", "correction"),
    [
        ("A Grey dog", "This caption has capital letters, only lower case is allowed. Write it again"),
        ("dog " * 101, "This caption has 101 words, at most 100 are allowed. Write it again"),
        ("серая собака бежит", "This caption is not in English. Write it again"),
        ("", "This caption has no text. Write it again"),
        ("12 - 13", "This caption has no word. Write it again"),
        ("DOG " * 101, "has 101 words, at most 100 are allowed and has capital letters, only lower"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_asked_for_again(wrong: str, correction: str, tmp_path: Path) -> None:
    with chat_server(lambda _, number: Reply(GOOD if number else wrong)) as server:
        assert command.main(arguments(server, tmp_path, 1)) == 0
        again = server.requests[1]["messages"]
    assert [message["role"] for message in again] == ["user", "assistant", "user"]
    assert again[1]["content"] == wrong
    assert correction in again[2]["content"]
    (row,) = rows_of(tmp_path)
    assert (row["recaption"], row["attempts"], row["tokens"]) == (GOOD, 2, 2 * TOKENS)


@pytest.mark.usefixtures("without_videos")
def test_after_three_wrong_answers_a_video_has_failed(tmp_path: Path) -> None:
    with chat_server(always("Dog")) as server:
        assert command.main(arguments(server, tmp_path, 1)) == 1
        assert server.count() == 3
        (row,) = rows_of(tmp_path)
        assert row["error"] == (
            "the model broke the rules 3 times: its answer has capital letters, only lower case is allowed"
        )
        assert (row["recaption"], row["tokens"]) == (None, 3 * TOKENS)
        # Nothing is asked again but on request, and then it counts.
        assert command.main(arguments(server, tmp_path, 1)) == 1
        assert server.count() == 3
        server.reply = always(GOOD)
        assert command.main(arguments(server, tmp_path, 1, "--retry-failed")) == 0
    (row,) = rows_of(tmp_path)
    assert (row["recaption"], row["error"]) == (GOOD, None)


@pytest.mark.usefixtures("without_videos")
@pytest.mark.parametrize(
    "trouble",
    [
        Reply(status=429, headers=SOON),
        Reply(status=500, headers=SOON),
        Reply(cut=True),
        Reply(body=b"no JSON"),
        Reply(body=b"{}"),
        Reply(text=None),
    ],
    ids=["429", "500", "cut", "no-json", "no-choice", "no-text"],
)
def test_trouble_that_passes_is_overcome(trouble: Reply, tmp_path: Path) -> None:
    with chat_server(lambda _, number: Reply(GOOD) if number else trouble) as server:
        assert command.main(arguments(server, tmp_path, 2, "--in-flight", 1)) == 0
        assert server.count() == 3
    assert [row["recaption"] for row in rows_of(tmp_path)] == [GOOD] * 2


@pytest.mark.usefixtures("without_videos")
def test_the_time_that_a_server_names_is_waited(tmp_path: Path) -> None:
    with chat_server(
        lambda _, number: Reply(GOOD) if number else Reply(status=429, headers={"retry-after": "1"})
    ) as server:
        waited = threading.Event()
        timer = threading.Timer(0.9, waited.set)
        plain = server.reply

        def reply(request: Request, number: int) -> Reply:
            if number == 0:
                timer.start()
            else:
                assert waited.is_set()
            return plain(request, number)

        server.reply = reply
        assert command.main(arguments(server, tmp_path, 1)) == 0
        timer.join()


@pytest.mark.usefixtures("without_videos")
@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (
            Reply(status=401, message=f"wrong key {KEY}"),
            "the API refuses the key, the model or the address: 401 wrong key ***",
        ),
        (
            Reply(status=404, message="no such model"),
            "the API refuses the key, the model or the address: 404 no such model",
        ),
        (Reply(status=429, message="too many", headers=SOON), "the API takes no more requests: 429 too many"),
    ],
    ids=["401", "404", "429"],
)
def test_what_no_video_can_overcome_stops_the_run(
    reply: Reply, sentence: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with chat_server(lambda *_: reply) as server:
        assert command.main(arguments(server, tmp_path, 50, "--in-flight", 2)) == 1
        assert server.count() <= 2 * 7
        out, err = capfd.readouterr()
        assert f"stopped: {sentence}\n" in err
        assert "0 of 50 videos, 0 failed; 0 tokens; run the same command again to resume" in err
        assert rows_of(tmp_path) == []
        assert_no_key(tmp_path, out, err)
        server.reply = always(GOOD)
        assert command.main(arguments(server, tmp_path, 50)) == 0
    assert len(rows_of(tmp_path)) == 50


@pytest.mark.usefixtures("without_videos")
def test_a_server_that_is_not_there_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("client._captions.api.RETRIES", 0)
    with chat_server(always(GOOD)) as server:
        line = arguments(server, tmp_path, 3)
    assert command.main(line) == 1
    assert "stopped: the API cannot be reached: " in capfd.readouterr().err


@pytest.mark.usefixtures("without_videos")
def test_other_errors_are_about_one_video(tmp_path: Path) -> None:
    def reply(request: Request, number: int) -> Reply:
        return Reply(status=400, message=f"bad picture {KEY}") if "old 1\n" in prompt_of(request) else Reply(GOOD)

    with chat_server(reply) as server:
        assert command.main(arguments(server, tmp_path, 3)) == 1
    found = {row["caption"]: (row["recaption"], row["error"]) for row in rows_of(tmp_path)}
    assert found == {
        "old 0": (GOOD, None),
        "old 1": (None, "the API failed: 400 bad picture ***"),
        "old 2": (GOOD, None),
    }
    assert_no_key(tmp_path)


@pytest.mark.usefixtures("without_videos")
def test_a_slow_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client._captions.api.RETRIES", 0)
    never = threading.Event()
    with chat_server(lambda _, number: Reply(GOOD, wait=None if number else never)) as server:
        assert command.main(arguments(server, tmp_path, 2, "--in-flight", 1, "--timeout", 0.5)) == 1
        never.set()
    errors = [row["error"] for row in rows_of(tmp_path)]
    assert errors == ["there was no answer within 0.5 s", None]


@pytest.mark.usefixtures("without_videos")
def test_a_budget_of_tokens_holds_for_all_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with chat_server(always(GOOD)) as server:
        budget = ("--in-flight", 1, "--max-cost-tokens", 5 * TOKENS)
        assert command.main(arguments(server, tmp_path, 20, *budget)) == 1
        assert server.count() == 5
        err = capfd.readouterr().err
        assert "stopped: 50 tokens used, --max-cost-tokens is 50\n" in err
        assert "5 of 20 videos, 0 failed; 50 tokens; raise --max-cost-tokens to go on\n" in err
        assert command.main(arguments(server, tmp_path, 20, *budget)) == 1
        assert server.count() == 5
        assert command.main(arguments(server, tmp_path, 20, "--max-cost-tokens", 1000)) == 0
    assert len(rows_of(tmp_path)) == 20


@pytest.mark.usefixtures("without_videos")
def test_a_video_that_is_in_the_table_twice_is_asked_for_once(tmp_path: Path) -> None:
    with chat_server(always(GOOD)) as server:
        line = arguments(server, tmp_path, 3)
        content = parquet.read_table(tmp_path / "kept.parquet")
        parquet.write_table(pa.concat_tables([content] * 2), tmp_path / "kept.parquet")
        assert command.main([*line, "--in-flight", "6"]) == 0
        assert server.count() == 3
    assert len(rows_of(tmp_path)) == 3


def test_ctrl_c_writes_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun: list[str] = []

    def pictures(row: dict[str, Any], *_: object) -> list[bytes]:
        begun.append(row["video"])
        if len(begun) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return [b"picture"]

    monkeypatch.setattr(command, "pictures_of", pictures)
    with chat_server(always(GOOD)) as server:
        line = arguments(server, tmp_path, 30, "--in-flight", 2)
        assert command.main(line) == 130
        count = len(rows_of(tmp_path))
        assert 3 <= count == len(begun) <= 5  # what was in flight came
        said = f"{count} of 30 videos, 0 failed; {count * TOKENS} tokens; run the same command again to resume\n"
        assert said in capfd.readouterr().err
        assert command.main(line) == 0
    assert len(begun) == len(set(begun)) == len(rows_of(tmp_path)) == 30


def killed_and_resumed(directory: Path, count: int, kills: int) -> None:
    """Kill a run so often, then let one end: every video is there once, whatever the server did."""

    def reply(request: Request, number: int) -> Reply:
        trouble = {
            5: Reply(status=429, headers=SOON),
            6: Reply(status=500, headers=SOON),
            7: Reply(cut=True),
            8: Reply("A WRONG ANSWER"),
            9: Reply(body=b"["),
        }
        return trouble.get(
            number % 40, Reply(f"a dog, {prompt_of(request).partition('is: ')[2].partition(chr(10))[0]}")
        )

    with chat_server(reply) as server:
        line = arguments(server, directory, count, "--in-flight", 16)
        said: list[str] = []
        for number in range(kills + 1):
            process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *line],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            if number < kills:
                wanted = server.count() + count // (kills + 2)
                wait_for(partial(server.has, wanted), seconds=60)
                assert process.poll() is None
                process.kill()
            said += process.communicate(timeout=120)
        assert process.returncode == 0, said[-1]
        asked = Counter(prompt_of(request) for request in server.requests)
    rows = rows_of(directory)
    assert Counter(row["caption"] for row in rows) == Counter(f"old {index}" for index in range(count))
    assert all(row["recaption"] == f"a dog, {row['caption']}" for row in rows)
    assert len(asked) == count
    # What was answered before a kill is not asked again: only trouble and what was in flight is.
    assert sum(asked.values()) < count * 1.3 + 16 * kills
    assert_no_key(directory, *said)


@pytest.mark.slow
def test_a_run_that_was_killed_resumes(tmp_path: Path) -> None:
    killed_and_resumed(tmp_path, 40, 1)


@pytest.mark.slow
def test_500_videos_killed_twice_are_each_there_once(tmp_path: Path) -> None:
    killed_and_resumed(tmp_path, 500, 2)


@pytest.mark.usefixtures("without_videos")
def test_a_table_is_not_resumed_with_other_terms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with chat_server(always(GOOD)) as server:
        line = arguments(server, tmp_path, 1)
        assert command.main(line) == 0
        assert command.main([*line, "--model", "other", "--frames", "5"]) == 1
        assert "was begun with another model and frames: choose another name for the output" in capfd.readouterr().err
        prompt = tmp_path / "prompt.txt"
        prompt.write_text("say something")
        assert command.main([*line, "--prompt", str(prompt)]) == 1
        assert "was begun with another prompt" in capfd.readouterr().err
        other = tmp_path / "other.csv"
        other.write_text((tmp_path / "old.csv").read_text().replace("caption", "title"))
        assert command.main([*line, "--texts", str(other), "--caption", "title"]) == 1
        assert "was begun with another list of captions and column of captions: choose" in capfd.readouterr().err
        elsewhere = (tmp_path / "elsewhere.parquet").absolute()
        elsewhere.write_bytes((tmp_path / "kept.parquet").read_bytes())
        assert command.main([str(elsewhere), *line[1:]]) == 1
        assert "was begun with another table: choose" in capfd.readouterr().err
        (tmp_path / "captions.parquet.journal").unlink()
        assert command.main(line) == 1
        assert "exists, but captions.parquet.journal does not: choose another name" in capfd.readouterr().err
        assert server.count() == 1


@pytest.mark.usefixtures("without_videos")
def test_lines_of_the_output(tmp_path: Path) -> None:
    with chat_server(always(GOOD)) as server:
        line = [*arguments(server, tmp_path, 2), "--output", str(tmp_path / "captions.jsonl")]
        assert command.main(line) == 0
    rows = [json.loads(text) for text in (tmp_path / "captions.jsonl").read_text().splitlines()]
    assert sorted(row["caption"] for row in rows) == ["old 0", "old 1"]
    assert {row["recaption"] for row in rows} == {GOOD}


@pytest.mark.usefixtures("without_videos")
def test_a_column_of_the_table_has_the_older_caption(tmp_path: Path) -> None:
    path = table(tmp_path, 2)
    content = parquet.read_table(path)
    parquet.write_table(content.append_column("alt", [["one", None]]), path)
    with chat_server(always(GOOD)) as server:
        line = ["--api", server.url, "--model", "m", "--output", tmp_path / "captions.parquet", "--caption", "alt"]
        assert command.main([str(path), *map(str, line)]) == 0
        prompts = sorted(prompt_of(request) for request in server.requests)
    assert "An older caption of the video is: one" in prompts[0] + prompts[1]
    assert sum("older caption of" in prompt for prompt in prompts) == 1


@pytest.mark.usefixtures("without_videos")
def test_a_column_that_is_nowhere_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path, 1)
    parquet.write_table(parquet.read_table(path).append_column("title", [["one"]]), path)
    with chat_server(always(GOOD)) as server:
        line = [str(path), "--api", server.url, "--model", "m", "--output", str(tmp_path / "captions.parquet")]
        assert command.main([*line, "--caption", "titel"]) == 1
        assert f"{path} has no column titel (it has title): name another one, or a list" in capfd.readouterr().err
        assert server.count() == 0
        assert not (tmp_path / "captions.parquet").exists()
        assert command.main(line) == 0  # without the option, no older caption is needed


@pytest.mark.usefixtures("without_videos")
def test_lines_that_kept_a_caption_have_it(tmp_path: Path) -> None:
    row = {"video": "a.mp4", "kept": {"alt": "old"}, "camera": [], "info": {}}
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n")
    with chat_server(always(GOOD)) as server:
        line = ["--api", server.url, "--model", "m", "--output", tmp_path / "captions.parquet", "--caption", "alt"]
        assert command.main([str(tmp_path / "s.jsonl"), *map(str, line)]) == 0
        assert "An older caption of the video is: old" in prompt_of(server.requests[0])


@pytest.mark.usefixtures("without_videos")
def test_what_a_first_pass_skipped_gets_no_caption(tmp_path: Path) -> None:
    """It was not scored, and so it is no video to train on."""
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 2.5, 0.1)] * 2, skipped=["black", None])
    with chat_server(always(GOOD)) as server:
        line = ["--api", server.url, "--model", "m", "--output", tmp_path / "captions.parquet"]
        assert command.main([str(scores), *map(str, line)]) == 0
        assert server.count() == 1
    assert [row["video"] for row in rows_of(tmp_path)] == ["videos/0000001.mp4"]


def test_a_failure_names_the_part(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    parts = [(0.0, 2.0), (2.0, None), (None, None)]
    path = write_scores(tmp_path / "p.parquet", [(1.0, 1.0, 0.1)] * 3, videos=["a.mp4"] * 3, parts=parts)
    with chat_server(always(GOOD)) as server:
        line = [str(path), "--api", server.url, "--model", "m", "--output", str(tmp_path / "captions.parquet")]
        assert command.main(line) == 1
    err = capfd.readouterr().err
    for name in ("a.mp4, 0 to 2 s", "a.mp4, from 2 s", "a.mp4"):
        assert f"{name}: the file was not found\n" in err


def test_a_template_leaves_out_what_a_video_does_not_have(tmp_path: Path) -> None:
    template = "{frames} frames\nold: {caption}\nmoves: {motion}\nat most {words}, {other}"
    options: dict[str, Any] = {"frames": 3, "words": 9}
    assert (
        fill(template, caption="{motion} x", motion=None, **options) == "3 frames\nold: {motion} x\nat most 9, {other}"
    )
    assert fill(template, caption=None, motion="pans", **options) == "3 frames\nmoves: pans\nat most 9, {other}"
    text = read_template(None)
    assert all(f"{{{name}}}" in text for name in ("caption", "motion", "frames", "words"))
    for wanted in ("more visual detail", "lower case", "only what is visible", "English"):
        assert wanted in text


def test_the_rules() -> None:
    assert broken_rules("a café in kraków, at 5 o'clock", 100) == []
    assert broken_rules("a " * 100, 100) == []
    assert cleaned('"a dog"') == "a dog"
    assert cleaned("“a\n dog”") == "a dog"
    assert cleaned('"') == '"'


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--api", "localhost:8000"], "--api must be an address that begins with http:// or https://"),
        (["--frames", "0"], "--frames is 0, it must be from 1 to 64"),
        (["--max-cost-tokens", "0"], "--max-cost-tokens is 0, it must be at least 1"),
        (["--timeout", "0"], "--timeout is 0, it must be above 0"),
        (["--output", "a.csv"], "--output a.csv must end in .parquet or .jsonl"),
        (["--output", "kept.parquet"], "--output and the table are the same file"),
        (["--texts", "b.parquet"], "--output and --texts are the same file"),
        (["--output", "none/b.parquet"], "--output none/b.parquet: there is no folder none"),
        (["--key-variable", "NOT_SET"], "--key-variable NOT_SET: the environment has no such variable, or it is empty"),
    ],
)
def test_a_wrong_command_line_is_refused(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = ["kept.parquet", "--api", "http://localhost/v1", "--model", "m", "--output", "b.parquet"]
    with pytest.raises(SystemExit) as raised:
        command.main([*fixed, *options])
    assert raised.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_prompt_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = ["--api", "http://localhost/v1", "--model", "m", "--output", str(tmp_path / "b.parquet")]
    assert command.main([str(table(tmp_path, 1)), *fixed, "--prompt", str(tmp_path / "none.txt")]) == 1
    assert f"cannot read {tmp_path}/none.txt: No such file" in capsys.readouterr().err
    (tmp_path / "unknown.txt").write_text('Say {caption}, {frame} and {"a": 1}')
    assert command.main([str(table(tmp_path, 1)), *fixed, "--prompt", str(tmp_path / "unknown.txt")]) == 1
    said = "unknown.txt has {frame}, which stands for nothing: there are {caption}, {motion}, {frames}, {words}"
    assert said in capsys.readouterr().err
    (tmp_path / "json.txt").write_text('Answer {"a": 1} in {words} words')
    assert read_template(tmp_path / "json.txt")
    (tmp_path / "empty.txt").write_text(" \n")
    assert command.main([str(table(tmp_path, 1)), *fixed, "--prompt", str(tmp_path / "empty.txt")]) == 1
    assert "empty.txt is empty" in capsys.readouterr().err

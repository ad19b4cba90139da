"""The command `annotate`: the page's logic in node, the page in Chromium, the file of answers, and the comparison."""

import csv
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from client._annotate.agreement import agreement
from client._annotate.pool import pool_of
from client._annotate.server import AnnotationServer
from client._annotate.store import Store
from client._commands import learn as learn_command
from client._commands.annotate import main
from client._learn import figures
from client._learn.answers import Part, read_answers
from client._tables.table import read_metadata
from export.random_weights import CAMERA_LABELS
from fixtures.browser import Browser
from fixtures.score_tables import write_scores
from fixtures.synthetic import encode
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent
SCRIPT = Path(__file__).with_name("annotate_in_node.js")
NASTY = '</script><script>document.title = "taken"</script>, "q".mp4'
ROWS = 60


def node(task: str, **content: object) -> Any:
    path = shutil.which("node")
    if path is None:
        if os.environ.get("CI") or os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("node not found: apt-get install nodejs")
        pytest.skip("node not found: apt-get install nodejs")
    given = json.dumps({"task": task, **content})
    result = subprocess.run([path, SCRIPT], input=given, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty scored videos, of which two files exist, and a failed one; parts of videos, and a name that is nasty."""
    folder = tmp_path_factory.mktemp("annotate")
    (folder / "a.mp4").write_bytes(encode(40, width=192, height=108))
    (folder / "b.mp4").write_bytes(encode(40, width=96, height=160))
    generator = np.random.default_rng(2)
    rows: list[tuple[float, float, float] | str] = [
        (float(a), float(b), float(c)) for a, b, c in generator.uniform(0, 3, (ROWS, 3))
    ]
    names = [{0: "a.mp4", 1: "b.mp4"}.get(index % 10, "gone.mp4") for index in range(ROWS)]
    names[2] = NASTY
    parts: list[tuple[float | None, float | None]] = [(index / 40, 1.5 + index / 40) for index in range(ROWS)]
    parts[0] = (None, None)
    return write_scores(
        folder / "the scores.parquet",
        [*rows, "the file is empty"],
        videos=[*names, "c.mp4"],
        parts=[*parts, (0.0, 1.0)],
    )


# The order.


def cloud(count: int, seed: int) -> tuple[list[dict[str, list[float]]], list[bool]]:
    """Rows of four features; good is a linear rule of two, which one in four fulfils."""
    points = np.random.default_rng(seed).normal(size=(count, 4))
    good = points[:, 0] + points[:, 1] > 1.0
    return [{"features": [float(value) for value in point]} for point in points], [bool(value) for value in good]


@pytest.mark.heavy
def test_after_ten_answers_the_uncertain_and_varied_come_first() -> None:
    rows, good = cloud(300, 1)
    found = node("ask", rows=rows, good=good, count=40)
    asked = found["asked"]
    assert asked[:10] == list(range(10))  # random, as the pool is
    assert len(set(asked)) == 40
    points = np.array([row["features"] for row in rows])
    margin = np.abs(points[:, 0] + points[:, 1] - 1.0)
    assert np.median(margin[asked[12:]]) < 0.6 * np.median(margin)
    # Varied: not all in one place.
    chosen = points[asked[10:]]
    apart = [np.sort(np.linalg.norm(chosen - point, axis=1))[1] for point in chosen]
    closest = points[np.argsort(margin)[:30]]
    apart_closest = [np.sort(np.linalg.norm(closest - point, axis=1))[1] for point in closest]
    assert np.median(apart) > np.median(apart_closest)


@pytest.mark.heavy
def test_the_order_teaches_more_than_chance() -> None:
    better = []
    for seed in range(3):
        rows, good = cloud(300, seed)
        accuracy = []
        for answered in (None, [[row, good[row]] for row in range(30)]):
            found = node("ask", rows=rows, good=good, count=30 if answered is None else 0, answered=answered)
            said = np.array(found["said"]) > 0.5
            accuracy.append(float((said == np.array(good)).mean()))
        better.append(accuracy[0] - accuracy[1])
    assert np.mean(better) > 0.01


def test_as_long_as_all_answers_are_the_same_the_most_unlike_comes_first() -> None:
    rows = [{"features": [0.0, index / 100]} for index in range(12)] + [
        {"features": [9.0, 9.0]},
        {"features": [3.0, 3.0]},
    ]
    assert node("ask", rows=rows, good=[True] * 14, count=12)["asked"][10:] == [12, 13]


def test_undo_skip_and_take_up() -> None:
    rows: list[dict[str, list[float]]] = [{"features": []} for _ in range(4)]
    steps = ["yes", "undo", "no", "skip", "yes", "undo", "undo", "yes", "undo", "undo", "undo", [[0, True], [2, False]]]
    found = node("steps", rows=rows, steps=[*steps, "yes", "skip", "skip", "yes", "yes"])
    assert [step["current"] for step in found[:12]] == [1, 0, 1, 2, 3, 2, 1, 2, 1, 0, 0, 1]
    assert found[8]["list"] == [[0, False]]
    assert [step["did"] for step in found[8:11]] == [True, True, False]  # nothing is left to undo
    assert found[10]["list"] == []
    assert found[12]["list"] == [[0, True], [2, False], [1, True]]
    assert [step["current"] for step in found[12:]] == [3, 3, 3, None, None]  # what was put off comes round again
    assert found[-1]["list"] == [[0, True], [2, False], [1, True], [3, True]]


# Files of answers.

CONTENT = {
    "columns": ["video", "answer", "start_seconds", "end_seconds", "annotator"],
    "annotator": "ann",
    "rows": [
        {"video": NASTY, "part": [None, None]},
        {"video": "line\nbreak.mp4", "part": [0.1, 2.5]},
        {"video": "c.mp4", "part": [None, 1e-7]},
    ],
}
EXPORTED: list[list[Any]] = [[2, True], [0, False], [1, True]]


@pytest.mark.heavy
def test_what_the_page_exports_is_what_learn_reads_and_what_the_page_takes_up(tmp_path: Path) -> None:
    text = node("write", content=CONTENT, answers=EXPORTED)
    (tmp_path / "a.csv").write_text(text)
    assert [(answer.part, answer.keep, answer.annotator) for answer in read_answers(tmp_path / "a.csv")] == [
        (("c.mp4", None, 1e-7), True, "ann"),
        ((NASTY, None, None), False, "ann"),
        (("line\nbreak.mp4", 0.1, 2.5), True, "ann"),
    ]
    assert node("read", content=CONTENT, text=text) == {"answers": EXPORTED, "unknown": 0}
    # And what Python writes.
    parts: list[Part] = [("c.mp4", None, 1e-7), (NASTY, None, None), ("line\nbreak.mp4", 0.1, 2.5)]
    Store(tmp_path / "b.csv", "ann", parts).save([(0, True), (1, False), (2, True)])
    assert (tmp_path / "b.csv").read_text().count(",ann\n") == 3
    assert node("read", content=CONTENT, text=(tmp_path / "b.csv").read_text())["answers"] == EXPORTED


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("answer,video\r\nKeep,c.mp4\r\n", {"answers": [], "unknown": 1}),
        (
            "video,answer,end_seconds,annotator\nc.mp4,1,1e-7,bob\nc.mp4,0,1e-7,\n",
            {"answers": [[2, False]], "unknown": 0},
        ),
        ("\ufeffvideo,answer,end_seconds\nc.mp4,no,1e-7\nc.mp4,yes,1e-7", {"answers": [[2, True]], "unknown": 0}),
        ("video,label\nc.mp4,yes\n", {"error": 'It is not a file of answers: it has no column "answer".'}),
        ("", {"error": 'It is not a file of answers: it has no column "video".'}),
        ("video,answer\nc.mp4,maybe\n", {"error": 'Answer 1 is "maybe", it must be yes or no.'}),
    ],
)
def test_the_page_takes_up_what_learn_takes_and_refuses_the_rest(text: str, answer: dict[str, Any]) -> None:
    assert node("read", content=CONTENT, text=text) == answer


def test_the_file_keeps_what_others_said(tmp_path: Path) -> None:
    path = tmp_path / "annotations.csv"
    path.write_text("video,answer,annotator\na.mp4,yes,bob\na.mp4,yes,ann\nold.mp4,no,ann\nb.mp4,no,\nc.mp4,no,\n")
    store = Store(path, "ann", [("a.mp4", None, None), ("b.mp4", None, None)])
    own = {"a.mp4": True, "old.mp4": False, "b.mp4": False, "c.mp4": False}  # without a name, too
    assert store.answered() == {(video, None, None): keep for video, keep in own.items()}
    store.save([(1, True), (0, False)])
    store.save([(1, True)])  # the last one was undone
    with path.open() as file:
        rows = [(row["video"], row["answer"], row["annotator"]) for row in csv.DictReader(file)]
    kept = [("a.mp4", "yes", "bob"), ("old.mp4", "no", "ann"), ("c.mp4", "no", "ann")]
    assert rows == [*kept, ("b.mp4", "yes", "ann")]
    wrong: list[Any] = [(2, True), (-1, True), (True, True), (0, 1)]
    for answer in wrong:
        with pytest.raises(ValueError, match="is no answer"):
            store.save([answer])


# What is asked about.


@pytest.mark.heavy
def test_the_pool_is_what_was_answered_and_a_random_sample_of_the_rest(table: Path) -> None:
    metadata = read_metadata(table)
    known = [("b.mp4", 1 / 40, 1.5 + 1 / 40), ("a.mp4", None, None)]
    pool = pool_of(table, metadata, known, 20, 0)
    assert sorted(pool.parts[:2], key=str) == sorted(known, key=str)
    assert (len(pool.parts), len(set(pool.parts)), pool.not_sampled) == (22, 22, ROWS - 22)
    assert pool.parts != pool_of(table, metadata, known, 20, 1).parts
    assert pool.parts == pool_of(table, metadata, known, 20, 0).parts
    assert "c.mp4" not in {video for video, _, _ in pool.parts}  # it has no scores
    everything = pool_of(table, metadata, (), 5000, 0)
    assert (len(everything.parts), everything.not_sampled) == (ROWS, 0)
    assert np.allclose(everything.features.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(everything.features.std(axis=0), 1, atol=1e-3)
    shown = zip(everything.parts, everything.segments, strict=True)
    assert {part[0] for part, segment in shown if segment is not None} == {"a.mp4", "b.mp4"}


def test_the_order_sees_scores_measures_and_labels_alike(tmp_path: Path) -> None:
    """Not how long or large a video is; and many labels do not count for more than three scores."""
    generator = np.random.default_rng(3)
    scores = [(float(a), float(b), float(c)) for a, b, c in generator.uniform(0, 3, (50, 3))]
    shown: list[list[tuple[float, float, list[str]]]] = [
        [(0.0, 2.0, [label for label in CAMERA_LABELS if generator.random() < 0.3])] for _ in scores
    ]
    measures: list[dict[str, float | None]] = [
        {"sharpness": float(value), "brightness": float(value) ** 2} for value in generator.uniform(1, 9, 50)
    ]
    plain = write_scores(tmp_path / "s.parquet", scores, clips=shown)
    content = parquet.read_table(plain)
    for name in ("duration_seconds", "frames", "width"):
        place = content.schema.get_field_index(name)
        values = pa.array(generator.integers(1, 1000, 50)).cast(content.schema.field(name).type)
        content = content.set_column(place, content.schema.field(name), values)
    parquet.write_table(content, plain)
    found = pool_of(plain, read_metadata(plain), (), 50, 0).features
    assert found.shape == (50, 3 + len(CAMERA_LABELS))
    assert np.allclose(found.std(axis=0)[:3], 1, atol=1e-3)
    assert (found[:, 3:] ** 2).sum() == pytest.approx((found[:, :3] ** 2).sum(), rel=1e-3)
    measured = write_scores(tmp_path / "m.parquet", scores, clips=shown, measures=measures)
    found = pool_of(measured, read_metadata(measured), (), 50, 0).features
    assert found.shape == (50, 3 + 2 + len(CAMERA_LABELS))
    sums = [(part**2).sum() for part in (found[:, :3], found[:, 3:5], found[:, 5:])]
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-3)


@pytest.mark.heavy
def test_the_order_teaches_more_than_chance_where_a_table_has_no_measures(tmp_path: Path) -> None:
    better = []
    for seed in range(4):
        generator = np.random.default_rng(seed)
        scores = [(float(a), float(b), float(c)) for a, b, c in generator.uniform(0, 3, (300, 3))]
        labels = [str(CAMERA_LABELS[index]) for index in generator.integers(0, len(CAMERA_LABELS), 300)]
        table = write_scores(tmp_path / f"{seed}.parquet", scores, clips=[[(0.0, 2.0, [label])] for label in labels])
        pool = pool_of(table, read_metadata(table), (), 300, seed)
        good = [bool(scores[int(part[0][7:14])][0] + scores[int(part[0][7:14])][1] > 4) for part in pool.parts]
        rows = [{"features": [float(value) for value in features]} for features in pool.features]
        accuracy = []
        for answered in (None, [[row, good[row]] for row in range(40)]):
            found = node("ask", rows=rows, good=good, count=40 if answered is None else 0, answered=answered)
            accuracy.append(float(((np.array(found["said"]) > 0.5) == np.array(good)).mean()))
        better.append(accuracy[0] - accuracy[1])
    assert np.mean(better) > 0.01


@pytest.mark.heavy
def test_each_row_is_as_probable(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)] * 20)
    metadata = read_metadata(scores)
    seen = np.zeros(20)
    for seed in range(150):
        for video, _, _ in pool_of(scores, metadata, (), 5, seed).parts:
            seen[int(video[7:14])] += 1
    assert seen.sum() == 750
    assert 15 < seen.min() <= seen.max() < 65  # 37.5 are expected


# The page.


def press(window: Browser, *keys: str) -> None:
    ActionChains(window.driver).send_keys(*keys).perform()


class Served:
    """The page, served by this process."""

    def __init__(self, page: str, store: Store) -> None:
        self.server = AnnotationServer(page, store)
        self.thread = threading.Thread(target=self.server.serve)
        self.thread.start()

    def close(self) -> None:
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


def open_served(window: Browser, url: str, width: int) -> None:
    device = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    window.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    window.driver.get(url)
    window.wait_for("document.documentElement.dataset.ready === 'true'")


def served_command(*arguments: object) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "client", "annotate", *map(str, arguments), "--no-open"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("the page is at "):
            return process, line.split()[4].rstrip(";")
    raise AssertionError(process.communicate())


@pytest.mark.heavy
@pytest.mark.parametrize("width", [1280, pytest.param(400, marks=pytest.mark.slow)])
def test_fifty_answers_by_keyboard_are_saved_and_learned_from(
    width: int, window: Browser, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = tmp_path / "annotations.csv"
    process, url = served_command(table, "--output", answers, "--annotator", "ann")
    try:
        open_served(window, url, width)
        assert window.run("return document.documentElement.scrollWidth") == width
        asked = []
        for index in range(12):
            asked.append(window.find("#name").get_attribute("title"))
            press(window, ("n", "y", Keys.ARROW_RIGHT)[index % 3])
        press(window, *(("n", "y", Keys.ARROW_RIGHT)[index % 3] for index in range(12, 50)))
        press(window, "u", "U", "n", "s", "y")
        window.wait_for("document.getElementById('counts').textContent === '50 of 60 answered'")
        wait_for(lambda: [answer.keep for answer in read_answers(answers)][48:] == [False, True])
        window.wait_for("document.getElementById('status').textContent === 'Saved in annotations.csv'")
        saved = read_answers(answers)
        assert [answer.part[0] for answer in saved[:12]] == asked
        assert [answer.keep for answer in saved[:48]] == [index % 3 != 0 for index in range(48)]
        assert {answer.annotator for answer in saved} == {"ann"}
        assert NASTY in window.run(
            "return JSON.parse(document.getElementById('content').textContent).rows.map((r) => r.video)"
        )
        assert window.run("return document.title") == "Yes or no"
        window.click("#finish")
        out, _ = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, f"{answers}: 50 answers of ann\n")
        assert window.errors() == []
    finally:
        process.kill()
    # Taken up again: the ten that are left are asked, and learned from.
    process, url = served_command(table, "--output", answers, "--annotator", "ann", "--videos", "60")
    try:
        open_served(window, url, width)
        assert window.find("#counts").text == "50 of 60 answered"
        press(window, *"yyyyyyyyyy")
        window.wait_for("!document.getElementById('done').hidden")
        wait_for(lambda: len(read_answers(answers)) == 60)
        assert f"--annotations {answers} --output filter.json" in window.find("#learn-command").text
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert window.errors() == []
    finally:
        process.kill()
        process.communicate()
    monkeypatch.setattr(figures, "RESAMPLES", 40)
    learn = [str(table), "--annotations", str(answers), "--output", str(tmp_path / "filter.json")]
    assert learn_command.main(learn) == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_alone_keeps_exports_and_takes_up(
    width: int, window: Browser, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    arguments = [str(table), "--output", str(tmp_path / "bob.csv"), "--annotator", "bob", "--page", str(page)]
    assert main([*arguments, "--videos", "30", "--question", "Sharp <b>?"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{page}: 30 videos, ")
    assert "of 30 videos have no preview: not found or not decoded" in err
    assert not (tmp_path / "bob.csv").exists()
    window.open(page, width=width)
    window.errors()  # of the page before
    assert window.find("#question").text == "Sharp <b>?"
    assert window.run("return performance.getEntriesByType('resource').map((e) => e.name)") == []
    outside = """
        return [...document.querySelectorAll("body *")].filter((element) => {
            const { left, right, width } = element.getBoundingClientRect();
            return width && (left < -1 || right > innerWidth + 1);
        }).map((element) => element.outerHTML.slice(0, 90));
    """
    assert window.run(outside) == []
    # Previews play, and a missing one says why.
    size = "const p = document.getElementById('player'); return [p.videoWidth, p.videoHeight]"
    seen: set[Any] = set()
    for _ in range(90):
        if window.run("return document.getElementById('player').hidden"):
            seen.add(window.find("#reason").text)
        else:
            window.wait_for("document.getElementById('player').readyState >= 2")
            seen.add(tuple(window.run(size)))
        if len(seen) == 3:
            break
        window.click("#skip")
    assert seen == {(192, 108), (96, 160), "There is no preview: the file was not found."}
    window.click("#yes")
    window.click("#no")
    window.click("#undo")
    assert window.find("#counts").text == "1 of 30 answered"
    window.open(page, width=width)  # kept in the browser
    assert window.find("#counts").text == "1 of 30 answered"
    window.click("#export")
    (tmp_path / "other.csv").write_text(f"video,answer,annotator\na.mp4,yes,ann\n{'x.mp4'},no,bob\n")
    window.find("#import").send_keys(str(tmp_path / "other.csv"))
    window.wait_for("document.getElementById('taken').textContent")
    assert window.find("#taken").text == "Took up 0 answers. 1 answer about videos that are not asked about."
    assert window.find("#finish").is_displayed() is False
    assert window.errors() == []
    window.run("localStorage.clear()")


# The server.


def test_the_server_answers_its_page_alone_and_says_what_is_wrong(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.csv", "ann", [("a.mp4", None, None)])
    served = Served("<p>page</p>", store)

    def ask(path: str, body: bytes | None = None, host: str | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(path, body, {"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    try:
        url = served.server.url
        root = url.rsplit("/", 2)[0]
        assert ask(url) == (200, b"<p>page</p>")
        assert ask(f"{root}/") == (404, b"not found")
        assert ask(f"{root}/guess/answers", b"[]")[0] == 404
        assert ask(f"{url}answers", b"[[0, true]]", host="evil.example:80") == (404, b"not found")
        assert not store.path.exists()
        assert ask(f"{url}answers", b"[[0, true]]") == (204, b"")
        assert [answer.keep for answer in read_answers(store.path)] == [True]
        assert ask(f"{url}answers", b"[[7, true]]") == (400, b"these are no answers: [7, True] is no answer")
        assert ask(f"{url}answers", b"nonsense")[0] == 400
        connection = http.client.HTTPConnection(url.split("/")[2], timeout=10)
        connection.putrequest("POST", f"/{url.split('/')[3]}/answers")
        connection.putheader("Content-Length", str(1 << 30))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
        store.path.unlink()
        store.path.mkdir()
        assert ask(f"{url}answers", b"[[0, true]]") == (500, f"cannot write {store.path}: Is a directory".encode())
        assert served.server.problem == f"cannot write {store.path}: Is a directory"
        assert ask(f"{url}finish", b"") == (204, b"")
        served.thread.join(10)
        assert not served.thread.is_alive()
    finally:
        served.close()


# Two people.


def test_kappa_is_that_of_the_definition() -> None:
    """Cohen's own formula on a 2 x 2 table: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no has kappa 0.4."""
    pairs = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    first: dict[Part, bool] = {(str(index), None, None): a for index, (a, _) in enumerate(pairs)}
    second: dict[Part, bool] = {(str(index), None, None): b for index, (_, b) in enumerate(pairs)}
    found = agreement(first | {("x", None, None): True}, second)
    assert (found.both, found.only_first, found.only_second, found.agreed) == (50, 1, 0, 0.7)
    assert found.kappa == pytest.approx(0.4)
    half = 1.959964 * np.sqrt(0.7 * 0.3 / 50) / 0.5
    assert (found.low, found.high) == pytest.approx((0.4 - half, 0.4 + half))
    assert len(found.disputed) == 15
    same = agreement(dict.fromkeys(first, True), dict.fromkeys(first, True))
    assert (same.agreed, same.kappa) == (1.0, None)
    assert agreement(first, {}).kappa is None


def test_two_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "ann.csv", tmp_path / "bob.csv"
    first.write_text("video,answer,start_seconds\na,yes,\nb,no,1\nc,no,\nd,yes,\n")
    second.write_text("video,answer,start_seconds\na,yes,\nb,yes,1.0\nc,no,\ne,yes,\n")
    assert main(["--compare", str(first), str(second), "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["both"], content["only_first"], content["only_second"]) == (3, 1, 1)
    assert content["kappa"] == pytest.approx(0.4)
    assert content["disputed"] == [["b", 1.0, None]]
    assert main(["--compare", str(first), str(second), "--format", "table"]) == 0
    out = capsys.readouterr().out
    assert "same answer      66.7%" in out
    assert "  differ: b, 1 s to the end" in out
    second.write_text("video,answer\nz,yes\n")
    assert main(["--compare", str(first), str(second), "--format", "table"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{first} and {second} have 4 and 1 answers, and none about the same part of a video\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a table of scores and --output FILE, or --compare FILE FILE"),
        (["s.parquet"], "give a table of scores and --output FILE"),
        (["s.parquet", "--output", "a.txt"], "--output a.txt must end in .csv"),
        (["s.parquet", "--output", "a.csv", "--page", "p"], "--page p must end in .html"),
        (["s.parquet", "--output", "a.csv", "--videos", "0"], "0 is not between 1 and 5000"),
        (["s.parquet", "--compare", "a.csv", "b.csv"], "--compare FILE FILE takes neither a table nor"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.heavy
def test_a_table_without_scores_or_an_unreadable_file_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = write_scores(tmp_path / "s.parquet", ["the file is empty"])
    assert main([str(scores), "--output", str(tmp_path / "a.csv")]) == 1
    assert capsys.readouterr().err == f"{scores} has no scored video that was not answered\n"
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)])
    assert main([str(scores), "--output", str(tmp_path / "a.csv"), "--page", str(tmp_path / "no" / "p.html")]) == 1
    assert f"cannot write {tmp_path / 'no' / 'p.html'}: No such file or directory\n" in capsys.readouterr().err
    (tmp_path / "a.csv").write_text("video\nx\n")
    assert main([str(scores), "--output", str(tmp_path / "a.csv")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'a.csv'} is not a file of answers: it has no column 'answer'\n"

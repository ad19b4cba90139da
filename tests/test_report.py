"""The report page in headless Chromium, compared with the command `filter`; and its contents."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

from client._commands.filter import main as filter_main
from client._commands.report import main
from client._report.examples import NearestRows
from client._report.previews import Segment, make_previews, middle
from client._report.write import _label_bits, write_report
from client._tables.presets import PRESETS
from client._tables.table import Metadata, read_table
from client._tables.verdicts import ALL_PRESETS
from fixtures.browser import Browser
from fixtures.score_tables import METADATA, write_realistic_scores, write_scores
from fixtures.synthetic import encode, encode_audio

pytestmark = pytest.mark.heavy

NASTY = "</script><script>document.title = 'taken'</script><img src=x onerror=alert(1)>.mp4"
MEASURED = ("mean_rgb_diff", "mean_velocity", "cuts", "brightness", "black_share", "frozen_share", "letterbox")
EDGES = tuple(
    float(edge)
    for cutoff in (0.4, 0.5, 1.0, 2.5)
    for at in [np.float32(cutoff)]
    for edge in (np.nextafter(at, np.float32(-9)), at, np.nextafter(at, np.float32(9)))
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores on and around every cut-off, and random ones; some videos exist, one is broken, others are missing."""
    directory = tmp_path_factory.mktemp("report")
    for name, video in {
        "wide.mp4": encode(40, width=192, height=108),
        "tall.mkv": encode(40, width=96, height=160, container="matroska"),
        "broken.mp4": encode(40)[:2000],
    }.items():
        (directory / name).write_bytes(video)
    random = np.random.default_rng(5)
    edges = random.choice(EDGES, (1500, 3))
    anywhere = random.uniform(0, 3, (1500, 3))
    rows = [(float(a), float(b), float(c)) for a, b, c in np.concatenate([edges, anywhere])]
    names = ("wide.mp4", "tall.mkv", "broken.mp4", "gone.mp4", NASTY)
    return write_scores(
        directory / "the scores.parquet",
        [*rows, "the video has no video stream", "the file is empty"],
        videos=[names[index % len(names)] for index in range(3002)],
        clips=[
            [(0.0, 2.0, ["pan_left"]), (2.0, 4.0, ["pan_left"] if index % 2 else ["static", "pov"])]
            for index in range(3002)
        ],
    )


@pytest.fixture(scope="module")
def page(table: Path) -> Path:
    write_report(table, table.with_name("report.html"))
    return table.with_name("report.html")


def filter_counts(window: Browser, directory: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the filter prints, run with the command line that the page shows."""
    words = shlex.split(window.find("#filter-command").text)
    assert words[:2] == ["video-motion", "filter"]
    capsys.readouterr()
    arguments = [str(directory / word) if word.endswith(".txt") else word for word in words[2:]]
    assert filter_main(arguments) == 0
    return json.loads(capsys.readouterr().out)


def check_counts(window: Browser, directory: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    counts = filter_counts(window, directory, capsys)
    assert len((directory / "failed.txt").read_text().splitlines()) == counts["failed"] > 0
    shown = {what: window.count(what) for what in ("kept", "dropped", "failed", *PRESETS)}
    assert {what: counts[what] for what in ("kept", "dropped", "failed")} == {
        what: shown[what] for what in ("kept", "dropped", "failed")
    }
    for name, number in counts["dropped_by"].items():
        assert shown[name] == number
    return counts


def test_counts_are_those_of_the_filter_however_thresholds_move(
    window: Browser, page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window.open(page)
    seen = [check_counts(window, tmp_path, capsys)]
    assert seen[0]["presets"]["static"] == {"camera": 0.5, "object": 0.5, "dynamics": 1.0}

    window.drag("static", "camera", 40)
    seen.append(check_counts(window, tmp_path, capsys))
    assert 0.7 < seen[-1]["presets"]["static"]["camera"] < 1.1
    window.drag("slideshow", "dynamics", -30)
    seen.append(check_counts(window, tmp_path, capsys))
    assert 0.5 < seen[-1]["presets"]["slideshow"]["dynamics"] < 0.9
    window.drag("chaotic", "dynamics", -400)
    seen.append(check_counts(window, tmp_path, capsys))
    assert seen[-1]["presets"]["chaotic"]["dynamics"] == 0

    window.press(window.thumb("static", "object"), Keys.ARROW_LEFT, Keys.PAGE_DOWN)
    seen.append(check_counts(window, tmp_path, capsys))
    assert seen[-1]["presets"]["static"]["object"] == 0.39
    window.press(window.thumb("static", "object"), Keys.ARROW_UP)
    seen.append(check_counts(window, tmp_path, capsys))  # 0.4 lies between two float32
    assert seen[-1]["presets"]["static"]["object"] == 0.4
    assert len({json.dumps(counts) for counts in seen}) == len(seen)

    field = window.find('input[type="number"][data-preset="chaotic"][data-score="camera"]')
    window.press(field, "0.4")
    counts = check_counts(window, tmp_path, capsys)
    assert counts["presets"]["chaotic"]["camera"] == 0.4
    window.press(field, Keys.DELETE)
    assert check_counts(window, tmp_path, capsys) == counts

    window.click('input[role="switch"][data-preset="chaotic"]')
    window.wait_for_frame()
    assert list(check_counts(window, tmp_path, capsys)["presets"]) == ["static", "slideshow"]
    for name in ("static", "slideshow"):
        window.click(f'input[role="switch"][data-preset="{name}"]')
    window.wait_for_frame()
    assert window.count("dropped") == 0
    assert window.find("#filter-command").text == "# no preset is on, so nothing is dropped"
    assert window.errors() == []


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_is_readable_and_usable_at_every_width(window: Browser, page: Path, width: int) -> None:
    window.open(page, width=width)
    assert window.run("return document.documentElement.scrollWidth") == width
    outside = """
        return [...document.querySelectorAll("body *")].filter((element) => {
            const { left, right, width } = element.getBoundingClientRect();
            return width && (left < -1 || right > innerWidth + 1);
        }).map((element) => element.outerHTML.slice(0, 90));
    """
    assert window.run(outside) == []
    small = """
        return [...document.querySelectorAll("main *")].filter((element) =>
            [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
            && parseFloat(getComputedStyle(element).fontSize) < 11.5).map((element) => element.outerHTML.slice(0, 90));
    """
    assert window.run(small) == []
    before = window.thumb("chaotic", "camera").text
    window.drag("chaotic", "camera", -50)
    assert float(window.thumb("chaotic", "camera").text) < float(before) - 0.2
    assert window.run("return document.querySelectorAll('[role=slider]').length") == 7
    assert window.errors() == []


@pytest.mark.parametrize("width", [1280, 400])
def test_names_of_presets_and_thumbs_at_the_low_end_do_not_overlap(window: Browser, tmp_path: Path, width: int) -> None:
    measures = [dict.fromkeys(MEASURED, at / 100) for at in range(20)]
    clips: list[list[tuple[float, float, list[str]]]] = [[(0.0, 2.0, ["pan_left"])]] * 20
    table = write_scores(
        tmp_path / "s.parquet", [(at / 10, 1.0, 1.0) for at in range(20)], clips=clips, measures=measures
    )
    flags = [f"--drop={name}" for name in ALL_PRESETS]
    assert main([str(table), *flags, "--output", str(tmp_path / "r.html")]) == 0
    window.open(tmp_path / "r.html", width=width)
    for slider in window.driver.find_elements("css selector", "[role=slider]"):
        window.press(slider, Keys.HOME)
    boxes = window.run("""
        return [...document.querySelectorAll(".lane:has(.thumb)")].map((lane) => {
            const range = document.createRange();
            range.selectNodeContents(lane.querySelector(".lane-name"));
            const name = range.getBoundingClientRect(), thumb = lane.querySelector(".thumb").getBoundingClientRect();
            const plot = lane.closest(".chart-body").getBoundingClientRect();
            return [name.left - plot.left, thumb.left - name.right];
        })
    """)
    assert len(boxes) == sum(len(preset.limits) for preset in ALL_PRESETS.values())
    assert all(room >= 0 and gap >= 0 for room, gap in boxes)
    assert window.errors() == []


def test_labels_are_counted_among_all_and_among_the_kept(window: Browser, page: Path, table: Path) -> None:
    window.open(page)
    rows = window.run("return [...document.querySelectorAll('#labels tbody tr')].map((row) => row.innerText)")
    assert [row.split()[0] for row in rows] == ["pan_left", "static", "pov"]
    assert rows[0].split()[1] == "100.0%"
    assert rows[1].split()[1] == "50.0%"
    scored = read_table(table).slice(0, 3000)
    scores = {
        name: scored[column].to_numpy()
        for name, column in zip(
            ("camera", "object", "dynamics"),
            ("camera_movement_score", "object_movement_score", "dynamics_score"),
            strict=True,
        )
    }
    kept = ~np.logical_or.reduce([preset.takes(scores) for preset in PRESETS.values()])
    share = 100 * np.mean(np.arange(3000)[kept] % 2 == 0)
    assert rows[1].split()[2] == f"{share:.1f}%"


def test_the_gallery_plays_videos_and_names_the_reason_if_it_cannot(window: Browser, page: Path) -> None:
    window.open(page)
    window.run("for (const video of document.querySelectorAll('video')) video.src ||= video.dataset.src")
    window.wait_for("[...document.querySelectorAll('video')].every((video) => video.readyState >= 2)")
    sizes = window.run("return [...document.querySelectorAll('video')].map((v) => [v.videoWidth, v.videoHeight])")
    assert {tuple(size) for size in sizes} <= {(192, 108), (96, 160)}
    assert sizes
    compared = """return [...document.querySelectorAll('.threshold')].map((threshold) =>
        [...threshold.querySelectorAll('.side')].map((side) =>
            [...side.querySelectorAll('.is-compared dd')].map((score) => score.textContent)))"""
    limits = [limit for preset in PRESETS.values() for limit in preset.limits]
    for limit, (matched, unmatched) in zip(limits, window.run(compared), strict=True):
        beside = "<" if limit.side == "below" else ">"
        assert matched == [f"{beside}{limit.cutoff:.3f}"] * 3  # the next float32
        assert unmatched == [f"{limit.cutoff:.3f}"] * 3
    texts = window.run("return [...document.querySelectorAll('.is-missing')].map((each) => each.innerText)")
    assert any("it cannot be decoded: " in text for text in texts)
    assert window.run("return document.querySelectorAll('.threshold').length") == 7
    window.click("#play")
    assert window.find("#play").text == "Play previews"
    window.wait_for("[...document.querySelectorAll('video')].every((video) => video.paused)")
    outcomes = "return [...document.querySelectorAll('.outcome')].map((each) => each.textContent)"
    assert "static" in window.run(outcomes)
    for name in PRESETS:
        window.click(f'input[role="switch"][data-preset="{name}"]')
    window.wait_for_frame()
    assert set(window.run(outcomes)) == {"kept"}
    assert window.errors() == []


def test_names_of_videos_are_escaped_and_nothing_is_fetched(window: Browser, table: Path, tmp_path: Path) -> None:
    rows = [(0.499, 0.1, 0.1), (2.6, 1.0, 2.6), (0.9, 0.1, 1.2)]
    path = write_scores(tmp_path / "s'cores $(x).parquet", [*rows, NASTY], videos=[NASTY] * 4)
    write_report(path, tmp_path / "report.html")
    window.open(tmp_path / "report.html")
    assert window.run("return document.title") == "How these videos move"
    assert window.run("return document.images.length") == 0
    assert NASTY.split("/")[-1] in window.run("return document.querySelector('.example .name').textContent")
    assert window.run("return performance.getEntriesByType('resource').map((e) => e.name)") == []
    assert "the file was not found" in window.find(".is-missing").text
    assert shlex.split(window.find("#filter-command").text)[2] == str(path)
    assert window.errors() == []


def test_the_plane_names_the_limit_that_it_does_not_show(window: Browser, page: Path) -> None:
    window.open(page)
    footnote = window.find("#plane-footnote")
    assert footnote.text == "* The preset also limits dynamics: static < 1.00, chaotic > 2.50, slideshow > 1.00."
    window.press(window.thumb("static", "dynamics"), Keys.ARROW_LEFT)
    window.click('input[role="switch"][data-preset="chaotic"]')
    assert footnote.text == "* The preset also limits dynamics: static < 0.99, slideshow > 1.00."
    for name in ("static", "slideshow"):
        window.click(f'input[role="switch"][data-preset="{name}"]')
    assert footnote.text == ""
    assert window.errors() == []


def test_the_command_can_be_copied(window: Browser, page: Path) -> None:
    window.open(page)
    window.click('.totals [data-copy="filter-command"]')
    window.wait_for("document.getElementById('status').textContent === 'Copied'")


@pytest.mark.parametrize("rows", [[], ["the file is empty"] * 3, [(1.0, 1.0, 1.0)]])
def test_a_table_with_few_or_no_scores_gives_a_page_too(window: Browser, rows: list, tmp_path: Path) -> None:
    path = write_scores(tmp_path / "s.parquet", rows, clips=[[(0.0, 2.0, [])]] * len(rows))
    write_report(path, tmp_path / "report.html")
    window.open(tmp_path / "report.html", width=400)
    assert window.count("kept") == (1 if rows and rows[0] == (1.0, 1.0, 1.0) else 0)
    assert window.count("failed") == len(rows) - window.count("kept")
    window.drag("static", "camera", 30)
    assert window.errors() == []


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_counted_as_the_filter_counts_them(
    window: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_realistic_scores(tmp_path / "s.parquet", 100_000)
    assert main([str(path), "--output", str(tmp_path / "r.html"), "--drop", "static", "--static", "camera=0.61"]) == 0
    window.open(tmp_path / "r.html")
    assert check_counts(window, tmp_path, capsys)["presets"] == {
        "static": {"camera": 0.61, "object": 0.5, "dynamics": 1.0}
    }
    window.drag("static", "camera", 25)
    assert check_counts(window, tmp_path, capsys)["presets"]["static"]["camera"] > 0.7
    assert window.errors() == []


def test_random_weights_are_announced(tmp_path: Path, window: Browser) -> None:
    weights = {"motion": "random:0", "camera": "random:0", "precision": "f32"}
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)], metadata=Metadata(weights, METADATA.labels, {}))
    write_report(scores, tmp_path / "r.html")
    window.open(tmp_path / "r.html")
    assert "random weights: they mean nothing" in window.find("#notices").text


def test_the_commands_start_as_the_report_was_typed(tmp_path: Path, window: Browser) -> None:
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)])
    assert main([str(scores), "--output", str(tmp_path / "r.html")], "python -m client.report") == 0
    window.open(tmp_path / "r.html")
    assert window.find("#filter-command").text.startswith(f"python -m client.filter {scores} --drop static ")
    assert window.find("#report-command").text.startswith(f"python -m client.report {scores} --drop static ")
    assert "--failed" not in window.find("#filter-command").text


def test_parts_of_videos_go_to_jsonl_lists(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "s.parquet", [(1.0, 1.0, 1.0)], parts=[(1.0, 3.0)])
    write_report(scores, tmp_path / "r.html", examples=0)
    assert json.loads(_content(tmp_path / "r.html"))["hasParts"] is True


def _content(page: Path) -> str:
    match = re.search(r'<script type="application/json" id="content">(.*?)</script>', page.read_text(), re.DOTALL)
    assert match
    return match[1]


def test_failures_are_counted_by_kind_and_the_first_are_named(tmp_path: Path) -> None:
    reasons = [f"decoding stopped at frame {index} of 300: the file is truncated" for index in range(30)]
    write_report(write_scores(tmp_path / "s.parquet", [*reasons, "the file is empty"]), tmp_path / "r.html")
    content = json.loads(_content(tmp_path / "r.html"))
    assert content["failureKinds"] == [
        ["decoding stopped at frame … of …: the file is truncated", 30],
        ["the file is empty", 1],
    ]
    assert len(content["failures"]) == 20
    assert content["failures"][7] == {"video": "videos/0000007.mp4", "reason": reasons[7]}


def test_examples_are_the_nearest_rows_that_the_threshold_alone_decides(tmp_path: Path) -> None:
    rows = [(0.45, 0.1, 0.1), (0.1, 0.1, 0.1), (0.49, 0.9, 0.1), (0.5, 0.1, 0.1), (0.6, 0.1, 0.1), (2.0, 0.1, 0.1)]
    table = read_table(write_scores(tmp_path / "s.parquet", rows))
    static = PRESETS["static"]
    nearest = NearestRows(static, static.limits[0], 1)
    for first in range(0, 6, 2):  # in several batches
        (batch,) = table.slice(first, 2).combine_chunks().to_batches()
        scores = dict(
            zip(("camera", "object", "dynamics"), np.array(rows[first : first + 2], np.float32).T, strict=True)
        )
        nearest.add(batch, scores, first)
    assert [candidate.index for candidate in nearest.matched] == [0, 1]
    assert [candidate.index for candidate in nearest.unmatched] == [3, 4, 5]
    assert nearest.unmatched[0].row["video"] == "videos/0000003.mp4"


def test_any_number_of_labels_fits(tmp_path: Path) -> None:
    labels = tuple(f"label_{index}" for index in range(70))
    metadata = Metadata(METADATA.weights, labels, {})
    clips = [[(0, 2, ["label_0", "label_31"]), (2, 4, ["label_31", "label_69"])], [], [(0, 2, ["label_32"])]]
    table = read_table(write_scores(tmp_path / "s.parquet", [(1, 1, 1)] * 3, clips=clips, metadata=metadata))
    bits = _label_bits(table["clips"].combine_chunks(), {label: index for index, label in enumerate(labels)})
    assert bits.tolist() == [[1 | 1 << 31, 0, 1 << 5], [0, 0, 0], [0, 1, 0]]


def test_previews_are_small_and_failures_have_a_reason(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(encode(200, width=320, height=180, options={"preset": "ultrafast"}))
    (tmp_path / "sound.mp4").write_bytes(encode_audio())
    (tmp_path / "text.mp4").write_text("not a video")
    whole, sound, text, beyond = (
        Segment(tmp_path / "video.mp4", 2.0, 6.0),
        Segment(tmp_path / "sound.mp4", 0.0, 1.0),
        Segment(tmp_path / "text.mp4", 0.0, 1.0),
        Segment(tmp_path / "video.mp4", 60.0, 64.0),
    )
    previews = make_previews([whole, sound, text, beyond, whole])
    assert len(previews) == 4
    preview = previews[whole].mp4
    assert preview is not None
    (tmp_path / "preview.mp4").write_bytes(preview)
    import av

    with av.open(tmp_path / "preview.mp4") as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 32
    assert (frames[0].width, frames[0].height) == (256, 144)
    assert previews[sound].reason == "the video has no video stream"
    assert previews[text].reason == "it cannot be decoded: Invalid data found when processing input"
    assert previews[beyond].reason == "no frame could be decoded"


def test_a_preview_shows_the_middle() -> None:
    path = Path("v.mp4")
    assert middle(path, 0.0, 10.0) == Segment(path, 3.0, 7.0)
    assert middle(path, 5.0, 7.5) == Segment(path, 5.0, 7.5)


def test_the_command_prints_what_it_wrote(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(table), "--output", str(tmp_path / "r.html"), "--examples", "0"]) == 0
    assert re.fullmatch(
        rf"{tmp_path}/r.html: 3,002 videos, 2 failed; 0 examples, 0 without a preview; 0.\d MB\n",
        capsys.readouterr().out,
    )


def test_an_unreadable_or_unwritable_file_is_status_1_and_leaves_nothing(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "gone.parquet"), "--output", str(tmp_path / "r.html")]) == 1
    assert capsys.readouterr().err.startswith(f"cannot read {tmp_path / 'gone.parquet'}: ")
    assert main([str(table), "--output", str(tmp_path / "no" / "r.html"), "--examples", "0"]) == 1
    assert capsys.readouterr().err == f"cannot write {tmp_path / 'no' / 'r.html'}: No such file or directory\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--examples", "51"], "--examples is 51, it must be between 0 and 50"),
        (["--output", "s.parquet"], "--output would overwrite the table"),
        (["--drop", "boring"], "invalid choice: 'boring'"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["s.parquet", *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err

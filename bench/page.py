"""How fast the report opens and follows a threshold, for generated tables in headless Chromium.

`python -m bench.page [--rows N ...]` prints a table; `python -m bench.page --picture docs/images/report.png` writes the
picture of the README instead: the report of generated scores from its top to the camera labels.
"""

import argparse
import io
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from client._report.write import write_report
from client._tables.table import read_table
from fixtures.browser import Browser, browser, missing
from fixtures.real_videos import real_videos
from fixtures.score_tables import write_realistic_scores

STEPS = 60
PICTURE_ROWS = 100_000
PICTURE_WIDTH = 1280
DRAG = """
const [steps, done] = arguments;
const thumb = document.querySelector('[role="slider"][data-preset="static"][data-score="camera"]');
const frames = [];
let step = 0;
let last = performance.now();
function next() {
  const now = performance.now();
  if (step) frames.push(now - last);
  last = now;
  if (step++ === steps) return done(frames);
  const key = step % 40 < 20 ? "ArrowRight" : "ArrowLeft";
  thumb.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  requestAnimationFrame(() => setTimeout(next));
}
next();
"""


def main() -> None:
    """Write tables and reports, open each, move a threshold, and print the times; or take the picture."""
    description = "Time how fast the report opens and follows a threshold, or take its picture."
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=description)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="(default: 100000 1000000)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the README's picture, a PNG, and no times")
    options = parser.parse_args()
    if reason := missing():
        parser.error(reason)
    if options.picture:
        with tempfile.TemporaryDirectory() as directory, browser() as window:
            take_picture(write_example_report(Path(directory)), options.picture, window)
        return
    print(f"{'rows':>9} {'write s':>8} {'MB':>6} {'open s':>7} {'step ms, p50':>13} {'p95':>6}")
    with tempfile.TemporaryDirectory() as directory, browser() as window:
        for rows in options.rows:
            table = write_realistic_scores(Path(directory) / "scores.parquet", rows)
            start = time.perf_counter()
            report = write_report(table, Path(directory) / "report.html")
            write_seconds = time.perf_counter() - start
            start = time.perf_counter()
            window.open(report.path)
            open_seconds = time.perf_counter() - start
            frames = _drag(window)
            print(
                f"{rows:9,} {write_seconds:8.1f} {report.size_bytes / 1e6:6.1f} {open_seconds:7.2f} "
                f"{statistics.median(frames):13.1f} {statistics.quantiles(frames, n=20)[-1]:6.1f}"
            )


def _drag(window: Browser) -> list[float]:
    """Milliseconds from each step of a threshold to the next; the page draws every step."""
    window.driver.set_script_timeout(120)
    frames: list[float] = window.driver.execute_async_script(DRAG, STEPS)
    return frames


def write_example_report(directory: Path) -> Path:
    """A report on generated scores whose videos are the real ones, copied into `directory`."""
    videos = real_videos()
    for path in videos.values():
        shutil.copy(path, directory)
    generated = read_table(write_realistic_scores(directory / "scores.parquet", PICTURE_ROWS))
    names = [path.name for path in videos.values()]
    column = pa.array([names[index % len(names)] for index in range(PICTURE_ROWS)])
    table = generated.set_column(0, generated.schema.field("video"), column)
    parquet.write_table(table, directory / "scores.parquet")
    return write_report(directory / "scores.parquet", directory / "report.html").path


def take_picture(page: Path, to: Path, window: Browser) -> None:
    """Write a page from its top to the camera labels as a PNG of 256 colours."""
    window.open(page, width=PICTURE_WIDTH)
    bottom = window.run("return document.querySelector('.pair').getBoundingClientRect().bottom")
    window.open(page, width=PICTURE_WIDTH, height=round(bottom) + 24)
    picture = Image.open(io.BytesIO(window.driver.get_screenshot_as_png())).convert("RGB")
    to.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(256, dither=Image.Dither.NONE).save(to, optimize=True)


if __name__ == "__main__":
    main()

"""How fast the report opens and moves: `python -m bench.page [--rows N ...]`, made tables in headless Chromium."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from client._report.write import write_report
from fixtures.browser import Browser, browser, missing
from fixtures.score_tables import write_realistic_scores

STEPS = 60
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
    """Make tables and reports, open each, drag a threshold, print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    if reason := missing():
        parser.error(reason)
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
    """Milliseconds from one step of a threshold to the next, each drawn."""
    window.driver.set_script_timeout(120)
    frames: list[float] = window.driver.execute_async_script(DRAG, STEPS)
    return frames


if __name__ == "__main__":
    main()

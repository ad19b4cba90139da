"""`python -m bench.measures`: the time of a video's measures beside that of Data-Juicer's optical flow.

Both read the same files in turn, on the same cores. Ours is what a server does for `signals=metrics`: the plan and the
decoding with all measures, in the sandboxed worker.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from bench.data_juicer import motion_score
from bench.many import ROOT
from bench.markdown import table
from bench.memory import cpu_seconds
from bench.videos import Made, made_videos
from fixtures.real_videos import real_videos
from video import IsolatedDecoder, Limits
from video.measures.measures import Measures
from video.signals import Signal
from video.strip import Strip

CACHE = ROOT / ".bench" / "measures"
FAST = {"preset": "veryfast", "crf": "23"}
MADE = (
    Made("1080p_7s", "bigbuckbunny", 1920, 1080, 7, "libx264", FAST),
    Made("270p_30s", "bikes", 480, 270, 30, "libx264", FAST),
)
MOST = 1 / 2
"""Of Data-Juicer's time at size 240, for all measures together."""


def measure(decoder: IsolatedDecoder, video: bytes) -> Measures:
    """All measures of a video."""
    content = memoryview(video)
    plan = decoder.plan(content, {"signals": "metrics"}, strip=Strip.WHERE_IT_PAYS, served=(Signal.METRICS,))
    indices, motion, camera, order, stripped = (
        np.array(plan[name], np.int64)
        for name in ("frame_indices", "motion_order", "camera_order", "metric_order", "stripped_indices")
    )
    clips = decoder.decode(
        content,
        *(indices, motion, camera, 224),
        stripped_video=plan["stripped_video"],
        stripped_indices=stripped,
        metric_order=order,
    )
    assert clips.measures is not None
    return clips.measures


class Timed:
    """How long a function takes, and how much time of all cores."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self.seconds: list[float] = []
        self.cpu: list[float] = []

    def run(self) -> None:
        """Run it once."""
        started, cpu = time.perf_counter(), cpu_seconds(os.getpid())
        self._function()
        self.seconds.append(time.perf_counter() - started)
        self.cpu.append(cpu_seconds(os.getpid()) - cpu)

    def __str__(self) -> str:
        return f"{median(self.seconds):.2f} ({median(self.cpu):.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status: 1 if a video takes more than its share."""
    parser = argparse.ArgumentParser(prog="python -m bench.measures", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--size-of-the-video", action="store_true", help="also Data-Juicer at its default size")
    parser.add_argument("--autoencoder", metavar="SOURCE", help="only the latents of a frame by it, as for the export")
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="(default: five, real and made)")
    options = parser.parse_args(arguments)
    CACHE.mkdir(parents=True, exist_ok=True)
    if options.autoencoder is not None:
        from bench.latents import seconds_a_frame  # PyTorch takes seconds to import

        seconds = seconds_a_frame(options.autoencoder, CACHE, options.rounds)
        print(f"bench: {seconds:.2f} s for the latents of a frame, in float32")
        return 0
    paths = {path.name: path for path in options.videos} or real_videos() | made_videos(
        CACHE, [made.name for made in MADE], MADE
    )
    rows, worst = [], 0.0
    with contextlib.closing(IsolatedDecoder(Limits())) as decoder:
        for name, path in paths.items():
            video = path.read_bytes()
            measures = measure(decoder, video)  # warms up both
            motion_score(path, 240)
            ours, theirs = Timed(partial(measure, decoder, video)), Timed(partial(motion_score, path, 240))
            whole = [Timed(partial(motion_score, path, None))] if options.size_of_the_video else []
            for _ in range(options.rounds):
                for timed in (ours, theirs, *whole):
                    timed.run()
            share = median(ours.seconds) / median(theirs.seconds)
            worst = max(worst, share)
            rows.append([name, str(measures.frames), str(ours), str(theirs), f"{share:.2f}", *map(str, whole)])
    titles = ("video", "frames measured", "measures, s (of CPU)", "Data-Juicer at 240, s (of CPU)", "share")
    print(
        table((*titles, "Data-Juicer at the video's size, s (of CPU)") if options.size_of_the_video else titles, rows)
    )
    print(f"bench: at most {worst:.0%} of Data-Juicer's time; the goal is {MOST:.0%}")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())

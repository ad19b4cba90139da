"""`python -m bench.measures`: the time of a video's measures beside that of Data-Juicer's optical flow.

Both read the same files in turn, on the same cores. Ours is what a server does for `signals=metrics`: the plan and the
decoding with all measures, in the sandboxed worker. Beside it are the differences of levels and the flow alone, without
the other measures: the same plan in the worker, and the same decoding in this process.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from bench.data_juicer import motion_score
from bench.many import ROOT
from bench.markdown import table
from bench.memory import cpu_seconds
from bench.videos import Made, made_videos
from fixtures.real_videos import real_videos
from video import IsolatedDecoder, Limits
from video.decoding import decode
from video.measures.measures import Measures
from video.measures.measuring import MAX_THREADS, MeasuredFrames
from video.measures.pairs import Pair, compare
from video.measures.picture import Picture, grey, resized, square
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
MOST_ALONE = 1 / 3
"""The same for the differences of levels and the flow alone."""


class Plan:
    """Which frames of a video are measured, and the stripped file with them, if there is one."""

    def __init__(self, decoder: IsolatedDecoder, video: bytes) -> None:
        plan = decoder.plan(
            memoryview(video), {"signals": "metrics"}, strip=Strip.WHERE_IT_PAYS, served=(Signal.METRICS,)
        )
        self.indices, self.motion, self.camera, self.measured, self.stripped_indices = (
            np.array(plan[name], np.int64)
            for name in ("frame_indices", "motion_order", "camera_order", "metric_order", "stripped_indices")
        )
        self.stripped_video = plan["stripped_video"]


def measure(decoder: IsolatedDecoder, video: bytes) -> Measures:
    """All measures of a video."""
    plan = Plan(decoder, video)
    clips = decoder.decode(
        memoryview(video),
        *(plan.indices, plan.motion, plan.camera, 224),
        stripped_video=plan.stripped_video,
        stripped_indices=plan.stripped_indices,
        metric_order=plan.measured,
    )
    assert clips.measures is not None
    return clips.measures


class PairsAlone(MeasuredFrames):
    """Measures only what changes between neighbouring frames: levels and flow."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(positions)
        self._threads = ThreadPoolExecutor(min(MAX_THREADS, len(os.sched_getaffinity(0))))
        self._last: Future[tuple[Picture, Picture]] | None = None
        self._pairs: list[Future[Pair]] = []

    def take(self, position: int, picture: Picture, frame: object) -> None:  # noqa: ARG002 - of the class above
        """Compare the next frame with the last one, on another thread."""
        if position == self._first:
            self._last, self._pairs = None, []
        one = self._threads.submit(self._prepare, picture)
        if self._last is not None:
            self._pairs.append(self._threads.submit(self._compare, self._last, one))
        self._last = one

    def pairs(self) -> list[Pair]:
        """What was found, once all frames were taken."""
        found = [pair.result() for pair in self._pairs]
        self._threads.shutdown()
        self.close()
        return found

    @staticmethod
    def _prepare(picture: Picture) -> tuple[Picture, Picture]:
        whole = resized(picture)
        return square(whole), square(grey(whole))

    @staticmethod
    def _compare(first: Future[tuple[Picture, Picture]], second: Future[tuple[Picture, Picture]]) -> Pair:
        (one, one_grey), (two, two_grey) = first.result(), second.result()
        return compare(one, two, one_grey, two_grey)


def compare_alone(decoder: IsolatedDecoder, video: bytes) -> list[Pair]:
    """The differences of levels and the flow of a video, and no other measure."""
    plan = Plan(decoder, video)
    measured = PairsAlone(plan.measured.tolist())
    stripped = (BytesIO(plan.stripped_video), plan.stripped_indices) if len(plan.stripped_video) else None
    out = np.empty((len(plan.motion) + len(plan.camera), 224, 224, 3), np.uint8)
    decode(BytesIO(video), *(plan.indices, plan.motion, plan.camera, 224, out), stripped=stripped, measured=measured)
    return measured.pairs()


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
    rows, worst, worst_alone = [], 0.0, 0.0
    cv2.setNumThreads(1)  # as in the worker: pairs are what is computed at once
    with contextlib.closing(IsolatedDecoder(Limits())) as decoder:
        for name, path in paths.items():
            video = path.read_bytes()
            measures = measure(decoder, video)  # warms up both
            pairs = compare_alone(decoder, video)
            assert np.isclose(measures.mean_velocity or 0, np.mean([pair.velocity for pair in pairs]))
            motion_score(path, 240)
            ours, theirs = Timed(partial(measure, decoder, video)), Timed(partial(motion_score, path, 240))
            alone = Timed(partial(compare_alone, decoder, video))
            whole = [Timed(partial(motion_score, path, None))] if options.size_of_the_video else []
            for _ in range(options.rounds):
                for timed in (ours, alone, theirs, *whole):
                    timed.run()
            share = median(ours.seconds) / median(theirs.seconds)
            share_alone = median(alone.seconds) / median(theirs.seconds)
            worst, worst_alone = max(worst, share), max(worst_alone, share_alone)
            times = [str(ours), str(alone), str(theirs), f"{share:.2f}", f"{share_alone:.2f}"]
            rows.append([name, str(measures.frames), *times, *map(str, whole)])
    titles = (
        *("video", "frames measured", "measures, s (of CPU)", "levels and flow alone, s (of CPU)"),
        *("Data-Juicer at 240, s (of CPU)", "share", "share of levels and flow"),
    )
    print(
        table((*titles, "Data-Juicer at the video's size, s (of CPU)") if options.size_of_the_video else titles, rows)
    )
    print(f"bench: at most {worst:.0%} of Data-Juicer's time; the goal is {MOST:.0%}")
    print(f"bench: levels and flow alone take at most {worst_alone:.0%}; the goal is {MOST_ALONE:.0%}")
    return 0 if worst <= MOST and worst_alone <= MOST_ALONE else 1


if __name__ == "__main__":
    sys.exit(main())

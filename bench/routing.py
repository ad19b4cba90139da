"""`python -m bench.routing`: what choosing a decoder and stripping add to a request in the gpu profile.

Each video is planned in two ways in turn, by one sandboxed worker: without either, and as `video_sampling` does where
NVDEC is an H100's. Times are those of the worker and of this process, which sends it the video, together. The videos
are real ones, encoded and repeated to a size, and their frames those of a request for all outputs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bench.stripping import ENCODERS, SIZES, encoded, repeated
from video import IsolatedDecoder, Limits
from video.gpu_decoder import Choice, choose
from video.nvdec_capabilities import Capabilities, formats_of
from video.strip import Strip

HOPPER = Capabilities(formats_of((9, 0)), "by compute capability 9.0")
MAX_DECODED_BYTES = 1e15
"""So that no video goes to FFmpeg because of its size."""
TABLE = "{:24} {:>6} {:>8} {:>7} {:>17} {:>17} {:>15} {:>15}"


@dataclass(frozen=True)
class Times:
    """Of one request, in seconds."""

    cpu: float
    wall: float

    def __sub__(self, other: "Times") -> "Times":
        return Times(self.cpu - other.cpu, self.wall - other.wall)

    def __str__(self) -> str:
        return f"{self.cpu * 1000:.1f} / {self.wall * 1000:.1f}"


@dataclass(frozen=True)
class Added:
    """What is added to the request for one video."""

    name: str
    megabytes: float
    frames: int
    choice: Choice
    without: Times
    """The least of all rounds, of the CPU time and of the time until the answer each."""
    with_both: Times
    """The same with stripping and the choice."""
    median: Times
    """The median of the differences within a round."""

    def row(self) -> str:
        """A line of the table."""
        times = self.without, self.with_both, self.with_both - self.without, self.median
        size = f"{self.megabytes:.1f}"
        return TABLE.format(self.name, size, self.frames, self.choice.decoder, *map(str, times))


def measure(name: str, video: bytes, rounds: int) -> Added:
    """Plan a video both ways, `rounds` times."""
    content = memoryview(video)
    decoder = IsolatedDecoder(Limits(timeout_seconds=600))

    def plan(strip: Strip) -> dict[str, Any]:
        return decoder.plan(content, {}, strip=strip, nvdec=HOPPER)

    def route() -> Choice:
        return choose(plan(Strip.WHERE_SAFE), len(video), HOPPER, decoder.limits, MAX_DECODED_BYTES)

    def timed(call: Callable[[], object]) -> Times:
        cpu, wall = _cpu_seconds(decoder), time.perf_counter()
        call()
        return Times(_cpu_seconds(decoder) - cpu, time.perf_counter() - wall)

    try:
        frames, choice = int(plan(Strip.NEVER)["info"][1]), route()
        pairs = [(timed(lambda: plan(Strip.NEVER)), timed(route)) for _ in range(rounds)]
    finally:
        decoder.close()
    without, with_both = (_least(times) for times in zip(*pairs, strict=True))
    differences = [after - before for before, after in pairs]
    median = Times(*(statistics.median(column) for column in _columns(differences)))
    return Added(name, len(video) / 1e6, frames, choice, without, with_both, median)


def _cpu_seconds(decoder: IsolatedDecoder) -> float:
    return time.process_time() + cast(Any, decoder)._cpu_seconds()


def _columns(times: Sequence[Times]) -> tuple[list[float], list[float]]:
    return [one.cpu for one in times], [one.wall for one in times]


def _least(times: Sequence[Times]) -> Times:
    return Times(*map(min, _columns(times)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.routing", description=__doc__.split("\n\n")[0])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["360p", "1080p"], metavar="SIZE")
    parser.add_argument(
        "--megabytes", type=float, default=5.0, metavar="N", help="size of a video, about (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=21, metavar="N", help="how often each (default: %(default)s)")
    options = parser.parse_args(arguments)
    print("times in ms: CPU time of the worker and its parent / until the answer")
    print(TABLE.format("video", "MB", "frames", "decoder", "plan", "and route, strip", "added, least", "added, median"))
    for encoder in options.encoders:
        for size in options.sizes:
            path = encoded(encoder, size)
            times = max(1, round(options.megabytes * 1e6 / path.stat().st_size))
            name = f"{encoder} {size} {10 * times} s"
            print(measure(name, repeated(path, times), options.rounds).row(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

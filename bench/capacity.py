"""`python -m bench.capacity`: cost in GPU hours, calculated from the rates of one GPU, without running anything.

A video costs the networks the FLOPs of its segments and clips, by the sampling rules. It costs the decoders all of its
frames: the wanted ones are spread over the whole video, and those in between must be decoded too, unless the reader
leaves some out. Each rate is a range, from a low to a high bound, and so is each result.

Without options, the rates are those that others published for the H100 and H200 (`bench/cited.py`). Give the rates that
`python -m bench.gpu` and `python -m bench.gpu sweep` measured on your GPU.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.cited import HOPPER, NETWORK_TFLOPS, STREAM_PIXELS
from bench.flop import clip_flop
from bench.markdown import number, span, table
from video import Parameters, sample
from video.clips import CLIP_FRAMES

DURATIONS_SECONDS = (5, 10, 60)
SIZES = (("360p", 640 * 360), ("1080p", 1920 * 1080))
MILLION = 1e6
HOUR_SECONDS = 3600.0
HEADER = (
    "video",
    "codec",
    "frames",
    "TFLOP",
    "networks, videos/s",
    "NVDEC, videos/s",
    "bound by",
    "GPU hours for 1,000,000",
    "for 1,000,000,000",
)

Bounds = tuple[float, float]
"""The least and the most."""
DecodeBounds = Callable[[int], Bounds]
"""Frames a second of all NVDECs together, for frames of so many pixels."""


@dataclass(frozen=True)
class Cost:
    """The cost of one video."""

    frames: int
    """Frames to decode."""
    segments: int
    """Segments for the backbone."""
    clips: int
    """Clips for the classifier."""

    @property
    def flop(self) -> float:
        """Floating-point operations of both networks."""
        return self.segments * clip_flop("motion_backbone") + self.clips * clip_flop("camera_classifier")


def cost(seconds: float, frames_per_second: float) -> Cost:
    """The cost of a video with default parameters."""
    frames = round(seconds * frames_per_second)
    sampling = sample(np.arange(frames) / frames_per_second, seconds, Parameters())
    return Cost(frames, len(sampling.motion_order) // CLIP_FRAMES, len(sampling.camera_order) // CLIP_FRAMES)


def bound_by(networks: Bounds, nvdec: Bounds) -> str:
    """What is slower where both are at their low bounds, and at their high bounds."""
    low, high = ("NVDEC" if nvdec[end] < networks[end] else "networks" for end in (0, 1))
    return low if low == high else f"{low} (low), {high} (high)"


def gpu_hours(videos_per_second: Bounds, videos: float) -> str:
    """GPU hours for so many videos, the least first."""
    low, high = videos_per_second
    return span(videos / high / HOUR_SECONDS, videos / low / HOUR_SECONDS)


def row(of_video: Cost, decoded_share: float, tflops: Bounds, decode: Bounds) -> list[str]:
    """The cells of one video, from its frames on."""
    flop, frames = of_video.flop, of_video.frames * decoded_share
    networks = (tflops[0] * 1e12 / flop, tflops[1] * 1e12 / flop)
    nvdec = (decode[0] / frames, decode[1] / frames)
    both = (min(networks[0], nvdec[0]), min(networks[1], nvdec[1]))
    return [
        number(of_video.frames),
        f"{flop / 1e12:.1f}",
        span(*networks),
        span(*nvdec),
        bound_by(networks, nvdec),
        gpu_hours(both, MILLION),
        gpu_hours(both, 1000 * MILLION),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print the table, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tflops",
        type=_positive,
        nargs="+",
        metavar="RATE",
        default=NETWORK_TFLOPS,
        help="rate of the networks, or its low and high bound (default: {:g} {:g})".format(*NETWORK_TFLOPS),
    )
    parser.add_argument(
        "--decode-fps",
        type=_positive,
        nargs="+",
        metavar="RATE",
        help="1080p frames per second of all NVDECs together, or its low and high bound; other sizes in proportion to "
        "their pixels (default: what NVIDIA measured and promised for Hopper, by codec)",
    )
    parser.add_argument(
        "--decoded-share",
        type=_share,
        default=1.0,
        metavar="SHARE",
        help="share of a video's frames that NVDEC decodes, above 0 and at most 1 (default: %(default)g, all)",
    )
    parser.add_argument("--fps", type=_positive, default=30.0, help="frames per second of the videos (%(default)s)")
    options = parser.parse_args(arguments)
    tflops = _bounds(parser, "--tflops", options.tflops)
    rates: list[tuple[str, DecodeBounds]] = [(rate.codec, rate.bounds) for rate in HOPPER]
    if options.decode_fps is not None:
        rates = [("any", _in_proportion(_bounds(parser, "--decode-fps", options.decode_fps)))]
    rows = []
    for size, pixels in SIZES:
        for codec, decode in rates:
            for seconds in DURATIONS_SECONDS:
                cells = row(cost(seconds, options.fps), options.decoded_share, tflops, decode(pixels))
                rows.append([f"{size}, {seconds} s", codec, *cells])
    print(table(HEADER, rows))
    return 0


def _in_proportion(of_1080p: Bounds) -> DecodeBounds:
    return lambda pixels: (of_1080p[0] * STREAM_PIXELS / pixels, of_1080p[1] * STREAM_PIXELS / pixels)


def _bounds(parser: argparse.ArgumentParser, name: str, values: tuple[float, ...] | list[float]) -> Bounds:
    if len(values) > 2 or values[0] > values[-1]:
        given = " ".join(f"{value:g}" for value in values)
        parser.error(f"{name} takes one rate, or a low and a high bound in this order, not {given}")
    return values[0], values[-1]


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return value


if __name__ == "__main__":
    sys.exit(main())

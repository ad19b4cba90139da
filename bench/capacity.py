"""`python -m bench.capacity`: videos per second on one GPU, calculated from its two rates, without running anything.

A video costs the networks the FLOPs of its segments and clips, by the sampling rules. It costs the decoders all of its
frames: the wanted ones are spread over the whole video, and those in between must be decoded too.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np

from bench.flop import clip_flop
from video import Parameters, sample
from video.clips import CLIP_FRAMES

DURATIONS_SECONDS = (5, 10, 60)
SIZES = (("360p", 640 * 360), ("1080p", 1920 * 1080))
PIXELS_OF_RATE = 1920 * 1080
DAY_SECONDS = 86400


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


def main(arguments: list[str] | None = None) -> int:
    """Print the table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--tflops", type=float, required=True, help="rate of the networks, from make gpu-check")
    parser.add_argument(
        "--decode-fps",
        type=float,
        help="1080p frames per second of all NVDECs together (default: show the rate that is needed)",
    )
    parser.add_argument("--fps", type=float, default=30.0, help="frames per second of the videos (%(default)s)")
    options = parser.parse_args(arguments)
    print(
        "video        frames  TFLOP  networks videos/s  NVDEC 1080p frames/s  bound by  GPUs: 1e6 a day, 1e9 in 30 days"
    )
    for size, pixels in SIZES:
        for seconds in DURATIONS_SECONDS:
            of_video = cost(seconds, options.fps)
            networks = options.tflops * 1e12 / of_video.flop
            # The time to decode a frame is proportional to its pixels.
            needed = networks * of_video.frames * pixels / PIXELS_OF_RATE
            held_back = options.decode_fps is not None and options.decode_fps < needed
            videos = networks * (options.decode_fps / needed if held_back else 1)
            bound = "NVDEC" if held_back else "networks" if options.decode_fps else "-"
            print(
                f"{size:5} {seconds:3} s  {of_video.frames:8}  {of_video.flop / 1e12:5.1f}  {networks:17.1f}"
                f"  {f'needs {needed:.0f}':>20}  {bound:8}"
                f"  {1e6 / DAY_SECONDS / videos:12.2f}, {1e9 / (30 * DAY_SECONDS) / videos:.1f}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())

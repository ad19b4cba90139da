"""The videos of a sweep: two real ones, scaled and encoded by the usual encoders with their default structure."""

from pathlib import Path

from bench.capacity import cost
from bench.gpu.sweep.grid import Video
from bench.videos import RATE, Made, made_videos

SECONDS = 10
SIZES = (("360p", "bikes", 640, 360), ("720p", "bigbuckbunny", 1280, 720), ("1080p", "bigbuckbunny", 1920, 1080))
CODECS = {
    "h264": ("libx264", {"preset": "medium"}),
    "hevc": ("libx265", {"preset": "medium", "x265-params": "log-level=1"}),
    "vp9": ("libvpx-vp9", {"deadline": "good", "cpu-used": "4", "row-mt": "1", "crf": "32", "b": "0"}),
}
MADE = tuple(
    Made(f"{size}_{codec}", source, width, height, SECONDS, encoder, options)
    for size, source, width, height in SIZES
    for codec, (encoder, options) in CODECS.items()
)
NAMES = tuple(made.name for made in MADE)


def sweep_videos(directory: Path, names: list[str]) -> tuple[Video, ...]:
    """The videos of these `names`, encoded into `directory` unless they exist."""
    paths = made_videos(directory, names, MADE)
    return tuple(Video(name, paths[name], cost(SECONDS, RATE)) for name in NAMES if name in paths)

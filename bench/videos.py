"""Videos of the benchmark: three real ones, and longer and larger ones made from them."""

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from fixtures.real_videos import real_videos


@dataclass(frozen=True)
class Made:
    """A video made from a real one, scaled and repeated."""

    name: str
    source: str
    width: int
    height: int
    seconds: int
    codec: str
    options: dict[str, str]


FAST = {"preset": "veryfast", "crf": "23"}
FASTEST = {"preset": "ultrafast", "x265-params": "log-level=1"}
MADE = (
    Made("1080p_10s", "bigbuckbunny", 1920, 1080, 10, "libx264", FAST),
    Made("1080p_60s", "bigbuckbunny", 1920, 1080, 60, "libx264", FAST),
    Made("4k_hevc_10s", "bigbuckbunny", 3840, 2160, 10, "libx265", FASTEST),
    Made("360p_10s", "bikes", 640, 360, 10, "libx264", FAST),
    Made("360p_600s", "bikes", 640, 360, 600, "libx264", FAST),
)  # fmt: skip
CAPACITY = tuple(
    Made(f"{height}p_{seconds}s", source, width, height, seconds, "libx264", FAST)
    for source, width, height in (("bikes", 640, 360), ("bigbuckbunny", 1920, 1080))
    for seconds in (5, 10, 60)
)
"""Videos for measuring the capacity of a GPU."""
RATE = 25


def made_videos(directory: Path, names: Collection[str], known: Collection[Made] = MADE) -> dict[str, Path]:
    """Paths of the `known` videos in `names`, encoded into `directory` unless they exist."""
    paths = {}
    for made in known:
        if made.name not in names:
            continue
        paths[made.name] = directory / f"{made.name}.mp4"
        if not paths[made.name].is_file():
            print(f"bench: encoding {made.name}", flush=True)
            partial = paths[made.name].with_suffix(".partial")
            _encode(made, real_videos()[made.source], partial)
            partial.rename(paths[made.name])
    return paths


def _encode(made: Made, source: Path, target: Path) -> None:
    """Encode scaled real frames, forwards and backwards in turn, so that no jump occurs where the source ends."""
    with av.open(source) as container:
        frames = [frame.reformat(made.width, made.height, "yuv420p") for frame in container.decode(video=0)]
    frames += frames[-2:0:-1]
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream(made.codec, rate=RATE, options=made.options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = made.width, made.height, "yuv420p"
        for index in range(made.seconds * RATE):
            frame = frames[index % len(frames)]
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            frame.pict_type = av.video.frame.PictureType.NONE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))

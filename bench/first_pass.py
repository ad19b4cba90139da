"""`python -m bench.first_pass`: the time of the first pass beside that of Data-Juicer's optical flow.

Both read the same files in turn, on the same cores. The first pass is what `score --first-pass` does before a video is
sent, with the default thresholds. Two further columns say what it would cost on the server, where the whole file has to
arrive first: the same look at an encoded video in memory, and the server's own reading of the file, without its upload.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from bench.data_juicer import motion_score
from bench.markdown import table
from bench.measures import CACHE, MADE, Timed
from bench.videos import FAST, RATE, made_videos
from client._first_pass.footage import look_at
from client._first_pass.thresholds import DEFAULT
from fixtures.real_videos import real_videos
from video import IsolatedDecoder, Limits
from video.signals import Signal
from video.strip import Strip

MOST = 1 / 10
"""Of Data-Juicer's time at size 240."""
GRAIN = 4.0
"""Levels: standard deviation of the noise of a camera that stands still."""
STILL = {
    "frozen_720p_7s": ("bigbuckbunny", 1280, 720, 7),
    "static_720p_7s": ("bigbuckbunny", 1280, 720, 7),
    "black_720p_7s": ("bigbuckbunny", 1280, 720, 7),
    "static_270p_30s": ("bikes", 480, 270, 30),
}
"""Source, width, height and seconds of the videos in which nothing moves."""

Picture = NDArray[np.uint8]


def still_videos(directory: Path) -> dict[str, Path]:
    """Paths of the videos in `STILL`, encoded into `directory` unless they exist."""
    paths = {}
    for name, (source, width, height, seconds) in STILL.items():
        paths[name] = directory / f"{name}.mp4"
        if not paths[name].is_file():
            print(f"bench: encoding {name}", flush=True)
            partly = paths[name].with_suffix(".partial")
            _encode(_pictures(name.partition("_")[0], source, width, height, seconds * RATE), partly)
            partly.rename(paths[name])
    return paths


def _pictures(kind: str, source: str, width: int, height: int, count: int) -> Iterator[Picture]:
    """(height * 3 / 2, width) planes of YUV 4:2:0, limited range."""
    with av.open(real_videos()[source]) as container:
        frame = next(container.decode(container.streams.video[0]))
    planes = np.asarray(frame.to_ndarray(width=width, height=height, format="yuv420p"), np.uint8)
    if kind == "black":
        planes[:height], planes[height:] = 16, 128
    rng = np.random.default_rng(0)
    grain = np.rint(rng.standard_normal((height + 64, width + 64)) * GRAIN).astype(np.int16)
    for _ in range(count):
        picture = planes.copy()
        if kind == "static":
            top, left = rng.integers(0, 64, 2)
            picture[:height] = np.clip(planes[:height] + grain[top : top + height, left : left + width], 0, 255)
        yield picture


def _encode(pictures: Iterator[Picture], target: Path) -> None:
    with av.open(target, "w", format="mp4") as output:
        stream = cast(VideoStream, output.add_stream("libx264", rate=RATE, options=FAST))
        for index, picture in enumerate(pictures):
            if not index:
                stream.height, stream.width = picture.shape[0] * 2 // 3, picture.shape[1]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def verdict(path: Path, threads: int) -> str:
    """What the first pass says of a video: why it is skipped, or `scored`."""
    look = look_at(str(path), thresholds=DEFAULT, threads=threads)
    return (look and DEFAULT.verdict(look)) or "scored"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status: 1 if a video takes more than its share."""
    parser = argparse.ArgumentParser(prog="python -m bench.first_pass", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the decoder (default: %(default)s)")
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO", help="(default: nine, real and made)")
    options = parser.parse_args(arguments)
    CACHE.mkdir(parents=True, exist_ok=True)
    paths = {path.name: path for path in options.videos} or (
        real_videos() | made_videos(CACHE, [made.name for made in MADE], MADE) | still_videos(CACHE)
    )
    rows, worst = [], 0.0
    with contextlib.closing(IsolatedDecoder(Limits())) as decoder:
        for name, path in paths.items():
            said = verdict(path, options.threads)  # warms up
            motion_score(path, 240)
            timed = [Timed(each) for each in _runs(decoder, path, options.threads)]
            for _ in range(options.rounds):
                for each in timed:
                    each.run()
            ours, theirs, in_memory, reader = timed
            share = median(ours.seconds) / median(theirs.seconds)
            worst = max(worst, share)
            rows.append([name, said, _shown(ours), _shown(theirs), f"{share:.3f}", _shown(in_memory), _shown(reader)])
    titles = ("video", "verdict", "first pass, s (of CPU)", "Data-Juicer at 240, s (of CPU)", "share")
    print(table((*titles, "first pass, in memory", "the server's reading, without upload"), rows))
    print(f"bench: at most {worst:.1%} of Data-Juicer's time; the goal is {MOST:.0%}")
    return 0 if worst <= MOST else 1


def _runs(decoder: IsolatedDecoder, path: Path, threads: int) -> list[Callable[[], object]]:
    content = memoryview(path.read_bytes())
    return [
        partial(look_at, str(path), thresholds=DEFAULT, threads=threads),
        partial(motion_score, path, 240),
        lambda: look_at(path.read_bytes(), thresholds=DEFAULT, threads=threads),
        partial(decoder.plan, content, {"signals": "metrics"}, strip=Strip.NEVER, served=(Signal.METRICS,)),
    ]


def _shown(timed: Timed) -> str:
    return f"{median(timed.seconds):.3f} ({median(timed.cpu):.3f})"


if __name__ == "__main__":
    sys.exit(main())

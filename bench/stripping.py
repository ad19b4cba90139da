"""`python -m bench.stripping`: what stripping leaves of a video, what it takes, and what it saves when decoding.

Each video is read with and without stripping, in turn, by one sandboxed worker: its CPU time, and the time until the
answer. The videos are ten seconds of a real one, encoded and repeated; their frames are those of a request for all
outputs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fixtures.real_videos import real_videos
from fixtures.synthetic import same_scheduling_policy
from video import IsolatedDecoder, Limits
from video.strip import Strip

CACHE = Path(__file__).parent.parent / ".bench" / "stripping"
RATE, SECONDS = 25, 10
SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080), "2160p": (3840, 2160)}
QUIET = {"x265-params": "log-level=0"}
ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "x264": ("libx264", "mp4", {"preset": "medium"}),
    "x264-veryfast": ("libx264", "mp4", {"preset": "veryfast"}),
    "x265": ("libx265", "mp4", {"preset": "medium", **QUIET}),
    "x265-ultrafast": ("libx265", "mp4", {"preset": "ultrafast", **QUIET}),
    "vp9": ("libvpx-vp9", "webm", {"deadline": "good", "cpu-used": "5", "crf": "32", "b": "0", "row-mt": "1"}),
    "av1": ("libsvtav1", "mp4", {"preset": "10", "crf": "35"}),
}
"""Encoder, container and options."""
TABLE = "{:28} {:>7} {:>8} {:>7} {:>7}  {:>15} {:>15}  {:>15} {:>15}"


@dataclass(frozen=True)
class Cost:
    """Of one request, in seconds: medians."""

    cpu: float
    """CPU time of the worker."""
    wall: float
    """Time until the answer."""

    def __str__(self) -> str:
        return f"{self.cpu * 1000:.0f} / {self.wall * 1000:.0f}"


@dataclass(frozen=True)
class Result:
    """Of one video."""

    name: str
    megabytes: float
    packets: int
    kept_packets: int
    kept_share_of_bytes: float
    plan: Cost
    plan_and_strip: Cost
    decode: Cost
    decode_stripped: Cost

    def row(self) -> str:
        """A line of the table."""
        return TABLE.format(
            self.name,
            f"{self.megabytes:.1f}",
            self.packets,
            f"{self.kept_packets / self.packets:.0%}",
            f"{self.kept_share_of_bytes:.0%}",
            *map(str, (self.plan, self.plan_and_strip, self.decode, self.decode_stripped)),
        )


def encoded(encoder: str, size: str) -> Path:
    """Ten seconds of a real video, encoded unless it is there."""
    codec, container, options = ENCODERS[encoder]
    path = CACHE / f"{encoder}_{size}.{container}"
    if path.is_file():
        return path
    print(f"bench: encoding {path.name}", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    width, height = SIZES[size]
    partial = path.with_suffix(".partial")
    with (
        same_scheduling_policy(),
        av.open(real_videos()["bigbuckbunny" if height > 360 else "bikes"]) as source,
        av.open(partial, "w", format=container) as target,
    ):
        stream = cast(VideoStream, target.add_stream(codec, rate=RATE, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frames = [frame.reformat(width, height, "yuv420p") for frame in source.decode(video=0)]
        frames += frames[-2:0:-1]  # backwards, so that nothing jumps at the end
        for index in range(RATE * SECONDS):
            frame = frames[index % len(frames)]
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            frame.pict_type = av.video.frame.PictureType.NONE
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    partial.rename(path)
    return path


def repeated(path: Path, times: int) -> bytes:
    """The packets of a file several times, one after the other."""
    if times == 1:
        return path.read_bytes()
    file = BytesIO()
    container = "webm" if path.suffix == ".webm" else "mp4"
    with cast(InputContainer, av.open(path)) as source, av.open(file, "w", format=container) as target:
        stream = source.streams.video[0]
        written = target.add_stream_from_template(stream, opaque=True)
        packets = [packet for packet in source.demux(stream) if packet.size]
        long = round(SECONDS / cast(Fraction, stream.time_base))
        stamps = [(packet.pts, packet.dts) for packet in packets]
        for number in range(times):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                again = av.Packet(bytes(packet))
                again.time_base, again.is_keyframe = cast(Fraction, stream.time_base), packet.is_keyframe
                again.pts = None if pts is None else pts + number * long
                again.dts = None if dts is None else dts + number * long
                again.stream = written
                target.mux(again)
    return file.getvalue()


def costs(decoder: IsolatedDecoder, rounds: int, *calls: Callable[[], object]) -> list[Cost]:
    """What each call costs, all of them in turn."""
    cpu_seconds = cast(Any, decoder)._cpu_seconds
    taken: list[list[tuple[float, float]]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, taken, strict=True):
            before, started = cpu_seconds(), time.perf_counter()
            call()
            times.append((cpu_seconds() - before, time.perf_counter() - started))
    return [Cost(*(statistics.median(column) for column in zip(*times, strict=True))) for times in taken]


def measure(
    name: str, video: bytes, parameters: dict[str, float], *, plan_rounds: int = 11, decode_rounds: int = 3
) -> Result:
    """Read a video both ways; raises ValueError if it cannot be stripped or the clips differ."""
    content = memoryview(video)
    decoder = IsolatedDecoder(Limits(timeout_seconds=600))
    try:
        plan = decoder.plan(content, parameters, strip=Strip.WHERE_SAFE)
        if not plan["stripped_bytes"]:
            plan = decoder.plan(content, parameters, strip=Strip.FOR_FFMPEG)
        if not plan["stripped_bytes"]:
            raise ValueError(f"{name} cannot be stripped")
        frames, motion, camera = (np.array(plan[name]) for name in ("frame_indices", "motion_order", "camera_order"))
        indices = np.array(plan["stripped_indices"])

        def decode(stripped: NDArray[np.uint8] | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
            clips = decoder.decode(
                content, frames, motion, camera, 224, stripped_video=stripped, stripped_indices=indices
            )
            return clips.motion, clips.camera

        whole, part = decode(), decode(plan["stripped_video"])
        if not all(map(np.array_equal, whole, part)):
            raise ValueError(f"{name}: clips of the stripped file differ")
        planned = costs(
            decoder,
            plan_rounds,
            lambda: decoder.plan(content, parameters, strip=Strip.NEVER),
            lambda: decoder.plan(content, parameters, strip=Strip.FOR_FFMPEG),
        )
        decoded = costs(
            decoder,
            decode_rounds,
            decode,
            lambda: decode(plan["stripped_video"]),
        )
    finally:
        decoder.close()
    packets, kept = (_packets(one) for one in (video, plan["stripped_video"].tobytes()))
    share = plan["stripped_bytes"] / len(video)
    return Result(name, len(video) / 1e6, packets, kept, share, *planned, *decoded)


def _packets(video: bytes) -> int:
    with cast(InputContainer, av.open(BytesIO(video))) as container:
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.stripping", description=__doc__.split("\n\n")[0])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["360p"], metavar="SIZE")
    parser.add_argument("--seconds", nargs="+", type=int, default=[10, 60], metavar="N", help="multiples of 10")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to decode (default: %(default)s)")
    parser.add_argument("--motion", action="store_true", help="the frames of the motion scores, and of one camera clip")
    options = parser.parse_args(arguments)
    parameters: dict[str, float] = {"max_clips": 1} if options.motion else {}
    print("times in ms: CPU time of the worker / until the answer")
    print(TABLE.format("video", "MB", "packets", "left", "bytes", "plan", "and strip", "decode", "stripped"))
    for encoder in options.encoders:
        for size in options.sizes:
            for seconds in options.seconds:
                video = repeated(encoded(encoder, size), seconds // SECONDS)
                name = f"{encoder} {size} {seconds} s"
                print(measure(name, video, parameters, decode_rounds=options.rounds).row(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.long_videos`: latency of one caller's short clips while another caller sends long 4K videos.

It scores clips of 2 seconds, one at a time: alone, with one video of 60 seconds of the other caller in flight, and with
four. The networks have 22 M parameters, so that they dominate the cost of a video, as the published ones do.
"""

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import numpy as np
from av.video.stream import VideoStream

from bench.many import CACHE, repository
from client import Client
from fixtures.synthetic import encode, picture
from server import Settings, running

LONG_SECONDS = 60
RATE = 25
LONG_IN_FLIGHT = (1, 4)
WARM_UP_SECONDS = 15.0
"""Time until the networks work on the first long videos."""
LONG_VIDEO = CACHE / "4k_60s.mp4"


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.long_videos", description="Latency of short clips beside long 4K videos."
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=90.0,
        metavar="N",
        help="duration of each measurement in seconds (default: %(default)g)",
    )
    parser.add_argument("--send", metavar="URL", help="only send long videos to this server, until killed")
    parser.add_argument(
        "--in-flight", type=int, default=1, metavar="N", help="long videos in flight (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.send:
        return send(options.send, options.in_flight)
    CACHE.mkdir(parents=True, exist_ok=True)
    clip = encode(2 * RATE, width=320, height=180)
    make_long_video()
    model_repository = repository("small", width=384, depth=12)
    for long_in_flight in (0, *LONG_IN_FLIGHT):
        settings = Settings.on_free_ports(model_repository, precision="f32", stop_timeout_seconds=1)
        with running(settings) as server, long_videos(server.url, long_in_flight):
            report(long_in_flight, latencies(server.url, clip, options.seconds))
    return 0


def send(url: str, in_flight: int) -> int:
    """Send long videos until the process is killed."""

    def call(client: Client) -> None:
        while True:
            client.score(LONG_VIDEO)

    with Client(url, timeout_seconds=3600) as client, ThreadPoolExecutor(in_flight) as pool:
        for one in [pool.submit(call, client) for _ in range(in_flight)]:
            one.result()
    return 0


@contextlib.contextmanager
def long_videos(url: str, in_flight: int) -> Iterator[None]:
    """Run another process that keeps `in_flight` long videos in flight."""
    if not in_flight:
        yield
        return
    command = [sys.executable, "-m", "bench.long_videos", "--send", url, "--in-flight", str(in_flight)]
    with subprocess.Popen(command) as caller:
        time.sleep(WARM_UP_SECONDS)
        try:
            yield
        finally:
            caller.kill()


def latencies(url: str, clip: bytes, seconds: float) -> list[float]:
    """Seconds of each request of one caller with one request in flight, for `seconds`."""
    took = []
    with Client(url, timeout_seconds=600) as client:
        client.score(clip)  # the first request is slower
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.monotonic()
            client.score(clip)
            took.append(time.monotonic() - started)
    return took


def report(long_in_flight: int, took: list[float]) -> None:
    """Print a line of the table."""
    p50, p95 = np.quantile(took, [0.5, 0.95])
    print(
        f"with {long_in_flight} long videos in flight: {len(took):3} clips, p50 {p50:6.2f} s, p95 {p95:6.2f} s, "
        f"longest {max(took):6.2f} s",
        flush=True,
    )


def make_long_video() -> None:
    """Encode `LONG_VIDEO`, 140 MB, unless it exists."""
    if LONG_VIDEO.is_file():
        return
    print("bench: encoding a long 4K video", flush=True)
    pictures = [picture(index, 3840, 2160) for index in range(10)]
    partial = LONG_VIDEO.with_suffix(".partial")
    with av.open(partial, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "40", "g": "50"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 3840, 2160, "yuv420p"
        frames = [av.VideoFrame.from_ndarray(one, format="rgb24").reformat(format="yuv420p") for one in pictures]
        for index in range(LONG_SECONDS * RATE):
            frame = frames[index % len(frames)]
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    partial.rename(LONG_VIDEO)


if __name__ == "__main__":
    sys.exit(main())

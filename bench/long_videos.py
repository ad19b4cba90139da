"""`python -m bench.long_videos`: how long short clips of one caller take beside the 4K films that another one sends.

Clips of 2 seconds, one at a time: alone, beside one film of 60 seconds at a time, and beside four films in flight.
Networks of 22 M parameters: large enough to be what a video costs, as the published ones are.
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

FILM_SECONDS = 60
RATE = 25
FILMS_IN_FLIGHT = (1, 4)
WARM_UP_SECONDS = 15.0
"""Until the first films are where they take their time."""
FILM = CACHE / "film_4k_60s.mp4"


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.long_videos", description="Short clips beside 4K films.")
    parser.add_argument("--seconds", type=float, default=90.0, metavar="N", help="of each part (default: %(default)g)")
    parser.add_argument("--send", metavar="URL", help="only send films, until killed")
    parser.add_argument("--in-flight", type=int, default=1, metavar="N", help="of those (default: %(default)s)")
    options = parser.parse_args()
    if options.send:
        return send(options.send, options.in_flight)
    CACHE.mkdir(parents=True, exist_ok=True)
    clip = encode(2 * RATE, width=320, height=180)
    make_film()
    model_repository = repository("small", width=384, depth=12)
    for films_in_flight in (0, *FILMS_IN_FLIGHT):
        settings = Settings.on_free_ports(model_repository, precision="f32", stop_timeout_seconds=1)
        with running(settings) as server, films(server.url, films_in_flight):
            report(films_in_flight, latencies(server.url, clip, options.seconds))
    return 0


def send(url: str, in_flight: int) -> int:
    """The caller with the films, until the process is killed."""

    def call(client: Client) -> None:
        while True:
            client.score(FILM)

    with Client(url, timeout_seconds=3600) as client, ThreadPoolExecutor(in_flight) as pool:
        for one in [pool.submit(call, client) for _ in range(in_flight)]:
            one.result()
    return 0


@contextlib.contextmanager
def films(url: str, in_flight: int) -> Iterator[None]:
    """Another process that has so many films in flight all the time."""
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
    """Seconds of each of the requests that one caller makes, one after the other."""
    took = []
    with Client(url, timeout_seconds=600) as client:
        client.score(clip)  # the first is slower
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.monotonic()
            client.score(clip)
            took.append(time.monotonic() - started)
    return took


def report(films_in_flight: int, took: list[float]) -> None:
    """Print a line of the table."""
    p50, p95 = np.quantile(took, [0.5, 0.95])
    print(
        f"beside {films_in_flight} films in flight: {len(took):3} clips, p50 {p50:6.2f} s, p95 {p95:6.2f} s, "
        f"longest {max(took):6.2f} s",
        flush=True,
    )


def make_film() -> None:
    """A 4K film of a minute, 140 MB, where it is not there yet."""
    if FILM.is_file():
        return
    print("bench: making a 4K film", flush=True)
    scene = [picture(index, 3840, 2160) for index in range(10)]
    partial = FILM.with_suffix(".partial")
    with av.open(partial, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "40", "g": "50"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 3840, 2160, "yuv420p"
        frames = [av.VideoFrame.from_ndarray(one, format="rgb24").reformat(format="yuv420p") for one in scene]
        for index in range(FILM_SECONDS * RATE):
            frame = frames[index % len(frames)]
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    partial.rename(FILM)


if __name__ == "__main__":
    sys.exit(main())

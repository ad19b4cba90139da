"""`python -m bench.signals`: what a request saves that asks for motion alone, beside what the camera clips cost.

Requests for motion, for camera, and for both go to one server in turn. Their networks are random and a fifth of the
published size; a video's camera clips cost their share of decoding, and the time of the classifier.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from statistics import median

from bench.__main__ import model_seconds
from bench.many import CACHE, encode, repository
from bench.markdown import table
from client import Client
from server import Server, Settings, running

MOTION, CAMERA, BOTH = ("motion",), ("camera",), ("motion", "camera")
TOLERANCE = 0.25
"""How far what is saved may be from what the clips cost, as a share of it."""


class Costs:
    """Seconds of the requests for some signals."""

    def __init__(self, signals: tuple[str, ...]) -> None:
        self.signals = signals
        self.latency: list[float] = []
        self.decoding: list[float] = []
        self.classifier: list[float] = []

    def ask(self, server: Server, client: Client, video: bytes) -> None:
        """Send one request."""
        before, started = model_seconds(server), time.perf_counter()
        client.score(video, signals=self.signals)
        self.latency.append(time.perf_counter() - started)
        after = model_seconds(server)
        for model, seconds in (("video_decode", self.decoding), ("camera_classifier", self.classifier)):
            seconds.append(after[model] - before[model])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status: 1 if less is saved than the camera clips cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.signals", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=6, metavar="N", help="of video (default: %(default)s)")
    options = parser.parse_args(arguments)
    CACHE.mkdir(parents=True, exist_ok=True)
    video = encode(options.seconds, 320)
    measured = [Costs(signals) for signals in (MOTION, CAMERA, BOTH)]
    settings = Settings.on_free_ports(repository("signals", width=384, depth=12), precision="f32")
    with running(settings) as server, Client(server.url) as client:
        for signals in (MOTION, CAMERA, BOTH):
            client.score(video, signals=signals)
        for _ in range(options.rounds):
            for costs in measured:
                costs.ask(server, client, video)
    rows = [
        [", ".join(costs.signals), *(f"{median(seconds):.3f}" for seconds in (costs.latency, costs.decoding))]
        for costs in measured
    ]
    print(table(("signals", "latency, s", "in video_decode, s"), rows))
    motion, camera, both = measured
    saved = median(both.latency) - median(motion.latency)
    # With both, the statistics of the networks have the time in which one waits for the other.
    cost = median(camera.classifier) + median(both.decoding) - median(motion.decoding)
    print(f"bench: camera clips cost {cost:.3f} s, {median(camera.classifier):.3f} s of it in the classifier")
    print(f"bench: motion alone saves {saved:.3f} s of {median(both.latency):.3f} s, {saved / cost:.0%} of that cost")
    return 0 if saved >= (1 - TOLERANCE) * cost else 1


if __name__ == "__main__":
    sys.exit(main())

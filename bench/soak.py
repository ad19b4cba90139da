"""`python -m bench.soak`: memory, latencies and errors of a server under mixed load for half an hour.

It keeps 8 requests in flight to a server as `make serve` starts it: valid, damaged, large and long videos. The networks
are tiny, because everything around them is tested. It writes .bench/soak.json and .bench/soak.png, and compares the
memory at the end with that at minute 5, and p99 of the last 5 minutes with that of minutes 5 to 10.

With --attackers, hostile callers (bench/attackers.py) attack the server half of the time, and the report compares the
good callers' latencies, the memory of the server's processes and its log with and without them.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import numpy as np

from bench.attackers import Attackers, bomb
from bench.many import CACHE as NETWORKS
from bench.many import SERVER_LOG, repository, supervised
from bench.memory import proportional_mib
from bench.phases import PHASES, attack_in_turn, compare, side
from client import Client, ClientError, InvalidRequest, Score
from fixtures.hostile import SEEDS, random_mutation, seed
from fixtures.synthetic import encode
from server import Settings

matplotlib.use("Agg")  # works without a display
from matplotlib import pyplot

OUTPUT = Path(__file__).parent.parent / ".bench"
IN_FLIGHT = 8
KINDS = {"good": 0.59, "bad": 0.39, "large": 0.01, "long": 0.01}
"""Shares of the requests. Extremes come from the start on: shared memory between Triton and its models never shrinks,
so that a late first extreme (a mutation can turn a file into one of hours) would look like a leak."""
SAMPLE_SECONDS = 2.0
MIN_MINUTES = 15
"""A shorter run has no minutes 5 to 10 and last 5 to compare."""
MAX_GROWTH = 0.05
MAX_P99_CHANGE = 0.2


@dataclass(frozen=True)
class Request:
    """One request."""

    at_seconds: float
    """Time of its answer, from the start of the run."""
    kind: str
    """A key of `KINDS`."""
    seconds: float
    """Its latency."""
    outcome: str
    """`scored`, `refused`, the name of another exception, or `wrong`: scores of a valid video that changed."""


class Soak:
    """The callers and their results."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._choose = random.Random(0)
        self.requests: list[Request] = []
        self.memory_mib: list[tuple[float, float]] = []
        self.good = encode(60)
        self._large = encode(50, width=3840, height=2160, options={"preset": "ultrafast"})
        # Has the maximum number of clips.
        self._long = encode(700, width=64, height=48, rate=10)
        with Client(url, timeout_seconds=120) as client:
            self._expected = {kind: client.score(self._video(kind)) for kind in KINDS if kind != "bad"}
        # Only now, because encoding the large video takes half a minute.
        self._started = time.monotonic()
        self._end = self._started + seconds

    @property
    def elapsed_seconds(self) -> float:
        """Time since the start of the run."""
        return time.monotonic() - self._started

    def call(self) -> None:
        """Send requests, one at a time, until the end of the run."""
        with Client(self._url, timeout_seconds=120, away_seconds=60) as client:
            while time.monotonic() < self._end:
                with self._lock:
                    (kind,) = self._choose.choices(list(KINDS), list(KINDS.values()))
                    video = self._video(kind)
                started = time.monotonic()
                outcome = self._ask(client, kind, video)
                self.requests.append(Request(self.elapsed_seconds, kind, time.monotonic() - started, outcome))

    def _video(self, kind: str) -> bytes:
        if kind == "bad":
            return random_mutation(seed(self._choose.choice(list(SEEDS))), self._choose)
        return {"good": self.good, "large": self._large, "long": self._long}[kind]

    def _ask(self, client: Client, kind: str, video: bytes) -> str:
        try:
            score: Score = client.score(video)
        except InvalidRequest:
            return "refused"
        except ClientError as error:
            print(f"{self.elapsed_seconds:.0f} s: {kind}: {error}", file=sys.stderr, flush=True)
            return type(error).__name__
        return "wrong" if kind != "bad" and score != self._expected[kind] else "scored"

    def watch(self, server: int) -> None:
        """Sample the memory of the process tree of `server` until the end of the run."""
        while time.monotonic() < self._end:
            self.memory_mib.append((self.elapsed_seconds, proportional_mib(server)))
            time.sleep(SAMPLE_SECONDS)

    def memory_around(self, at_seconds: float) -> float:
        """Mean memory in MiB within half a minute of that time."""
        return float(np.mean([mib for at, mib in self.memory_mib if abs(at - at_seconds) < 30]))

    def p99_of_five_minutes(self, start_seconds: float) -> float:
        """99th percentile of the latencies in the five minutes from `start_seconds` on, in seconds."""
        end_seconds = start_seconds + 300
        took = [request.seconds for request in self.requests if start_seconds <= request.at_seconds < end_seconds]
        return float(np.quantile(took, 0.99))


def main() -> int:
    """Run, plot, print the figures, and return the exit status: 0 if all bounds hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Test a server under mixed load.")
    parser.add_argument(
        "--minutes",
        type=float,
        default=30.0,
        metavar="N",
        help=f"(default: %(default)g; with less than {MIN_MINUTES}, memory and latency are not compared)",
    )
    parser.add_argument(
        "--attackers",
        action="store_true",
        help=f"attack the server in every second of {PHASES} equal phases, and compare them with the others",
    )
    options = parser.parse_args()
    NETWORKS.mkdir(parents=True, exist_ok=True)
    seconds = options.minutes * 60
    bombs = bomb(OUTPUT / "bomb.mp4") if options.attackers else b""
    networks = repository("soak", width=48, depth=1)
    settings = Settings.on_free_ports(networks)
    with supervised(networks, settings) as (url, server):
        soak = Soak(url, seconds)
        attackers = Attackers(settings, bombs, soak.good, Counter())
        with ThreadPoolExecutor(IN_FLIGHT + 2) as pool:
            asked = [pool.submit(soak.call) for _ in range(IN_FLIGHT)] + [pool.submit(soak.watch, server)]
            if options.attackers:
                asked.append(pool.submit(attack_in_turn, soak, seconds, attackers.run))
            for one in asked:
                one.result()
        log_bytes = SERVER_LOG.stat().st_size
    requests = [asdict(request) for request in soak.requests]
    (OUTPUT / "soak.json").write_text(json.dumps({"requests": requests, "memory_mib": soak.memory_mib}))
    _plot(soak, OUTPUT / "soak.png")
    if not options.attackers:
        return _report(soak, seconds)
    for what, count in sorted(attackers.counts.items()):
        print(f"{count:12d}  {what}")
    quiet, attacked = (side(soak, seconds, attacked=attacked) for attacked in (False, True))
    return 0 if all(compare(quiet, attacked, log_bytes, _verdict)) else 1


def _report(soak: Soak, seconds: float) -> int:
    counts = Counter((request.kind, request.outcome) for request in soak.requests)
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{count:7d}  {kind:5}  {outcome}")
    for kind in KINDS:
        took = [request.seconds for request in soak.requests if request.kind == kind]
        if not took:
            continue  # in a short run: one video in a hundred is large, and one is long
        p50, p95, p99 = np.quantile(took, [0.5, 0.95, 0.99])
        print(f"{kind:5}  p50 {p50:.2f} s  p95 {p95:.2f} s  p99 {p99:.2f} s")
    expected = {(kind, "scored") for kind in KINDS} | {("bad", "refused")}
    unexpected = sum(count for outcome, count in counts.items() if outcome not in expected)
    kept = [_verdict("answers", f"{unexpected} of {counts.total()} outcomes were unexpected", unexpected == 0)]
    if seconds < MIN_MINUTES * 60:
        print("memory and p99: not compared, the run is too short")
        return 0 if all(kept) else 1
    early, late = (soak.memory_around(when) for when in (300, seconds - 30))
    growth = late / early - 1
    memory = f"{early:.0f} MiB at minute 5, {late:.0f} MiB at the end: {growth:+.1%}, at most {MAX_GROWTH:+.0%}"
    kept.append(_verdict("memory", memory, growth <= MAX_GROWTH))
    first, last = (soak.p99_of_five_minutes(start) for start in (300, seconds - 300))
    change = last / first - 1
    p99 = f"{first:.2f} s in minutes 5 to 10, {last:.2f} s in the last 5: {change:+.1%}, at most {MAX_P99_CHANGE:+.0%}"
    kept.append(_verdict("p99", p99, change <= MAX_P99_CHANGE))
    return 0 if all(kept) else 1


def _verdict(what: str, seen: str, kept: bool) -> bool:
    print(f"{'KEPT  ' if kept else 'BROKEN'}  {what}: {seen}")
    return kept


def _plot(soak: Soak, path: Path) -> None:
    figure, (memory, latency, errors) = pyplot.subplots(3, sharex=True, figsize=(10, 9), layout="constrained")
    memory.plot([at / 60 for at, _ in soak.memory_mib], [mib for _, mib in soak.memory_mib])
    memory.set(ylabel="server, MiB (PSS)", ylim=(0, None))
    for kind in KINDS:
        asked = [request for request in soak.requests if request.kind == kind]
        minutes_of = [request.at_seconds / 60 for request in asked]
        latency.scatter(minutes_of, [request.seconds for request in asked], s=2, label=kind)
    latency.set(ylabel="seconds a request", yscale="log")
    latency.legend(markerscale=5)
    minutes = range(int(max(request.at_seconds for request in soak.requests) / 60) + 1)
    for outcome in sorted({request.outcome for request in soak.requests}):
        per_minute = Counter(int(request.at_seconds / 60) for request in soak.requests if request.outcome == outcome)
        errors.step(minutes, [per_minute[minute] for minute in minutes], where="post", label=outcome)
    errors.set(xlabel="minutes", ylabel="requests a minute", ylim=(0, None))
    errors.legend()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    sys.exit(main())

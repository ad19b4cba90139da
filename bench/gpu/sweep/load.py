"""`python -m bench.gpu.sweep.load URL VIDEO IN_FLIGHT SECONDS`: keep so many requests in flight, and count the answers.

A process of its own, so that the measured server's proxy and supervisor do not share an interpreter with it. It prints
`warm` when there were as many answers as callers, counts from the next line of its standard input on, and prints one
JSON object when it has counted for SECONDS and again for as many answers.
"""

import json
import statistics
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from client import Client

TIMEOUT_SECONDS = 600.0


class Callers:
    """Threads that send the same video again and again."""

    def __init__(self, url: str, video: bytes, count: int) -> None:
        """Start them."""
        self._client = Client(url, timeout_seconds=TIMEOUT_SECONDS, max_in_flight=count)
        self._video = video
        self._changed = threading.Condition()
        self._answers: list[tuple[float, float, str]] = []
        """The moment of each, its latency in seconds, and what decoded the video."""
        self._failure: Exception | None = None
        self._stopped = False
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        while not self._stopped:
            started = time.perf_counter()
            try:
                score = self._client.score(self._video)
            except Exception as error:
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            with self._changed:
                ended = time.perf_counter()
                self._answers.append((ended, ended - started, getattr(score, "decoder", None) or "unknown"))
                self._changed.notify_all()

    def wait_for(self, answers: int) -> float:
        """Wait for so many answers in all; the moment of the last one. Raises what a caller raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or len(self._answers) >= answers)
            if self._failure:
                raise self._failure
            return self._answers[-1][0]

    def count(self, seconds: float) -> dict[str, Any]:
        """Count the answers from now on."""
        began = len(self._answers)
        started, cpu = time.perf_counter(), time.process_time()
        ended = self.wait_for(began + len(self._threads))
        while ended - started < seconds:
            ended = self.wait_for(len(self._answers) + 1)
        counted = [answer for answer in self._answers[began:] if answer[0] <= ended]
        latencies = [latency for _, latency, _ in counted]
        centiles = statistics.quantiles(latencies, n=100, method="inclusive") if len(latencies) > 1 else latencies * 99
        return {
            "videos": len(latencies),
            "seconds": ended - started,
            "videos_per_second": len(latencies) / (ended - started),
            "p50_seconds": centiles[49],
            "p99_seconds": centiles[98],
            "decoders": Counter(decoder for _, _, decoder in counted),
            "caller_cores": (time.process_time() - cpu) / (time.perf_counter() - started),
        }

    def stop(self) -> None:
        """Let the requests in flight finish."""
        self._stopped = True
        for thread in self._threads:
            thread.join()
        self._client.close()


def main(arguments: list[str]) -> int:
    """Run the load; the exit status, 1 with one line on standard error if a request failed."""
    url, video, in_flight, seconds = arguments
    callers = Callers(url, Path(video).read_bytes(), int(in_flight))
    try:
        callers.wait_for(int(in_flight))
        print("warm", flush=True)
        sys.stdin.readline()
        print(json.dumps(callers.count(float(seconds))), flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
        return 1
    finally:
        callers.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

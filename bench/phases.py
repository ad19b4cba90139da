"""A soak with attackers: it is quiet and attacked in turn, and the report shows both side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.soak import Request, Soak

PHASES = 6
"""Quiet and attacked in turn, the first one quiet."""
SETTLING = 0.2
"""Share of each phase that is not counted: what an attack has left in the server is still being worked off."""
MAX_P99_RATIO = 2.0
MAX_GROWTH = 0.05
MAX_LOG_BYTES = 10_000_000


@dataclass(frozen=True)
class Side:
    """What the good callers and the server went through in all quiet or all attacked phases."""

    good: list["Request"]
    """The good callers' requests that began in them, once they had settled."""
    memory_mib: list[float]
    """Mean memory of the server's processes in each phase, once it had settled."""

    @property
    def failed(self) -> int:
        """Good videos without the expected scores."""
        return sum(request.outcome != "scored" for request in self.good)

    def quantile(self, share: float) -> float:
        """Of the good callers' latencies, in seconds; not a number if there were none."""
        return float(np.quantile([request.seconds for request in self.good], share)) if self.good else float("nan")


def attack_in_turn(soak: "Soak", seconds: float, attack: Callable[[float], None]) -> None:
    """Call `attack` with its length in seconds at the start of every second phase."""
    length = seconds / PHASES
    for phase in range(1, PHASES, 2):
        time.sleep(max(0.0, phase * length - soak.elapsed_seconds))
        attack(max(0.0, (phase + 1) * length - soak.elapsed_seconds))


def side(soak: "Soak", seconds: float, *, attacked: bool) -> Side:
    """One side of the comparison."""
    length = seconds / PHASES
    phases = range(int(attacked), PHASES, 2)

    def phase_of(at_seconds: float) -> int:
        """The phase; -1 while it settles."""
        phase, into = divmod(at_seconds, length)
        return int(phase) if into >= SETTLING * length else -1

    good = [one for one in soak.requests if one.kind == "good" and phase_of(one.at_seconds - one.seconds) in phases]
    memory = [[mib for at, mib in soak.memory_mib if phase_of(at) == phase] for phase in phases]
    return Side(good, [float(np.mean(samples)) for samples in memory if samples])


def compare(quiet: Side, attacked: Side, log_bytes: int, verdict: Callable[[str, str, bool], bool]) -> list[bool]:
    """Print both sides and the verdicts; whether each bound holds."""
    print(f"{'':32}{'quiet':>10}{'attacked':>10}")
    for label, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        print(f"good callers' {label}, s{'':14}{quiet.quantile(share):10.2f}{attacked.quantile(share):10.2f}")
    print(f"good videos{'':21}{len(quiet.good):10d}{len(attacked.good):10d}")
    print(f"good videos without scores{'':6}{quiet.failed:10d}{attacked.failed:10d}")
    for number, (before, during) in enumerate(zip(quiet.memory_mib, attacked.memory_mib, strict=False), 1):
        print(f"server's memory, MiB, pair {number}{'':4}{before:10.0f}{during:10.0f}")
    ratio = attacked.quantile(0.99) / quiet.quantile(0.99)
    growth = max(one.memory_mib[-1] / one.memory_mib[0] - 1 for one in (quiet, attacked) if one.memory_mib)
    failed = quiet.failed + attacked.failed
    return [
        verdict("good", f"{failed} good videos without scores", failed == 0),
        verdict("p99", f"{ratio:.2f} times as long with attackers, at most {MAX_P99_RATIO:g}", ratio <= MAX_P99_RATIO),
        verdict(
            "memory",
            f"{growth:+.1%} from the first phases to the last, at most {MAX_GROWTH:+.0%}",
            growth <= MAX_GROWTH,
        ),
        verdict("log", f"{log_bytes} bytes, at most {MAX_LOG_BYTES}", log_bytes <= MAX_LOG_BYTES),
    ]

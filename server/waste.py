"""What addresses made the server do for nothing: answers that nobody took, and videos that took more than they may."""

import math
import time
from collections.abc import Callable

HALF_LIFE_SECONDS = 60.0
"""After so long, half of what an address has wasted is forgotten."""
WASTEFUL_SECONDS = 10.0
"""An address that has wasted more is wasteful."""
MAX_ADDRESSES = 10_000
"""Addresses that are remembered; then those that wasted least are forgotten."""


class Waste:
    """The seconds that each address's calls were in flight for nothing, fading with `HALF_LIFE_SECONDS`."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns the time in seconds."""
        self._now = now
        self._wasted: dict[str, tuple[float, float]] = {}
        """By address, seconds and the time at which they were that many."""

    def add(self, address: str, seconds: float) -> None:
        """Count a call of `address` that was in flight for so long."""
        self._wasted[address] = (self.seconds(address) + seconds, self._now())
        if len(self._wasted) > MAX_ADDRESSES:
            ordered = sorted(self._wasted, key=self.seconds)
            for forgotten in ordered[: MAX_ADDRESSES // 2]:
                del self._wasted[forgotten]

    def seconds(self, address: str) -> float:
        """What is left of what `address` wasted."""
        seconds, then = self._wasted.get(address, (0.0, 0.0))
        return seconds * math.exp2((then - self._now()) / HALF_LIFE_SECONDS)

    def is_wasteful(self, address: str) -> bool:
        """Whether `address` lately wasted more than `WASTEFUL_SECONDS`."""
        return self.seconds(address) > WASTEFUL_SECONDS

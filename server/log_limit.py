"""How much of what tritonserver writes is passed on: repeated lines are counted, and all others are bounded in rate.

Callers can make it write: without a free descriptor it wrote half a million equal lines a second.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass

REPEATS = 5
"""Equal lines that are passed on within a window; further ones are counted."""
WINDOW_SECONDS = 30.0
MAX_TEXTS = 1000
"""Different lines that are remembered."""
# Triton's prefix: severity and date, time, thread.
_PREFIX = re.compile(r"[A-Z]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ")


class _Bucket:
    """So many lines a second, and more at once after quiet."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self._per_second, self._at_once = per_second, at_once
        self._left = float(at_once)
        self._since: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more line may pass."""
        elapsed = 0.0 if self._since is None else now - self._since
        self._since = now
        self._left = min(self._left + elapsed * self._per_second, self._at_once)
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass
class _Text:
    since: float
    count: int = 0


class LogLimit:
    """Chooses the lines to pass on; times are seconds of one clock."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, _Text] = OrderedDict()  # the oldest window first
        self._lines = _Bucket(100, 2000)
        self._requests = _Bucket(500, 5000)  # the lines of JSON about requests
        self._left_out = 0

    def admit(self, line: str, now: float) -> list[str]:
        """The lines to pass on now that `line` was written: it and summaries of others, or neither."""
        found = self._ended(now)
        if self._is_new(line, now, found):
            found.append(line)
        passed = [one for one in found if (self._requests if one.startswith("{") else self._lines).take(now)]
        self._left_out += len(found) - len(passed)
        return [*self._left_out_line(), *passed] if passed else []

    def end(self) -> list[str]:
        """What is left to say after the last line."""
        passed = [line for text, known in self._texts.items() for line in _summary(text, known)]
        self._texts.clear()
        return [*passed, *self._left_out_line()]

    def _is_new(self, line: str, now: float, found: list[str]) -> bool:
        """Whether it has not been repeated too often; appends the summary of a line that is forgotten to `found`."""
        text = _PREFIX.sub("", line, count=1).rstrip()
        if not text:
            return True
        if text not in self._texts:
            self._texts[text] = _Text(now)
            if len(self._texts) > MAX_TEXTS:
                found += _summary(*self._texts.popitem(last=False))
        known = self._texts[text]
        known.count += 1
        return known.count <= REPEATS

    def _left_out_line(self) -> list[str]:
        count, self._left_out = self._left_out, 0
        lines = "1 line of tritonserver is" if count == 1 else f"{count} lines of tritonserver are"
        return [f"server: {lines} left out, it wrote too many\n"] if count else []

    def _ended(self, now: float) -> list[str]:
        """Summaries of windows that have ended."""
        found = []
        while self._texts:
            text, known = next(iter(self._texts.items()))
            if now - known.since < WINDOW_SECONDS:
                break
            del self._texts[text]
            found += _summary(text, known)
        return found


def _summary(text: str, known: _Text) -> list[str]:
    """A line about the copies that were not passed on."""
    more = known.count - REPEATS
    return [f"server: tritonserver wrote this {more} times more: {text.rstrip()[:500]}\n"] if more > 0 else []

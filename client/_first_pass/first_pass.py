"""The first pass of a run: which of its videos are skipped."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from .errors import FirstPassError
from .look import Look
from .part import Part
from .thresholds import Thresholds
from .workers import Workers

MEASURE = "measure"
"""Instead of thresholds: skip nothing, and write what was seen."""


@dataclass(frozen=True)
class SkippedVideo:
    """A video that was not sent to a server."""

    by: str
    """Why: `static`, `black` or `frozen`."""
    look: Look
    """What was seen of it."""


class FirstPass:
    """Looks at videos before they are sent; a context manager, safe to use from several threads."""

    def __init__(self, thresholds: Thresholds | None, *, jobs: int) -> None:
        """thresholds: when to skip; None to measure only. jobs: videos at once."""
        self._thresholds = thresholds
        self._workers = Workers(thresholds, max(1, (os.cpu_count() or 1) // jobs))

    @property
    def terms(self) -> dict[str, float]:
        """What all runs that write one table must agree on."""
        return {MEASURE: 1} if self._thresholds is None else self._thresholds.as_dict()

    def look(self, video: str | bytes, parameters: Mapping[str, float]) -> Look | None:
        """Look at a file, or at an encoded video, whose request has these parameters.

        None if it is sure that it is not skipped, or if it cannot be looked at: the server then says what is wrong.
        """
        start, end = (parameters.get(name) for name in ("start_seconds", "end_seconds"))
        try:
            return self._workers.look(video, Part(start, end, bool(parameters.get("from_first_frame"))))
        except FirstPassError:
            return None

    def skipped(self, look: Look | None) -> SkippedVideo | None:
        """Whether a video that looks so is skipped, and why."""
        if look is None or self._thresholds is None:
            return None
        by = self._thresholds.verdict(look)
        return None if by is None else SkippedVideo(by, look)

    def __enter__(self) -> "FirstPass":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.close()

"""A line of JSON on standard error for each request, among the lines of Triton's own log.

Not by Triton's logger, which puts a prefix before it. All but ASCII is escaped, so that nothing a stranger sends ends a
line early or speaks to a terminal.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from video.errors import Outcome
from video.request_record import Record

STANDARD_ERROR = 2
VARIABLE = "REQUEST_LOG"
MAX_TEXT = 1500
"""Characters of a text as JSON. A whole line stays below 4096 bytes, which a pipe takes in one piece from each of
several processes."""


class Logged(StrEnum):
    """Which requests have a line."""

    ALL = "all"
    ERRORS = "errors"
    OFF = "off"


class RequestLog:
    """Writes what became of requests."""

    def __init__(self, logged: Logged, descriptor: int = STANDARD_ERROR) -> None:
        """`descriptor`: the open file that lines are written to."""
        self._logged = logged
        self._descriptor = descriptor

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "RequestLog":
        """The log that REQUEST_LOG asks for, `all` where it says nothing; ValueError where it makes no sense."""
        asked = environment.get(VARIABLE) or Logged.ALL
        if asked not in [*Logged]:
            raise ValueError(f"{VARIABLE} is {asked!r}, it must be {Logged.ALL}, {Logged.ERRORS} or {Logged.OFF}")
        return cls(Logged(asked))

    def write(self, record: Record) -> None:
        """Write the line of a request, if it is to have one; a log that cannot be written costs no request."""
        if self._logged is Logged.OFF or (self._logged is Logged.ERRORS and record.outcome is Outcome.OK):
            return
        try:
            os.write(self._descriptor, line(record))
        except OSError:
            return


def line(record: Record) -> bytes:
    """The line of a request: what is not known of it is left out."""
    said = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": "request",
        "model": record.model,
        "request_id": _shortened(record.request_id) or None,
        "outcome": record.outcome,
        "reason": record.reason,
        "error": None if record.error is None else _shortened(record.error),
        "seconds": round(record.seconds, 6),
        "video_bytes": record.video_bytes,
        "frames_wanted": record.frames_wanted,
        "frames_decoded": record.frames_decoded,
        "motion_clips": record.motion_clips,
        "camera_clips": record.camera_clips,
        "restarts": dict(record.restarts) or None,
    }
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode() + b"\n"


def _shortened(text: str) -> str:
    while len(json.dumps(text)) > MAX_TEXT:
        text = text[: len(text) // 2]
    return text

"""A line of JSON on standard error for each request, between the lines of Triton's own log.

Triton's logger is not used, because it adds a prefix. Everything but ASCII is escaped, so that untrusted text can
neither end a line nor control a terminal.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum

from video.errors import RequestOutcome
from video.request_record import RequestRecord

STANDARD_ERROR = 2
VARIABLE = "REQUEST_LOG"
MAX_TEXT = 1500
"""Maximum length of a text as JSON; it keeps a line below 4096 bytes, which a pipe takes in one piece even if several
processes write to it."""
ABANDONED_SECONDS = 10.0
"""Callers that cancel by the thousand must not fill a disk; metrics count each of them."""
MAX_DETAIL = 250
"""Maximum length of what is said about NVDEC, in the same way."""


class Logged(StrEnum):
    """Which requests are logged."""

    ALL = "all"
    ERRORS = "errors"
    OFF = "off"


class RequestLog:
    """Logs requests; of those whose callers have gone, one in `ABANDONED_SECONDS`, with how many more there were."""

    def __init__(self, logged: Logged, descriptor: int = STANDARD_ERROR) -> None:
        """`descriptor`: the open file to write to."""
        self._logged = logged
        self._descriptor = descriptor
        self._abandoned_logged = -math.inf
        self._abandoned_more = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "RequestLog":
        """The log that REQUEST_LOG selects, `all` by default; ValueError for an unknown value."""
        asked = environment.get(VARIABLE) or Logged.ALL
        if asked not in [*Logged]:
            raise ValueError(f"{VARIABLE} is {asked!r}, it must be {Logged.ALL}, {Logged.ERRORS} or {Logged.OFF}")
        return cls(Logged(asked))

    def write(self, record: RequestRecord) -> None:
        """Log a request if it is one of those to log; a failure to write is ignored."""
        went_well = record.outcome is RequestOutcome.OK and record.nvdec_error is None
        if self._logged is Logged.OFF or (self._logged is Logged.ERRORS and went_well):
            return
        more = 0
        if record.outcome is RequestOutcome.ABANDONED:
            now = time.monotonic()
            if now - self._abandoned_logged < ABANDONED_SECONDS:
                self._abandoned_more += 1
                return
            self._abandoned_logged, more, self._abandoned_more = now, self._abandoned_more, 0
        try:
            os.write(self._descriptor, line(record, more))
        except OSError:
            return


def line(record: RequestRecord, more_abandoned: int = 0) -> bytes:
    """The line of a request, without fields that are None; `more_abandoned` have no line of their own."""
    said = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": "request",
        "model": record.model,
        "request_id": _shortened(record.request_id),
        "outcome": record.outcome,
        "reason": record.reason,
        "error": _shortened(record.error),
        "seconds": round(record.seconds, 6),
        "video_bytes": record.video_bytes,
        "frames_wanted": record.frames_wanted,
        "frames_decoded": record.frames_decoded,
        "motion_clips": record.motion_clips,
        "camera_clips": record.camera_clips,
        "encoder_frames": record.encoder_frames or None,
        "decoder": record.decoder,
        "why_not_nvdec": _shortened(record.why_not_nvdec, MAX_DETAIL),
        "nvdec_error": _shortened(record.nvdec_error, MAX_DETAIL),
        "restarts": dict(record.restarts) or None,
        "more_abandoned": more_abandoned or None,
    }
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode() + b"\n"


def _shortened(text: str | None, most: int = MAX_TEXT) -> str | None:
    while text and len(json.dumps(text)) > most:
        text = text[: len(text) // 2]
    return text or None

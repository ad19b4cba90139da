"""A process that cuts one part after the other: a decoder may crash or hang on a broken file.

Reads a JSON object a line from standard input, and answers with `{"alive": true}` now and then, and at last with
`{"facts": ...}`, or with `{"error": sentence, "errno": number or null}`. It ends with its standard input.
"""

import errno
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import av

from .copying import copy_part
from .encoding import encode_part
from .errors import PartError
from .opening import first_frame_seconds, opened
from .settings import Settings

ALIVE_SECONDS = 1.0
"""How often a busy worker says so."""
OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Every other part would fail with these, too."""


def main() -> None:
    """Answer until standard input ends; Ctrl-C is for the process that asks."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what a library prints is no answer

        def say(content: dict[str, Any]) -> None:
            answers.write(json.dumps(content) + "\n")
            answers.flush()

        last = 0.0

        def alive() -> None:
            nonlocal last
            if time.monotonic() - last >= ALIVE_SECONDS:
                last = time.monotonic()
                say({"alive": True})

        for line in sys.stdin:
            with _same_scheduling_policy():
                say(_answer(json.loads(line), alive))


def _answer(request: dict[str, Any], alive: Any) -> dict[str, Any]:
    try:
        return {"facts": asdict(_cut(request, alive))}
    except PartError as error:
        return {"error": str(error), "errno": None}
    except (av.FFmpegError, OSError) as error:
        return {"error": _why(error), "errno": error.errno if error.errno in OUTPUT_ERRORS else None}
    except Exception as error:  # one part must not end the others
        return {"error": f"{type(error).__name__}: {error}", "errno": None}


def _cut(request: dict[str, Any], alive: Any) -> Any:
    settings = Settings(**request["settings"])
    start, end = request["start_seconds"], request["end_seconds"]
    if request["from_first_frame"] and (start is not None or end is not None):
        first = first_frame_seconds(request["source"])
        start, end = (None if seconds is None else seconds + first for seconds in (start, end))
    with opened(request["source"], sound=settings.sound) as source:
        if settings.copy:
            return copy_part(source, request["target"], start, end, alive)
        return encode_part(source, request["target"], start, end, settings, request["threads"], alive)


def _why(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"it cannot be decoded: {reason}" if isinstance(error, av.error.InvalidDataError) else reason


@contextmanager
def _same_scheduling_policy() -> Iterator[None]:
    """SVT-AV1 makes its caller SCHED_FIFO where it may; the next part must not run so."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, policy, parameters)


if __name__ == "__main__":
    main()

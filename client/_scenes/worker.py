"""Finds the scenes of one video after the other, in a process of its own: a decoder may crash or hang on a broken file.

Reads a JSON object `{path, settings, threads}` a line from standard input. Writes JSON lines: `{"done": share}` now and
then, and at the end of each video `{"scenes": [[start, end], ...]}` or `{"error": sentence}`.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from .cuts import CutFinder
from .errors import ScenesError
from .footage import Footage
from .scene import Scene
from .settings import Settings

_REPORT_SECONDS = 0.5


def find_scenes(
    path: str, settings: Settings, *, threads: int = 0, report: Callable[[float], None] = lambda _: None
) -> list[Scene]:
    """The scenes of a video file; `report` is called now and then with the share that is done. Raises `ScenesError`."""
    with Footage(path, downscale=settings.downscale, frame_skip=settings.frame_skip, threads=threads) as footage:
        finder = CutFinder(settings, footage.rate, footage.time_base)
        reported = time.monotonic()
        for frame in footage.frames():
            finder.add(frame)
            if time.monotonic() - reported > _REPORT_SECONDS:
                reported = time.monotonic()
                report(footage.done_share)
        return finder.scenes(float(footage.end_pts * footage.time_base))


def main() -> None:
    """Answer requests until standard input ends."""
    # What libraries print is no answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    for line in sys.stdin:
        request = json.loads(line)
        try:
            scenes = find_scenes(
                request["path"],
                Settings.of(request["settings"]),
                threads=request["threads"],
                report=lambda share: answer({"done": share}),
            )
        except ScenesError as error:
            answer({"error": str(error)})
        except MemoryError:
            answer({"error": "there is not enough memory for its frames"})
        else:
            answer({"scenes": scenes})


if __name__ == "__main__":
    main()

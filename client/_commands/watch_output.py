"""What `watch` prints: one line that changes on a terminal, otherwise a JSON object per line."""

import json
import shutil
import sys

from .._watch.lines import live_line
from .._watch.watched import WatchedClip

_CLEAR = "\r\x1b[K"


class JsonLines:
    """A JSON object per clip on standard output."""

    def show(self, source: str, clip: WatchedClip) -> None:
        """Print a clip."""
        print(json.dumps({"source": source, **clip.as_dict()}), flush=True)

    def say(self, sentence: str) -> None:
        """Print a sentence on standard error."""
        print(sentence, file=sys.stderr, flush=True)

    def end(self) -> None:
        """There are no more clips."""


class LiveLine:
    """The newest clip on the last line of the terminal; without a terminal, a line per clip."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._is_shown = False

    def show(self, source: str, clip: WatchedClip) -> None:  # noqa: ARG002 - there is only one source
        """Replace the line."""
        line = live_line(clip)
        if self._is_terminal:
            width = shutil.get_terminal_size().columns
            print(f"{_CLEAR}{line[: width - 1]}", end="", flush=True)
            self._is_shown = True
        else:
            print(line, flush=True)

    def say(self, sentence: str) -> None:
        """Print a sentence on standard error, above the line."""
        self._clear()
        print(sentence, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the last line as it is."""
        if self._is_shown:
            print(flush=True)
            self._is_shown = False

    def _clear(self) -> None:
        if self._is_shown:
            print(_CLEAR, end="", flush=True)
            self._is_shown = False

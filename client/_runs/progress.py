"""The progress of a run on standard error: rate, time left and failures. Without a terminal it prints no bar."""

import contextlib
import sys
import threading
from collections.abc import Iterable

from tqdm import tqdm

from .._inputs.errors import InputError


class ProgressBar:
    """A bar that stays on the last line, and messages above it."""

    def __init__(self, unit: str = " videos") -> None:
        self.failed = 0
        self._bar = tqdm(unit=unit, dynamic_ncols=True, disable=not sys.stderr.isatty(), file=sys.stderr)

    @property
    def shown(self) -> bool:
        """Whether standard error is a terminal."""
        return not self._bar.disable

    def expect(self, total: int) -> None:
        """Set the number of videos."""
        self._bar.total = total
        self._bar.refresh()

    def count(self, videos: Iterable[object]) -> None:
        """Count the videos in a background thread, then set their number."""

        def count() -> None:
            with contextlib.suppress(InputError):  # the run meets the same error and reports it
                self.expect(sum(1 for _ in videos))

        threading.Thread(target=count, daemon=True).start()

    def skip(self) -> None:
        """Count a video that an earlier run scored; the rate ignores it."""
        if self.shown:
            self._bar.initial += 1
            self._bar.n += 1
            self._bar.last_print_n += 1

    def done(self, *, failed: bool) -> None:
        """Count a video of this run."""
        if failed:
            self.failed += 1
            self._bar.set_postfix(failed=self.failed, refresh=False)
        self._bar.update()

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        with tqdm.external_write_mode(sys.stderr):
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

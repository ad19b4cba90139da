"""What a person at a terminal sees of a run: rate, time left and failures, on standard error; elsewhere nothing."""

import contextlib
import sys
import threading
from collections.abc import Iterable

from tqdm import tqdm

from .._inputs.errors import InputError


class Progress:
    """A line that is kept up to date, and text that does not disturb it."""

    def __init__(self) -> None:
        self.failed = 0
        self._bar = tqdm(unit=" videos", dynamic_ncols=True, disable=not sys.stderr.isatty(), file=sys.stderr)

    @property
    def shown(self) -> bool:
        """Whether somebody sees it."""
        return not self._bar.disable

    def expect(self, total: int) -> None:
        """So many videos there are in all."""
        self._bar.total = total
        self._bar.refresh()

    def count(self, videos: Iterable[object]) -> None:
        """Find out how many there are while they are scored."""

        def count() -> None:
            with contextlib.suppress(InputError):  # which the run will meet as well
                self.expect(sum(1 for _ in videos))

        threading.Thread(target=count, daemon=True).start()

    def skip(self) -> None:
        """A video was scored before: it says nothing of the rate."""
        if self.shown:
            self._bar.initial += 1
            self._bar.n += 1
            self._bar.last_print_n += 1

    def done(self, *, failed: bool) -> None:
        """A video is done."""
        if failed:
            self.failed += 1
            self._bar.set_postfix(failed=self.failed, refresh=False)
        self._bar.update()

    def say(self, text: str) -> None:
        """Tell the person."""
        with tqdm.external_write_mode(sys.stderr):
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the last state where it is."""
        self._bar.close()

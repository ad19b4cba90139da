"""The progress of a run that looks for scenes, on standard error: long videos move the bar while they are looked at."""

import contextlib
import sys
import threading
from collections.abc import Iterable

from tqdm import tqdm

from .._counted import counted
from .._inputs.errors import InputError

_FORMAT = "{percentage:3.0f}% |{bar}| {n:.1f}/{total} videos [{elapsed}<{remaining}{postfix}]"
_WITHOUT_TOTAL = "{n:.1f} videos [{elapsed}{postfix}]"


class ProgressBar:
    """A bar that counts videos and parts of videos, and messages above it; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shares: dict[bytes, float] = {}
        self._failed = self._scenes = 0
        self._bar = tqdm(
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
            file=sys.stderr,
            bar_format=_WITHOUT_TOTAL,
            miniters=0,
            mininterval=0.5,
        )

    @property
    def shown(self) -> bool:
        """Whether standard error is a terminal."""
        return not self._bar.disable

    def count(self, videos: Iterable[object]) -> None:
        """Count the videos in a background thread, then set their number."""

        def count() -> None:
            with contextlib.suppress(InputError):  # the run meets the same error and reports it
                total = sum(1 for _ in videos)
                with self._lock:
                    self._bar.total, self._bar.bar_format = total, _FORMAT
                    self._bar.refresh()

        threading.Thread(target=count, daemon=True).start()

    def skip(self) -> None:
        """Count a video that an earlier run looked at."""
        with self._lock:
            if self.shown:
                self._bar.initial += 1
                self._bar.n += 1
                self._bar.last_print_n += 1

    def share(self, key: bytes, share: float) -> None:
        """Note how much of a video is done, 0 to 1."""
        with self._lock:
            before = self._shares.get(key, 0.0)
            if share > before:
                self._shares[key] = share
                self._bar.update(share - before)

    def done(self, key: bytes, scenes: int) -> None:
        """Count a video that has so many scenes; 0 if it failed."""
        with self._lock:
            self._scenes += scenes
            self._failed += not scenes
            failed = f", {self._failed:,} failed" if self._failed else ""
            self._bar.set_postfix_str(f"{counted(self._scenes, 'scene')}{failed}", refresh=False)
            self.share(key, 1.0)
            self._shares.pop(key, None)

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        with self._lock, tqdm.external_write_mode(sys.stderr):
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

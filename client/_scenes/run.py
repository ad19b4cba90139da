"""Looks for scenes in many videos at once, and writes them. A killed run can resume."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from .._counted import counted
from .._inputs.inputs import Inputs
from .._inputs.item import Item
from .._inputs.remote import PASSING
from .._inputs.skipped import Skipped
from .._remote.patience import STORE_AWAY
from .._remote.reading import on_this_machine
from .._runs.interruption import RESUME, interruptible
from .._tables.output import OutputError, check_output
from ..errors import ClientError, UnreadableFile
from .errors import ScenesError, Stopped
from .journal import Entry, Journal, names_of
from .progress import ProgressBar
from .settings import Settings
from .workers import Workers
from .write import write_scenes

_WAITING_PER_JOB = 2


def journal_of(output: Path) -> Path:
    """The path of an output's journal."""
    return output.with_name(f"{output.name}.journal")


def run_scenes(
    inputs: Inputs, output: Path, settings: Settings, *, jobs: int, threads: int, retry_failed: bool = False
) -> int:
    """Find the scenes of the videos that are not in the output yet; returns the exit status.

    jobs: videos at once; threads: of each decoder; retry_failed: look again at those that failed.
    Raises `InputError`, `OutputError` and `JournalError`.
    """
    check_output(output, journal_of(output))
    if retry_failed and not journal_of(output).exists():
        raise OutputError(f"{output}: nothing to retry, {journal_of(output).name} does not exist")
    with (
        closing(Journal(journal_of(output), settings)) as journal,
        closing(ProgressBar()) as progress,
        closing(Workers(settings, threads)) as workers,
    ):
        return _Run(journal, workers, progress).find(inputs, output, settings, jobs, retry_failed)


class _Run:
    def __init__(self, journal: Journal, workers: Workers, progress: ProgressBar) -> None:
        self._journal = journal
        self._workers = workers
        self._progress = progress
        self._skipped = Skipped()
        self._in_flight: set[str] = set()
        """Names of the videos that are looked at."""
        self._stopped = ""
        """Why the run stopped early: a store is away."""

    def find(self, inputs: Inputs, output: Path, settings: Settings, jobs: int, retry_failed: bool) -> int:
        if inputs.can_be_counted and self._progress.shown:
            self._progress.count(inputs.items(Skipped(), wants=lambda _: False))
        waiting: deque[tuple[Item, Future[Entry]]] = deque()
        pool = ThreadPoolExecutor(jobs)
        with interruptible(self._workers.stop, "writing the scenes that were found") as interruption:
            try:
                for item in self._wanted(inputs, retry_failed):
                    if interruption.status:
                        break
                    waiting.append((item, pool.submit(self._look, item)))
                    if len(waiting) > jobs * _WAITING_PER_JOB:
                        self._take(*waiting.popleft())
                while waiting:
                    self._take(*waiting.popleft())
            except Stopped as error:
                self._stopped = str(error)
            except UnreadableFile as error:
                if error.reason not in PASSING:
                    raise
                self._stopped = str(error)  # a list broke off: what it named before is in the output
            finally:
                self._workers.stop()
                pool.shutdown(cancel_futures=True)
                write_scenes(output, self._journal.entries(), settings)
        self._progress.close()
        return self._conclude(output, interruption.status)

    def _wanted(self, inputs: Inputs, retry_failed: bool) -> Iterator[Item]:
        for item in inputs.items(self._skipped, wants=lambda _: False):
            names = {*names_of(item)}
            if names & self._in_flight or self._journal.has(item, scenes=retry_failed):
                self._progress.skip()
                continue
            self._in_flight |= names
            yield item

    def _look(self, item: Item) -> Entry:
        try:
            if item.problem is not None:
                raise ScenesError(str(item.problem))
            if item.member:
                raise ScenesError("the video is in a shard, and scenes are parts of files on the disk")
            if item.content is not None:
                raise ScenesError("the manifest holds the file itself, and scenes are parts of files on the disk")
            if item.part:
                raise ScenesError(
                    "the manifest selects a part of the video, and scenes are looked for in whole videos "
                    "(--columns start_seconds=,end_seconds= takes no parts)"
                )
            with on_this_machine(item.path) as path:
                found = self._workers.find(path, lambda share: self._progress.share(item.key, share))
        except (ScenesError, ClientError) as error:
            if getattr(error, "reason", None) == STORE_AWAY:  # the next video would fail too
                raise Stopped(f"{item.shown}: {error}") from error
            return Entry(item.video, (), str(error))
        return Entry(item.video, tuple(found), None)

    def _take(self, item: Item, future: Future[Entry]) -> None:
        entry = future.result()
        self._journal.add(item, entry)
        self._in_flight.difference_update(names_of(item))
        if entry.error is not None:
            self._progress.say(f"{item.shown}: {entry.error}")
        self._progress.done(item.key, len(entry.scenes))

    def _conclude(self, output: Path, interrupted: int) -> int:
        for sentence in self._skipped.sentences():
            self._progress.say(sentence)
        failures = self._journal.failures
        if self._stopped:
            self._progress.say(f"stopped: {self._stopped}")
        resume = f"; {RESUME}" if self._stopped or interrupted else ""
        retry = " (retry them with --retry-failed)" if failures and not resume else ""
        self._progress.say(
            f"{output}: {counted(self._journal.scenes, 'scene')} of {counted(self._journal.videos, 'video')}, "
            f"{failures:,} failed{retry}{resume}"
        )
        return interrupted or (1 if self._stopped or failures or self._skipped.trouble_count else 0)

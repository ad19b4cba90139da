"""A run: names are checked, then parts are cut, several at once."""

import hashlib
import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .._remote.copies import Copies
from .._remote.patience import STORE_AWAY
from ..errors import UnreadableFile
from .errors import CutError
from .facts import Facts
from .files import Files
from .names import Names, key_of
from .part import Part
from .place import Digest, Place, taken
from .pool import Worker
from .settings import Settings
from .shards import Shards


class Parts(Protocol):
    """A list of parts."""

    def __call__(self, *, whole: bool) -> Iterator[Part]:
        """Read it; whole: whether the rows of the list are wanted, too."""


class Output(Protocol):
    """Where clips go."""

    def is_done(self, part: Part, name: str) -> bool:
        """Whether an earlier run finished this clip."""

    def commit(self, part: Part, name: str, facts: Facts, partial: Path) -> None:
        """Put a finished clip in its place."""

    def resolve(self, part: Part) -> None:
        """A part has failed."""

    def finish(self, total: int) -> None:
        """Every part was cut or has failed."""

    def close(self) -> None:
        """No clip comes any more."""


class Listener(Protocol):
    """Hears how the run goes; in the thread that runs it."""

    def expect(self, total: int) -> None:
        """There are so many parts."""

    def skip(self) -> None:
        """An earlier run cut this part."""

    def done(self, *, failed: bool) -> None:
        """One more part is cut, or has failed."""

    def say(self, text: str) -> None:
        """Something went wrong."""


@dataclass
class Counts:
    """What came of the parts."""

    parts: int = 0
    """Parts of the list."""
    written: int = 0
    """Cut in this run."""
    already_there: int = 0
    """Cut by earlier runs."""
    failed: int = 0
    """Neither."""
    seconds: float = 0.0
    """Length of what this run cut."""
    earlier_seconds: list[float] = field(default_factory=list)
    """For each copy of this run, how long before the part it begins."""
    later_seconds: list[float] = field(default_factory=list)
    """For each copy of this run, how long after the part it ends."""


@dataclass(frozen=True)
class Outcome:
    """What came of one part."""

    part: Part
    """The part."""
    facts: Facts | None = None
    """About its clip; None if there is none."""
    problem: str | None = None
    """Why it failed."""
    left_out: bool = False
    """Whether the run was stopped before."""


class Run:
    """Cuts the parts of a list into a folder."""

    def __init__(self, root: Path, settings: Settings, parts: Parts, jobs: int) -> None:
        """parts: reads the list, which is done twice; jobs: parts at once."""
        self._root, self._settings, self._parts = root, settings, parts
        self._names = Names(settings.name, copy=settings.copy)
        self._jobs = jobs
        self._threads = max(1, (os.cpu_count() or 1) // jobs)
        self._stopped = threading.Event()
        self._copies = Copies()
        self.counts = Counts()
        """So far."""

    def stop(self) -> None:
        """Cut no more parts than those that are being cut; may be called by a signal handler."""
        self._stopped.set()

    def __call__(self, listener: Listener) -> Counts:
        """Run. Raises `CutError` and OSError."""
        digest = self._check()
        listener.expect(self.counts.parts)
        with taken(self._root, self._settings, digest) as place:
            size = self._settings.shard_size
            output: Output = Files(place) if size is None else Shards(place, size)
            try:
                self._cut(place, output, listener)
            finally:
                output.close()
                self._copies.close()
        return self.counts

    def _check(self) -> str:
        """Read the list once: names must differ. Returns its digest."""
        digest = Digest()
        seen: dict[bytes, int] = {}
        for part in self._parts(whole=False):
            name = self._names.of(part)
            self._settings.check(os.path.splitext(name)[1].lower())
            shown = name if self._settings.shard_size is None else key_of(name)
            # Names are compared as file systems do that ignore case.
            key = hashlib.blake2b(shown.casefold().encode(), digest_size=12).digest()
            if key in seen:
                rows = f"{seen[key] + 1} and {part.index + 1}"
                raise CutError(f"--name gives {shown!r} to parts {rows} of the list: add {{index}} to it")
            seen[key] = part.index
            # A list's relative names are found beside it once the file is there: the path is not part of the name.
            digest.add(name, os.path.basename(part.video), part.start_seconds, part.end_seconds)
            self.counts.parts += 1
        return digest.text()

    def _cut(self, place: Place, output: Output, listener: Listener) -> None:
        workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        everyone = [Worker() for _ in range(self._jobs)]
        for worker in everyone:
            workers.put(worker)

        def one(part: Part, name: str) -> Outcome:
            worker = workers.get()
            try:
                return self._one(part, name, place, output, worker)
            finally:
                workers.put(worker)

        running: set[Future[Outcome]] = set()
        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                for part in self._parts(whole=True):
                    if self._stopped.is_set():
                        break
                    name = self._names.of(part)
                    if output.is_done(part, name):
                        self.counts.already_there += 1
                        listener.skip()
                        continue
                    while len(running) >= 2 * self._jobs:
                        running = self._collect(running, listener)
                    running.add(pool.submit(one, part, name))
                else:
                    while running:
                        running = self._collect(running, listener)
                    if not self._stopped.is_set():
                        output.finish(self.counts.parts)
                while running:
                    running = self._collect(running, listener)
            except BaseException:
                self._stopped.set()
                raise
            finally:
                wait(running)
                for worker in everyone:
                    worker.close()

    def _collect(self, running: set[Future[Outcome]], listener: Listener) -> set[Future[Outcome]]:
        """Wait for one part at least, and count what is done; returns what is left."""
        done, left = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            outcome = future.result()
            if outcome.left_out:
                continue
            if outcome.facts is None:
                self.counts.failed += 1
                listener.say(f"{outcome.part.shown}: {outcome.problem}")
            else:
                self.counts.written += 1
                self.counts.seconds += outcome.facts.duration_seconds
                if outcome.facts.earlier_seconds is not None:
                    self.counts.earlier_seconds.append(outcome.facts.earlier_seconds)
                if outcome.facts.later_seconds is not None:
                    self.counts.later_seconds.append(outcome.facts.later_seconds)
            listener.done(failed=outcome.facts is None)
        return left

    def _one(self, part: Part, name: str, place: Place, output: Output, worker: Worker) -> Outcome:
        """Cut one part. Raises `CutError` and OSError where no part can be written any more."""
        if self._stopped.is_set():
            return Outcome(part, left_out=True)
        problem = part.problem
        if problem is None:
            partial = place.partial_file(part.index, Path(name).suffix)
            answer = self._ask(part, partial, worker)
            if "facts" in answer:
                facts = Facts(**answer["facts"])
                output.commit(part, name, facts, partial)
                return Outcome(part, facts)
            partial.unlink(missing_ok=True)
            if answer["errno"] is not None:
                raise CutError(f"cannot write into {self._root}: {answer['error']}")
            problem = answer["error"]
        output.resolve(part)
        return Outcome(part, problem=problem)

    def _ask(self, part: Part, partial: Path, worker: Worker) -> dict[str, Any]:
        """What a worker answers that cuts a part into a file. Raises `CutError` if the part's store is away."""
        try:
            with self._copies.path_of(str(part.path)) as source:
                request = {
                    "source": str(Path(source).resolve()),
                    "target": str(partial),
                    "start_seconds": part.start_seconds,
                    "end_seconds": part.end_seconds,
                    "from_first_frame": part.from_first_frame,
                    "settings": asdict(self._settings),
                    "threads": self._threads,
                }
                return worker.ask(request)
        except UnreadableFile as error:
            if error.reason == STORE_AWAY:
                raise CutError(f"{part.shown}: {error}; run the same command again to resume") from error
            return {"error": str(error), "errno": None}

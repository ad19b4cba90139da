"""Scores videos into a table. A killed run can resume: no video is lost, none is in the table twice."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from .._counted import counted
from .._first_pass.first_pass import FirstPass, SkippedVideo
from .._first_pass.look import NO_LOOK
from .._inputs.errors import InputError
from .._inputs.inputs import Inputs
from .._inputs.item import Item
from .._inputs.remote import PASSING
from .._inputs.skipped import Skipped
from .._remote.addresses import is_remote
from .._remote.patience import STORE_AWAY
from .._sdk.client import Client
from .._sdk.result import Score, Weights, notice_of, weights_of_signals
from .._sdk.signals import NotServed
from .._tables.journal import Journal, Terms
from .._tables.output import Output, OutputError, output_for
from .._tables.row import DUPLICATE_COLUMN, KEPT_KEY, Row, failed_row, scored_row, skipped_row
from ..errors import ClientError, ServerAway, ServerUnavailable, UnreadableFile
from .dedupe import Dedupe, Duplicate
from .destination import Destination, destination_of
from .interruption import RESUME, interruptible
from .part_times import OLDER, ORIGIN, begun_with_timestamps, item_parameters, times_of
from .phrases import phrases_of
from .progress import ProgressBar
from .run import TWO_PARTS, Run, Scoring, VideoResult, scoring, selects_part_twice
from .signal_options import SignalOptions


class Results(Protocol):
    """The results of a run's items, in any order: `Run`, or what another engine has for it."""

    def __iter__(self) -> Iterator[VideoResult | Duplicate]: ...

    def stop(self) -> None:
        """Take no more videos; signal handlers may call it."""


Engine = Callable[[Iterator[Item], dict[str, float], SignalOptions | None], Results]
"""Scores items with these parameters and these settled signals."""


@dataclass(frozen=True)
class Again:
    """Which videos of a table are scored again, beside those that it lacks. For Parquet, which is written whole."""

    failed: bool = False
    """Those that failed."""
    changed: bool = False
    """Those of which the inputs keep something else than the table has."""


def journal_of(output: Path) -> Path:
    """The path of an output's journal."""
    return destination_of(output).journal


def run_table(
    client: Client,
    inputs: Inputs | None,
    output: Path | Destination,
    parameters: dict[str, float],
    *,
    in_flight: int,
    retry_failed: bool = False,
    signals: SignalOptions | None = None,
    kept: tuple[str, ...] = (),
    phrases: bool = False,
    engine: Engine | None = None,
    dedupe: bool = False,
    first_pass: FirstPass | None = None,
    again: Again = Again(),
) -> int:
    """Score the videos that are not in the table yet; with `retry_failed`, those that failed. Returns the exit status.

    inputs: None with `retry_failed` means every failure in the table.
    signals: None for motion and camera. If heads are not named, a run that resumes asks for those of the table.
    kept: columns of manifests that go into the table; a retry of all failures keeps what they have.
    phrases: whether rows say in words how the video moves.
    engine: what scores; None: this process, with `in_flight` threads.
    dedupe: whether videos with the same bytes are scored once; only without an engine.
    first_pass: looks at the videos first, in this process alone: not with an engine.
    again: which videos of the table to score as well; not with `retry_failed`.
    Raises `InputError`, `OutputError`, `JournalError`, `UploadError`, and `ClientError` if no server answers at the
    start.
    """
    to = output if isinstance(output, Destination) else destination_of(output)
    to.check(embeddings=signals is not None and signals.has_embeddings)
    if retry_failed and not to.journal.exists():
        raise OutputError(f"{to.name}: nothing to retry, {to.journal.name} does not exist")
    weights = client.weights()
    written = _last_written(to)
    with closing(Journal(to.journal)) as journal:
        # Every run begins its journal before it creates the output. A copy without the file -wal beside it lost that.
        if to.path.exists() and journal.terms is None:
            raise OutputError(
                f"{to.name}: exists, but {to.journal.name} is incomplete, so no run can resume; "
                "choose another name for the output"
            )
        if to.url is not None:
            journal.belong_to(to.url)
        older = begun_with_timestamps(journal)
        if signals is not None:
            signals = signals.settled(weights, None if journal.terms is None else journal.terms.heads)
        if inputs is None and journal.terms is not None:
            kept = journal.terms.kept or ()
        terms = replace(
            _terms(weights, parameters, None if older else times_of(parameters), signals),
            kept=kept or None,
            phrases=phrases or None,
            dedupe=dedupe or None,
            first_pass=None if first_pass is None else first_pass.terms,
        )
        journal.agree(terms)
        with closing(ProgressBar()) as progress:
            if older:
                if parameters.get(ORIGIN):
                    progress.say(f"NOTE: {OLDER}")
                parameters = terms.parameters
            table = output_for(to.path, journal)
            run = TableRun(client, journal, table, progress, weights, parameters, signals, kept, engine)
            run.phrases = phrases
            run.first_pass = first_pass
            run.again = again
            if not again.changed:
                run.written = written
                run.rows_before = journal.count()
            if dedupe:
                run.dedupe_by(terms)
            run.name = to.name
            status = run.score(inputs, in_flight, retry_failed)
            if journal.count():
                to.publish()
            return status


class TableRun:
    """One run that writes a table."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        output: Output,
        progress: ProgressBar,
        weights: Weights,
        parameters: dict[str, float],
        signals: SignalOptions | None = None,
        kept: tuple[str, ...] = (),
        engine: Engine | None = None,
    ) -> None:
        self.client = client
        self.journal = journal
        self.output = output
        self.progress = progress
        self.weights = weights
        self.parameters = parameters
        self.signals = signals
        self.kept = kept
        self.phrases = False
        """Whether rows say in words how the video moves."""
        self.first_pass: FirstPass | None = None
        """What looks at the videos before they are sent."""
        self.again = Again()
        """Which videos of the table are scored again."""
        self.changed: set[bytes] = set()
        """Keys of those that have changed."""
        self.replaced: set[bytes] = set()
        """Keys of the videos whose rows are replaced."""
        self.written: float | None = None
        """When the table was last written before this run, in seconds; None if files are not compared with that."""
        self.rows_before = 0
        """Rows that it then had."""
        self.newer = 0
        """Files that are newer, and keep their scores."""
        self.engine = engine
        self.dedupe: Dedupe | None = None
        self.duplicates = 0
        """Videos that were not sent, because another one has their bytes."""
        self.name = str(output.path)
        """What the output is called in messages."""
        self.skipped = Skipped()
        self.in_flight: set[bytes] = set()
        """Keys and places of the videos in flight."""
        self.skipped_videos = 0
        """Videos that the first pass skipped in this run."""
        self.stopped = ""
        """Why the run stopped early."""

    def dedupe_by(self, terms: Terms) -> None:
        """Score videos with the same bytes once; terms: what scores depend on besides the parameters of each video."""
        weights = {
            "weights": terms.weights,
            "labels": terms.labels,
            "signals": terms.signals,
            "heads": terms.heads,
            "embeddings": terms.embeddings,
        }
        send = self._scoring()
        self.dedupe = Dedupe(send, self._row, self.journal, self.parameters, weights)

    def score(self, inputs: Inputs | None, in_flight: int, retry_failed: bool) -> int:
        """Score and write until the inputs end or the run stops; returns the exit status."""
        if notice := notice_for(self.weights, self.signals):
            self.progress.say(f"NOTE: {notice}")
        if inputs is None:
            self.progress.expect(self.journal.count(failed=True) - self.journal.unnamed_failures())
        elif inputs.can_be_counted and self.progress.shown:
            self.progress.count(inputs.items(Skipped(), wants=lambda _: False))
        self.output.open()
        wants = partial(self._is_to_score, retry_failed=retry_failed)
        items = self.journal.failures() if inputs is None else inputs.items(self.skipped, wants)
        wanted = self._wanted(items, retry_failed)
        run: Results
        if self.engine is None:
            score: Callable[[Item], VideoResult | Duplicate]
            score = self._scoring() if self.dedupe is None else self.dedupe.score
            run = Run(score, wanted, in_flight=in_flight)
        else:
            run = self.engine(wanted, self.parameters, self.signals)
        with interruptible(run.stop) as interruption:
            try:
                for result in run:
                    self._take(result, run, retry_failed)
            except UnreadableFile as error:
                if error.reason not in PASSING:
                    raise
                self.stopped = self.stopped or str(error)  # a list broke off: what it named before is in the table
            finally:
                self.output.finish()
        self.progress.close()
        if inputs is None and (count := self.journal.unnamed_failures()):
            why = "only manifests and shards have them: name these too"
            were = "was" if count == 1 else "were"
            self.progress.say(f"{counted(count, 'failure')} {were} not retried, {why}")
        return self._conclude(interruption.status)

    def _wanted(self, items: Iterator[Item], retry_failed: bool) -> Iterator[Item]:
        for number, item in enumerate(items):
            # A wrong command line if the first row says so; a later row fails alone.
            if number == 0 and not retry_failed and selects_part_twice(item, self.parameters):
                raise InputError(f"{item.shown}: {TWO_PARTS}")
            if item.unread or not self._is_to_score(item, retry_failed):
                self.progress.skip()
                self.newer += self._is_newer(item)
                continue
            self.in_flight.update(_identities(item))
            yield item

    def _is_to_score(self, item: Item, retry_failed: bool) -> bool:
        # First in flight, then the journal: a video is in the journal before it leaves in_flight. First the name, then
        # the place: only the place takes a look at the disk.
        if item.key in self.in_flight:
            return False
        found = self.journal.find_name(item.key)
        if found is None:
            place = item.place
            if place in self.in_flight:
                return False
            found = self.journal.find_place(place)
        if found is None or retry_failed:
            return found is None if not retry_failed else found is not None and found.failed
        if self.again.changed and dict(item.kept) != self.journal.kept(item):
            self.changed.add(item.key)
        elif not (self.again.failed and found.failed):
            return False
        self.replaced.add(item.key)
        return True

    def _is_newer(self, item: Item) -> bool:
        """Whether the file of an item that an earlier run scored has changed since the table was written."""
        if self.written is None or item.content is not None or item.member or is_remote(item.path):
            return False
        try:
            if os.stat(item.path).st_mtime <= self.written:
                return False
        except (OSError, ValueError):  # gone, or with a zero byte
            return False
        found = self.journal.find(item)
        return found is not None and not found.failed and found.row_id <= self.rows_before

    def _take(self, video: VideoResult | Duplicate, run: Results, retry_failed: bool) -> None:
        item = video.item
        result = video.score if isinstance(video, Duplicate) else video.result
        if why := self._reason_to_stop(result):
            self.stopped = self.stopped or why
            run.stop()
            return
        if isinstance(video, Duplicate):
            row = video.row | {"video": item.video, DUPLICATE_COLUMN: video.row["video"]}
            self.duplicates += 1
        else:
            row = self._row(video)
        if self.kept:
            known = item.kept or (self.journal.kept(item) if retry_failed else {})
            row[KEPT_KEY] = {name: known.get(name) for name in self.kept}
        if isinstance(result, ClientError):
            self.progress.say(f"{item.shown}: {result}")
        elif isinstance(result, SkippedVideo):
            self.skipped_videos += 1
        content = self.dedupe.content(item) if self.dedupe and not isinstance(video, Duplicate) else None
        if retry_failed or item.key in self.replaced:
            self.journal.replace(item, row, content)
        else:
            self.output.add(self.journal.add(item, row, self.output.position, content), row)
        if self.dedupe:
            self.dedupe.forget(item)
        self.in_flight.difference_update(_identities(item))
        self.progress.done(failed=isinstance(result, ClientError))

    def _row(self, video: VideoResult) -> Row:
        """The row of a result; what it keeps of a list is null."""
        item, result = video.item, video.result
        parameters = item_parameters(self.parameters, item)
        kept = dict.fromkeys(self.kept)
        if isinstance(result, ClientError):
            row = failed_row(item.video, result, parameters, kept)
        elif isinstance(result, SkippedVideo):
            row = skipped_row(item.video, result.by, parameters, kept)
        else:
            original = {DUPLICATE_COLUMN: None} if self.dedupe else {}
            words = phrases_of(result) if self.phrases else {}
            row = scored_row(item.video, result, parameters, kept) | words | original
        if self.first_pass is not None:
            row |= NO_LOOK if video.look is None else video.look.as_row()
        return row

    def _scoring(self) -> Scoring:
        return scoring(self.client, self.parameters, self.signals, self.first_pass)

    def _reason_to_stop(self, result: Score | SkippedVideo | ClientError | None) -> str:
        """Why the run must stop, if the next video would fail for the same reason; "" to continue."""
        if isinstance(result, ServerAway) and self.client.is_ready():
            return ""  # the server is up: this video made it fail
        if isinstance(result, ServerUnavailable | NotServed):
            return str(result)
        if isinstance(result, ClientError) and result.reason == STORE_AWAY:
            return str(result)
        if isinstance(result, Score):
            now, first = (served(weights, self.signals) for weights in (result.weights, self.weights))
            if now != first:
                return f"a server has other weights than the first: {now}, not {first}"
        return ""

    def _conclude(self, interrupted: int) -> int:
        for sentence in self.skipped.sentences():
            self.progress.say(sentence)
        if self.newer:
            are, keep, them = ("is", "keeps its", "it") if self.newer == 1 else ("are", "keep their", "them")
            self.progress.say(
                f"NOTE: {counted(self.newer, 'file')} {are} newer than the table, and {keep} old scores: to score "
                f"{them} again, choose another name for the output"
            )
        if self.changed:
            were = "was" if len(self.changed) == 1 else "were"
            self.progress.say(
                f"{counted(len(self.changed), 'video')} changed since the last run, and {were} scored again"
            )
        if self.skipped_videos:
            self.progress.say(f"the first pass skipped {counted(self.skipped_videos, 'video')}")
        rows, failures = self.journal.count(), self.journal.count(failed=True)
        if self.duplicates:
            have = "has" if self.duplicates == 1 else "have"
            were = "was" if self.duplicates == 1 else "were"
            duplicates = counted(self.duplicates, "video")
            self.progress.say(f"{duplicates} {have} the bytes of another one, and {were} not sent")
        if self.stopped:
            self.progress.say(f"stopped: {self.stopped}")
        resume = f"; {RESUME}" if self.stopped or interrupted else ""
        retry = " (retry them with --retry-failed)" if failures and not resume else ""
        self.progress.say(f"{self.name}: {counted(rows, 'video')}, {failures:,} failed{retry}{resume}")
        return interrupted or (1 if self.stopped or failures or self.skipped.trouble_count else 0)


def _last_written(to: Destination) -> float | None:
    """When an earlier run wrote to the table or its journal, in seconds; None if there was none."""
    found = []
    for path in (to.path, to.journal, to.journal.with_name(f"{to.journal.name}-wal")):
        with suppress(OSError):
            found.append(path.stat().st_mtime)
    return max(found, default=None)


def _identities(item: Item) -> set[bytes]:
    place = item.place
    return {item.key} if place is None else {item.key, place}


def notice_for(weights: Weights, signals: SignalOptions | None) -> str | None:
    """A warning about the weights behind what is asked for."""
    if signals is None:
        return weights.notice
    return notice_of(weights_of_signals(weights, signals.asked.signals, signals.heads))


def served(weights: Weights, signals: SignalOptions | None) -> dict[str, str]:
    """The weights behind what is asked for, by the keys that tables have for them."""
    names = {"motion": weights.motion, "camera": weights.camera, "precision": weights.precision}
    if signals is not None:
        names |= weights_of_signals(weights, signals.asked.signals, signals.heads)
    return names


def _terms(weights: Weights, parameters: dict[str, float], times: str | None, signals: SignalOptions | None) -> Terms:
    """`times` says in words what `ORIGIN` says in a request, also for videos that manifests will add.

    Without `allow_damaged`, which changes no score of a good video: `--retry-failed` may add it.
    """
    fixed = {name: value for name, value in parameters.items() if name not in (ORIGIN, "allow_damaged")}
    terms = Terms(served(weights, signals), weights.labels, fixed, times)
    if signals is None:
        return terms
    embeddings = signals.embeddings if signals.has_embeddings else None
    return replace(terms, signals=signals.asked.signals, heads=signals.heads, embeddings=embeddings)

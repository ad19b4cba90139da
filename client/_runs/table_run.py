"""Scores into a table that a run which was killed goes on with: no video is lost, none is in it twice."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from .._inputs.errors import InputError
from .._inputs.inputs import Inputs
from .._inputs.item import Item
from .._sdk.client import Client
from .._sdk.result import Weights
from .._tables.journal import Journal, Terms
from .._tables.output import Output, OutputError, check_output, output_for
from .._tables.row import failed, scored
from ..errors import ClientError, ServerAway, ServerUnavailable
from .interruption import interruptible
from .progress import Progress
from .run import Outcome, Run, scoring

GO_ON = "the same command goes on from here"


def journal_of(output: Path) -> Path:
    """Where the journal of an output is."""
    return output.with_name(f"{output.name}.journal")


def fill_table(
    client: Client,
    inputs: Inputs | None,
    output: Path,
    parameters: dict[str, float],
    *,
    in_flight: int,
    retry_failed: bool = False,
) -> int:
    """Score what is not in the table yet, or what is in it as a failure; the exit status.

    inputs: None, where failures are tried again, for all of them.
    Raises `InputError`, `OutputError`, `JournalError`, and `ClientError` where no server is there to begin with.
    """
    check_output(output, journal_of(output))
    if retry_failed and not journal_of(output).exists():
        raise OutputError(f"{output}: there is nothing to try again, no {journal_of(output).name}")
    weights = client.weights()
    with closing(Journal(journal_of(output))) as journal:
        journal.agree(_terms(weights, parameters))
        with closing(Progress()) as progress:
            filling = _Filling(client, journal, output_for(output, journal), progress, weights, parameters)
            return filling.fill(inputs, in_flight, retry_failed)


class _Filling:
    """A run that fills a table."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        output: Output,
        progress: Progress,
        weights: Weights,
        parameters: dict[str, float],
    ) -> None:
        self.client = client
        self.journal = journal
        self.output = output
        self.progress = progress
        self.weights = weights
        self.parameters = parameters
        self.under_way: set[bytes] = set()
        self.stopped = ""

    def fill(self, inputs: Inputs | None, in_flight: int, retry_failed: bool) -> int:
        if notice := self.weights.notice:
            self.progress.say(f"NOTE: {notice}")
        if inputs is None:
            self.progress.expect(self.journal.count(failed=True))
        elif inputs.can_be_counted and self.progress.shown:
            self.progress.count(inputs)
        self.output.open()
        wanted = self._wanted(self.journal.failures() if inputs is None else inputs, retry_failed)
        run = Run(scoring(self.client, self.parameters), wanted, in_flight=in_flight)
        with interruptible(run.stop) as interruption:
            try:
                for outcome in run:
                    self._take(outcome, run, retry_failed)
            finally:
                self.output.finish()
        self.progress.close()
        return self._conclude(interruption.status)

    def _wanted(self, items: Inputs | Iterator[Item], retry_failed: bool) -> Iterator[Item]:
        for item in items:
            if item.part and self.parameters.keys() & {"start_seconds", "end_seconds"}:
                raise InputError(f"{item.video}: the manifest names a part of the video, and so does the command line")
            # In this order: a video leaves what is under way when it is in the journal.
            if item.key in self.under_way or self.journal.has(item, failed=retry_failed) is not retry_failed:
                self.progress.skip()
                continue
            self.under_way.add(item.key)
            yield item

    def _take(self, outcome: Outcome, run: Run, retry_failed: bool) -> None:
        item, result = outcome.item, outcome.result
        reason = self._reason_to_stop(outcome)
        if reason:
            self.stopped = self.stopped or reason
            run.stop()
            return
        parameters = self.parameters | item.part
        if isinstance(result, ClientError):
            record = failed(item.video, result, parameters)
            self.progress.say(f"{item.video}: {result}")
        else:
            record = scored(item.video, result, parameters)
        if retry_failed:
            self.journal.replace(item, record)
        else:
            self.output.add(self.journal.add(item, record, self.output.position), record)
        self.under_way.discard(item.key)
        self.progress.done(failed=isinstance(result, ClientError))

    def _reason_to_stop(self, outcome: Outcome) -> str:
        """What is no fault of the video, and would be no better with the next one; it stays to be scored."""
        result = outcome.result
        if isinstance(result, ServerAway) and self.client.is_ready():
            return ""  # then it is this video that it does not survive
        if isinstance(result, ServerUnavailable):
            return str(result)
        if not isinstance(result, ClientError) and _served(result.weights) != _served(self.weights):
            return f"a server has other weights than the first: {_served(result.weights)}, not {_served(self.weights)}"
        return ""

    def _conclude(self, interrupted: int) -> int:
        rows, failures = self.journal.count(), self.journal.count(failed=True)
        if self.stopped:
            self.progress.say(f"stopped: {self.stopped}")
        if self.stopped or interrupted or failures or self.progress.shown:
            again = f"; {GO_ON}" if self.stopped or interrupted else ""
            retry = " (--retry-failed tries them again)" if failures and not again else ""
            self.progress.say(f"{self.output.path}: {rows:,} videos, {failures:,} of them not scored{retry}{again}")
        return interrupted or (1 if self.stopped or failures else 0)


def _served(weights: Weights) -> dict[str, str]:
    return {"motion": weights.motion, "camera": weights.camera, "precision": weights.precision}


def _terms(weights: Weights, parameters: dict[str, float]) -> Terms:
    return Terms(_served(weights), weights.labels, parameters)

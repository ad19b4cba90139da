"""What the GPU does while a server is measured, sampled once a second by `nvidia-smi dmon`."""

import statistics
import subprocess
from types import TracebackType

COMMAND = ("nvidia-smi", "dmon", "-s", "ut", "-d", "1", "-i")
"""Utilisation (`u`) and throughput over PCIe (`t`) of one GPU, once a second."""
MEGABYTE = 1e6

Sample = dict[str, float]
"""A line of dmon: `sm`, `dec` and others in percent, `rxpci` (to the GPU) and `txpci` (to the host) in MB/s."""


class Activity:
    """The samples taken in a `with` block; none if dmon does not run here, or the block is shorter than a second."""

    samples: list[Sample]

    def __init__(self, gpu: str) -> None:
        """`gpu`: its index or UUID."""
        self._gpu = gpu

    def __enter__(self) -> "Activity":
        self.samples = []
        try:
            self._dmon: subprocess.Popen[str] | None = subprocess.Popen(
                [*COMMAND, self._gpu], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        except OSError:
            self._dmon = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._dmon is not None:
            self._dmon.terminate()
            self.samples = parse(self._dmon.communicate()[0])


def parse(text: str) -> list[Sample]:
    """The samples in what dmon printed; a column without a figure (`-`) is left out of its sample.

    The first line of titles says which columns there are; dmon repeats it from time to time.
    """
    columns: list[str] = []
    samples = []
    for line in text.splitlines():
        words = line.lstrip("#").split()
        if line.startswith("#"):
            columns = words if words[:1] == ["gpu"] else columns
        elif len(words) == len(columns):
            samples.append({name: float(word) for name, word in zip(columns, words, strict=True) if _is_number(word)})
    return samples


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).isdigit()


def mean(samples: list[Sample], column: str) -> float | None:
    """The mean of a column; None if no sample has it."""
    values = [sample[column] for sample in samples if column in sample]
    return statistics.fmean(values) if values else None


def idle_nvdecs(samples: list[Sample], nvdecs: int) -> float | None:
    """How many of the engines were idle on average: dmon's `dec` is taken for the mean of all engines."""
    busy = mean(samples, "dec")
    return None if busy is None else nvdecs * (1 - busy / 100)


def bytes_to_host(samples: list[Sample], videos_per_second: float) -> float | None:
    """Bytes from the GPU to the host for each video."""
    rate = mean(samples, "txpci")
    return None if rate is None else rate * MEGABYTE / videos_per_second

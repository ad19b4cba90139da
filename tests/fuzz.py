"""`python -m tests.fuzz`: run sampling and decoding on damaged files, as the server does, until you stop it.

It tries every structural mutation of every seed first, then random mutations, all from a seeded generator. A file that
is refused as damaged is tried again with `allow_damaged`. What is stripped of a file is decoded, too. It decodes a
valid video in between, whose clips must not change. It keeps files that crash a decoder process, exceed its timeout or
give an unexpected error.
"""

import argparse
import hashlib
import itertools
import os
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fixtures.hostile import SEEDS, random_mutation, seed, structural_mutations
from fixtures.synthetic import encode
from video import DecoderFailed, InvalidParameter, InvalidVideo, IsolatedDecoder, Limits
from video.clips import CLIP_SHAPE, FRAME_SIZE
from video.errors import Reason

KEPT = Path(__file__).parent.parent / ".fuzz"
REPORTED_EVERY = 1000
"""Files between two lines of progress."""
GOOD_EVERY = 100
"""Damaged files between two decodings of the valid video."""


def mutations(choose: random.Random) -> Iterator[tuple[str, bytes]]:
    """Names and files without end: structural mutations in random order, then random mutations."""
    structural = [(name, number) for name in SEEDS for number, _ in enumerate(structural_mutations(seed(name)))]
    choose.shuffle(structural)
    # Created again from their numbers, because all of them together are hundreds of megabytes.
    for start in range(0, len(structural), 2000):
        wanted = set(structural[start : start + 2000])
        made = {
            (name, number): (f"{name}: {what}", video)
            for name in SEEDS
            for number, (what, video) in enumerate(structural_mutations(seed(name)))
            if (name, number) in wanted
        }
        yield from (made[key] for key in structural[start : start + 2000])
    for number in itertools.count():
        name = choose.choice(list(SEEDS))
        yield f"{name}: random {number}", random_mutation(seed(name), choose)


def decode(
    decoder: IsolatedDecoder, video: bytes, *, allow_damaged: bool = False, motion_only: bool = False
) -> np.ndarray:
    """The clips of a file, (clips, 16, 224, 224, 3) uint8, as the server decodes them; raises what it returns."""
    content = memoryview(video)
    plan = decoder.plan(content, {"allow_damaged": allow_damaged})
    indices, motion, camera = (np.array(plan[name]) for name in ("frame_indices", "motion_order", "camera_order"))
    if motion_only:
        camera = camera[:0]
    stripped, places = plan["stripped_video"], np.array(plan["stripped_indices"])
    if len(stripped):
        decoder.decode(content, indices, motion, camera, FRAME_SIZE, stripped_video=stripped, stripped_indices=places)
    clips = decoder.decode(content, indices, motion, camera, FRAME_SIZE, allow_damaged=allow_damaged)
    return np.concatenate(clips[:2])


class Fuzzer:
    """Counts of outcomes, and the files with an unexpected one."""

    def __init__(self, limits: Limits, seconds: float, files: int) -> None:
        self._limits = limits
        self._deadline = time.monotonic() + seconds
        self._files = files
        self._lock = threading.Lock()
        self.outcomes: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.slowest = (0.0, "")
        self.good = 0

    @property
    def done(self) -> int:
        """Files decoded so far."""
        return sum(self.outcomes.values())

    def run(self, source: Iterator[tuple[str, bytes]]) -> None:
        """Decode files from `source` until a limit is reached; several threads may call this at once."""
        good = encode(20)
        decoder = IsolatedDecoder(self._limits)
        try:
            expected = decode(decoder, good)
            for count in itertools.count():
                with self._lock:
                    if self.done >= self._files or time.monotonic() > self._deadline:
                        return
                    name, video = next(source)
                self._one(decoder, name, video)
                if count % GOOD_EVERY == 0:
                    self.good += 1
                    if not np.array_equal(decode(decoder, good), expected):
                        self._keep(f"after {name}: the clips of the valid video changed", video)
        finally:
            decoder.close()

    def _one(self, decoder: IsolatedDecoder, name: str, video: bytes) -> None:
        started = time.monotonic()
        try:
            try:
                # Without camera clips, because resizing takes most of the time and cannot crash.
                clips, outcome = decode(decoder, video, motion_only=True), "scored"
            except InvalidVideo as error:
                if error.reason not in (Reason.TRUNCATED, Reason.DAMAGED):
                    raise
                clips, outcome = decode(decoder, video, allow_damaged=True, motion_only=True), "scored in part"
            if clips.shape[1:] != CLIP_SHAPE:
                self._keep(f"{name}: clips of shape {clips.shape}", video)
        except (InvalidVideo, InvalidParameter) as error:
            outcome = "refused: " + re.sub(r"\d+", "N", str(error))
            if "\n" in str(error) or len(str(error)) > 300:
                self._keep(f"{name}: not one short sentence: {error}", video)
        except DecoderFailed as error:
            outcome = f"failed: {error}"
            self._keep(f"{name}: {error}", video)
        seconds = time.monotonic() - started
        with self._lock:
            self.outcomes[outcome] += 1
            self.slowest = max(self.slowest, (seconds, name))
            if self.done % REPORTED_EVERY == 0:
                print(f"{self.done} files, {len(self.unexpected)} unexpected", file=sys.stderr, flush=True)

    def _keep(self, what: str, video: bytes) -> None:
        KEPT.mkdir(exist_ok=True)
        path = KEPT / hashlib.sha256(video).hexdigest()[:16]
        path.write_bytes(video)
        self.unexpected.append(f"{what} ({path})")
        print(self.unexpected[-1], file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Fuzz, print the outcomes, and return the exit status: 1 if any was unexpected."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", type=int, default=sys.maxsize, metavar="N", help="stop after N files")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="S", help="stop after S seconds")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the random mutations (default: %(default)s)"
    )
    parser.add_argument(
        "--readers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="decoder processes (default: one for each CPU)",
    )
    options: Any = parser.parse_args(arguments)
    fuzzer = Fuzzer(Limits(timeout_seconds=20), options.seconds, options.files)
    source = mutations(random.Random(options.seed))
    started = time.monotonic()
    with ThreadPoolExecutor(options.readers) as pool:
        readers = [pool.submit(fuzzer.run, source) for _ in range(options.readers)]
        while not all(reader.done() for reader in readers):
            time.sleep(1)
            if sys.stderr.isatty():
                print(f"\r{fuzzer.done} files, {len(fuzzer.unexpected)} unexpected", end="", file=sys.stderr)
        for reader in readers:
            reader.result()
    for outcome, count in fuzzer.outcomes.most_common():
        print(f"{count:8d}  {outcome}")
    seconds, name = fuzzer.slowest
    print(f"{fuzzer.done} files in {time.monotonic() - started:.0f} s, the slowest took {seconds:.2f} s ({name})")
    print(
        f"the valid video was decoded {fuzzer.good} times in between; {len(fuzzer.unexpected)} outcomes were unexpected"
    )
    return 1 if fuzzer.unexpected else 0


if __name__ == "__main__":
    sys.exit(main())

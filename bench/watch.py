"""`python -m bench.watch`: memory and lag of `video-motion watch` on a long H.264 stream in real time.

A pipe gets an H.264 video again and again, each packet when it is due, as `ffmpeg -re` would write it. The lag of an
answer is the time from when the last frame of its clip was written to when the answer came. A stand-in answers after a
fixed time, so that the figures are about the command; --url names a real server instead.

It writes .bench/watch.json, and compares the last minute with the second: memory may grow by 5 %, and the median lag by
0.1 s.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import IO, cast

import av
from av.container import InputContainer

from bench.memory import cpu_seconds, proportional_mib
from bench.stand_in import stand_in
from fixtures.real_videos import NAMES, real_videos

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / ".bench" / "watch.json"
SAMPLE_SECONDS = 2.0
MAX_GROWTH = 0.05
MAX_LAG_GROWTH_SECONDS = 0.1


@dataclass(frozen=True)
class Minute:
    """One minute of the run."""

    minute: int
    """Counted from 1."""
    memory_mib: float
    """Largest memory of the command (PSS)."""
    answers: int
    """Clips that were answered."""
    lag_median_seconds: float
    """Median lag of the answers."""
    lag_most_seconds: float
    """Largest lag."""
    clips_skipped: int
    """Clips skipped since the start."""
    frames_dropped: int
    """Frames dropped since the start."""


class Writes:
    """A file object for PyAV that writes to a pipe."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def write(self, content: bytes) -> int:
        """Write all of it."""
        self._pipe.write(content)
        self._pipe.flush()
        return len(content)


def write_in_real_time(video: Path, seconds: float, pipe: IO[bytes]) -> float:
    """Write a video into a pipe as MPEG-TS, repeated for so long; returns when its first packet was due (Unix time)."""
    began, shift = time.monotonic(), Fraction(0)
    began_at = time.time()
    with av.open(cast("IO[bytes]", Writes(pipe)), "w", format="mpegts") as output:
        with cast(InputContainer, av.open(str(video))) as container:
            copied = output.add_stream_from_template(container.streams.video[0])
        while shift < seconds:
            with cast(InputContainer, av.open(str(video))) as container:
                stream = container.streams.video[0]
                assert stream.time_base is not None
                end = Fraction(0)
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, (packet.pts + (packet.duration or 0)) * stream.time_base)
                    due = float(shift + packet.dts * stream.time_base)
                    packet.pts += round(shift / stream.time_base)
                    packet.dts += round(shift / stream.time_base)
                    packet.stream = copied
                    time.sleep(max(0.0, began + due - time.monotonic()))
                    output.mux(packet)
                shift += end
    return began_at


def main() -> int:
    """Run, print a line per minute, and return 0 if neither memory nor lag grew."""
    parser = argparse.ArgumentParser(prog="python -m bench.watch", description="Memory and lag of a long watch.")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the stream (default: %(default)g)")
    parser.add_argument("--url", metavar="HOST:PORT", help="a running server (default: a stand-in)")
    parser.add_argument(
        "--answer-seconds",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="how long the stand-in takes; above --stride-seconds, clips are skipped (default: %(default)g)",
    )
    parser.add_argument("--stride-seconds", type=float, default=1.0, help="(default: %(default)g)")
    parser.add_argument(
        "--video", choices=NAMES, default="bigbuckbunny", help="which is written again and again (default: %(default)s)"
    )
    parser.add_argument("--annotate", action="store_true", help="write the annotated video, too")
    options = parser.parse_args()
    OUTPUT.parent.mkdir(exist_ok=True)
    with ExitStack() as stack:
        url = options.url or stack.enter_context(stand_in(options.answer_seconds))
        command = [sys.executable, "-m", "client", "watch", "-", "--url", url, "--stride-seconds"]
        command.append(str(options.stride_seconds))
        if options.annotate:
            command += ["--output", str(OUTPUT.with_suffix(".mp4"))]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        watching = stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe))
        stack.callback(watching.kill)
        return report(*measure(watching, real_videos()[options.video], options.minutes * 60))


def measure(watching: subprocess.Popen[bytes], video: Path, seconds: float) -> tuple[list[Minute], float]:
    """What each whole minute of the run was like, and the share of a core that the command used."""
    assert watching.stdin is not None
    assert watching.stdout is not None
    began_at: list[float] = []
    memory: list[tuple[float, float]] = []
    cpu = [0.0]

    def write() -> None:
        assert watching.stdin is not None
        began_at.append(write_in_real_time(video, seconds, watching.stdin))
        watching.stdin.close()

    def sample() -> None:
        while watching.poll() is None:
            memory.append((time.time(), proportional_mib(watching.pid)))
            cpu.append(max(cpu[-1], cpu_seconds(watching.pid)))
            time.sleep(SAMPLE_SECONDS)

    threads = [threading.Thread(target=target) for target in (write, sample)]
    for thread in threads:
        thread.start()
    rows = [json.loads(line) for line in watching.stdout]
    for thread in threads:
        thread.join()
    first = rows[0]["start_seconds"]
    answers = []
    for row in rows:
        answered = datetime.fromisoformat(row["time"]).timestamp() - began_at[0]
        answers.append((answered, answered - (row["end_seconds"] - first), row))
    minutes = []
    for number in range(1, int(seconds / 60) + 1):
        of_minute = [answer for answer in answers if number - 1 <= answer[0] / 60 < number]
        lags = [lag for _, lag, _ in of_minute]
        used = [mib for at, mib in memory if number - 1 <= (at - began_at[0]) / 60 < number]
        last = of_minute[-1][2]
        minutes.append(
            Minute(
                number,
                max(used),
                len(of_minute),
                median(lags),
                max(lags),
                last["clips_skipped"],
                last["frames_dropped"],
            )
        )
    return minutes, cpu[-1] / seconds


def report(minutes: list[Minute], cores: float) -> int:
    """Print the minutes and the verdicts."""
    OUTPUT.write_text(json.dumps({"cores": cores, "minutes": [asdict(minute) for minute in minutes]}, indent=2) + "\n")
    print("minute  memory    answers  lag: median  most     skipped  dropped")
    for minute in minutes:
        print(
            f"{minute.minute:6}  {minute.memory_mib:5.0f} MiB  {minute.answers:6}  {minute.lag_median_seconds:9.2f} s  "
            f"{minute.lag_most_seconds:5.2f} s  {minute.clips_skipped:7}  {minute.frames_dropped:7}"
        )
    print(f"the command used {cores:.2f} cores; figures are in {OUTPUT}")
    if len(minutes) < 3:
        print("memory and lag: not compared, the run is too short")
        return 0
    early, late = minutes[1], minutes[-1]
    growth = late.memory_mib / early.memory_mib - 1
    later = late.lag_median_seconds - early.lag_median_seconds
    verdicts = [
        (f"memory from minute 2 to the last: {growth:+.1%}, at most {MAX_GROWTH:+.0%}", growth <= MAX_GROWTH),
        (
            f"median lag from minute 2 to the last: {later:+.2f} s, at most {MAX_LAG_GROWTH_SECONDS:+.1f} s",
            later <= MAX_LAG_GROWTH_SECONDS,
        ),
    ]
    for what, kept in verdicts:
        print(f"{'KEPT  ' if kept else 'BROKEN'}  {what}")
    return 0 if all(kept for _, kept in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Previews of many videos, each encoded in its own process."""

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._remote.reading import on_this_machine
from ..errors import ClientError

PREVIEW_SECONDS = 4.0
TIMEOUT_SECONDS = 20.0
SCRIPT = Path(__file__).with_name("encode_preview.py")


@dataclass(frozen=True)
class Segment:
    """The part of a video to show."""

    path: Path | str
    """The file; a text is its URL."""
    start_seconds: float
    """Its start."""
    end_seconds: float
    """Its end."""


@dataclass(frozen=True)
class Preview:
    """A preview, or why there is none."""

    mp4: bytes | None
    """An H.264 MP4."""
    reason: str = ""
    """One sentence; empty if there is a preview."""


def middle(path: Path | str, start_seconds: float, end_seconds: float) -> Segment:
    """The middle `PREVIEW_SECONDS` of the scored part, or all of it if it is shorter."""
    spare = max(0.0, end_seconds - start_seconds - PREVIEW_SECONDS)
    return Segment(path, round(start_seconds + spare / 2, 3), round(end_seconds - spare / 2, 3))


def segment_of(row: dict[str, Any], path: Path | str | None) -> Segment | None:
    """What to show of a row of a table, as pyarrow gives it, whose file this is."""
    if path is None:
        return None
    start_seconds = row["start_seconds"] or 0.0
    length_seconds = row["duration_seconds"] or 0.0
    end_seconds = row["end_seconds"] or start_seconds + length_seconds
    clips = row["clips"] or ()
    if row["from_first_frame"] and clips:
        # The first clip starts at the part's first frame; its time is a timestamp.
        end_seconds += clips[0]["start_seconds"] - start_seconds
        start_seconds = clips[0]["start_seconds"]
    elif row["start_seconds"] is None and clips:
        # Timestamps need not start at 0: take the start of the first clip.
        start_seconds = clips[0]["start_seconds"]
        end_seconds = row["end_seconds"] or start_seconds + length_seconds
    return middle(path, start_seconds, max(end_seconds, start_seconds))


def make_previews(segments: Iterable[Segment]) -> dict[Segment, Preview]:
    """One preview for each distinct segment, encoded in parallel; one that fails has a reason instead of a video."""
    unique = list(dict.fromkeys(segments))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(unique, pool.map(_make, unique), strict=True))


def _make(segment: Segment) -> Preview:
    try:
        with on_this_machine(str(segment.path)) as path:
            return _encoded(Path(path).resolve(), segment.start_seconds, segment.end_seconds)
    except ClientError as error:  # of a store
        return Preview(None, str(error))


def _encoded(path: Path, start_seconds: float, end_seconds: float) -> Preview:
    # -I keeps modules in the current directory or beside the script from shadowing its imports.
    command = [sys.executable, "-I", SCRIPT, path, start_seconds, end_seconds]
    try:
        result = subprocess.run(list(map(str, command)), capture_output=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return Preview(None, f"decoding took more than {TIMEOUT_SECONDS:g} s")
    if result.returncode < 0:
        return Preview(None, "the decoder crashed")
    if result.returncode:
        said = result.stderr.decode(errors="replace").strip().splitlines()
        return Preview(None, said[-1] if said else "it cannot be decoded")
    return Preview(result.stdout)

"""Probabilities of camera labels for many videos, from a server."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


class NotScored(Exception):
    """The videos could not be scored; the client has said why."""


@dataclass(frozen=True)
class Scored:
    """What a server says of a video."""

    clips: tuple[dict[str, float], ...]
    """For each clip, the probability of each label."""
    seconds: tuple[float, ...]
    """The length of each clip."""


def score(videos: Sequence[Path], output: Path, options: Sequence[str]) -> tuple[dict[Path, Scored], dict[Path, str]]:
    """Score videos into the table `output` (JSON lines), or go on with it; scores, and errors of those that failed.

    `options` are those of `client.score`. Raises `NotScored`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    manifest = output.with_suffix(".manifest.jsonl")
    manifest.write_text("".join(json.dumps({"path": str(video.resolve())}) + "\n" for video in videos))
    command = (
        *(sys.executable, "-m", "client.score", "--manifest", str(manifest), "--output", str(output)),
        *("--signals", "camera", *options),
    )
    ended = subprocess.run(command, cwd=ROOT, check=False)
    if not output.exists():
        raise NotScored(f"client.score ended with status {ended.returncode}")
    found = {row["video"]: row for row in _rows(output)}
    scores, errors = {}, {}
    for video in videos:
        row = found.get(str(video.resolve()))
        if row is None:
            raise NotScored(f"{output} has no row for {video}: run the same command again to resume")
        if row.get("error"):
            errors[video] = row["error"]
        else:
            clips = row["camera"]
            probabilities = tuple(clip["probabilities"] for clip in clips)
            scores[video] = Scored(probabilities, tuple(clip["end_seconds"] - clip["start_seconds"] for clip in clips))
    return scores, errors


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        yield from map(json.loads, file)

"""Scores on standard output: a table on a terminal, otherwise one JSON object per line."""

import io
import json
import sys

from .._inputs.inputs import Inputs
from .._inputs.skipped import Skipped
from .._runs.interruption import interruptible
from .._runs.part_times import item_parameters
from .._runs.run import Run, scoring
from .._sdk.client import Client
from .._sdk.result import CameraClip, Score
from .._tables.row import scored_row
from ..errors import ClientError, ServerUnavailable


def show_scores(client: Client, inputs: Inputs, parameters: dict[str, float], *, in_flight: int, as_table: bool) -> int:
    """Score videos and print the results in the order of the inputs; returns the exit status."""
    videos = failed = 0
    warned = False
    skipped = Skipped()
    run = Run(scoring(client, parameters), inputs.items(skipped), in_flight=in_flight, ordered=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know every character of a name
    with interruptible(run.stop) as interruption:
        for video in run:
            result = video.result
            videos += 1
            if isinstance(result, ClientError):
                failed += 1
                _say(f"{video.item.shown}: {result}")
                if isinstance(result, ServerUnavailable):
                    run.stop()  # the next videos would fail too
                continue
            if (notice := result.weights.notice) and not warned:
                _say(f"NOTE: {notice}")
                warned = True
            row = scored_row(video.item.video, result, item_parameters(parameters, video.item))
            print(table(video.item.shown, result) if as_table else json.dumps(row), flush=True)
    for sentence in skipped.sentences():
        _say(sentence)
    if failed and videos > 1:
        _say(f"{failed} of {videos} videos failed")
    return interruption.status or (1 if failed or skipped.trouble_count else 0)


def table(video: str, score: Score) -> str:
    """One video's score as lines of text for a person."""
    info, motion = score.info, score.motion
    header = "" if info.header_duration_seconds is None else f" (header: {info.header_duration_seconds:.2f} s)"
    share = info.decoded_share
    damaged = "" if share is None or share == 1 else f", damaged: {share:.0%} decodes"
    lines = [
        f"{video}  {info.duration_seconds:.2f} s{header}, {info.frames} frames, "
        f"{info.frames_per_second:.2f} frames/s, {info.width} x {info.height}{damaged}",
        f"  motion   camera {motion.camera_movement_score:.3f}   object {motion.object_movement_score:.3f}"
        f"   dynamics {motion.dynamics_score:.3f}",
    ]
    lines += [
        f"  clip  {clip.start_seconds:7.2f} - {clip.end_seconds:7.2f} s   {_labels(clip)}" for clip in score.camera
    ]
    return "\n".join(lines)


def _labels(clip: CameraClip) -> str:
    if clip.labels:
        return ", ".join(f"{label} {clip.probabilities[label]:.2f}" for label in clip.labels)
    label, probability = max(clip.probabilities.items(), key=lambda item: item[1])
    return f"none (highest: {label} {probability:.2f})"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""Scores on standard output: a table on a terminal, otherwise one JSON object per line."""

import io
import json
import sys

from .._counted import counted
from .._first_pass.first_pass import FirstPass, SkippedVideo
from .._first_pass.look import NO_LOOK
from .._inputs.inputs import Inputs
from .._inputs.skipped import Skipped
from .._remote.patience import STORE_AWAY
from .._runs.interruption import interruptible
from .._runs.part_times import item_parameters
from .._runs.phrases import phrases_of
from .._runs.run import Run, scoring
from .._runs.signal_options import SignalOptions
from .._runs.table_run import notice_for
from .._sdk.client import Client
from .._sdk.metrics import Metrics
from .._sdk.result import CameraClip, Score
from .._sdk.signal_results import Action
from .._sdk.signals import NotServed
from .._tables.row import as_json, scored_row, skipped_row
from ..errors import ClientError, ServerUnavailable


def show_scores(
    client: Client,
    inputs: Inputs,
    parameters: dict[str, float],
    *,
    in_flight: int,
    as_table: bool,
    signals: SignalOptions | None = None,
    kept: tuple[str, ...] = (),
    phrases: bool = False,
    first_pass: FirstPass | None = None,
) -> int:
    """Score videos and print the results in the order of the inputs; returns the exit status.

    Raises `ClientError` if signals are named that the server does not serve.
    """
    if signals is not None:
        signals = signals.settled(client.weights())
    videos = failed = 0
    warned = False
    skipped = Skipped()
    run = Run(
        scoring(client, parameters, signals, first_pass), inputs.items(skipped), in_flight=in_flight, ordered=True
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know every character of a name
    with interruptible(run.stop) as interruption:
        for video in run:
            result = video.result
            videos += 1
            if isinstance(result, ClientError):
                failed += 1
                _say(f"{video.item.shown}: {result}")
                if isinstance(result, ServerUnavailable | NotServed) or result.reason == STORE_AWAY:
                    run.stop()  # the next videos would fail too
                continue
            of_manifest = {name: video.item.kept.get(name) for name in kept}
            asked = item_parameters(parameters, video.item)
            seen = {} if first_pass is None else NO_LOOK if video.look is None else video.look.as_row()
            if isinstance(result, SkippedVideo):
                row = skipped_row(video.item.video, result.by, asked, of_manifest) | seen
                print(skipped_line(video.item.shown, result) if as_table else json.dumps(row), flush=True)
                continue
            if (notice := notice_for(result.weights, signals)) and not warned:
                _say(f"NOTE: {notice}")
                warned = True
            row = scored_row(video.item.video, result, asked, of_manifest) | seen
            words = phrases_of(result) if phrases else {}
            print(_lines(video.item.shown, result, words) if as_table else json.dumps(as_json(row | words)), flush=True)
    for sentence in skipped.sentences():
        _say(sentence)
    if failed and videos > 1:
        _say(f"{failed} of {counted(videos, 'video')} failed")
    return interruption.status or (1 if failed or skipped.trouble_count else 0)


def _lines(video: str, score: Score, words: dict[str, str]) -> str:
    return "\n".join([table(video, score), *(f"  words     {text}" for text in words.values() if text)])


def skipped_line(video: str, skipped: SkippedVideo) -> str:
    """A video that was not sent, as a line of text for a person."""
    look = skipped.look
    return (
        f"{video}  not scored: {skipped.by} (change {look.change:.2f} of 255 levels, frozen {look.frozen_share:.0%}, "
        f"black {look.black_share:.0%})"
    )


def table(video: str, score: Score) -> str:
    """One video's score as lines of text for a person."""
    info, motion = score.info, score.motion
    frames, segments, actions = score.frames, score.segments, score.actions
    header = "" if info.header_duration_seconds is None else f" (header: {info.header_duration_seconds:.2f} s)"
    share = info.decoded_share
    damaged = "" if share is None or share == 1 else f", damaged: {share:.0%} decodes"
    lines = [
        f"{video}  {info.duration_seconds:.2f} s{header}, {counted(info.frames, 'frame')}, "
        f"{info.frames_per_second:.2f} frames/s, {info.width} x {info.height}{damaged}"
    ]
    if motion is not None:
        lines.append(
            f"  motion   camera {motion.camera_movement_score:.3f}   object {motion.object_movement_score:.3f}"
            f"   dynamics {motion.dynamics_score:.3f}"
        )
    lines += [
        f"  clip  {clip.start_seconds:7.2f} - {clip.end_seconds:7.2f} s   {_labels(clip)}"
        for clip in score.camera or ()
    ]
    if segments is not None:
        lines.append(f"  segments  {len(segments)} embeddings of {segments.shape[1]}")
    if frames is not None:
        lines.append(f"  frames    {len(frames.embeddings)} embeddings of {frames.embeddings.shape[1]}")
    if actions is not None:
        lines.append(f"  actions   {_ranked(actions.video)}")
        lines += [
            f"  acts  {clip.start_seconds:7.2f} - {clip.end_seconds:7.2f} s   {_ranked(clip.actions[:2])}"
            for clip in actions.clips
        ]
    if score.metrics is not None:
        lines.append(f"  metrics   {_measures(score.metrics)}")
    for name, probabilities in (score.heads or {}).items():
        entries = sorted(probabilities.items(), key=lambda item: -item[1])[:3]
        lines.append(f"  head {name}   {', '.join(f'{label} {value:.2f}' for label, value in entries)}")
    return "\n".join(lines)


def _measures(metrics: Metrics) -> str:
    return "   ".join(f"{name} {value:.4g}" for name, value in vars(metrics).items() if value is not None)


def _labels(clip: CameraClip) -> str:
    if clip.labels:
        return ", ".join(f"{label} {clip.probabilities[label]:.2f}" for label in clip.labels)
    label, probability = max(clip.probabilities.items(), key=lambda item: item[1])
    return f"none (highest: {label} {probability:.2f})"


def _ranked(actions: tuple[Action, ...]) -> str:
    return ", ".join(f"{action.label} {action.probability:.2f}" for action in actions)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

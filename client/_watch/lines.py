"""A clip in words: on the live line, and drawn into a frame."""

from .networks import Action
from .watched import WatchedClip

SHOWN_LABELS = 3
"""How many camera labels are shown at most."""
NO_ANSWER = "no answer"


def camera_line(clip: WatchedClip) -> str:
    """The labels that are reported, most probable first; if there are none, the most probable one."""
    if labels := clip.labels[:SHOWN_LABELS]:
        return ", ".join(f"{label} {clip.probabilities[label]:.2f}" for label in labels)
    label, probability = max(clip.probabilities.items(), key=lambda item: item[1])
    return f"none (highest: {label} {probability:.2f})"


def action_line(actions: tuple[Action, ...] | None) -> str:
    """The most probable action; empty without an action classifier."""
    return f"{actions[0].label} {actions[0].probability:.2f}" if actions else ""


def caption_lines(clip: WatchedClip | None) -> tuple[str, ...]:
    """What is drawn into the frames of a clip; None: one without an answer."""
    if clip is None:
        return (NO_ANSWER,)
    return tuple(line for line in (camera_line(clip), action_line(clip.actions)) if line)


def live_line(clip: WatchedClip) -> str:
    """Time of the clip on the source's clock, time of the answer, labels, latency, and what was left out."""
    labels = "; ".join(line for line in (camera_line(clip), action_line(clip.actions)) if line)
    return (
        f"{clip.answered_at.astimezone():%H:%M:%S}  {clip.start_seconds:.2f} - {clip.end_seconds:.2f} s  {labels}  "
        f"{clip.latency_seconds:.2f} s, {clip.frames_dropped} frames dropped, {clip.clips_skipped} clips skipped"
    )

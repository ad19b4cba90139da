"""What to do about a signal that a table lacks."""

from collections.abc import Sequence


def how_to_add(signal: str, signals: Sequence[str] | None) -> str:
    """A clause with the command. signals: those that the table has; None for motion and camera."""
    names = ",".join(dict.fromkeys((*(("motion", "camera") if signals is None else signals), signal)))
    return (
        f"score the videos with {signal} among the signals, into another table: "
        f"video-motion score VIDEOS --signals {names} --output FILE"
    )

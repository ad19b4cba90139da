"""Signals: what a request asks the model `video_signals` to compute, and what of it a server serves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import InvalidRequest
from .metrics import METRICS_OUTPUT
from .parameters import REASON
from .result import Weights

SIGNALS: dict[str, tuple[str, ...]] = {
    "motion": ("MOTION_SCORES",),
    "camera": ("CAMERA_PROBABILITIES", "CLIP_SECONDS"),
    "segments": ("SEGMENT_EMBEDDINGS",),
    "frames": ("FRAME_EMBEDDINGS", "FRAME_SECONDS"),
    "actions": ("ACTION_PROBABILITIES", "CLIP_SECONDS"),
    "metrics": (METRICS_OUTPUT,),
}
"""The outputs of each signal that this client reads."""
COMMON = ("VIDEO_INFO", "HEADER_DURATION_SECONDS", "WEIGHTS", "DECODER")
"""The outputs of every request."""
FRAMES = "frames"
"""The signal whose number of frames is a parameter of the same name."""


class NotServed(InvalidRequest):
    """The server does not serve a signal or a head; the message says what it serves."""

    reason = REASON


@dataclass(frozen=True)
class Asked:
    """What a caller asks for."""

    signals: tuple[str, ...]
    """Keys of `SIGNALS`, in their order."""
    heads: tuple[str, ...] | None
    """Names of heads; None for all that are served over embeddings of these signals."""


@dataclass(frozen=True)
class Wanted:
    """What a request for signals wants of a server that serves it."""

    signals: tuple[str, ...]
    """The signals that the answer has."""
    heads: tuple[str, ...]
    """The heads that the answer has."""
    needed: tuple[str, ...]
    """The signals that the server must compute: these, and those that the heads need."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs to request."""
        named = [*COMMON, *(output for signal in self.signals for output in SIGNALS[signal])]
        return (*dict.fromkeys(named), *map(head_output, self.heads))


def head_output(name: str) -> str:
    """The output of a head."""
    return f"HEAD_{name.upper()}"


def asked_for(
    signals: str | Iterable[str] | None, heads: str | Iterable[str] | None, numbers: dict[str, float]
) -> Asked | None:
    """What the arguments of `score` ask for; None without `signals` and `heads`, for the model `video_motion`.

    Raises `InvalidRequest` for no signals, for an unknown one, and for `frames` without frames.
    """
    if signals is None and heads is None:
        if FRAMES in numbers:
            raise InvalidRequest("frames is given, but not signals: name frames among the signals", reason=REASON)
        return None
    names = _names("signals", signals)
    chosen = None if heads is None else _names("heads", heads)
    if unknown := [name for name in names if name not in SIGNALS]:
        raise InvalidRequest(f"there is no signal {unknown[0]!r}; the signals are {', '.join(SIGNALS)}", reason=REASON)
    if not names and not chosen:
        raise InvalidRequest(f"no signals are named; the signals are {', '.join(SIGNALS)}", reason=REASON)
    if FRAMES in numbers and FRAMES not in names and not chosen:
        raise InvalidRequest("frames is given, but frames is not among the signals", reason=REASON)
    return Asked(tuple(name for name in SIGNALS if name in names), chosen)


def wanted_of(asked: Asked, weights: Weights) -> Wanted:
    """What to request of a server with these weights. Raises `NotServed`."""
    if missing := [name for name in asked.signals if name not in weights.signals]:
        raise NotServed(f"the server does not serve the signal {missing[0]}; it serves {', '.join(weights.signals)}")
    served = {head.name: head for head in weights.heads}
    if asked.heads is None:
        heads = tuple(head.name for head in weights.heads if head.on in asked.signals)
    else:
        heads = asked.heads
        if missing := [name for name in heads if name not in served]:
            known = ", ".join(served) or "no heads"
            raise NotServed(f"the server does not serve the head {missing[0]!r}; it serves {known}")
    for name in heads:
        if served[name].on not in SIGNALS:
            raise NotServed(f"this client cannot ask for the head {name!r}, which needs {served[name].on}")
    computed = {*asked.signals, *(served[name].on for name in heads)}
    return Wanted(asked.signals, heads, tuple(name for name in SIGNALS if name in computed))


def _names(what: str, given: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names in a sequence, or in a text separated by commas; each once."""
    names: Sequence[object]
    try:
        names = given.split(",") if isinstance(given, str) else [*(given or ())]
    except TypeError as error:
        raise InvalidRequest(f"{what} must be names, or a text with commas between them", reason=REASON) from error
    if not all(isinstance(name, str) for name in names):
        raise InvalidRequest(f"{what} must be names, or a text with commas between them", reason=REASON)
    return tuple(dict.fromkeys(stripped for name in names if (stripped := str(name).strip())))

"""Watch a camera, a stream or a file: an answer for each clip as soon as it is there. Needs PyAV and Pillow."""

from ._watch.errors import SourceError, SourceStalled, UnwritableOutput
from ._watch.networks import Action
from ._watch.watch import Watch
from ._watch.watched import Counts, WatchedClip

__all__ = ["Action", "Counts", "SourceError", "SourceStalled", "UnwritableOutput", "Watch", "WatchedClip"]

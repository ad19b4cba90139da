"""What the optional networks say of a video: embeddings of frames, and actions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP_ACTIONS = 5
"""How many actions an answer has."""


@dataclass(frozen=True)
class Action:
    """An action, and how probable it is."""

    label: str
    """The label of the action classifier; `class N` if the server does not know its name."""
    probability: float
    """Its probability; those of all labels add up to 1."""


@dataclass(frozen=True)
class ActionClip:
    """The actions of one clip of a video."""

    start_seconds: float
    """Start of the clip, on the timestamps of the video."""
    end_seconds: float
    """End of the clip."""
    actions: tuple[Action, ...]
    """The five most probable actions, most probable first."""


@dataclass(frozen=True)
class Actions:
    """The actions of a video and of each of its clips."""

    video: tuple[Action, ...]
    """The five most probable actions of the video: the mean over its clips of each probability."""
    clips: tuple[ActionClip, ...]
    """Each clip, in order of time; they are the clips of the camera labels."""

    def as_dict(self) -> dict[str, Any]:
        """The actions as a JSON object."""
        return {
            "video": [*map(vars, self.video)],
            "clips": [vars(clip) | {"actions": [*map(vars, clip.actions)]} for clip in self.clips],
        }


@dataclass(frozen=True, eq=False)
class Frames:
    """Evenly spaced frames of a video, as the image encoder sees them."""

    embeddings: NDArray[np.float32]
    """(frames, dimensions) float32, a row per frame."""
    seconds: NDArray[np.float32]
    """(frames,) float32, when each is shown, on the timestamps of the video."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frames):
            return NotImplemented
        return np.array_equal(self.embeddings, other.embeddings) and np.array_equal(self.seconds, other.seconds)

    __hash__ = None  # type: ignore[assignment]  # arrays can be changed


def top_actions(probabilities: NDArray[np.floating], labels: tuple[str, ...]) -> tuple[Action, ...]:
    """The most probable of (labels,) probabilities, most probable first."""
    order = np.argsort(-probabilities, kind="stable")[:TOP_ACTIONS]
    return tuple(Action(labels[index], round(float(probabilities[index]), 6)) for index in order.tolist())


def actions_of(
    probabilities: NDArray[np.float32], clip_seconds: NDArray[np.float32], labels: tuple[str, ...]
) -> Actions:
    """The actions in (clips, labels) probabilities of clips with (clips, 2) start and end.

    Raises ValueError if the shapes do not fit.
    """
    if probabilities.shape != (len(clip_seconds), len(labels)) or not probabilities.size:
        raise ValueError(f"{probabilities.shape} probabilities for {len(clip_seconds)} clips and {len(labels)} labels")
    clips = tuple(
        ActionClip(round(float(start), 6), round(float(end), 6), top_actions(row, labels))
        for (start, end), row in zip(clip_seconds, probabilities, strict=True)
    )
    return Actions(top_actions(probabilities.mean(axis=0, dtype=np.float64), labels), clips)


def frames_of(embeddings: NDArray[np.float32], seconds: NDArray[np.float32]) -> Frames:
    """Frames of (frames, dimensions) embeddings and (frames,) seconds. Raises ValueError if the shapes do not fit."""
    seconds = seconds.reshape(-1)
    if embedding_matrix(embeddings).shape[0] != len(seconds):
        raise ValueError(f"{len(embeddings)} frames with {len(seconds)} times")
    return Frames(embeddings, seconds)


def embedding_matrix(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings, if they are (frames or segments, dimensions) float32. Raises ValueError otherwise."""
    if embeddings.ndim != 2 or embeddings.dtype != np.float32 or not embeddings.size:
        raise ValueError(f"embeddings are {embeddings.shape} {embeddings.dtype}")
    return embeddings

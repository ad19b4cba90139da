"""What the server says of a video."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LABEL_THRESHOLD = 0.5
"""A camera label is reported from this probability on."""
OUTPUTS = ("MOTION_SCORES", "CAMERA_PROBABILITIES", "CLIP_SECONDS", "VIDEO_INFO", "WEIGHTS")
"""The outputs of the ensemble that make a `Score`."""


@dataclass(frozen=True)
class MotionScores:
    """How much a video moves, each nominally from 0 to 3."""

    camera_movement_score: float
    """Movement of the camera."""
    object_movement_score: float
    """Movement of what it looks at."""
    dynamics_score: float
    """Everything else that changes: light, colour, focus, cuts."""


@dataclass(frozen=True)
class CameraClip:
    """How the camera moves in one clip of a video."""

    start_seconds: float
    """Where the clip starts, in the timestamps of the video."""
    end_seconds: float
    """Where it ends."""
    probabilities: dict[str, float]
    """Probability of every label that the classifier knows; they are independent and need not add up to 1."""

    @property
    def labels(self) -> list[str]:
        """The labels with a probability of at least `LABEL_THRESHOLD`, most probable first."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return [label for label, probability in ranked if probability >= LABEL_THRESHOLD]


@dataclass(frozen=True)
class VideoInfo:
    """What the container says of the video."""

    duration_seconds: float
    """Duration of the video stream."""
    frames: int
    """Number of frames."""
    frames_per_second: float
    """Average frame rate."""
    width: int
    """Width of a frame in pixels."""
    height: int
    """Height of a frame in pixels."""


@dataclass(frozen=True)
class Weights:
    """Which weights the server serves: `repository@commit`, `directory PATH`, `demo`, `random:SEED` for stand-ins."""

    motion: str
    """Of the motion scores."""
    camera: str
    """Of the camera labels."""
    labels: tuple[str, ...]
    """The camera labels, in the order of the server's probabilities."""
    precision: str = "unknown"
    """What the server computes in: `f32`, `bf16`, `int8` or `fp16`; `unknown` where it does not say."""

    @property
    def stand_in(self) -> bool:
        """Whether any of them are random: the figures then mean nothing."""
        return self.motion.startswith("random") or self.camera.startswith("random")

    @property
    def notice(self) -> str | None:
        """What whoever reads the figures has to know of the weights; None of published ones and one's own."""
        if self.stand_in:
            return "the server has stand-in weights: these figures mean nothing"
        if self.motion.startswith("demo") or self.camera.startswith("demo"):
            return (
                "the server has the demo's small networks, which know far less of real videos than the published ones"
            )
        return None


@dataclass(frozen=True)
class Score:
    """How a video moves."""

    motion: MotionScores
    """Scores of the whole video."""
    camera: tuple[CameraClip, ...]
    """Camera moves, clip by clip."""
    info: VideoInfo
    """The video itself."""
    weights: Weights
    """The weights that said so."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the object of the README, without the name of the video."""
        return {
            "motion": vars(self.motion),
            "camera": [
                {
                    "start_seconds": clip.start_seconds,
                    "end_seconds": clip.end_seconds,
                    "labels": clip.labels,
                    "probabilities": clip.probabilities,
                }
                for clip in self.camera
            ],
            "info": vars(self.info),
            "weights": {
                "motion": self.weights.motion,
                "camera": self.weights.camera,
                "precision": self.weights.precision,
            },
        }


def parse_weights(tensor: NDArray[np.object_]) -> Weights:
    """The `WEIGHTS` output: one JSON text."""
    content = json.loads(tensor.reshape(-1)[0])
    precision = content.get("precision", "unknown")
    return Weights(content["motion"], content["camera"], tuple(content["labels"]), precision)


def parse_score(outputs: Mapping[str, NDArray[Any]]) -> Score:
    """The tensors of `OUTPUTS` as a `Score`; floats are rounded to 6 decimals, what float32 holds of them."""
    weights = parse_weights(outputs["WEIGHTS"])
    camera, objects, dynamics = (round(float(score), 6) for score in outputs["MOTION_SCORES"][0])
    duration, frames, rate, width, height = outputs["VIDEO_INFO"][0].tolist()
    clips = tuple(
        CameraClip(
            round(float(start), 6),
            round(float(end), 6),
            {label: round(float(value), 6) for label, value in zip(weights.labels, row, strict=True)},
        )
        for (start, end), row in zip(outputs["CLIP_SECONDS"], outputs["CAMERA_PROBABILITIES"], strict=True)
    )
    return Score(
        MotionScores(camera, objects, dynamics),
        clips,
        VideoInfo(round(duration, 6), int(frames), round(rate, 6), int(width), int(height)),
        weights,
    )

"""The server's answer for a video."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LABEL_THRESHOLD = 0.5
"""Lowest probability at which a camera label is reported."""
OUTPUTS = (
    "MOTION_SCORES",
    "CAMERA_PROBABILITIES",
    "CLIP_SECONDS",
    "VIDEO_INFO",
    "HEADER_DURATION_SECONDS",
    "WEIGHTS",
    "DECODER",
)
"""The outputs of the ensemble that make up a `Score`."""
DECODED_SHARE = "DECODED_SHARE"
"""The output for requests that allow a damaged video."""


@dataclass(frozen=True)
class MotionScores:
    """How much a video moves, each nominally from 0 to 3."""

    camera_movement_score: float
    """Movement of the camera."""
    object_movement_score: float
    """Movement of the objects in view."""
    dynamics_score: float
    """Everything else that changes, such as light, colour, focus and cuts."""


@dataclass(frozen=True)
class CameraClip:
    """The camera moves of one clip of a video."""

    start_seconds: float
    """Start of the clip, on the timestamps of the video."""
    end_seconds: float
    """End of the clip."""
    probabilities: dict[str, float]
    """Probability of each label of the classifier; they are independent and need not add up to 1."""

    @property
    def labels(self) -> list[str]:
        """The labels with a probability of at least `LABEL_THRESHOLD`, most probable first."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return [label for label, probability in ranked if probability >= LABEL_THRESHOLD]


@dataclass(frozen=True)
class VideoInfo:
    """The video as its frames and its container have it."""

    duration_seconds: float
    """From the first frame to the end of the last one; the header's duration if that agrees with the frames."""
    frames: int
    """Number of frames."""
    frames_per_second: float
    """Average frame rate."""
    width: int
    """Width of a frame in pixels."""
    height: int
    """Height of a frame in pixels."""
    header_duration_seconds: float | None = None
    """The header's duration if it differs from that of the frames by more than half a frame, else None."""
    decoded_share: float | None = None
    """The share of the frames that decode, from 0.5 to 1; None unless the request allowed a damaged video."""

    def as_dict(self) -> dict[str, Any]:
        """The fields as a JSON object, without those that are None."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Weights:
    """The weights that the server serves: `repository@commit`, `directory PATH`, `demo`, or `random:SEED`."""

    motion: str
    """Weights behind the motion scores."""
    camera: str
    """Weights behind the camera labels."""
    labels: tuple[str, ...]
    """The camera labels, in the order of the server's probabilities."""
    precision: str = "unknown"
    """Number format of the server: `f32`, `bf16`, `int8` or `fp16`; `unknown` if the server does not say."""

    @property
    def stand_in(self) -> bool:
        """Whether any of the weights are random, so that the scores mean nothing."""
        return self.motion.startswith("random") or self.camera.startswith("random")

    @property
    def notice(self) -> str | None:
        """A warning about the weights for readers of the scores; None for published weights and your own."""
        if self.stand_in:
            return "the server has random weights: these scores mean nothing"
        if self.motion.startswith("demo") or self.camera.startswith("demo"):
            return "the server has the small demo networks, which are far less accurate than the published ones"
        return None


@dataclass(frozen=True)
class Score:
    """The scores and camera moves of a video."""

    motion: MotionScores
    """Scores of the whole video."""
    camera: tuple[CameraClip, ...]
    """Camera moves of each clip, in order of time."""
    info: VideoInfo
    """Duration, frame count, frame rate and size of the video."""
    weights: Weights
    """The weights that the server used."""
    video: str | None = field(default=None, compare=False)
    """The path as it was given; None for bytes. Not in `as_dict()`, and ignored by `==`."""
    decoder: str | None = field(default=None, compare=False)
    """What decoded the video: `nvdec` (a GPU) or `ffmpeg` (the CPU); None if the server does not say.

    Ignored by `==`."""

    def as_dict(self) -> dict[str, Any]:
        """The score as the JSON object of the documentation, without the name of the video."""
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
            "info": self.info.as_dict(),
            "weights": {
                "motion": self.weights.motion,
                "camera": self.weights.camera,
                "precision": self.weights.precision,
            },
        } | ({} if self.decoder is None else {"decoder": self.decoder})


def parse_weights(tensor: NDArray[np.object_]) -> Weights:
    """The weights in a `WEIGHTS` output: (1,) object, one JSON text."""
    content = json.loads(tensor.reshape(-1)[0])
    precision = content.get("precision", "unknown")
    return Weights(content["motion"], content["camera"], tuple(content["labels"]), precision)


def parse_score(outputs: Mapping[str, NDArray[Any]]) -> Score:
    """The tensors of `OUTPUTS`, with `DECODED_SHARE` if it was asked for, as a `Score`; `DECODER` may be missing.

    Floats are rounded to 6 decimals, about what float32 can hold.
    """
    weights = parse_weights(outputs["WEIGHTS"])
    camera, objects, dynamics = (round(float(score), 6) for score in outputs["MOTION_SCORES"][0])
    duration, frames, rate, width, height = outputs["VIDEO_INFO"][0].tolist()
    (header,) = outputs["HEADER_DURATION_SECONDS"].tolist()
    share = round(float(outputs[DECODED_SHARE][0, 0]), 6) if DECODED_SHARE in outputs else None
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
        VideoInfo(
            round(duration, 6),
            int(frames),
            round(rate, 6),
            int(width),
            int(height),
            None if math.isnan(header) else round(header, 6),
            share,
        ),
        weights,
        decoder=outputs["DECODER"].reshape(-1)[0].decode() if "DECODER" in outputs else None,
    )

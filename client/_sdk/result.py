"""The server's answer for a video."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .metrics import METRICS_OUTPUT, Metrics, metrics_of
from .signal_results import Actions, Frames, actions_of, embedding_matrix, frames_of

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
class ServedHead:
    """A head that the server serves: a classifier that somebody trained on embeddings."""

    name: str
    """Its name."""
    on: str
    """The signal whose embeddings it gets: `frames` or `segments`."""
    labels: tuple[str, ...]
    """Its labels, in the order of the server's probabilities."""
    weights: str
    """Where its weights come from."""


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
    frames: str | None = None
    """Weights of the image encoder; None if there is none."""
    actions: str | None = None
    """Weights of the action classifier; None if there is none."""
    action_labels: tuple[str, ...] = ()
    """The labels of the action classifier, in the order of the server's probabilities."""
    heads: tuple[ServedHead, ...] = ()
    """The heads."""
    metrics: tuple[str, ...] = ()
    """The measures, in the order of the server's columns; empty if it measures nothing."""
    text: str | None = None
    """Weights of the text encoder, which are those of the image encoder; None if there is none."""
    autoencoder: str | None = None
    """Weights of the autoencoder, by whose latents frames are measured, too; None if there is none."""

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that the server serves, if it has the model `video_signals`."""
        optional = {"frames": self.frames, "actions": self.actions}
        networks = (name for name, weights in optional.items() if weights is not None)
        return ("motion", "camera", "segments", *networks, *(("metrics",) if self.metrics else ()))

    @property
    def stand_in(self) -> bool:
        """Whether any of the weights are random, so that the scores mean nothing."""
        return self.motion.startswith("random") or self.camera.startswith("random")

    @property
    def notice(self) -> str | None:
        """A warning about the weights for readers of the scores; None for published weights and your own.

        It is about the motion scores and the camera labels.
        """
        return notice_of((self.motion, self.camera))


def notice_of(weights: Collection[str]) -> str | None:
    """A warning about these weights for readers of what they give; None for published weights and your own."""
    if any(name.startswith("random") for name in weights):
        return "the server has random weights: these scores mean nothing"
    if any(name.startswith("demo") for name in weights):
        return "the server has the small demo networks, which are far less accurate than the published ones"
    return None


def weights_of_signals(weights: Weights, signals: Collection[str], heads: Collection[str]) -> dict[str, str]:
    """The weights behind signals and heads, by the keys that JSON and tables have for them."""
    networks = {"motion": weights.motion, "camera": weights.camera, "frames": weights.frames}
    networks |= {"segments": weights.motion, "actions": weights.actions}
    used = {network: name for network, name in networks.items() if network in signals and name is not None}
    if "segments" in used:
        used["motion"] = used.pop("segments")
    if "metrics" in signals and weights.autoencoder is not None:
        used["autoencoder"] = weights.autoencoder
    return used | {f"head_{head.name}": head.weights for head in weights.heads if head.name in heads}


@dataclass(frozen=True, eq=False)
class Score:
    """The scores and camera moves of a video, and the other signals that were asked for."""

    motion: MotionScores
    """Scores of the whole video. None if `signals` leaves them out, whatever the annotation says: programs that never
    name signals need no check."""
    camera: tuple[CameraClip, ...]
    """Camera moves of each clip, in order of time. None if `signals` leaves them out, whatever the annotation says."""
    info: VideoInfo
    """Duration, frame count, frame rate and size of the video."""
    weights: Weights
    """The weights that the server used."""
    video: str | None = field(default=None, compare=False)
    """The path as it was given; None for bytes. Not in `as_dict()`, and ignored by `==`."""
    decoder: str | None = field(default=None, compare=False)
    """What decoded the video: `nvdec` (a GPU) or `ffmpeg` (the CPU); None if the server does not say.

    Ignored by `==`."""
    frames: Frames | None = None
    """Embeddings of evenly spaced frames, and their times; None if not asked for."""
    segments: NDArray[np.float32] | None = None
    """(segments, 768) float32: embeddings of 16 frames each by the motion network's backbone; None if not asked for.

    The width is that of the motion network: 768 is the published one's."""
    actions: Actions | None = None
    """The most probable actions of the video and of each clip; None if not asked for."""
    heads: dict[str, dict[str, float]] | None = None
    """For each head by its name, the probability of each of its labels; None if there is none."""
    metrics: Metrics | None = None
    """Measures of how the frames change; None if not asked for."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Score):
            return NotImplemented
        return all(
            _is_same(getattr(self, each.name), getattr(other, each.name)) for each in fields(self) if each.compare
        )

    __hash__ = None  # type: ignore[assignment]  # probabilities are in dictionaries, embeddings in arrays

    def as_dict(self) -> dict[str, Any]:
        """The score as the JSON object of the documentation, without the name of the video."""
        return {name: _as_json(value) for name, value in self.as_row().items()}

    def as_row(self) -> dict[str, Any]:
        """The same with embeddings and their times as arrays."""
        content: dict[str, Any] = {}
        if self.motion is not None:
            content["motion"] = vars(self.motion)
        if self.camera is not None:
            content["camera"] = [
                {
                    "start_seconds": clip.start_seconds,
                    "end_seconds": clip.end_seconds,
                    "labels": clip.labels,
                    "probabilities": clip.probabilities,
                }
                for clip in self.camera
            ]
        if self.segments is not None:
            content["segment_embeddings"] = self.segments
        if self.frames is not None:
            content |= {"frame_embeddings": self.frames.embeddings, "frame_seconds": self.frames.seconds}
        if self.actions is not None:
            content["actions"] = self.actions.as_dict()
        if self.metrics is not None:
            content["metrics"] = vars(self.metrics)
        content |= {f"head_{name}": probabilities for name, probabilities in (self.heads or {}).items()}
        content["info"] = self.info.as_dict()
        names = {"motion": self.weights.motion, "camera": self.weights.camera, "precision": self.weights.precision}
        content["weights"] = names | weights_of_signals(self.weights, self._signals(), self.heads or ())
        return content | ({} if self.decoder is None else {"decoder": self.decoder})

    def _signals(self) -> list[str]:
        """The signals beside motion and camera."""
        return [name for name in ("segments", "frames", "actions", "metrics") if getattr(self, name) is not None]


def exact_floats(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """The same numbers, rounded to as many digits as tell them apart: nine for float32, five for float16.

    JSON then has so many digits, and not 17; read as float32 or float16, they are the same numbers again.
    """
    digits = 5 if values.dtype == np.float16 else 9
    exact = values.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** np.clip(digits - 1 - np.floor(np.log10(np.abs(exact))), -300, 300)
        rounded = np.round(exact * scale) / scale
    return np.where(np.isfinite(rounded), rounded, exact)


def _as_json(value: Any) -> Any:
    return exact_floats(value).tolist() if isinstance(value, np.ndarray) else value


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and np.array_equal(one, other)
    return bool(one == other)


def parse_weights(tensor: NDArray[np.object_]) -> Weights:
    """The weights in a `WEIGHTS` output: (1,) object, one JSON text."""
    content = json.loads(tensor.reshape(-1)[0])
    precision = content.get("precision", "unknown")
    frames, actions = content.get("frames"), content.get("actions")  # an older server does not say
    heads = (
        ServedHead(name, head["on"], tuple(head["labels"]), head["source"])
        for name, head in content.get("heads", {}).items()
    )
    return Weights(
        content["motion"],
        content["camera"],
        tuple(content["labels"]),
        precision,
        None if frames is None else frames["source"],
        None if actions is None else actions["source"],
        () if actions is None else tuple(actions["labels"]),
        tuple(heads),
        tuple(content.get("metrics", ())),
        content["text"]["source"] if "text" in content else None,
        content["autoencoder"]["source"] if "autoencoder" in content else None,
    )


def parse_score(outputs: Mapping[str, NDArray[Any]]) -> Score:
    """The tensors of `OUTPUTS`, with `DECODED_SHARE` if it was asked for, as a `Score`; `DECODER` may be missing.

    Probabilities, scores and times are rounded to 6 decimals, about what float32 can hold.
    """
    weights = parse_weights(outputs["WEIGHTS"])
    return Score(_motion(outputs), _camera(outputs, weights), _info(outputs), weights, decoder=_decoder(outputs))


def parse_signals(outputs: Mapping[str, NDArray[Any]], signals: Collection[str], heads: Mapping[str, str]) -> Score:
    """The same for the model `video_signals`: with the tensors of these signals, and of heads by their outputs."""
    weights = parse_weights(outputs["WEIGHTS"])
    served = {head.name: head for head in weights.heads}
    return Score(
        cast(MotionScores, _motion(outputs) if "motion" in signals else None),
        cast(tuple[CameraClip, ...], _camera(outputs, weights) if "camera" in signals else None),
        _info(outputs),
        weights,
        decoder=_decoder(outputs),
        frames=frames_of(outputs["FRAME_EMBEDDINGS"], outputs["FRAME_SECONDS"]) if "frames" in signals else None,
        segments=embedding_matrix(outputs["SEGMENT_EMBEDDINGS"]) if "segments" in signals else None,
        actions=actions_of(outputs["ACTION_PROBABILITIES"], outputs["CLIP_SECONDS"], weights.action_labels)
        if "actions" in signals
        else None,
        heads={name: _probabilities(served[name].labels, outputs[output].reshape(-1)) for name, output in heads.items()}
        or None,
        metrics=metrics_of(outputs[METRICS_OUTPUT], weights.metrics) if "metrics" in signals else None,
    )


def _motion(outputs: Mapping[str, NDArray[Any]]) -> MotionScores:
    return MotionScores(*(round(float(score), 6) for score in outputs["MOTION_SCORES"].reshape(3)))


def _camera(outputs: Mapping[str, NDArray[Any]], weights: Weights) -> tuple[CameraClip, ...]:
    return tuple(
        CameraClip(round(float(start), 6), round(float(end), 6), _probabilities(weights.labels, row))
        for (start, end), row in zip(outputs["CLIP_SECONDS"], outputs["CAMERA_PROBABILITIES"], strict=True)
    )


def _info(outputs: Mapping[str, NDArray[Any]]) -> VideoInfo:
    duration, frames, rate, width, height = outputs["VIDEO_INFO"][0].tolist()
    (header,) = outputs["HEADER_DURATION_SECONDS"].tolist()
    return VideoInfo(
        round(duration, 6),
        int(frames),
        round(rate, 6),
        int(width),
        int(height),
        None if math.isnan(header) else round(header, 6),
        round(float(outputs[DECODED_SHARE][0, 0]), 6) if DECODED_SHARE in outputs else None,
    )


def _decoder(outputs: Mapping[str, NDArray[Any]]) -> str | None:
    return outputs["DECODER"].reshape(-1)[0].decode() if "DECODER" in outputs else None


def _probabilities(labels: tuple[str, ...], row: NDArray[np.float32]) -> dict[str, float]:
    return {label: round(float(value), 6) for label, value in zip(labels, row, strict=True)}

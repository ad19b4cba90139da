"""Augmentation: mirror, turn, reverse, recolour and relight clips, with the labels of the result."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.light import LEVELS, draw_light
from training.moves import LABELS

MIRRORED = {"left": "right", "right": "left"}
REVERSED = MIRRORED | {"in": "out", "out": "in", "up": "down", "down": "up"}
ON_ITS_SIDE = {
    "pan_left": "tilt_up", "pan_right": "tilt_down", "tilt_up": "pan_left", "tilt_down": "pan_right",
    "truck_left": "pedestal_up", "truck_right": "pedestal_down", "pedestal_up": "truck_left",
    "pedestal_down": "truck_right", "roll_left": "roll_right", "roll_right": "roll_left",
}  # fmt: skip


def mirrored(label: str) -> str:
    """The label of a move after mirroring left and right."""
    return _with_ending(label, MIRRORED)


def upside_down(label: str) -> str:
    """The label of a move after mirroring up and down."""
    ends = {"up": "down", "down": "up"} | (MIRRORED if label.startswith("roll") else {})
    return _with_ending(label, ends)


def backwards(label: str) -> str:
    """The label of a move with the frames in reverse order."""
    return _with_ending(label, REVERSED)


def on_its_side(label: str) -> str:
    """The label of a move after swapping rows and columns; an arc would have none."""
    return ON_ITS_SIDE.get(label, label)


def _with_ending(label: str, ends: dict[str, str]) -> str:
    kind, _, end = label.rpartition("_")
    return f"{kind}_{ends[end]}" if end in ends else label


def _order(rename: object) -> NDArray[np.int64]:
    return np.array([LABELS.index(rename(label)) for label in LABELS])  # type: ignore[operator]


ORDERS = [_order(rename) for rename in (mirrored, upside_down, backwards, on_its_side)]
ACROSS, DOWN = (np.array(signs, np.float32) for signs in ([-1, 1, -1, 1], [1, -1, 1, -1]))
BACK = np.array([-1, -1, -1, -1, 1], np.float32)
"""Signs of the light's steps in reverse order: a brightening becomes a darkening, a cut stays a cut."""
ARCS = np.array([label.startswith("arc") for label in LABELS])


def augment(
    rng: np.random.Generator,
    frames: NDArray[np.uint8],
    motion: NDArray[np.float32],
    light: NDArray[np.float32],
    labels: NDArray[np.bool_],
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """A randomly augmented sample: frames (16, height, width, 3), motion (8, rows, columns, 4), light (15, 5), labels.

    Motion belongs to the first frame of each pair. In reverse order it is an approximation: that of the second frame.
    """
    mirror, turn, back, side = rng.random(4) < 0.5
    if side and not (labels & ARCS).any():
        frames, motion, labels = frames.swapaxes(1, 2), motion.swapaxes(1, 2)[..., [1, 0, 3, 2]], labels[ORDERS[3]]
    if mirror:
        frames, motion, labels = frames[:, :, ::-1], motion[:, :, ::-1] * ACROSS, labels[ORDERS[0]]
    if turn:
        frames, motion, labels = frames[:, ::-1], motion[:, ::-1] * DOWN, labels[ORDERS[1]]
    if back:
        frames, motion, labels = frames[::-1], -motion[::-1], labels[ORDERS[2]]
        light = light[::-1] * BACK
    colours = rng.permutation(3)
    frames, light = frames[..., colours], light[:, [*colours, *range(3, light.shape[1])]]
    return frames, motion, light, labels


def relight(
    rng: np.random.Generator,
    frames: NDArray[np.uint8],
    light: NDArray[np.float32],
    rates: NDArray[np.float32],
    seconds: float,
    span: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """A sample with constant light and focus under random changes of both: frames, light and rates.

    Without it, networks memorise the few hundred clips whose light changes. A sample whose light changes is returned as
    it is. `span` (2,) is the width of the picture, which blurs are measured in, in widths and heights of the frame.
    """
    if light[:, :LEVELS].any():
        return frames, light, rates
    times, steps = np.linspace(0, 1, len(frames)), np.zeros((1, LEVELS))
    while not steps[:, :LEVELS].any():
        drawn = draw_light(rng, times, seconds)
        steps = drawn.steps(np.arange(len(frames)))
    sides = np.array(frames.shape[2:0:-1])
    lit = frames.astype(np.float32) * (2.0 ** drawn.gains[:, None, None]).astype(np.float32)
    for frame, blur in zip(lit, drawn.blur, strict=True):
        across, down = blur * span * sides
        if blur:
            cv2.GaussianBlur(frame, (0, 0), across, dst=frame, sigmaY=down)
    changes = light.copy()
    changes[:, :LEVELS] = steps[:, :LEVELS]
    more = np.abs(steps[:, :3]).mean(1).sum() + np.abs(steps[:, 3]).sum()
    return lit.clip(0, 255).astype(np.uint8), changes, rates + np.array([0, 0, more / seconds], np.float32)


def recolour(generator: torch.Generator, video: Tensor) -> None:
    """Change exposure and white balance of each clip of `video` (clips, frames, height, width, 3), 0 to 255, in place.

    A clip is multiplied by one factor for each colour, so the difference between two frames in stops stays the same.
    """
    exposure = torch.rand(len(video), 1, 1, 1, 1, generator=generator)
    balance = torch.rand(len(video), 1, 1, 1, 3, generator=generator)
    video.mul_((1.2 * exposure - 0.8).exp2() * (0.3 * balance - 0.15).exp2()).clamp_(max=255)

"""What is true of a rendered clip: displacements at points of the picture, and the three magnitudes.

The magnitudes go from 0 to 3 as the published scores do, and are 3 (1 - exp(-x / scale)) of

- camera: how far the picture is displaced in a second by what the camera does, as a part of its width and height, on
  average over the picture; scale 0.15;
- object: the same of what moves by itself, less what the camera does there (nothing where nothing moves by itself);
  scale 0.03;
- dynamics: stops of brightness and colour, blurs (1 % of the width each) and cuts, in a second; scale 0.6.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.renderer import Clip, Shot
from training.scene import Surface

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

SCALES = np.array([0.15, 0.03, 0.6])
WHOLE = np.ones(2)
POINTS = 14
"""Rows and columns of the points that magnitudes are averages over."""


@dataclass(frozen=True)
class Displacement:
    """How far what is seen at some points of one frame is displaced in another; parts of the width and height."""

    total: Floats
    """(points, 2)."""
    camera: Floats
    """(points, 2) if nothing moved by itself."""
    seen: NDArray[np.bool_]
    """(points,) whether it can be known: not across a cut."""


def magnitudes(rates: Floats) -> Floats:
    """(..., 3) from 0 to 3, of rates a second: displacement by the camera, by itself, and other changes."""
    return 3 * (1 - np.exp(-rates / SCALES))


def rates(clip: Clip, frames: Indices, part: Floats = WHOLE) -> Floats:
    """(3,) what `magnitudes` takes, seen in `frames` of `clip`.

    `part` (2,) of the width and height is all that is seen, in the middle: what is displaced is a part of that.
    """
    line = (np.arange(POINTS) + 0.5) / POINTS
    points = (np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2) - 0.5) * part + 0.5
    camera, own, steps = 0.0, 0.0, 0
    for before, after in itertools.pairwise(frames):
        moved = displacement(clip, int(before), int(after), points)
        if moved.seen.any():
            camera += float(np.linalg.norm(moved.camera / part, axis=1).clip(max=1).mean())
            own += float(np.linalg.norm((moved.total - moved.camera) / part, axis=1).clip(max=1).mean())
            steps += 1
    seconds = elapsed(clip, frames)
    step_seconds = seconds / max(len(frames) - 1, 1)
    if not steps or not step_seconds:
        return np.zeros(3)
    return np.array([camera / steps / step_seconds, own / steps / step_seconds, clip.light.changes(frames) / seconds])


def elapsed(clip: Clip, frames: Indices) -> float:
    """Seconds from the first to the last of `frames`."""
    return float((frames[-1] - frames[0]) / clip.frames * clip.seconds)


def displacement(clip: Clip, before: int, after: int, points: Floats) -> Displacement:
    """What moves between two frames of `clip` at `points` (points, 2), which are parts of the width and height."""
    size = np.array([clip.width, clip.height])
    zero = np.zeros_like(points)
    if clip.light.shot[before] != clip.light.shot[after]:
        return Displacement(zero, zero, np.zeros(len(points), bool))
    shot = clip.shots[clip.light.shot[before]]
    pixels = np.concatenate([points * size, np.ones((len(points), 1))], axis=1)
    total, camera = np.zeros_like(points), np.zeros_like(points)
    left = np.ones(len(points), bool)
    for index in range(len(shot.scene.surfaces) - 1, -1, -1):
        texels, there = _seen(shot, index, before, pixels)
        there &= left
        if there.any():
            left &= ~there
            total[there] = _to_pixels(shot.homographies[index][after], texels[there]) / size - points[there]
            camera[there] = total[there]
            if shot.scene.surfaces[index].moves:
                # Where it is in `before`, carried along by the camera alone.
                held = shot.still[index][after] @ shot.still_inverses[index][before]
                carried = pixels[there] @ held.T
                camera[there] = carried[:, :2] / carried[:, 2:] / size - points[there]
    return Displacement(total, camera, np.ones(len(points), bool))


def _to_pixels(homography: Floats, texels: Floats) -> Floats:
    moved = np.concatenate([texels, np.ones((len(texels), 1))], axis=1) @ homography.T
    return moved[:, :2] / np.where(np.abs(moved[:, 2:]) < 1e-9, 1e-9, moved[:, 2:])


def _seen(shot: Shot, index: int, frame: int, pixels: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The texels of a surface behind `pixels`, and whether it is there."""
    surface: Surface = shot.scene.surfaces[index]
    back = pixels @ shot.inverses[index][frame].T
    there = back[:, 2] > 1e-12
    texels = back[:, :2] / np.where(there, back[:, 2], 1)[:, None]
    side = surface.texture.shape[0]
    if np.isfinite(surface.rows):
        there &= (texels[:, 1] > 0) & (texels[:, 1] < surface.rows)
    elif surface.mask is not None:
        if surface.repeats:
            folded = np.mod(np.nan_to_num(texels), 2 * side)
            folded = np.where(folded >= side, 2 * side - 1e-6 - folded, folded)
        else:
            there &= ((texels >= 0) & (texels < side)).all(1)
            folded = np.clip(texels, 0, side - 1)
        column, row = folded.astype(int).T
        there &= surface.mask[np.clip(row, 0, side - 1), np.clip(column, 0, side - 1)] > 127
    return texels, there

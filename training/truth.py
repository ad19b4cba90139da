"""The truth of a rendered clip: displacements at points of the picture, and three rates.

`magnitudes` maps rates x to 3 (1 - exp(-x / scale)), from 0 to 3 as the published scores:

- camera: mean displacement by the camera a second, as a fraction of the picture's width and height; scale 0.15;
- object: mean displacement by moving objects a second, without that by the camera; scale 0.03;
- dynamics: stops of brightness and colour, blurs (of 1 % of the width each) and cuts a second; scale 0.6.
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
"""Rows and columns of the points that rates are averaged over."""


@dataclass(frozen=True)
class Displacement:
    """Displacements of points of one frame in another, as fractions of the width and height."""

    total: Floats
    """(points, 2) by the camera and by objects."""
    camera: Floats
    """(points, 2) by the camera alone."""
    seen: NDArray[np.bool_]
    """(points,) whether the displacement is defined; False across a cut."""


def magnitudes(rates: Floats) -> Floats:
    """(..., 3) magnitudes, from 0 to 3, of `rates` (..., 3)."""
    return 3 * (1 - np.exp(-rates / SCALES))


def rates(clip: Clip, frames: Indices, part: Floats = WHOLE) -> Floats:
    """(3,) rates a second of camera, object and dynamics in `frames` of `clip`.

    `part` (2,) is the visible fraction of the width and height, in the middle; displacements are relative to it.
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
    """Displacements from frame `before` to `after` at `points` (points, 2), fractions of the width and height."""
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
                # The same point if only the camera moved it.
                held = shot.still[index][after] @ shot.still_inverses[index][before]
                carried = pixels[there] @ held.T
                camera[there] = carried[:, :2] / carried[:, 2:] / size - points[there]
    return Displacement(total, camera, np.ones(len(points), bool))


def _to_pixels(homography: Floats, texels: Floats) -> Floats:
    moved = np.concatenate([texels, np.ones((len(texels), 1))], axis=1) @ homography.T
    return moved[:, :2] / np.where(np.abs(moved[:, 2:]) < 1e-9, 1e-9, moved[:, 2:])


def _seen(shot: Shot, index: int, frame: int, pixels: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Texels (points, 2) of surface `index` at `pixels` (points, 3), and whether the surface covers them."""
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

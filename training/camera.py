"""The camera: position and rotation in every frame, and the projection of planes.

x points right, y down, z forward; the nearest static plane is at z = 1 in the middle of the clip. A camera at position
C projects the point X to K R (X - C), where R = roll(r) tilt(p) pan(y):

    pan(y) X = (cos y X.x - sin y X.z, X.y, sin y X.x + cos y X.z)         y > 0 turns right
    tilt(p) X = (X.x, cos p X.y + sin p X.z, -sin p X.y + cos p X.z)       p > 0 turns up
    roll(r) X = (cos r X.x - sin r X.y, sin r X.x + cos r X.y, X.z)        r > 0 turns counter-clockwise
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.moves import Moves

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CameraPath:
    """The camera in every frame."""

    projections: Floats
    """(frames, 3, 3) K R, from directions in the world to pixels."""
    positions: Floats
    """(frames, 3) in the world."""

    def homographies(self, origin: Floats, right: Floats, down: Floats) -> Floats:
        """(frames, 3, 3) from coordinates (a, b) of a plane, the point `origin` + a `right` + b `down`, to pixels.

        `origin`, `right` and `down` are (3,) or, if the plane moves, (frames, 3).
        """
        columns = np.broadcast_arrays(right, down, origin - self.positions)
        return self.projections @ np.stack(columns, axis=-1)


def camera_path(
    moves: Moves, times: Floats, seconds: float, size: tuple[int, int], focal: float, subject_depth: float
) -> CameraPath:
    """The path of a camera that makes `moves`.

    `times` (frames,) are fractions of a clip of `seconds`. `size` is the picture's width and height and `focal` the
    focal length, in pixels. `subject_depth` is the z of the centre of an arc.
    """
    width, height = size
    yaw, pitch, roll, zoom = (np.zeros(len(times)) for _ in range(4))
    position = np.zeros((len(times), 3))
    for move, progress in moves.progress(times):
        way = move.speed * progress * seconds
        if move.kind == "pan":
            yaw += way * width / focal
        elif move.kind == "tilt":
            pitch += way * height / focal
        elif move.kind == "roll":
            roll += way
        elif move.kind == "zoom":
            zoom += way
        elif move.kind == "truck":
            position[:, 0] += way * width / focal
        elif move.kind == "pedestal":
            position[:, 1] -= way * height / focal
        elif move.kind == "dolly":
            position[:, 2] += np.clip(way, -0.55, 0.55)
        elif move.kind == "arc":
            angle = way * width / focal
            position[:, 0] += subject_depth * np.sin(angle)
            position[:, 2] += subject_depth * (1 - np.cos(angle))
            yaw -= angle
    jolts = np.random.default_rng(moves.seed)
    for strength in (moves.shake, moves.tremor):
        yaw += _jolts(jolts, times * seconds) * strength * width / focal
        pitch += _jolts(jolts, times * seconds) * strength * width / focal
        roll += _jolts(jolts, times * seconds) * strength * 0.6
    rotation = _rotations(yaw, pitch, roll)
    intrinsics = np.zeros((len(times), 3, 3))
    intrinsics[:, 0, 0] = intrinsics[:, 1, 1] = focal * np.exp(zoom)
    intrinsics[:, 0, 2], intrinsics[:, 1, 2], intrinsics[:, 2, 2] = width / 2, height / 2, 1
    return CameraPath(intrinsics @ rotation, position)


def _rotations(yaw: Floats, pitch: Floats, roll: Floats) -> Floats:
    pan, tilt, turn = (np.zeros((len(yaw), 3, 3)) for _ in range(3))
    pan[:, 0, 0], pan[:, 0, 2], pan[:, 2, 0], pan[:, 2, 2] = np.cos(yaw), -np.sin(yaw), np.sin(yaw), np.cos(yaw)
    pan[:, 1, 1] = tilt[:, 0, 0] = turn[:, 2, 2] = 1
    tilt[:, 1, 1], tilt[:, 1, 2], tilt[:, 2, 1], tilt[:, 2, 2] = (
        np.cos(pitch), np.sin(pitch), -np.sin(pitch), np.cos(pitch),
    )  # fmt: skip
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = (
        np.cos(roll), -np.sin(roll), np.sin(roll), np.cos(roll),
    )  # fmt: skip
    return turn @ tilt @ pan


def _jolts(rng: np.random.Generator, seconds: Floats) -> Floats:
    """(frames,) a smooth random curve with mean 0 and standard deviation 1, of frequencies from 1.2 to 4.5 Hz."""
    frequencies = rng.uniform(1.2, 4.5, 5)
    phases = rng.uniform(0, 2 * np.pi, 5)
    return np.sin(2 * np.pi * frequencies * seconds[:, None] + phases).sum(1) * np.sqrt(2 / 5)

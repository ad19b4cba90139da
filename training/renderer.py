"""Clips with known motion: random drawing and rendering."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from training.camera import CameraPath, camera_path
from training.encoding import encode
from training.light import Light, draw_light
from training.moves import Kind, Moves, draw_moves
from training.scene import Scene, Surface, TexturePool, draw_scene

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One scene with the homographies of its surfaces, a list item for each surface."""

    scene: Scene
    homographies: list[Floats]
    """(frames, 3, 3) from texels to pixels."""
    still: list[Floats]
    """The same if moving surfaces stayed where they are in the middle of the clip."""
    inverses: list[Floats]
    """Of `homographies`."""
    still_inverses: list[Floats]
    """Of `still`."""


@dataclass(frozen=True)
class Clip:
    """The description of a video, which `render` renders."""

    moves: Moves
    seconds: float
    frames: int
    width: int
    """In pixels."""
    height: int
    """In pixels."""
    shots: list[Shot]
    """The scenes; `light.shot` says which one each frame shows."""
    light: Light
    grain: float
    """Standard deviation of the noise in every frame, from 0 to 255."""
    seed: int

    @property
    def frames_per_second(self) -> Fraction:
        """Rounded to a fraction that a file can store."""
        return Fraction(self.frames / self.seconds).limit_denominator(1001)

    def encode(self, *, quality: int = 23, codec: str = "libx264") -> bytes:
        """The clip as an mp4 file."""
        return encode(self.render(), self.frames_per_second, quality=quality, codec=codec)

    def render(self) -> Iterator[Picture]:
        """The frames, each (height, width, 3) uint8 RGB."""
        rng = np.random.default_rng(self.seed)
        grain = (rng.standard_normal((self.height + 64, self.width + 64, 1)) * self.grain).astype(np.float32)
        for index in range(self.frames):
            shot = self.shots[self.light.shot[index]]
            picture = np.zeros((self.height, self.width, 3), np.uint8)
            for surface, homographies in zip(shot.scene.surfaces, shot.homographies, strict=True):
                picture = _paint(picture, surface, homographies[index])
            blur = self.light.blur[index] * self.width
            if blur > 0.3:
                picture = cv2.GaussianBlur(picture, (0, 0), blur)
            gains = 2.0 ** self.light.gains[index]
            if self.grain or np.any(gains != 1):
                top, left = rng.integers(0, 64, 2)
                lit = picture * gains.astype(np.float32)
                lit += grain[top : top + self.height, left : left + self.width]
                picture = np.clip(lit, 0, 255).astype(np.uint8)
            yield picture


def draw_clip(
    rng: np.random.Generator,
    textures: TexturePool,
    *,
    kind: Kind | None = None,
    seconds: float = 2.0,
    frames_per_second: float = 24,
    size: tuple[int, int] = (320, 180),
) -> Clip:
    """A random clip of scenes with `textures`, with moves of one kind or of any; `size` is width and height."""
    width, height = size
    frames = max(2, round(seconds * frames_per_second))
    times = np.arange(frames) / frames  # a frame is shown until the next, so the last one starts before 1
    moves = draw_moves(rng, kind, seconds)
    light = draw_light(rng, times, seconds)
    things = int(rng.choice(5, p=[0.22, 0.3, 0.22, 0.16, 0.1]))
    shots = []
    for _ in range(int(light.shot[-1]) + 1):
        focal = float(rng.uniform(0.8, 2.2) * max(width, height))
        scene = draw_scene(
            rng, textures, times, seconds, deep=moves.needs_depth, things=things, width=width, focal=focal
        )
        camera = camera_path(moves, times, seconds, size, focal, scene.subject_depth)
        shots.append(_shoot(scene, camera))
    grain = float(rng.uniform(1, 8)) if rng.random() < 0.4 else 0.0
    return Clip(moves, seconds, frames, width, height, shots, light, grain, int(rng.integers(2**31)))


def _shoot(scene: Scene, camera: CameraPath) -> Shot:
    homographies, still = [], []
    for surface in scene.surfaces:
        homographies.append(surface.homographies(camera))
        if surface.moves:
            middle = len(surface.origin) // 2
            there = (each[middle] for each in (surface.origin, surface.right, surface.down))
            still.append(camera.homographies(*there))
        else:
            still.append(homographies[-1])
    return Shot(scene, homographies, still, [*map(np.linalg.inv, homographies)], [*map(np.linalg.inv, still)])


def _paint(picture: Picture, surface: Surface, homography: Floats) -> Picture:
    """Paint `surface` over `picture`; the result may be `picture` itself."""
    height, width = picture.shape[:2]
    top, left, bottom, right = 0, 0, height, width
    if not surface.repeats:
        side = surface.texture.shape[0]
        corners = homography @ np.array([[0, side, side, 0], [0, 0, side, side], [1, 1, 1, 1]])
        if (corners[2] <= 1e-6).any():
            return picture
        x, y = corners[:2] / corners[2]
        left, right = max(0, int(x.min())), min(width, int(x.max()) + 2)
        top, bottom = max(0, int(y.min())), min(height, int(y.max()) + 2)
        if left >= right or top >= bottom:
            return picture
    moved = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ homography
    size = (right - left, bottom - top)
    border = cv2.BORDER_REFLECT if surface.repeats else cv2.BORDER_REPLICATE
    painted = cv2.warpPerspective(surface.texture, moved, size, flags=cv2.INTER_LINEAR, borderMode=border)
    if np.isfinite(surface.rows):
        alpha = _ends(surface, np.linalg.inv(moved), size)
    elif surface.mask is None:
        return painted
    else:
        border = cv2.BORDER_REFLECT if surface.repeats else cv2.BORDER_CONSTANT
        mask = cv2.warpPerspective(surface.mask, moved, size, flags=cv2.INTER_LINEAR, borderMode=border)
        alpha = mask.astype(np.float32) * np.float32(1 / 255)
    below = picture[top:bottom, left:right]
    picture[top:bottom, left:right] = cv2.blendLinear(painted, np.ascontiguousarray(below), alpha, 1 - alpha)
    return picture


def _ends(surface: Surface, inverse: Floats, size: tuple[int, int]) -> NDArray[np.float32]:
    """(height, width) 1 where the floor is visible, 0 behind the camera and beyond the end of the floor."""
    x, y = np.arange(size[0]), np.arange(size[1])[:, None]
    row, ahead = (inverse[k, 0] * x + inverse[k, 1] * y + inverse[k, 2] for k in (1, 2))
    return ((ahead > 0) & (row > 0) & (row < surface.rows * ahead)).astype(np.float32)

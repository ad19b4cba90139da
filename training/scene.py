"""Scenes: textured planes at several distances, a floor, and moving objects."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.camera import CameraPath
from training.textures import SIZE, draw_mask, draw_shape, draw_texture

Floats = NDArray[np.float64]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Surface:
    """A textured plane in the world; its coordinates are texels."""

    texture: Picture
    """(side, side, 3) uint8 RGB."""
    mask: Picture | None
    """(side, side) uint8 opacity, None if the plane is opaque everywhere."""
    origin: Floats
    """Position of the texel (0, 0) in the world: (3,) or, if the plane moves, (frames, 3)."""
    right: Floats
    """Vector from a texel to its right neighbour, of the same shape."""
    down: Floats
    """Vector from a texel to the one below it, of the same shape."""
    depth: float
    """Its z in the middle of the clip; nearer surfaces hide farther ones."""
    repeats: bool = True
    """Whether the texture repeats without end, mirrored."""
    moves: bool = False
    """Whether it is a moving object."""
    rows: float = np.inf
    """The last row of a floor; infinite for other surfaces."""

    def homographies(self, camera: CameraPath) -> Floats:
        """(frames, 3, 3) from texels to pixels, as `camera` sees the plane."""
        return camera.homographies(self.origin, self.right, self.down)


@dataclass(frozen=True)
class TexturePool:
    """Textures, masks and shapes that many scenes share, because drawing them is slow."""

    textures: list[Picture]
    masks: list[Picture]
    shapes: list[Picture]

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, *, unseen: bool = False) -> "TexturePool":
        """`count` textures, and a quarter as many masks and shapes; `unseen`: with photographs unseen in training."""
        return cls(
            [draw_texture(rng, unseen=unseen) for _ in range(count)],
            [draw_mask(rng) for _ in range(max(count // 4, 1))],
            [draw_shape(rng) for _ in range(max(count // 4, 1))],
        )

    def texture(self, rng: np.random.Generator) -> Picture:
        """A random texture, rotated and mirrored in one of eight ways."""
        return _randomly_rotated(rng, self.textures[rng.integers(len(self.textures))])

    def mask(self, rng: np.random.Generator) -> Picture:
        """A random mask, likewise."""
        return _randomly_rotated(rng, self.masks[rng.integers(len(self.masks))])

    def shape(self, rng: np.random.Generator) -> Picture:
        """A random shape, likewise."""
        return _randomly_rotated(rng, self.shapes[rng.integers(len(self.shapes))])


def _randomly_rotated(rng: np.random.Generator, picture: Picture) -> Picture:
    turned = np.rot90(picture, rng.integers(4))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


@dataclass(frozen=True)
class Scene:
    """All surfaces of a scene."""

    surfaces: list[Surface]
    """From the farthest to the nearest."""
    subject_depth: float
    """The z of the centre of an arc."""


def draw_scene(
    rng: np.random.Generator,
    textures: TexturePool,
    times: Floats,
    seconds: float,
    *,
    deep: bool,
    things: int,
    width: int,
    focal: float,
) -> Scene:
    """A random scene with `things` moving objects.

    A `deep` scene has a surface at z = 1 and others farther away; any other may be one plane. `times` (frames,) are
    fractions of the clip of `seconds`. Texels are about as large as the pixels of a picture `width` pixels wide with a
    focal length of `focal` pixels.
    """
    view = View(width, width / focal)
    surfaces = []
    if deep or rng.random() < 0.6:
        far = float(np.exp(rng.uniform(np.log(2.5), np.log(9))))
        # A deep scene needs enough near surfaces to show parallax.
        depths = [1.0, float(rng.uniform(1.05, 1.5))] if deep else [float(rng.uniform(1, 0.6 * far))]
        depths += [float(rng.uniform(1.1, 0.7 * far)) for _ in range(rng.integers(0, 2))]
        surfaces.append(_wall(rng, textures, far, None, view))
        if rng.random() < (0.55 if deep else 0.4):
            surfaces.append(_floor(rng, textures, far, view))
        surfaces += [_wall(rng, textures, depth, textures.mask(rng), view) for depth in sorted(depths, reverse=True)]
        subject_depth = float(rng.uniform(1.4, min(2.5, 0.65 * far)))
    else:
        surfaces.append(_wall(rng, textures, 1.0, None, view))
        subject_depth = 1.0
    nearest = min(surface.depth for surface in surfaces)
    for _ in range(things):
        depth = nearest * float(rng.uniform(0.6, 1.1))  # nearer than most surfaces, or it would be hidden
        surfaces.append(_thing(rng, textures, times, seconds, depth, view))
    surfaces.sort(key=lambda surface: -surface.depth)
    return Scene(surfaces, subject_depth)


@dataclass(frozen=True)
class View:
    """The picture's size, which sets the size of surfaces."""

    width: int
    """Width of the picture in pixels."""
    unit: float
    """Width of the visible world at z = 1."""


def _wall(rng: np.random.Generator, textures: TexturePool, depth: float, mask: Picture | None, view: View) -> Surface:
    texel = depth * view.unit / (view.width * rng.uniform(0.6, 1.15))
    corner = rng.uniform(-SIZE, 0, 2) * texel
    return Surface(
        textures.texture(rng),
        mask,
        np.array([corner[0], corner[1], depth]),
        np.array([texel, 0, 0]),
        np.array([0, texel, 0]),
        depth,
    )


def _floor(rng: np.random.Generator, textures: TexturePool, far: float, view: View) -> Surface:
    """A floor below the camera, or a ceiling above it, that ends at the farthest wall."""
    height = rng.uniform(0.2, 0.45) * view.unit * (1 if rng.random() < 0.75 else -1)
    texel = 0.6 * far * view.unit / view.width
    return Surface(
        cv2.GaussianBlur(textures.texture(rng), (0, 0), 1.0),
        None,
        np.array([-SIZE / 2 * texel, height, 0.0]),
        np.array([texel, 0, 0]),
        np.array([0, 0, texel]),
        far * 0.999,
        rows=far / texel,
    )


def _thing(
    rng: np.random.Generator, textures: TexturePool, times: Floats, seconds: float, depth: float, view: View
) -> Surface:
    unit = depth * view.unit  # the picture's width at that depth
    size = rng.uniform(0.12, 0.5)
    speed = np.exp(rng.uniform(np.log(0.03), np.log(0.6)))
    heading = rng.uniform(0, 2 * np.pi)
    way = (times - 0.5) * seconds
    path = rng.uniform(-0.35, 0.35, 2) + speed * way[:, None] * [np.cos(heading), np.sin(heading)]
    if rng.random() < 0.4:
        frequency, sway = rng.uniform(0.3, 1.5), rng.uniform(0.01, 0.1)
        swing = sway * np.sin(2 * np.pi * frequency * way + rng.uniform(0, 6.3))
        path = path + swing[:, None] * [-np.sin(heading), np.cos(heading)]
    turn = rng.uniform(0, 6.3) + (rng.uniform(-1.5, 1.5) if rng.random() < 0.3 else 0.0) * way
    scale = np.exp((rng.uniform(-0.3, 0.3) if rng.random() < 0.3 else 0.0) * way)
    side = max(24, round(size * view.width))
    texel = unit * size / side * scale
    zero = np.zeros(len(times))
    right = np.stack([texel * np.cos(turn), texel * np.sin(turn), zero], axis=-1)
    down = np.stack([-texel * np.sin(turn), texel * np.cos(turn), zero], axis=-1)
    centre = np.concatenate([path * unit, np.full((len(times), 1), depth)], axis=1)
    texture, shape = (
        cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA)
        for each in (textures.texture(rng), textures.shape(rng))
    )
    return Surface(texture, shape, centre - (right + down) * (side / 2), right, down, depth, repeats=False, moves=True)

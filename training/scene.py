"""What a camera looks at: textured planes one behind the other, a floor, and things that move over them."""

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
    """A textured plane, in texels: where it is, what it shows and where it is there at all."""

    texture: Picture
    """(side, side, 3) uint8."""
    mask: Picture | None
    """(side, side) uint8, None where it covers everything."""
    origin: Floats
    """(3,) or, for what moves, (frames, 3): where the texel (0, 0) is in the world."""
    right: Floats
    """The way from a texel to its right neighbour, of the same shape."""
    down: Floats
    """The way from a texel to the one below it."""
    depth: float
    """Its z when the clip is half over, by which surfaces hide one another."""
    repeats: bool = True
    """Whether the texture goes on for ever, mirrored, or is there once."""
    moves: bool = False
    """Whether it moves by itself."""
    rows: float = np.inf
    """It begins at row 0 and ends at this one, where it is not an endless wall."""

    def homographies(self, camera: CameraPath) -> Floats:
        """(frames, 3, 3) from texels to pixels."""
        return camera.homographies(self.origin, self.right, self.down)


@dataclass(frozen=True)
class TexturePool:
    """Textures and masks to draw from: making them takes longer than showing them."""

    textures: list[Picture]
    masks: list[Picture]
    shapes: list[Picture]

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, *, unseen: bool = False) -> "TexturePool":
        """`count` textures and a quarter as many masks and shapes; `unseen`: with photographs kept from training."""
        return cls(
            [draw_texture(rng, unseen=unseen) for _ in range(count)],
            [draw_mask(rng) for _ in range(max(count // 4, 1))],
            [draw_shape(rng) for _ in range(max(count // 4, 1))],
        )

    def texture(self, rng: np.random.Generator) -> Picture:
        """One of the textures, turned and mirrored in one of eight ways."""
        return _turned(rng, self.textures[rng.integers(len(self.textures))])

    def mask(self, rng: np.random.Generator) -> Picture:
        """One of the masks, likewise."""
        return _turned(rng, self.masks[rng.integers(len(self.masks))])

    def shape(self, rng: np.random.Generator) -> Picture:
        """One of the outlines, likewise."""
        return _turned(rng, self.shapes[rng.integers(len(self.shapes))])


def _turned(rng: np.random.Generator, picture: Picture) -> Picture:
    turned = np.rot90(picture, rng.integers(4))
    return np.ascontiguousarray(turned[:, ::-1] if rng.random() < 0.5 else turned)


@dataclass(frozen=True)
class Scene:
    """Everything there is."""

    surfaces: list[Surface]
    """The farthest first."""
    subject_depth: float
    """How far away what an arc goes round is."""


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
    """A scene; `deep` ones have something at z = 1 before something far away, others may be one flat picture.

    `times` (frames,) are parts of the clip of `seconds`; `things` move about by themselves. A texel is about a pixel of
    a picture that is `width` pixels wide, seen with a focal length of `focal` pixels.
    """
    view = View(width, width / focal)
    surfaces = []
    if deep or rng.random() < 0.6:
        far = float(np.exp(rng.uniform(np.log(2.5), np.log(9))))
        # Where depth matters there is enough that is near for it to be seen.
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
        depth = nearest * float(rng.uniform(0.6, 1.1))  # or most would be hidden
        surfaces.append(_thing(rng, textures, times, seconds, depth, view))
    surfaces.sort(key=lambda surface: -surface.depth)
    return Scene(surfaces, subject_depth)


@dataclass(frozen=True)
class View:
    """What decides how large things have to be."""

    width: int
    """Of the picture in pixels."""
    unit: float
    """What the picture's width spans at z = 1."""


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
    """A plane below the camera, or a ceiling above it, that ends at the wall behind everything."""
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

"""Textures of surfaces: parts of photographs, and patterns of noise and shapes; and masks."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photographs import photographs

Picture = NDArray[np.uint8]

SIZE = 512
"""Height and width of a texture."""
LEAST_CONTRAST = 30.0
"""Smallest standard deviation of a texture, from 0 to 255."""


def draw_texture(rng: np.random.Generator, *, unseen: bool = False) -> Picture:
    """(512, 512, 3) uint8 RGB: a part of a photograph, or a pattern, in random colours."""
    if rng.random() < 0.55:
        chosen = photographs(unseen=unseen)
        texture = _part(rng, chosen[rng.integers(len(chosen))])
    else:
        texture = _with_grain(rng, PATTERNS[rng.integers(len(PATTERNS))](rng))
    return _recolour(rng, texture)


def noise(rng: np.random.Generator, finest: float, slope: float = 1.0, size: int = SIZE) -> NDArray[np.float32]:
    """(size, size) noise with mean 0 and standard deviation 1: octaves, the finest `finest` texels wide."""
    total = np.zeros((size, size), np.float32)
    width, weight = finest, 1.0
    while width < size / 3:
        cells = max(2, int(size / width))
        octave = rng.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(octave, (size, size), interpolation=cv2.INTER_CUBIC)
        width, weight = width * 2, weight * 2 ** (slope / 2)
    return (total - total.mean()) / (total.std() + 1e-6)


def _part(rng: np.random.Generator, photograph: Picture) -> Picture:
    height, width = photograph.shape[:2]
    side = int(min(height, width) * rng.uniform(0.5, 1.0))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    part = photograph[top : top + side, left : left + side]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if side > SIZE else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(part), (SIZE, SIZE), interpolation=interpolation)


def _with_grain(rng: np.random.Generator, texture: Picture) -> Picture:
    """`texture` with noise: a plain surface would show no motion."""
    grain = rng.uniform(6, 28) * noise(rng, rng.uniform(2, 6), rng.uniform(0.3, 1.2))
    return np.clip(texture + grain[..., None], 0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator) -> Picture:
    finest, slope = rng.uniform(2, 12), rng.uniform(0, 1.5)
    shared = noise(rng, finest, slope)
    colours = np.stack([shared + rng.uniform(0, 0.8) * noise(rng, finest * 2, slope) for _ in range(3)], axis=-1)
    return np.clip(128 + rng.uniform(25, 70) * colours, 0, 255).astype(np.uint8)


def _stains(rng: np.random.Generator) -> Picture:
    levels = noise(rng, rng.uniform(8, 40), rng.uniform(0.5, 2))
    steps = int(rng.integers(3, 8))
    palette = rng.integers(0, 256, (steps, 3))
    return palette[np.clip(((levels + 2) / 4 * steps).astype(int), 0, steps - 1)].astype(np.uint8)


def _clutter(rng: np.random.Generator) -> Picture:
    picture = np.empty((SIZE, SIZE, 3), np.uint8)
    picture[:] = rng.integers(0, 256, 3)
    for _ in range(int(rng.integers(40, 220))):
        colour = tuple(map(int, rng.integers(0, 256, 3)))
        x, y = map(int, rng.integers(0, SIZE, 2))
        a, b = map(int, rng.integers(4, rng.integers(8, 90), 2))
        if rng.random() < 0.5:
            cv2.ellipse(picture, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(picture, (x, y), (x + a, y + b), colour, -1)
    return picture


def _tiles(rng: np.random.Generator) -> Picture:
    """Tiles or planks of different shades: a regular pattern, whose motion is easily mistaken."""
    high, wide = (int(SIZE // rng.integers(5, 28)) for _ in range(2))
    rows, columns = SIZE // high + 1, SIZE // wide + 1
    base, spread = rng.integers(40, 216, 3), rng.uniform(8, 60)
    shades = np.clip(base + spread * rng.standard_normal((rows, columns, 1)), 0, 255).astype(np.uint8)
    picture = shades.repeat(high, 0).repeat(wide, 1)[:SIZE, :SIZE].copy()
    if rng.random() < 0.7:
        joint = rng.integers(0, 256, 3).astype(np.uint8)
        picture[::high, :] = joint
        picture[:, ::wide] = joint
    return picture


PATTERNS = (_clouds, _stains, _clutter, _clutter, _tiles)


def _recolour(rng: np.random.Generator, texture: Picture) -> Picture:
    gains, offset = rng.uniform(0.6, 1.3, 3), rng.uniform(-35, 35)
    mixed = (texture @ (np.eye(3) + rng.uniform(-0.12, 0.12, (3, 3)))) * gains
    # An almost plain texture would show no motion.
    contrast = max(1.0, LEAST_CONTRAST / (mixed.std(axis=(0, 1)).mean() + 1))
    return np.clip((mixed - mixed.mean()) * contrast + mixed.mean() + offset, 0, 255).astype(np.uint8)


def draw_mask(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(512, 512) uint8 opacity of a layer, 0 or 255 with soft edges of about a texel."""
    kind = rng.integers(3)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    if kind == 0:
        levels = noise(rng, rng.uniform(24, 60), 2.0)
        threshold = np.quantile(levels, rng.uniform(0.5, 0.8))
        mask = np.clip((levels - threshold) * 255 / 0.08 + 128, 0, 255).astype(np.uint8)
    elif kind == 1:
        for _ in range(int(rng.integers(5, 14))):
            x, y = map(int, rng.integers(0, SIZE, 2))
            a, b = map(int, rng.integers(20, 80, 2))
            if rng.random() < 0.6:
                cv2.ellipse(mask, (x, y), (a, b), float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
            else:
                corners = (np.array([x, y]) + rng.uniform(-1, 1, (5, 2)) * [a, b]).astype(np.int32)
                cv2.fillPoly(mask, [cv2.convexHull(corners)], 255, cv2.LINE_AA)
    else:
        wide = rng.random() < 0.3
        position = 0
        while position < SIZE:
            thickness, gap = int(rng.integers(14, 70)), int(rng.integers(40, 170))
            lean = int(rng.integers(-40, 41))
            corners = np.array(
                [[position, 0], [position + thickness, 0], [position + thickness + lean, SIZE], [position + lean, SIZE]]
            )
            cv2.fillPoly(mask, [corners[:, ::-1] if wide else corners], 255, cv2.LINE_AA)
            position += thickness + gap
    return mask


def draw_shape(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(512, 512) uint8 opacity of one object in the middle."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    centre = SIZE // 2
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = np.full(48, 0.78)
    for wave in range(2, 6):
        radius = radius + rng.uniform(-0.12, 0.12) * np.sin(wave * angles + rng.uniform(0, 6.3))
    aspect = rng.uniform(0.5, 1.0)
    corners = np.stack([np.cos(angles) * aspect, np.sin(angles)], axis=-1) * radius[:, None].clip(0.3, 0.97)
    cv2.fillPoly(mask, [(centre + corners * centre).astype(np.int32)], 255, cv2.LINE_AA)
    return mask

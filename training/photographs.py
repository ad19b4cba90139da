"""Photographs from installed packages, and clips of moving photographs, made with FFmpeg's filters."""

import importlib.util
import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import av.filter
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

SEEN = {
    "skimage": (
        "data/astronaut.png", "data/brick.png", "data/grass.png", "data/gravel.png", "data/hubble_deep_field.jpg",
        "data/ihc.png", "data/moon.png", "data/motorcycle_left.png", "data/retina.jpg", "data/rocket.jpg",
        "data/coins.png", "data/cell.png", "data/page.png", "data/camera.png",
    ),
    "sklearn": ("datasets/images/flower.jpg",),
}  # fmt: skip
"""Files of the packages scikit-image and scikit-learn that training uses."""
UNSEEN = {
    "skimage": ("data/coffee.png", "data/chelsea.png"),
    "sklearn": ("datasets/images/china.jpg",),
}
"""Files that training never sees; tests and the demo use them."""

FILTER_MOVES = (
    "pan_left",
    "pan_right",
    "tilt_up",
    "tilt_down",
    "roll_left",
    "roll_right",
    "zoom_in",
    "zoom_out",
    "static",
)
"""The moves that `animate_photograph` can make."""
OVERSIZE = 4
"""FFmpeg moves by whole pixels, so clips are made at this multiple of their size and then scaled down."""


def read_photograph(package: str, file: str) -> Picture:
    """(height, width, 3) uint8 RGB; `FileNotFoundError` if the package is not installed."""
    spec = importlib.util.find_spec(package)  # not imported: only its files are needed
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the photographs of {package} are not installed: `make setup` installs them")
    with Image.open(Path(spec.submodule_search_locations[0], file)) as image:
        return np.asarray(image.convert("RGB"))


@cache
def photographs(*, unseen: bool = False) -> tuple[Picture, ...]:
    """The photographs of training, or the unseen ones."""
    files = UNSEEN if unseen else SEEN
    return tuple(read_photograph(package, file) for package, names in files.items() for file in names)


def animate_photograph(
    photograph: Picture,
    move: str,
    speed: float,
    *,
    seconds: float = 2.0,
    frames_per_second: int = 24,
    size: tuple[int, int] = (320, 180),
) -> Iterator[Picture]:
    """Frames (height, width, 3) uint8 RGB of a photograph that FFmpeg's `crop`, `rotate` or `zoompan` moves.

    `move` is one of `FILTER_MOVES`. `speed` is, a second: a fraction of the picture's width (pan) or height (tilt),
    radians (roll), or the logarithm of the magnification (zoom). `size` is width and height. `ValueError` if the move
    is unknown or would leave the photograph.
    """
    width, height = size[0] * OVERSIZE, size[1] * OVERSIZE
    kind, _, way = move.partition("_")
    sign = -1 if way in ("left", "up", "out") else 1
    if kind in ("pan", "tilt", "static"):
        right, down = (speed * seconds * (kind == name) for name in ("pan", "tilt"))
        if max(right, down) > 2:
            raise ValueError(f"a {kind} of {speed} pictures a second for {seconds} s leaves the photograph")
        # The window moves through the middle of the photograph.
        scale = _cover(photograph, width * (1 + right), height * (1 + down))
        x, y = (f"({length}-{window})/2+{sign * speed * window * on}*(t-{seconds / 2})" for length, window, on in (
            ("iw", width, kind == "pan"), ("ih", height, kind == "tilt")))  # fmt: skip
        filters = [("scale", scale), ("crop", f"w={width}:h={height}:x='{x}':y='{y}':exact=1")]
    elif kind == "roll":
        # The picture turns against the camera; the scale keeps the corners filled.
        diagonal = math.hypot(width, height)
        turn = f"{-sign * speed}*(t-{seconds / 2})"
        filters = [
            ("scale", _cover(photograph, diagonal, diagonal)),
            ("rotate", f"a='{turn}'"),
            ("crop", f"w={width}:h={height}"),
        ]
    elif kind == "zoom":
        frames = round(seconds * frames_per_second)
        steps = f"on/{frames_per_second}" if sign > 0 else f"({frames}-1-on)/{frames_per_second}"
        filters = [
            ("scale", _cover(photograph, width * 2, height * 2)),
            ("crop", f"w={width * 2}:h={height * 2}"),
            ("zoompan", f"z='exp({speed}*{steps})':x='(iw-iw/zoom)/2':y='(ih-ih/zoom)/2':d=1:"
             f"s={width}x{height}:fps={frames_per_second}"),
        ]  # fmt: skip
    else:
        raise ValueError(f"FFmpeg's filters cannot make a {move}, only {', '.join(FILTER_MOVES)}")
    filters.append(("scale", f"w={size[0]}:h={size[1]}:flags=area"))
    yield from _filtered(photograph, filters, round(seconds * frames_per_second), frames_per_second)


def _cover(photograph: Picture, width: float, height: float) -> str:
    """Arguments of `scale` that make `photograph` at least `width` x `height`."""
    factor = max(width / photograph.shape[1], height / photograph.shape[0])
    return f"w={math.ceil(photograph.shape[1] * factor) + 2}:h={math.ceil(photograph.shape[0] * factor) + 2}"


def _filtered(
    photograph: Picture, filters: list[tuple[str, str]], frames: int, frames_per_second: int
) -> Iterator[Picture]:
    graph = av.filter.Graph()
    height, width = photograph.shape[:2]
    time_base = Fraction(1, frames_per_second)
    nodes = [graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=time_base)]
    nodes += [graph.add(name, arguments) for name, arguments in filters]
    nodes += [graph.add("format", "pix_fmts=rgb24"), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(photograph, format="rgb24")
        frame.pts, frame.time_base = index, time_base
        graph.push(frame)
        filtered = graph.pull()
        assert isinstance(filtered, av.VideoFrame)
        yield filtered.to_ndarray(format="rgb24").astype(np.uint8, copy=False)

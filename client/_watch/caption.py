"""Lines of text on a frame, drawn without converting its colors."""

from functools import lru_cache
from typing import cast

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_BLACK, _WHITE, _NO_COLOR = 16, 235, 128


class Caption:
    """Draws white lines on a black band at the bottom of frames of one size."""

    def __init__(self, width: int, height: int) -> None:
        """`width` and `height`: of a frame, in pixels."""
        self._width, self._height = width, height
        size = max(10, height // 26)
        self._font = ImageFont.load_default(size)
        self._margin = max(2, round(size / 3))
        self._band = lru_cache(maxsize=8)(self._render)

    def draw(self, frame: VideoFrame, lines: tuple[str, ...]) -> None:
        """Draw on a yuv420p frame, which must be writable."""
        band = self._band(lines)
        height, width = band.shape
        luma, *colors = frame.planes
        _pixels(luma)[self._height - height : self._height, :width] = band
        for plane in colors:
            half_width = -(-width // 2)
            _pixels(plane)[(self._height - height) // 2 : -(-self._height // 2), :half_width] = _NO_COLOR

    def _render(self, lines: tuple[str, ...]) -> NDArray[np.uint8]:
        """(height, width) luma of the band; both are even, and no larger than the frame's."""
        text = "\n".join(self._cut(line) for line in lines)
        draw = ImageDraw.Draw(Image.new("L", (1, 1)))
        _, _, right, bottom = draw.multiline_textbbox((0, 0), text, font=self._font)
        margin = self._margin
        width = min(self._width, round(right) + 2 * margin) // 2 * 2
        height = min(self._height, round(bottom) + 2 * margin) // 2 * 2
        image = Image.new("L", (width, height), _BLACK)
        ImageDraw.Draw(image).multiline_text((margin, margin), text, fill=_WHITE, font=self._font)
        return np.asarray(image)

    def _cut(self, line: str) -> str:
        space = self._width - 2 * self._margin
        if self._font.getlength(line) <= space:
            return line
        while line and self._font.getlength(line + "...") > space:
            line = line[:-1]
        return line + "..."


def _pixels(plane: object) -> NDArray[np.uint8]:
    """(height, bytes of a row) of a plane: a view."""
    rows = cast(memoryview, plane)
    return np.frombuffer(rows, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[attr-defined]

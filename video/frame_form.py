"""How an image encoder wants its frames: resized and cropped as transformers' image processor does with Pillow."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_RESIZED = 8
"""A frame is resized whole, exactly as transformers does, if that makes so many times the pixels of the crop at most.

Of an extremely long one, only the part in the crop is resized, which may differ by some levels.
"""


@dataclass(frozen=True)
class FrameForm:
    """The size of a prepared frame, and how it is made."""

    height: int
    """Of a prepared frame, in pixels."""
    width: int
    """Of a prepared frame, in pixels."""
    resample: str
    """`bilinear` or `bicubic`, antialiased as in Pillow."""
    shortest_edge: int | None
    """Pixels of the shorter side before the centre crop; None if a frame is stretched."""
    stretched_height: int | None
    """Height to which a frame is stretched before the centre crop; None with `shortest_edge`."""
    stretched_width: int | None
    """Width to which it is stretched."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of a prepared frame, RGB uint8."""
        return self.height * self.width * 3

    @classmethod
    def of(cls, preprocessing: Mapping[str, Any]) -> "FrameForm":
        """From `preprocessing` of an image encoder in `weights.json`."""
        resize, crop = preprocessing["resize"], preprocessing["crop"]
        edge, height, width = (resize.get(name) for name in ("shortest_edge", "height", "width"))
        size = crop or {"height": height, "width": width}
        return cls(size["height"], size["width"], preprocessing["resample"], edge, height, width)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a frame of this size after resizing, before the crop."""
        if self.shortest_edge is None:
            assert self.stretched_height is not None
            assert self.stretched_width is not None
            return self.stretched_height, self.stretched_width
        shorter = min(height, width)
        # transformers truncates the longer side.
        return int(self.shortest_edge * height / shorter), int(self.shortest_edge * width / shorter)

    def prepare(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A decoded RGB frame (height, width, 3) uint8 as an encoder's input."""
        height, width, _ = frame.shape
        resized_height, resized_width = self.resized(height, width)
        top, left = (resized_height - self.height) // 2, (resized_width - self.width) // 2
        picture, resampling = Image.fromarray(frame), Image.Resampling[self.resample.upper()]
        if resized_height * resized_width <= MAX_RESIZED * self.height * self.width:
            resized = np.asarray(picture.resize((resized_width, resized_height), resampling))
            return resized[top : top + self.height, left : left + self.width]
        down, across = height / resized_height, width / resized_width
        box = (left * across, top * down, (left + self.width) * across, (top + self.height) * down)
        return np.asarray(picture.resize((self.width, self.height), resampling, box=box))

    def as_dict(self) -> dict[str, Any]:
        """Its fields, for JSON."""
        return asdict(self)

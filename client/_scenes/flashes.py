"""Flashes: the picture from before a change comes back soon after it, so the change is no cut."""

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

FLASH_SECONDS = 0.3
"""How long a flash lasts at most."""
_SAME_SHARE = 0.35
"""Two pictures are the same if they differ by less than this share of the change itself."""
_SIZE = (32, 18)
_LAG = 8
"""How much later than its frame a detector may say that there is a change."""

Thumbnail = NDArray[np.float32]


class Flashes:
    """The last frames, small; tells whether a change among them is a flash."""

    def __init__(self, frames_per_second: float) -> None:
        """frames_per_second: of the frames that are added."""
        self.reach = max(2, round(FLASH_SECONDS * frames_per_second))
        """Frames before and after a change that are compared."""
        self._held: deque[Thumbnail] = deque(maxlen=2 * self.reach + _LAG)
        self._count = 0

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Add a frame: (height, width, 3) uint8."""
        self._held.append(cv2.resize(picture, _SIZE, interpolation=cv2.INTER_AREA).astype(np.float32).ravel())
        self._count += 1

    def is_flash(self, index: int) -> bool:
        """Whether the change at frame `index` is one; False if the frames around it are no longer held."""
        first = self._count - len(self._held)
        if index - 1 < first or index >= self._count:
            return False
        held = [*self._held]
        at = index - first
        before = np.stack(held[max(0, at - self.reach) : at])
        after = np.stack(held[at : at + self.reach])
        change = float(np.abs(before[-1] - after[0]).mean())
        differences = np.abs(before[:, None] - after[None]).mean(axis=2)
        return bool(differences.min() < _SAME_SHARE * change)

"""Measured pictures on their way from the worker, a part at a time: all those of a long video would fill the memory.

The worker writes up to `PART` pictures to the end of the memory that it shares with its parent, says which they are, as
`{"pictures": [number of the first, how many]}`, and waits. The parent uses them, and acknowledges.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video.measures.picture_form import PICTURE_BYTES, SIDE

PART = 16
"""Pictures in a part: `max_batch_size` of the model `frame_autoencoder`."""
PART_BYTES = PART * PICTURE_BYTES
MAX_PASSES = 3
"""How often decoding may begin: from a stripped file, from the packets that are needed, and from all packets."""
KEY = "pictures"

Pictures = NDArray[np.uint8]
"""(pictures, 240, 240, 3) RGB."""
Tell = Callable[[dict[str, Any]], None]
"""Sends a message to the parent, and waits until it is acknowledged."""
Use = Callable[[int, Pictures], None]
"""Gets the number of a part's first picture, and the part, which changes afterwards.

Number 0 again means that decoding has begun again: what was taken before does not count."""


class PicturesOut:
    """In the worker: writes pictures to the end of the shared `memory`."""

    def __init__(self, memory: NDArray[np.uint8], tell: Tell) -> None:
        self._part = _part_in(memory)
        self._tell = tell
        self._first = self._count = 0

    def take(self, number: int, picture: Pictures) -> None:
        """Pass on the picture with this number."""
        if number == 0:
            self._first = self._count = 0
        self._part[self._count] = picture
        self._count += 1
        if self._count == PART:
            self.flush()

    def flush(self) -> None:
        """Pass on what is left."""
        if self._count:
            self._tell({KEY: [self._first, self._count]})
        self._first, self._count = self._first + self._count, 0


class PicturesIn:
    """In its parent: has the pictures used that a worker, which may lie, says are in the shared `memory`."""

    def __init__(self, memory: NDArray[np.uint8], wanted: int, use: Use) -> None:
        """`wanted`: how many pictures there are."""
        self._part = _part_in(memory)
        self._wanted, self._use = wanted, use
        self._next = self._passes = 0

    def take(self, message: bytes) -> bool:
        """Use the pictures that a message is about; False if it is about something else.

        Raises ValueError or TypeError for pictures that cannot be the next ones, and what using them raises.
        """
        said = json.loads(message) if message else None
        if not isinstance(said, dict) or KEY not in said:
            return False
        first, count = said[KEY]
        if first == 0:
            self._next, self._passes = 0, self._passes + 1
        if type(first) is not int or type(count) is not int or first != self._next or self._passes > MAX_PASSES:
            raise ValueError("these are not the next pictures")
        if not 1 <= count <= min(PART, self._wanted - first):
            raise ValueError("a part of another size")
        self._use(first, self._part[:count])
        self._next += count
        return True

    def check_complete(self) -> None:
        """Raise ValueError unless all pictures were used."""
        if self._next != self._wanted:
            raise ValueError("pictures are missing")


def _part_in(memory: NDArray[np.uint8]) -> Pictures:
    return memory[-PART_BYTES:].reshape(PART, SIDE, SIDE, 3)

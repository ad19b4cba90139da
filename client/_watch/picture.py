"""A decoded frame as the classifiers see it.

The client is installed without the server's code, so this module repeats what is in `video.decoding`,
`video.orientation` and `video.resize`; a test compares the two.
"""

import math
import struct
from typing import NamedTuple, cast

import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

SIZE = 224
"""Height and width of a picture in pixels."""
_TOLERANCE_DEGREES = 1.0

Picture = NDArray[np.uint8]
"""(224, 224, 3) RGB."""


class Orientation(NamedTuple):
    """What makes a decoded frame the displayed one: mirror it, then rotate it."""

    rotation_degrees: int = 0
    """Clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Whether left and right of the decoded frame are exchanged before it is rotated."""


UPRIGHT = Orientation()


class Preparation:
    """Prepares frames; one for all frames of a source, because setting up a conversion takes time."""

    def __init__(self, shortest_edge: int) -> None:
        """`shortest_edge`: pixels of a frame's shorter side before it is cropped to 224 x 224."""
        self._shortest_edge = shortest_edge
        self._reformatter = VideoReformatter()
        self._orientations = Orientations()

    def __call__(self, frame: VideoFrame) -> Picture:
        """The picture of a frame. Raises PyAV's FFmpegError for colors that cannot be converted."""
        return crop(displayed(rgb(frame, self._reformatter), self._orientations.of(frame)), self._shortest_edge)


class Orientations:
    """Reads the orientation of one frame after the other, and looks closer only if it changes.

    In PyAV 18, whoever asks for a frame's side data ties the frame into a reference cycle: its pixels stay in memory
    until Python's garbage collector comes, which was 250 MB of 720p.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._orientation = UPRIGHT

    def of(self, frame: VideoFrame) -> Orientation:
        """The orientation of a frame; that of the frame before it if both are rotated by the same angle."""
        if (rotation := frame.rotation) != self._rotation:
            self._rotation, self._orientation = rotation, orientation_of(frame)
        return self._orientation


def rgb(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """(height, width, 3), converted as BT.601 whatever the stream states: the networks were trained so."""
    converted = reformatter.reformat(
        frame, format="rgb24", src_colorspace=Colorspace.ITU601, dst_colorspace=Colorspace.ITU601, threads=1
    )
    (plane,) = converted.planes
    rows = np.frombuffer(cast(memoryview, plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * 3].reshape(plane.height, plane.width, 3)


def orientation_of(frame: VideoFrame) -> Orientation:
    """The orientation in the display matrix of a frame: x' = a x + c y and y' = b x + d y, with y downwards."""
    content = frame.side_data.get("DISPLAYMATRIX")
    if content is None:
        return UPRIGHT
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(cast(Buffer, content)))
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down or a * d == b * c:
        return UPRIGHT
    mirrored = a * d < b * c
    angle = math.degrees(math.atan2(b / down, a / across)) + (180 if mirrored else 0)
    quarters = round(angle / 90)
    if abs(angle - 90 * quarters) >= _TOLERANCE_DEGREES:
        return UPRIGHT
    return Orientation(quarters * 90 % 360, mirrored)


def displayed(picture: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """(height, width, 3) decoded to (height, width, 3) displayed: a view."""
    if orientation.mirrored:
        picture = picture[:, ::-1]
    return np.rot90(picture, -(orientation.rotation_degrees // 90))


def crop(picture: NDArray[np.uint8], shortest_edge: int) -> Picture:
    """(height, width, 3) to (224, 224, 3): the shorter side to `shortest_edge`, antialiased bilinear, center crop."""
    height, width, _ = picture.shape
    if width < height:
        size = (shortest_edge, int(shortest_edge * height / width))
    else:
        size = (int(shortest_edge * width / height), shortest_edge)
    left, top = (size[0] - SIZE) // 2, (size[1] - SIZE) // 2
    across, down = width / size[0], height / size[1]
    box = (left * across, top * down, (left + SIZE) * across, (top + SIZE) * down)
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))

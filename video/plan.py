"""Validation of a worker's plan: an untrusted file may have taken over the worker."""

import re
from itertools import pairwise
from typing import Any

from video.clips import CLIP_FRAMES
from video.formats import DECODERS, DEMUXERS
from video.limits import Limits
from video.measures.frames import MAX_MEASURED
from video.orders import MAX_PLACES, MAX_WANTED
from video.parameters import MAX_FRAMES

FIELDS = {
    *("frame_indices", "motion_order", "camera_order", "frame_order", "frame_seconds", "clip_seconds"),
    "metric_order",
    *("info", "header_duration_seconds", "orientation", "frames_to_decode"),
    *("demuxer", "decoder", "profile", "pixel_format", "full_range", "range_in_bitstream", "decoded_share"),
    *("stripped_bytes", "stripped_indices"),
}
LEAST_SHARE = 0.5
"""A damaged video of which a smaller share decodes is refused."""
MAX_STRIPPED_MORE = 1 << 20
"""A stripped file has so many bytes more than its video at most: its index may be larger."""
NAME = re.compile("[A-Za-z0-9 :._()+-]{1,40}")
"""FFmpeg's name of a profile or a pixel format."""
MAX_NUMBER = 1e20
"""A file may state any 64-bit number of seconds as its duration."""


def max_stripped_bytes(file_bytes: int) -> int:
    """The most bytes of the stripped file of a video of `file_bytes`."""
    return file_bytes + MAX_STRIPPED_MORE


def checked(said: object, limits: Limits, file_bytes: int) -> dict[str, Any]:
    """Return `said` if it is a possible result of `video.worker.plan` under `limits`, else raise ValueError.

    The video has `file_bytes`. A valid plan has the types, sizes and ranges that its users rely on; whether it is true
    cannot be checked.
    """
    _require(isinstance(said, dict) and said.keys() == FIELDS)
    assert isinstance(said, dict)
    info, frame_indices, clip_seconds = said["info"], said["frame_indices"], said["clip_seconds"]
    _require(isinstance(info, list) and len(info) == 5 and all(map(_is_finite, info)))
    _require(said["header_duration_seconds"] is None or _is_finite(said["header_duration_seconds"]))
    _, frames, _, width, height = info
    _require(all(type(count) is int and count >= 0 for count in (frames, width, height)))
    _require(frames <= limits.max_frames and width * height <= limits.max_pixels)
    _require(_are_integers(frame_indices, 1, MAX_WANTED, below=frames))
    _require(all(first < second for first, second in pairwise(frame_indices)))
    for order in (said["motion_order"], said["camera_order"]):
        _require(_are_integers(order, 0, MAX_PLACES, below=len(frame_indices)))
        _require(len(order) % CLIP_FRAMES == 0)
    frame_order, frame_seconds = said["frame_order"], said["frame_seconds"]
    _require(_are_integers(frame_order, 0, MAX_FRAMES, below=len(frame_indices)))
    _require(isinstance(frame_seconds, list) and len(frame_seconds) == len(frame_order))
    _require(all(map(_is_finite, frame_seconds)))
    metric_order = said["metric_order"]
    _require(_are_integers(metric_order, 0, MAX_MEASURED, below=len(frame_indices)))
    _require(all(first < second for first, second in pairwise(metric_order)))
    _require(bool(said["motion_order"] or said["camera_order"] or frame_order or metric_order))
    _require(isinstance(clip_seconds, list) and len(clip_seconds) * CLIP_FRAMES == len(said["camera_order"]))
    for clip in clip_seconds:
        _require(isinstance(clip, list) and len(clip) == 2 and all(map(_is_finite, clip)))
    orientation = said["orientation"]
    _require(isinstance(orientation, list) and list(map(type, orientation)) == [int, bool])
    _require(orientation[0] in (0, 90, 180, 270))
    _require(type(said["full_range"]) is bool and type(said["range_in_bitstream"]) is bool)
    to_decode = said["frames_to_decode"]
    _require(type(to_decode) is int and 0 < to_decode <= limits.max_frames)
    _require(said["demuxer"] in DEMUXERS and said["decoder"] in DECODERS)
    _require(said["profile"] is None or _is_name(said["profile"]))
    _require(said["pixel_format"] is None or _is_name(said["pixel_format"]))
    _check_stripped(said["stripped_bytes"], said["stripped_indices"], len(frame_indices), limits, file_bytes)
    share = said["decoded_share"]
    _require(_is_finite(share) and LEAST_SHARE <= share <= 1)
    return said


def _check_stripped(count: object, indices: object, wanted: int, limits: Limits, file_bytes: int) -> None:
    _require(type(count) is int and 0 <= count <= max_stripped_bytes(file_bytes))
    if not count:
        _require(indices == [])
        return
    _require(_are_integers(indices, wanted, wanted, below=limits.max_frames))
    assert isinstance(indices, list)
    _require(all(first < second for first, second in pairwise(indices)))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _are_integers(values: object, least: int, most: int, *, below: int) -> bool:
    return (
        isinstance(values, list)
        and least <= len(values) <= most
        and all(type(value) is int and 0 <= value < below for value in values)
    )


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -MAX_NUMBER < value < MAX_NUMBER  # which nan is not


def _require(right: bool) -> None:
    if not right:
        raise ValueError("not a valid plan")

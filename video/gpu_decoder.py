"""Which decoder gets a video in the gpu and tensorrt profiles: NVDEC, by DALI, or FFmpeg on the CPU, by PyAV.

Both give the same answer. NVDEC gets what is certain to be read there; all else goes to FFmpeg, which also decides
whether a video is refused.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from video.colors import Colors, dali_converts_alike
from video.decoder import Decoder
from video.errors import InvalidVideo
from video.limits import Limits
from video.nvdec_capabilities import Capabilities
from video.work import check_work


class Choice(NamedTuple):
    """The decoder that gets a video."""

    decoder: Decoder
    why_not_nvdec: str | None = None
    """Why it is not NVDEC; None if it is, and in a profile without NVDEC."""


def choose(
    plan: Mapping[str, Any],
    file_bytes: int,
    capabilities: Capabilities,
    limits: Limits,
    max_decoded_bytes: float,
    dali_device: str = "mixed",
    *,
    square_frames: bool = True,
) -> Choice:
    """The decoder for the video of a plan of `video.worker`, which has `file_bytes`.

    The wanted frames of a video at full size, in RGB, may take `max_decoded_bytes` of GPU memory. `dali_device` is
    where DALI decodes, as in `video.colors`; `square_frames` says whether the image encoder's frames are square.
    """
    why = _why_not(plan, file_bytes, capabilities, limits, max_decoded_bytes, dali_device)
    if why is None and plan["frame_order"] and not square_frames and plan["orientation"][0] % 180:
        why = "the image encoder's frames are not square, and the video is shown turned"  # DALI resizes, then turns
    return Choice(Decoder.NVDEC) if why is None else Choice(Decoder.FFMPEG, why)


def _why_not(
    plan: Mapping[str, Any],
    file_bytes: int,
    capabilities: Capabilities,
    limits: Limits,
    max_decoded_bytes: float,
    dali_device: str,
) -> str | None:
    why = why_not_read(plan, capabilities)
    if why is not None:
        return why
    height, width = decoded_size(plan)
    if plan["decoded_share"] < 1:
        return f"the file is damaged: {plan['decoded_share']:.0%} of it decodes"
    colors = Colors(plan["decoder"], plan["pixel_format"] or "", plan["full_range"], plan["range_in_bitstream"])
    if not dali_converts_alike(colors, device=dali_device):
        return f"DALI may convert its colors ({colors.pixel_format}, full range) otherwise"
    if not len(plan["stripped_video"]):
        return "the file cannot be stripped for certain"  # and what a caller sent never reaches DALI
    try:
        check_work(plan["frames_to_decode"], width, height, file_bytes, limits)
    except InvalidVideo as error:
        return str(error)
    frames = len(plan["frame_indices"])
    if (size := frames * width * height * 3) > max_decoded_bytes:
        most = f"more than {max_decoded_bytes / 1e9:.2f} GB (MAX_DECODED_BYTES)"
        return f"the {frames} wanted frames of {width} x {height} take {size / 1e9:.2f} GB when decoded, {most}"
    return None


def why_not_read(plan: Mapping[str, Any], capabilities: Capabilities) -> str | None:
    """Why NVDEC does not get the video of a plan, whatever can be stripped of it; None if nothing is against it.

    Only the wanted frames, `decoder`, `profile`, `pixel_format`, `info` and `orientation` of the plan are looked at.
    """
    if plan["metric_order"]:
        return "measures are asked for, which are computed where FFmpeg decodes"
    height, width = decoded_size(plan)
    return capabilities.why_not(plan["decoder"], plan["profile"], plan["pixel_format"], width, height)


def positive(parameters: Mapping[str, str], name: str) -> float:
    """The number in a parameter of a configuration; ValueError that names it if it is missing or not positive."""
    try:
        value = float(parameters.get(name, ""))
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {parameters.get(name)!r}, it must be a positive number")
    return value


def decoded_size(plan: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of a decoded frame, before it is turned for display."""
    width, height = int(plan["info"][3]), int(plan["info"][4])
    return (height, width) if plan["orientation"][0] % 180 == 0 else (width, height)

"""Which videos DALI converts to RGB as the cpu profile does: BT.601, in the range that they state.

Read in DALI's source (`frames_decoder_gpu.cc`, `color_space.cu`): NVDEC's frames, 8-bit 4:2:0, are converted as BT.601
whatever the file states, and in full range where NVDEC reports it. NVDEC does not report it for every codec.
"""

import contextlib
from typing import BinaryIO, NamedTuple

import av
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from video.container import DEFAULT_LIMITS, open_video
from video.demuxing import demux
from video.limits import Limits

EIGHT_BITS, TEN_BITS = ("yuv420p", "yuvj420p"), ("yuv420p10le",)
"""Names of FFmpeg's pixel formats that NVDEC returns as 8-bit 4:2:0."""
RANGE_IN_HEADER = ("h264", "hevc")
"""Decoders of codecs whose range NVDEC reports: it is in the sequence header, if anywhere in the bitstream."""
MAX_PACKETS = 64
"""More packets than a decoder needs for its first frame."""


class Colors(NamedTuple):
    """The color format of a video, as FFmpeg's decoder states it."""

    decoder: str
    """FFmpeg's name of the decoder."""
    pixel_format: str
    """FFmpeg's name of the pixel format."""
    full_range: bool
    """Levels from 0 to 255, or 0 to 1023, not from 16 to 235, or 64 to 940."""
    range_in_bitstream: bool
    """Whether full range is stated in the bitstream; False if only the container states it."""


def colors_of(
    video: BinaryIO, stream: VideoStream, limits: Limits = DEFAULT_LIMITS, *, allow_damaged: bool = False
) -> Colors:
    """The color format of `stream`, the stream that is shown of `video`, of which `read_frame_table` decoded a frame.

    Another frame is decoded only for H.264 and HEVC in full range, from `video`, which is opened again.
    """
    context = stream.codec_context
    decoder, pixel_format = context.codec.name, context.pix_fmt or ""
    full_range = _is_full(pixel_format, context.color_range)
    stated = full_range
    if full_range and decoder in RANGE_IN_HEADER:
        stated = _bitstream_states_full_range(video, limits, allow_damaged)
    return Colors(decoder, pixel_format, full_range, stated)


def dali_converts_alike(colors: Colors, *, device: str = "mixed") -> bool:
    """Whether the colors of DALI's decoder are the cpu profile's, to 1 level of 255 on average.

    `device` is `mixed` (NVDEC) or `cpu`, as in the model repository's `dali.py`. For `mixed`, this was read in DALI's
    source and never measured; an unsure case is False.
    """
    # FFmpeg rounds full range of 10 bits up and everything else down; DALI's pipeline corrects for the latter.
    if colors.full_range and colors.pixel_format not in EIGHT_BITS:
        return False
    if device == "cpu":
        return True
    if colors.pixel_format not in EIGHT_BITS + TEN_BITS:
        return False
    return not colors.full_range or (colors.decoder in RANGE_IN_HEADER and colors.range_in_bitstream)


def _is_full(pixel_format: str, color_range: int) -> bool:
    return pixel_format.startswith("yuvj") or color_range == ColorRange.JPEG


def _bitstream_states_full_range(video: BinaryIO, limits: Limits, allow_damaged: bool) -> bool:
    """Whether a decoder that knows nothing of the container's tags returns a frame of full range."""
    with open_video(video, limits, allow_damaged=allow_damaged) as (container, stream):
        source = stream.codec_context
        context = av.CodecContext.create(source.codec.name, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.extradata = source.extradata
        context.thread_count = 1  # more threads return the first frame later
        with contextlib.suppress(av.FFmpegError):
            for count, packet in enumerate(demux(container, stream)):
                for frame in context.decode(packet):
                    return _is_full(frame.format.name, frame.color_range)
                if count == MAX_PACKETS:
                    break
    return False

"""The wanted part of a video as a file of its own, without decoding it."""

from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from video.container import FrameTable, open_video
from video.limits import Limits
from video.strip import NOT_STRIPPED, Strip, Stripped
from video.stripped_file import CountedFile, Place, written_to

CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg1video", "mpeg2video", "mjpeg")


def stripped_video(
    video: BinaryIO, table: FrameTable, frame_indices: NDArray[np.integer], out: BinaryIO, strip: Strip, limits: Limits
) -> Stripped:
    """Write the frames `frame_indices` (ascending) of `video` to `out`, which is as large as the file may become.

    Nothing is written if `strip` says so, or if it is not certain that the frames of the file are the wanted ones.
    """
    if strip == Strip.NEVER or table.pts is None or table.packet_pts is None:
        return NOT_STRIPPED
    pts = table.packet_pts
    if len(pts) != table.info.frames:
        return NOT_STRIPPED
    displayed = np.empty(len(pts), np.int64)
    displayed[np.argsort(pts, kind="stable")] = np.arange(len(pts))
    delay = int((np.arange(len(pts)) - displayed).max())
    with open_video(video, limits) as (container, stream):
        if stream.codec_context.codec.name not in CODECS or stream.codec_context.codec.name == "vp8":
            return NOT_STRIPPED
        counted = CountedFile(out)
        try:
            with written_to(counted, stream) as written:
                packets = (packet for packet in container.demux(stream) if packet.size)
                for number, packet in enumerate(packets):
                    place = Place(number, int(displayed[number]), bool(table.packet_is_keyframe[number]))
                    written.add(memoryview(packet), place, delay)
        except (av.FFmpegError, OSError):
            return NOT_STRIPPED
    return Stripped(counted.bytes, [int(index) for index in frame_indices])

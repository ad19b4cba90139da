"""Which videos DALI, the decoder of the gpu and tensorrt profiles, can read.

Its codecs are those of `FramesDecoderGpu` in DALI 2.4. Further containers may work, but nobody has tried them on a GPU.
"""

from collections.abc import Mapping
from typing import Any

from video.errors import InvalidVideo, Reason

DEMUXERS = ("mov", "matroska", "avi")
DECODERS = ("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mjpeg")
NAMES = "mp4, mov, mkv, webm and avi with H.264, HEVC, VP8, VP9, AV1, MPEG-4 or MJPEG"


def check_readable(plan: Mapping[str, Any]) -> None:
    """Raise `InvalidVideo` if DALI cannot decode the video of a plan of `video.worker`."""
    if plan["demuxer"] not in DEMUXERS or plan["decoder"] not in DECODERS:
        cannot = f"which cannot read {plan['decoder']} video in a container of the kind {plan['demuxer']}"
        instead = f"send {NAMES}, or use a server with the cpu profile"
        raise InvalidVideo(f"this server decodes on the GPU, {cannot}: {instead}", Reason.UNSUPPORTED_CODEC)
    if plan["decoded_share"] < 1:
        cannot = f"which cannot read a damaged file ({plan['decoded_share']:.0%} of this one decodes)"
        instead = "use a server with the cpu profile"
        raise InvalidVideo(f"this server decodes on the GPU, {cannot}: {instead}", Reason.DAMAGED)

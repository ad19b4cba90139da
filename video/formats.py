"""Which containers and codecs are read, and what a file looks like that is something else."""

DEMUXERS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi"),
    *("mpegts", "mpeg", "flv", "asf", "gif", "ogg"),
)
"""FFmpeg's demuxers that a worker may use. None of them opens another file."""
DECODERS = (
    *("h264", "hevc", "vp8", "vp9", "libdav1d", "av1", "mpeg4", "mjpeg"),
    *("mpeg1video", "mpeg2video", "h263", "flv", "wmv1", "wmv2", "wmv3", "vc1", "msmpeg4v2", "msmpeg4"),
    *("theora", "gif", "prores", "dnxhd"),
)
"""FFmpeg's decoders that a worker may use; the fuzzer has a seed for each."""
CONTAINERS = "mp4, mov, 3gp, mkv, webm, avi, ts, m2ts, mpg, vob, flv, wmv, asf, ogv, gif"
CODECS = (
    "H.264, HEVC, VP8, VP9, AV1, MPEG-4, MJPEG, MPEG-1, MPEG-2, H.263, Sorenson Spark, WMV 7 to 9, VC-1, MS-MPEG-4, "
    "Theora, GIF, ProRes, DNxHD"
)

STILL_IMAGES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
"""Kinds of still images, by the first bytes of the file."""
STILL_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF"}
"""Kinds of still images, by the brand of an mp4."""
OTHER_CONTAINERS = {
    b"\x06\x0e\x2b\x34": "MXF",
    b".RMF": "RealMedia",
    b"FWS": "Flash (swf)",
    b"CWS": "Flash (swf)",
    b"nut/multimedia container": "NUT",
    b"YUV4MPEG2": "YUV4MPEG2",
    b"DKIF": "IVF",
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11": "WTV",
    b"\x1f\x07\x00": "DV without a container",
    b"\x00\x00\x01\xb3": "MPEG video without a container",
    b"\x00\x00\x00\x01": "H.264 or HEVC without a container",
    b"\x00\x00\x01\x67": "H.264 without a container",
}
"""Kinds of videos that are not read, by the first bytes of the file."""
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
"""The first bytes of an asf or wmv file."""
PACK_HEADER = b"\x00\x00\x01\xba"
"""The first bytes of an MPEG program stream."""
MAGIC = (b"\x1aE\xdf\xa3", b"RIFF", b"FLV", b"OggS", b"GIF8", ASF_HEADER, PACK_HEADER)
"""The first bytes of containers that are read; mp4 and MPEG-TS are recognised otherwise."""


def other_container(head: bytes) -> str | None:
    """The kind of video that is not read and begins like this; None for any other file."""
    return next((kind for magic, kind in OTHER_CONTAINERS.items() if head.startswith(magic)), None)

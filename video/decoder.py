"""What can decode a video; the names are those of the output DECODER."""

from enum import StrEnum


class Decoder(StrEnum):
    """What decodes the frames of a video."""

    NVDEC = "nvdec"
    """The decoder of an NVIDIA GPU; frames stay on the GPU."""
    FFMPEG = "ffmpeg"
    """The CPU."""

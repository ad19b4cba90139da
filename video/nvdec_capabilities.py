"""What NVDEC, the video decoder of an NVIDIA GPU, reads: asked of the driver, or else from a table by architecture.

DALI takes frames from NVDEC as NV12 only. So a format counts as read if NVDEC returns it as NV12. The driver is asked
in a process of its own (`video.nvdec_driver`), because a CUDA context takes memory of the GPU for as long as its
process lives. The driver's own library knows more than PyNvVideoCodec or NVML would tell, and is wherever NVDEC is.
"""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

CODECS = {
    "h264": "h264",
    "hevc": "hevc",
    "vp8": "vp8",
    "vp9": "vp9",
    "libdav1d": "av1",
    "av1": "av1",
    "mpeg4": "mpeg4",
    "mjpeg": "mjpeg",
}
"""The codecs that DALI's `FramesDecoderGpu` hands to NVDEC, by the names of FFmpeg's decoders."""
PROFILES: Mapping[str, tuple[str, ...]] = {
    "h264": (
        *("Baseline", "Constrained Baseline", "Main", "High"),
        *("High 10", "High 10 Intra", "High 4:2:2", "High 4:2:2 Intra"),
    ),
    "hevc": ("Main", "Main 10", "Main Still Picture"),
    "mpeg4": ("Simple Profile", "Advanced Simple Profile"),
}
"""The profiles that NVDEC reads, by FFmpeg's names, of codecs whose others may have the same pixel formats."""
PIXEL_FORMAT = re.compile(r"yuvj?(420|422|444)p(?:(9|10|12|14|16)[lb]e)?")
"""FFmpeg's names of planar formats; group 1 is the subsampling, group 2 the bits of a sample if they are not 8."""
AUTO = "auto"
MACROBLOCK = 16
"""Height and width in pixels."""
TIMEOUT_SECONDS = 60.0
"""How long the driver may take: initializing CUDA on a machine of eight GPUs takes several seconds."""
ROOT = str(Path(__file__).parent.parent)
RUN_DRIVER = "import sys; sys.path.insert(0, sys.argv.pop(1)); from video.nvdec_driver import main; main()"


class VideoFormat(NamedTuple):
    """What kind of frames a bitstream has."""

    codec: str
    """One of the values of `CODECS`."""
    chroma: str = "4:2:0"
    """Subsampling: `4:0:0`, `4:2:0`, `4:2:2` or `4:4:4`."""
    bit_depth: int = 8
    """Bits of a sample."""

    def __str__(self) -> str:
        return f"{self.codec} {self.chroma} of {self.bit_depth} bits"


class Sizes(NamedTuple):
    """Which frames NVDEC reads of one format; pixels."""

    min_width: int = 144
    min_height: int = 144
    max_width: int = 8192
    max_height: int = 8192
    max_macroblocks: int = 8192 * 8192 // MACROBLOCK**2

    def why_not(self, width: int, height: int) -> str | None:
        """Why it does not read frames of this size; None if it does."""
        if width < self.min_width or height < self.min_height:
            return f"of at least {self.min_width} x {self.min_height}"
        if width > self.max_width or height > self.max_height:
            return f"of at most {self.max_width} x {self.max_height}"
        if math.ceil(width / MACROBLOCK) * math.ceil(height / MACROBLOCK) > self.max_macroblocks:
            return f"of at most {self.max_macroblocks} macroblocks"
        return None


Formats = dict[VideoFormat, Sizes]

UP_TO_4096 = Sizes(max_width=4096, max_height=4096, max_macroblocks=4096 * 4096 // MACROBLOCK**2)
UP_TO_8192 = Sizes()
MPEG4 = Sizes(max_width=2048, max_height=1024, max_macroblocks=2048 * 1024 // MACROBLOCK**2)
TURING: Formats = {
    VideoFormat("h264"): UP_TO_4096,
    VideoFormat("hevc"): UP_TO_8192,
    VideoFormat("hevc", bit_depth=10): UP_TO_8192,
    VideoFormat("vp8"): UP_TO_4096,
    VideoFormat("vp9"): UP_TO_8192,
    VideoFormat("mpeg4"): MPEG4,
}
AMPERE: Formats = TURING | {VideoFormat("av1"): UP_TO_8192, VideoFormat("av1", bit_depth=10): UP_TO_8192}
BLACKWELL: Formats = AMPERE | {VideoFormat("h264"): UP_TO_8192, VideoFormat("h264", bit_depth=10): UP_TO_8192}
TABLE: tuple[tuple[tuple[int, int], Formats], ...] = (
    ((7, 5), TURING),  # and 8.0, GA100
    ((8, 6), AMPERE),  # GA10x, and 8.9, Ada
    ((9, 0), TURING),  # Hopper
    ((10, 0), BLACKWELL),
)
"""Formats from a compute capability on, until the next one in the table.

From the table "NVDEC Hardware Capabilities" of NVIDIA's application note for Video Codec SDK 13.0, 4:2:0 only. Sizes of
MPEG-4, VP8 and H.264 are those of NVIDIA's programming guide. The note has no smallest sizes and no JPEG, so small
frames, which cost a CPU little, and MJPEG are not in it.
"""


def formats_of(compute_capability: tuple[int, int]) -> Formats:
    """What GPUs of this compute capability read by the table; nothing for those older than it."""
    found: Formats = {}
    for since, formats in TABLE:
        if compute_capability >= since:
            found = formats
    return found


@dataclass(frozen=True)
class Capabilities:
    """What every GPU of this machine reads, because an instance on any of them may get a video."""

    formats: Mapping[VideoFormat, Sizes] = field(default_factory=dict)
    """Sizes by format; a format that is not read is not in it."""
    source: str = "this profile has no GPU"
    """Where this is known from, or why nothing is read."""

    @classmethod
    def of_lists(cls, formats: Sequence[tuple[Sequence[Any], Sequence[int]]]) -> "Capabilities":
        """The capabilities that `lists` returned, without their source."""
        return cls({VideoFormat(*name): Sizes(*sizes) for name, sizes in formats}, "as its parent process says")

    def lists(self) -> list[tuple[list[Any], list[int]]]:
        """The fields of each format and of its sizes, for JSON."""
        return [(list(name), list(sizes)) for name, sizes in self.formats.items()]

    def why_not(
        self, decoder: str, profile: str | None, pixel_format: str | None, width: int, height: int
    ) -> str | None:
        """Why NVDEC does not read such a video; None if it does.

        `decoder`, `profile` and `pixel_format` are FFmpeg's names, None if it does not know; width and height are those
        of decoded frames in pixels.
        """
        if not self.formats:
            return f"NVDEC reads nothing: {self.source}"
        codec = CODECS.get(decoder, decoder)
        if codec in PROFILES and profile not in PROFILES[codec]:
            return f"NVDEC does not read {codec} of the profile {profile}"
        found = PIXEL_FORMAT.fullmatch(pixel_format or "")
        if found is None:
            return f"NVDEC does not read {codec} in {pixel_format}"
        wanted = VideoFormat(codec, ":".join(found[1]), int(found[2] or 8))
        if wanted not in self.formats:
            return f"NVDEC does not read {wanted}"
        why = self.formats[wanted].why_not(width, height)
        return None if why is None else f"NVDEC reads {wanted} {why}, these frames have {width} x {height}"

    def __str__(self) -> str:
        """One line for the log."""
        if not self.formats:
            return f"NVDEC reads nothing: {self.source}"
        listed = (f"{name} up to {sizes.max_width} x {sizes.max_height}" for name, sizes in self.formats.items())
        return f"NVDEC reads {', '.join(listed)} ({self.source})"


def capabilities(asked: str | None, ask: Callable[[], Capabilities] | None = None) -> Capabilities:
    """The capabilities that the parameter NVDEC_READS selects.

    `auto` asks the driver, or `ask` in its place; None means that nothing is read. Anything else lists formats, as in
    `h264,hevc,hevc/10`: the codec, and the bits of a sample if they are not 8; chroma is 4:2:0. Raises ValueError that
    names a format that is not one.
    """
    if asked is None:
        return Capabilities()
    if asked.strip() == AUTO:
        return (ask or ask_driver)()
    listed = [_listed(name.strip()) for name in asked.split(",") if name.strip()]
    return Capabilities(dict.fromkeys(listed, Sizes(min_width=1, min_height=1)), f"NVDEC_READS is {asked}")


def _listed(name: str) -> VideoFormat:
    codec, _, bits = name.partition("/")
    if codec not in CODECS.values() or bits not in ("", "8", "10", "12"):
        known = ", ".join(dict.fromkeys(CODECS.values()))
        raise ValueError(f"NVDEC_READS has {name!r}, it must be {AUTO} or list {known}, as in h264,hevc,hevc/10")
    return VideoFormat(codec, bit_depth=int(bits or 8))


def ask_driver() -> Capabilities:
    """What the driver says that the GPUs of this machine read; nothing if it cannot be asked at all."""
    command = [sys.executable, "-I", "-c", RUN_DRIVER, ROOT]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Capabilities(source=f"the driver did not answer within {TIMEOUT_SECONDS:g} s")
    except OSError as error:
        return Capabilities(source=f"the driver cannot be asked: {error.strerror or error}")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Capabilities(source=f"asking the driver failed with status {done.returncode}: {last[:300]}")
    return of_answer(json.loads(done.stdout.splitlines()[-1]))


def of_answer(answer: Mapping[str, Any]) -> Capabilities:
    """The capabilities in the answer of `video.nvdec_driver`: what all of its GPUs have in common."""
    if "error" in answer:
        return Capabilities(source=answer["error"])
    found = [_of_gpu(gpu) for gpu in answer["gpus"]]
    common = set.intersection(*(set(formats) for formats, _ in found))
    sources = dict.fromkeys(source for _, source in found)
    formats = {name: _common_sizes([formats[name] for formats, _ in found]) for name in found[0][0] if name in common}
    return Capabilities(formats, " and ".join(sources))


def _of_gpu(gpu: Mapping[str, Any]) -> tuple[Formats, str]:
    if "error" not in gpu:
        return {VideoFormat(*entry["format"]): Sizes(*entry["sizes"]) for entry in gpu["formats"]}, "says the driver"
    major, minor = gpu["compute_capability"]
    return formats_of((major, minor)), f"by compute capability {major}.{minor}, because {gpu['error']}"


def _common_sizes(sizes: list[Sizes]) -> Sizes:
    least, most = ([pick(values) for values in zip(*sizes, strict=True)] for pick in (max, min))
    return Sizes(least[0], least[1], most[2], most[3], most[4])

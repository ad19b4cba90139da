"""How parts are cut, and what each container can hold."""

from dataclasses import dataclass
from typing import Any

from .errors import CutError

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")
"""Containers that can be written."""
_WEBM = ("vp9", "av1")


@dataclass(frozen=True)
class Codec:
    """An encoder of FFmpeg."""

    encoder: str
    """Its name."""
    crf: int
    """The default of `--crf`."""
    largest_crf: int
    """The worst quality."""
    options: dict[str, str]
    """Its other options."""


CODECS = {
    "h264": Codec("libx264", 18, 51, {"preset": "medium"}),
    "hevc": Codec("libx265", 20, 51, {"preset": "medium", "x265-params": "log-level=none"}),
    "vp9": Codec("libvpx-vp9", 24, 63, {"b": "0", "deadline": "good", "cpu-used": "2"}),
    "av1": Codec("libsvtav1", 24, 63, {"preset": "8"}),
}
"""By the name that the command takes."""


@dataclass(frozen=True)
class Size:
    """The largest size of a clip, which keeps its aspect ratio and is never enlarged."""

    shorter_pixels: int | None = None
    """Of the shorter side; None if there is a box."""
    box: tuple[int, int] | None = None
    """Width and height that the displayed picture fits into."""

    @classmethod
    def parse(cls, text: str) -> "Size":
        """From `480` or `854x480`. Raises ValueError."""
        sides = [int(side) for side in text.lower().split("x")]
        if len(sides) not in (1, 2) or not all(2 <= side <= 16384 for side in sides):
            raise ValueError(text)
        return cls(sides[0]) if len(sides) == 1 else cls(None, (sides[0], sides[1]))

    def of(self, width: int, height: int) -> tuple[int, int]:
        """The even size in pixels of a displayed picture of this size."""
        if self.box is not None:
            scale = min(1.0, self.box[0] / width, self.box[1] / height)
        else:
            scale = 1.0 if self.shorter_pixels is None else min(1.0, self.shorter_pixels / min(width, height))
        return even(width * scale), even(height * scale)


def even(pixels: float) -> int:
    """The even number of pixels, at least 2, that is nearest from below: 4:2:0 needs even sides."""
    return max(2, int(pixels + 1e-6) // 2 * 2)


@dataclass(frozen=True)
class Settings:
    """What all parts of a run have in common. As JSON it identifies the run that a folder belongs to."""

    copy: bool = False
    """Whether packets are copied from the keyframe before."""
    codec: str = "h264"
    """One of `CODECS`; meaningless with `copy`."""
    crf: int = CODECS["h264"].crf
    """Quality; lower is better."""
    size: str | None = None
    """As `Size.parse` reads it; None for the size of the video."""
    sound: bool = True
    """Whether sound goes along."""
    name: str = ""
    """The template of names."""
    shard_size: int | None = None
    """Clips in a shard; None for plain files."""

    def as_json(self) -> dict[str, Any]:
        """The settings that matter."""
        content: dict[str, Any] = {"name": self.name, "sound": self.sound, "shard_size": self.shard_size}
        if self.copy:
            return content | {"copy": True}
        return content | {"codec": self.codec, "crf": self.crf, "size": self.size}

    def check(self, suffix: str) -> None:
        """Raise `CutError` if a file with this suffix cannot hold the codec."""
        if suffix not in SUFFIXES:
            raise CutError(f"a clip's name ends in {suffix or 'no suffix'!r}, it must end in {', '.join(SUFFIXES)}")
        if suffix == ".webm" and not self.copy and self.codec not in _WEBM:
            raise CutError(f".webm cannot hold {self.codec}: choose --codec {' or '.join(_WEBM)}, or another suffix")

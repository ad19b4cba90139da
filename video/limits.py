"""What an untrusted file may take; each limit is a parameter in the models' configurations."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from video.cgroup import usable_cores


@dataclass(frozen=True)
class Limits:
    """What reading or decoding one video may take."""

    timeout_seconds: float = 120.0
    """How long the decoder process may take before it is killed."""
    max_bytes: int = 2 << 30
    """Size of the encoded file; the default is the largest gRPC message."""
    max_pixels: int = 8192 * 4352
    """Width times height of a frame, even if the container states less."""
    max_frames: int = 1_000_000
    """Frames of the whole video: nine hours at 30 frames per second."""
    max_memory_bytes: int = 8 << 30
    """Address space of the decoder process."""
    max_decoded_pixels: int = 40_000_000_000
    """Frames to decode times width times height, whatever the size of the file: five minutes of 1080p."""
    max_decoded_pixels_per_byte: int = 10_000
    """So many more for each byte of the file; a still picture in 1080p has up to 40,000, other videos below 5,000."""
    busy_cpu_seconds: float = 10.0
    """CPU time that a video gets however many other callers there are."""
    busy_cpu_seconds_per_megabyte: float = 4.0
    """So much more for each million bytes of the file, which has earned it."""

    @property
    def max_cpu_seconds(self) -> float:
        """CPU time that a video gets if no other caller is there: all usable cores until the timeout."""
        return self.timeout_seconds * usable_cores()

    def cpu_seconds(self, file_bytes: int, share: float) -> float:
        """CPU time for a video of `file_bytes` whose call has this share of the decoders, from 0 to 1.

        CPU time, because a busy machine takes longer for the same work.
        """
        least = self.busy_cpu_seconds + self.busy_cpu_seconds_per_megabyte * file_bytes / 1e6
        return min(self.max_cpu_seconds, max(least, self.max_cpu_seconds * share))

    @classmethod
    def from_configuration(cls, parameters: Mapping[str, str]) -> "Limits":
        """The limits in the `parameters` of a config.pbtxt, such as MAX_FRAMES; defaults for the others.

        Raises ValueError that names a value that is not a positive number.
        """
        given: dict[str, Any] = {}
        for field in fields(cls):
            name = field.name.upper()
            if name not in parameters:
                continue
            try:
                value = float(parameters[name]) if field.type is float else int(parameters[name])
            except ValueError:
                value = 0
            if not 0 < value < 2**63:
                raise ValueError(f"{name} is {parameters[name]!r}, it must be a positive number")
            given[field.name] = value
        return cls(**given)

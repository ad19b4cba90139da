"""What an untrusted file may take; each limit is a parameter in the models' configurations."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


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

"""How much of anything a stranger's file may take; each limit is a parameter of the models' configurations."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What reading or decoding one video may take."""

    timeout_seconds: float = 120.0
    """How long the process that reads the video may take, before it is killed."""
    max_bytes: int = 2 << 30
    """Size of the encoded file; a gRPC message carries no more than the default."""
    max_pixels: int = 8192 * 4352
    """Width times height of a frame, also of one that is larger than the container says."""
    max_frames: int = 1_000_000
    """Frames of the whole video: nine hours at 30 a second."""
    max_memory_bytes: int = 8 << 30
    """Address space of the process that reads the video."""

    @classmethod
    def from_configuration(cls, parameters: Mapping[str, str]) -> "Limits":
        """The limits that the `parameters` of a config.pbtxt give, such as MAX_FRAMES; the others are the defaults.

        Raises ValueError that names a value which is not a number above 0.
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
                raise ValueError(f"{name} is {parameters[name]!r}, it must be a number above 0")
            given[field.name] = value
        return cls(**given)

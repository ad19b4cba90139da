"""When a first pass skips a video, and the file that holds it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .._tables.replace import replacing
from .errors import FirstPassError
from .look import Look, Looking

KEY = "first_pass_thresholds"
"""The key of the thresholds in their file."""
BLACK, FROZEN, STATIC = "black", "frozen", "static"
MOST_LEVELS = 255.0
ROUNDING = 1e-9
"""1 - 0.8 is a little less than 0.2."""


@dataclass(frozen=True)
class Thresholds:
    """A video is skipped if one of these holds; None: never for this reason."""

    static_change: float | None
    """Levels: `change` is at most so much."""
    frozen_share: float | None
    """`frozen_share` is at least so much."""
    black_share: float | None
    """`black_share` is at least so much."""

    def verdict(self, look: Look) -> str | None:
        """Why to skip a video, `black`, `frozen` or `static`; None for not at all."""
        if self.black_share is not None and look.black_share >= self.black_share:
            return BLACK
        if self.frozen_share is not None and look.frozen_share >= self.frozen_share:
            return FROZEN
        if self.static_change is not None and look.change <= self.static_change:
            return STATIC
        return None

    def may_skip(self, looking: Looking, most_pictures: float) -> bool:
        """Whether a video that looks so from its beginning may be skipped in the end.

        most_pictures: how many it has at most; infinite if nobody knows.
        """
        return (
            _may_reach(self.black_share, looking.lit, most_pictures)
            or _may_reach(self.frozen_share, looking.new, most_pictures)
            or (self.static_change is not None and looking.change <= self.static_change)
        )

    def as_dict(self) -> dict[str, float]:
        """Those that are not None."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Thresholds":
        """The thresholds in what a file says. Raises ValueError."""
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in said if name not in names]:
            raise ValueError(f"there is no threshold {unknown[0][:40]!r}, only {', '.join(names)}")
        values: dict[str, float | None] = dict.fromkeys(names)
        for name, value in said.items():
            most = MOST_LEVELS if name == "static_change" else 1.0
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if value is not None and not (is_number and 0 <= value <= most):
                raise ValueError(f"{name} is {str(value)[:40]}, it must be null or a number from 0 to {most:g}")
            values[name] = None if value is None else float(value)
        if not any(value is not None for value in values.values()):
            raise ValueError("they would skip nothing")
        return cls(**values)


DEFAULT = Thresholds(static_change=2.0, frozen_share=1.0, black_share=1.0)
"""Without a file; docs/first-pass.md has what they were calibrated on."""


def read_thresholds(path: Path) -> Thresholds:
    """The thresholds in a file of `write_thresholds`. Raises `FirstPassError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(content.get(KEY), dict):
            raise ValueError(f"it has no object {KEY!r}")
        return Thresholds.of(content[KEY])
    except OSError as error:
        raise FirstPassError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise FirstPassError(f"{path} has no thresholds of a first pass: {error}") from error


def write_thresholds(path: Path, thresholds: Thresholds, calibration: Mapping[str, Any]) -> None:
    """Write them, with what they were calibrated on; whole or not at all. Raises OSError."""
    content = {KEY: vars(thresholds), "calibration": calibration}
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _may_reach(share: float | None, against: int, most_pictures: float) -> bool:
    """Whether a share can still be reached with so many pictures `against` it."""
    if share is None:
        return False
    return against == 0 or (share < 1 and against <= (1 - share) * most_pictures + ROUNDING)

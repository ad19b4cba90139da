"""Times in lists: seconds, or hours, minutes and seconds."""

import math
import re

_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:[.,]\d*)?)")


def seconds_of(value: object) -> float:
    """Seconds of `12.5`, `01:02:03.5` or `02:03.5`; a comma may stand before the decimals. NaN for anything else."""
    text = str(value).strip()
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = clock.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
    try:
        return float(text)
    except ValueError:
        return math.nan

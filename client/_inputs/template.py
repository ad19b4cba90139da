"""Where the videos of a list are, from its columns: `videos/{youtube_id}.mp4`."""

import math
import re
import string
from collections.abc import Mapping

from ..errors import InvalidRequest
from .errors import InputError
from .names import shown

_WHOLE = re.compile(r"(0?\d{1,2})?d")


class Template:
    """Text with columns in braces; `{column:06d}` writes a whole number with six digits. Raises `InputError`."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._pieces = [*string.Formatter().parse(text)]
        except ValueError as error:
            raise InputError(f"--path-template {shown(text)}: {error}") from error
        for _, name, spec, conversion in self._pieces:
            if name is not None and (not name or conversion or (spec and not _WHOLE.fullmatch(spec))):
                raise InputError(f"--path-template {shown(text)}: write {{column}} or {{column:06d}} in it")
        if not self.fields:
            raise InputError(f"--path-template {shown(text)}: it names no column, such as {{youtube_id}}")

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns in it."""
        return tuple(dict.fromkeys(name for _, name, _, _ in self._pieces if name is not None))

    def path(self, values: Mapping[str, object]) -> str | None:
        """The path of a row; None if one of its columns is empty. Raises `InvalidRequest`, and KeyError."""
        path = ""
        for literal, name, spec, _ in self._pieces:
            path += literal
            if name is None:
                continue
            value = values[name]
            if value is None or value == "":
                return None
            path += format(_whole(name, value), spec) if spec else _text(name, value)
        return path


def _text(name: str, value: object) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidRequest(f"the column {name!r} has {type(value).__name__}, not text", reason="invalid_parameter")


def _whole(name: str, value: object) -> int:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if number != math.inf and number == number // 1:
        return int(number)
    message = f"the column {name!r} has '{shown(str(value), 60)}', not a whole number"
    raise InvalidRequest(message, reason="invalid_parameter")

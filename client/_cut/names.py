"""Names of clips from a template such as `{index:06}_{stem}{suffix}`."""

import re
import string
from pathlib import PurePosixPath
from typing import Any

from .errors import CutError
from .part import Part
from .settings import SUFFIXES

DEFAULT = "{index:06}_{stem}{suffix}"
"""Unique, and in the order of the list."""
OWN_FIELDS = ("index", "stem", "suffix")
"""Fields that no column is needed for."""
LONGEST_BYTES = 240
"""Of each folder or file in a name; file systems take 255, and a suffix of the partial file is added."""
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


class Names:
    """Makes the name of each part's file, relative to the folder, with slashes."""

    def __init__(self, template: str, *, copy: bool) -> None:
        """copy: whether `{suffix}` is that of the video. Raises `CutError` for a template that is none."""
        self._template = template
        self._copy = copy
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
        except ValueError as error:
            raise CutError(f"--name {template!r} is no template: {error}") from error
        self._fields = fields
        for name in fields:
            if not re.fullmatch(r"\w+", name) or name.isdigit():
                raise CutError(f"--name {template!r}: {{{name}}} is not the name of a column")

    def of(self, part: Part) -> str:
        """The name. Raises `CutError`."""
        video = PurePosixPath(part.video.replace("\\", "/"))
        suffix = video.suffix.lower() if self._copy else ".mp4"
        if suffix not in SUFFIXES:
            suffix = ".mkv"  # holds almost everything
        columns = {name: _safe(value) for name, value in part.values.items() if value is not None}
        if empty := [name for name in self._fields if name in part.values and part.values[name] is None]:
            raise CutError(f"--name {self._template!r} cannot be filled for {part.shown}: its {empty[0]} is empty")
        values = columns | {"index": part.index, "stem": _safe(video.stem), "suffix": suffix}
        try:
            name = self._template.format_map(_Known(values))
        except KeyError as error:
            known = ", ".join(sorted(values))
            raise CutError(f"--name has {{{error.args[0]}}}, and the list has only: {known}") from error
        except (ValueError, TypeError) as error:
            raise CutError(f"--name {self._template!r} cannot be filled for {part.shown}: {error}") from error
        return _checked(name, part)


class _Known(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        raise KeyError(name)


def _safe(value: Any) -> Any:
    """A value that cannot lead out of its folder, and that every file system can hold."""
    if not isinstance(value, str):
        return value
    return _FORBIDDEN.sub("_", value.encode("utf-8", "replace").decode()).lstrip(".") or "_"


def _checked(name: str, part: Part) -> str:
    pieces = name.split("/")
    if any(piece in ("", ".", "..") for piece in pieces) or pieces[0].startswith("."):
        raise CutError(f"--name gives {name!r} for {part.shown}: it must stay in the folder and not be hidden")
    if longest := next((piece for piece in pieces if len(piece.encode()) > LONGEST_BYTES), None):
        raise CutError(f"--name gives a name of {len(longest.encode())} bytes for {part.shown}, {LONGEST_BYTES} fit")
    return name


def key_of(name: str) -> str:
    """The key of a WebDataset sample, which ends at the first dot of the file's name."""
    path = PurePosixPath(name)
    return str(path.with_name(path.stem.replace(".", "_")))

"""Checks the files that a command is to write, before its work."""

import os
from collections.abc import Mapping
from pathlib import Path

from .path_arguments import identity


def trouble_with_outputs(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | str | None]) -> str | None:
    """A sentence if one of the outputs cannot be written, or is also another file of the command; else None.

    The keys are what the command line calls the files; None is a file that was not named. Inputs may be URLs.
    """
    names = {identity(path): name for name, path in inputs.items() if path is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        if not path.parent.is_dir():
            return f"{name} {path}: there is no folder {path.parent}"
        if path.is_dir():
            return f"{name} {path} is a folder"
        if not os.access(path.parent, os.W_OK):
            return f"{name} {path}: the folder {path.parent} cannot be written to"
        if (other := names.setdefault(path.resolve(), name)) != name:
            return f"{name} and {other} are the same file, {path}"
    return None

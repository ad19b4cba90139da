"""Arguments that name files: of this machine alone, or by URL, too."""

import argparse
from pathlib import Path

from .._remote.addresses import canonical, file_name, is_remote


def local_path(text: str) -> Path:
    """A file of this machine. argparse names the argument in what this raises for a URL."""
    if is_remote(text):
        raise argparse.ArgumentTypeError(f"{text} is a URL, and this must be a file of this machine")
    return Path(text)


def path_or_url(text: str) -> Path | str:
    """A file of this machine, or its URL as text."""
    return text if is_remote(text) else Path(text)


def name_of(place: Path | str) -> str:
    """The name of a file or of a URL, without its folder."""
    return file_name(place) if isinstance(place, str) else place.name


def suffix_of(place: Path | str) -> str:
    """The suffix of that name."""
    return Path(name_of(place)).suffix


def identity(place: Path | str) -> Path | str:
    """The same for two names of one file."""
    return canonical(place) if isinstance(place, str) else place.resolve()

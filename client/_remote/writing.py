"""Writing a file to a store, whole or not at all; and where this machine keeps what belongs to it."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ..errors import ClientError, UnreadableFile
from .addresses import WEB, canonical, file_name, no_bucket, opened, scheme_of
from .patience import patience_with
from .troubles import Incomplete, Kind

_WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf")
"""Stores in which a file appears when its last part has come."""


class UploadError(OSError):
    """A file could not be written to a store."""


def can_write(url: str) -> bool:
    """Whether stores of this kind take files."""
    return scheme_of(url) not in WEB


def upload(local: Path, url: str) -> None:
    """Put a file into a store in the place of what is there, in parts if it is large.

    Raises `UploadError`; the store then has what it had.
    """
    try:
        system, path = opened(url)
        patience = patience_with(url)
        is_whole = scheme_of(url) in _WHOLE
        to = path if is_whole else f"{path}.partial"
        patience(lambda: _put(system, local, to))
        if not is_whole:
            patience(lambda: system.mv(to, path))
    except ClientError as error:
        raise UploadError(
            f"{url}: cannot write it: {_sentence(url, error)}; it is on this machine as {local}"
        ) from error


@contextmanager
def uploading(places: Mapping[str, Path | str]) -> Iterator[dict[str, Path]]:
    """A file of this machine for each place, by the same name; those of URLs (text) are uploaded when the block ends.

    If the block raises, nothing is uploaded. Raises `UploadError`, which says where the files are that were not.
    """
    folders = {
        name: Path(tempfile.mkdtemp(prefix="video-motion-")) for name, to in places.items() if isinstance(to, str)
    }
    files = {name: folders[name] / file_name(to) if isinstance(to, str) else to for name, to in places.items()}
    try:
        yield files
    except BaseException:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    failures = []
    for name, folder in folders.items():
        try:
            upload(files[name], str(places[name]))
        except UploadError as error:
            failures.append(str(error))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if failures:
        raise UploadError("\n".join(failures))


def try_write(url: str) -> None:
    """Write an empty file beside a URL and remove it: before the work, it is found whether the bucket takes files.

    On the hub, where each file is a commit, it is only found whether there is the repository. Raises `UploadError`.
    """
    try:
        system, path = opened(url)
        patience = patience_with(url)
        if scheme_of(url) == "hf":
            patience(lambda: system.resolve_path(path))
            return
        patience(lambda: system.pipe_file(f"{path}.partial", b""))
    except ClientError as error:
        raise UploadError(f"{url}: cannot write there: {_sentence(url, error)}") from error
    with suppress(ClientError):  # who may write need not be allowed to remove
        patience(lambda: system.rm_file(f"{path}.partial"))


def state_of(url: str) -> Path:
    """The folder on this machine for the journal and the working copy of an output; it may not exist yet."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = blake2b(canonical(url).encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
    return Path(base) / "video-motion" / f"{file_name(url)[:100] or 'output'}-{digest}"


def _sentence(url: str, error: ClientError) -> str:
    if isinstance(error, UnreadableFile) and error.reason == Kind.NOT_FOUND.value:
        return str(no_bucket(url, error))
    return str(error)


def _put(system: Any, local: Path, to: str) -> None:
    system.put_file(str(local), to)
    size = local.stat().st_size
    try:
        there = system.info(to)["size"]
    except PermissionError:
        return  # who may write need not be allowed to look
    if there != size:
        raise Incomplete(f"{there:,} of {size:,} bytes are there")

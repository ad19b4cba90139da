"""The files below a prefix, page by page: no more than one page of names is held."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from ..errors import ClientError, UnreadableFile
from .addresses import no_bucket, opened, parts_of
from .hub import Hub
from .patience import Patience, Waiting, patience_with
from .troubles import Kind

PAGE = 1000
"""Names asked for at once; what S3 gives at most."""

Names = Iterator[str]


def files_below(url: str, beginning: str = "") -> Names:
    """The URLs of the files below `url`, which ends in `/` or is a bucket, in the store's order.

    beginning: a store that can do so gives only files whose names go on with it after `url`. A page that fails is asked
    for again, and no name comes twice. Raises `UnreadableFile`.
    """
    system, path = opened(url)
    scheme, bucket, prefix = parts_of(url)
    patience = patience_with(url)
    protocols = {system.protocol} if isinstance(system.protocol, str) else {*system.protocol}
    if "s3" in protocols:
        names = _s3(system, bucket, prefix + beginning, patience)
    elif "gs" in protocols:
        names = _gs(system, bucket, prefix + beginning, patience)
    elif "az" in protocols or "abfs" in protocols:
        names = _az(system, path.partition("/")[0], prefix + beginning, patience)
    elif isinstance(system, Hub):
        names = _resumed(lambda: (name.removeprefix(f"{bucket}/") for name in system.files(path)), patience)
    else:
        names = _resumed(lambda: _walk(system, path, bucket), patience)
    return _named(names, url, f"{scheme}://{bucket}/")


def _named(names: Names, url: str, start: str) -> Names:
    try:
        yield from (start + name for name in names)
    except UnreadableFile as error:
        if error.reason == Kind.NOT_FOUND.value:
            raise no_bucket(url, error) from error
        raise


def _s3(system: Any, bucket: str, prefix: str, patience: Patience) -> Names:
    last = ""
    while True:
        after = {"StartAfter": last} if last else {}  # a token would end when the page takes long to be scored
        page = patience(
            partial(
                system.call_s3, "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=PAGE, **after, **system.req_kw
            )
        )
        keys = [found["Key"] for found in page.get("Contents", ())]
        yield from (key for key in keys if not key.endswith("/"))
        if not page.get("IsTruncated") or not keys:
            return
        last = keys[-1]


def _gs(system: Any, bucket: str, prefix: str, patience: Patience) -> Names:
    token: dict[str, str] = {}
    while True:
        page = patience(
            partial(system.call, "GET", "b/{}/o", bucket, prefix=prefix, maxResults=PAGE, json_out=True, **token)
        )
        yield from (found["name"] for found in page.get("items", ()) if not found["name"].endswith("/"))
        if not (following := page.get("nextPageToken")):
            return
        token = {"pageToken": following}


def _az(system: Any, container: str, prefix: str, patience: Patience) -> Names:
    from fsspec.asyn import sync

    async def page(token: str | None) -> tuple[list[str], str | None]:
        async with system.service_client.get_container_client(container=container) as client:
            found = client.list_blobs(name_starts_with=prefix, include=["metadata"], results_per_page=PAGE)
            pages = found.by_page(continuation_token=token)
            async for blobs in pages:
                names = [blob.name async for blob in blobs if not (blob.metadata or {}).get("hdi_isfolder")]
                return names, pages.continuation_token
        return [], None

    token: str | None = None
    while True:
        names, token = patience(partial(sync, system.loop, page, token))
        yield from names
        if not token:
            return


def _walk(system: Any, path: str, bucket: str) -> Names:
    """Folder by folder, for file systems without pages; the names of one folder are held."""
    for folder, _, files in system.walk(path.rstrip("/"), on_error="raise"):
        for name in files:
            yield f"{folder}/{name}".lstrip("/").removeprefix(f"{bucket}/" if bucket else "")


def _resumed(start: Callable[[], Names], patience: Patience) -> Names:
    """The names of an iteration that is begun anew where it broke off."""
    given = 0
    waiting = Waiting(patience)
    while True:
        try:
            for name in islice(start(), given, None):
                given += 1
                if given % PAGE == 1:
                    patience.succeeded()
                    waiting = Waiting(patience)
                yield name
            return
        except ClientError:
            raise
        except Exception as error:
            waiting.after(error)

"""Addresses of files in stores: which names are URLs, and the file system behind each."""

import logging
import re
from typing import Any

from .._optional import missing
from ..errors import UnreadableFile
from .hub import Hub, is_in_repository

PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
    "hf": "huggingface_hub",
    **dict.fromkeys(("http", "https"), "aiohttp"),
}
"""What fsspec needs for each scheme besides itself."""
WEB = ("http", "https")
"""Schemes whose servers do not list files, and whose addresses may have question marks."""
_SAME = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}
"""Other names of schemes."""
_BUCKETS = {
    **dict.fromkeys(("s3", "s3a", "gs", "gcs"), "bucket"),
    **dict.fromkeys(("az", "abfs", "abfss"), "container"),
    "hf": "repository",
}
"""What each store calls what its files are in."""
_PROXIES = {"client_kwargs": WEB, "session_kwargs": ("gs", "gcs")}
"""Which option of which file systems goes to aiohttp, which looks for proxies only if it is told to."""
_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.ASCII)


def is_remote(name: str) -> bool:
    """Whether a name is a URL; no file on this machine is then looked for."""
    return _URL.match(name) is not None


def scheme_of(url: str) -> str:
    """The scheme of a URL, such as `s3`."""
    found = _URL.match(url)
    assert found is not None
    return found[1]


def parts_of(url: str) -> tuple[str, str, str]:
    """The scheme, the bucket (or what stands in its place) and the path in it, which may be empty."""
    scheme = scheme_of(url)
    bucket, _, path = url[len(scheme) + 3 :].partition("/")
    return scheme, bucket, path


def canonical(url: str) -> str:
    """The URL with the usual name of its scheme: the same for all names of a file."""
    scheme = scheme_of(url)
    return _SAME.get(scheme, scheme) + url[len(scheme) :]


def file_name(url: str) -> str:
    """The last part of the path of a URL, without what follows a question mark in addresses of web servers."""
    return _without_query(url).rpartition("/")[2]


def beside(url: str, name: str) -> str:
    """The address of `name` in the folder of the file `url`."""
    return f"{_without_query(url).rpartition('/')[0]}/{name}"


def lacks(url: str) -> str | None:
    """A sentence that says what to install before this URL can be opened; None if nothing is missing."""
    scheme = scheme_of(url)
    return missing(f"{scheme}://", "fsspec", *filter(None, [PACKAGES.get(scheme)]), extra="cloud")


def is_unknown(url: str) -> bool:
    """Whether no file system is known for the scheme of a URL, whatever is installed."""
    if lacks(url):
        return False
    import fsspec

    return scheme_of(url) not in {*fsspec.available_protocols(), *PACKAGES}


def opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, with its own credentials, and the path in it. Raises `UnreadableFile`.

    Listings are not kept: fsspec would otherwise hold the names of a whole bucket.
    """
    if sentence := lacks(url):
        raise UnreadableFile(sentence)
    import fsspec

    logging.getLogger("gcsfs").addFilter(_said_once)
    try:
        system, path = fsspec.core.url_to_fs(url, use_listings_cache=False, **_proxies(scheme_of(url)))
    except Exception as error:  # each file system has its own
        raise UnreadableFile(f"cannot open {scheme_of(url)}://: {error}") from error
    if scheme_of(url) == "hf" and is_in_repository(str(path)):
        system = Hub(system)
    return system, str(path)


def no_bucket(url: str, error: UnreadableFile) -> UnreadableFile:
    """The error of a call that says `not_found` of what the file is in, with a sentence that says so."""
    what = _BUCKETS.get(scheme_of(url), "folder")
    return UnreadableFile(str(error).replace("no such file", f"no such {what}"), reason=error.reason)


def _proxies(scheme: str) -> dict[str, Any]:
    """The option that makes a file system use `http_proxy` and its like, beside what the user configured."""
    import fsspec

    found = {}
    for option, schemes in _PROXIES.items():
        if scheme in schemes:
            found[option] = {"trust_env": True}
            for one in schemes:
                found[option] |= fsspec.config.conf.get(one, {}).get(option, {})
    return found


_bucket_types: set[str] = set()


def _said_once(record: logging.LogRecord) -> bool:
    """Whether a line of gcsfs is new: it says of each file again that it may not know the type of a bucket."""
    text = record.getMessage()
    if "bucket type" not in text:
        return True
    is_new = text not in _bucket_types
    _bucket_types.add(text)
    return is_new


def _without_query(url: str) -> str:
    return url.partition("?")[0] if scheme_of(url) in WEB else url

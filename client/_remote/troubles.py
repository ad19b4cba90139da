"""What an exception of a store means: nothing there, no permission, too many requests, or a broken connection."""

import enum
import re
from collections.abc import Iterator
from itertools import chain


class Kind(enum.Enum):
    """What went wrong, with the reason of the row."""

    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    THROTTLED = "throttled"
    BROKEN = "store_failed"
    REFUSED = "unreadable_file"

    @property
    def may_pass(self) -> bool:
        """Whether it is worth another attempt."""
        return self in (Kind.THROTTLED, Kind.BROKEN)


class Incomplete(OSError):
    """A store sent fewer bytes than it said."""


_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"),
    *("DefaultCredentialsError", "RefreshError", "ClientAuthenticationError", "GatedRepoError"),
}
_NETWORK = {
    *("aiohttp", "azure", "google", "gcsfs", "httpx", "httpcore", "httpx2", "httpcore2", "requests", "urllib3"),
    *("huggingface_hub", "http"),
}
_BOTOCORE = {"HTTPClientError", "ConnectionError", "IncompleteReadError", "ResponseStreamingError"}
"""The exceptions of botocore that are of the network; others are of parameters and configurations."""
_DISTRUST = re.compile(r"CERTIFICATE_VERIFY_FAILED\] certificate verify failed: ([^(]+)")
_FINAL = (FileExistsError, IsADirectoryError, NotADirectoryError, NotImplementedError)
_THROTTLED = ("SlowDown", "Throttling", "RequestLimitExceeded", "TooManyRequests", "ServiceUnavailable")


def kind_of(error: BaseException) -> Kind:
    """What an exception of a file system means."""
    status = status_of(error)
    causes = [*_chain(error)]
    if _distrust(error):
        return Kind.REFUSED
    if status in (404, 410):
        return Kind.NOT_FOUND
    if status in (401, 403) or _NO_CREDENTIALS & {kind.__name__ for one in causes for kind in type(one).__mro__}:
        return Kind.FORBIDDEN
    if status in (429, 503) or any(_code(one) in _THROTTLED for one in causes):
        return Kind.THROTTLED
    if status >= 500 or status in (408, 425):
        return Kind.BROKEN
    if status >= 400 or isinstance(error, _FINAL):
        return Kind.REFUSED
    if isinstance(error, FileNotFoundError):
        # fsspec says so of a web server whatever went wrong; the cause tells.
        cause = error.__cause__
        is_broken = cause is not None and not isinstance(cause, FileNotFoundError) and _is_of_network(cause)
        return Kind.BROKEN if is_broken else Kind.NOT_FOUND
    if isinstance(error, PermissionError):
        return Kind.FORBIDDEN
    return Kind.BROKEN if _is_of_network(error) else Kind.REFUSED


def sentence_of(error: BaseException, kind: Kind) -> str:
    """What went wrong, in one sentence."""
    if why := _distrust(error):
        return f"the certificate of the server is not trusted: {why}"
    status = status_of(error)
    teller = next((one for one in _chain(error) if _status(one)), error)
    # The text of aiohttp's errors has the whole address, which may be a signed one; that of fsspec's is the address.
    if kind is Kind.BROKEN and isinstance(error, FileNotFoundError):
        error = error.__cause__ or error
    text = getattr(teller, "message", "") if hasattr(teller, "request_info") else str(error)
    said = " ".join(str(text).split())[:200] or type(teller).__name__
    answer = f" ({status})" if status else ""
    sentences = {
        Kind.NOT_FOUND: f"the store has no such {'bucket' if _is_bucket_missing(error) else 'file'}{answer}",
        Kind.FORBIDDEN: f"the store refuses access{answer}: {said}",
        Kind.THROTTLED: f"the store refuses further requests{answer}: {said}",
        Kind.BROKEN: f"the store does not answer or breaks off{answer}: {said}",
        Kind.REFUSED: f"the store refuses the request{answer}: {said}",
    }
    return sentences[kind]


def status_of(error: BaseException) -> int:
    """The HTTP status behind an exception; 0 without one."""
    return next(filter(None, map(_status, _chain(error))), 0)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what caused it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _distrust(error: BaseException) -> str:
    """What Python's ssl says against the certificate of a server; empty if that is not the trouble."""
    found = filter(None, (_DISTRUST.search(str(one)) for one in _chain(error)))
    return next((one[1].strip() for one in found), "")


def _is_of_network(error: BaseException) -> bool:
    if isinstance(error, OSError | EOFError):
        return True
    home = type(error).__module__.partition(".")[0]
    if home in ("botocore", "aiobotocore"):
        return not _BOTOCORE.isdisjoint(kind.__name__ for kind in type(error).__mro__)
    return home in _NETWORK and not isinstance(error, ValueError)


def _is_bucket_missing(error: BaseException) -> bool:
    return any(_code(one) == "NoSuchBucket" for one in _chain(error))


def _status(error: BaseException) -> int:
    """The HTTP status in an exception of any of the clients; 0 without one."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for value in chain((response, getattr(response, "status_code", None)), _statuses(error)):
        if type(value) is int and 100 <= value < 600:
            return value
        if isinstance(value, str) and value.isdecimal() and len(value) == 3:
            return int(value)
    return 0


def _statuses(error: BaseException) -> Iterator[object]:
    if type(error).__module__ == "aiohttp.http_exceptions":
        return  # an answer that is not HTTP has a code of its own
    if not isinstance(error, OSError) or hasattr(error, "request_info"):
        yield from (getattr(error, name, None) for name in ("status", "status_code", "code"))


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None)
    found = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return str(found)

"""HTTP to a server on this machine."""

import urllib.request
from http.client import HTTPException, HTTPResponse

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # an HTTP proxy of the network cannot reach it


def open_local(request: str | urllib.request.Request, timeout_seconds: float) -> HTTPResponse:
    """Open a URL, or send a request, without the HTTP proxy that the environment may name.

    Raises urllib.error.HTTPError (an OSError) for a status of 400 or more, another OSError if nothing answers, or if
    what answers does not speak HTTP.
    """
    try:
        return _OPENER.open(request, timeout=timeout_seconds)
    except HTTPException as error:  # which is no OSError
        raise ConnectionError(f"the answer is not HTTP: {error!r}") from error

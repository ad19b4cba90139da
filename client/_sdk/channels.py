"""Connections to servers, for both clients."""

from os import PathLike
from pathlib import Path

from grpc import ChannelCredentials, ssl_channel_credentials
from tritonclient import grpc
from tritonclient.grpc import aio

from ..errors import UnreadableFile
from .proxies import proxy_for
from .tls import Tls

PING_SECONDS = 30.0
"""How long nothing may arrive during a call before a ping asks whether the server is there.

Balancers forget connections that are silent for a minute or more, and do not say so.
"""
PING_TIMEOUT_SECONDS = 60.0
"""How long the answer to a ping may take; then the connection is dead. On a slow line, megabytes may wait before it."""
_ARGUMENTS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own pauses between connection attempts grow to two minutes; a server may be back after seconds.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # also the timeout of a connection attempt
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def connect(
    url: str,
    *,
    host: str | None = None,
    credentials: ChannelCredentials | None = None,
    own: bool = False,
    pings: bool = True,
) -> grpc.InferenceServerClient:
    """A connection that opens with its first request.

    host: the name through which the address `url` was found.
    credentials: how it is encrypted; None: not at all.
    own: do not share the connection of another client of this process.
    pings: ask during long calls whether the server is still there.
    """
    return grpc.InferenceServerClient(url, creds=credentials, channel_args=arguments(url, host, own=own, pings=pings))


def connect_async(
    url: str,
    *,
    host: str | None = None,
    credentials: ChannelCredentials | None = None,
    own: bool = False,
    pings: bool = True,
) -> aio.InferenceServerClient:
    """The same for the running event loop."""
    return aio.InferenceServerClient(url, creds=credentials, channel_args=arguments(url, host, own=own, pings=pings))


def arguments(url: str, host: str | None = None, *, own: bool, pings: bool) -> list[tuple[str, int | str]]:
    """The channel arguments of a connection to a server; `host` as for `connect`."""
    chosen: list[tuple[str, int | str]] = [*_ARGUMENTS]
    if host is not None:  # the certificate is for the name, not for an address that comes and goes
        chosen += [("grpc.ssl_target_name_override", host), ("grpc.default_authority", host)]
    proxy = proxy_for(host or url)
    if proxy is None or not proxy.supported:
        chosen.append(("grpc.enable_http_proxy", 0))
    else:
        chosen.append(("grpc.http_proxy", proxy.url))
    if own:
        chosen.append(("grpc.use_local_subchannel_pool", 1))
    if pings:
        chosen += [
            ("grpc.keepalive_time_ms", round(PING_SECONDS * 1000)),
            ("grpc.keepalive_timeout_ms", round(PING_TIMEOUT_SECONDS * 1000)),
            # Newer releases of gRPC wait for this one, which is a minute by default.
            ("grpc.http2.ping_timeout_ms", round(PING_TIMEOUT_SECONDS * 1000)),
            ("grpc.http2.max_pings_without_data", 0),  # a video may take minutes, during which nothing is sent
        ]
    return chosen


def credentials(tls: Tls | None) -> ChannelCredentials | None:
    """What `tls` encrypts connections with; reads its files, once for all connections. Raises `UnreadableFile`."""
    if tls is None:
        return None
    ca, certificate, key = (_content(path) for path in (tls.ca, tls.certificate, tls.key))
    return ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=certificate)


def _content(path: str | PathLike[str] | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnreadableFile(f"cannot read {path}: {error.strerror}") from error

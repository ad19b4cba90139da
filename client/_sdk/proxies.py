"""Which HTTP proxy a connection uses: the one that the environment names, but none to this machine or a private name.

gRPC would send calls to localhost through `http_proxy`, too. Its own variable, `grpc_proxy`, reaches private names.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
"""The variables that gRPC reads; the first that is set counts, for encrypted connections and others alike."""
EXCEPTIONS = ("no_grpc_proxy", "no_proxy")
PRIVATE_ENDINGS = (
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "private",
    "svc",  # Kubernetes, as is `svc.cluster.local`
)
PRIVATE_NETWORKS = [
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]
_SCHEME = re.compile(r"(?:dns|ipv4|ipv6|passthrough):(?://[^/]*/)?")
_LOCAL_SOCKET = re.compile(r"(?:unix|unix-abstract|vsock):")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy of the environment."""

    url: str
    """As the variable has it; it may hold a password, so it is never shown."""
    variable: str
    """The environment variable that names it."""

    @property
    def supported(self) -> bool:
        """Whether gRPC can use it; it connects directly where it cannot."""
        return self.url.lower().startswith("http://")

    def __str__(self) -> str:
        place = self.url.rpartition("://")[2].rpartition("@")[2].partition("/")[0]
        return f"the proxy {place} of {self.variable}"


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy for a server's address in any of gRPC's notations; None for a direct connection."""
    host = host_of(url)
    if host is None or is_loopback(host):
        return None
    variable = next((name for name in VARIABLES if name in environment), None)
    if variable is None or not environment[variable]:
        return None
    if variable != "grpc_proxy" and is_private(host):
        return None
    exceptions = next((environment[name] for name in EXCEPTIONS if name in environment), "")
    if any(_covers(entry.strip().lower(), host) for entry in exceptions.split(",")):
        return None
    return Proxy(environment[variable], variable)


def host_of(url: str) -> str | None:
    """The host in lower case, without port and brackets; None for a local socket."""
    if _LOCAL_SOCKET.match(url):
        return None
    place = _SCHEME.sub("", url, count=1).partition(",")[0]
    if place.startswith("["):
        host = place[1:].partition("]")[0]
    else:
        host = place.partition(":")[0] if place.count(":") == 1 else place
    return host.partition("%")[0].rstrip(".").lower()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or number."""
    if address := _address(host):
        return address.is_loopback or address.is_unspecified
    return host in ("", "localhost") or host.endswith(".localhost")


def is_private(host: str) -> bool:
    """Whether a host is in a private network by its name or number; no name is looked up."""
    if address := _address(host):
        return any(address in network for network in PRIVATE_NETWORKS)
    return "." not in host or host.endswith(tuple(f".{ending}" for ending in PRIVATE_ENDINGS))


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of `no_proxy` is for the host: `*`, a network, or the end of its name."""
    if not entry:
        return False
    if address := _address(host):
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            pass
    return entry == "*" or host.endswith(entry)


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address

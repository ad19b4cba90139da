"""Names that stand for several servers: `dns:///NAME:PORT`, looked up again while requests go on.

gRPC looks such a name up itself, but sends everything to the first address that answers. Here each address is a server
of its own for `balance`, and servers come and go with the answers of the system's resolver (its hosts file and DNS).
"""

import re
import socket
import threading
from collections.abc import Callable

from .proxies import proxy_for

LOOKUP_SECONDS = 3.0
"""How often a name is looked up. With the 5 s that Kubernetes' DNS keeps an answer, a new server is known after 8 s."""
HURRIED_LOOKUP_SECONDS = 1.0
"""The same while one of the servers behind the name is unreachable: it may have been replaced."""
FIRST_WAIT_SECONDS, NEXT_WAIT_SECONDS = 30.0, 0.5
"""How long a request waits for a lookup under way: the first one, and one that renews an old answer."""
WAIT_STEP_SECONDS = 0.01
_NAMED = re.compile(r"dns:(?:///)?(?!/)(?P<place>.*)", re.DOTALL)
_PLACE = re.compile(r"(?:\[(?P<literal>[^\[\]]+)\]|(?P<host>[^:/,\[\]\s]+))(?::(?P<port>[0-9]+))?")

Lookup = Callable[[str, int], tuple[str, ...]]
"""Host and port to ADDRESS:PORT of every server; raises OSError."""
Run = Callable[[Callable[[], None]], None]
"""Runs a function, and need not wait for its end."""


def parse(url: str) -> tuple[str, int] | None:
    """Host and port of `dns:///HOST:PORT` or `dns:HOST:PORT`; None for every other address. Raises ValueError.

    `dns://SERVER/...`, which asks a name server of its own, is left to gRPC.
    """
    named = _NAMED.fullmatch(url)
    if named is None:
        return None
    place = _PLACE.fullmatch(named["place"])
    if place is None:
        raise ValueError(f"{url!r} does not name servers, write dns:///NAME:PORT")
    if place["port"] is None:
        raise ValueError(f"{url!r} has no port, write dns:///{named['place']}:8001")
    if not 0 < int(place["port"]) < 65536:
        raise ValueError(f"{url!r} has the port {place['port']}, it must be from 1 to 65535")
    return place["literal"] or place["host"], int(place["port"])


def look_up(host: str, port: int) -> tuple[str, ...]:
    """ADDRESS:PORT of every server of that name, sorted: its IPv4 addresses, or its IPv6 ones if it has no others.

    A server with addresses of both kinds would otherwise count as two. Raises OSError.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except ValueError as error:
        raise OSError(f"no host can have this name: {error}") from error
    for family, form in ((socket.AF_INET, "{}:{}"), (socket.AF_INET6, "[{}]:{}")):
        if addresses := {entry[4][0] for entry in found if entry[0] == family}:
            return tuple(sorted(form.format(address, port) for address in addresses))
    raise OSError("it has no address")


def in_thread(work: Callable[[], None]) -> None:
    """Run `work` in a thread that does not keep the process alive: a lookup may take as long as the resolver wants."""
    threading.Thread(target=work, name="lookup", daemon=True).start()


class Name:
    """One name and its last answer. `look` and `must_wait` are for one thread at a time."""

    def __init__(self, url: str, host: str, port: int, lookup: Lookup = look_up, run: Run = in_thread) -> None:
        self.url = url
        self.host = host
        """What the certificates of its servers are for."""
        self.addresses: tuple[str, ...] = ()
        """The last answer that had any; a name that is unknown for a while keeps its servers."""
        self.error = ""
        """Why the last lookup failed; "" if it did not."""
        self._port = port
        self._lookup = lookup
        self._run = run
        self._started = self._answered = float("-inf")
        self._under_way = False

    def look(self, now: float, *, hurry: bool = False) -> None:
        """Start a lookup if one is due at `now`."""
        pause = HURRIED_LOOKUP_SECONDS if hurry or not self.addresses else LOOKUP_SECONDS
        if self._under_way or now - self._started < pause:
            return
        self._started, self._under_way = now, True
        try:
            self._run(self._ask)
        except RuntimeError as error:  # the system lets this process have no more threads
            self.error, self._under_way = str(error), False

    def must_wait(self, now: float) -> bool:
        """Whether a request should wait for the lookup under way rather than use what is known."""
        if not self._under_way:
            return False
        if not self.addresses:
            return now - self._started < FIRST_WAIT_SECONDS
        return self._started - self._answered > 2 * LOOKUP_SECONDS and now - self._started < NEXT_WAIT_SECONDS

    def _ask(self) -> None:
        try:
            self.addresses, self.error = self._lookup(self.host, self._port), ""
            self._answered = self._started
        except OSError as error:
            self.error = error.strerror or str(error)
        finally:
            self._under_way = False


def name_of(url: str, lookup: Lookup = look_up, run: Run = in_thread) -> Name | None:
    """The name that `url` stands for; None if it is one server, or if gRPC must resolve it. Raises ValueError."""
    place = parse(url)
    if place is None:
        return None
    proxy = proxy_for(url)
    if proxy is not None and proxy.supported:  # it resolves names itself, and may know others than this machine
        return None
    return Name(url, *place, lookup, run)


def checked(url: str) -> str:
    """`url`, if it can be that of a server. Raises ValueError."""
    parse(url)
    return url

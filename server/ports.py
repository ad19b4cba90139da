"""Addresses and ports."""

import errno
import random
import socket
from collections.abc import Container

LOOPBACK = "127.0.0.1"
BACKLOG = 512
"""Connections that the kernel keeps until they are accepted; the system may allow fewer."""
ACCEPT_AT_ONCE = 4
"""Connections that an event loop accepts before it reads again: what arrived with a connection should be read before
many others are accepted."""
CANDIDATES = range(20000, 32768)
"""Below the ports that Linux by default chooses itself, so that no connection takes one in the meantime."""


def free_ports(address: str, count: int, besides: Container[int] = ()) -> list[int]:
    """`count` free ports of `address`, none of `besides`; another process may take one before it is used.

    OSError if there are too few.
    """
    listeners: list[socket.socket] = []
    shuffled = random.SystemRandom().sample(CANDIDATES, len(CANDIDATES))
    candidates = (port for port in shuffled if port not in besides)
    try:
        while len(listeners) < count:
            if (port := next(candidates, None)) is None:
                raise OSError(f"{address} has no {count} free ports between {CANDIDATES[0]} and {CANDIDATES[-1]}")
            try:
                listeners.append(socket.create_server((address, port), family=family(address)))
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise
        return [listener.getsockname()[1] for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()


def family(address: str) -> socket.AddressFamily:
    """IPv4 or IPv6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def in_url(address: str) -> str:
    """An address as it is written before `:PORT`: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address else address


def listener(address: str, port: int) -> socket.socket:
    """A socket that listens; `::` is IPv4 too. OSError that names address and port if that is not possible."""
    try:
        return socket.create_server((address, port), family=family(address), dualstack_ipv6=address == "::")
    except OSError as error:
        raise OSError(f"cannot listen on {in_url(address)}:{port}: {error.strerror}") from error

"""Addresses and ports."""

import socket

LOOPBACK = "127.0.0.1"


def free_ports(address: str, count: int) -> list[int]:
    """`count` free ports of `address`; another process may take one before it is used."""
    listeners = [socket.create_server((address, 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def family(address: str) -> socket.AddressFamily:
    """IPv4 or IPv6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def in_url(address: str) -> str:
    """An address as it is written before `:PORT`: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address else address

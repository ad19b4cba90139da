"""Encrypted connections, and certificates to show who the client is."""

from dataclasses import dataclass
from os import PathLike


@dataclass(frozen=True)
class Tls:
    """Connect encrypted; PEM files."""

    ca: str | PathLike[str] | None = None
    """Certificates of whom to trust that a server is who it says; gRPC's own list where this is not given."""
    certificate: str | PathLike[str] | None = None
    """The client's own, for servers that ask for one."""
    key: str | PathLike[str] | None = None
    """Its private key; given with it."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate and its key are given together")

"""Encrypted connections, with or without a client certificate."""

from dataclasses import dataclass
from os import PathLike


@dataclass(frozen=True)
class Tls:
    """Encrypt the connection; all files are PEM."""

    ca: str | PathLike[str] | None = None
    """Certificate authorities to trust; None: gRPC's own list."""
    certificate: str | PathLike[str] | None = None
    """The client's certificate, for servers that require one; needs `key`."""
    key: str | PathLike[str] | None = None
    """The private key of `certificate`."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a certificate and its key must be given together")

"""The server's certificate, and the authority of its callers' certificates."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServerTls:
    """TLS for gRPC; PEM files."""

    certificate: Path
    """The server's certificate, followed by those of the authorities that signed it."""
    key: Path
    """Its private key."""
    client_ca: Path | None = None
    """The authority that must have signed every caller's certificate (mutual TLS); without it, callers need none."""

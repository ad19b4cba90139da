"""The options of an encrypted connection, the same for every command that talks to a server."""

import argparse

from .._sdk.tls import Tls


def add_encryption_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--tls` and the files that it may need."""
    encryption = parser.add_argument_group("encryption")
    encryption.add_argument("--tls", action="store_true", help="encrypt the connection; implied by the next three")
    encryption.add_argument(
        "--tls-ca", metavar="PEM", help="certificate authorities to trust (default: gRPC's own list)"
    )
    encryption.add_argument(
        "--tls-certificate", metavar="PEM", help="the client's certificate, for servers that require one"
    )
    encryption.add_argument("--tls-key", metavar="PEM", help="the private key of --tls-certificate")


def tls_from(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Tls | None:
    """How to encrypt the connection; None: not at all. Exits if the options do not fit together."""
    if not (options.tls or options.tls_ca or options.tls_certificate or options.tls_key):
        return None
    try:
        return Tls(options.tls_ca, options.tls_certificate, options.tls_key)
    except ValueError:
        parser.error("--tls-certificate and --tls-key must be given together")

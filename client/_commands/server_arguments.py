"""The options of commands that ask a server, and the client that they describe."""

import argparse

from .._sdk.client import Client
from .encryption import add_encryption_arguments, tls_from
from .server_url import HELP as URL_HELP
from .server_url import server_url


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--url`, `--timeout`, `--in-flight` and those of an encrypted connection."""
    parser.add_argument("--url", action="append", type=server_url, metavar="HOST:PORT", help=URL_HELP)
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="longest wait for an answer (default: %(default)g)",
    )
    parser.add_argument(
        "--in-flight", type=int, default=4, metavar="N", help="requests in flight at once (default: %(default)s)"
    )
    add_encryption_arguments(parser)


def client_from(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Client:
    """The client, to be closed. Exits if an option is wrong; raises `ClientError`."""
    for name, value in (("--timeout", options.timeout), ("--in-flight", options.in_flight)):
        if not value > 0:
            parser.error(f"{name} is {value:g}, it must be above 0")
    return Client(
        options.url or "localhost:8001",
        timeout_seconds=options.timeout,
        retries=10,
        max_in_flight=options.in_flight,
        tls=tls_from(parser, options),
    )

"""The option `--url`."""

import argparse

from .._sdk.names import checked

HELP = (
    "gRPC address of the server; give several to share the load, or dns:///NAME:PORT for all servers of that name "
    "(default: localhost:8001)"
)


def server_url(text: str) -> str:
    """The type of `--url`, for argparse."""
    try:
        return checked(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error

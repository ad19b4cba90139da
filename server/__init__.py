"""Starting Triton: `python -m server` in the foreground, `tritonserver` as a command, `running` in code."""

import os

# Read when gRPC is imported. By default it writes a line for each TLS handshake that fails, as often as callers like.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from server.errors import NoServer, ServerFailed
from server.installation import Triton, find_triton
from server.instance import Server
from server.settings import Settings
from server.start import launch, running, start

__all__ = ["NoServer", "Server", "ServerFailed", "Settings", "Triton", "find_triton", "launch", "running", "start"]

"""Starting Triton: `python -m server` in the foreground, `tritonserver` as a command, `running` in code."""

import os

# Read when gRPC is imported. By default it writes a line for each TLS handshake that fails, as often as callers like.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# Likewise. Its handlers crash some processes that are forked while calls arrive, before they become tritonserver.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from server.errors import NoServer, ServerFailed
from server.installation import Triton, find_triton
from server.instance import Server
from server.settings import Settings
from server.start import launch, running, start

__all__ = ["NoServer", "Server", "ServerFailed", "Settings", "Triton", "find_triton", "launch", "running", "start"]

"""Starting Triton: `python -m server` in the foreground, `tritonserver` as a command, `running` in code."""

from server.errors import NoServer, ServerFailed
from server.installation import Triton, find_triton
from server.instance import Server
from server.settings import Settings
from server.start import launch, running, start

__all__ = ["NoServer", "Server", "ServerFailed", "Settings", "Triton", "find_triton", "launch", "running", "start"]

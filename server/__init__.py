"""Starting Triton: `python -m server` in the foreground, `tritonserver` as a command, `running` in code."""

from server.installation import NoServer, Triton, find_triton
from server.process import Server, ServerFailed, Settings, running

__all__ = ["NoServer", "Server", "ServerFailed", "Settings", "Triton", "find_triton", "running"]

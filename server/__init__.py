"""Starting Triton: `python -m server` in the foreground, `tritonserver` as NVIDIA's own command, `server.run` in code."""

from server.installation import NoServer, Triton, find_triton
from server.process import ServerFailed, running

__all__ = ["NoServer", "ServerFailed", "Triton", "find_triton", "running"]

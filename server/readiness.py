"""Waiting until a server is ready."""

import contextlib
import logging
import math
import time
from typing import TYPE_CHECKING

from server.activity import ActivityMonitor
from server.errors import ServerFailed
from server.local_http import open_local
from server.restart_policy import StartPolicy
from server.watchdog import STOPPED_SECONDS
from video.processes import find_process

if TYPE_CHECKING:
    from server.instance import Server

log = logging.getLogger(__name__)
POLL_SECONDS = 0.1


def wait_until_ready(server: "Server") -> None:
    """Return when all models are loaded; `ServerFailed` if that does not happen in time.

    Restarts tritonserver if `StartPolicy` allows it.
    """
    settings = server.settings
    policy = StartPolicy(settings.idle_timeout_seconds)
    deadline = time.monotonic() + settings.ready_timeout_seconds
    monitor = ActivityMonitor(server.process.pid)
    stopped: float | None = None
    while (now := time.monotonic()) < deadline:
        stopped = (stopped or now) if _is_stopped(server.process.pid) else None
        if server.process.poll() is not None:
            reason = server.triton_process.failure()
            if server.lost_own_port() and policy.restart_on_other_ports():
                log.warning("%s, restarting tritonserver on other ports", reason)
                server.restart_on_other_ports()
            elif policy.restart_crashed(server.process.returncode):
                log.warning("tritonserver crashed (%s), restarting it", reason)
                server.restart()
            else:
                raise ServerFailed(f"tritonserver stopped before it was ready: {reason}")
            monitor = ActivityMonitor(server.process.pid)
        elif stopped is not None:
            if now - stopped >= STOPPED_SECONDS and policy.restart_idle(math.inf):
                log.warning("tritonserver is stopped, restarting it")
                server.restart()
        elif is_ready(server.http_url):
            return
        elif policy.restart_idle(monitor.idle_seconds()):
            idle = f"{settings.idle_timeout_seconds:g} s"
            log.warning("idle for %s, restarting tritonserver; %s", idle, server.triton_process.describe())
            server.restart()
        time.sleep(POLL_SECONDS)
    waited = f"{settings.ready_timeout_seconds:g} s"
    raise ServerFailed(f"tritonserver was not ready after {waited}; {server.triton_process.describe()}")


def is_ready(http_url: str) -> bool:
    """Whether a tritonserver says that it and all its models are ready."""
    with contextlib.suppress(OSError), open_local(f"{http_url}/v2/health/ready", 5):
        return True
    return False


def _is_stopped(pid: int) -> bool:
    process = find_process(pid)
    return process is not None and process.state == "T"

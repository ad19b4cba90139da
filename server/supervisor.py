"""Keeping a server whole.

When a process of Triton's python backend dies, Triton neither starts it again nor says that it is gone: every later
request to that model fails, while readiness says ready. Unloading and loading the model starts its processes again;
meanwhile the server says that it is not ready, and clients wait. A process that is stopped is ended, which makes it one
that died.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from queue import Empty, Queue

from server.process import Server
from server.processes import Process, descendants, model_of

POLL_SECONDS = 0.25
STOPPED_SECONDS = 1.0
"""How long a process may be stopped (SIGSTOP, a debugger's doing) before it is ended."""
LEFT_SECONDS = 30.0
"""How long a process of a model that is being unloaded may go on with what it has."""
CONTROL_TIMEOUT_SECONDS = 300.0


class Supervisor:
    """Watches the processes of a server that is ready."""

    def __init__(self, server: Server, report: Callable[[str], None]) -> None:
        self._server = server
        self._report = report
        self._stopped_since: dict[int, float] = {}
        self._processes = _by_model(descendants(server.process.pid))
        """The processes that serve each model; one that is being unloaded may have others for a while."""
        self._wanted = {model: len(pids) for model, pids in self._processes.items()}
        self._left_since: dict[int, float] = {}
        self._must_start_again = False

    def watch(self) -> int | None:
        """Keep the server whole until tritonserver itself ends; its exit status, None where it is to be started again.

        A model that is loaded again comes from the files: where they are others by now, all of them have to.
        """
        while True:
            try:
                return self._server.process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                self.look()
            if self._must_start_again:
                return None

    def look(self) -> None:
        """End what is stopped, and load the models again whose processes have died."""
        processes = descendants(self._server.process.pid)
        alive = {process.pid for process in processes if process.state not in "ZX"}
        stopped = {process.pid for process in processes if process.state == "T"}
        self._stopped_since = self._end(stopped, self._stopped_since, STOPPED_SECONDS, "is stopped")
        for model, pids in self._processes.items():
            if (missing := self._wanted[model] - len(pids & alive)) > 0:
                self._load_again(model, missing)
        serving = set().union(*self._processes.values())
        left = {pid for pids in _by_model(processes).values() for pid in pids} - serving
        self._left_since = self._end(left, self._left_since, LEFT_SECONDS, "was left by an earlier load")

    def _end(self, pids: set[int], since: dict[int, float], seconds: float, why: str) -> dict[int, float]:
        """Kill those of `pids` that were here `seconds` ago; since when each has been."""
        now = time.monotonic()
        since = {pid: since.get(pid, now) for pid in pids}
        for pid, start in since.items():
            if now - start >= seconds:
                self._report(f"process {pid} {why}: ending it")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return since

    def _load_again(self, model: str, missing: int) -> None:
        anew = self._server.exported_anew()
        if anew is None:
            return  # in the moment that an export takes to put its files into place
        if anew:
            self._report(f"a process of {model} died, and there are new networks: starting the server again")
            self._must_start_again = True
            return
        started = time.monotonic()
        before = _by_model(descendants(self._server.process.pid)).get(model, set())
        self._report(f"{missing} of the processes of {model} died: loading it again")
        try:
            for step in ("unload", "load"):
                self._control(f"repository/models/{model}/{step}")
        except OSError as error:
            reason = _reason(error)
            self._report(f"{model} could not be loaded again ({reason}), trying on")
            return
        self._server.counts.model_reloads.labels(model).inc()
        self._processes[model] = _by_model(descendants(self._server.process.pid)).get(model, set()) - before
        self._report(f"{model} is back after {time.monotonic() - started:.1f} s")

    def _control(self, path: str) -> None:
        """Ask tritonserver for something; OSError where it does not do it, or ends meanwhile.

        In a thread: processes that it started have its connections as well, and keep them open when it dies.
        """
        outcome: Queue[OSError | None] = Queue()
        threading.Thread(target=lambda: outcome.put(self._ask(path)), daemon=True).start()
        while True:
            try:
                error = outcome.get(timeout=POLL_SECONDS)
            except Empty:
                if self._server.process.poll() is not None:
                    raise ConnectionError("tritonserver ended meanwhile") from None
                continue
            if error is not None:
                raise error
            return

    def _ask(self, path: str) -> OSError | None:
        request = urllib.request.Request(
            f"{self._server.http_url}/v2/{path}", data=b"{}", headers=self._server.key_header, method="POST"
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy knows this server
        try:
            with direct.open(request, timeout=CONTROL_TIMEOUT_SECONDS):
                return None
        except OSError as error:
            return error
        except http.client.HTTPException as error:
            return ConnectionError(f"tritonserver gave no sensible answer: {error}")


def _by_model(processes: list[Process]) -> dict[str, set[int]]:
    """The processes of Triton's python backend that each model has, dead ones left out."""
    found: dict[str, set[int]] = {}
    for process in processes:
        model = model_of(process)
        if model is not None and process.state not in "ZX":
            found.setdefault(model, set()).add(process.pid)
    return found


def _reason(error: OSError) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            return str(json.loads(error.read())["error"])
        except (ValueError, KeyError):
            return f"HTTP status {error.code}"
    return str(error)

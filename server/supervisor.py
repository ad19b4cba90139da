"""Restarting what dies in a server.

If a process of Triton's python backend dies, Triton neither restarts it nor reports it: every later request to that
model fails, although Triton reports that it is ready. Unloading and loading the model starts its processes again; until
then Triton reports that it is not ready, and clients wait. A stopped process is killed, and then handled as one that
died.
"""

import contextlib
import http.client
import json
import logging
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from queue import Empty, Queue

from server.descriptors import ReservedDescriptors
from server.instance import Server
from server.local_http import open_local
from server.model_control import Change
from server.watchdog import Watchdog
from video.processes import descendants, processes_by_model

log = logging.getLogger(__name__)
POLL_SECONDS = 0.25
STOPPED_SECONDS = 1.0
"""How long a process may be stopped (by SIGSTOP or a debugger) before it is killed."""
LEFT_SECONDS = 30.0
"""How long a process of an unloaded model may take to finish its requests."""
CONTROL_TIMEOUT_SECONDS = 300.0


class Supervisor:
    """Watches the processes of a server that is ready."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stopped_since: dict[int, float] = {}
        self._processes = processes_by_model(server.process.pid)
        """The processes that serve each model; while one is unloaded, older ones may still run."""
        self._wanted = {model: len(pids) for model, pids in self._processes.items()}
        self._left_since: dict[int, float] = {}
        self._restart = False
        self._reserved = ReservedDescriptors()
        self._blind = False

    def watch(self) -> int | None:
        """Restart what dies until tritonserver itself ends; its exit status, None if it is to be started again.

        A model is loaded again from its files. If an export has replaced them, all models must be loaded again, so that
        no request uses networks of two exports.
        """
        triton = self._server.triton_process
        watchdog = Watchdog(triton.popen, self._server.http_url, lambda: triton.is_ending)
        try:
            while True:
                try:
                    return self._server.process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    self._try_to_look()
                if self._restart:
                    return None
        finally:
            watchdog.close()

    def _try_to_look(self) -> None:
        """Look; an error does not end the server, and is logged once until a look succeeds."""
        try:
            with self._reserved.released():
                self.look()
        except OSError as error:
            if not self._blind:
                log.error("the processes cannot be looked at (%s), retrying", error)
            self._blind = True
        else:
            self._blind = False

    def look(self) -> None:
        """Kill stopped processes, and load the models again whose processes have died.

        If the server's own files have been removed, everything must be started again, with new ones.
        """
        if lost := self._server.lost_files():
            log.error("%s was removed: restarting the server", lost[0])
            self._restart = True
            return
        control = self._server.model_control
        busy = control.busy()  # before what was made: a change that ends in between is seen the next time
        for change in control.made():
            self._adopt(change)
        busy |= control.busy()
        processes = descendants(self._server.process.pid)
        alive = {process.pid for process in processes if process.alive}
        stopped = {process.pid for process in processes if process.state == "T"}
        self._stopped_since = self._kill_after(STOPPED_SECONDS, stopped, self._stopped_since, "is stopped")
        for model, pids in self._processes.items():
            if model in busy:
                continue
            if (missing := self._wanted[model] - len(pids & alive)) > 0:
                self._reload(model, missing)
        serving = set().union(*self._processes.values())
        stubs = processes_by_model(self._server.process.pid)
        left = {pid for model, pids in stubs.items() if model not in busy for pid in pids} - serving
        self._left_since = self._kill_after(LEFT_SECONDS, left, self._left_since, "was left by an earlier load")

    def _adopt(self, change: Change) -> None:
        """Watch the processes that a model has now, after somebody loaded or unloaded it."""
        now = processes_by_model(self._server.process.pid).get(change.model, set())
        serving = (now - change.before or now) if change.is_loaded else set()  # a failed load leaves those before
        if serving:
            self._processes[change.model] = serving
            self._wanted[change.model] = len(serving)
        elif not change.is_loaded:
            self._processes.pop(change.model, None)
            self._wanted.pop(change.model, None)

    def _kill_after(self, seconds: float, pids: set[int], since: dict[int, float], why: str) -> dict[int, float]:
        """Kill those of `pids` that were first seen `seconds` ago or more; returns when each was first seen."""
        now = time.monotonic()
        since = {pid: since.get(pid, now) for pid in pids}
        for pid, start in since.items():
            if now - start >= seconds:
                log.warning("process %d %s: killing it", pid, why)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return since

    def _reload(self, model: str, missing: int) -> None:
        anew = self._server.loaded_files.replaced()
        if anew is None:
            return  # an export is replacing the files right now
        if anew:
            log.warning("a process of %s died, and the networks were exported again: restarting the server", model)
            self._restart = True
            return
        started = time.monotonic()
        before = processes_by_model(self._server.process.pid).get(model, set())
        log.warning("%d of the processes of %s died: loading the model again", missing, model)
        try:
            for step in ("unload", "load"):
                self._control(f"repository/models/{model}/{step}")
        except OSError as error:
            log.warning("%s could not be loaded again (%s), retrying", model, _reason(error))
            return
        self._server.counts.model_reloads.labels(model).inc()
        self._processes[model] = processes_by_model(self._server.process.pid).get(model, set()) - before
        log.info("%s is ready again after %.1f s", model, time.monotonic() - started)

    def _control(self, path: str) -> None:
        """Post to tritonserver; OSError if it refuses, or ends before it answers.

        In a thread: the stubs that it forks inherit its connections and keep them open if it dies.
        """
        outcome: Queue[OSError | None] = Queue()
        threading.Thread(target=lambda: outcome.put(self._post(path)), daemon=True).start()
        while True:
            try:
                error = outcome.get(timeout=POLL_SECONDS)
            except Empty:
                if self._server.process.poll() is not None:
                    raise ConnectionError("tritonserver ended before it answered") from None
                continue
            if error is not None:
                raise error
            return

    def _post(self, path: str) -> OSError | None:
        request = urllib.request.Request(
            f"{self._server.http_url}/v2/{path}", data=b"{}", headers=self._server.key_header, method="POST"
        )
        try:
            with open_local(request, CONTROL_TIMEOUT_SECONDS):
                return None
        except OSError as error:
            return error
        except http.client.HTTPException as error:
            return ConnectionError(f"tritonserver returned an invalid response: {error}")


def _reason(error: OSError) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            return str(json.loads(error.read())["error"])
        except (ValueError, KeyError):
            return f"HTTP status {error.code}"
    return str(error)

"""tritonserver as a child process, and what it writes."""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from server.leftovers import remove_environments, remove_shared_memory
from server.log_limit import LogLimit
from server.private_memory import PrivateMemory
from video.lifeline import Lifeline
from video.processes import descendants, model_of

LOG_LINES = 400
MAX_LINE_CHARACTERS = 64 << 10
"""A longer line is taken for several."""
PR_SET_PDEATHSIG = 1
SIG_IGN = 1
# Looked up here: a child of a threaded process can do little safely between fork and exec.
PRCTL, SIGNAL = ctypes.CDLL(None).prctl, ctypes.CDLL(None).signal
NO_GPU = ("NVML", "CUDA", "CudaDriverHelper")
LOG_TIMEOUT_SECONDS = 5.0
LOG_PREFIX = re.compile(r"^[A-Z]\d{4} [^\]]*\] ")
"""Severity, time and place of what Triton or gRPC writes."""
THROWN = "what():"
"""What C++ writes before the text of an exception that nothing catches."""


class TritonProcess:
    """One run of tritonserver; it ends with this process, and its stubs with it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], shared_memory_prefix: str) -> None:
        """Start `command`; OSError if that is not possible."""
        self._shared_memory_prefix = shared_memory_prefix
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._show_log = False
        self.is_ending = False
        """Whether it was asked to end; it answers no more questions then."""
        self._limit = LogLimit()
        self._lifeline, private, parent = Lifeline(), PrivateMemory(), os.getpid()
        try:
            self.popen = subprocess.Popen(
                command,
                env={**environment, **self._lifeline.environment, **private.environment},
                pass_fds=[self._lifeline.reading],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is for the parent, which stops the server in order
                preexec_fn=lambda: _prepare_child(parent, private),
            )
        except BaseException:
            self._lifeline.cut()
            raise
        finally:
            self._lifeline.handed_over()
        assert self.popen.stdout is not None
        self._reader = threading.Thread(target=self._read_log, args=(self.popen.stdout,), daemon=True)
        self._reader.start()

    def _read_log(self, stream: IO[str]) -> None:
        while line := stream.readline(MAX_LINE_CHARACTERS):
            for kept in self._limit.admit(line, time.monotonic()):
                self._keep(kept)
        for kept in self._limit.end():
            self._keep(kept)

    def _keep(self, line: str) -> None:
        self._log.append(line)
        if self._show_log:
            try:
                print(line, end="", flush=True)
            except OSError:  # the reader of our output has closed it; keep reading, or tritonserver would block
                self._show_log = False

    def show_log(self) -> None:
        """Print what it writes from now on, as far as `server.log_limit` lets it."""
        self._show_log = True

    @property
    def _lines(self) -> list[str]:
        # A copy, made in one step: another thread may add a line meanwhile, after which a deque ends the loop over it.
        return list(self._log)

    @property
    def log(self) -> str:
        """The last lines that it wrote."""
        return "".join(self._lines)

    @property
    def errors(self) -> str:
        """Those lines that are neither informational nor tables nor about a missing GPU."""
        return "".join(line for line in self._lines if line[0] not in "IW+|\n" and not any(w in line for w in NO_GPU))

    def lost_port(self, services: Sequence[str]) -> bool:
        """Whether another process took the port of one of `services` (`GRPC`, `Metrics`) before it listened there.

        It can fail to get the metrics port after it has reported that it is ready; it then ends a moment later.
        """
        return any(f"failed to start {service} service" in self.log for service in services)

    def failure(self) -> str:
        """Why it ended, from its log: Triton writes `failed to load 'MODEL' version 1: REASON`, a crash `what():`."""
        self._reader.join(LOG_TIMEOUT_SECONDS)
        status = self.popen.returncode
        ending = f"exit status {status}" if status >= 0 else f"ended by {signal.Signals(-status).name}"
        for line in self._lines:
            for mark in ("failed to load '", "failed to start "):
                if mark in line:
                    return line[line.index(mark) :].strip().split("\\n\\nAt:")[0].rstrip('" ')
            if "error: " in line:
                return LOG_PREFIX.sub("", line).strip() + (f"; {ending}" if status < 0 else "")
            if THROWN in line:
                return f"{line.partition(THROWN)[2].strip()}; {ending}"
        return ending

    def describe(self) -> str:
        """Each of its processes with state and CPU time, to tell a slow one from a stuck one, and its last lines."""
        processes = [
            f"{model_of(process.pid) or Path(command[0]).name} {process.pid} "
            f"({process.state}, {process.cpu_seconds:.1f} s of CPU)"
            for process in descendants(self.popen.pid)
            if (command := process.command)
        ]
        last = "".join(self._lines[-3:]).strip()
        return f"its processes are {', '.join(processes) or 'none'}; its last lines: {last}"

    def interrupt(self, timeout_seconds: float) -> None:
        """Ask it to stop and wait for that; it may still run after `timeout_seconds`."""
        self.is_ending = True
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout_seconds)

    def kill(self) -> int:
        """Kill whatever is left of it and its stubs, and remove their shared memory; its exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self._lifeline.cut()
        status = self.popen.wait()
        self._reader.join(LOG_TIMEOUT_SECONDS)
        remove_shared_memory(self._shared_memory_prefix)
        with contextlib.suppress(OSError):  # callers may have used up the descriptors; the next start does it
            remove_environments()
        return status


def _prepare_child(parent: int, private: PrivateMemory) -> None:
    """In the child: die with the parent, make shared memory private, and survive a limit of file sizes (`ulimit -f`).

    Shared memory beyond that limit is then an error of one request, as it is if /dev/shm is full.
    """
    PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        os._exit(1)
    private.enter()
    SIGNAL(signal.SIGXFSZ, ctypes.c_void_p(SIG_IGN))

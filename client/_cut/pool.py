"""Worker processes, and what happens if one crashes or hangs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .._workers.answers import Answers

STALL_SECONDS = 120.0
"""A worker that says nothing for so long hangs."""
_END_SECONDS = 5.0
PACKAGE = (__package__ or "").split(".")[0]
# -I keeps modules in the current directory from shadowing imports. The package is found by its folder, and without what
# it imports itself: a worker needs no client, which takes most of a second to import.
PROGRAM = """\
import sys, types
package = sys.modules[{package!r}] = types.ModuleType({package!r})
package.__path__ = [{folder!r}]
from {package}._cut.worker import main
main()
"""
COMMAND = (
    *(sys.executable, "-I", "-c"),
    PROGRAM.format(package=PACKAGE, folder=str(Path(__file__).resolve().parents[1])),
)


class Worker:
    """One process at a time; a new one takes the place of one that ended. Belongs to one thread."""

    def __init__(self, command: tuple[str, ...] = COMMAND, stall_seconds: float = STALL_SECONDS) -> None:
        self._command = command
        self._stall_seconds = stall_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The last answer of the worker; if it crashed or hangs, an answer that says so."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            return self._failed("the decoder crashed")
        while True:
            try:
                answer = json.loads(self._answers.next(self._stall_seconds))
            except TimeoutError:
                return self._failed(f"nothing was read or written for {self._stall_seconds:g} s")
            except EOFError:
                return self._failed("the decoder crashed")
            if "alive" not in answer:
                return dict(answer)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.close()
            process.wait(_END_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        self._answers.close()

    def _start(self) -> None:
        pipe = subprocess.PIPE
        # A group of its own: Ctrl-C is for the command, and would end a worker that is just starting.
        process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, process_group=0)
        assert process.stdout is not None
        self._process, self._answers = process, Answers(process.stdout)

    def _failed(self, why: str) -> dict[str, Any]:
        if self._process is not None:
            self._process.kill()
        self.close()
        return {"error": why, "errno": None}

"""A worker process that is there when it is needed."""

import json
import subprocess
from typing import Any

from .answers import Answers
from .process import end_worker, start_worker


class Worker:
    """One process at a time: it is started with the first request, and again if it died. Belongs to one thread."""

    def __init__(self, module: str) -> None:
        """module: what it runs, as for `start_worker`."""
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, unless there is one. Raises OSError."""
        if self._process is None:
            process = self._new_process()
            assert process.stdout is not None
            self._answers = Answers(process.stdout)
            self._process = process

    def ask(self, request: dict[str, Any], content: bytes = b"") -> None:
        """Send a request, and bytes after it. Raises EOFError if the process has died, which is then no longer held."""
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.write(content)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            self.close()
            raise EOFError from error

    def answer(self, timeout_seconds: float) -> dict[str, Any]:
        """The next answer to what was asked. Raises TimeoutError and EOFError; the process has then been ended."""
        try:
            answer: dict[str, Any] = json.loads(self._answers.next(timeout_seconds))
        except (EOFError, TimeoutError):
            self.close()
            raise
        return answer

    def kill(self) -> None:
        """Let whoever waits for an answer get EOFError. Takes no lock, so signal handlers may call it."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is not None:
            end_worker(process, self._answers)

    def _new_process(self) -> subprocess.Popen[bytes]:
        return start_worker(self._module)

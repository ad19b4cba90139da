"""What a process writes, line by line, for a reader that does not wait for ever."""

import queue
import threading
from typing import IO


class Answers:
    """The lines of a pipe. A thread reads them: on Windows nothing else can wait for a pipe and give up."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def next(self, timeout_seconds: float) -> bytes:
        """The next line. Raises TimeoutError, and EOFError if the process has ended."""
        try:
            line = self._lines.get(timeout=timeout_seconds)
        except queue.Empty:
            raise TimeoutError from None
        if not line.endswith(b"\n"):  # none, or one that was cut
            raise EOFError
        return line

    def close(self) -> None:
        """Close the pipe of a process that has ended."""
        self._reader.join()
        self._pipe.close()

    def _read(self) -> None:
        for line in self._pipe:
            self._lines.put(line)
        self._lines.put(b"")

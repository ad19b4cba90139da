"""The processes that look at videos, one for each thread that asks."""

import json
import subprocess
import threading
from typing import Any

from .._workers.answers import Answers
from .._workers.process import end_worker, start_worker
from .errors import FirstPassError
from .look import Look
from .part import Part
from .thresholds import Thresholds

LONGEST_SECONDS = 60.0
"""How long a look may take."""


class Worker:
    """A process that looks at one video at a time; it is started when it is needed, and again if it dies."""

    def __init__(self, thresholds: Thresholds | None, threads: int) -> None:
        self._request = {
            "thresholds": None if thresholds is None else thresholds.as_dict(),
            "threads": threads,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def look(self, video: str | bytes, part: Part) -> Look | None:
        """As `look_at`. Raises `FirstPassError`."""
        process = self._begun()
        assert process.stdin is not None
        is_path = isinstance(video, str)
        named = {"path": video if is_path else None, "bytes": 0 if is_path else len(video), "part": part}
        try:
            process.stdin.write(json.dumps(self._request | named).encode() + b"\n")
            if isinstance(video, bytes):
                process.stdin.write(video)
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._answers.next(LONGEST_SECONDS))
        except (BrokenPipeError, EOFError) as error:
            self.close()
            raise FirstPassError("the decoder crashed") from error
        except TimeoutError as error:
            self.close()
            raise FirstPassError(f"it takes more than {LONGEST_SECONDS:g} s") from error
        if "error" in answer:
            raise FirstPassError(answer["error"])
        return None if answer["look"] is None else Look(*answer["look"])

    def close(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is not None:
            end_worker(process, self._answers)

    def _start(self) -> subprocess.Popen[bytes]:
        return start_worker("_first_pass.worker")

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = self._start()
            assert self._process.stdout is not None
            self._answers = Answers(self._process.stdout)
        return self._process


class Workers:
    """A worker for each thread."""

    def __init__(self, thresholds: Thresholds | None, threads: int) -> None:
        """thresholds: as in `look_at`; threads: of each decoder."""
        self._thresholds = thresholds
        self._threads = threads
        self._of_thread = threading.local()
        self._all: list[Worker] = []
        self._lock = threading.Lock()

    def look(self, video: str | bytes, part: Part) -> Look | None:
        """As `look_at`, by the calling thread's worker. Raises `FirstPassError`."""
        worker: Worker | None = getattr(self._of_thread, "worker", None)
        if worker is None:
            worker = self._of_thread.worker = Worker(self._thresholds, self._threads)
            with self._lock:
                self._all.append(worker)
        return worker.look(video, part)

    def close(self) -> None:
        """End the processes, when no thread asks any more."""
        for worker in self._all:
            worker.close()

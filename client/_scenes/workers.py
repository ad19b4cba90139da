"""The processes that look for scenes, one for each thread that asks."""

import json
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from .._workers.answers import Answers
from .._workers.process import end_worker, start_worker
from .errors import ScenesError, Stopped
from .scene import Scene
from .settings import Settings

STALL_SECONDS = 120.0
"""How long a video may make no progress."""


class Worker:
    """A process that finds the scenes of one video at a time; it is started when it is needed, and again if it dies."""

    def __init__(self, settings: Settings, threads: int, is_stopped: Callable[[], bool] = lambda: False) -> None:
        self._settings = settings
        self._threads = threads
        self._is_stopped = is_stopped
        self._process: subprocess.Popen[bytes] | None = None

    def find(self, path: str, report: Callable[[float], None]) -> list[Scene]:
        """The scenes of a file; `report` gets the share that is done. Raises `ScenesError`, and `Stopped`."""
        request = {"path": path, "settings": self._settings.as_dict(), "threads": self._threads}
        process = self._begun()
        assert process.stdin is not None
        if self._is_stopped():  # the one who stopped the run may not have seen this process
            raise Stopped
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            while True:
                answer: dict[str, Any] = json.loads(self._answers.next(STALL_SECONDS))
                if "error" in answer:
                    raise ScenesError(answer["error"])
                if "scenes" in answer:
                    return [(start, end) for start, end in answer["scenes"]]
                report(answer["done"])
        except (BrokenPipeError, EOFError) as error:
            self.close()
            raise ScenesError("the decoder crashed") from error
        except TimeoutError as error:
            self.close()
            raise ScenesError(f"decoding stood still for {STALL_SECONDS:g} s") from error

    def close(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is not None:
            end_worker(process, self._answers)

    def _start(self) -> subprocess.Popen[bytes]:
        return start_worker("_scenes.worker")

    def _begun(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = self._start()
            assert self._process.stdout is not None
            self._answers = Answers(self._process.stdout)
        return self._process


class Workers:
    """A worker for each thread; a context manager."""

    def __init__(self, settings: Settings, threads: int) -> None:
        """threads: of each decoder."""
        self._settings = settings
        self._threads = threads
        self._of_thread = threading.local()
        self._all: list[Worker] = []
        self._lock = threading.Lock()
        self._stopped = False

    def find(self, path: str, report: Callable[[float], None]) -> list[Scene]:
        """The scenes of a file, found by the calling thread's worker. Raises `ScenesError`, and `Stopped`."""
        worker: Worker | None = getattr(self._of_thread, "worker", None)
        if worker is None:
            worker = self._of_thread.worker = Worker(self._settings, self._threads, lambda: self._stopped)
            with self._lock:
                self._all.append(worker)
        if self._stopped:
            raise Stopped
        try:
            return worker.find(path, report)
        except ScenesError:
            if self._stopped:
                raise Stopped from None
            raise

    def stop(self) -> None:
        """End the processes; whoever waits for one gets `Stopped`. Takes no lock, so signal handlers may call it."""
        self._stopped = True
        for worker in [*self._all]:
            if (process := worker._process) is not None:
                process.kill()

    def close(self) -> None:
        """End the processes, when no thread asks any more."""
        for worker in self._all:
            worker.close()

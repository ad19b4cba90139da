"""The processes that look for scenes, one for each thread that asks."""

from collections.abc import Callable

from .._workers.each_thread import ForEachThread
from .._workers.worker import Worker
from .errors import ScenesError, Stopped
from .scene import Scene
from .settings import Settings

STALL_SECONDS = 120.0
"""How long a video may make no progress."""


class Workers:
    """A worker for each thread, which looks for the scenes of one video at a time."""

    def __init__(self, settings: Settings, threads: int) -> None:
        """threads: of each decoder."""
        self._request = {"settings": settings.as_dict(), "threads": threads}
        self._workers = ForEachThread(lambda: Worker("_scenes.worker"))
        self._stopped = False

    def find(self, path: str, report: Callable[[float], None]) -> list[Scene]:
        """The scenes of a file, found by the calling thread's worker; `report` gets the share that is done.

        Raises `ScenesError`, and `Stopped`.
        """
        self._check_stopped()
        try:
            return self._found(self._workers.own(), path, report)
        except ScenesError:
            if self._stopped:
                raise Stopped from None
            raise

    def stop(self) -> None:
        """End the processes; whoever waits for one gets `Stopped`. Takes no lock, so signal handlers may call it."""
        self._stopped = True
        for worker in self._workers.all():
            worker.kill()

    def close(self) -> None:
        """End the processes, when no thread asks any more."""
        for worker in self._workers.all():
            worker.close()

    def _found(self, worker: Worker, path: str, report: Callable[[float], None]) -> list[Scene]:
        worker.start()
        self._check_stopped()  # `stop` may not have seen this process
        try:
            worker.ask(self._request | {"path": path})
            while "scenes" not in (answer := worker.answer(STALL_SECONDS)):
                if "error" in answer:
                    raise ScenesError(answer["error"])
                report(answer["done"])
        except EOFError as error:
            raise ScenesError("the decoder crashed") from error
        except TimeoutError as error:
            raise ScenesError(f"decoding stood still for {STALL_SECONDS:g} s") from error
        return [(start, end) for start, end in answer["scenes"]]

    def _check_stopped(self) -> None:
        if self._stopped:
            raise Stopped

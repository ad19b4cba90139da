"""The processes that look at videos, one for each thread that asks."""

from .._workers.each_thread import ForEachThread
from .._workers.worker import Worker
from .errors import FirstPassError
from .look import Look
from .part import Part
from .thresholds import Thresholds

LONGEST_SECONDS = 60.0
"""How long a look may take."""


class Workers:
    """A worker for each thread, which looks at one video at a time."""

    def __init__(self, thresholds: Thresholds | None, threads: int) -> None:
        """thresholds: as in `look_at`; threads: of each decoder."""
        self._request = {
            "thresholds": None if thresholds is None else thresholds.as_dict(),
            "threads": threads,
        }
        self._workers = ForEachThread(lambda: Worker("_first_pass.worker"))

    def look(self, video: str | bytes, part: Part) -> Look | None:
        """As `look_at`, by the calling thread's worker. Raises `FirstPassError`."""
        worker = self._workers.own()
        path, content = (video, b"") if isinstance(video, str) else (None, video)
        named = {"path": path, "bytes": len(content), "part": part}
        try:
            worker.ask(self._request | named, content)
            answer = worker.answer(LONGEST_SECONDS)
        except EOFError as error:
            raise FirstPassError("the decoder crashed") from error
        except TimeoutError as error:
            raise FirstPassError(f"it takes more than {LONGEST_SECONDS:g} s") from error
        if "error" in answer:
            raise FirstPassError(answer["error"])
        return None if answer["look"] is None else Look(*answer["look"])

    def close(self) -> None:
        """End the processes, when no thread asks any more."""
        for worker in self._workers.all():
            worker.close()

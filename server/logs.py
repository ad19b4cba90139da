"""Messages of `python -m server`: `server: MESSAGE`, on standard output, or on standard error from WARNING on.

tritonserver's own lines pass through among them, unchanged.
"""

import contextlib
import logging
import sys


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        with contextlib.suppress(OSError):  # the reader of our output has closed it; keep serving
            print(self.format(record), file=stream, flush=True)


def configure() -> None:
    """Show the messages of the loggers `server...` and `video...` from INFO on; those of libraries are not ours."""
    handler = _Handler()
    handler.setFormatter(logging.Formatter("server: %(message)s"))
    for name in ("server", "video"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False

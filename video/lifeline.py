"""The lifeline of a server: a pipe through which the kernel ends the stubs when the process ends that holds its end.

A stub notices by itself that its server is gone, but then hangs if the server was killed at the wrong moment: both lock
parts of the same shared memory. PR_SET_PDEATHSIG is no help, because it follows the thread that forked, and Triton
starts stubs in threads that end soon. So each stub asks the kernel for SIGKILL at the moment when nobody can write to
the pipe any more. None of the stub's own code has to run for that.
"""

import fcntl
import os
import select
import signal
import stat
from collections.abc import Sequence

VARIABLE = "VIDEO_MOTION_LIFELINE"
"""The descriptor of the pipe's reading end; after a comma that of the writing end, if stubs inherit it too."""


class Lifeline:
    """The pipe, in the process that starts tritonserver."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        """`reading`: the descriptor that tritonserver must inherit."""

    @property
    def environment(self) -> dict[str, str]:
        """The variable that tritonserver must get, whose stubs end when this process does."""
        return {VARIABLE: str(self.reading)}

    def handed_over(self) -> None:
        """Close the reading end here, once tritonserver has it."""
        os.close(self.reading)

    def cut(self) -> None:
        """End every stub that holds it; may be called twice."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def become_tritonserver(self) -> dict[str, str]:
        """The variable if this process itself becomes tritonserver, with whose end that of its stubs comes."""
        for end in (self.reading, self._writing):
            os.set_inheritable(end, True)
        return {VARIABLE: f"{self.reading},{self._writing}"}


def hold() -> None:
    """End this process, a stub, when its server ends; nothing happens in a server without a lifeline.

    Raises OSError if the kernel cannot do that, ValueError if the variable names no pipe.
    """
    if not (ends := os.environ.pop(VARIABLE, "")):  # once a process, and not in those that it starts
        return
    reading, *writing = _ends_of_a_pipe(ends)
    for end in writing:  # tritonserver alone may keep it open
        os.close(end)
    # Opened again: signals belong to an open file, and all stubs inherit the same one.
    own = os.open(f"/proc/self/fd/{reading}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(own, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(reading, 0)
    if poll.poll(0):  # the server ended before the signal was asked for
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(reading)


def _ends_of_a_pipe(text: str) -> Sequence[int]:
    ends = [int(end) for end in text.split(",")]
    found = {(status.st_ino, stat.S_ISFIFO(status.st_mode)) for status in map(os.fstat, ends)}
    if len(found) != 1 or not all(is_pipe for _, is_pipe in found):
        raise ValueError(f"{VARIABLE} is {text!r}, which is not a pipe of this process")
    return ends

"""What a server leaves if it is killed: shared memory, folders, and in rare cases processes.

A name that begins with a `new_prefix` says whose it is. Nothing is touched whose owner may still live, or that belongs
to another user of the machine.
"""

import contextlib
import logging
import os
import re
import signal
import time
from pathlib import Path

from video.processes import GONE, STUB, TICKS_PER_SECOND, Process, all_processes, find_process, pid_namespace
from video.shared_memory import DIRECTORY

log = logging.getLogger(__name__)
PREFIX = "video_motion_"
NAMED = re.compile(rf"{PREFIX}(\d+)_(\d+)_(\d+)_\d+_")
"""The pid of a server's parent, when that started, its namespace of pids, and when the server was made."""
IN_COMMAND_LINES = re.compile(rf"(?:^|=)({NAMED.pattern})")
EXECUTABLES = (STUB, "tritonserver")
END_SECONDS = 5.0
ENVIRONMENTS = Path("/tmp")
"""Where each python backend makes an empty folder for environments, whatever TMPDIR is."""
PYTHON_BACKEND = "libtriton_python.so"


def new_prefix() -> str:
    """What the names of a new server's shared memory begin with; it names this process, the server's parent."""
    return f"{PREFIX}{os.getpid()}_{_start_of_this_process()}_{pid_namespace()}_{time.monotonic_ns()}_"


def remove_shared_memory(prefix: str) -> None:
    """Remove the shared memory of a server that has ended."""
    for path in DIRECTORY.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another user can take a name that begins like this
            path.unlink()


def remove_leftovers() -> None:
    """End the processes of servers whose parent was killed, and remove what they left."""
    _end_processes()
    for path in DIRECTORY.glob(f"{PREFIX}*"):
        if _is_ours(path) and _owner_has_ended(path.name):
            with contextlib.suppress(OSError):
                path.unlink()
    remove_environments()


def remove_environments() -> None:
    """Remove the empty folders that python backends left in /tmp.

    A folder has no name of its server. It is removed if every living process that runs a python backend started after
    it was made.
    """
    folders = [path for path in ENVIRONMENTS.glob("python_env_??????") if _is_ours(path)]
    if not folders:
        return
    oldest = min(map(_started_at, filter(_runs_python_backend, all_processes())), default=time.time())
    for path in folders:
        with contextlib.suppress(OSError):  # not an empty folder, or another server has just removed it
            if path.lstat().st_mtime < oldest - 1:  # clock ticks are coarse
                path.rmdir()


def _end_processes() -> None:
    """Kill what an earlier server left, and wait until it is gone: it may hold ports and memory."""
    left = [process for process in all_processes() if _was_left(process)]
    for process in left:
        log.warning("process %d was left by a server that has ended: killing it", process.pid)
        _kill(process)
    deadline = time.monotonic() + END_SECONDS
    while any(_lives(process) for process in left) and time.monotonic() < deadline:
        time.sleep(0.01)


def _was_left(process: Process) -> bool:
    if not process.alive or not _is_ours(Path("/proc", str(process.pid))):
        return False
    name, *arguments = process.command or [""]
    if Path(name).name not in EXECUTABLES:
        return False
    named = [match[1] for argument in arguments if (match := IN_COMMAND_LINES.search(argument))]
    return bool(named) and all(map(_owner_has_ended, named))


def _kill(process: Process) -> None:
    """Kill exactly this process, and no other that has got its pid since."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if _lives(process):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)


def _lives(process: Process) -> bool:
    now = find_process(process.pid)
    return now is not None and now.alive and now.start_ticks == process.start_ticks


def _owner_has_ended(name: str) -> bool:
    """Whether the owner that a name tells has certainly ended; not if it counts pids in another way."""
    match = NAMED.match(name)
    if match is None or int(match[3]) != pid_namespace():
        return False
    owner = find_process(int(match[1]))
    return owner is None or owner.start_ticks != int(match[2])


def _is_ours(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def _runs_python_backend(process: Process) -> bool:
    try:
        return PYTHON_BACKEND in Path(f"/proc/{process.pid}/maps").read_text(errors="replace")
    except GONE:
        return False  # ended, or another user's


def _started_at(process: Process) -> float:
    """Unix time at which a process started."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + process.start_ticks / TICKS_PER_SECOND


def _start_of_this_process() -> int:
    itself = find_process(os.getpid())
    assert itself is not None
    return itself.start_ticks

"""Shared memory that only this user can open.

Triton's python backend passes videos and clips through regions in /dev/shm. Boost, which makes them, sets their mode to
0644 with `fchmod`, whatever the umask is. So tritonserver runs with umask 077, and under a filter of system calls in
which exactly that `fchmod` does nothing. The region then never has any other mode than 0600.
"""

import contextlib
import ctypes
import os
from pathlib import Path

from video.shared_memory import DIRECTORY
from video.stub_start import UMASK

PRIVATE_UMASK = 0o077
MODE_OF_BOOST = 0o644
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
"""Without it, older kernels slow down every process under a filter (protection against speculative execution)."""
WARNING = (
    f"other users of this machine can read the videos in {DIRECTORY}: the system refuses the filter of system calls "
    "that prevents it (is libseccomp2 installed, and does the container allow seccomp?)"
)
PRCTL, SYSCALL = ctypes.CDLL(None).prctl, ctypes.CDLL(None).syscall


class _Program(ctypes.Structure):
    _fields_ = (("instructions", ctypes.c_ushort), ("code", ctypes.c_char_p))


class PrivateMemory:
    """What a process must do before it becomes tritonserver."""

    def __init__(self) -> None:
        self.in_force = False
        """Whether this process has done it."""
        self._seccomp = 0
        self._program = _Program()
        with contextlib.suppress(OSError, RuntimeError, ImportError):  # enter() then leaves in_force as it is
            self._build()

    @property
    def environment(self) -> dict[str, str]:
        """The variable that lets stubs go back to the umask of this process."""
        return {UMASK: _umask()}

    def enter(self) -> None:
        """Make regions of this process, and of those that it starts, private; safe between fork and exec.

        If the system refuses, nothing is raised, and `WARNING` is due.
        """
        os.umask(PRIVATE_UMASK)
        if self._seccomp:
            PRCTL(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            program = ctypes.byref(self._program)
            self.in_force = not SYSCALL(self._seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, program)

    def _build(self) -> None:
        # Not at the top: the import fails if libseccomp is missing.
        import pyseccomp as seccomp

        rules = seccomp.SyscallFilter(seccomp.ALLOW)
        rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.ALLOW)
        # The result 0, and nothing done.
        rules.add_rule(seccomp.ERRNO(0), "fchmod", seccomp.Arg(1, seccomp.EQ, MODE_OF_BOOST))
        with open(os.memfd_create("filter"), "w+b") as file:
            rules.export_bpf(file)
            file.seek(0)
            code = file.read()
        self._program = _Program(len(code) // 8, code)
        self._seccomp = seccomp.resolve_syscall(seccomp.Arch.NATIVE, "seccomp")


def exposed_regions(prefix: str) -> list[str]:
    """The names of those regions that begin with `prefix` and that other users may open, sorted."""
    found = []
    for path in DIRECTORY.glob(f"{prefix}*"):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            continue
        if mode & 0o077:
            found.append(path.name)
    return sorted(found)


def _umask() -> str:
    # os.umask tells it only by changing it, for all threads.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return line.split()[1]
    return "0022"  # Linux before 4.7 does not say it

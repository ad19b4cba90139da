"""A system call filter for processes that read untrusted files.

A decoder that a hostile file has taken over can compute, and answer over its socket. It cannot open files, use the
network, start programs, gain privileges, or signal or inspect other processes.
"""

import ctypes
import errno
import os
import resource

PR_SET_NAME = 15
PR_SET_NO_NEW_PRIVS = 38
CLONE_THREAD = 0x10000
AT_EMPTY_PATH = 0x1000

ALLOWED = (
    # memory
    *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "membarrier"),
    # descriptors that are open already
    *("read", "readv", "pread64", "write", "writev", "lseek", "fstat", "fcntl", "close", "dup"),
    *("recvmsg", "recvfrom", "sendmsg", "sendto", "poll", "ppoll"),
    # threads and time
    *("futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "sched_setaffinity", "gettid", "getpid"),
    *("nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "restart_syscall"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "exit", "exit_group"),
    # harmless queries
    *("getrandom", "getrusage", "getrlimit", "sysinfo", "uname", "getuid", "geteuid", "getgid", "getegid"),
)
"""System calls that are allowed with any arguments; all others fail with EPERM."""


def enter() -> list[str]:
    """Enter the sandbox, for good; returns the barriers that are not available, each with the reason.

    Open files stay open. Modules must be imported before: no file can be opened afterwards.
    """
    missing = []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        missing.append(f"no_new_privs ({os.strerror(ctypes.get_errno())})")
    try:
        _filter_system_calls()
    except (OSError, RuntimeError, ImportError) as error:
        missing.append(f"the system call filter ({error})")
    return missing


def _filter_system_calls() -> None:
    # Not at the top: the import fails if libseccomp is missing.
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in ALLOWED:
        rules.add_rule(seccomp.ALLOW, name)
    ours = seccomp.Arg(0, seccomp.EQ, os.getpid())
    rules.add_rule(seccomp.ALLOW, "tgkill", ours)  # abort()
    # Threads, but no processes. A filter cannot see the flags of clone3; without it, the C library uses clone.
    rules.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.add_rule(seccomp.ALLOW, "prctl", seccomp.Arg(0, seccomp.EQ, PR_SET_NAME))
    # Limits may be read but not set.
    rules.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(2, seccomp.EQ, 0))
    # fstat in newer C libraries.
    rules.add_rule(seccomp.ALLOW, "newfstatat", seccomp.Arg(3, seccomp.MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH))
    rules.set_attr(seccomp.Attr.CTL_TSYNC, 1)  # also for threads that libraries have started
    rules.load()

"""What a process that reads strangers' files may ask of the kernel: next to nothing.

A decoder that a hostile file has taken over can compute, and answer over the socket it was given. It can open no file,
reach no network, start no program, gain no privilege, and neither signal nor look into another process.
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
    # harmless questions
    *("getrandom", "getrusage", "getrlimit", "sysinfo", "uname", "getuid", "geteuid", "getgid", "getegid"),
)
"""System calls that are let through whatever their arguments; all others fail with EPERM."""


def enter() -> list[str]:
    """Give up for good what a reader of videos does not need; which barriers could not be had, each with its reason.

    Files that are open stay open. Modules must have been imported: no file can be opened afterwards.
    """
    missing = []
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        missing.append(f"no_new_privs ({os.strerror(ctypes.get_errno())})")
    try:
        _filter_system_calls()
    except (OSError, RuntimeError, ImportError) as error:
        missing.append(f"the filter of system calls ({error})")
    return missing


def _filter_system_calls() -> None:
    # Not at the top: it fails to import where libseccomp is missing.
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in ALLOWED:
        rules.add_rule(seccomp.ALLOW, name)
    ours = seccomp.Arg(0, seccomp.EQ, os.getpid())
    rules.add_rule(seccomp.ALLOW, "tgkill", ours)  # abort()
    # A thread, but no process. What clone3 is asked for lies in memory: without it, the C library takes clone.
    rules.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    rules.add_rule(seccomp.ALLOW, "prctl", seccomp.Arg(0, seccomp.EQ, PR_SET_NAME))
    # Limits may be read and not set.
    rules.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(2, seccomp.EQ, 0))
    # How newer C libraries say fstat.
    rules.add_rule(seccomp.ALLOW, "newfstatat", seccomp.Arg(3, seccomp.MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH))
    rules.set_attr(seccomp.Attr.CTL_TSYNC, 1)  # the threads that libraries have started, too
    rules.load()

"""The system calls that programs inside may not make: the second wall, should a namespace or a capability leak.

A list of what is refused, not of what is allowed: agents run whatever they install, and a call that a new libc begins
to use must not break it. What is refused either changes namespaces and mounts, looks into other processes, or is a
part of the kernel with a history of holes that no agent needs. The answer is an error that programs know how to take
(EPERM; ENOSYS for `clone3`, so that libc falls back to `clone`, whose flags a filter can read).

Two traps. The kernel reads an `ioctl`'s request as 32 bits, a filter compares 64: so compare masked, or a number with a
bit set above them walks past (CVE-2019-10063). AF_VSOCK is no matter of the network namespace: so socket families
are refused but for four.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from penstock.agents.sandboxes.driver import HostLacks

REFUSED = (
    "mount", "umount2", "pivot_root", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsmount", "fsconfig",
    "fspick", "mount_setattr", "setns", "unshare", "chroot", "ptrace", "process_vm_readv", "process_vm_writev",
    "pidfd_getfd", "kcmp", "process_madvise", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key", "kexec_load", "kexec_file_load",
    "init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms", "reboot",
    "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "vhangup", "personality", "nfsservctl",
    "uselib", "lookup_dcookie", "name_to_handle_at", "open_by_handle_at", "fanotify_init", "iopl", "ioperm",
    "modify_ldt", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "stime", "sethostname",
    "setdomainname", "move_pages", "migrate_pages", "mbind", "set_mempolicy", "set_mempolicy_home_node",
)  # fmt: skip

NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEW*: mount, cgroup, uts, ipc, user, pid, net. A new time namespace is not `clone`'s to make."""
TERMINAL = (0x5412, 0x541C)
"""TIOCSTI puts characters into a terminal's input; TIOCLINUX pastes into a console's."""
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
ROUTE = 0
"""NETLINK_ROUTE, by which programs list addresses (getifaddrs); the other protocols of AF_NETLINK are refused."""
LOW = 0xFFFFFFFF


def build() -> bytes:
    """Return the filter as the kernel takes it.

    Raises:
        HostLacks: pyseccomp or libseccomp is not there.
    """
    try:
        import pyseccomp  # type: ignore[import-untyped]
    except (ImportError, RuntimeError, OSError) as error:
        raise HostLacks(f"no filter of system calls: {error}", fix="install pyseccomp and libseccomp2") from None
    made = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    made.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ERRNO(errno.ENOSYS))  # 32 bit programs
    _refuse_calls(made, pyseccomp)
    _refuse_sockets(made, pyseccomp)
    with os.fdopen(os.memfd_create("filter"), "w+b", buffering=0) as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()


def _refuse_calls(made: Any, library: Any) -> None:
    refused = library.ERRNO(errno.EPERM)
    for name in REFUSED:
        _add(made, library, refused, name)
    for flag in NAMESPACES:
        _add(made, library, refused, "clone", library.Arg(0, library.MASKED_EQ, flag, flag))
    for request in TERMINAL:
        _add(made, library, refused, "ioctl", library.Arg(1, library.MASKED_EQ, LOW, request))
    _add(made, library, library.ERRNO(errno.ENOSYS), "clone3")


def _refuse_sockets(made: Any, library: Any) -> None:
    refused = library.ERRNO(errno.EAFNOSUPPORT)
    highest = max(FAMILIES.values())
    for call in ("socket", "socketpair"):
        for family in set(range(highest)) - set(FAMILIES.values()):
            _add(made, library, refused, call, library.Arg(0, library.MASKED_EQ, LOW, family))
        _add(made, library, refused, call, library.Arg(0, library.GT, highest))
    netlink = library.Arg(0, library.EQ, FAMILIES["AF_NETLINK"])
    _add(made, library, refused, "socket", netlink, library.Arg(2, library.NE, ROUTE))


def _add(made: Any, library: Any, action: int, name: str, *arguments: Any) -> None:
    """Add a rule; a call that this architecture does not have needs none."""
    try:
        number = library.resolve_syscall(library.Arch.NATIVE, name)
    except (OSError, ValueError):
        return
    if number >= 0:
        made.add_rule(action, number, *arguments)

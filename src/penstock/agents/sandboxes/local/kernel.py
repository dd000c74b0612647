"""The system calls that Python does not offer, one function each, by ctypes. Nothing is decided here; errors are
OSError.

Numbers above 423 are the same on every architecture (but alpha). Sources: the manual pages of the calls named, and the
headers linux/sched.h, linux/prctl.h, linux/landlock.h, linux/openat2.h, linux/nsfs.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PARENT = 0x00008000
SIGCHLD = 17

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
SECCOMP_MODE_FILTER = 2

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS

NS_GET_USERNS = 0xB701
FICLONE = 0x40049409
DEVPTS_MAGIC = 0x1CD1

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 2, 4, 32, 4096

_OPEN_TREE, _MOVE_MOUNT = 428, 429
_OPEN_TREE_CLONE = 1
_FROM_ITSELF, _TO_ITSELF = 0x04, 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
_CLOSE_RANGE, _OPENAT2 = 436, 437
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
_SIGACTION = {"x86_64": 13, "aarch64": 134, "riscv64": 134}
_LAST_CAPABILITY = 63

_libc = ctypes.CDLL(None, use_errno=True)
_holding = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock: for a call that returns in two processes


def _checked(result: int, what: str = "") -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what or None)
    return result


def unshare(flags: int) -> None:
    """Put the calling process into new namespaces."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, flags: int) -> None:
    """Enter the namespaces of a pidfd that `flags` name, or the one namespace of a file in /proc/PID/ns."""
    _checked(_libc.setns(ctypes.c_int(fd), ctypes.c_int(flags)), "setns")


def prctl(option: int, *arguments: int) -> int:
    """Call prctl; arguments left out are 0, as newer options want it."""
    given = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_libc.prctl(ctypes.c_int(option), *given), f"prctl {option}")


def undumpable() -> None:
    """Close /proc/PID/{exe,mem,environ,fd,maps,root,cwd} of this process, and ptrace, to all without CAP_SYS_PTRACE
    in the user namespace where its program was started. Lasts over fork, ends with the next execve.
    """
    prctl(PR_SET_DUMPABLE, 0)


def drop_capabilities() -> None:
    """Give up every capability for good: bounding, ambient, effective, permitted, inheritable."""
    prctl(PR_CAP_AMBIENT, 4)
    drop_bounding()
    set_capabilities(0, 0)


def drop_bounding() -> None:
    """Let no program that this process becomes have a capability, though it keeps its own until then."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # EINVAL: the kernel has no more of them. EPERM: we had none to begin with


def set_capabilities(held: int, inheritable: int) -> None:
    """Set the effective and permitted, and the inheritable capabilities (bit masks) of this process."""
    header = struct.pack("=Ii", 0x20080522, 0)
    low, high = held & 0xFFFFFFFF, held >> 32
    passed, passed_high = inheritable & 0xFFFFFFFF, inheritable >> 32
    data = struct.pack("=6I", low, low, passed, high, high, passed_high)
    _checked(_libc.capset(header, data), "capset")


def keep_over_exec(capability: int) -> None:
    """Let one capability that this process holds survive execve of a plain program, as another user than 0."""
    bit = 1 << capability
    set_capabilities(bit, bit)
    prctl(PR_CAP_AMBIENT, 2, capability)


def load_filter(program: bytes) -> None:
    """Put a seccomp filter (an array of `struct sock_filter`) on this process and its children. Needs no_new_privs."""
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    buffer = ctypes.create_string_buffer(head, len(head))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(buffer))


def clone_sibling() -> int:
    """Fork a child whose parent is our parent; returns 0 in the child, its pid here. The child must soon execve or
    exit: Python's own bookkeeping of a fork is left out.
    """
    number = _CLONE[platform.machine()]
    zero = ctypes.c_long(0)
    return _checked(
        int(_holding.syscall(ctypes.c_long(number), ctypes.c_long(CLONE_PARENT | SIGCHLD), zero, zero, zero, zero)),
        "clone",
    )


def default_signals() -> None:
    """Handle every signal as at first. Whoever started us may have changed it: Python, the fork server, nohup (SIGHUP),
    a shell with its background jobs (SIGINT), somebody with those two that a C library keeps for itself.
    """
    number, default = _SIGACTION[platform.machine()], bytes(32)  # struct sigaction: SIG_DFL, no flags, no mask
    for signal in set(range(1, 65)) - {9, 19}:  # KILL and STOP cannot be changed
        _checked(
            int(_libc.syscall(ctypes.c_long(number), ctypes.c_int(signal), default, None, ctypes.c_size_t(8))),
            "rt_sigaction",
        )


def close_from(first: int) -> None:
    """Close all file descriptors from `first` on."""
    last = ctypes.c_uint(0xFFFFFFFF)
    if _libc.syscall(ctypes.c_long(_CLOSE_RANGE), ctypes.c_uint(first), last, ctypes.c_uint(0)) != 0:
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def openat2(folder: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = BENEATH) -> int:
    """Open `path` below the open folder; `resolve` says which ways are refused (ELOOP: a link, EXDEV: it leads out)."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    return _checked(
        int(_libc.syscall(ctypes.c_long(_OPENAT2), ctypes.c_int(folder), name, how, ctypes.c_size_t(len(how)))),
        name.decode("utf-8", "replace"),
    )


def mount_of(path: str) -> int:
    """Return a file descriptor of a mount of its own that shows `path`, attached nowhere yet (a bind mount)."""
    flags = ctypes.c_uint(_OPEN_TREE_CLONE | os.O_CLOEXEC)
    return _checked(int(_libc.syscall(ctypes.c_long(_OPEN_TREE), ctypes.c_int(-100), os.fsencode(path), flags)), path)


def attach_mount(mount: int, place: int) -> None:
    """Attach such a mount over an open place (O_PATH), in whichever mount namespace that is."""
    flags = ctypes.c_uint(_FROM_ITSELF | _TO_ITSELF)
    number = ctypes.c_long(_MOVE_MOUNT)
    _checked(int(_libc.syscall(number, ctypes.c_int(mount), b"", ctypes.c_int(place), b"", flags)), "move_mount")


def change_mount(path: str, flags: int) -> None:
    """Set the flags (MS_RDONLY, MS_NOSUID, MS_NODEV) of the mount at `path`; the file system's own stay."""
    wanted = ctypes.c_ulong(MS_REMOUNT | MS_BIND | flags)
    _checked(_libc.mount(None, os.fsencode(path), None, wanted, None), path)


def owner_of_network(fd: int) -> int:
    """Return a file descriptor of the user namespace that owns the namespace `fd`."""
    return _checked(int(_libc.ioctl(ctypes.c_int(fd), ctypes.c_ulong(NS_GET_USERNS))), "NS_GET_USERNS")


def file_system_of(fd: int) -> int:
    """Return the magic number of the file system that an open file is on."""
    buffer = ctypes.create_string_buffer(256)
    _checked(_libc.fstatfs(ctypes.c_int(fd), buffer), "fstatfs")
    return int(struct.unpack_from("@l", buffer)[0])


def landlock_abi() -> int:
    """Return the version of Landlock that the kernel has, 0 without it."""
    found = int(_libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1)))
    return max(found, 0)


def landlock_ruleset(handled: int) -> int:
    """Make a ruleset that refuses the file accesses `handled` where no rule allows them."""
    attributes = struct.pack("=Q", handled)
    size = ctypes.c_size_t(len(attributes))
    return _checked(int(_libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), attributes, size, ctypes.c_uint(0))), "landlock")


def landlock_allow(ruleset: int, folder: int, access: int) -> None:
    """Allow accesses below an open folder."""
    rule: Any = struct.pack("=Qi", access, folder)
    number, beneath = ctypes.c_long(_LANDLOCK_ADD), ctypes.c_int(1)
    _checked(int(_libc.syscall(number, ctypes.c_int(ruleset), beneath, rule, ctypes.c_uint(0))), "landlock")


def landlock_restrict(ruleset: int) -> None:
    """Put the ruleset on this process and its children. Needs no_new_privs."""
    _checked(int(_libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT), ctypes.c_int(ruleset), ctypes.c_uint(0))), "landlock")


def forget_arguments(name: bytes) -> None:
    """Overwrite this process's command line, which everybody who sees its pid may read, with `name`."""
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 (no imports of others before a fork)
        fields = file.read().rpartition(b") ")[2].split()
    start, end = int(fields[45]), int(fields[46])
    short = ctypes.create_string_buffer(name[:15])
    prctl(PR_SET_NAME, ctypes.addressof(short))
    ctypes.memmove(start, name[: end - start - 1].ljust(end - start, b"\0"), end - start)


def started(pid: int) -> int:
    """Return when a process began, in clock ticks since the machine did: with the pid it names one process."""
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
        return int(file.read().rpartition(b") ")[2].split()[19])

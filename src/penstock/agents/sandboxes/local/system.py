"""What of the host's system a sandbox sees: programs and libraries, read-only, and few files of /etc. Pure, but
`present`.

A list of what is shown, so that what a host adds is not. Left out with intent: /root, /home, /var, /run, /sys, /boot,
every socket, and those files of /etc that may hold credentials (gitconfig, npmrc, pip.conf, netrc, ssh host keys,
ssl/private).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from penstock.agents.sandboxes.driver import AGENT, HOME, RESOLVER, File
from penstock.agents.sandboxes.trust import CA_FILE

HOSTNAME = "sandbox"

ROOTS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Shown read-only; on most distributions all but the first are links into it, and are shown as such."""

ETC = (
    "alternatives", "bash.bashrc", "crypto-policies", "debian_version", "fonts", "gnutls", "host.conf", "inputrc",
    "java", "java-8-openjdk", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "java-25-openjdk",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "lsb-release", "magic", "mime.types", "os-release",
    "perl", "profile", "protocols", "python3", "python3.11", "python3.12", "python3.13", "python3.14", "rpc",
    "services", "shells", "ssl/openssl.cnf", "terminfo", "timezone", "xattr.conf",
)  # fmt: skip

MASKED_FILES = (
    "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kallsyms", "/proc/kmsg", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/vmallocinfo", "/proc/slabinfo",
    "/proc/kpagecount", "/proc/kpageflags", "/proc/kpagecgroup", "/proc/modules",
)  # fmt: skip
MASKED_FOLDERS = (
    "/proc/acpi", "/proc/asound", "/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/scsi", "/proc/tty",
    "/usr/local/etc",
)  # fmt: skip

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

VARIABLES: Mapping[str, str] = {
    "HOME": HOME, "USER": "agent", "LOGNAME": "agent", "SHELL": "/bin/bash", "PATH": f"{HOME}/.local/bin:{PATH}",
    "LANG": "C.UTF-8", "TMPDIR": "/tmp",  # noqa: S108
}  # fmt: skip
"""Variables that every program has unless its caller says otherwise."""

FILES: Mapping[str, File] = {
    "/etc/passwd": File(
        f"root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:{AGENT}:{AGENT}:Agent:{HOME}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n".encode()
    ),
    "/etc/group": File(f"root:x:0:\nagent:x:{AGENT}:\nnogroup:x:65534:\n".encode()),
    "/etc/hosts": File(f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n".encode()),
    "/etc/hostname": File(f"{HOSTNAME}\n".encode()),
    "/etc/nsswitch.conf": File(b"passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"),
    "/etc/resolv.conf": File(f"nameserver {RESOLVER[0]}\noptions timeout:2 attempts:1\n".encode()),
}
"""Files that every sandbox has; a specification may give others for them."""


def trusted() -> File:
    """Return the host's own bundle of authorities, for sandboxes whose specification brings none."""
    path = Path(CA_FILE)
    return File(path.read_bytes() if path.is_file() else b"")


def present(paths: tuple[str, ...], exists: Callable[[Path], bool] = lambda path: path.exists()) -> tuple[str, ...]:
    """Return those paths that this host has."""
    return tuple(path for path in paths if exists(Path(path)))

"""Out of the sandbox by the kernel (threat model, section 3): namespaces, mounts, control groups, dangerous calls.

Each call is made with arguments that do no harm where it is not refused, for a probe may run on a machine whose defence
does not work: what shows the defence is the error that it gives.
"""

from __future__ import annotations

from penstock.redteam.expect import failed_with, silent
from penstock.redteam.probe import Code, Expect, Probe, Seen, Shell

BLOCKED = ("EPERM", "EACCES", "EROFS", "ENOENT", "ENOSYS", "ENOSPC", "ENOTDIR")
REFUSED = ("EPERM", "ENOSYS")

CALLS: tuple[tuple[str, str, int, int, str], ...] = (
    ("mount", "mount", 165, 40, "None, None, None, 0, None"),
    ("umount", "umount2", 166, 39, "None, 0"),
    ("pivot-root", "pivot_root", 155, 41, "None, None"),
    ("open-tree", "open_tree", 428, 428, '-100, b"/", 1'),
    ("move-mount", "move_mount", 429, 429, "-1, None, -1, None, 0"),
    ("fsopen", "fsopen", 430, 430, 'b"tmpfs", 0'),
    ("fsmount", "fsmount", 432, 432, "-1, 0, 0"),
    ("mount-setattr", "mount_setattr", 442, 442, "-1, None, 0, None, 0"),
    ("chroot", "chroot", 161, 51, 'b"/proc/self"'),
    ("setns", "setns", 308, 268, "-1, 0"),
    ("unshare-user", "unshare(CLONE_NEWUSER)", 272, 97, "0x10000000"),
    ("unshare-net", "unshare(CLONE_NEWNET)", 272, 97, "0x40000000"),
    ("unshare-mount", "unshare(CLONE_NEWNS)", 272, 97, "0x00020000"),
    ("unshare-time", "unshare(CLONE_NEWTIME)", 272, 97, "0x00000080"),
    ("clone-user", "clone(CLONE_NEWUSER)", 56, 220, "0x10000000 | 17, None, None, None, None"),
    ("clone3", "clone3", 435, 435, "None, 0"),
    ("ptrace", "ptrace", 101, 117, "16, 0x3FFFFFFF, None, None"),
    ("ptrace-me", "ptrace(TRACEME)", 101, 117, "0, 0, None, None"),
    ("process-vm-readv", "process_vm_readv", 310, 270, "1, None, 0, None, 0, 0"),
    ("process-vm-writev", "process_vm_writev", 311, 271, "1, None, 0, None, 0, 0"),
    ("pidfd-getfd", "pidfd_getfd", 438, 438, "-1, 0, 0"),
    ("kcmp", "kcmp", 312, 272, "1, os.getpid(), 0, 0, 0"),
    ("bpf", "bpf", 321, 280, "0, None, 0"),
    ("perf", "perf_event_open", 298, 241, "None, 0, -1, -1, 0"),
    ("userfaultfd", "userfaultfd", 323, 282, "0"),
    ("io-uring", "io_uring_setup", 425, 425, "1, None"),
    ("io-uring-enter", "io_uring_enter", 426, 426, "-1, 0, 0, 0, None"),
    ("keyctl", "keyctl", 250, 219, "0, -3, 0, 0, 0"),
    ("add-key", "add_key", 248, 217, 'b"user", b"x", b"y", 1, -2'),
    ("request-key", "request_key", 249, 218, 'b"user", b"x", None, 0'),
    ("kexec", "kexec_load", 246, 104, "0, 0, None, -1"),
    ("init-module", "init_module", 175, 105, "None, 0, None"),
    ("finit-module", "finit_module", 313, 273, "-1, None, 0"),
    ("delete-module", "delete_module", 176, 106, "None, 0"),
    ("reboot", "reboot", 169, 142, "0, 0, 0, None"),
    ("swapon", "swapon", 167, 224, "None, 0"),
    ("acct", "acct", 163, 89, 'b"/nowhere/at/all"'),
    ("quotactl", "quotactl", 179, 60, "0, None, 0, None"),
    ("personality", "personality", 135, 92, "0x0040000"),
    ("open-by-handle", "open_by_handle_at", 304, 265, "-1, None, 0"),
    ("name-to-handle", "name_to_handle_at", 303, 264, "-1, None, None, None, 0"),
    ("fanotify", "fanotify_init", 300, 262, "0, 0"),
    ("syslog", "syslog", 103, 116, "10, None, 0"),
    ("settimeofday", "settimeofday", 164, 170, "None, 1"),
    ("sethostname", "sethostname", 170, 161, "None, -1"),
    ("iopl", "iopl", 172, -1, "0"),
    ("modify-ldt", "modify_ldt", 154, -1, "0, None, 0"),
)
"""name, call, its number on x86_64 and on arm64 (-1: there is none), arguments that do no harm."""


def _call(name: str, call: str, on_x86: int, on_arm: int, arguments: str) -> Probe:
    numbers = ", ".join(str(number) if number != -1 else "None" for number in (on_x86, on_arm))
    source = f"system_call({numbers}, {arguments})"
    return Probe(id=f"kernel.{name}", row="kernel", tries=call, attack=Code(source), expect=failed_with(*REFUSED))


def _code(name: str, tries: str, source: str, expect: Expect) -> Probe:
    return Probe(id=f"kernel.{name}", row="kernel", tries=tries, attack=Code(source), expect=expect)


def _opens(name: str, path: str, how: str = "O_WRONLY") -> Probe:
    source = f'attempt(lambda: os.open("{path}", os.{how}))'
    return _code(
        name, f"open {path} for {'writing' if how != 'O_RDONLY' else 'reading'}", source, failed_with(*BLOCKED)
    )


_WAYS = (
    _opens("core-pattern", "/proc/sys/kernel/core_pattern"),
    _opens("modprobe", "/proc/sys/kernel/modprobe"),
    _opens("sysrq", "/proc/sysrq-trigger"),
    _opens("binfmt", "/proc/sys/fs/binfmt_misc/register"),
    _opens("panic-on-oom", "/proc/sys/vm/panic_on_oom"),
    _opens("hotplug", "/sys/kernel/uevent_helper"),
    _opens("kcore", "/proc/kcore", "O_RDONLY"),
    _opens("kmsg", "/dev/kmsg", "O_RDONLY"),
    _opens("mem", "/dev/mem", "O_RDONLY"),
    _opens("kvm", "/dev/kvm", "O_RDWR"),
    _opens("fuse", "/dev/fuse", "O_RDWR"),
    _opens("tun", "/dev/net/tun", "O_RDWR"),
    _opens("vhost", "/dev/vhost-vsock", "O_RDWR"),
    _opens("debugfs", "/sys/kernel/debug", "O_RDONLY"),
    _opens("security", "/sys/kernel/security/lockdown"),
    _opens("shadow", "/etc/shadow", "O_RDONLY"),
    _opens("passwd", "/etc/passwd"),
    _opens("system", "/usr/bin/env", "O_RDWR"),
    _opens("ld-preload", "/etc/ld.so.preload"),
    _opens("root-home", "/root/.ssh", "O_RDONLY"),
    _opens("host-root", "/proc/1/root/etc/shadow", "O_RDONLY"),
    _opens("uid-map", "/proc/self/uid_map"),
    _opens("oom", "/proc/1/oom_score_adj"),
    _code(
        "cgroups",
        "write to a control group, or make one",
        """
for root, folders, names in os.walk("/sys/fs/cgroup"):
    for name in names:
        if name in ("release_agent", "cgroup.procs", "notify_on_release", "devices.allow"):
            try:
                os.close(os.open(os.path.join(root, name), os.O_WRONLY))
                print(os.path.join(root, name))
            except OSError:
                pass
    if os.access(root, os.W_OK):
        print("writable", root)
    if root.count("/") > 6:
        folders.clear()
""",
        silent,
    ),
    _code(
        "devices",
        "make a device, and look for block devices",
        """
import stat
def make():
    os.mknod("/tmp/probe-" + os.environ["PROBE"], 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    os.unlink("/tmp/probe-" + os.environ["PROBE"])
attempt(make)
for name in os.listdir("/dev"):
    if stat.S_ISBLK(os.lstat("/dev/" + name).st_mode):
        print("found", name)
""",
        failed_with("EPERM", "EACCES"),
    ),
    _code(
        "privileges",
        "look for capabilities, and for a lack of no_new_privs and of the filter",
        """
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().split("\\n") if ":" in line)
wanted = {"CapInh": "0", "CapPrm": "0", "CapEff": "0", "CapBnd": "0", "CapAmb": "0", "NoNewPrivs": "1", "Seccomp": "2"}
for name, value in wanted.items():
    found = status[name].strip().lstrip("0") or "0"
    if found != value:
        print(name, found)
if 0 in (os.getuid(), os.geteuid(), os.getgid()):
    print("root")
""",
        silent,
    ),
    _code("setuid", "become root", "attempt(lambda: os.setuid(0))", failed_with("EPERM", "EINVAL")),
    _code("setgroups", "join groups", "attempt(lambda: os.setgroups([0]))", failed_with("EPERM", "EINVAL")),
    _code(
        "tiocsti",
        "put characters into a terminal",
        """
import fcntl
ends = os.openpty()
attempt(lambda: fcntl.ioctl(ends[1], 0x5412, b"x"))
""",
        failed_with("EPERM", "EACCES", "EIO"),
    ),
    _code(
        "dirty-mount",
        "find a mount of the machine that can be written to",
        """
system = ("/home/agent", "/workspace", "/tmp", "/var/tmp", "/run", "/dev/shm", "/dev/mqueue",
          "/dev/pts", "/proc", "/dev")
for line in open("/proc/self/mounts"):
    place, options = line.split()[1], line.split()[3].split(",")
    if "rw" in options and place not in system and not place.startswith(("/dev/", "/proc/")):
        print(place)
""",
        silent,
    ),
    _code(
        "kallsyms",
        "read addresses of the kernel",
        """
with open("/proc/kallsyms") as file:
    first = [next(file, "0 ").split()[0] for _ in range(20)]
if any(int(each, 16) for each in first):
    print(first[:2])
""",
        lambda seen: "" if not seen.back.text else f"it found {seen.back.text}",
    ),
    Probe(
        id="kernel.nested-bwrap",
        row="kernel",
        tries="a sandbox in the sandbox",
        expect=lambda seen: _not_done(seen),
        attack=Shell("bwrap --unshare-all --bind / / /bin/echo done", ("bwrap",)),
    ),
    Probe(
        id="kernel.unshare",
        row="kernel",
        tries="unshare -Urn",
        expect=lambda seen: _not_done(seen),
        attack=Shell("unshare -Urn /bin/echo done", ("unshare",)),
    ),
    Probe(
        id="kernel.setuid-programs",
        row="kernel",
        tries="a program that is setuid",
        expect=lambda seen: _not_done(seen),
        attack=Shell(
            "su -c 'echo done' root </dev/null; sudo -n echo done; newgrp root -c 'echo done' </dev/null; true", ("su",)
        ),
    ),
)


def _not_done(seen: Seen) -> str:
    return "it worked" if "done" in seen.back.text.split() else ""


PROBES: tuple[Probe, ...] = (*(_call(*row) for row in CALLS), *_WAYS)

# ruff: noqa: ASYNC240, E501 (probes are programs in one string; files of this machine are looked at)
"""What a hostile program inside may try, and what it meets: each trap as a probe that runs in a real sandbox.

A probe prints what it got. `OPEN` holds what the same probe gets where the wall is taken away (outside of a sandbox, or
with one defence removed): a probe that could not tell the difference would prove nothing.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.sandboxes.driver import MIB, CannotExecute, Limits
from penstock.agents.sandboxes.local import LocalDriver, bubblewrap
from penstock.agents.sandboxes.local.sandbox import LocalSandbox
from tests.contract.sandboxes.driver import alone, drain, finish, output_of, shell, specification
from tests.support.needs import need
from tests.support.sandboxes import need_sandboxes, sandbox_folder

CALL = """
import ctypes, errno, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    return "did it" if result >= 0 else errno.errorcode[ctypes.get_errno()]
def attempt(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "did it"
"""
"""What every probe begins with. System calls are called by number, as an attacker would."""


@pytest.fixture(autouse=True)
def folder() -> Iterator[Path]:
    need_sandboxes()
    need(command="/usr/bin/python3", hint="apt-get install python3")
    with sandbox_folder() as found:
        yield found


@asynccontextmanager
async def sandbox(folder: Path, **fields: Any) -> AsyncIterator[LocalSandbox]:
    driver = LocalDriver(folder)
    made = await driver.create(specification(**fields), alone)
    try:
        yield made
    finally:
        await made.destroy()
        await driver.close()


def probe(folder: Path, script: str, **fields: Any) -> Any:
    """What a Python script prints as JSON inside."""

    async def run() -> Any:
        async with sandbox(folder, **fields) as made:
            return await python(made, script)

    return asyncio.run(run())


async def python(made: LocalSandbox, script: str) -> Any:
    status, output, error = await finish(await made.exec(["/usr/bin/python3", "-I", "-c", CALL + script]))
    assert status == 0, error.decode()
    return json.loads(output)


NUMBERS = {  # x86_64; other machines have other numbers, and skip
    "mount": 165, "umount2": 166, "pivot_root": 155, "setns": 308, "ptrace": 101, "process_vm_readv": 310, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249, "io_uring_setup": 425,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "mount_setattr": 442, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "kexec_load": 246, "init_module": 175, "swapon": 167, "acct": 163, "quotactl": 179,
    "personality": 135, "pidfd_getfd": 438, "kcmp": 312, "syslog": 103, "reboot": 169, "chroot": 161,
}  # fmt: skip


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only on x86_64: system calls by number")
def test_system_calls_that_change_or_look_into_others_are_refused(folder: Path) -> None:
    found = probe(folder, f"print(json.dumps({{name: call(n, 0, 0, 0, 0, 0) for name, n in {NUMBERS!r}.items()}}))")
    assert {name: said for name, said in found.items() if said != "EPERM"} == {}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only on x86_64: system calls by number")
def test_no_namespace_can_be_made(folder: Path) -> None:
    script = """
flags = {"user": 0x10000000, "mount": 0x20000, "net": 0x40000000, "pid": 0x20000000}
found = {f"unshare {k}": call(272, f) for k, f in flags.items()}
found |= {f"clone {k}": call(56, f | 17, 0, 0, 0, 0) for k, f in flags.items()}
found["clone high bits"] = call(56, 0x10000000 | 17 | 1 << 40, 0, 0, 0, 0)
found["clone3"] = call(435, 0, 0)
print(json.dumps(found))
"""
    found = probe(folder, script)
    assert found.pop("clone3") == "ENOSYS"
    assert set(found.values()) == {"EPERM"}


def test_socket_families_that_a_network_namespace_does_not_hold_are_refused(folder: Path) -> None:
    script = """
families = {"vsock": 40, "packet": 17, "alg": 38, "bluetooth": 31, "can": 29, "tipc": 30, "xdp": 44, "rds": 21, "kcm": 41, "high": 1 << 33 | 40}
found = {k: call(41, f, 3 if k == "packet" else 5 if k == "alg" else 1, 0) for k, f in families.items()}
found["raw"] = attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
found["audit"] = attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9))
found["netfilter"] = attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))
found["route"] = attempt(lambda: socket.if_nameindex())
found["unix"] = attempt(lambda: socket.socketpair())
found["inet6"] = attempt(lambda: socket.socket(socket.AF_INET6))
print(json.dumps(found))
"""
    if os.uname().machine != "x86_64":
        pytest.skip("only on x86_64: system calls by number")
    found = probe(folder, script)
    assert {found.pop(name) for name in ("route", "unix", "inet6")} == {"did it"}
    assert found.pop("raw") == "EPERM"
    assert set(found.values()) == {"EAFNOSUPPORT"}


def test_nobody_types_into_the_terminal(folder: Path) -> None:
    """TIOCSTI, also with a bit set above those that the kernel reads (CVE-2019-10063)."""
    script = """
import fcntl, pty
_, inner = pty.openpty()
buffer = ctypes.create_string_buffer(b"x")
found = []
for request in (0x5412, 0x5412 | 1 << 32, 0x541C, 0x541C | 1 << 40):
    ctypes.set_errno(0)
    found.append("did it" if libc.syscall(ctypes.c_long(16), ctypes.c_long(inner), ctypes.c_long(request), buffer) == 0 else errno.errorcode[ctypes.get_errno()])
print(json.dumps(found))
"""
    assert probe(folder, script) == ["EPERM"] * 4


WRITES = """
paths = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches",
         "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/irq/0/smp_affinity", "/usr/bin/sh", "/etc/passwd",
         "/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt", "/dev/new", "/etc/new", "/new"]
print(json.dumps({p: attempt(lambda: os.close(os.open(p, os.O_WRONLY | os.O_CREAT))) for p in paths}))
"""


def test_the_system_cannot_be_written(folder: Path) -> None:
    found = probe(folder, WRITES)
    assert {path: said for path, said in found.items() if said == "did it"} == {}


def test_the_kernels_own_numbers_are_not_shown(folder: Path) -> None:
    script = """
def size(p):
    try:
        with open(p, "rb") as f: return len(f.read(64))
    except OSError as error: return 0
print(json.dumps({p: size(p) for p in ["/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list", "/proc/kmsg", "/proc/slabinfo"]}))
"""
    assert set(probe(folder, script).values()) == {0}


def test_what_is_there_is_what_was_listed(folder: Path) -> None:
    """No host folder, socket, device or mount that nobody thought of."""
    script = """
found = {p: sorted(os.listdir(p)) for p in ("/", "/dev", "/run", "/home", "/var", "/tmp")}
found["sys"] = os.path.exists("/sys"); found["root"] = os.path.exists("/root")
found["setuid"] = [l.split()[3].split(",").count("nosuid") for l in open("/proc/mounts") if l.split()[2] not in ("mqueue",)]
found["unix"] = len(open("/proc/net/unix").read().splitlines()) - 1
found["links"] = [name for _, name in socket.if_nameindex()]
print(json.dumps(found))
"""
    found = probe(folder, script)
    assert set(found["/"]) <= {
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "run",
        "sbin",
        "tmp",
        "usr",
        "var",
        "workspace",
    }
    assert set(found["/dev"]) == {"core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}  # fmt: skip
    assert (found["/run"], found["/home"], found["/var"], found["/tmp"]) == ([], ["agent"], ["tmp"], [])
    assert (found["sys"], found["root"], found["unix"], found["links"]) == (False, False, 0, ["lo"])
    assert set(found["setuid"]) == {1}


def test_the_server_cannot_be_read_by_way_of_the_first_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECRET", "fake-canary")
    script = """
def read(p):
    try: return open(p, "rb").read().decode("latin-1")
    except OSError as error: return ""
print(json.dumps({p: read(p) for d in os.listdir("/proc") if d.isdigit() for p in (f"/proc/{d}/environ", f"/proc/{d}/cmdline")}))
"""
    found = probe(folder, script)
    shown = "".join(found.values())
    assert "fake-canary" not in shown and str(folder) not in shown and "bwrap" not in shown
    assert found["/proc/1/cmdline"] == "sleep\0infinity\0"


def test_no_capability_and_no_way_to_one(folder: Path) -> None:
    async def run() -> None:
        async with sandbox(folder) as made:
            lines = dict(
                line.split(":\t")
                for line in (await output_of(made, "cat /proc/self/status")).splitlines()
                if ":\t" in line
            )
            assert {lines[name] for name in lines if name.startswith("Cap")} == {"0" * 16}
            assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")
            assert (await output_of(made, "ulimit -c")).strip() == "0"
            await output_of(made, "cp /bin/true su; chmod 4755 su; ./su")
            for script in (
                "su -c true",
                "mknod x c 1 3",
                "ip link add d type dummy",
                "ip link set lo down",
                "chown 0 su",
            ):
                assert (await shell(made, script))[0] != 0, script

    asyncio.run(run())


def test_core_pattern_and_release_agent_are_out_of_reach(folder: Path) -> None:
    async def run() -> None:
        async with sandbox(folder) as made:
            assert (await shell(made, "echo '|/workspace/x' > /proc/sys/kernel/core_pattern"))[0] != 0
            assert (await shell(made, "mount -t cgroup -o memory none /tmp"))[0] != 0
            assert await output_of(made, "grep -c ' cgroup' /proc/mounts || true") == "0\n"
            shown = (await output_of(made, "cat /proc/self/cgroup")).splitlines()
            assert {line.split(":")[2] for line in shown if line.split(":")[1] in ("pids", "cpu", "")} <= {"/"}

    asyncio.run(run())


def test_abstract_sockets_and_ports_of_the_host_are_elsewhere(folder: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as abstract, socket.socket() as port:
        abstract.bind(f"\0penstock-probe-{os.getpid()}")
        abstract.listen()
        port.bind(("127.0.0.1", 0))
        port.listen()
        script = f"""
def to(family, address):
    s = socket.socket(family); s.settimeout(3); s.connect(address)
print(json.dumps([attempt(lambda: to(socket.AF_UNIX, "\\0penstock-probe-{os.getpid()}")),
                  attempt(lambda: to(socket.AF_INET, ("127.0.0.1", {port.getsockname()[1]})))]))
"""
        assert probe(folder, script) == ["ECONNREFUSED", "ECONNREFUSED"]


def test_udp_and_names_lead_nowhere(folder: Path) -> None:
    script = """
def send():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
    s.connect(("8.8.8.8", 53)); s.send(b"x"); s.recv(10)
def six():
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.connect(("2001:db8::1", 53)); s.send(b"x")
print(json.dumps([attempt(send), attempt(six)]))
"""
    assert probe(folder, script) == ["ECONNREFUSED", "ENETUNREACH"]


WATCH = """
import time
end, seen, got = time.time() + 3, set(), []
me = os.getpid()
def is_a_helper(d):
    try: return open(f"/proc/{d}/comm").read().strip() == "sandbox-helper"
    except OSError: return False
print("watching", flush=True)
while time.time() < end:
    for d in os.listdir("/proc"):
        if not d.isdigit() or int(d) in (1, me): continue
        try: comm = open(f"/proc/{d}/comm").read().strip()
        except OSError: continue
        if comm != "sandbox-helper": continue
        seen.add(comm)
        for name in ("exe", "environ", "mem", "maps", "fd", "cwd", "root", "stack", "auxv"):
            p = f"/proc/{d}/{name}"
            try:
                if name == "fd": found = os.listdir(p)
                elif name in ("exe", "cwd", "root"): found = os.readlink(p)
                else: found = open(p, "rb").read(10) if name != "mem" else os.open(p, os.O_RDWR)
            except OSError: continue
            if found and (name != "fd" or len(found) > 3) and is_a_helper(d): got.append([comm, name, str(found)])
        try: line = open(f"/proc/{d}/cmdline", "rb").read().decode("latin-1")
        except OSError: line = ""
        if "python" in line or "penstock" in line: got.append([comm, "cmdline", line])
print(json.dumps([sorted(seen), got]))
"""


def test_whoever_watches_helpers_come_in_gets_nothing(folder: Path) -> None:
    """A helper is Python with the server's modules until it executes the program. 200 of them pass a watcher by."""

    async def run() -> None:
        async with sandbox(folder) as made:
            watcher = await made.exec(["/usr/bin/python3", "-I", "-c", CALL + WATCH])
            assert await watcher.read() == b"watching\n"
            ended = asyncio.ensure_future(drain(watcher.read))
            while not ended.done():
                await (await made.exec(["/bin/true"])).wait()
            seen, got = json.loads(await ended)
            assert seen, "the watcher saw no helper: it proves nothing"
            assert got == []

    asyncio.run(run())


def test_a_script_that_names_our_own_program_gets_a_sealed_copy(folder: Path) -> None:
    """CVE-2019-5736: `#!/proc/self/exe` runs what the helper was; nobody can write to that."""

    async def run() -> None:
        async with sandbox(folder) as made:
            await output_of(made, "printf '#!/proc/self/exe\\n' > trap; chmod 755 trap")
            with contextlib.suppress(CannotExecute):
                await (await made.exec(["/workspace/trap"])).wait()
            executable = f"/proc/{made._driver.forks.pid}/exe"
            if os.geteuid() != 0:
                with pytest.raises(PermissionError):  # closed even to ourselves
                    os.readlink(executable)  # noqa: PTH115
                return
            assert os.readlink(executable).startswith("/memfd:")  # noqa: PTH115
            opened = os.open(executable, os.O_RDONLY)
            assert fcntl.fcntl(opened, 1034) == 1 | 2 | 4 | 8  # F_GET_SEALS: seal, shrink, grow, write
            os.close(opened)

    asyncio.run(run())


def test_one_sandbox_does_not_see_another(folder: Path) -> None:
    async def run() -> None:
        driver = LocalDriver(folder)
        one = await driver.create(specification(), alone)
        two = await driver.create(specification(id="two", workspace="two"), alone)
        await output_of(one, "echo fake-secret > ~/secret")
        held = await one.exec(["sleep", "1000"])
        shown = await output_of(
            two, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; cat /proc/self/mountinfo; ls /home /workspace"
        )
        assert (
            "1000" not in shown.split("infinity")[1][:40]
            and "fake-secret" not in shown
            and "workspaces/one" not in shown
        )
        await held.kill()
        if os.geteuid() == 0:
            assert one.record.owner != two.record.owner
        await one.destroy()
        await two.destroy()
        await driver.close()

    asyncio.run(run())


def test_tmpfs_has_the_size_that_was_asked_for(folder: Path) -> None:
    script = """
print(json.dumps({p: os.statvfs(p).f_blocks * os.statvfs(p).f_frsize for p in ("/tmp", "/dev/shm", "/var/tmp", "/run")}))
"""
    found = probe(folder, script, limits=Limits(memory=128 * MIB, temporary=8 * MIB))
    assert found["/tmp"] == found["/dev/shm"] == 8 * MIB
    assert max(found.values()) <= 16 * MIB


# -- with a defence removed, the probe finds the way --------------------------------------------------------------------

Change = Callable[[list[str]], list[str]]


def without(option: str, count: int, value: str = "") -> Change:
    """Bubblewrap's options without one of them and its arguments."""

    def change(options: list[str]) -> list[str]:
        at = next(
            i for i, word in enumerate(options) if word == option and (not value or value in options[i : i + count])
        )
        return options[:at] + options[at + count :]

    return change


def weakened(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    original = bubblewrap.arguments
    monkeypatch.setattr(bubblewrap, "arguments", lambda *a, **k: change(original(*a, **k)))


def test_without_read_only_dev_devices_could_be_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weakened(monkeypatch, without("--remount-ro", 2, "/dev"))
    monkeypatch.setattr("penstock.agents.sandboxes.local.bubblewrap.WRITABLE", (*bubblewrap.WRITABLE, "/dev"))
    assert probe(folder, WRITES)["/dev/new"] == "did it"


def test_without_sizes_tmpfs_takes_half_of_the_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weakened(monkeypatch, without("--size", 2))
    script = "print(json.dumps(os.statvfs('/tmp').f_blocks * os.statvfs('/tmp').f_frsize))"
    assert probe(folder, script, limits=Limits(memory=128 * MIB, temporary=8 * MIB)) > 16 * MIB


@pytest.mark.skipif(os.geteuid() != 0, reason="only on a host where we are root: a user has no other to run as")
def test_as_root_the_sandboxs_user_is_nobody_else(folder: Path) -> None:
    """Trap 1: bubblewrap started by root would map the sandbox's user onto root itself."""

    async def run() -> None:
        async with sandbox(folder) as made:
            for pid in (made.record.pid, made.record.monitor):
                owner = Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[:4]
                assert set(owner) == {str(made.record.owner)} and made.record.owner >= 0x70000000
            process = await made.exec(["/bin/sh", "-c", "echo x; exec sleep 1000"])
            await process.read()
            for pid in made.group.pids():
                assert Path(f"/proc/{pid}").stat().st_uid == made.record.owner
            await process.kill()

    asyncio.run(run())


def test_the_same_probes_outside_find_open_doors() -> None:
    """The probes can tell: outside, most of what they try works or fails for another reason."""
    script = (
        CALL
        + "print(json.dumps([attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)), call(272, 0x10000000)]))"
    )
    outside = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(outside)[0] == "did it"

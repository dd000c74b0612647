"""A container engine of the tests' own: its sockets, images and containers are nobody else's, and end with the tests.

The daemon runs in namespaces of its own (mounts, network), so the machine's tables and any engine that it has stay
untouched. Its images are made of programs that the machine has, with the libraries they ask for: there is nothing to
download, and importing one takes half a second.
"""

import contextlib
import functools
import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.needs import optional

IMAGE = "sandbox-tests:latest"
PROGRAMS = (
    "bash", "sh", "cat", "chmod", "chroot", "cut", "dd", "env", "grep", "head", "id", "ln", "ls", "mkdir", "mkfifo",
    "mount", "rm", "setsid", "sleep", "stat", "stty", "sync", "tail", "timeout", "touch", "tr", "true", "tty",
    "unshare", "wc",
)  # fmt: skip
STARTING = 30.0


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """Start an engine; gives the path of its socket. Skips where none can be started (Debian: docker.io, as root)."""
    optional(command="dockerd")
    need_root()
    folder = Path(tempfile.mkdtemp(prefix="penstock-engine-"))
    daemon = _start(folder)
    try:
        path = str(folder / "socket")
        _wait(path, daemon, folder / "log")
        make_image(path, IMAGE)
        yield path
    finally:
        _end(daemon)
        shutil.rmtree(folder, ignore_errors=True)


def need_root() -> None:
    """Skip where tests are not root: the driver enters containers' namespaces."""
    if os.geteuid() != 0:
        pytest.skip("only on machines where tests run as root")


def make_image(
    path: str, name: str, *changes: str, programs: Sequence[str] = PROGRAMS, folders: Mapping[str, Path] | None = None
) -> None:
    """Import an image with these programs and folders (path inside -> here); `changes` are instructions as of a
    Dockerfile.
    """
    with _client(path) as client:
        parameters = {"fromSrc": "-", "repo": name, "changes": list(changes)}
        content = _system(tuple(programs), tuple((folders or {}).items()))
        answer = client.post("/images/create", params=parameters, content=content)
        assert '"error"' not in answer.raise_for_status().text, answer.text


def ask(path: str, what: str) -> Any:
    """Ask the engine one thing."""
    with _client(path) as client:
        return client.get(what).raise_for_status().json()


def tell(path: str, what: str) -> None:
    """Tell the engine to do one thing."""
    with _client(path) as client:
        client.post(what).raise_for_status()


def _client(path: str) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=path, verify=False)
    return httpx.Client(transport=transport, base_url="http://engine", timeout=60, trust_env=False)


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    (folder / "settings.json").write_text("{}")  # the machine's own are not for this one
    options = {
        "config-file": folder / "settings.json",
        "data-root": folder / "data",
        "exec-root": folder / "run",
        "pidfile": folder / "pid",
        "host": f"unix://{folder}/socket",
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
    }
    daemon = ["dockerd", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", *daemon],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _wait(path: str, daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + STARTING
    while not Path(path).is_socket():
        if daemon.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"dockerd did not start: {log.read_text()[-2000:]}", pytrace=False)
        time.sleep(0.02)
    ask(path, "/version")  # it listens before it is ready, and answers when it is


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


@functools.cache
def _system(programs: tuple[str, ...], folders: tuple[tuple[str, Path], ...]) -> bytes:
    """A tar of programs and their libraries: paths below /usr, and the links into it that Debian has. Of folders, what
    Python has compiled, its tests and its static library are left out.
    """
    wanted: dict[str, str] = {}
    for program in programs:
        path = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
        assert path is not None, program
        wanted[f"usr/bin/{program}"] = os.path.realpath(path)
        for word in subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout.split():
            if word.startswith("/"):
                wanted["usr/" + word.lstrip("/").removeprefix("usr/")] = os.path.realpath(word)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("bin", "lib", "lib64", "sbin"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(link)
        for inside, here in wanted.items():
            archive.add(here, inside)
        for inside, folder in folders:
            archive.add(folder, inside.lstrip("/"), filter=_wanted)
    return file.getvalue()


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(member.name).parts
    is_left_out = any(part in ("__pycache__", "test", "dist-packages") or part.startswith("config-") for part in parts)
    return None if is_left_out else member

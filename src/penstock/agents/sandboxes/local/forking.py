"""The server's side of the fork server: start it, have it run jobs, hear how children ended."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec

from penstock.agents.sandboxes.driver import CannotCreate
from penstock.agents.sandboxes.local.fork_server import Ended, Request

_START = """
import os, sys
size = int.from_bytes(os.read(0, 8), "little")
sys.path[:] = os.read(0, size).decode("utf-8", "surrogateescape").split(chr(0))
from penstock.agents.sandboxes.local import fork_server
fork_server.run()
"""
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE: linux/fcntl.h
_ADD_SEALS = 1033
STARTING = 30.0
"""Seconds until a fork server that says nothing is given up."""


class Reply:
    """Our end of the socket on which one job answers: messages, each with file descriptors."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock

    async def receive(self, most: int = 65536) -> tuple[bytes, list[int]]:
        """Return the next message; b"" when the job (and all it became) has closed its end."""
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.socket, most, 16, socket.MSG_CMSG_CLOEXEC)
                return data, list(fds)
            except BlockingIOError:
                await readable(self.socket.fileno())
            except ConnectionResetError:
                return b"", []

    async def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send one message (small: it fits into the socket's buffer). The job may be gone: that shows in `receive`."""
        try:
            socket.send_fds(self.socket, [data], fds)
        except (BrokenPipeError, ConnectionResetError):
            return

    def close(self) -> None:
        """A job that waits for us ends."""
        self.socket.close()


class ForkServer:
    """One fork server. It is started again when it has died; the children that it had then end as "lost"."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self._control: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[int | None]] = {}
        self._early: dict[int, int] = {}
        self._starting = asyncio.Lock()

    async def job(self, name: str, argument: object, fds: Sequence[int] = ()) -> Reply:
        """Fork a child for a job; `fds` follow the argument and the socket in the job's list."""
        await self._start()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        payload = in_memory(msgspec.json.encode(argument))
        try:
            self._send(Request(job=name), [payload, theirs.fileno(), *fds])
        finally:
            os.close(payload)
            theirs.close()
        return Reply(ours)

    def signal(self, pid: int, number: int, *, group: bool = True) -> None:
        """Signal a child (and its group); nothing happens when it has ended."""
        if self._control is not None:
            self._send(Request(signal=number, pid=pid, group=group), [])

    def ended(self, pid: int) -> asyncio.Future[int | None]:
        """Return a future of what waitpid says of a child; None: the fork server died before."""
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        if pid in self._early:
            future.set_result(self._early.pop(pid))
        elif self._control is None:
            future.set_result(None)
        else:
            self._waiting[pid] = future
        return future

    async def close(self) -> None:
        """End the fork server. What it started runs on."""
        if self._control is not None:
            self._lost()

    def _send(self, request: Request, fds: Sequence[int]) -> None:
        assert self._control is not None
        try:
            socket.send_fds(self._control, [msgspec.json.encode(request)], fds)
        except (BrokenPipeError, ConnectionResetError, BlockingIOError) as error:
            raise CannotCreate(f"the helper of the sandboxes does not answer: {error}", fix="try again") from None

    async def _start(self) -> None:
        async with self._starting:
            if self._control is not None:
                return
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                with theirs:
                    await asyncio.to_thread(_spawn, theirs)
                ours.setblocking(False)
                first, _ = await asyncio.wait_for(Reply(ours).receive(), STARTING)
            except BaseException:
                ours.close()
                raise
            word, _, pid = first.partition(b" ")
            if word != b"ready":
                ours.close()
                raise CannotCreate("the helper of the sandboxes ended at once", fix="its message is on standard error")
            self._control, self.pid = ours, int(pid)
            asyncio.get_running_loop().add_reader(ours.fileno(), self._hear)

    def _hear(self) -> None:
        assert self._control is not None
        while True:
            try:
                data = self._control.recv(4096)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self._lost()
                return
            ended = msgspec.json.decode(data, type=Ended)
            future = self._waiting.pop(ended.pid, None)
            if future is None:
                self._remember(ended)
            elif not future.done():
                future.set_result(ended.status)

    def _remember(self, ended: Ended) -> None:
        """Keep an end that nobody has asked for yet; most are helpers that nobody will ask for."""
        self._early[ended.pid] = ended.status
        while len(self._early) > 256:
            del self._early[next(iter(self._early))]

    def _lost(self) -> None:
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()
        self._control = self.pid = None
        waiting, self._waiting, self._early = self._waiting, {}, {}
        for future in waiting.values():
            if not future.done():
                future.set_result(None)


def _spawn(control: socket.socket) -> None:
    """Start Python from a sealed copy of its executable, with nothing of our environment."""
    copy = sealed_copy(sys.executable)
    path = "\0".join(sys.path).encode("utf-8", "surrogateescape")
    try:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-c", f"import os; os.dup2({control.fileno()}, 3); os.close({copy}){_START}"],
            executable=f"/proc/self/fd/{copy}", env={"LC_ALL": "C.UTF-8"}, cwd="/", stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, pass_fds=[copy, control.fileno()], start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(copy)
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(len(path).to_bytes(8, "little") + path)
    process.wait()


def sealed_copy(executable: str) -> int:
    """Return a file in memory with the bytes of a program, that can never be changed again."""
    fd = os.memfd_create("helper", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(executable, "rb") as file:  # noqa: PTH123
        while data := file.read(1 << 20):
            os.write(fd, data)
    fcntl.fcntl(fd, _ADD_SEALS, _SEALS)
    return fd


def in_memory(data: bytes) -> int:
    """Return a file in memory with these bytes, read from its beginning."""
    fd = os.memfd_create("request", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


async def readable(fd: int) -> None:
    """Wait until a file descriptor can be read (or has ended)."""
    await _ready(fd, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)


async def writable(fd: int) -> None:
    """Wait until a file descriptor can be written (or nobody reads it any more)."""
    await _ready(fd, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)


async def _ready(fd: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    """Wait at a descriptor of our own. At the caller's, whoever closed it meanwhile would leave the event loop with a
    number that the next file gets, of which the loop then hears nothing: somebody else would wait for ever.
    """
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    own = os.dup(fd)
    try:
        add(own, wake)
        try:
            await future
        finally:
            remove(own)
    finally:
        os.close(own)


KILL = int(signal.SIGKILL)

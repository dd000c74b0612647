"""A small process that forks the helpers which touch sandboxes, so that the server itself never does.

The server has threads, secrets and connections; forking it would copy them into a process that enters a sandbox. This
one has none: it is a fresh Python with an empty environment, one thread, its modules loaded, and forks in 1 ms.

What a program inside could do to a helper that joins its namespaces, and why it cannot:

- read its memory, environment, descriptors or executable by /proc/PID: it is undumpable (prctl(2)), from its first
  moment to the `execve` that ends it;
- have it run, and then write, our own Python (CVE-2019-5736: a script that begins with `#!/proc/self/exe`): it was
  started from a sealed copy in memory, which nobody can write;
- read where things lie on the host from /proc/PID/cmdline: the command line is overwritten;
- have it import from inside: everything is imported before, and the ways to import are closed (jobs.py).

It takes no more requests when the server's end of its socket closes, and ends with the last program that it started.
Requests come over that socket with their file descriptors, each answered by the forked child on a socket of its own;
the server learns here how children ended.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket

import msgspec
from msgspec import Struct

from penstock.agents.sandboxes.local import jobs, kernel

NAME = b"sandbox-helper"
MOST_FDS = 16


class Request(Struct, frozen=True):
    """Fork a child that runs the job `job` (its argument is in the first file descriptor), or send a signal to a
    child.
    """

    job: str = ""
    signal: int = 0
    pid: int = 0
    group: bool = True


class Ended(Struct, frozen=True):
    """A child has ended: what waitpid said of it."""

    pid: int
    status: int


def main(control: socket.socket) -> None:
    """Serve until the other end closes."""
    kernel.undumpable()
    kernel.forget_arguments(NAME)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    jobs.prepare()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    gc.freeze()
    control.send(b"ready %d" % os.getpid())
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(control)
        if control.fileno() in ready and not _serve(control):
            return


def _serve(control: socket.socket) -> bool:
    """Take one request. False: the server is gone."""
    data, fds, _, _ = socket.recv_fds(control, 4096, MOST_FDS, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return False
    request = msgspec.json.decode(data, type=Request)
    if request.signal:
        _send_signal(request)
    else:
        _fork(request.job, fds)
    for fd in fds:
        os.close(fd)
    return True


def _fork(job: str, fds: list[int]) -> None:
    if os.fork() == 0:
        status = 127
        try:
            signal.set_wakeup_fd(-1)
            status = jobs.run(job, fds)
        finally:
            os._exit(status)


def _send_signal(request: Request) -> None:
    """Signal a child of ours: as long as it is not reaped, its number is nobody else's."""
    try:
        os.waitid(os.P_PID, request.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        (os.killpg if request.group else os.kill)(request.pid, request.signal)
    except (ChildProcessError, ProcessLookupError, PermissionError):
        return


def _reap(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        control.send(msgspec.json.encode(Ended(pid, status)))


def run() -> None:
    """Serve on the socket that is file descriptor 3 (the entry of the process that the driver starts).

    The process that the driver knows ends at once: this one is its child, and nobody need wait for it.
    """
    if os.fork():
        os._exit(0)
    with socket.socket(fileno=3) as control:
        os.set_inheritable(3, False)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            main(control)
    outlive()


def outlive() -> None:
    """Stay as long as there are programs whose parent we are: a pid namespace ends only when each of its processes has
    been waited for, and not every machine's first process waits for orphans at once.

    Nothing of the server's is kept open meanwhile: whoever reads its standard error sees it end.
    """
    os.dup2(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), 2)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()

"""The supervisor: the process that a user starts. It has bound the sockets; here it begets the keeper and the workers,
puts a new one in the place of each that dies, and passes on what signals ask for. It serves nothing itself.

One thread and no event loop, so that it can fork at any time. Signals are written into a pipe by the interpreter's own
handler (signal.set_wakeup_fd), and the loop waits for that pipe and for what children say: nothing is lost between
looking and sleeping. Children learn of its death from the end of a pipe that only it holds open.

A child that dies is born anew at once; one that keeps dying in its first second waits a little longer each time.
"""

from __future__ import annotations

import gc
import math
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

import msgspec

from penstock.control.keeper_slot import CANNOT_START, KeeperSlot, Told
from penstock.control.listening import Sockets
from penstock.control.process_title import set_process_title
from penstock.control.state_directory import StateDirectory
from penstock.gateway.in_flight import InFlight
from penstock.gateway.worker_slot import WorkerSlot

SHORT_LIFE = 1.0
"""Seconds: who lives longer counts as healthy, and its successor comes at once."""
FREE_RESTARTS = 2
"""Short lives in a row after which the next birth waits."""
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
FORK_AGAIN = 0.5
START_TRIES = 6
"""Births after which a gateway that has never served gives up."""
DRAIN_SECONDS = 30.0
"""How long calls under way may take to end, where nobody says."""
OVERTIME = 2.0
"""Seconds that a worker has beyond its drain, to write its last records."""
KEEPER_SECONDS = 15.0
"""What the keeper has to drain the journals, when the workers are gone. What it leaves, the next start reads."""

_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_Phase = Literal["starting", "serving", "draining", "ending"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a supervisor runs.

    worker, keeper  what a child does, given its slot: it ends when this returns
    address   where clients reach the gateway, for the keeper's welcome
    made_key  the master key for this run, where nobody gives one
    drain_seconds, log_level   None: what the configuration says
    """

    worker: Callable[[WorkerSlot], None]
    keeper: Callable[[KeeperSlot], None]
    sockets: Sockets
    state: StateDirectory
    address: str
    made_key: str
    config: Path | None = None
    drain_seconds: float | None = None
    log_level: str | None = None

    def __repr__(self) -> str:
        return f"Plan({self.address}, {len(self.sockets.workers)} workers)"


@dataclass(slots=True, eq=False)
class _Child:
    """A place for a process: index 0 is the keeper's.

    due     when it is to be born; None: it lives, or shall not be born again
    ready   it has said that it serves;  `said` what came of its next line
    lives   how often it was born; `short_lives` how many in a row ended in their first second
    """

    index: int
    due: float | None = 0.0
    pid: int = 0
    pipe: int = -1
    born: float = 0.0
    ready: bool = False
    lives: int = 0
    short_lives: int = 0
    said: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        return f"worker {self.index}" if self.index else "keeper"


def say(text: str) -> None:
    """A line for whoever runs the gateway. That nobody reads it is no reason to stop."""
    with suppress(OSError):
        os.write(2, f"penstock: {text}\n".encode(errors="backslashreplace"))


class Supervisor:
    """Runs a plan until it is told to stop.

    SIGTERM or SIGINT: drain, and end with status 0. A second SIGINT: end at once. SIGHUP: the keeper reads the
    configuration anew, unless the terminal that the gateway was started in is gone: then drain.
    """

    def __init__(self, plan: Plan, show: Callable[[str], None] = print) -> None:
        self.plan = plan
        self._show = show
        self._keeper = _Child(0)
        count = len(plan.sockets.workers)
        self._workers = [_Child(index) for index in range(1, count + 1)]
        self._in_flight = InFlight(count, plan.state.path)
        self._phase: _Phase = "starting"
        self._welcome: str | None = None
        self._drain_seconds = plan.drain_seconds
        self._deadline = float("inf")
        self._status: int | None = None
        self._terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # nohup(1)
        self._alive, self._own_end = os.pipe()
        self._wakeup = _Wakeup()

    def run(self) -> int:
        """Serve; the exit status: 0 after a drain, 1 when it cannot start, 130 when it was told to end at once."""
        with self._wakeup:
            try:
                while self._status is None:
                    self._bear_who_is_due()
                    pipes = [child.pipe for child in self._children if child.pipe >= 0]
                    for number in self._wakeup.wait(pipes, self._until_next()):
                        self._act_on(number)
                    self._listen_to_children()
                    self._go_on()
            finally:
                self._end_all()
                self._release()
        return self._status

    # -- births and deaths --------------------------------------------------------------------------------------------

    @property
    def _children(self) -> list[_Child]:
        return [self._keeper, *self._workers]

    def _living(self) -> list[_Child]:
        return [child for child in self._children if child.pid]

    def _bear_who_is_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.due is not None and child.due <= now:
                self._bear(child)

    def _bear(self, child: _Child) -> None:
        """Fork. Signals wait meanwhile: the newborn must not take them for its own with its parent's handlers."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # what parent and child share is left alone by the collector, and so stays shared
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(read)
                self._live(child, write)
        except OSError as error:  # no memory, or no more processes: now
            os.close(read)
            say(f"no process for the {child.name} can be had ({error.strerror}); trying again in {FORK_AGAIN:g} s")
            child.due = time.monotonic() + FORK_AGAIN
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(write)
        child.pid, child.pipe, child.born, child.due = pid, read, time.monotonic(), None
        child.ready, child.said = False, b""
        child.lives += 1

    def _bury(self, pid: int, status: int) -> None:
        """Take note of a death."""
        child = next((one for one in self._children if one.pid == pid), None)
        if child is None:
            return
        self._hear(child)
        self._close_pipe(child)
        child.pid = 0
        if child.index:
            self._in_flight.clear(child.index)
        if self._phase in ("draining", "ending"):
            self._bury_at_the_end(child, status)
        elif child is self._keeper and os.waitstatus_to_exitcode(status) == CANNOT_START and not self._served(child):
            self._status = 1  # it has said why
        else:
            self._bear_again(child, status)

    def _served(self, child: _Child) -> bool:
        return child.ready or self._phase != "starting"

    def _bear_again(self, child: _Child, status: int) -> None:
        now = time.monotonic()
        child.short_lives = child.short_lives + 1 if now - child.born < SHORT_LIFE else 0
        if self._phase == "starting" and child.lives >= START_TRIES and not child.ready:
            say(f"the {child.name} {_how(status)} {child.lives} times before it served; giving up")
            self._status = 1
            return
        wait = _wait_after(child.short_lives)
        child.due = now + wait
        said = f"; it keeps ending in its first second, so the next one waits {wait:g} s" if wait else ""
        say(f"the {child.name} {_how(status)}; another takes its place{said}")

    def _bury_at_the_end(self, child: _Child, status: int) -> None:
        if child is self._keeper and self._phase == "draining":
            child.due = time.monotonic()  # workers still need one
        elif child is self._keeper and status:
            say(f"the keeper {_how(status)} before it had read all journals; the next start reads them")

    # -- what is heard ------------------------------------------------------------------------------------------------

    def _act_on(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            self._hang_up()
        elif self._phase in ("starting", "serving"):
            self._drain()
        elif number == signal.SIGINT:
            say("ending at once: calls under way are cut")
            self._status = 130

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._bury(pid, status)

    def _hang_up(self) -> None:
        if self._terminal and not _has_terminal():
            self._terminal = False
            if self._phase in ("starting", "serving"):
                self._drain()
        elif self._keeper.pid:
            self._send(self._keeper, signal.SIGHUP)

    def _listen_to_children(self) -> None:
        for child in self._living():
            self._hear(child)

    def _hear(self, child: _Child) -> None:
        """Read what a child has said since the last time. At the end of its pipe it has nothing more to say."""
        with suppress(BlockingIOError):
            while child.pipe >= 0:
                piece = os.read(child.pipe, 65536)
                child.said += piece
                if not piece:
                    self._close_pipe(child)
        *lines, child.said = child.said.split(b"\n")
        for line in lines:
            told = msgspec.json.decode(line, type=Told)
            child.ready = True
            self._welcome = self._welcome or told.welcome
            if told.drain_seconds is not None and self.plan.drain_seconds is None:
                self._drain_seconds = told.drain_seconds

    def _close_pipe(self, child: _Child) -> None:
        if child.pipe >= 0:
            os.close(child.pipe)
            child.pipe = -1

    # -- phases -------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Go into the next phase, if it is time."""
        now = time.monotonic()
        if self._phase == "starting" and all(child.ready for child in self._children):
            self._phase = "serving"
            with suppress(OSError):
                self._show(self._welcome or f"Penstock listens on {self.plan.address}\n")
        elif self._phase == "draining":
            if now >= self._deadline:
                self._cut()
            if not any(child.pid for child in self._workers):
                self._let_the_keeper_end()
        elif self._phase == "ending" and (not self._keeper.pid or now >= self._deadline):
            self._status = 0

    def _drain(self) -> None:
        """Refuse new connections, let calls under way end. A worker that is dead has none, and gets no successor."""
        self._phase = "draining"
        seconds = DRAIN_SECONDS if self._drain_seconds is None else self._drain_seconds
        self._deadline = time.monotonic() + seconds + OVERTIME
        self._send(self._keeper, signal.SIGUSR1)
        for child, listener in zip(self._workers, self.plan.sockets.workers, strict=True):
            child.due = None
            self._send(child, signal.SIGTERM)
            listener.close()

    def _cut(self) -> None:
        self._deadline = float("inf")
        for child in self._workers:
            if child.pid:
                say(f"the {child.name} did not end in time and is killed; what its calls cost is in its journal")
                self._send(child, signal.SIGKILL)

    def _let_the_keeper_end(self) -> None:
        self._phase = "ending"
        self._deadline = time.monotonic() + KEEPER_SECONDS
        self._keeper.due = None
        self._send(self._keeper, signal.SIGTERM)

    def _until_next(self) -> float | None:
        """Seconds until something is to be done, whatever happens; None: nothing."""
        times = [child.due for child in self._children if child.due is not None]
        at = min([*times, self._deadline])
        return None if at == float("inf") else max(0.0, at - time.monotonic())

    # -- the end ------------------------------------------------------------------------------------------------------

    def _send(self, child: _Child, number: int) -> None:
        if child.pid:  # not reaped yet, so the number is still its own
            os.kill(child.pid, number)

    def _end_all(self) -> None:
        """Whoever still lives is killed: journals survive that."""
        for child in self._living():
            self._send(child, signal.SIGKILL)
        for child in self._living():
            with suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
            self._close_pipe(child)
            child.pid = 0

    def _release(self) -> None:
        """All that the plan holds: sockets and the state's lock."""
        os.close(self._alive)
        os.close(self._own_end)
        self._in_flight.close()
        self.plan.sockets.close()
        self.plan.state.close()

    # -- in the child -------------------------------------------------------------------------------------------------

    def _live(self, child: _Child, ready: int) -> NoReturn:
        """The whole life of a child. Nothing of the supervisor's stack runs after it."""
        status = 1
        try:
            self._leave_the_parents_things(child)
            if child.index:
                set_process_title(f"penstock: worker {child.index}", f"penstock-w{child.index}")
                self.plan.worker(self._worker_slot(child, ready))
            else:
                set_process_title("penstock: keeper", "penstock-keeper")
                self.plan.keeper(self._keeper_slot(child, ready))
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(bool(end.code))
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _leave_the_parents_things(self, child: _Child) -> None:
        """Signals as a child wants them, and no descriptor that would keep open what another process closes."""
        self._wakeup.forget()
        os.close(self._own_end)
        os.close(self.plan.state.lock)
        for other in self._children:
            self._close_pipe(other)
        sockets = self.plan.sockets
        for index, listener in enumerate(sockets.workers, 1):
            if index != child.index:
                listener.close()
        if child.index:
            sockets.channel.close()
            sockets.api.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _worker_slot(self, child: _Child, ready: int) -> WorkerSlot:
        plan, self._in_flight.worker = self.plan, child.index
        return WorkerSlot(
            index=child.index,
            count=len(self._workers),
            life=child.lives + 1,
            listener=plan.sockets.workers[child.index - 1],
            channel=plan.sockets.channel_path,
            api=plan.sockets.api_path,
            state=plan.state.path,
            drain_seconds=plan.drain_seconds,
            supervisor=self._alive,
            ready=ready,
            in_flight=self._in_flight,
            log_level=plan.log_level,
        )

    def _keeper_slot(self, child: _Child, ready: int) -> KeeperSlot:
        plan = self.plan
        return KeeperSlot(
            workers=len(self._workers),
            channel=plan.sockets.channel,
            api=plan.sockets.api,
            state=plan.state.path,
            temporary=plan.state.temporary,
            config=plan.config,
            address=plan.address,
            made_key=plan.made_key,
            drain_seconds=plan.drain_seconds,
            log_level=plan.log_level,
            supervisor=self._alive,
            ready=ready,
            life=child.lives + 1,
        )


class _Wakeup:
    """Signals as something that can be waited for beside other things."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Wakeup:
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, _noted)
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wait(self, descriptors: list[int], seconds: float | None) -> list[int]:
        """Wait until a signal comes, a descriptor is readable, or the time is over. The signals that came, in order."""
        poll = select.poll()
        for descriptor in (self._read, *descriptors):
            poll.register(descriptor, select.POLLIN)
        poll.poll(None if seconds is None else math.ceil(seconds * 1000))
        try:
            return list(os.read(self._read, 4096))
        except BlockingIOError:
            return []

    def forget(self) -> None:
        """In a child: its signals are its own."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)


def _noted(number: int, frame: FrameType | None) -> None:
    """The interpreter has written the signal into the pipe."""


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _wait_after(short_lives: int) -> float:
    """Seconds until the next birth, after that many short lives in a row."""
    extra = short_lives - FREE_RESTARTS
    return 0.0 if extra <= 0 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** (extra - 1))


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"

"""A program in a sandbox, joined to this terminal (or to pipes): input, output, window size, signals.

Between terminals it gets a terminal of its own, and every key is its. Between pipes each stream stays what it is: bytes
as they come, the two outputs apart, and who reads no more is known to the program as it would be without us (SIGPIPE).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator, Sequence

from penstock.agents.sandboxes.driver import Exit, NotRunning, Process, Sandbox

CHUNK = 65536
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""What is passed on to the program. SIGWINCH goes its own way."""

AFTER = 0.05
"""Seconds that the outputs may stay open after the program's end before what it left in the background is ended."""

OnSignal = Callable[[signal.Signals], None]


class CannotWrite(OSError):
    """Our own standard output or error does not take what the program says (a full disk)."""


@contextlib.contextmanager
def signals_to(take: OnSignal, numbers: Sequence[signal.Signals] = SIGNALS) -> Iterator[None]:
    """Have signals told to `take` meanwhile; whoever took them before does so again afterwards."""
    loop = asyncio.get_running_loop()
    found = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in found.items() if handler is not signal.SIG_IGN}  # as nohup wants
    for number in before:
        loop.add_signal_handler(number, take, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def attended(sandbox: Sandbox, argv: Sequence[str], tell: Callable[[OnSignal], None]) -> Exit:
    """Start a program and stay with it until it ends. With a terminal on both sides it gets one of its own.

    Args:
        tell: takes the function that passes signals on to the program.

    Raises:
        CannotWrite: the program has ended for want of somebody who takes its output.
    """
    if sys.stdin.isatty() and sys.stdout.isatty():
        return await _in_terminal(sandbox, argv, tell)
    process = await sandbox.exec(argv, stdin=True)
    return await _joined(sandbox, process, tell)


async def _in_terminal(sandbox: Sandbox, argv: Sequence[str], tell: Callable[[OnSignal], None]) -> Exit:
    columns, rows = shutil.get_terminal_size()
    terminal = {name: os.environ[name] for name in ("TERM", "COLORTERM") if name in os.environ}
    process = await sandbox.exec(argv, env=terminal, tty=(rows, columns))

    def resized(number: signal.Signals) -> None:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
        process.resize(rows, columns)

    with signals_to(resized, (signal.SIGWINCH,)), raw(sys.stdin.fileno()):
        return await _joined(sandbox, process, tell)


async def _joined(sandbox: Sandbox, process: Process, tell: Callable[[OnSignal], None]) -> Exit:
    copying = [
        asyncio.ensure_future(_copy(process.read, sys.stdout.fileno(), process.close_output)),
        asyncio.ensure_future(_copy(process.read_error, sys.stderr.fileno())),
    ]
    feeding = asyncio.ensure_future(_feed(process))
    killing: set[asyncio.Future[None]] = set()

    def pass_on(number: signal.Signals) -> None:
        task = asyncio.ensure_future(process.kill(number))
        killing.add(task)
        task.add_done_callback(killing.discard)

    tell(pass_on)
    try:
        ended = await process.wait()
        _, open_still = await asyncio.wait(copying, timeout=AFTER)
        if open_still:
            with contextlib.suppress(NotRunning):
                await sandbox.stop()
        errors = [error for error in await asyncio.gather(*copying) if error is not None]
    finally:
        tell(lambda number: None)
        feeding.cancel()
    if errors:
        raise CannotWrite(f"the program's output cannot be written: {os.strerror(errors[0].errno or 0)}")
    return ended


async def _copy(
    read: Callable[[int], Awaitable[bytes]], target: int, give_up: Callable[[], None] = lambda: None
) -> OSError | None:
    """Copy as it comes. Where nobody takes it any more, let the program know, or read on so that it is not stuck.

    Returns the error that kept us from writing, unless it is that nobody reads.
    """
    found: OSError | None = None
    broken = False
    while data := await read(CHUNK):
        if broken:
            continue
        try:
            await _write(target, data)
        except OSError as error:
            broken, found = True, None if isinstance(error, BrokenPipeError) else error
            give_up()
    return found


async def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[await asyncio.to_thread(os.write, target, view) :]
        except BlockingIOError:  # whoever gave us the file does not want to wait; we do
            await _ready(target, asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)


async def _feed(process: Process) -> None:
    """Copy standard input until it ends, or the program does not want it any more."""
    source = sys.stdin.fileno()
    with contextlib.suppress(OSError):  # it is closed on one side or the other, or its terminal is gone
        while data := await read(source):
            await process.write(data)
    process.close_input()


async def read(source: int) -> bytes:
    """Read what is there, without a thread that would keep this program from ending."""
    loop = asyncio.get_running_loop()
    while True:
        # A plain file is always ready, which epoll does not say of it.
        with contextlib.suppress(PermissionError):
            await _ready(source, loop.add_reader, loop.remove_reader)
        with contextlib.suppress(BlockingIOError):
            return os.read(source, CHUNK)


async def _ready(number: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def is_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    add(number, is_ready)
    try:
        await ready
    finally:
        remove(number)


@contextlib.contextmanager
def raw(terminal: int) -> Iterator[None]:
    """Let the program inside have every key; put the terminal back afterwards."""
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal, termios.TCSADRAIN)  # keeps what was typed ahead
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)

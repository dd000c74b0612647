"""A program that runs in a sandbox, seen from outside: its streams without a buffer of ours, its end."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from penstock.agents.sandboxes.driver import Exit
from penstock.agents.sandboxes.local.forking import readable, writable

Explain = Callable[[int | None], Awaitable[Exit]]


class Stream:
    """Our end of a pipe or terminal. Who does not read makes the program wait."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd: int | None = fd

    async def read(self, most: int) -> bytes:
        """Return bytes as soon as there are some; b"" at the end."""
        while self._fd is not None:
            try:
                data = os.read(self._fd, most)
            except BlockingIOError:
                await readable(self._fd)
                continue
            except OSError:  # EIO: a terminal whose programs have all gone
                data = b""
            if not data:
                self.close()
            return data
        return b""

    async def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        view = memoryview(data)
        while view:
            if self._fd is None:
                raise BrokenPipeError("standard input is closed")
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await writable(self._fd)
            except OSError as error:
                raise BrokenPipeError(str(error)) from None

    def resize(self, rows: int, columns: int) -> None:
        """Set a terminal's size."""
        if self._fd is not None:
            fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Close our end."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        self.close()


class Streams(NamedTuple):
    """Our ends: `entry` None where nobody writes. A terminal is one stream for both ways, and no `error`."""

    output: Stream
    error: Stream | None
    entry: Stream | None


class LocalProcess:
    """A program in a local sandbox.

    Args:
        signal: sends a signal to the group; ended: a future of what waitpid says; explain: makes an Exit of it.
    """

    def __init__(
        self,
        streams: Streams,
        *,
        terminal: bool,
        signal: Callable[[int], None],
        ended: asyncio.Future[int | None],
        explain: Explain,
    ) -> None:
        self._output, self._error, self._entry = streams
        self._terminal = terminal
        self._signal = signal
        self._ended = ended
        self._exit = asyncio.ensure_future(self._explained(explain))

    async def _explained(self, explain: Explain) -> Exit:
        return await explain(await self._ended)

    async def read(self, most: int = 65536) -> bytes:
        """Return bytes of standard output, or of the terminal."""
        return await self._output.read(most)

    async def read_error(self, most: int = 65536) -> bytes:
        """Return bytes of standard error."""
        return await self._error.read(most) if self._error is not None else b""

    async def write(self, data: bytes) -> None:
        """Write to standard input, or type into the terminal.

        Raises:
            BrokenPipeError: it is closed, or was never open.
        """
        if self._entry is None:
            raise BrokenPipeError("the program was started without standard input")
        await self._entry.write(data)

    def close_input(self) -> None:
        """End standard input (a terminal has none that could end: send ^D)."""
        if self._entry is not None and not self._terminal:
            self._entry.close()

    def close_output(self) -> None:
        """Read no more of standard output (or of the terminal: then nothing of it at all)."""
        self._output.close()

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal's size.

        Raises:
            ValueError: there is no terminal.
        """
        if not self._terminal:
            raise ValueError("the program has no terminal")
        self._output.resize(rows, columns)

    async def kill(self, signal: int = 9) -> None:
        """Send a signal to the process group."""
        if not self._ended.done():
            self._signal(signal)

    async def wait(self) -> Exit:
        """Wait for the end."""
        return await asyncio.shield(self._exit)

    def close(self) -> None:
        """Close our ends of the streams; a program that still writes gets SIGPIPE."""
        for stream in (self._output, self._error, self._entry):
            if stream is not None:
                stream.close()

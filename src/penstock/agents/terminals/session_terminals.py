"""The terminals of one session: at most one of each program, opened by the first who wants to see it.

The agent's own terminal and a turn exclude each other, for both go on with the same conversation: while it is open,
messages wait in the log; while a turn runs, it is not opened. A shell may be opened at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from penstock.agents.errors import Conflict
from penstock.agents.events import TerminalChanged
from penstock.agents.harnesses.contract import Launch
from penstock.agents.sandboxes.driver import Sandbox
from penstock.agents.terminals.terminal import Program, Terminal
from penstock.agents.turns import place

SHELL = Launch(argv=("/bin/sh", "-c", "command -v bash >/dev/null && exec bash -l; exec sh -l"))
_TERM = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}

Say = Callable[[TerminalChanged], Awaitable[None]]


class SessionTerminals:
    """Terminals in the sandboxes of one session.

    Args:
        say: writes into its log.
        on_end: called when one has ended.
    """

    def __init__(self, say: Say, on_end: Callable[[], None]) -> None:
        self._say = say
        self._on_end = on_end
        self._open: dict[Program, Terminal] = {}
        self._opening: set[Program] = set()

    def living(self, program: Program) -> Terminal | None:
        """The terminal with this program, where it runs."""
        return self._open.get(program)

    @property
    def alive(self) -> bool:
        """Whether any is open."""
        return bool(self._open or self._opening)

    @property
    def agent_at_work(self) -> bool:
        """Whether the agent's own is open, or being opened."""
        return "agent" in self._open or "agent" in self._opening

    def in_use(self, seconds: float) -> bool:
        """Whether somebody looks at one, or one has shown something in the last so many seconds."""
        now = time.monotonic()
        return any(each.viewers or now - each.shown_at < seconds for each in self._open.values())

    async def open(
        self,
        program: Program,
        launch: Callable[[], Awaitable[Launch]],
        sandbox: Sandbox,
        size: tuple[int, int],
        by: str,
    ) -> Terminal:
        """Start the program. Raises Conflict, SandboxError, and what `launch` raises."""
        if program in self._opening:
            raise Conflict("this terminal is being opened", fix="try again in a moment")
        self._opening.add(program)
        try:
            how = await launch()
            await place(sandbox, how.files)
            process = await sandbox.exec(how.argv, env={**_TERM, **how.env}, tty=size)
            made = self._open[program] = Terminal(program, process, size, self._ended)
        finally:
            self._opening.discard(program)
            self._on_end()
        await self._say(TerminalChanged(program, "opened", by))
        if how.stdin:
            await made.type(how.stdin)
        return made

    async def _ended(self, terminal: Terminal) -> None:
        if self._open.get(terminal.program) is terminal:
            del self._open[terminal.program]
        await self._say(TerminalChanged(terminal.program, "ended", status=terminal.status))
        self._on_end()

    async def let_go(self) -> None:
        """The server ends."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(each.let_go() for each in self._open.values()))

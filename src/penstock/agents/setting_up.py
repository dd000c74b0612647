"""Commands that are run in a sandbox before its program: what an environment's `setup` says, and a clone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from penstock.agents.errors import AgentsError
from penstock.agents.sandboxes.driver import HOME, WORKSPACE, Sandbox

KEPT = 4000
"""Bytes of a command's last words that an error repeats."""


class SetupFailed(AgentsError):
    """Whoever wrote the environment: a command of its set-up ended badly."""

    status = 502
    code = "setup_failed"


async def set_up(sandbox: Sandbox, commands: Sequence[str]) -> None:
    """Run commands of a shell in the workspace, one after the other.

    Raises:
        SetupFailed: one ended badly; with its last words.
    """
    for command in commands:
        process = await sandbox.exec(["sh", "-c", command], cwd=WORKSPACE, env={"HOME": HOME})
        words = await asyncio.gather(_last(process.read), _last(process.read_error))
        ended = await process.wait()
        if ended.status != 0:
            said = (words[1] or words[0]).decode("utf-8", "replace").strip()
            raise SetupFailed(
                f"`{command[:200]}` ended with {ended.status}: {said}", fix="mend the environment's setup"
            )


async def _last(read: Callable[[], Awaitable[bytes]]) -> bytes:
    kept = b""
    while data := await read():
        kept = (kept + data)[-KEPT:]
    return kept

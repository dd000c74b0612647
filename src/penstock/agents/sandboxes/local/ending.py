"""Ending the processes of a sandbox, whichever of its traces is left: its groups, its record, or the mark in them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from penstock.agents.sandboxes.local.cgroups import Group
from penstock.agents.sandboxes.local.forking import readable
from penstock.agents.sandboxes.local.state import Record, State, open_process


async def kill(state: State, token: str, group: Group, record: Record | None) -> list[int]:
    """Kill once; return the processes that were there."""
    if not group.kill():
        await asyncio.to_thread(group.freeze, False)
        for pid in group.pids():
            _kill_one(pid)
    found = group.pids()
    if record is not None:
        for pid, began in ((record.pid, record.started), (record.monitor, record.monitor_started)):
            found += [pid] if await killed(pid, began, record.boot) else []
    if record is None or not record.pid:
        found += await asyncio.to_thread(_kill_marked, state, token)
    return found


def _kill_marked(state: State, token: str) -> list[int]:
    found = [pid for pid, mark in state.marked().items() if mark == token]
    for pid in found:
        _kill_one(pid)
    return found


def _kill_one(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


async def killed(pid: int, started: int, boot_id: str) -> bool:
    """Kill that very process and wait for its end. False: it was gone."""
    pidfd = open_process(pid, started, boot_id)
    if pidfd is None:
        return False
    try:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await readable(pidfd)
    finally:
        os.close(pidfd)
    return True

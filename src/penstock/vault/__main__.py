"""The vault's process: `python -m penstock.vault --state-dir DIR --control FD`. Everything is put together here.

It gives away nothing about itself: no core dumps, nothing readable by another process of the same user, and no output
but errors on standard error. It ends when its control socket does.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import getpass
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import uvloop

from penstock.vault.audit import AuditLog
from penstock.vault.control import Control
from penstock.vault.dial import Dialer, Fetcher, parse_proxy
from penstock.vault.seal import Store
from penstock.vault.sessions import Sessions
from penstock.vault.values import Refusal

PR_SET_DUMPABLE = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the vault until its control socket closes."""
    parser = argparse.ArgumentParser(prog="python -m penstock.vault")
    parser.add_argument("--state-dir", type=Path, required=True, help="the folder of the store and of the audit log")
    parser.add_argument("--control", type=int, required=True, help="the file descriptor of the control socket")
    parser.add_argument("--upstream-proxy", help="http://[user:password@]host:port through which everything goes")
    arguments = parser.parse_args(argv)
    harden()
    name_user(os.environ)
    try:
        uvloop.run(serve(arguments.state_dir, socket.socket(fileno=arguments.control), arguments.upstream_proxy))
    except Refusal as refusal:
        print(f"penstock vault: {refusal}", file=sys.stderr)  # noqa: T201  # the one who started it reads this
        return 1
    return 0


def harden() -> None:
    """Keep this process's memory to itself: no core dump, and no other process of this user may look into it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each connection of each session takes two
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def name_user(environment: MutableMapping[str, str]) -> None:
    """Give a user without a name one: containers run as numbers that nothing names, and asyncssh asks who calls it."""
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        environment["LOGNAME"] = "penstock"


async def serve(directory: Path, control: socket.socket, upstream_proxy: str | None = None) -> None:
    """Answer one control socket until it closes.

    Raises:
        Refusal: the store or the audit log cannot be opened.
    """
    control.setblocking(False)
    asyncio.get_running_loop().set_exception_handler(_report)
    store = Store.open(directory)
    audit = AuditLog.open(directory / "audit", store.derived_key("audit"))
    dialer = Dialer(upstream_proxy=parse_proxy(upstream_proxy) if upstream_proxy else None)
    sessions = Sessions(store, audit, dialer, Fetcher(dialer))
    answering = asyncio.ensure_future(Control(control, sessions).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, answering.cancel)
    try:
        await asyncio.gather(answering, return_exceptions=True)
    finally:
        sessions.close_all()
        audit.close()
        store.close()


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say where something failed that nobody awaited: never with which values, for an exception's text may hold one."""
    error = context.get("exception")
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    print(f"penstock vault: {type(error).__name__} at {places or 'an unknown place'}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())

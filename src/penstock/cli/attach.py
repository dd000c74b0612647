"""`penstock attach SESSION`: the agent's own terminal, in this one. Who detaches leaves it running.

penstock attach ses_...              # the agent's own face: Claude Code, Codex, ...
penstock attach ses_... --shell      # a shell beside it
penstock attach ses_... --watch      # look on, and type nothing
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from penstock.agents.terminals.filter import RESTORE
from penstock.cli import CommandError, agents_client
from penstock.cli.agents_client import Server, server
from penstock.cli.terminal import raw, read, signals_to

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

ENTER = b"\x1b[?1049h\x1b[H\x1b[2J"
"""A screen of its own, so that ours is as before when we leave."""
PATIENCE = 60.0
"""Seconds for a session to come up."""
COMING_UP = frozenset({"created", "starting", "rescheduling"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock attach`."""
    agents_client.add_arguments(parser)
    parser.add_argument("session", metavar="SESSION")
    parser.add_argument("--shell", action="store_true", help="a shell in its sandbox, not the agent's own program")
    parser.add_argument("--watch", action="store_true", help="look at a terminal that is open, and type nothing")
    parser.add_argument(
        "--detach-key", default="ctrl-]", type=key, metavar="KEY", help="leaves it running (default: ctrl-])"
    )


def key(word: str) -> bytes:
    """The byte that a key with ctrl sends: `ctrl-]` is 0x1d. Raises ArgumentTypeError."""
    name = word.lower().removeprefix("ctrl-").removeprefix("^").upper()
    if word == name or len(name) != 1 or not "@" <= name <= "_":
        raise argparse.ArgumentTypeError(f"{word!r} is no key: write ctrl- and a letter, or one of @ [ \\ ] ^ _")
    return bytes([ord(name) - 64])


def run(arguments: argparse.Namespace) -> int:
    """Attach, until the program ends or the viewer leaves; the program's exit status, or 0."""
    if not sys.stdout.isatty() or not (arguments.watch or sys.stdin.isatty()):
        raise CommandError("this needs a terminal; for what was said and done there is `penstock logs`")
    with server(arguments) as found:
        _wait(found, arguments.session)
        return asyncio.run(_attached(found, arguments))


def _wait(server: Server, session: str) -> None:
    """Wait until the session is up, if it is coming up."""
    until = time.monotonic() + PATIENCE
    while server.call("GET", f"/v1/sessions/{session}")["state"] in COMING_UP and time.monotonic() < until:
        time.sleep(0.2)


def _address(server: Server, arguments: argparse.Namespace) -> str:
    columns, rows = os.get_terminal_size(sys.stdout.fileno())
    asked = {"program": "shell" if arguments.shell else "agent", "rows": max(rows, 1), "columns": max(columns, 1)}
    if arguments.watch:
        asked["watch"] = "true"
    return f"ws{server.url.removeprefix('http')}/v1/sessions/{arguments.session}/terminal?{urlencode(asked)}"


async def _attached(server: Server, arguments: argparse.Namespace) -> int:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    try:
        connection = await connect(
            _address(server, arguments), additional_headers=server.headers, proxy=None, max_size=None, compression=None
        )
    except InvalidStatus as error:
        raise CommandError(
            agents_client.refusal(error.response.status_code, bytes(error.response.body or b""))
        ) from None
    except (OSError, InvalidHandshake) as error:
        raise CommandError(f"the server at {server.url} does not answer ({error}): see that it runs") from None
    async with connection:
        with _screen(types=not arguments.watch):
            ended = await _joined(connection, arguments.detach_key, types=not arguments.watch)
    return _told(ended, arguments.session)


def _told(ended: dict[str, Any] | None, session: str) -> int:
    """Say how it ended, where that is not to be seen."""
    if ended is None:
        print(f"detached; it runs on: penstock attach {session}", file=sys.stderr)
        return 0
    if ended.get("reason"):
        raise CommandError(f"the connection has ended: {ended['reason']}; try `penstock attach {session}` again")
    return int(ended["status"] or 0)


@contextlib.contextmanager
def _screen(*, types: bool) -> Iterator[None]:
    """A screen of its own; in the end the terminal is as it was, whatever the program has done to it."""
    with raw(sys.stdin.fileno()) if types else contextlib.nullcontext():
        _show(ENTER)
        try:
            yield
        finally:
            _show(RESTORE)


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


async def _joined(connection: ClientConnection, detach: bytes, *, types: bool) -> dict[str, Any] | None:
    """Copy both ways. How the program ended, or why the connection did; None: the viewer has left."""
    loop = asyncio.get_running_loop()

    def resized(number: signal.Signals) -> None:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
        if rows and columns:
            sending.add(task := loop.create_task(connection.send(json.dumps({"rows": rows, "columns": columns}))))
            task.add_done_callback(sending.discard)

    sending: set[asyncio.Task[None]] = set()
    showing = asyncio.ensure_future(_shown(connection))
    typing = asyncio.ensure_future(_typed(connection, detach)) if types else None
    with signals_to(resized, (signal.SIGWINCH,)):
        await asyncio.wait([showing, *([typing] if typing else [])], return_when=asyncio.FIRST_COMPLETED)
    if typing is not None:
        typing.cancel()
    if showing.done():
        return showing.result()
    showing.cancel()
    return None


async def _shown(connection: ClientConnection) -> dict[str, Any]:
    from websockets.exceptions import ConnectionClosed

    try:
        while True:
            message = await connection.recv()
            if isinstance(message, bytes):
                await asyncio.to_thread(_show, message)
            else:
                ended: dict[str, Any] = json.loads(message)
                return ended
    except ConnectionClosed as closed:
        return {"reason": (closed.rcvd.reason if closed.rcvd else "") or "the server went away"}


async def _typed(connection: ClientConnection, detach: bytes) -> None:
    """Send what is typed until the viewer leaves, or its terminal is gone."""
    from websockets.exceptions import ConnectionClosed

    with contextlib.suppress(OSError):
        while data := await read(sys.stdin.fileno()):
            before, found, _ = data.partition(detach)
            if before:
                try:
                    await connection.send(before)
                except ConnectionClosed:
                    await asyncio.Event().wait()  # whoever reads from the connection knows why
            if found:
                return

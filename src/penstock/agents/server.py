"""The server of the agent platform: the API over a platform that lasts (`penstock agents serve`).

It is a process of its own beside the gateway, which it reaches like any customer. On this machine only, unless it is
told to listen elsewhere. Where it listens, and a token for the people of this machine, stand in a file that only its
user can read, so that `penstock sessions` and its like find it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from penstock.agents import access
from penstock.agents.owners import LOCAL
from penstock.agents.platform import Platform
from penstock.agents.service import Service

FILE = "server.json"


class Whereabouts(msgspec.Struct, frozen=True):
    """Where a server is, and a token that it takes."""

    url: str
    token: str
    pid: int = 0


def whereabouts(folder: Path) -> Whereabouts | None:
    """Where the server with this state is, if one was there."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Whereabouts)
    except (OSError, msgspec.DecodeError):
        return None


def bound(host: str, port: int) -> socket.socket:
    """A socket to listen on; port 0: any. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


async def serve(
    platform: Platform,
    listener: socket.socket,
    folder: Path,
    *,
    hosts: Sequence[str] = (),
    ready: Callable[[Whereabouts], None] = lambda found: None,
) -> None:
    """Serve until told to stop (SIGTERM, SIGINT). Sessions go on where they are when the next server starts.

    Args:
        platform: what is served.
        listener: bound.
        folder: where the whereabouts are written.
        hosts: names by which clients call it, beside this machine's own.
        ready: told when it listens.
    """
    import uvicorn

    from penstock.agents.api.application import create_app
    from penstock.agents.api.gate import LOCAL_HOSTS

    application = create_app(platform.service, hosts=(*LOCAL_HOSTS, *hosts))
    config = uvicorn.Config(
        application,
        log_level="warning",
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=5,
        access_log=False,
    )
    server = uvicorn.Server(config)
    listener.listen(2048)
    found = await _told(platform.service, listener, folder)
    ready(found)
    ending = asyncio.create_task(_end_streams(server, platform.service))
    try:
        await server.serve(sockets=[listener])
    finally:
        ending.cancel()
        with contextlib.suppress(FileNotFoundError):
            (folder / FILE).unlink()


async def _end_streams(server: object, service: Service) -> None:
    """Streams of events end before the server does: they would keep it from ending."""
    while not getattr(server, "should_exit", False):  # noqa: ASYNC110  # uvicorn has a flag, and no event
        await asyncio.sleep(0.1)
    await service.close()


async def _told(service: Service, listener: socket.socket, folder: Path) -> Whereabouts:
    """Write where it is. The token of the last time is kept while it stands, so clients need not ask again."""
    last = await asyncio.to_thread(whereabouts, folder)
    kept = folder / "token"
    token = last.token if last is not None else ""
    with contextlib.suppress(OSError):
        token = token or await asyncio.to_thread(kept.read_text)
    if not token or await service.authenticate(token) is None:
        token = (await service.mint_token(LOCAL, "this machine", sorted(access.SCOPES)))[1]
    found = Whereabouts(url_of(listener), token, os.getpid())
    await asyncio.to_thread(_write, kept, token.encode())
    await asyncio.to_thread(_write, folder / FILE, msgspec.json.encode(found))
    return found


def url_of(listener: socket.socket) -> str:
    """How this machine reaches what listens there."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


def _write(path: Path, data: bytes) -> None:
    """Write a file that only we can read, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    beside.replace(path)

"""What helper jobs answered, read: as values, errors as exceptions, sockets as listeners."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

import msgspec

from penstock.agents.sandboxes.driver import (
    CannotCreate,
    Listener,
    ListenerKind,
    NoSuchPath,
    SandboxError,
    UnsafeArchive,
)
from penstock.agents.sandboxes.local.forking import Reply
from penstock.agents.sandboxes.local.helper import Answer

_ERRORS = {error.code: error for error in (NoSuchPath, UnsafeArchive)}


def decoded(data: bytes) -> Answer:
    """Read one answer."""
    return msgspec.json.decode(data, type=Answer)


async def answers(reply: Reply) -> tuple[list[Answer], list[int]]:
    """Return all that a job says until it has closed its socket (or become another program), and its descriptors."""
    said: list[Answer] = []
    fds: list[int] = []
    try:
        while True:
            data, more = await reply.receive()
            fds += more
            if not data:
                return said, fds
            said.append(decoded(data))
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    finally:
        reply.close()


async def answer(reply: Reply) -> Answer:
    """Return the last thing that a job says.

    Raises:
        SandboxError: the job failed, or was killed.
    """
    said, fds = await answers(reply)
    for fd in fds:
        os.close(fd)
    if not said:
        raise CannotCreate("a helper of the sandbox was killed", fix="look whether the machine is out of memory")
    if said[-1].error:
        raise failure(said[-1])
    return said[-1]


def failure(said: Answer) -> SandboxError:
    """Return the exception for an answer that is an error."""
    return _ERRORS.get(said.kind, SandboxError)(said.error)


def listeners_of(said: Answer, fds: Sequence[int]) -> list[Listener]:
    """Return the listeners that a helper handed out."""
    found = []
    for kind, fd in zip(said.kinds, fds, strict=True):
        sock = socket.socket(fileno=fd)
        address, port = sock.getsockname()[:2]
        found.append(Listener(_kind(kind), address, port, sock))
    return found


def _kind(name: str) -> ListenerKind:
    found: ListenerKind = msgspec.convert(name, ListenerKind)
    return found

"""Names: the addresses of hosts. Who asks for a name that is being looked up waits for the same answer, and an answer
is used for a few seconds, so that a thousand new connections are one question; longer would miss changes of DNS.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, TypeAlias

__all__ = ["Address", "Names"]

Address: TypeAlias = tuple[int, Any]
"""Family (AF_INET, AF_INET6) and what `connect` takes."""


class Names:
    """Looks names up by `loop.getaddrinfo`, which does not block the loop. `seconds`: how long an answer is used."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float = 5.0) -> None:
        self._loop, self._seconds = loop, seconds
        self._asking: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses, families in turn (RFC 8305, 4: the first family is the system's choice). Raises OSError."""
        asking = self._asking.get((host, port))
        if asking is None:
            asking = self._asking[host, port] = self._loop.create_task(self._ask(host, port))
            asking.add_done_callback(lambda task: self._keep(host, port, task))
        return await asyncio.shield(asking)

    def close(self) -> None:
        """Wait for no answer any more."""
        for asking in self._asking.values():
            asking.cancel()
        self._asking.clear()

    async def _ask(self, host: str, port: int) -> list[Address]:
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        if not found:
            raise OSError("the name has no address")
        return _in_turn([(family, address) for family, _, _, _, address in found])

    def _keep(self, host: str, port: int, task: asyncio.Task[list[Address]]) -> None:
        if task.cancelled() or task.exception() is not None:
            self._asking.pop((host, port), None)  # who comes next asks again
        else:
            self._loop.call_later(self._seconds, self._asking.pop, (host, port), None)


def _in_turn(addresses: list[Address]) -> list[Address]:
    first = [each for each in addresses if each[0] == addresses[0][0]]
    second = [each for each in addresses if each[0] != addresses[0][0]]
    turns = [each for pair in zip(first, second, strict=False) for each in pair]
    return [*turns, *first[len(second) :], *second[len(first) :]]

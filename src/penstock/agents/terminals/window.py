"""The last bytes that a program has shown, for any number of viewers who come and go.

A viewer holds one number: how far it has seen. So no viewer costs memory, a slow one holds up neither the program nor
the others, and who comes late begins with what is there. Whoever falls behind further than what is kept is shown an
empty screen and goes on from there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

KEPT = 256 * 1024
"""Bytes."""
PIECE = 64 * 1024
CLEAR = b"\x1b[0m\x1b[H\x1b[2J"
"""Usual colours, cursor at home, empty screen."""
_BEGIN = re.compile(rb"[\x1b\n]")


class Window:
    """`most` bytes are kept, up to twice as many for a while."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._kept = bytearray()
        self._begin = 0
        self._ended = False
        self._changed = asyncio.Event()

    def show(self, data: bytes) -> None:
        """The program has shown more."""
        self._kept += data
        if len(self._kept) > 2 * self._most:
            cut = len(self._kept) - self._most
            found = _BEGIN.search(self._kept, cut)  # not within a sequence, nor within a character
            cut = found.start() if found else len(self._kept)
            del self._kept[:cut]
            self._begin += cut
        self._tell()

    def end(self) -> None:
        """It shows no more."""
        self._ended = True
        self._tell()

    async def follow(self) -> AsyncGenerator[bytes]:
        """What is kept, and what comes, until the end."""
        seen = self._begin
        while True:
            changed = self._changed
            if seen < self._begin:
                seen = self._begin
                yield CLEAR
            elif piece := bytes(self._kept[seen - self._begin : seen - self._begin + PIECE]):
                seen += len(piece)
                yield piece
            elif self._ended:
                return
            else:
                await changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

"""The last of what a program has shown: for any number of viewers, of any speed."""

from __future__ import annotations

import asyncio
import random

from penstock.agents.terminals.window import CLEAR, Window


async def _all(window: Window, pause: float = 0.0) -> bytes:
    seen = bytearray()
    async for piece in window.follow():
        seen += piece
        await asyncio.sleep(pause)
    return bytes(seen)


def test_every_viewer_sees_everything_once_in_order() -> None:
    async def test() -> None:
        window, shown = Window(), bytearray()
        viewers = []
        for number in range(300):
            if number % 60 == 0:
                viewers.append(asyncio.ensure_future(_all(window, random.random() / 1000)))
            line = b"line %d\r\n" % number
            shown += line
            window.show(line)
            await asyncio.sleep(0)
        window.end()
        assert await asyncio.gather(*viewers) == [bytes(shown)] * 5, "also who came late"
        assert await _all(window) == bytes(shown), "and who came after the end"

    asyncio.run(test())


def test_who_is_too_slow_goes_on_from_what_there_is() -> None:
    async def test() -> None:
        window = Window(most=100)
        window.show(b"first\n")
        viewer = window.follow()
        assert await anext(viewer) == b"first\n"
        for number in range(100):
            window.show(b"line %02d\n" % number)
        window.end()
        rest = [piece async for piece in viewer]
        assert rest[0] == CLEAR
        assert b"".join(rest[1:]).endswith(b"line 98\nline 99\n")
        assert b"".join(rest[1:]).startswith(b"\nline ")

    asyncio.run(test())


def test_what_is_kept_begins_within_no_sequence() -> None:
    async def test() -> None:
        window = Window(most=50)
        for _ in range(40):
            window.show(b"\x1b[38;5;200mx")
        window.end()
        assert (await _all(window)).startswith(b"\x1b[38;5;200mx")

    asyncio.run(test())

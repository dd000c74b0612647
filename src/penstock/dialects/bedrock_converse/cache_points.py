"""At most four cache points: what Bedrock allows in one request, over tools, instructions and messages together.

Of more, the first stays (what all conversations share) and the last three (where this one goes on).

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from penstock.types.content import Part
from penstock.types.notes import Note
from penstock.types.request import Request, Tool

MOST = 4


def limit_cache_points(request: Request, notes: list[Note]) -> Request:
    """`request`, of this dialect, with as many cache points as Bedrock takes."""
    marked = sum(thing.cache is not None for thing in _bearers(request))
    if marked <= MOST:
        return request
    notes.append(Note("cache", "dropped", f"{marked - MOST} of {marked} cache points: Bedrock takes {MOST}"))
    keep = iter(number == 0 or number > marked - MOST for number in range(marked))
    return replace(
        request,
        tools=None if request.tools is None else _limited(request.tools, keep),
        system=None if request.system is None else _limited(request.system, keep),
        messages=tuple(replace(message, parts=_limited(message.parts, keep)) for message in request.messages),
    )


def _bearers(request: Request) -> Iterator[Tool | Part]:
    """Everything that can bear a cache point, in the order of the wire's prefix."""
    yield from request.tools or ()
    yield from request.system or ()
    for message in request.messages:
        yield from message.parts


def _limited(things: tuple[Any, ...], keep: Iterator[bool]) -> tuple[Any, ...]:
    return tuple(thing if thing.cache is None or next(keep) else replace(thing, cache=None) for thing in things)

"""Situation: what a choice among deployments may look at besides them and their health."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from penstock.routing.deployment import Deployment

Random: TypeAlias = Callable[[], float]
"""Numbers in [0, 1)."""


class Need(Struct, frozen=True, eq=False):
    """What a request needs of a deployment that not each can do. `message` and `param` are for the caller, where none
    can.
    """

    met_by: Callable[[Deployment], bool]
    message: str
    param: str | None = None


class Situation(Struct, frozen=True):
    """One moment, and one request in it.

    moment    monotonic seconds
    random    a source of numbers in [0, 1)
    streams   whether a stream was asked for
    tokens    about how many tokens the request has; None: nobody counted
    tags      the tags that it asks for; None: tags choose nothing
    any_tag   one of them is enough; else a deployment must have all
    need      what a deployment must be able to do; None: nothing that not each can
    """

    moment: float
    random: Random
    streams: bool = False
    tokens: int | None = None
    tags: tuple[str, ...] | None = None
    any_tag: bool = True
    need: Need | None = None

"""Situation: what a choice among deployments may look at besides them and their health."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

Random: TypeAlias = Callable[[], float]
"""Numbers in [0, 1)."""


class Situation(Struct, frozen=True):
    """One moment, and one request in it.

    moment    monotonic seconds
    random    a source of numbers in [0, 1)
    streams   whether a stream was asked for
    tokens    about how many tokens the request has; None: nobody counted
    tags      the tags that it asks for; None: tags choose nothing
    any_tag   one of them is enough; else a deployment must have all
    """

    moment: float
    random: Random
    streams: bool = False
    tokens: int | None = None
    tags: tuple[str, ...] | None = None
    any_tag: bool = True

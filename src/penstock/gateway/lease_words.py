"""What workers and the keeper say to each other about leases: plain values that cross the channel as MessagePack.

`start` says of which period the units are: the window's beginning, or 0 where nothing turns (parallel, money). Units
of another period than the listener's own are nobody's any more, so a message that crosses the turn of a window does
no harm.

    worker to keeper   hello (Hello), draw (Draw), more, back, recalled, charge (Units)
    keeper to worker   grant (Grant), refuse (Refusal), recall, freed (Name)
"""

from __future__ import annotations

from msgspec import Struct

from penstock.gateway.principal import Quota


class Share(Struct, frozen=True, array_like=True):
    """What a worker has of a quota in this period: all that it was granted and did not give back, used or not."""

    quota: Quota
    start: float
    until: float
    units: int


class Hello(Struct, frozen=True, array_like=True):
    """A worker is there (again), and this is all that it has. It takes the place of all that the keeper knew of it."""

    worker: str
    shares: list[Share] = []


class Draw(Struct, frozen=True, array_like=True):
    """Calls wait: `wanted` units would serve all of them, `least` the first. `back` is what the worker still had, and
    has no more: so a draw says all, and what comes of it does not depend on what the keeper believed.
    """

    quota: Quota
    start: float
    back: int
    wanted: int
    least: int


class Units(Struct, frozen=True, array_like=True):
    """An amount: given `back`, given back because the keeper asked (`recalled`), or used beyond what was reserved
    (`charge`). As `more`: units are running low, and a further slice would be welcome (`units` is 0).
    """

    name: str
    start: float
    units: int


class Grant(Struct, frozen=True, array_like=True):
    """Units to use until the period ends.

    until   Unix seconds; infinite where nothing turns
    beyond  units that the keeper has besides
    tight   use what calls wait for, and give the rest back at once; else: keep it until it is recalled
    dry     it is less than was wanted, and no more is to be had now
    more    it answers `more`, and no draw
    """

    name: str
    start: float
    until: float
    units: int
    beyond: int
    tight: bool
    dry: bool = False
    more: bool = False


class Refusal(Struct, frozen=True, array_like=True):
    """No `least` units are to be had. `retry_after`: seconds until it may be otherwise; None: nobody knows."""

    name: str
    start: float
    until: float
    beyond: int
    least: int
    retry_after: float | None


class Name(Struct, frozen=True, array_like=True):
    """A quota's name: `recall` (give back what you do not use, and be tight), `freed` (what was refused may be had)."""

    name: str

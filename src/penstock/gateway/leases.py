"""Leases, the worker's side: units of quotas that calls may use without asking anybody.

A lease holds what this worker may spend of a quota in this period. `take` is a look into a dictionary and a
subtraction. Where that is not enough it says None, and `draw` asks the keeper and calls back. What a call reserved
and did not use comes back by `settle`.

    share   all that the keeper granted for this period and was not given back: it is what the worker says in its hello
    held    the part of it that no call has taken

The worker never adds to its share but by a grant, or by a call that used more than it had reserved (which is then
charged). A unit is bound to its period: when the window's end has come, what is held is nothing any more.

Loose, tight, recalled, refused: control/leases.py. docs/explanation/leases.md tells all of it in order.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from penstock.gateway.lease_words import Draw, Grant, Hello, Name, Refusal, Share, Units
from penstock.gateway.principal import Quota

PATIENCE = 2.0
"""Seconds for which a call waits for the keeper."""
REFUSAL_SECONDS = 1.0
"""Seconds for which a refusal is believed at most. When units come back earlier, the keeper says so."""
_SWEEP_AT = 1024

_log = logging.getLogger("penstock.gateway")


class Denied(Struct, frozen=True):
    """There are not enough units.

    retry_after  seconds after which there may be; None: nobody knows
    left         units that are left (fewer than the least that was asked for)
    resets_at    Unix seconds at which the count begins again; None: it does not
    away         True: nobody knows what is left, because the keeper does not answer (HTTP 503, not 429)
    """

    retry_after: float | None
    left: int
    resets_at: float | None
    away: bool = False


class Timer(Protocol):
    """What `call_later` gives."""

    def cancel(self) -> None: ...


class Lease:
    """What this worker has of one quota.

    start, until  the period, Unix seconds; until 0: nothing was granted yet
    low           below this, a further slice is asked for in advance (`asked`: it is on its way)
    tight         whatever becomes free is given back at once
    beyond        units that the keeper has besides, as far as it said
    dry_until     the keeper said that no more is to be had; it is believed until then
    denied        what calls that need `denied_least` or more are told while it is dry
    away_until    the keeper did not answer; until then nobody waits for it again
    waiting       (wanted, least, then) of calls that wait; `drawing`: the keeper is asked for them
    """

    __slots__ = (
        "asked",
        "away_until",
        "beyond",
        "denied",
        "denied_least",
        "drawing",
        "dry_until",
        "held",
        "low",
        "quota",
        "share",
        "start",
        "tight",
        "timer",
        "until",
        "waiting",
    )

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self.until = self.away_until = 0.0
        self.waiting: list[tuple[int, int, Callable[[], None]]] = []
        self.drawing = False
        self.timer: Timer | None = None
        self.begin(-1.0)

    def begin(self, start: float) -> None:
        """Begin a period, with nothing."""
        self.start = start
        self.held = self.share = self.low = self.beyond = 0
        self.tight = self.asked = False
        self.believe_nothing()

    def believe_nothing(self) -> None:
        """Forget what was refused."""
        self.dry_until = 0.0
        self.denied: Denied | None = None
        self.denied_least = 0

    def give(self) -> int:
        """Take out all that no call has taken, to give it back."""
        units, self.held, self.low = self.held, 0, 0
        self.share -= units
        return units


class Leases:
    """All leases of a worker.

    worker      its name, unique over all processes that ever live
    tell        (kind, message): say this to the keeper; called only between `connected` and `lost`
    clock       Unix seconds
    call_later  (seconds, function) -> Timer: the event loop's
    """

    def __init__(
        self,
        worker: str,
        tell: Callable[[str, Any], None],
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._worker = worker
        self._tell = tell
        self._clock = clock
        self._call_later = call_later
        self._leases: dict[str, Lease] = {}
        self._connected = False
        self._sweep_at = _SWEEP_AT
        self.overdrawn = 0

    # -- on the way of a request --------------------------------------------------------------------------------------

    def take(self, quota: Quota, wanted: int, least: int) -> int | Denied | None:
        """Take `wanted` units, or fewer (`least` or more) if no more are to be had; Denied if not even that.
        None: nobody knows yet; `draw`, and take again when called back.
        """
        lease = self._leases.get(quota.name)
        if lease is None:
            return None
        now = self._clock()
        if now >= lease.until:
            return self._expired(lease, now)
        held = lease.held
        if held >= wanted:
            lease.held = held = held - wanted
            if held < lease.low and not lease.asked:
                self._ask_more(lease)
            return wanted
        return self._scarce(lease, least, now)

    def take_all(self, wanted: Sequence[tuple[Quota, int]]) -> bool:
        """Take so much of each of these quotas, or nothing at all where one of them has less."""
        now, leases = self._clock(), self._leases
        for quota, amount in wanted:
            lease = leases.get(quota.name)
            if lease is None or now >= lease.until or lease.held < amount:
                for taken, units in wanted:
                    if taken is quota:
                        return False
                    leases[taken.name].held += units
                return False
            lease.held = held = lease.held - amount
            if held < lease.low and not lease.asked:
                self._ask_more(lease)
        return True

    def draw(self, quota: Quota, wanted: int, least: int, then: Callable[[], None]) -> None:
        """Ask the keeper for units; `then` is called when it makes sense to take again: they came, were refused, or the
        keeper does not answer. It is not called before this returns. It must take before it returns itself: what nobody
        has taken by then may go back.
        """
        lease = self._leases.get(quota.name)
        if lease is None:
            self._sweep()
            lease = self._leases[quota.name] = Lease(quota)
        lease.quota = quota
        lease.waiting.append((wanted, least, then))
        if lease.timer is None:
            lease.timer = self._call_later(PATIENCE, lambda: self._give_up(lease))
        if not lease.drawing and self._connected:
            self._ask(lease)

    def settle(self, name: str, reserved: int, used: int, since: float | None = None) -> None:
        """Give back what was taken and not used (parallel: used=0 when the call is over), or charge what was used
        beyond.

        since   Unix seconds, not after the units were taken (when the call came, say): units of a window that has
                ended since come back to nobody. Without it, units of windows (requests, tokens) never come back.
        """
        lease = self._leases.get(name)
        if lease is not None and (since is not None or lease.start == 0.0 or reserved < used):
            self._settle(lease, reserved - used, lease.start if since is None else since)

    def settle_all(self, taken: Sequence[tuple[Quota, int]], used: Mapping[str, int], since: float) -> None:
        """`settle` for each of these; `used`: units by kind of quota, none of a kind that it does not name."""
        leases, used_of = self._leases, used.get
        for quota, reserved in taken:
            rest = reserved - used_of(quota.kind, 0)
            lease = leases.get(quota.name)
            if rest and lease is not None:
                self._settle(lease, rest, since)

    def _settle(self, lease: Lease, rest: int, since: float) -> None:
        if since < lease.start:
            return
        if rest < 0:
            self._charge(lease, -rest)
            return
        lease.held += rest
        if lease.tight and rest and self._connected:
            self._give_back(lease)

    def left(self, quotas: Sequence[Quota]) -> tuple[int, ...]:
        """Units that are left of each quota, as far as this worker knows."""
        now, get = self._clock(), self._leases.get
        left = []
        for quota in quotas:
            lease = get(quota.name)
            if lease is None or now >= lease.until:
                left.append(quota.limit)
            else:
                units = lease.held + lease.beyond
                left.append(max(0, units))
        return tuple(left)

    def unspent(self) -> Iterator[tuple[Quota, int]]:
        """What is held of each quota in its period, and no call has taken."""
        now = self._clock()
        for lease in self._leases.values():
            if lease.held and now < lease.until:
                yield lease.quota, lease.held

    def _expired(self, lease: Lease, now: float) -> Denied | None:
        """The period is over, or nothing was ever granted: all depends on the keeper."""
        if lease.share or lease.denied is not None or lease.dry_until:
            lease.begin(lease.start)
        return away(lease) if now < lease.away_until else None

    def _scarce(self, lease: Lease, least: int, now: float) -> int | Denied | None:
        """There is less than is wanted."""
        dry, is_away = now < lease.dry_until, now < lease.away_until
        if lease.held >= least and (dry or is_away):
            units, lease.held = lease.held, 0
            return units
        if dry and lease.denied is not None and least >= lease.denied_least:
            return lease.denied
        return away(lease) if is_away else None

    # -- what the worker says -----------------------------------------------------------------------------------------

    def _ask(self, lease: Lease) -> None:
        """Draw for the calls that wait. All that is held goes back with it."""
        lease.drawing = lease.tight = True
        back = lease.give()
        wanted = sum(one[0] for one in lease.waiting)
        self._tell("draw", Draw(lease.quota, lease.start, back, wanted, lease.waiting[0][1]))

    def _ask_more(self, lease: Lease) -> None:
        if self._connected:
            lease.asked = True
            self._tell("more", Units(lease.quota.name, lease.start, 0))

    def _give_back(self, lease: Lease) -> None:
        """Somebody else is short of them. Nothing that was refused before need be refused now."""
        lease.believe_nothing()
        self._tell("back", Units(lease.quota.name, lease.start, lease.give()))

    def _charge(self, lease: Lease, excess: int) -> None:
        """A call used more than it had reserved."""
        owed = max(0, excess - lease.held)
        lease.held -= excess - owed
        if owed:
            lease.share += owed
            self.overdrawn += owed
            if self._connected:
                self._tell("charge", Units(lease.quota.name, lease.start, owed))

    # -- what the keeper says -----------------------------------------------------------------------------------------

    def granted(self, grant: Grant) -> None:
        """Units have come."""
        lease = self._period(grant.name, grant.start, drawn=not grant.more)
        if lease is None:
            return
        lease.until, lease.beyond = grant.until, grant.beyond
        lease.held += grant.units
        lease.share += grant.units
        if grant.more:
            self._more_came(lease, grant)
            return
        lease.tight = grant.tight
        lease.low = 0 if grant.tight else grant.units // 2
        lease.dry_until = self._clock() + REFUSAL_SECONDS if grant.dry else 0.0
        lease.denied = None
        self._answered(lease)

    def _more_came(self, lease: Lease, grant: Grant) -> None:
        lease.low = grant.units // 2  # nothing more to be had: not asked for again before the next draw
        lease.asked = False
        if grant.units:
            lease.tight = lease.drawing
            if lease.drawing:  # the draw said that nothing was held
                self._give_back(lease)

    def refused(self, refusal: Refusal) -> None:
        """There are not enough units, at any worker."""
        lease = self._period(refusal.name, refusal.start, drawn=True)
        if lease is None:
            return
        lease.until, lease.beyond, lease.tight = refusal.until, refusal.beyond, True
        end = refusal.until if refusal.until < math.inf else lease.quota.resets_at
        lease.denied = Denied(refusal.retry_after, max(0, refusal.beyond), end)
        lease.denied_least = refusal.least
        lease.dry_until = self._clock() + REFUSAL_SECONDS
        self._answered(lease)

    def recall(self, name: Name) -> None:
        """Another worker is short of units: give back what no call has taken, and do so from now on."""
        lease = self._leases.get(name.name)
        start, units = -1.0, 0
        if lease is not None:
            start, units, lease.tight = lease.start, lease.give(), True
        self._tell("recalled", Units(name.name, start, units))

    def freed(self, name: Name) -> None:
        """Units came back: what was refused may be had now."""
        lease = self._leases.get(name.name)
        if lease is not None:
            lease.believe_nothing()

    # -- the keeper comes and goes ------------------------------------------------------------------------------------

    def connected(self) -> None:
        """The channel is open: say all that this worker has, then draw for those who wait."""
        self._connected = True
        now = self._clock()
        shares = [
            Share(one.quota, one.start, one.until, one.share)
            for one in self._leases.values()
            if one.share and now < one.until
        ]
        self._tell("hello", Hello(self._worker, shares))
        for lease in self._leases.values():
            lease.believe_nothing()
            lease.drawing = lease.asked = False
            lease.away_until = 0.0
            if lease.waiting:
                self._ask(lease)

    def lost(self) -> None:
        """The channel is closed. Calls go on with what is held; the others wait for the next keeper, but not for
        long.
        """
        self._connected = False

    def give_back_all(self) -> None:
        """This worker ends: whatever no call has taken goes back, and whatever comes back from now on."""
        for lease in self._leases.values():
            lease.tight = True
            if lease.held and self._connected:
                self._give_back(lease)

    # -- those who wait -----------------------------------------------------------------------------------------------

    def _answered(self, lease: Lease) -> None:
        lease.drawing = False
        lease.away_until = 0.0
        self._call_back(lease)
        if lease.tight and lease.held and not lease.drawing and self._connected:
            self._give_back(lease)

    def _give_up(self, lease: Lease) -> None:
        """The keeper did not answer in time."""
        lease.timer = None
        lease.away_until = self._clock() + REFUSAL_SECONDS
        self._call_back(lease)

    def _call_back(self, lease: Lease) -> None:
        if lease.timer is not None:
            lease.timer.cancel()
            lease.timer = None
        waiting, lease.waiting = lease.waiting, []
        for _, _, then in waiting:
            try:
                then()
            except Exception:
                _log.exception("a call failed when its lease came")  # and the next shall have its turn

    def _period(self, name: str, start: float, *, drawn: bool) -> Lease | None:
        """The lease of this name, in this period; None if it is in a later one (somebody has set the clock back)."""
        lease = self._leases.get(name)
        if lease is None:
            return None
        if start > lease.start:
            lease.begin(start)
        if start == lease.start:
            return lease
        lease.drawing = lease.drawing and not drawn  # who waits gives up in a while
        return None

    def _sweep(self) -> None:
        """Forget leases of which nothing is left, now and then."""
        if len(self._leases) < self._sweep_at:
            return
        now = self._clock()
        for name, lease in list(self._leases.items()):
            if not lease.drawing and not lease.waiting and (now >= lease.until or not lease.share):
                del self._leases[name]
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._leases))


def away(lease: Lease) -> Denied:
    """What a call is told when the keeper does not answer."""
    return Denied(REFUSAL_SECONDS, max(0, lease.held), None, away=True)

"""What a session has cost, taken over into its log: dollars and tokens from the ledger, bytes from the vault.

Only differences are written: what the ledger has, less what the row has already. So it may be read as often as one
likes, by one attendant after another, and nothing counts twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from penstock.agents import limits
from penstock.agents.attending.session_log import SessionLog
from penstock.agents.errors import AgentsError
from penstock.agents.events import Cost
from penstock.agents.keys import GatewayKeys, Spent
from penstock.agents.machine import Reason
from penstock.agents.types import Session, Usage
from penstock.agents.way_out import WayOut

MONEY_SECONDS = 2.0
"""How often the ledger is read while a turn is under way, or a terminal is open."""
AFTER_TURN = (0.7, 3.0)
"""Seconds after a turn at which it is read: calls appear there a moment after they have ended."""
LAST_PAUSE, LAST_LOOKS = 0.25, 2
"""At a session's end it is read every so many seconds, until nothing was new for so many times."""
_log = logging.getLogger(__name__)


class Costs:
    """The costs of one session.

    `out_of_money`: the gateway has refused a call that could have cost more than what is left. It keeps back what a
    call may cost at most, so the last cents of a limit are hardly ever spent.

    Args:
        log: the session's.
        keys: read the ledger; None: the session has no models.
        way_out: knows what has left the sandbox.
        clock: the time.
    """

    def __init__(
        self, log: SessionLog, keys: GatewayKeys | None, way_out: WayOut, clock: Callable[[], datetime]
    ) -> None:
        self._log = log
        self._keys = keys
        self._way_out = way_out
        self._clock = clock
        self.out_of_money = False
        self._refused = 0
        self._sent = 0
        self._times: list[datetime] = []

    # -- when ---------------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """The session was opened in a vault, which counts its bytes from 0."""
        self._sent = 0

    def turn_ended(self) -> None:
        """Have the ledger read a moment after now."""
        self._times = [self._clock() + timedelta(seconds=seconds) for seconds in AFTER_TURN]

    def waits(self, now: datetime) -> list[float]:
        """In how many seconds it is to be read."""
        return [max((at - now).total_seconds(), 0.0) for at in self._times]

    def are_due(self) -> bool:
        """Whether it is to be read now."""
        return any(at <= self._clock() for at in self._times)

    async def settle_due(self) -> None:
        """Read it, for all times that have come until now."""
        self._times = [at for at in self._times if at > self._clock()]
        await self.settle()

    def reached(self, session: Session, now: datetime) -> Reason | None:
        """The limit that the session has reached, as far as is known; None while it may go on."""
        if self.out_of_money and session.limits.dollars is not None:
            return Reason.MONEY_LIMIT
        return limits.reached(session, now)

    def why(self, reason: Reason) -> str:
        """What there is to say of a limit, beside its name."""
        spent = reason is Reason.MONEY_LIMIT and self.out_of_money
        return "the next call of a model may cost more than is left" if spent else ""

    # -- what ---------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Add to the log what the ledger and the vault have that it has not."""
        used = (await self._log.row()).usage
        bytes_out = await self._bytes_out()
        spent = await self._spent()
        if spent is not None and spent.refused > self._refused:
            self.out_of_money, self._refused = True, spent.refused
        cost = Cost(bytes_out=bytes_out) if spent is None else _difference(spent, used, bytes_out)
        if cost.dollars or cost.input_tokens or cost.output_tokens or cost.requests or cost.bytes_out:
            await self._log.append([cost])

    async def settle_last(self) -> None:
        """Read the ledger until it has nothing new: what has just ended is written there a moment later."""
        if self._keys is None:
            return
        before, looks = None, 0
        while looks < LAST_LOOKS:
            await asyncio.sleep(LAST_PAUSE)
            await self.settle()
            now = (await self._log.row()).usage
            looks = looks + 1 if now == before else 0
            before = now

    async def _spent(self) -> Spent | None:
        """What the ledger says; None where there is none, or it cannot be read now."""
        if self._keys is None:
            return None
        try:
            return await self._keys.spent(self._log.id)
        except AgentsError as error:
            _log.warning("session %s: the ledger cannot be read: %s", self._log.id, error)
            return None

    async def _bytes_out(self) -> int:
        """Bytes since the last time."""
        sent = await self._way_out.bytes_out(self._log.id)
        if sent is None:
            return 0
        more, self._sent = sent - self._sent, sent
        return max(more, 0)


def _difference(spent: Spent, used: Usage, bytes_out: int) -> Cost:
    """What is new since the row was written. Pure."""
    return Cost(
        dollars=max(spent.dollars - used.dollars, type(spent.dollars)(0)),
        input_tokens=max(spent.input_tokens - used.input_tokens, 0),
        output_tokens=max(spent.output_tokens - used.output_tokens, 0),
        requests=max(spent.requests - used.requests, 0),
        bytes_out=bytes_out,
        model=spent.model,
    )

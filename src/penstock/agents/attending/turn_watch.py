"""Whether the turn that is under way is still wanted: its user, limits, its own circles or its vault may end it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

from penstock.agents import loops
from penstock.agents.attending.costs import MONEY_SECONDS, Costs
from penstock.agents.attending.session_log import SessionLog
from penstock.agents.errors import Conflict
from penstock.agents.events import Draft, Error, Move
from penstock.agents.machine import IN_TURN, Cause, Reason
from penstock.agents.types import Session


class TurnWatch:
    """Watches one turn.

    Args:
        log: the session's.
        costs: are settled every `MONEY_SECONDS`, for limits are of what was spent.
        news: set when the row may say something new.
        is_cut_off: whether the vault that its sandbox was opened in is gone.
        clock: the time.
    """

    def __init__(
        self,
        log: SessionLog,
        costs: Costs,
        news: asyncio.Event,
        is_cut_off: Callable[[], bool],
        clock: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._costs = costs
        self._news = news
        self._is_cut_off = is_cut_off
        self._clock = clock
        self._settled = asyncio.get_running_loop().time()
        self._interrupted = False
        self._trail = loops.Trail()
        self._looped: str | None = None

    def interrupt(self) -> None:
        """Somebody wants its end."""
        self._interrupted = True

    def look(self, draft: Draft, session: Session) -> None:
        """Look whether the agent goes in circles."""
        if isinstance(draft, Move) or self._looped:
            return
        self._trail = loops.walked(self._trail, draft)
        self._looped = loops.found(self._trail, session.limits.repeats)
        if self._looped:
            self._news.set()

    async def until_unwanted(self) -> None:
        """Return when the turn shall end. Where that is also the session's end, this is in the log by then."""
        while True:
            await self._next()
            session = await self._log.row()
            if session.state not in IN_TURN or self._interrupted or self._is_cut_off():
                return
            drafts = self._ending(session)
            if drafts:
                with contextlib.suppress(Conflict):
                    await self._log.append(drafts)
                    return

    async def _next(self) -> None:
        """Wait for news; and settle what was spent meanwhile every so often, however many news there are."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), max(self._settled + MONEY_SECONDS - loop.time(), 0.0))
        self._news.clear()
        if loop.time() >= self._settled + MONEY_SECONDS:
            await self._costs.settle()
            self._settled = loop.time()

    def _ending(self, session: Session) -> list[Draft]:
        """What ends the session together with the turn; nothing while it may go on."""
        if self._looped:
            error = Error("loop_detected", self._looped, "say what it shall do instead, in another session")
            return [error, Move(Cause.TERMINATE, Reason.LOOP_DETECTED, self._looped)]
        reason = self._costs.reached(session, self._clock())
        return [Move(Cause.TERMINATE, reason, self._costs.why(reason))] if reason is not None else []

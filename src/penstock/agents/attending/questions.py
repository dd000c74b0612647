"""What an agent may do only if somebody allows it: use a tool, reach a host, push to a branch. Each question is put as
an approval.

Whoever asks waits here, and whoever decides comes with the approval (`decided`). A question that was answered before is
answered at once; one that somebody has put already is not put again (approvals.py).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from penstock.agents import ids
from penstock.agents.attending.session_log import SessionLog
from penstock.agents.errors import AgentsError
from penstock.agents.harnesses.contract import Question, setting_of
from penstock.agents.store.base import AgentStore
from penstock.agents.types import About, Approval, Ask
from penstock.agents.way_out import WayOut
from penstock.vault.api import Event

ASK_SECONDS = 110
"""For which a program waits that wants to reach another host, or to push elsewhere; the vault refuses it after two
minutes.
"""


class Questions:
    """The questions of one session.

    Args:
        log: the session's.
        store: keeps approvals.
        way_out: lets a program through, or not.
        clock: the time.
    """

    def __init__(self, log: SessionLog, store: AgentStore, way_out: WayOut, clock: Callable[[], datetime]) -> None:
        self._log = log
        self._store = store
        self._way_out = way_out
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[Approval]] = {}

    async def way_out(self, event: Event) -> None:
        """Ask whether a program may reach a host, or push to a branch; the vault holds it until then."""
        about: About = "push" if event.about == "push" else "egress"
        try:
            asked = await self._asked(Ask(about, event.detail[:1000], event.proposal, timeout_seconds=ASK_SECONDS))
        except AgentsError:
            await self._way_out.decide(self._log.id, event.proposal, False, remember=False)  # it asks too much now
            return
        if asked.decision is not None:
            await self.decided(asked)

    async def tool(self, settings: Mapping[str, str], question: Question) -> tuple[bool, str]:
        """Say whether the agent may use a tool, and what to tell it: its settings decide, or somebody does. Raises
        AgentsError.
        """
        setting = setting_of(settings, question.name)
        if setting != "ask":
            return setting == "auto", "" if setting == "auto" else f"this agent may not use {question.name}"
        summary = line_of(f"The agent wants to use {question.name}", question.arguments)
        asked = await self._asked(Ask("tool", summary, f"tool {question.name}", {"arguments": question.arguments}))
        if asked.decision is None:
            asked = await self._until_decided(asked)
        allowed = asked.decision == "approved"
        return allowed, asked.note or ("" if allowed else f"nobody allowed it ({asked.decision})")

    async def decided(self, approval: Approval) -> None:
        """Tell who waits what somebody, or time, has decided."""
        waiting = self._waiting.pop(approval.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(approval)
        if approval.ask.about in ("egress", "push") and approval.ask.rule:
            allowed, rule = approval.decision == "approved", approval.ask.rule
            await self._way_out.decide(self._log.id, rule, allowed, remember=approval.remember)

    async def _asked(self, ask: Ask) -> Approval:
        """Put a question; the answer that stands already, where there is one. Raises AgentsError."""
        now, session = self._clock(), await self._log.row()
        approval = Approval(
            id=ids.mint(ids.APPROVAL, now, secrets.token_bytes),
            owner=session.owner,
            session=self._log.id,
            ask=ask,
            asked_at=now,
            expires_at=now + timedelta(seconds=ask.timeout_seconds),
        )
        return (await asyncio.to_thread(self._store.ask, approval)).approval

    async def _until_decided(self, asked: Approval) -> Approval:
        answer = self._waiting.setdefault(asked.id, asyncio.get_running_loop().create_future())
        now = await asyncio.to_thread(self._store.approval, asked.id)  # it may have been decided meanwhile
        return now if now is not None and now.decision is not None else await answer


def line_of(text: str, arguments: Any) -> str:
    """A question on one line, with the beginning of the arguments. Pure."""
    shown = " ".join(msgspec.json.encode(arguments).decode().split()) if arguments is not None else ""
    return f"{text}: {shown}"[:500] if shown else text

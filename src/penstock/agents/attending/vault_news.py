"""What the vault says of a session: a question is put, an alarm suspends it, and each refusal is told once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from penstock.agents.attending.questions import Questions
from penstock.agents.attending.session_log import SessionLog
from penstock.agents.errors import Conflict
from penstock.agents.events import Error, Move
from penstock.agents.machine import Cause, Reason
from penstock.vault.api import Event

MOST_REFUSALS = 50
"""Different refusals of the vault that a session's log tells."""
_CODES = {"denied": "egress_refused", "alarm": "stub_misused", "revoked": "secret_revoked"}


class VaultNews:
    """The vault's events of one session.

    Args:
        log: the session's.
        questions: put what is asked.
        wake: says that the row may be another one.
    """

    def __init__(self, log: SessionLog, questions: Questions, wake: Callable[[], None]) -> None:
        self._log = log
        self._questions = questions
        self._wake = wake
        self._told: set[str] = set()

    async def happened(self, event: Event) -> None:
        """Take an event into the log."""
        if event.kind == "ask":
            await self._questions.way_out(event)
        elif event.kind == "frozen":
            with contextlib.suppress(Conflict):
                await self._log.append([Move(Cause.SUSPEND, Reason.FROZEN, event.detail)])
            self._wake()
        elif len(self._told) < MOST_REFUSALS and event.detail not in self._told:
            self._told.add(event.detail)
            await self._log.say(Error(_CODES[event.kind], event.detail, event.proposal))

"""Whether a question is put to somebody, or answered at once. Pure: a function of the questions that a session has
asked.

A prompt-injected agent can ask without end, in the hope that somebody clicks yes. So: what was denied stays denied, and
what was approved with `remember` stays approved, for the same exact rule in the same session; only so many questions
are
open at once, and only so many are asked in a while. Time-out means no.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from penstock.agents.errors import Conflict, TooMany
from penstock.agents.types import Approval, Ask

MOST_OPEN = 10
"""Questions of one session that may be open at once."""
MOST_ASKED = 30
"""Questions that one session may ask within `WINDOW`."""
WINDOW = timedelta(minutes=10)


def remembered(ask: Ask, before: Iterable[Approval]) -> Approval | None:
    """The answer that holds for this question already: the last remembered one to the same rule."""
    answers = [
        each for each in before if each.remember and each.decision in ("approved", "denied") and _alike(each.ask, ask)
    ]
    return max(answers, key=lambda each: (each.decided_at or each.asked_at, each.id), default=None)


def _alike(one: Ask, other: Ask) -> bool:
    """The same rule; and where there is none, the same words."""
    return one.about == other.about and (one.rule, one.rule or one.summary) == (other.rule, other.rule or other.summary)


def same_open(ask: Ask, before: Iterable[Approval], now: datetime) -> Approval | None:
    """The same question, which is open: it is not asked twice."""
    return next((each for each in before if is_open(each, now) and _alike(each.ask, ask)), None)


def check_rate(before: Iterable[Approval], now: datetime) -> None:
    """Raises TooMany where the session has asked enough."""
    asked = list(before)
    if sum(is_open(each, now) for each in asked) >= MOST_OPEN:
        raise TooMany(f"{MOST_OPEN} approvals of this session are open", fix="wait until somebody has decided")
    if sum(each.asked_at > now - WINDOW for each in asked) >= MOST_ASKED:
        minutes = int(WINDOW.total_seconds() // 60)
        raise TooMany(
            f"this session has asked {MOST_ASKED} times within {minutes} minutes", fix="wait, or ask for a wider rule"
        )


def is_open(approval: Approval, now: datetime) -> bool:
    """Whether somebody can still decide."""
    return approval.decision is None and now < approval.expires_at


def check_open(approval: Approval, now: datetime) -> None:
    """Raises Conflict where nobody can decide any more."""
    if approval.decision is not None:
        raise Conflict(f"this was {approval.decision} already", code="already_decided")
    if not is_open(approval, now):
        raise Conflict("nobody decided in time, which means no", fix="let the agent ask again", code="expired")

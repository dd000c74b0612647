"""JSON schemas of all values that the API takes and gives: from the structs themselves, so that they cannot
disagree.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from penstock.agents.api.errors import ErrorAnswer
from penstock.agents.events import SessionEvent
from penstock.agents.plans import Plan, StepUpdate
from penstock.agents.requests import (
    AgentChanges,
    DecideApproval,
    EnvironmentChanges,
    ForkSession,
    NewMessage,
    NewPlan,
    NewSecret,
    NewSession,
    NewSteps,
    NewTicket,
    NewToken,
    NewValue,
    PlanUpdate,
)
from penstock.agents.secret_keeping import SecretView
from penstock.agents.teams.rules import Team
from penstock.agents.types import Agent, AgentSpec, Approval, Ask, Environment, EnvironmentSpec, Page, Session, Token


class MadeToken(Struct, frozen=True):
    """A token and its secret: the only time that it is shown."""

    token: Token
    secret: str


class MadeTicket(Struct, frozen=True):
    """A ticket: add it to the address as `?ticket=`. It stands once, until then."""

    ticket: str
    expires_at: datetime


class EventPage(Struct, frozen=True):
    """Events in their order. `next`: the number to go on after, or null where the log has no more at present."""

    data: list[SessionEvent]
    next: int | None = None


class Unpacked(Struct, frozen=True):
    """How many files were written."""

    files: int


class Health(Struct, frozen=True):
    """The server answers, and so does its store."""

    status: str


_TYPES: dict[str, Any] = {
    "ErrorAnswer": ErrorAnswer, "Agent": Agent, "Environment": Environment, "Session": Session, "Approval": Approval,
    "Token": Token, "SessionEvent": SessionEvent, "AgentPage": Page[Agent], "EnvironmentPage": Page[Environment],
    "SessionPage": Page[Session], "ApprovalPage": Page[Approval], "TokenPage": Page[Token], "EventPage": EventPage,
    "MadeToken": MadeToken, "MadeTicket": MadeTicket, "Unpacked": Unpacked, "Health": Health, "AgentSpec": AgentSpec,
    "EnvironmentSpec": EnvironmentSpec, "AgentChanges": AgentChanges, "EnvironmentChanges": EnvironmentChanges,
    "NewSession": NewSession, "NewMessage": NewMessage, "ForkSession": ForkSession, "Ask": Ask,
    "DecideApproval": DecideApproval, "NewToken": NewToken, "NewTicket": NewTicket, "Plan": Plan,
    "PlanPage": Page[Plan], "NewPlan": NewPlan, "NewSteps": NewSteps, "PlanUpdate": PlanUpdate,
    "StepUpdate": StepUpdate, "Team": Team, "SecretView": SecretView, "SecretPage": Page[SecretView],
    "NewSecret": NewSecret, "NewValue": NewValue,
}  # fmt: skip
_SCHEMAS, COMPONENTS = msgspec.json.schema_components(list(_TYPES.values()), ref_template="#/components/schemas/{name}")
"""What OpenAPI's `components.schemas` holds."""
_BY_TYPE = list(zip(_TYPES.values(), _SCHEMAS, strict=True))


def reference(type_: Any) -> dict[str, Any]:
    """`{"$ref": ...}` of a type. Raises KeyError for one that is not listed above."""
    for known, schema in _BY_TYPE:
        if known == type_:
            return dict(schema)
    raise KeyError(type_)


def answers(type_: Any, status: int = 200, description: str = "Done.") -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for a route that answers with this."""
    return {status: {"description": description, "content": {"application/json": {"schema": reference(type_)}}}}

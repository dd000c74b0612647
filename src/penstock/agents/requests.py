"""What somebody may ask for, as the bodies of requests: msgspec structs, which are checked as they are read. Pure.

A field that is not known is refused by its name: nothing is dropped in silence.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from penstock.agents.events import MOST_TEXT
from penstock.agents.ids import PATTERN
from penstock.agents.plans import MOST_STEPS, NewStep, StepId, Title
from penstock.agents.types import (
    Labels,
    Limits,
    Line,
    Name,
    Positive,
    Prose,
    Resources,
    SecretName,
    VariableName,
    Word,
)

__all__ = [
    "AgentChanges",
    "DecideApproval",
    "EnvironmentChanges",
    "ForkSession",
    "NewMessage",
    "NewPlan",
    "NewSecret",
    "NewSession",
    "NewSteps",
    "NewTicket",
    "NewToken",
    "NewValue",
    "PlanUpdate",
    "changes_of",
]

Id = Annotated[str, Meta(pattern=PATTERN)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Said = Annotated[str, Meta(min_length=1, max_length=MOST_TEXT)]
Value = Annotated[str, Meta(min_length=1, max_length=65_536)]
PathName = Annotated[str, Meta(min_length=1, max_length=1000)]


class AgentChanges(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new version of an agent says otherwise. `version`: the one that was read; another is a conflict."""

    version: Version | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    harness: Name | UnsetType = UNSET
    description: Line | UnsetType = UNSET
    model: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    system: Prose | UnsetType = UNSET
    tools: Annotated[dict[Name, Literal["auto", "ask", "deny"]], Meta(max_length=200)] | UnsetType = UNSET
    credentials: Annotated[tuple[SecretName, ...], Meta(max_length=100)] | UnsetType = UNSET
    budget: Limits | UnsetType = UNSET
    options: Annotated[dict[Name, Any], Meta(max_length=100)] | UnsetType = UNSET
    workers: Annotated[tuple[Name, ...], Meta(max_length=50)] | UnsetType = UNSET


class EnvironmentChanges(Struct, frozen=True, forbid_unknown_fields=True):
    """What a new version of an environment says otherwise. `version`: the one that was read; another is a conflict."""

    version: Version | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    description: Line | UnsetType = UNSET
    image: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    packages: Annotated[dict[Literal["apt", "npm", "pip"], tuple[Word, ...]], Meta(max_length=3)] | UnsetType = UNSET
    egress: (
        Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=2000)], ...], Meta(max_length=500)] | UnsetType
    ) = UNSET
    resources: Resources | UnsetType = UNSET
    setup: (
        Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=10_000)], ...], Meta(max_length=100)] | UnsetType
    ) = UNSET
    variables: Annotated[dict[VariableName, Prose], Meta(max_length=200)] | UnsetType = UNSET
    isolation: Name | UnsetType = UNSET
    ask: bool | UnsetType = UNSET
    freeze_on_misuse: bool | UnsetType = UNSET


def changes_of(wanted: AgentChanges | EnvironmentChanges) -> tuple[dict[str, Any], int | None]:
    """The fields that shall be different, and the version that was read."""
    said = {name: value for name in wanted.__struct_fields__ if (value := getattr(wanted, name)) is not UNSET}
    return said, said.pop("version", None)


class NewSession(Struct, frozen=True, forbid_unknown_fields=True):
    """A session of this agent in this environment; versions are pinned now. `message` begins its first turn."""

    agent: Id
    environment: Id
    agent_version: Version | None = None
    environment_version: Version | None = None
    title: Annotated[str, Meta(max_length=500)] = ""
    labels: Labels = {}
    limits: Limits = Limits()
    message: Said | None = None


class NewMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """What the user says. `files`: paths in the workspace that it speaks of."""

    text: Said
    files: Annotated[tuple[PathName, ...], Meta(max_length=100)] = ()


class ForkSession(Struct, frozen=True, forbid_unknown_fields=True):
    """After which event the two part. `message` begins the fork's first turn."""

    number: Positive
    title: Annotated[str, Meta(max_length=500)] = ""
    message: Said | None = None


class NewPlan(Struct, frozen=True, forbid_unknown_fields=True):
    """A plan of this session. `steps` may name each other; more can be added."""

    session: Id
    title: Title
    steps: Annotated[tuple[NewStep, ...], Meta(max_length=MOST_STEPS)] = ()


class NewSteps(Struct, frozen=True, forbid_unknown_fields=True):
    """More steps: at the end, or before this one. `version`: the plan's that was read; another is a conflict."""

    steps: Annotated[tuple[NewStep, ...], Meta(min_length=1, max_length=MOST_STEPS)]
    before: StepId | None = None
    version: Version | None = None


class PlanUpdate(Struct, frozen=True, forbid_unknown_fields=True):
    """Another title, or the ids of all steps in another order."""

    version: Version | None = None
    title: Title | None = None
    order: Annotated[tuple[StepId, ...], Meta(max_length=MOST_STEPS)] | None = None


class DecideApproval(Struct, frozen=True, forbid_unknown_fields=True):
    """Yes or no. `remember`: for the same rule, during the rest of the session; a no is remembered unless this is
    false.
    """

    decision: Literal["approved", "denied"]
    remember: bool | None = None
    note: Line = ""


class NewSecret(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret: its value, and where it may go (docs/reference/vault-bindings.md). `env` is the variable of its stub in
    sandboxes, `addresses` the private networks in which a host may be found, `options` settings of the kind.
    """

    value: Value
    bindings: Annotated[tuple[Annotated[str, Meta(max_length=2000)], ...], Meta(max_length=100)]
    env: Annotated[str, Meta(max_length=200)] = ""
    kind: Annotated[str, Meta(max_length=100)] = "static"
    addresses: Annotated[dict[str, tuple[str, ...]], Meta(max_length=100)] = {}
    upstream_ca: Annotated[str, Meta(max_length=200_000)] = ""
    options: Annotated[dict[str, Any], Meta(max_length=50)] = {}


class NewValue(Struct, frozen=True, forbid_unknown_fields=True):
    """Another value of a secret."""

    value: Value


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """A token for people and programs, or, with `session`, for that session's agent."""

    name: Name
    scopes: Annotated[tuple[Annotated[str, Meta(max_length=100)], ...], Meta(min_length=1, max_length=50)]
    expires_in_seconds: Annotated[int, Meta(ge=1, le=315_360_000)] | None = None
    session: Id | None = None


class NewTicket(Struct, frozen=True, forbid_unknown_fields=True):
    """The path that the ticket shall open, as it is written in the address, without its query."""

    path: Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^/v1/[!-~]+$")]

"""The nouns of the agent platform, as frozen values: agents and environments (versioned), sessions, approvals,
tokens. Pure.

A *spec* is what somebody writes; each change of it makes a new version, which never changes, and a session pins the
versions that it began with. Every row has an owner; who may see it is decided in one place (access.py). Times are UTC
datetimes, exact to the microsecond; money is dollars as `Decimal`, which JSON bears as text ("1.25").
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from penstock.agents.machine import Reason, State

T = TypeVar("T")

MOST_DOLLARS = 9_000_000
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]
Line = Annotated[str, Meta(max_length=1000)]
Prose = Annotated[str, Meta(max_length=200_000)]
Positive = Annotated[int, Meta(ge=1, le=2**53)]
Dollars = Annotated[
    Decimal,
    Meta(
        description="US dollars, up to 9,000,000, with at most 12 digits after the point: a text, or a number",
        extra_json_schema={
            "type": ["string", "number"],
            "pattern": r"^[0-9]{1,7}(\.[0-9]{1,12})?$",
            "minimum": 0,
            "maximum": MOST_DOLLARS,
        },
    ),
]
SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$")]
VariableName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Labels = Annotated[dict[Name, Line], Meta(max_length=50)]


# -- limits -----------------------------------------------------------------------------------------------------------


class Limits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a session may use; what is not said is not limited. limits.py says when one is reached.

    idle_seconds   without a turn; then it is suspended, or with `on_idle: terminate` over
    wall_seconds   that it may be up (time in which it is suspended does not count)
    tokens         input and output together, as the gateway's ledger counts them
    repeats        how often in a row the agent may make the same tool call (loops.py); 0: as often as it likes
    """

    idle_seconds: Positive | None = None
    wall_seconds: Positive | None = None
    tokens: Positive | None = None
    dollars: Dollars | None = None
    requests: Positive | None = None
    bytes_out: Positive | None = None
    repeats: Annotated[int, Meta(ge=0, le=1000)] | None = None
    on_idle: Literal["suspend", "terminate"] = "suspend"

    def __post_init__(self) -> None:
        if self.dollars is not None:
            _check_dollars(self.dollars)


def _check_dollars(amount: Decimal) -> None:
    """Raises ValueError for an amount that is none."""
    if not amount.is_finite() or not 0 <= amount <= MOST_DOLLARS:
        raise ValueError(f"dollars: an amount from 0 to {MOST_DOLLARS:,} is needed")
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -12:
        raise ValueError("dollars: at most 12 digits after the point")


class Usage(Struct, frozen=True):
    """What a session has used: the sum of its `cost` events."""

    dollars: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    bytes_out: int = 0
    turns: int = 0


class Amounts(Struct, frozen=True):
    """What can be used up. `dollars` is exact; `tokens` are input and output together."""

    dollars: Decimal = Decimal(0)
    tokens: int = 0
    requests: int = 0
    bytes_out: int = 0


# -- agents and environments ------------------------------------------------------------------------------------------


class AgentSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an agent is.

    harness      which agent program (`claude-code`, `codex`, `loop`, `command` ...)
    model        the model's name at the gateway; empty: the harness's own default
    system       the system prompt
    tools        tool -> whether the agent may use it: `auto`, `ask` (an approval), `deny`; "*" stands for all others
    credentials  names of secrets that its sandbox gets stubs of
    budget       limits of each of its sessions
    options      what the harness takes beside (for `command`: `{"command": ["program", "argument"]}`)
    workers      names or ids of the agents that its sessions may start as workers; none: it is no supervisor
    """

    name: Name
    harness: Name
    description: Line = ""
    model: Annotated[str, Meta(max_length=200)] = ""
    system: Prose = ""
    tools: Annotated[dict[Name, Literal["auto", "ask", "deny"]], Meta(max_length=200)] = {}
    credentials: Annotated[tuple[SecretName, ...], Meta(max_length=100)] = ()
    budget: Limits = Limits()
    options: Annotated[dict[Name, Any], Meta(max_length=100)] = {}
    workers: Annotated[tuple[Name, ...], Meta(max_length=50)] = ()


class Resources(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a sandbox may take of its host; what is not said is the driver's default."""

    memory_bytes: Positive | None = None
    disk_bytes: Positive | None = None
    processes: Positive | None = None
    cpus: Annotated[float, Meta(gt=0, le=4096)] | None = None


class EnvironmentSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an agent may run, and what it may reach.

    image      of a driver that has images; empty: the host's system, read only
    packages   by manager (`apt`, `npm`, `pip`), to be installed before the agent starts
    egress     rules of the vault, `METHOD scheme://host:port/path`; nothing else is reachable
    setup      commands that run in the workspace before the agent starts
    variables  plain settings, which the agent may read; never secrets
    isolation  `strict`, or the name of a weaker mode of the driver, which must be asked for here
    ask        whether somebody is asked about hosts that no rule names, and about pushes to branches that no binding
               names, instead of refusing them at once
    freeze_on_misuse  whether a stub that is seen where it does not belong suspends the session
    """

    name: Name
    description: Line = ""
    image: Annotated[str, Meta(max_length=500)] = ""
    packages: Annotated[dict[Literal["apt", "npm", "pip"], tuple[Word, ...]], Meta(max_length=3)] = {}
    egress: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=2000)], ...], Meta(max_length=500)] = ()
    resources: Resources = Resources()
    setup: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=10_000)], ...], Meta(max_length=100)] = ()
    variables: Annotated[dict[VariableName, Prose], Meta(max_length=200)] = {}
    isolation: Name = "strict"
    ask: bool = False
    freeze_on_misuse: bool = False


S = TypeVar("S", AgentSpec, EnvironmentSpec)


class Versioned(Struct, Generic[S], frozen=True):
    """A spec with its identity. `version` counts from 1; `created_at` is the first version's time, `updated_at` this
    one's.
    """

    id: str
    owner: str
    version: int
    spec: S
    created_at: datetime
    updated_at: datetime
    updated_by: str = ""
    archived_at: datetime | None = None


Agent = Versioned[AgentSpec]
Environment = Versioned[EnvironmentSpec]


# -- sessions ---------------------------------------------------------------------------------------------------------


class Pin(Struct, frozen=True):
    """One version of an agent or environment."""

    id: str
    version: int


class Fork(Struct, frozen=True):
    """Where a session comes from: the first `number` events of another."""

    session: str
    number: int


class Sandbox(Struct, frozen=True):
    """What holds a session at present: the driver, its word for the sandbox, the wall's strength, and where files are
    kept.
    """

    driver: str
    id: str
    isolation: str
    workspace: str = ""


class Session(Struct, frozen=True, kw_only=True):
    """A session's row: what its log comes to (log.py), and what it was made with.

    last_event     number of the last event; the log has 1 ... last_event
    last_message   number of the last user message, `delivered` of the last one that a turn has begun with
    restarts       how often its sandbox was lost since a turn ended
    active_seconds in which it was up, until `active_since` (None: it is not up now)
    parent         the session whose agent started this one
    lent           what is set aside for its workers that live
    spent_by_workers  what those that are over have used
    stop_reason    why it is over; None while it is not
    sandbox        what holds it now; None: nothing does
    driver         the sandbox driver that has its workspace; "" before its first sandbox
    isolation      how strong the wall of its sandbox is, or was: it stays when the sandbox is gone
    """

    id: str
    owner: str
    agent: Pin
    environment: Pin
    created_at: datetime
    updated_at: datetime
    title: str = ""
    labels: dict[str, str] = {}
    state: State = State.CREATED
    reason: Reason = Reason.NEW
    detail: str = ""
    stop_reason: Reason | None = None
    limits: Limits = Limits()
    usage: Usage = Usage()
    last_event: int = 0
    last_message: int = 0
    delivered: int = 0
    open_approvals: int = 0
    restarts: int = 0
    active_seconds: float = 0.0
    active_since: datetime | None = None
    idle_since: datetime | None = None
    parent: str | None = None
    lent: Amounts = Amounts()
    spent_by_workers: Amounts = Amounts()
    forked_from: Fork | None = None
    sandbox: Sandbox | None = None
    driver: str = ""
    isolation: str = ""
    created_by: str = ""

    def held_by(self, sandbox: Sandbox | None) -> Session:
        """The row when this sandbox holds it from now on, or none does. Pure."""
        if sandbox is None:
            return msgspec.structs.replace(self, sandbox=None)
        return msgspec.structs.replace(self, sandbox=sandbox, driver=sandbox.driver, isolation=sandbox.isolation)

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.usage.input_tokens + self.usage.output_tokens

    @property
    def has_message(self) -> bool:
        """Whether a user message waits for a turn."""
        return self.last_message > self.delivered


# -- approvals --------------------------------------------------------------------------------------------------------

About = Literal["egress", "push", "tool", "proposal"]
Decision = Literal["approved", "denied", "expired", "withdrawn"]


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody is asked. `rule`: the exact rule that a yes would add; `detail`: what helps to decide."""

    about: About
    summary: Annotated[str, Meta(min_length=1, max_length=1000)]
    rule: Annotated[str, Meta(max_length=2000)] = ""
    detail: Annotated[dict[Name, Any], Meta(max_length=50)] = {}
    timeout_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300


class Approval(Struct, frozen=True, kw_only=True):
    """A question and, once `decision` is there, its answer. No answer until `expires_at` is a no.

    remember  the answer holds for the same rule during the rest of the session
    """

    id: str
    owner: str
    session: str
    ask: Ask
    asked_at: datetime
    expires_at: datetime
    decision: Decision | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    remember: bool = False
    note: str = ""


# -- tokens -----------------------------------------------------------------------------------------------------------


class Token(Struct, frozen=True, kw_only=True):
    """A token as the store knows it: never its secret, of which only the hash is kept.

    session  an agent's own token: it speaks for this session, and may never do more than access.AGENT_SCOPES
    """

    id: str
    owner: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    session: str | None = None
    created_by: str = ""


class Principal(Struct, frozen=True):
    """Who calls: an owner, what they may do, by which token, and for which session if they are an agent."""

    owner: str
    scopes: frozenset[str]
    token: str = ""
    session: str | None = None


class Page(Struct, Generic[T], frozen=True):
    """Some rows, and the `cursor` of those that follow; None: there are no more."""

    data: list[T]
    next: str | None = None

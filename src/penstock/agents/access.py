"""Who may do what: scopes, owners, and what an agent's own token may never do. Pure, and the only place that decides
it.

A principal sees the rows of its owner, and nothing else: what is another's is not there (404, never 403, so that ids
tell nothing). A token of an agent, which lives in its sandbox and may be in anybody's hands, sees less: its own
session,
and the workers that this one has started. It may ask for approvals and never decide them, and no scope that changes
rules, secrets, agents or tokens can be given to it; where a row of the store says otherwise, that is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from penstock.agents.errors import Forbidden, Invalid, NotFound
from penstock.agents.types import Principal, Session

SCOPES: Mapping[str, str] = {
    "agents:read": "read agents",
    "agents:write": "make, change and archive agents",
    "environments:read": "read environments",
    "environments:write": "make, change and archive environments",
    "sessions:read": "read sessions, their events, files, artifacts and plans",
    "sessions:write": "start sessions, and message, interrupt, suspend, resume, fork and terminate them; make and"
    " change their plans",
    "approvals:read": "read approvals",
    "approvals:decide": "decide approvals",
    "approvals:propose": "ask for an approval on behalf of a session",
    "workers:write": "start, message, interrupt and terminate workers (sessions that an agent's session starts), and"
    " change the plans of its own session",
    "secrets:read": "read the names and bindings of secrets",
    "secrets:write": "set secrets and their bindings",
    "tokens:read": "read tokens (never their secrets)",
    "tokens:write": "make and revoke tokens, with no more scopes than one's own",
}
"""Every scope, and what it allows."""

AGENT_SCOPES = frozenset({"sessions:read", "approvals:read", "approvals:propose", "workers:write"})
"""All that a token of an agent can ever do."""


class Owned(Protocol):
    """A row."""

    @property
    def owner(self) -> str:
        """Whose."""
        ...


def scopes_of(principal: Principal) -> frozenset[str]:
    """What this principal may do."""
    return principal.scopes & AGENT_SCOPES if principal.session is not None else principal.scopes & SCOPES.keys()


def require(principal: Principal, *any_of: str) -> None:
    """Raises Forbidden where the principal has none of these scopes."""
    if not scopes_of(principal).intersection(any_of):
        whose = "a token of an agent may never do this" if _never(principal, any_of) else "this token may not"
        raise Forbidden(whose, fix=f"use one with the scope {' or '.join(any_of)}", code="missing_scope")


def _never(principal: Principal, any_of: Iterable[str]) -> bool:
    return principal.session is not None and not AGENT_SCOPES.intersection(any_of)


def owned(principal: Principal, row: Owned | None, what: str) -> None:
    """Raises NotFound where there is no row, or one of another owner."""
    if row is None or row.owner != principal.owner:
        raise NotFound(f"there is no such {what}")


def sees(principal: Principal, session: Session) -> bool:
    """Whether this session is there for this principal. An agent's token sees its own and its workers."""
    if session.owner != principal.owner:
        return False
    return principal.session is None or principal.session in (session.id, session.parent)


def readable(principal: Principal, session: Session | None) -> Session:
    """The session, for whoever may read it. Raises Forbidden, NotFound."""
    require(principal, "sessions:read")
    return _seen(principal, session)


def writable(principal: Principal, session: Session | None) -> Session:
    """The session, for whoever may tell it what to do: an agent its workers, never itself. Raises Forbidden,
    NotFound.
    """
    require(principal, "sessions:write", "workers:write")
    found = _seen(principal, session)
    if principal.session is None:
        require(principal, "sessions:write")
    elif found.parent != principal.session:
        raise Forbidden("an agent may not tell its own session what to do", fix="its supervisor and its owner may")
    return found


def planning(principal: Principal, session: Session | None) -> Session:
    """The session, for whoever may change its plans: its owner, and its own agent. Raises Forbidden, NotFound."""
    require(principal, "sessions:write", "workers:write")
    found = _seen(principal, session)
    if principal.session is None:
        require(principal, "sessions:write")
    elif found.id != principal.session:
        raise Forbidden("an agent changes the plans of its own session only", fix="tell the worker what to do")
    return found


def asking(principal: Principal, session: Session | None) -> Session:
    """The session, for whoever may ask for an approval on its behalf: an agent for its own only. Raises Forbidden,
    NotFound.
    """
    require(principal, "approvals:propose")
    found = _seen(principal, session)
    if principal.session not in (None, found.id):
        raise NotFound("there is no such session")
    return found


def _seen(principal: Principal, session: Session | None) -> Session:
    if session is None or not sees(principal, session):
        raise NotFound("there is no such session")
    return session


def check_grant(principal: Principal, scopes: Iterable[str], session: str | None) -> tuple[str, ...]:
    """The scopes of a new token, sorted. Raises Invalid for one that is none, Forbidden for more than one has oneself.

    A token for an agent (`session`) can have `AGENT_SCOPES` only; whoever may write sessions may give all of those.
    """
    wanted = sorted(set(scopes))
    unknown = [each for each in wanted if each not in SCOPES]
    if unknown:
        raise Invalid(f"there is no scope {unknown[0][:100]!r}", fix=f"use some of {', '.join(SCOPES)}", param="scopes")
    allowed = scopes_of(principal)
    if session is not None:
        never = [each for each in wanted if each not in AGENT_SCOPES]
        if never:
            raise Forbidden(f"a token of an agent can never have {never[0]}", code="missing_scope")
        allowed = allowed | AGENT_SCOPES if "sessions:write" in allowed else allowed
    more = [each for each in wanted if each not in allowed]
    if more:
        raise Forbidden(f"this token has no {more[0]} that it could give", code="missing_scope")
    return tuple(wanted)

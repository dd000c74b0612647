"""Who may do what: owners, scopes, and the bounds of an agent's own token."""

import pytest

from penstock.agents.access import (
    AGENT_SCOPES,
    SCOPES,
    asking,
    check_grant,
    owned,
    readable,
    require,
    scopes_of,
    sees,
    writable,
)
from penstock.agents.errors import Forbidden, Invalid, NotFound
from penstock.agents.types import Principal
from tests.support.agents import ALICE, ALL_SCOPES, BOB, new_session

MINE = new_session()
WORKER = new_session(parent=MINE.id)
OTHER = new_session()
ROBOT = Principal("alice", ALL_SCOPES, "tok", MINE.id)
"""An agent's token, in whose row somebody has written all scopes."""


def test_all_scopes_are_known() -> None:
    assert set(SCOPES) == ALL_SCOPES
    assert scopes_of(Principal("x", frozenset({"sessions:read", "made:up"}))) == {"sessions:read"}


def test_an_agent_never_has_more_than_agents_may() -> None:
    assert scopes_of(ROBOT) == AGENT_SCOPES
    for scope in ALL_SCOPES - AGENT_SCOPES:
        with pytest.raises(Forbidden, match="may never"):
            require(ROBOT, scope)
    forbidden = {"secrets:write", "agents:write", "environments:write", "approvals:decide", "tokens:write"}
    assert not forbidden & AGENT_SCOPES


def test_what_is_anothers_is_not_there() -> None:
    assert readable(ALICE, MINE) is MINE
    for session in (MINE, None):
        with pytest.raises(NotFound):
            readable(BOB, session)
        with pytest.raises(NotFound):
            writable(BOB, session)
        with pytest.raises(NotFound):
            owned(BOB, session, "session")


def test_an_agent_sees_itself_and_its_workers() -> None:
    assert [sees(ROBOT, each) for each in (MINE, WORKER, OTHER)] == [True, True, False]
    assert writable(ROBOT, WORKER) is WORKER
    with pytest.raises(Forbidden, match="its own session"):
        writable(ROBOT, MINE)
    with pytest.raises(NotFound):
        writable(ROBOT, OTHER)
    assert asking(ROBOT, MINE) is MINE
    with pytest.raises(NotFound):
        asking(ROBOT, WORKER)


def test_a_worker_does_not_see_its_supervisor() -> None:
    assert not sees(Principal("alice", AGENT_SCOPES, "tok", WORKER.id), MINE)


def test_a_person_needs_the_scope_for_sessions() -> None:
    with pytest.raises(Forbidden, match="sessions:write"):
        writable(Principal("alice", frozenset({"workers:write", "sessions:read"})), MINE)
    with pytest.raises(Forbidden, match="sessions:read"):
        readable(Principal("alice", frozenset({"sessions:write"})), MINE)


def test_nobody_gives_what_they_have_not() -> None:
    reader = Principal("alice", frozenset({"tokens:write", "sessions:read"}))
    assert check_grant(reader, ["sessions:read", "sessions:read"], None) == ("sessions:read",)
    with pytest.raises(Forbidden, match="has no secrets:write"):
        check_grant(reader, ["secrets:write"], None)
    with pytest.raises(Invalid, match="no scope 'root'"):
        check_grant(ALICE, ["root"], None)


def test_a_token_for_an_agent() -> None:
    assert check_grant(ALICE, ["workers:write", "approvals:propose"], MINE.id) == ("approvals:propose", "workers:write")
    for scope in ALL_SCOPES - AGENT_SCOPES:
        with pytest.raises(Forbidden, match="can never have"):
            check_grant(ALICE, [scope], MINE.id)

"""What `penstock run HARNESS` makes of its arguments, and of how a session ended."""

from __future__ import annotations

import pytest

from penstock.agents.events import TurnEnd
from penstock.agents.machine import Reason, State
from penstock.cli import CommandError
from penstock.cli.cloning import clone_rules
from penstock.cli.run_agent import _status
from penstock.vault.rules import parse_rule
from tests.support.agents import new_session


@pytest.mark.parametrize("url", ["https://git.example.com/o/n", "https://git.example.com/o/n.git/", "http://h:8080/n"])
def test_a_clone_may_fetch_that_repository_and_nothing_else(url: str) -> None:
    rules = clone_rules(url, ())
    assert {rule.split()[0] for rule in rules} == {"GET", "POST"}
    assert all(parse_rule(rule).path.endswith(("/info/refs", "/git-upload-pack")) for rule in rules)
    assert not any("receive-pack" in rule or "*" in rule for rule in rules)


def test_a_secret_that_is_bound_to_the_host_says_what_may_be_fetched() -> None:
    assert clone_rules("https://git.example.com/o/n", ("git.example.com:443",)) == []
    assert clone_rules("git@git.example.com:o/n.git", ()) == []
    assert clone_rules("ssh://git@git.example.com/o/n.git", ()) == []


@pytest.mark.parametrize(
    "url", ["https://user:password@git.example.com/o/n", "file:///etc", "nonsense", "ext::sh -c id"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(CommandError):
        clone_rules(url, ())


@pytest.mark.parametrize(
    ("stop", "outcome", "status"),
    [
        (Reason.USER, "completed", 0),
        (Reason.USER, "failed", 1),
        (Reason.USER, "interrupted", 130),
        (Reason.MONEY_LIMIT, "completed", 3),
        (Reason.LOOP_DETECTED, None, 3),
        (Reason.ERROR, None, 1),
    ],
)
def test_the_exit_status_says_how_it_ended(stop: Reason, outcome: str | None, status: int) -> None:
    session = new_session(state=State.TERMINATED, stop_reason=stop)
    assert _status(session, TurnEnd(outcome) if outcome else None) == status  # type: ignore[arg-type]

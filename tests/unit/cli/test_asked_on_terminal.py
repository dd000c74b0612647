"""What `penstock run --ask` asks on the terminal, and what an answer means."""

from datetime import UTC, datetime

import pytest

from penstock.agents.events import ApprovalRequested
from penstock.cli.run_agent import decision_of, question_of


def asked(about: str) -> ApprovalRequested:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return ApprovalRequested("apr_1", about, "It wants something.", "a rule", now)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("about", "line", "decision", "remember"),
    [
        ("push", "y\n", "approved", False),
        ("push", " A \n", "approved", True),
        ("push", "\n", "denied", True),
        ("push", "always?\n", "denied", True),
        ("egress", "yes\n", "approved", True),
        ("egress", "a\n", "denied", True),
        ("tool", "", "denied", True),
    ],
)
def test_what_a_line_decides(about: str, line: str, decision: str, remember: bool) -> None:
    found = decision_of(asked(about), line)
    assert (found.decision, found.remember) == (decision, remember)


def test_a_push_can_be_allowed_alone() -> None:
    assert "this push" in question_of(asked("push"))
    assert "rest of this session" in question_of(asked("egress"))

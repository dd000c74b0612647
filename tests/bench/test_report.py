"""The page of figures: what a run writes takes the place of what the last wrote, and touches nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bench.gateway import report
from bench.gateway.bench import Effort
from bench.gateway.peers import PEERS
from bench.gateway.scenarios import SCENARIOS
from bench.gateway.scenarios.scenario import Claim, Outcome

OUTCOME = Outcome(
    ("peer", "requests/s"),
    [["nginx", "60,000"], ["penstock", "30,000"]],
    [Claim("a", "b", "c", True), Claim("d", "e", "f", False), Claim("g", "h", "i", None)],
    ["one note"],
    {"nginx": {"rate": 60.0}, "penstock": {"rate": 30.0}},
)


def figures() -> str:
    when = datetime(2026, 11, 1, tzinfo=UTC)
    missing = {"litellm": "not installed: so do this"}
    return report.as_markdown({"relay": OUTCOME}, [PEERS["nginx"]], missing, Effort(7, 3), ["it rained"], when)


def test_what_was_measured_stands_on_the_page() -> None:
    text = figures()
    assert "| penstock | 30,000 |" in text
    assert "| a | b | c | held |" in text
    assert "| d | e | f | **missed** |" in text
    assert "| g | h | i | not decided here |" in text
    assert "November 2026" in text and "7 rounds of 3 s" in text
    assert "litellm (not installed: so do this)" in text
    assert "- it rained" in text
    assert SCENARIOS["relay"].title in text


def test_new_figures_replace_old_ones_and_nothing_else() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    once = report.replaced(page, "first")
    assert report.replaced(once, "second") == report.replaced(page, "second")
    assert "first" not in report.replaced(once, "second").partition(report.BEGIN)[2]
    before, _, _ = page.partition(report.BEGIN)
    _, _, after = page.partition(report.END)
    assert once == f"{before}{report.BEGIN}\n\nfirst\n\n{report.END}{after}"


@pytest.mark.parametrize("page", ["", report.BEGIN, report.END, f"{report.END}{report.BEGIN}"])
def test_a_page_without_its_marks_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        report.replaced(page, "figures")


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_page_has_the_method_of_every_scenario(name: str) -> None:
    assert f"| `{name}` |" in report.PAGE.read_text(encoding="utf-8").partition(report.BEGIN)[0]


def test_the_terminal_gets_the_same_in_columns() -> None:
    lines = report.as_text(OUTCOME).splitlines()
    assert lines[0].split() == ["peer", "requests/s"]
    assert len({len(line) for line in lines[:3]}) == 1
    assert "  d: f; e: **missed**" in lines


def test_a_ratio_of_what_was_not_measured_is_none() -> None:
    assert OUTCOME.ratio("rate", "penstock", "nginx") == 0.5
    assert OUTCOME.ratio("rate", "penstock", "envoy") is None
    assert OUTCOME.ratio("cpu", "penstock", "nginx") is None

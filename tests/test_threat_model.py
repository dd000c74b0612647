"""The page of the threat model: each row is shown by something that is there, and each row of the red team is in it."""

import re

import pytest

from penstock.redteam.probes import PROBES
from penstock.redteam.threats import SECTIONS, THREATS
from tests.support.needs import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "threat-model.md").read_text(encoding="utf-8")
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what is tried")
]
FAMILY = re.compile(r"\[`([a-z0-9-]+)`\]\(redteam\.md#([a-z0-9-]+)\)")
PROBE = re.compile(r"`([a-z0-9-]+\.[a-z0-9_-]+)`")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_row_is_shown_by_what_is_there(row: tuple[str, ...]) -> None:
    """Either probes run, or a test does, or the page of the red team says why nothing can."""
    assert len(row) == 3
    families, probes, tests = FAMILY.findall(row[2]), PROBE.findall(row[2]), TEST.findall(row[2])
    assert families or probes or tests
    assert all(name == anchor and name in THREATS for name, anchor in families)
    assert {probe.id for probe in PROBES}.issuperset(probes)
    for file, name in tests:
        assert f"def {name}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file} has no {name}"


def test_every_row_of_the_red_team_is_on_the_page() -> None:
    named = {name for name, _ in FAMILY.findall(PAGE)}
    assert named == THREATS.keys()


def test_a_row_without_probes_is_shown_by_a_test() -> None:
    """Where a family has no probe (`instead`), its row names a test, but for what is not there yet."""
    without = {name for name, row in THREATS.items() if row.instead} - {"cluster"}
    shown = {name for row in ROWS if TEST.search(row[2]) for name, _ in FAMILY.findall(row[2])}
    assert without <= shown


def test_the_sections_are_those_of_the_red_team() -> None:
    assert tuple(re.findall(r"^## (.+)$", PAGE, re.MULTILINE)) == SECTIONS

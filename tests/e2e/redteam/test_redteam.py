"""`penstock redteam`, whole: every probe passes on this machine, none is left out, and each row of the threat model is
tried or says who tries it instead.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from penstock.redteam import report, suite
from penstock.redteam.probes import PROBES
from penstock.redteam.suite import Result
from penstock.redteam.threats import THREATS
from tests.support.sandboxes import need_sandboxes

ROWS = [name for name, row in THREATS.items() if not row.instead]


@pytest.fixture(scope="module")
def results() -> Mapping[str, list[Result]]:
    """All probes, run once, by row."""
    need_sandboxes()
    found: dict[str, list[Result]] = {}
    for result in asyncio.run(suite.run(suite.chosen())):
        found.setdefault(result.row, []).append(result)
    return found


@pytest.mark.parametrize("row", ROWS)
def test_every_probe_of_a_row_passes(results: Mapping[str, list[Result]], row: str) -> None:
    assert results[row], f"no probe tries {row}"
    assert [f"{each.outcome}: {each.id}: {each.evidence}" for each in results[row] if each.outcome != "passed"] == []


def test_nothing_is_left_out(results: Mapping[str, list[Result]]) -> None:
    everything = [result for of_row in results.values() for result in of_row]
    assert len(everything) == len(PROBES) >= 150
    assert all(": " in result.evidence and "\n" not in result.evidence for result in everything)
    assert report.status(everything, strict=True) == 0


def test_it_leaves_nothing_behind(results: Mapping[str, list[Result]]) -> None:
    assert results
    assert not list(Path(tempfile.gettempdir()).glob("penstock-redteam-*"))


def test_the_command_shows_some_probes_as_json() -> None:
    need_sandboxes()
    command = [sys.executable, "-m", "penstock", "redteam", "--only", "partial*", "--json", "--strict"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(done.stdout)
    assert [probe["outcome"] for probe in shown["probes"]] == ["passed"] * 3
    assert shown["counts"]["partial"]["passed"] == 3


def test_the_command_fails_where_a_probe_fails() -> None:
    """A vault that has done nothing has no row of an alarm, and the probe that wants to see one says so."""
    need_sandboxes()
    command = [sys.executable, "-m", "penstock", "redteam", "--only", "traces.audit"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "failed: traces.audit" in done.stdout

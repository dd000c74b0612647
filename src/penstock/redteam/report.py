"""Results as people and programs read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.redteam.suite import Result, counted
from penstock.redteam.threats import SECTIONS, THREATS

Cells = tuple[str, ...]
HEAD: Cells = ("WHAT AN ATTACKER TRIES", "PASSED", "FAILED", "NOT RUN")


def rows(results: Sequence[Result]) -> list[tuple[str, list[Cells]]]:
    """Return the sections with a line a row of the threat model: what is tried, and how many probes ended how."""
    counts = counted(results)
    found = []
    for section in SECTIONS:
        lines = [
            (threat.attack, *(str(counts[name][outcome] or "") for outcome in ("passed", "failed", "not run")))
            for name, threat in THREATS.items()
            if threat.section == section and name in counts
        ]
        if lines:
            found.append((section, lines))
    return found


def troubles(results: Sequence[Result]) -> list[str]:
    """Return a line for each probe that did not pass, with its evidence."""
    return [f"{result.outcome}: {result.id}: {result.evidence}" for result in results if result.outcome != "passed"]


def total(results: Sequence[Result]) -> str:
    """Return the counts in a sentence."""
    by = {outcome: sum(result.outcome == outcome for result in results) for outcome in ("passed", "failed", "not run")}
    return f"{len(results)} probes: {', '.join(f'{count} {outcome}' for outcome, count in by.items() if count)}"


def document(results: Sequence[Result], seconds: float) -> dict[str, Any]:
    """Return all of it as JSON."""
    return {
        "seconds": round(seconds, 1),
        "counts": {name: {"attack": THREATS[name].attack, **count} for name, count in counted(results).items()},
        "probes": [
            {"id": result.id, "row": result.row, "outcome": result.outcome, "evidence": result.evidence}
            for result in results
        ],
    }


def status(results: Sequence[Result], *, strict: bool) -> int:
    """Return the exit status: 1 where a probe failed, or could not run and `strict` is set, or nothing was tried."""
    bad = {"failed", "not run"} if strict else {"failed"}
    return 1 if not results or any(result.outcome in bad for result in results) else 0

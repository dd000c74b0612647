"""Outcomes as text for the terminal, and as the figures of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.gateway import machine
from bench.gateway.bench import Effort
from bench.gateway.peers.peer import Peer
from bench.gateway.scenarios import SCENARIOS
from bench.gateway.scenarios.scenario import Claim, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
BEGIN = "<!-- figures: written by `make bench-gateway`, from here to the end mark -->"
END = "<!-- end of figures -->"
_VERDICT = {True: "held", False: "**missed**", None: "not decided here"}


def as_text(outcome: Outcome) -> str:
    """The table with its claims, in columns."""
    lines = _columns([outcome.columns, *outcome.rows])
    lines += [f"  {claim.what}: {claim.measured}; {claim.target}: {_VERDICT[claim.met]}" for claim in outcome.claims]
    return "\n".join([*lines, *(f"  ({note})" for note in outcome.notes)])


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def as_markdown(
    outcomes: Mapping[str, Outcome],
    peers: Sequence[Peer],
    missing: Mapping[str, str],
    effort: Effort,
    problems: Sequence[str],
    when: datetime,
) -> str:
    """The figures of the page."""
    rounds = f"{effort.rounds} rounds of {effort.seconds} s"
    parts = [f"Measured {when:%B %Y}: {machine.describe()}; {rounds}.", "### Targets"]
    claims = [claim for outcome in outcomes.values() for claim in outcome.claims]
    parts.append(_table(("what", "target", "measured", ""), [_claim(claim) for claim in claims]))
    for name, outcome in outcomes.items():
        parts += [f"### {SCENARIOS[name].title}", _table(outcome.columns, outcome.rows)]
        parts += [f"{note[0].upper()}{note[1:]}." for note in outcome.notes]
    parts += ["### Peers", _table(("peer", "set up as"), [(peer.name, peer.what) for peer in peers])]
    if missing:
        parts.append("Not measured: " + "; ".join(f"{name} ({reason})" for name, reason in missing.items()) + ".")
    if problems:
        parts.append(
            "What went wrong in this run:\n\n" + "\n".join(f"- {problem.splitlines()[0]}" for problem in problems)
        )
    return "\n\n".join(parts)


def _claim(claim: Claim) -> Sequence[str]:
    return (claim.what, claim.target, claim.measured, _VERDICT[claim.met])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def replaced(page: str, figures: str) -> str:
    """The page with these figures in the place of the old ones; raises ValueError where the marks are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN!r} or {END!r}")
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def write(
    outcomes: Mapping[str, Outcome],
    peers: Sequence[Peer],
    missing: Mapping[str, str],
    effort: Effort,
    problems: Sequence[str],
) -> None:
    """Write the figures into docs/benchmarks.md."""
    figures = as_markdown(outcomes, peers, missing, effort, problems, datetime.now(UTC))
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")

"""The report: a table for people, JSON for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from penstock.conformance.check import Result

_HEAD = ("provider", "dialect", "exchanges", "parsed", "round-tripped", "translated")


def rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row a provider and dialect, with its counts and the first finding of each exchange that failed."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.dialect is not None:
            groups.setdefault((result.provider, result.dialect), []).append(result)
    return [
        {
            "provider": provider,
            "dialect": dialect,
            "exchanges": len(group),
            "parsed": sum(result.parsed for result in group),
            "round_tripped": sum(result.round_tripped for result in group),
            "translated": sum(result.translated for result in group),
            "failures": [{"exchange": result.exchange, "failure": result.failure} for result in group if not result.ok],
        }
        for (provider, dialect), group in sorted(groups.items())
    ]


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """The whole report as one JSON object."""
    skipped = Counter(f"{result.provider} {result.skipped}" for result in results if result.skipped is not None)
    return {
        "exchanges": len(results),
        "checked": sum(result.dialect is not None for result in results),
        "failed": sum(not result.ok for result in results),
        "rows": rows(results),
        "remarks": {result.exchange: result.remark for result in results if result.remark is not None},
        "skipped": dict(sorted(skipped.items())),
    }


def as_text(results: Sequence[Result]) -> str:
    """The whole report as a table, the failures under it, then what was skipped."""
    report = as_json(results)
    table = [list(_HEAD)] + [[str(row[name.replace("-", "_")]) for name in _HEAD] for row in report["rows"]]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD))]
    lines = [_line(line, widths) for line in table]
    for row in report["rows"]:
        which = f"{row['provider']} {row['dialect']}"
        lines += [f"FAILED {which} {each['exchange']}: {each['failure']}" for each in row["failures"]]
    lines += [f"remark {exchange}: {remark}" for exchange, remark in report["remarks"].items()]
    lines += ["", *(f"skipped {count:4}  {name}" for name, count in report["skipped"].items())]
    skipped, failed = report["exchanges"] - report["checked"], report["failed"]
    lines.append(f"{report['exchanges']} exchanges: {report['checked']} checked, {skipped} skipped, {failed} failed")
    return "\n".join(lines)


def _line(cells: list[str], widths: list[int]) -> str:
    aligned = [_cell(text, width, column) for column, (text, width) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(aligned).rstrip()


def _cell(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column < 2 else text.rjust(width)

"""Builds the packaged model facts out of the collected ones: `python -m tools.build_facts [SOURCE] [--check]`.

SOURCE is a JSON object of rows by model name (default: `model-facts.json` among the shared references). The output is
committed, and the same source always gives the same bytes: names, fields and sets are sorted, numbers keep the words of
the source. A test rebuilds it wherever the source is at hand.

The form is JSON Lines, uncompressed, since the wheel is compressed anyway and text can be compared line by line:

    line 1    {"fields": [...], "hosts": [...], "facts": n, "prices": m, "models": k, "rules": [...]}
    n lines   a set of facts:  [field number, value, field number, value, ...]
    m lines   a set of prices: likewise
    k lines   a model:         ["name", number of its host, number of its facts, number of its prices]

Most models share their facts or their prices with others, so the 4,240 rows need a third of the room of the source, and
a reader has to decode two lines to know one model. `rules` are the facts of models that are not listed, by the shape of
their name; the source keeps them in a row of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from penstock.providers.prices import is_price_field

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUT = REPOSITORY / "src" / "penstock" / "providers" / "facts" / "models.jsonl"
RULES_ROW = "fallback_generalizations"
HOST = "litellm_provider"


class Number(str):
    """A number as the source spells it."""

    __slots__ = ()


def default_source() -> Path:
    """Where the collected facts lie: in the folder of shared references beside the repository, or in
    $PENSTOCK_SHARED."""
    return Path(os.environ.get("PENSTOCK_SHARED") or REPOSITORY.parent / "shared") / "model-facts.json"


def build(source: str) -> str:
    """The packaged text for the collected facts in `source` (JSON text)."""
    rows: dict[str, dict[str, Any]] = json.loads(source, parse_float=Number, parse_int=Number)
    rules = rows.pop(RULES_ROW, {}).get("rules", [])
    fill(rows, rules)
    hosts = sorted({str(row.get(HOST, "")) for row in rows.values()})
    numbers = _field_numbers(rows)
    facts = {name: _encode(row, numbers, prices=False) for name, row in rows.items()}
    prices = {name: _encode(row, numbers, prices=True) for name, row in rows.items()}
    fact_sets, price_sets = sorted(set(facts.values())), sorted(set(prices.values()))
    fact_number, price_number = _numbered(fact_sets), _numbered(price_sets)
    host_number = _numbered(hosts)
    models = [
        [name, host_number[str(row.get(HOST, ""))], fact_number[facts[name]], price_number[prices[name]]]
        for name, row in sorted(rows.items())
    ]
    header = {
        "fields": list(numbers),
        "hosts": hosts,
        "facts": len(fact_sets),
        "prices": len(price_sets),
        "models": len(models),
        "rules": rules,
    }
    return "\n".join([_text(header), *fact_sets, *price_sets, *map(_text, models), ""])


def fill(rows: dict[str, dict[str, Any]], rules: list[dict[str, Any]]) -> None:
    """Add what the rules say to the rows that lack it: some hold for listed models of some hosts too."""
    for rule in rules:
        pattern, hosts = re.compile(rule["pattern"]), rule.get("fill_missing_for_providers", ())
        for name, row in rows.items():
            if row.get(HOST) in hosts and pattern.search(name):
                row.update({field: value for field, value in rule["model_info"].items() if field not in row})


def _numbered(texts: list[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(texts)}


def _field_numbers(rows: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Field name -> number; the common ones get the short numbers."""
    uses = Counter(field for row in rows.values() for field in row if field != HOST)
    ordered = sorted(uses, key=lambda field: (-uses[field], field))
    return {field: number for number, field in enumerate(ordered)}


def _encode(row: dict[str, Any], numbers: dict[str, int], *, prices: bool) -> str:
    chosen = sorted(field for field in row if field != HOST and is_price_field(field) is prices)
    return "[" + ",".join(f"{numbers[field]},{_text(row[field])}" for field in chosen) + "]"


def _text(value: Any) -> str:
    """`value` as compact JSON; numbers in the source's own words."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def main(arguments: list[str] | None = None) -> int:
    """Write the packaged facts, or, with `--check`, say whether they are up to date (exit status 1 if not)."""
    parser = argparse.ArgumentParser(prog="python -m tools.build_facts", description="Build the packaged model facts.")
    parser.add_argument("source", nargs="?", type=Path, default=default_source())
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the packaged facts are out of date"
    )
    chosen = parser.parse_args(arguments)
    if not chosen.source.is_file():
        print(f"{chosen.source} is not there: name the file with the collected facts", file=sys.stderr)
        return 2
    text = build(chosen.source.read_text(encoding="utf-8"))
    if chosen.check:
        current = OUTPUT.is_file() and OUTPUT.read_text(encoding="utf-8") == text
        print(f"{OUTPUT.name}: {'up to date' if current else 'out of date: run python -m tools.build_facts'}")
        return 0 if current else 1
    OUTPUT.write_text(text, encoding="utf-8", newline="\n")
    print(f"{OUTPUT.relative_to(REPOSITORY)}: {len(text.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

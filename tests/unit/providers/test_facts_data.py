"""The packaged facts: up to date with the collected ones, complete, exact, small, and read only when needed."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from penstock.providers.facts import Facts
from penstock.providers.facts.packaged import PackagedFacts, packaged_facts
from penstock.providers.prices import is_price_field, prices_of
from tests.support.fresh import clean_environment
from tools import build_facts

RULES_ROW = "fallback_generalizations"


@pytest.fixture(scope="module")
def collected(shared: Callable[..., Path]) -> str:
    return shared("model-facts.json").read_text(encoding="utf-8")


def exact(source: str) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = json.loads(source, parse_float=Decimal)
    return rows


def test_the_packaged_file_is_up_to_date(collected: str) -> None:
    """If this fails: python -m tools.build_facts"""
    assert build_facts.OUTPUT.read_text(encoding="utf-8") == build_facts.build(collected)


def test_every_field_of_every_row_is_kept_exactly(collected: str) -> None:
    """All rows, all fields, all digits; besides them only what a rule says of listed models."""
    rows = exact(collected)
    rules = rows.pop(RULES_ROW)["rules"]
    packaged = packaged_facts()
    assert list(packaged) == sorted(rows)
    assert packaged.rules == rules
    for name, row in rows.items():
        found = packaged.row(name)
        added = {field: found.pop(field) for field in found.keys() - row.keys()}
        assert found == {"litellm_provider": "", **row}
        assert added.items() <= ruled(name, row, rules).items()


def ruled(name: str, row: dict[str, Any], rules: list[dict[str, Any]]) -> dict[str, Any]:
    """What the rules add to a listed row, told anew."""
    return {
        "litellm_provider": "",
        **{
            field: value
            for rule in rules
            if row.get("litellm_provider") in rule.get("fill_missing_for_providers", [])
            and re.search(rule["pattern"], name)
            for field, value in rule["model_info"].items()
        },
    }


def test_every_price_of_the_source_is_exact(collected: str) -> None:
    """Digit by digit: what the source writes is what a price list holds, and no number of it is a binary float."""
    checked, facts = 0, Facts()
    for name, row in json.loads(collected, parse_float=lambda text: text, parse_int=lambda text: text).items():
        prices = facts.prices(name) if name != RULES_ROW else None
        for field, text in row.items():
            if prices and isinstance(text, str) and field in prices.rates:
                assert Fraction(prices.rates[field]) == Fraction(text), (name, field)
                checked += 1
    assert checked > 15_000


def test_prices_that_agree_are_told_by_their_set() -> None:
    packaged = packaged_facts()

    def prices(name: str) -> dict[str, Any]:
        return {field: value for field, value in packaged.row(name).items() if is_price_field(field)}

    names = list(packaged)[::7]
    for one, other in pairwise(names):
        assert packaged.same_prices(one, other) is (prices(one) == prices(other))


def test_every_packaged_row_has_readable_prices() -> None:
    with_prices = sum(prices_of(row.fields, row.name) is not None for row in Facts().rows())
    assert with_prices > 4_100


def test_no_float_is_anywhere_in_the_packaged_facts() -> None:
    def floats(value: object) -> bool:
        if isinstance(value, dict):
            return any(map(floats, value.values()))
        return any(map(floats, value)) if isinstance(value, list) else isinstance(value, float)

    assert not any(floats(row.fields) for row in Facts().rows())


def test_the_form_is_read_as_it_is_documented() -> None:
    text = build_facts.build(
        json.dumps(
            {
                "b": {"litellm_provider": "x", "mode": "chat", "input_cost_per_token": 1e-06},
                "a": {"mode": "chat", "tiered_pricing": [{"range": [0, 5.0], "input_cost_per_token": 2}]},
                RULES_ROW: {"rules": [{"pattern": "b", "model_info": {"mode": "odd"}}]},
            }
        )
    )
    packaged = PackagedFacts(text.encode())
    assert list(packaged) == ["a", "b"]
    assert len(packaged) == 2
    assert "c" not in packaged
    assert packaged.host("b") == "x"
    assert packaged.row("b") == {"input_cost_per_token": Decimal("0.000001"), "litellm_provider": "x", "mode": "chat"}
    assert packaged.row("a")["tiered_pricing"] == [{"input_cost_per_token": 2, "range": [0, Decimal("5.0")]}]
    with pytest.raises(KeyError):
        packaged.row("c")


def test_the_builder_says_whether_the_file_is_up_to_date(collected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert build_facts.main(["--check"]) == 0
    assert "up to date" in capsys.readouterr().out
    assert build_facts.main(["no-such-file.json"]) == 2
    assert "is not there" in capsys.readouterr().err


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    """Importing the modules reads no file and decodes nothing; the first look-up does."""
    program = (
        "import sys; import penstock.providers.facts as facts; from penstock.providers.facts import packaged\n"
        "assert packaged.packaged_facts.cache_info().currsize == 0\n"
        "assert 'httpx' not in sys.modules and 'asyncio' not in sys.modules\n"
        "assert facts.current_facts().prices('gpt-4o') is not None\n"
        "assert packaged.packaged_facts.cache_info().currsize == 1\n"
    )
    command = [sys.executable, "-I", "-W", "error", "-c", program]
    done = subprocess.run(command, env=clean_environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""What the ledger's rows come to, and what a gateway that is not well says."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from penstock.agents.errors import Invalid, Unavailable
from penstock.agents.keys import GatewayKeys, Spent, _refused, total


def test_exact_amounts_are_added_exactly() -> None:
    rows: list[dict[str, Any]] = [
        {"spend": 0.1, "prompt_tokens": 3, "completion_tokens": 4, "model": "demo", "metadata": {"cost": "0.1"}},
        {"spend": 0.2, "prompt_tokens": 5, "completion_tokens": 6, "model": "demo", "metadata": {"cost": "0.2"}},
        {"spend": 0.0, "prompt_tokens": None, "completion_tokens": 0, "model": "demo", "metadata": {"cost": None}},
    ]
    assert total(rows) == Spent(Decimal("0.3"), 8, 10, 3, "demo")


def test_rows_of_several_models_name_none() -> None:
    assert total([{"model": "one"}, {"model": "two"}]).model == ""
    assert total([]) == Spent()


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Invalid), (409, Invalid), (401, Unavailable), (403, Unavailable), (503, Unavailable)]
)
def test_a_refusal_says_whose_turn_it_is(status: int, kind: type[Exception]) -> None:
    assert isinstance(_refused("http://gateway", status, "why"), kind)


def test_a_gateway_that_is_not_there_is_unavailable_and_no_key_is_told() -> None:
    keys = GatewayKeys("http://127.0.0.1:1/", "sk-fake-management")
    with pytest.raises(Unavailable) as caught:
        asyncio.run(keys.revoke("ses_1"))
    assert "sk-fake" not in str(caught.value) and "sk-fake" not in repr(keys)

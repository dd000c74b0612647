"""What the ledger's row of a request says as its caller said it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.gateway.relay import Peeked, members_of
from penstock.gateway.row_facts import MOST_KEPT, Kept, facts_of, metadata_of
from penstock.routing.overrides import NO_OVERRIDES, Overrides
from penstock.types.errors import MalformedError


def headers(**said: str) -> dict[bytes, bytes]:
    return {name.replace("_", "-").encode(): value.encode() for name, value in said.items()}


@pytest.mark.parametrize("name", ["end_user_id", "customer_id"])
@pytest.mark.parametrize("prefix", ["x_litellm_", "x_penstock_"])
def test_the_end_user_of_a_header_goes_before_the_bodys(prefix: str, name: str) -> None:
    found = facts_of(headers(**{prefix + name: " Ann "}), Peeked("m", user="body"), NO_OVERRIDES, (), {})
    assert found == {"end_user": "Ann"}
    assert facts_of({}, Peeked("m", user="body"), NO_OVERRIDES, (), {}) == {"end_user": "body"}


def test_what_is_said_and_what_the_key_bears() -> None:
    overrides = Overrides(tags=("b", "a"), session="s", trace="t")
    found = facts_of({}, Peeked("m", session="dialects"), overrides, ("a", "own"), {"team": 1})
    assert found == {"tags": ["a", "own", "b"], "session": "s", "trace": "t", "metadata": {"team": 1}}
    assert facts_of({}, Peeked("m"), NO_OVERRIDES, (), {}) == {}


def test_metadata_of_body_and_header() -> None:
    body = members_of(b'{"metadata": {"a": 1, "b": 1}, "litellm_metadata": {"b": 2, "c": 2}}')
    assert metadata_of(headers(x_litellm_spend_logs_metadata='{"c": 3}'), body) == {"a": 1, "b": 2, "c": 3}
    assert metadata_of({}, members_of(b'{"metadata": "text"}')) == {}


@pytest.mark.parametrize("said", ["{", "[1]", '"x"', "[" * 5000, json.dumps({"a": "x" * 20_000})])
def test_metadata_that_is_none_or_too_much_is_refused_by_the_headers_name(said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        metadata_of(headers(x_penstock_spend_logs_metadata=said), {})
    assert "x-penstock-spend-logs-metadata" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": [{"role": "user", "content": "Hi"}], "n": 1}, [{"role": "user", "content": "Hi"}]),
        ({"system": "Be brief", "messages": []}, {"system": "Be brief", "messages": []}),
        ({"input": "Hi"}, {"input": "Hi"}),
    ],
)
def test_what_is_kept_is_what_was_said(body: dict[str, Any], said: Any) -> None:
    kept = Kept(members_of(json.dumps(body).encode()))
    assert kept.said == said
    assert kept.answer() == {}
    kept.take(b'{"a"')
    kept.take(b": 1}")
    assert kept.answer() == {"a": 1}


def test_what_is_kept_is_bounded() -> None:
    kept = Kept(members_of(json.dumps({"messages": ["x" * 10 * MOST_KEPT]}).encode()))
    assert len(kept.said["cut"]) == MOST_KEPT
    for _ in range(100):
        kept.take(b"y" * 10_000)
    assert kept.answer() == {"cut": "y" * MOST_KEPT}
    assert len(kept._answer) < 3 * MOST_KEPT

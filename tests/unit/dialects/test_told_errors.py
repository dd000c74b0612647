"""Errors as clients are told them: whatever shape a host has for them, the official client finds message and kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import registry, wire
from penstock.types.errors import ErrorResponse

FIELDS = [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]
FOREIGN: tuple[Any, ...] = (
    {"detail": "it broke"},
    {"detail": FIELDS},
    {"message": "it broke"},
    {"Message": "it broke"},
    {"message": "it broke", "__type": "ThrottlingException"},
    {"object": "error", "message": "it broke", "type": "invalid_args", "param": None, "code": "3051"},
    {"error": "it broke"},
    {"error": "it broke", "detail": "and how"},
    {"error": "bad", "message": "it broke"},
    {"error": ["it", "broke"]},
    {"errors": [{"message": "it broke", "code": 5007}], "success": False},
    [{"error": {"code": 400, "message": "it broke", "status": "INVALID_ARGUMENT", "details": [{"a": "b"}]}}],
    [{"error": {"message": "it"}}, {"error": {"message": "broke"}}],
    {"base_resp": {"status_code": 1008, "status_msg": "it broke"}},
    {"foo": "it broke"},
    [],
    [1],
    {},
)
OWN: dict[str, tuple[Any, ...]] = {
    "openai_chat": (
        {"error": {"message": "it broke", "type": "x", "param": None, "code": 7, "more": [1]}},
        {"error": {"message": {"a": 1}}, "status": 4},
    ),
    "anthropic_messages": (
        {"type": "error", "error": {"type": "overloaded_error", "message": "it broke", "x": 1}, "request_id": "r"},
        {"type": "error", "error": {"message": "it broke"}},
    ),
    "gemini": ({"error": {"code": 400, "message": "it broke", "status": "X", "details": [{"@type": "y"}]}, "z": 1},),
}
OWN["openai_responses"] = OWN["openai_chat"]


def told(name: str, body: Any, status: int = 400) -> tuple[ErrorResponse, Any]:
    dialect = registry.get(name)
    error = dialect.parse_error(status, {}, json.dumps(body).encode())
    assert dialect.tell_error is not None
    found, said = dialect.tell_error(error)
    assert found == error.status == status
    return error, said


def words(value: Any) -> set[str]:
    """All texts in a value."""
    if isinstance(value, dict | list):
        return set().union(*map(words, value.values() if isinstance(value, dict) else value))
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("body", FOREIGN, ids=lambda body: json.dumps(body)[:40])
def test_a_shape_of_a_hosts_own_is_said_in_the_dialects(name: str, body: Any) -> None:
    error, said = told(name, body)
    assert isinstance(said, dict) and error.message in said["error"]["message"]
    if name == "anthropic_messages":
        assert said["type"] == "error" and said["error"]["type"].endswith("_error")
    elif not isinstance(body, list) or len(body) != 1:  # Google's, in a list, is of the shape but for the list
        assert set(said["error"]) >= ({"code", "status"} if name == "gemini" else {"type", "param", "code"})
    kept = wire.encode(said).decode()
    assert all(json.dumps(word)[1:-1] in kept.replace("\\", "") for word in words(body))


@pytest.mark.parametrize(("name", "body"), [(name, body) for name, bodies in OWN.items() for body in bodies])
def test_a_shape_of_the_dialects_goes_on_as_it_came(name: str, body: Any) -> None:
    assert told(name, body)[1] == body


def test_the_hosts_words_stay_where_clients_look_for_them() -> None:
    _, said = told("openai_chat", {"object": "error", "message": "no", "type": "invalid_args", "code": "3051"})
    assert said == {
        "error": {"message": "no", "type": "invalid_args", "param": None, "code": "3051", "object": "error"}
    }
    _, said = told("anthropic_messages", {"message": "Too many requests"}, 429)
    assert said == {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many requests"}}
    _, said = told("anthropic_messages", {"error": {"type": "overloaded_error", "message": "no"}}, 529)
    assert said == {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    _, said = told("anthropic_messages", {"message": "input is too long for requested model"})
    assert said["error"]["message"].startswith("prompt is too long")


def test_what_is_rendered_stays_what_came() -> None:
    """`render_error` gives every shape back exactly: recorded traffic is held against it."""
    dialect = registry.get("openai_chat")
    for body in FOREIGN:
        assert dialect.render_error(dialect.parse_error(400, {}, json.dumps(body).encode())) == (400, body)


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 600) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "type", "code", "status", "detail", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("name", OWN)
@given(body=values)
def test_any_body_is_told_with_an_error_object(name: str, body: Any) -> None:
    _, said = told(name, body)
    assert isinstance(said["error"], dict)
    wire.encode(said)

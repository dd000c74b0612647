"""What a request says of its own routing, in LiteLLM's words and ours."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.routing.overrides import NO_OVERRIDES, Overrides, overrides_of, said_in_headers
from penstock.types.errors import MalformedError


@pytest.mark.parametrize("prefix", ["x-litellm-", "x-penstock-"])
def test_headers(prefix: str) -> None:
    said = {
        "timeout": "7.5",
        "stream-timeout": "3",
        "num-retries": "4",
        "tags": "eu, fast,,",
        "priority": "2",
        "session-id": "s1",
        "trace-id": "t1",
        "fallbacks": "one,two",
        "disable-fallbacks": "true",
    }
    assert overrides_of({prefix + name: value for name, value in said.items()}) == Overrides(
        timeout=7.5,
        stream_timeout=3.0,
        retries=4,
        tags=("eu", "fast"),
        priority=2,
        session="s1",
        trace="t1",
        fallbacks=("one", "two"),
        disable_fallbacks=True,
    )


def test_the_body() -> None:
    body = {
        "num_retries": 0,
        "timeout": 30,
        "stream_timeout": 2.5,
        "fallbacks": ["a", {"model": "b", "temperature": 0}],
        "context_window_fallbacks": ["c"],
        "content_policy_fallbacks": ["d"],
        "disable_fallbacks": False,
        "priority": 1,
        "metadata": {"tags": ["x"], "session_id": "s", "other": 1},
        "litellm_trace_id": "t",
        "model": "gpt",
    }
    assert overrides_of({}, body) == Overrides(
        retries=0,
        timeout=30.0,
        stream_timeout=2.5,
        fallbacks=("a", "b"),
        context_window_fallbacks=("c",),
        content_policy_fallbacks=("d",),
        changes={"b": {"temperature": 0}},
        priority=1,
        tags=("x",),
        session="s",
        trace="t",
    )


def test_headers_before_the_body_and_ours_before_litellms() -> None:
    headers = {"x-litellm-timeout": "2", "x-penstock-timeout": "3"}
    assert overrides_of(headers, {"timeout": 1}).timeout == 3.0
    assert overrides_of({"x-litellm-tags": "a"}, {"tags": ["b"], "metadata": {"tags": ["c"]}}).tags == ("a",)
    assert overrides_of({}, {"tags": ["b"], "metadata": {"tags": ["c"]}}).tags == ("b",)


def test_nothing_said_is_nothing() -> None:
    assert overrides_of({"x-litellm-tags": " ", "host": "x"}, {"timeout": None, "metadata": "text"}) is NO_OVERRIDES
    assert said_in_headers({b"x-litellm-tags": b"a"}) and not said_in_headers({b"x-litellmtags": b"a"})


@pytest.mark.parametrize(
    ("headers", "body", "word"),
    [
        ({"x-litellm-timeout": "soon"}, {}, "x-litellm-timeout"),
        ({"x-penstock-num-retries": "1.5"}, {}, "x-penstock-num-retries"),
        ({"x-penstock-num-retries": "-1"}, {}, "x-penstock-num-retries"),
        ({"x-penstock-disable-fallbacks": "maybe"}, {}, "x-penstock-disable-fallbacks"),
        ({"x-litellm-session-id": "x" * 513}, {}, "x-litellm-session-id"),
        ({}, {"timeout": 0}, "timeout"),
        ({}, {"timeout": "inf"}, "timeout"),
        ({}, {"timeout": True}, "timeout"),
        ({}, {"num_retries": 10**400}, "num_retries"),
        ({}, {"fallbacks": "gpt"}, "fallbacks"),
        ({}, {"fallbacks": [1]}, "fallbacks"),
        ({}, {"fallbacks": [{"temperature": 1}]}, "fallbacks"),
        ({}, {"fallbacks": ["x"] * 21}, "fallbacks"),
        ({}, {"metadata": {"tags": "eu"}}, "metadata.tags"),
        ({}, {"priority": {}}, "priority"),
    ],
)
def test_what_is_not_to_be_understood_is_named(headers: dict[str, str], body: dict[str, Any], word: str) -> None:
    with pytest.raises(MalformedError) as caught:
        overrides_of(headers, body)
    assert caught.value.path == word

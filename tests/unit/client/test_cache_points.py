"""`cache_control_injection_points`: which messages are marked, and that the marker reaches the provider."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import completion
from penstock.client.cache_points import with_cache_points
from penstock.testing.providers import Reply
from penstock.types.errors import MalformedError
from tests.support.targets import TARGETS, simulating

MARK = {"type": "ephemeral"}
TURNS: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    {"role": "assistant", "content": None},
    {"role": "user", "content": "three"},
]


def marked(*points: dict[str, Any], **more: Any) -> list[str]:
    """The texts that are marked."""
    body = with_cache_points({"messages": TURNS, "cache_control_injection_points": points, **more})
    parts = [part for turn in body["messages"] for part in turn["content"] or () if isinstance(part, dict)]
    return [part["text"] for part in parts if part.get("cache_control") == MARK]


@pytest.mark.parametrize(
    ("point", "texts"),
    [
        ({"role": "system"}, ["Be brief."]),
        ({"role": "user"}, ["two", "three"]),
        ({"index": -1}, ["three"]),
        ({"index": 1}, ["two"]),
        ({"index": "1"}, ["two"]),
        ({"index": 1, "role": "system"}, []),
        ({"index": 9}, []),
        ({"role": "assistant"}, []),
    ],
)
def test_which_messages_are_marked(point: dict[str, Any], texts: list[str]) -> None:
    assert marked({"location": "message", **point}) == texts


def test_the_callers_messages_stay_as_they_are() -> None:
    before = repr(TURNS)
    marked({"location": "message", "role": "user"}, {"location": "message", "index": 0})
    assert repr(TURNS) == before


def test_a_marker_of_the_callers_own_stays() -> None:
    own = {"type": "ephemeral", "ttl": "1h"}
    turns = [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": own}]}]
    points = [{"location": "message", "role": "user"}]
    assert with_cache_points({"messages": turns, "cache_control_injection_points": points})["messages"] == turns


def test_the_last_tool() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
    points = [{"location": "tool_config", "control": {"type": "ephemeral", "ttl": "1h"}}]
    body = with_cache_points({"tools": tools, "cache_control_injection_points": points})
    assert [tool.get("cache_control") for tool in body["tools"]] == [None, {"type": "ephemeral", "ttl": "1h"}]
    assert with_cache_points({"cache_control_injection_points": points}) == {}


@pytest.mark.parametrize(
    ("points", "path"),
    [
        ("system", "cache_control_injection_points"),
        ([{"role": "system"}], r"cache_control_injection_points[0]"),
        ([{"location": "message"}], r"cache_control_injection_points[0]"),
        ([{"location": "message", "index": "last"}], r"cache_control_injection_points[0].index"),
    ],
)
def test_what_is_no_point(points: Any, path: str) -> None:
    with pytest.raises(MalformedError) as caught:
        with_cache_points({"messages": TURNS, "cache_control_injection_points": points})
    assert caught.value.path == path


def test_the_marker_reaches_the_provider() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("Yes."))
        completion(
            messages=[TURNS[0], TURNS[3]],
            cache_control_injection_points=[{"location": "message", "role": "system"}],
            **TARGETS[2].arguments(simulated),
        )
        sent = simulated.last.json
    assert sent["system"] == [{"type": "text", "text": "Be brief.", "cache_control": MARK}]
    assert "cache_control" not in str(sent["messages"])

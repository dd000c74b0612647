"""trim_messages: what stays, what goes, and that what is left is still a conversation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import BadRequestError, token_counter, trim_messages

SYSTEM = {"role": "system", "content": "Be brief."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def call(name: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": name, "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    }


def result(name: str, text: str = "found") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": text}


LONG = "word " * 100


def test_what_fits_stays_as_it_is() -> None:
    messages = [SYSTEM, user("one"), assistant("two")]
    assert trim_messages(messages, "gpt-4o") == messages


def test_the_oldest_turns_go_first_and_the_system_message_never() -> None:
    messages = [SYSTEM, user(LONG), assistant(LONG), user("short"), assistant("short"), user("last")]
    kept = trim_messages(messages, "gpt-4o", max_tokens=60)
    assert kept == [SYSTEM, user("short"), assistant("short"), user("last")]


def test_a_call_and_its_results_stand_or_fall_together() -> None:
    messages = [user("one"), call("a"), result("a", LONG), assistant("so"), user("two"), call("b"), result("b")]
    for limit in range(30, 400, 7):
        kept = trim_messages(messages, "gpt-4o", max_tokens=limit)
        called = {each["id"] for message in kept for each in message.get("tool_calls") or ()}
        answered = {message["tool_call_id"] for message in kept if message["role"] == "tool"}
        assert called == answered


def test_a_conversation_begins_with_its_user() -> None:
    messages = [user(LONG), assistant("two"), user("three")]
    assert trim_messages(messages, "gpt-4o", max_tokens=40) == [user("three")]


def test_a_last_turn_that_is_too_long_is_shortened_in_the_middle() -> None:
    text = "begin " + LONG + " end"
    (kept,) = trim_messages([user(text)], "gpt-4o", max_tokens=40)
    assert kept["content"].startswith("begin")
    assert kept["content"].endswith("end")
    assert "[...]" in kept["content"]
    assert token_counter("gpt-4o", messages=[kept]) <= 40


def test_a_share_of_the_models_window() -> None:
    huge = user("word " * 200_000)
    kept, left = trim_messages([huge], "gpt-4o", trim_ratio=0.5, return_response_tokens=True)
    count = token_counter("gpt-4o", messages=kept)
    assert 60_000 < count <= 64_000
    assert left == 128_000 - count


def test_nothing_that_is_given_is_changed() -> None:
    messages = [SYSTEM, user(LONG), user(LONG)]
    before = [dict(message) for message in messages]
    trim_messages(messages, "gpt-4o", max_tokens=50)
    assert messages == before


@pytest.mark.parametrize(
    ("messages", "arguments", "said"),
    [
        ([user("one")], {"model": "nobody/knows-this"}, "max_tokens"),
        ([{"role": "system", "content": LONG}, user("one")], {"model": "gpt-4o", "max_tokens": 50}, "system messages"),
        ([user([{"type": "text", "text": LONG}])], {"model": "gpt-4o", "max_tokens": 50}, "no text to shorten"),  # type: ignore[arg-type]  # a list where the helper's type is text
        ([], {"model": "gpt-4o"}, "at least one message"),
    ],
)
def test_what_cannot_be_done_is_said(messages: Any, arguments: Any, said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        trim_messages(messages, **arguments)


TURN = st.one_of(
    st.text("ab ", max_size=60).map(lambda text: [user("u" + text)]),
    st.text("ab ", max_size=60).map(lambda text: [assistant("a" + text)]),
    st.tuples(st.integers(0, 99), st.text("ab ", max_size=60)).map(
        lambda pair: [call(f"c{pair[0]}"), result(f"c{pair[0]}", pair[1])]
    ),
)


@given(st.lists(TURN, min_size=1, max_size=8), st.integers(40, 200))
def test_whatever_is_left_fits_and_keeps_its_order(turns: Any, limit: int) -> None:
    messages = [SYSTEM, *(message for turn in turns for message in turn), user("last")]
    kept = trim_messages(messages, "gpt-4o", max_tokens=limit)
    assert kept[0] == SYSTEM
    assert kept[-1] == user("last")
    assert token_counter("gpt-4o", messages=kept) <= limit
    places = [messages.index(message) for message in kept]
    assert len(kept) == len(places)

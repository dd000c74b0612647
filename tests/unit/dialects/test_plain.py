"""Plain turns: what is a text and nothing else goes the short way, and says the same there as on the long one."""

import sys

import pytest
from msgspec.structs import replace

from penstock.dialects import registry
from penstock.dialects.plain import plain_text
from penstock.types.content import Base64, Cache, Citation, Media, Part, Refusal, Signature, Text, TokenLogprob
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Request, Role

PLAIN = Message("user", (Text("Hello"),))
MORE = [
    replace(PLAIN, parts=()),
    replace(PLAIN, parts=(Text("a"), Text("b"))),
    replace(PLAIN, parts=(Refusal("no"),)),
    replace(PLAIN, parts=(Media("image", Base64("AA==")),)),
    replace(PLAIN, name="Ann"),
    replace(PLAIN, cache=Cache()),
    replace(PLAIN, extras={"x": 1}),
    *(
        replace(PLAIN, parts=(part,))
        for part in (
            Text("a", citations=(Citation("https://example.com"),)),
            Text("a", logprobs=(TokenLogprob("a"),)),
            Text("a", signature=Signature("s", "gemini")),
            Text("a", cache=Cache()),
            Text("a", extras={"x": 1}),
            Text(""),
            Text(" \n"),
        )
    ),
]


@pytest.mark.parametrize("message", MORE)
def test_a_message_that_says_more_is_not_plain(message: Message) -> None:
    assert plain_text(message) is None


def test_spellings_of_another_dialect_say_nothing() -> None:
    assert plain_text(replace(PLAIN, parts=(Text("a", native="list", id="m1"),), native="typed", id="m1")) == Text("a")


def test_a_text_without_traces_is_taken_over_itself() -> None:
    assert plain_text(PLAIN) is PLAIN.parts[0]


TURNS: list[tuple[Role, str]] = [
    ("system", "Be brief."),
    ("developer", "Be kind."),
    ("user", "Hello"),
    ("user", " "),
    ("user", ""),
    ("assistant", "Hi"),
    ("assistant", ""),
    ("user", "More"),
    ("system", "Be loud."),
    ("assistant", "words "),
    ("assistant", "go on"),
    ("user", "Bye"),
]


@pytest.mark.parametrize("name", registry.NAMES)
@pytest.mark.parametrize("profile", [DEFAULT_PROFILE, Profile(system_turns=True, repair_turns=True)])
def test_both_ways_say_the_same(name: str, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each conversation of up to three of the turns, rendered with the short way and without it."""
    dialect = registry.get(name)
    requests = [
        Request(dialect="contract", model="m", messages=tuple(Message(role, _text(words)) for role, words in turns))
        for first in range(len(TURNS))
        for turns in (TURNS[first : first + 1], TURNS[first : first + 2], TURNS[first:], TURNS[: first + 1])
    ]
    short = [dialect.render_request(request, profile) for request in requests]
    _without_short_way(monkeypatch)
    assert [dialect.render_request(request, profile) for request in requests] == short


def _text(words: str) -> tuple[Part, ...]:
    return (Text(words),)


def _without_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    users = [
        module
        for module in list(sys.modules.values())
        if module.__name__.startswith("penstock.dialects.") and hasattr(module, "plain_text")
    ]
    assert len(users) > 6, "the dialects take the short way under another name: this test would compare nothing"
    for module in users:
        monkeypatch.setattr(module, "plain_text", lambda message: None)

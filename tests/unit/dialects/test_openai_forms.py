"""What Chat Completions and Responses spell differently has one form in the representation."""

from typing import Any

import pytest

from penstock.dialects import registry
from penstock.dialects.dialect import PathMatch
from penstock.types.content import Base64, Media
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.request import Message, Request
from tests.contract import dialects as contract

CHAT, RESPONSES = registry.get("openai_chat"), registry.get("openai_responses")
FLAT = {"type": "grammar", "syntax": "lark", "definition": "start: X"}
NESTED = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}


def _chat_tool(wanted: Any) -> dict[str, Any]:
    tool = {"type": "custom", "custom": {"name": "write", "format": wanted}}
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}


def _responses_tool(wanted: Any) -> dict[str, Any]:
    return {"model": "m", "input": "Hi", "tools": [{"type": "custom", "name": "write", "format": wanted}]}


@pytest.mark.parametrize(("chat", "responses"), [(NESTED, FLAT), ({"type": "text"}, {"type": "text"})])
def test_a_grammar_is_nested_in_one_and_flat_in_the_other(chat: Any, responses: Any) -> None:
    said = RESPONSES.render_request(CHAT.parse_request(_chat_tool(chat), PathMatch()), DEFAULT_PROFILE)
    assert said.value["tools"] == _responses_tool(responses)["tools"]
    back = CHAT.render_request(RESPONSES.parse_request(_responses_tool(responses), PathMatch()), DEFAULT_PROFILE)
    assert back.value["tools"] == _chat_tool(chat)["tools"]
    assert said.notes == back.notes == ()


@pytest.mark.parametrize(
    "wanted",
    [
        NESTED,
        FLAT,
        {"type": "text"},
        {**NESTED, "strictness": 1},
        {"type": "grammar", "grammar": {"type": "odd"}},
        {"type": "grammar", "grammar": None},
        {},
        None,
    ],
)
def test_any_format_comes_back_as_it_was(wanted: Any) -> None:
    contract.assert_request_exact(CHAT, _chat_tool(wanted))


AUDIO = [
    ("audio/mpeg", "mp3"),
    ("audio/mp3", "mp3"),
    ("AUDIO/MPEG", "mp3"),
    ("audio/mpeg;rate=44100", "mp3"),
    ("audio/wav", "wav"),
    ("audio/wave", "wav"),
    ("audio/x-wav", "wav"),
    ("audio/L16;rate=24000", "pcm16"),
    ("audio/ogg", "ogg"),
    (None, "wav"),
]


@pytest.mark.parametrize(("media_type", "word"), AUDIO)
def test_the_word_for_a_format_of_audio(media_type: str | None, word: str) -> None:
    part = Media("audio", Base64("AAAA"), media_type)
    request = Request(dialect="contract", model="m", messages=(Message("user", (part,)),))
    chat = CHAT.render_request(request, DEFAULT_PROFILE).value["messages"][0]["content"][0]
    responses = RESPONSES.render_request(request, DEFAULT_PROFILE).value["input"][0]["content"][0]
    assert chat["input_audio"]["format"] == responses["input_audio"]["format"] == word


@pytest.mark.parametrize("word", ["mp3", "wav", "mpeg", "wave", "x-wav", "L16", "MP3", "ogg", ""])
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_any_word_comes_back_as_it_was(word: str, role: str) -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": word}}
    contract.assert_request_exact(CHAT, {"model": "m", "messages": [{"role": role, "content": [part]}]})
    contract.assert_request_exact(
        RESPONSES, {"model": "m", "input": [{"type": "message", "role": "user", "content": [part]}]}
    )


@pytest.mark.parametrize("key", ["image_url", "video_url", "document_url"])
def test_media_of_an_assistant_stay_where_they_stood(key: str) -> None:
    for value in ("https://example.com/x", {"url": "https://example.com/x"}):
        part = {"type": key, key: value}
        contract.assert_request_exact(CHAT, {"model": "m", "messages": [{"role": "assistant", "content": [part]}]})

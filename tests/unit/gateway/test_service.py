"""Which dialect is spoken where, and where clients put their key."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from penstock.gateway.service import client_of, key_of, voice_of
from penstock.gateway.surfaces.places import table

PATHS = [
    ("/v1/chat/completions", "openai_chat"),
    ("/chat/completions", "openai_chat"),
    ("/v1/responses", "openai_responses"),
    ("/responses", "openai_responses"),
    ("/v1/responses/", "openai_responses"),
    ("/v1/responses/resp_1", "openai_responses"),
    ("/v1/messages", "anthropic_messages"),
    ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini"),
    ("/v1beta/models/openai/gpt-4o:streamGenerateContent", "gemini"),
    ("/v1/models/a:b:generateContent", "gemini"),
    ("/v1/messages/count_tokens", "anthropic_messages"),
    ("/v1/models", None),
    ("/health/liveliness/", None),
    ("/v2/chat/completions", None),
    ("/", None),
]


def inbound(path: str = "/", query: str = "", **headers: str) -> Any:
    named = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    return SimpleNamespace(path=path, query=query, headers=named)


@pytest.mark.parametrize(("path", "name"), PATHS)
def test_the_dialect_of_a_path(path: str, name: str | None) -> None:
    found = table().find(path)
    voice = found.voice if found is not None else None
    assert (voice.name if voice else None) == name


@pytest.mark.parametrize("path", ["/nowhere", "/v1/chat/completions\n"])
def test_nothing_is_served_there(path: str) -> None:
    found = table().find(path)
    assert found is None or found.paths == ("/{provider}/{path:path}",)


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({}, "", None),
        ({"authorization": "Bearer sk-fake"}, "", "sk-fake"),
        ({"authorization": "bearer  sk-fake "}, "", "sk-fake"),
        ({"authorization": "Basic sk-fake"}, "", None),
        ({"authorization": "Bearer"}, "", None),
        ({"authorization": "Bearer "}, "", ""),
        ({"x_api_key": "sk-fake"}, "", "sk-fake"),
        ({"api_key": "sk-fake"}, "", "sk-fake"),
        ({"x_goog_api_key": "sk-fake"}, "", "sk-fake"),
        ({"x_litellm_api_key": "Bearer sk-fake"}, "", "sk-fake"),
        ({"authorization": "Basic x", "x_api_key": "sk-fake"}, "", "sk-fake"),
        ({"authorization": "Bearer one", "x_api_key": "two"}, "key=three", "one"),
        ({}, "alt=sse&key=sk-fake", "sk-fake"),
        ({}, "key=", None),
        ({"x_api_key": "sk-\u00e9\u4e2d".encode().decode("latin-1")}, "", "sk-\u00e9\u4e2d"),
        ({"x_api_key": "sk-\xff"}, "", "sk-\ufffd"),
    ],
)
def test_the_key_that_a_client_presents(headers: dict[str, str], query: str, key: str | None) -> None:
    assert key_of(inbound(query=query, **headers)) == key


@pytest.mark.parametrize(
    ("path", "header", "name"),
    [
        ("/v1/models", "authorization", "openai_chat"),
        ("/v1/models", "anthropic-version", "anthropic_messages"),
        ("/v1/models", "x-goog-api-key", "gemini"),
        ("/v1beta/models", "authorization", "gemini"),
    ],
)
def test_whose_client_asks_on_a_shared_path(path: str, header: str, name: str) -> None:
    request = inbound(path, **{header: "x"})
    assert client_of(request) == name
    assert voice_of(request, None).name == name

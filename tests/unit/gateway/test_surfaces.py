"""Which dialect is spoken where, and where clients put their key."""

import pytest

from penstock.gateway.first_surfaces import asked, client_of, key_of, surface_of

PATHS = [
    ("/v1/chat/completions", "openai_chat"),
    ("/chat/completions", "openai_chat"),
    ("/v1/responses", "openai_responses"),
    ("/responses", "openai_responses"),
    ("/v1/responses/resp_1", None),
    ("/v1/messages", "anthropic_messages"),
    ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini"),
    ("/v1beta/models/openai/gpt-4o:streamGenerateContent", "gemini"),
    ("/v1/models/a:b:generateContent", "gemini"),
    ("/v1/messages/count_tokens", None),
    ("/v2/chat/completions", None),
    ("/v1/chat/completions\n", None),
    ("/v1beta/models/x:embedContent", None),
    ("/", None),
]


@pytest.mark.parametrize(("path", "name"), PATHS)
def test_the_dialect_of_a_path(path: str, name: str | None) -> None:
    found = surface_of(path)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({}, "", None),
        ({"authorization": "Bearer sk-fake"}, "", "sk-fake"),
        ({"authorization": "bearer  sk-fake "}, "", "sk-fake"),
        ({"authorization": "Basic sk-fake"}, "", None),
        ({"authorization": "Bearer"}, "", None),
        ({"authorization": "Bearer "}, "", ""),
        ({"x-api-key": "sk-fake"}, "", "sk-fake"),
        ({"x-litellm-api-key": "Bearer sk-fake"}, "", "sk-fake"),
        ({"authorization": "Basic x", "x-api-key": "sk-fake"}, "", "sk-fake"),
        ({"authorization": "Bearer one", "x-api-key": "two"}, "key=three", "one"),
        ({}, "alt=sse&key=sk-fake", "sk-fake"),
        ({}, "key=", None),
        ({"x-api-key": "sk-\u00e9\u4e2d".encode().decode("latin-1")}, "", "sk-\u00e9\u4e2d"),
        ({"x-api-key": "sk-\xff"}, "", "sk-\ufffd"),
    ],
)
def test_the_key_that_a_client_presents(headers: dict[str, str], query: str, key: str | None) -> None:
    assert key_of(headers, query) == key


@pytest.mark.parametrize(
    ("path", "header", "name"),
    [
        ("/v1/models", b"authorization", "openai_chat"),
        ("/v1/models", b"anthropic-version", "anthropic_messages"),
        ("/v1/models", b"x-goog-api-key", "gemini"),
        ("/v1beta/models", b"authorization", "gemini"),
    ],
)
def test_whose_client_asks_on_a_shared_path(path: str, header: bytes, name: str) -> None:
    request = asked({"method": "GET", "path": path, "headers": [(header, b"x")], "query_string": b""})
    assert client_of(request) == name
    assert request.voice.name == name


def test_a_request_does_not_print_its_key() -> None:
    scope = {"method": "GET", "path": "/v1/models", "headers": [(b"x-api-key", b"sk-fake-key")]}
    assert "sk-fake-key" not in repr(asked(scope))

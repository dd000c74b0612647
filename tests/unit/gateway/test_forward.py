"""Where what is passed through goes, and what of the client's goes with it."""

from __future__ import annotations

import pytest

from penstock.gateway.forward import under, with_query
from penstock.gateway.old_paths import model_in


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://api.openai.com/v1", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1", "/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com", "/v1/models", "https://api.openai.com/v1/models"),
        ("https://host.example/openai/v1", "/v1/files", "https://host.example/openai/v1/files"),
        ("https://host.example/v1beta", "/v1/models/m:x", "https://host.example/v1/models/m:x"),
        ("https://host.example/v1beta/", "/v1beta/models", "https://host.example/v1beta/models"),
        ("https://host.example", "/model/a%3A0/converse", "https://host.example/model/a%3A0/converse"),
        ("https://host.example/v1", "/files/", "https://host.example/v1/files/"),
    ],
)
def test_a_path_below_a_base(base: str, path: str, url: str) -> None:
    assert under(base, path) == url


def test_the_clients_query_goes_along_without_its_key() -> None:
    keep = "a=1&key=sk-fake&b=&c=x%20y&c=z"
    assert with_query("https://h/x", keep, frozenset({"key"})) == "https://h/x?a=1&b=&c=x%20y&c=z"
    assert with_query("https://h/x?api-version=1", "q=2", frozenset()) == "https://h/x?api-version=1&q=2"
    assert with_query("https://h/x", "key=sk-fake", frozenset({"key"})) == "https://h/x"


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/engines/a/completions", "a"),
        ("/engines/openai/gpt-4o/chat/completions", "openai/gpt-4o"),
        ("/openai/deployments/a/images/generations", "a"),
        ("/openai/deployments/a/audio/speech", "a"),
        ("/engines/a/chat/completions/", "a"),
        ("/engines/a/chat/embeddings", "a/chat"),
        ("/engines/my/images/chat/completions", "my/images"),
        ("/openai/deployments/a/audio/audio/speech", "a/audio"),
        ("/v1/embeddings", ""),
        ("/engines/", ""),
        ("/engines/a", ""),
    ],
)
def test_the_model_of_an_old_path(path: str, model: str) -> None:
    assert model_in(path) == model

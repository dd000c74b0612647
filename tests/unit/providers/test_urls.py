"""Joining base URLs and paths, and telling whose host a URL is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider
from penstock.providers.urls import belongs_to, check, closeness, join, origin_of, quote_model, without_secrets

JOINS = [
    ("https://h.example", "/v1/messages", "https://h.example/v1/messages"),
    ("https://h.example/", "/v1/messages", "https://h.example/v1/messages"),
    ("https://h.example/v1", "/v1/messages", "https://h.example/v1/messages"),
    ("https://h.example/v1/messages", "/v1/messages", "https://h.example/v1/messages"),
    ("https://h.example/a/v1", "/v1/messages", "https://h.example/a/v1/messages"),
    ("https://h.example/v1", "/chat/completions", "https://h.example/v1/chat/completions"),
    ("https://h.example/v1/chat/completions", "/chat/completions", "https://h.example/v1/chat/completions"),
    ("https://h.example/openai", "/openai/v1/files", "https://h.example/openai/v1/files"),
    ("https://v1", "/v1/messages", "https://v1/v1/messages"),  # a host is no path
    ("https://h.example/v1?a=b", "/x", "https://h.example/v1/x?a=b"),
]


@pytest.mark.parametrize(("base", "path", "url"), JOINS)
def test_overlaps_are_written_once(base: str, path: str, url: str) -> None:
    assert join(base, path) == url


SEGMENTS = st.lists(st.sampled_from(["v1", "a", "chat", "openai"]), max_size=4)


@given(SEGMENTS, SEGMENTS.filter(bool))
def test_a_join_ends_with_the_path_and_begins_with_the_base(base: list[str], path: list[str]) -> None:
    url = join("/".join(["https://h.example", *base]), "/" + "/".join(path))
    assert url.endswith("/" + "/".join(path))
    assert url.startswith("/".join(["https://h.example", *base]))
    assert join(url, "/" + "/".join(path)) == url  # pasting the whole address does no harm


@pytest.mark.parametrize(
    ("text", "url"),
    [(" https://h.example/v1/ \n", "https://h.example/v1"), ("HTTP://localhost:8", "HTTP://localhost:8")],
)
def test_addresses_that_people_paste(text: str, url: str) -> None:
    assert check(text, "p") == url


@pytest.mark.parametrize(
    "text", ["", "h.example", "//h.example", "file:///etc", "https://", "http://h:port", "http://h:0"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ProviderError) as caught:
        check(text, "p")
    assert (caught.value.kind, caught.value.provider) == ("missing_setting", "p")


HOST = Provider(name="h", base_url="https://{region}.h.example/v1", hosts=("api.h.example", "*.h2.example"))


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://eu.h.example", True),
        ("https://EU.H.example:444/x", True),
        ("api.h.example", True),
        ("https://x.h2.example/v1", True),
        ("https://h.example", False),
        ("https://evil.example/eu.h.example", False),
        ("https://eu.h.example.evil.example", False),
        ("https://eu.h.example@evil.example", False),
        ("", False),
        ("http://[::1", False),
    ],
)
def test_whose_host_it_is(url: str, ours: bool) -> None:
    assert belongs_to(url, HOST) is ours


def test_a_name_is_closer_than_a_pattern() -> None:
    assert closeness("https://api.h.example", HOST) > closeness("https://eu.h.example", HOST) > 0


def test_a_server_on_the_users_machine_is_nobodys() -> None:
    local = Provider(name="l", local=True, base_url="http://localhost:1/v1")
    assert not belongs_to("http://localhost:1/v1", local)
    open_template = Provider(name="o", base_url="{host}/x")
    assert not belongs_to("https://anything.example", open_template)


@pytest.mark.parametrize(
    ("path", "model", "filled"),
    [
        ("/model/{model}/x", "a/b:c d", "/model/a%2Fb%3Ac%20d/x"),
        ("/{+model}:go", "models/a:b", "/models/a:b:go"),
        ("/{+model}:go", "a?b#c", "/a%3Fb%23c:go"),
        ("/m/{model}", "m@1", "/m/m@1"),
    ],
)
def test_models_in_paths(path: str, model: str, filled: str) -> None:
    assert quote_model(path, model) == filled


@pytest.mark.parametrize(
    ("url", "origin"),
    [("https://h.example:8/x?y", "https://h.example:8"), ("h.example/x", "https://h.example"), ("", "")],
)
def test_origins(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@h.example/a/b?key=k", "https://h.example/a/b"),
        ("me:pw@h.example/a", "h.example/a"),
        ("https://me:pw@h.example/https://x@y", "https://h.example/https://x@y"),
        ("/relative?key=k", "/relative"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
    assert len(without_secrets("https://h.example/" + "a" * 999)) == 200

"""What a client's body says that is for the gateway: refused by name, set aside, or used with the client's own key."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.calls.engine import Engine
from penstock.calls.options import ADDRESS
from penstock.dialects import registry
from penstock.gateway.brought import brought_target
from penstock.gateway.client_words import NOTHING_SAID, PRIVATE, REFUSED, SET_ASIDE, ClientWords
from penstock.gateway.refused import Refused
from penstock.gateway.targets import Target
from penstock.providers.auth.credentials import Borrowing
from penstock.providers.endpoint import variables_of
from penstock.providers.errors import ProviderError
from penstock.providers.registry import default_registry
from penstock.routing.deployment import Deployment

ENGINE = Engine(environment={"OPENAI_API_KEY": "operators-env-key", "AZURE_API_KEY": "operators-env-key"})
LITELLMS_ADDRESSES = ("api_key", "api_base", "base_url", "aws_secret_access_key", "vertex_credentials")


def words(*allowed: str) -> ClientWords:
    return ClientWords(ENGINE.addresses, allowed, ())


@pytest.mark.parametrize("name", [*LITELLMS_ADDRESSES, "custom_llm_provider", "azure_ad_token", *REFUSED])
def test_it_is_refused_by_its_name_and_never_goes_on(name: str) -> None:
    with pytest.raises(Refused) as caught:
        words().read({name: "something"})
    assert caught.value.error.status == 400
    assert caught.value.error.param == name
    assert name in caught.value.error.message
    assert words().own(["model", name]) == [name]


@pytest.mark.parametrize("name", ["api_key", "guardrails", "cache", "mock_response"])
@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_what_asks_for_nothing_is_set_aside_in_silence(name: str, value: Any) -> None:
    assert words().read({name: value}) is NOTHING_SAID


def test_what_changes_nothing_is_noted() -> None:
    assert words().read({"cache": {"no-cache": True}}).notes == ("cache has no effect: no answers are kept here",)
    assert words().read({"no-log": True}).private


def test_a_word_stands_in_one_table_and_none_is_a_parameter_of_a_dialect() -> None:
    assert REFUSED.keys().isdisjoint(SET_ASIDE)
    assert SET_ASIDE.keys() >= PRIVATE
    for name in ("openai_chat", "openai_responses", "anthropic_messages", "gemini"):
        own = registry.get(name).parameters or frozenset()
        assert own.isdisjoint(words().names), name


@pytest.mark.parametrize("given", [{"api_base": "http://client"}, {"aws_region_name": "x"}])
def test_an_address_without_a_key_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(Refused, match="api_key"):
        words("api_base", "api_key", "aws_region_name").read(given)


@pytest.mark.parametrize("value", [["a"], 3, "a\r\nb: c", "\u00e9"])
def test_what_is_brought_is_plain_text(value: Any) -> None:
    with pytest.raises(Refused, match="printable"):
        words("api_key").read({"api_key": value})


@pytest.mark.parametrize("value", ["unix:/run/keeper", "UNIX:/x", "file:///etc/passwd", "clients.host", "//host"])
@pytest.mark.parametrize("name", ["api_base", "base_url"])
def test_an_address_is_one_of_the_web(name: str, value: str) -> None:
    with pytest.raises(Refused, match="https://"):
        words("api_key", "api_base", "base_url").read({"api_key": "k", name: value})


# -- with the client's own key ----------------------------------------------------------------------------------------


def target(deployment: dict[str, Any], network: dict[str, Any] | None = None, **brought: str) -> Target:
    bare = Engine(environment={})
    made = Deployment(group="g", id="d", arguments=deployment, network=network or {})
    return brought_target(ENGINE, bare, made, brought, "chat", "openai_chat", (), False)


def everything_sent(found: Target) -> str:
    request = found.request(b"{}", None, ())
    if request is None:
        flow = found.authorised(found_request(found), Borrowing(found.engine.credentials), 0.0)
        try:
            next(flow)
        except StopIteration as done:
            request = done.value
    return repr((request.url, request.headers, found.network)) if request is not None else ""


def found_request(found: Target) -> Any:
    from penstock.exchange import HTTPRequest

    return HTTPRequest("POST", "", (), b"{}")


def test_a_key_takes_the_place_of_the_deployments_credentials() -> None:
    arguments = {
        "model": "openai/gpt-4o",
        "api_key": "operators-key",
        "api_base": "https://operators.host/v1",
        "extra_headers": {"authorization": "Bearer operators-token"},
    }
    sent = everything_sent(target(arguments, api_key="clients-key"))
    assert "clients-key" in sent
    assert "operators.host" in sent
    assert "operators-key" not in sent
    assert "operators-token" not in sent
    assert "operators-env-key" not in sent


@pytest.mark.parametrize("word", ["api_base", "base_url"])
def test_to_a_clients_address_goes_nothing_of_the_operators(word: str) -> None:
    arguments = {
        "model": "openai/gpt-4o",
        "api_key": "operators-key",
        "organization": "operators-org",
        "extra_headers": {"x-secret": "operators-token"},
        "extra_query": {"sig": "operators-token"},
        "user": "operators-user",
    }
    network = {"cert": "/operators.pem", "key": "/operators.key"}
    found = target(arguments, network, **{word: "http://clients.host/v1", "api_key": "clients-key"})
    sent = everything_sent(found)
    assert "clients.host" in sent
    assert "clients-key" in sent
    assert "operators" not in sent
    assert found.defaults == {}


EVERY_VARIABLE = {name: f"operators-{name.lower()}" for each in default_registry() for name in variables_of(each)}


@pytest.mark.parametrize("provider", [each.name for each in default_registry()])
@pytest.mark.parametrize("address", [{}, {"api_base": "https://clients.host/v1"}])
def test_whatever_the_provider_no_credential_of_the_operators_is_used(provider: str, address: dict[str, str]) -> None:
    engine = Engine(environment=EVERY_VARIABLE)
    arguments = {"model": f"{provider}/some-model", "api_key": "operators-key"}
    arguments |= dict.fromkeys(engine.addresses - ADDRESS, "operators-argument")
    made = Deployment(group="g", id="d", arguments=arguments)
    brought = {"api_key": "clients-key", **address}
    try:
        found = brought_target(engine, Engine(environment={}), made, brought, "chat", "openai_chat", (), False)
    except (Refused, ProviderError):
        return
    sent = everything_sent(found)
    assert "clients-key" in sent
    for name, value in EVERY_VARIABLE.items():
        if address or any(mark in name for mark in ("KEY", "TOKEN", "SECRET", "PASSWORD")):
            assert value not in sent, name
    if address:
        assert "operators" not in sent


def test_who_takes_no_plain_key_is_not_asked() -> None:
    with pytest.raises(Refused, match="no plain key"):
        target({"model": "gigachat/GigaChat"}, api_key="clients-key")

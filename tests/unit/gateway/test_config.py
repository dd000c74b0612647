"""What a gateway serves, read from an environment."""

import pytest

from penstock.gateway.config import gateway_of, providers_with_keys
from penstock.providers.registry import default_registry

REGISTRY = default_registry()
OPENAI = {"OPENAI_API_KEY": "sk-fake-openai"}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, []),
        (OPENAI, ["openai"]),
        ({"OPENAI_API_KEY": ""}, []),
        ({**OPENAI, "ANTHROPIC_API_KEY": "sk-fake"}, ["anthropic", "openai"]),
        ({"AZURE_API_KEY": "fake"}, []),
        ({"AZURE_API_KEY": "fake", "AZURE_API_BASE": "https://me.example"}, ["azure"]),
    ],
)
def test_a_provider_is_found_when_nothing_of_it_is_missing(environment: dict[str, str], found: list[str]) -> None:
    names = providers_with_keys(REGISTRY, environment)
    assert [name for name in names if name in ("openai", "anthropic", "azure")] == found


@pytest.mark.parametrize("variable", ["PENSTOCK_MASTER_KEY", "LITELLM_MASTER_KEY"])
def test_the_master_key_of_the_environment(variable: str) -> None:
    gateway = gateway_of(REGISTRY, {variable: "sk-fake-master"})
    assert (gateway.key, gateway.key_variable, gateway.made) == ("sk-fake-master", variable, False)


def test_our_own_variable_comes_first() -> None:
    gateway = gateway_of(REGISTRY, {"LITELLM_MASTER_KEY": "sk-fake-old", "PENSTOCK_MASTER_KEY": "sk-fake-new"})
    assert gateway.key == "sk-fake-new"


@pytest.mark.parametrize("environment", [{}, {"PENSTOCK_MASTER_KEY": ""}])
def test_without_one_a_key_is_made(environment: dict[str, str]) -> None:
    one, other = gateway_of(REGISTRY, environment), gateway_of(REGISTRY, environment)
    assert one.made and len(one.key) > 30
    assert one.key != other.key


@pytest.mark.parametrize(
    "presented", [None, "", "sk-fake-maste", "sk-fake-masterx", "SK-FAKE-MASTER", "sk-fake-m\u00e4ster"]
)
def test_only_the_key_is_admitted(presented: str | None) -> None:
    gateway = gateway_of(REGISTRY, {"PENSTOCK_MASTER_KEY": "sk-fake-master"})
    assert gateway.admits("sk-fake-master")
    assert not gateway.admits(presented)


def test_it_does_not_print_its_key() -> None:
    gateway = gateway_of(REGISTRY, {**OPENAI, "PENSTOCK_MASTER_KEY": "sk-fake-master"})
    assert "sk-fake" not in repr(gateway) + str(gateway)


def test_the_secrets_of_all_providers_are_kept_from_leaving() -> None:
    secrets = gateway_of(REGISTRY, {**OPENAI, "AWS_SECRET_ACCESS_KEY": "fake-aws-secret", "HOME": "/home/me"}).secrets
    assert set(secrets) == {"sk-fake-openai", "fake-aws-secret"}


@pytest.mark.parametrize("given", ["sk-fake-master\n", "  sk-fake-master "])
def test_a_master_key_is_taken_without_the_spaces_that_no_client_can_send(given: str) -> None:
    gateway = gateway_of(REGISTRY, {"PENSTOCK_MASTER_KEY": given})
    assert gateway.admits("sk-fake-master") and not gateway.made


@pytest.mark.parametrize("given", ["", " ", "\n"])
def test_spaces_are_no_key(given: str) -> None:
    gateway = gateway_of(REGISTRY, {"PENSTOCK_MASTER_KEY": given, "OPENAI_API_KEY": given})
    assert gateway.made and not gateway.admits(given) and not gateway.providers


def test_where_the_environment_says_that_providers_are_is_kept_from_leaving() -> None:
    gateway = gateway_of(REGISTRY, {**OPENAI, "OPENAI_API_BASE": "https://models.example.com:8443/v1"})
    assert gateway.redact(b"https://models.example.com:8443/v1 said no") == b"[address removed] said no"


def test_who_asks_for_a_model_that_is_not_there_hears_what_is() -> None:
    gateway = gateway_of(REGISTRY, OPENAI, ["llama3:8b"], {"openai": ["gpt-4o"]})
    assert "Did you mean openai/gpt-4o?" in gateway.no_such_model("openai/gpt-4")
    said = gateway.no_such_model("nothing of the kind", "Write it as provider/model.")
    assert said.endswith("Set up here: demo, ollama_chat/llama3:8b, openai/.... GET /v1/models lists all.")
    assert "Write it as provider/model." in said
    assert len(gateway.no_such_model("x" * 100_000)) < 1000

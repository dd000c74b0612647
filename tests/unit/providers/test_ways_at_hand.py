"""Which providers an environment has keys for."""

import pytest

from penstock.providers.registry import default_registry
from penstock.providers.ways import providers_with_keys

OPENAI = {"OPENAI_API_KEY": "sk-fake-openai"}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, []),
        (OPENAI, ["openai"]),
        ({"OPENAI_API_KEY": ""}, []),
        ({"OPENAI_API_KEY": " \n"}, []),
        ({**OPENAI, "ANTHROPIC_API_KEY": "sk-fake"}, ["anthropic", "openai"]),
        ({"AZURE_API_KEY": "fake"}, []),
        ({"AZURE_API_KEY": "fake", "AZURE_API_BASE": "https://me.example"}, ["azure"]),
    ],
)
def test_a_provider_is_found_when_nothing_of_it_is_missing(environment: dict[str, str], found: list[str]) -> None:
    names = providers_with_keys(default_registry(), environment)
    assert [name for name in names if name in ("openai", "anthropic", "azure")] == found

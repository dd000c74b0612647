"""What is served without a file: the demo model always, Ollama's models, and providers whose key is there."""

from __future__ import annotations

import pytest

from penstock.control.config.load import load_bundle
from penstock.control.config.no_file import no_file
from penstock.providers.registry import default_registry
from penstock.routing.groups import Groups, UnknownGroup
from tests.support.configs import bundle

FAKE = {"OPENAI_API_KEY": "sk-fake-openai-1", "ANTHROPIC_API_KEY": " \n", "PENSTOCK_MASTER_KEY": "sk-fake-master-1\n"}


def groups(environment: dict[str, str], ollama: tuple[str, ...] = ()) -> Groups:
    found = no_file(default_registry(), environment, ollama).snapshot
    return Groups(found.deployments, found.aliases)


def test_with_nothing_the_demo_model() -> None:
    assert groups({}).names == ("demo",)
    found = no_file(default_registry(), {})
    assert (found.master_key, found.master_key_source, found.files) == (None, None, ())
    assert found.snapshot.pass_through == {}


def test_a_provider_with_a_key_is_a_wildcard() -> None:
    found = groups(FAKE)
    assert found.find("openai/gpt-5-mini")[0].model == "openai/gpt-5-mini"
    assert found.find("openai/org/x:y")[0].model == "openai/org/x:y"
    with pytest.raises(UnknownGroup):
        found.find("anthropic/claude-sonnet-4-5")
    with pytest.raises(UnknownGroup):
        found.find("gpt-5-mini")


def test_ollamas_models_are_named_and_others_of_it_may_be_asked_for() -> None:
    found = groups({}, ("llama3:8b",))
    assert "ollama_chat/llama3:8b" in found.names
    assert found.find("ollama/other")[0].model == "ollama/other"
    with pytest.raises(UnknownGroup):
        groups({}).find("ollama/other")


def test_the_key_and_what_must_not_leave() -> None:
    found = no_file(default_registry(), FAKE)
    assert (found.master_key, found.master_key_source) == ("sk-fake-master-1", "PENSTOCK_MASTER_KEY")
    assert set(found.secrets) == {"sk-fake-openai-1", "sk-fake-master-1"}
    assert found.snapshot.pass_through == {"openai": {}}
    assert "sk-fake" not in repr(found)


def test_ids_are_the_same_at_each_start() -> None:
    first, second = (no_file(default_registry(), FAKE).snapshot for _ in range(2))
    assert first == second


def test_it_can_be_compared_with_a_file() -> None:
    from penstock.control.config.diff import diff

    changes = diff(no_file(default_registry(), {}), load_bundle(bundle("models: [{name: a, model: demo}]"), {}))
    assert [str(each)[:12] for each in changes] == ["- models.dem", "+ models.a: "]

"""Who asks for a model that is not served hears what is, as far as its key may use it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from penstock.calls.engine import Engine
from penstock.gateway.nearest import NearestNames
from penstock.gateway.principal import Principal
from penstock.gateway.router import Router
from penstock.gateway.surfaces.models import served
from penstock.gateway.unserved import unserved
from penstock.providers.registry import default_registry
from tests.support.configs import loaded

CONFIG = """
models:
  - {name: fast, model: openai/gpt-4o-mini}
  - {name: secret-project, model: openai/gpt-4o}
  - {name: anthropic/*, model: anthropic/*}
aliases: {quick: fast}
"""


@pytest.fixture(scope="module")
def plane() -> Any:
    snapshot = loaded(CONFIG).snapshot
    engine = Engine(registry=default_registry(), environment={})
    made = SimpleNamespace(snapshot=snapshot, engine=engine, router=Router(snapshot, engine))
    made.nearest = NearestNames(model.id for model in served(made))
    return made


def said(plane: Any, name: str, *models: str) -> str:
    refused = unserved(plane, Principal(id="p", label="p", models=models), name)
    assert (refused.error.status, refused.error.param) == (404, "model")
    return refused.error.message


@pytest.mark.parametrize(
    ("name", "near"), [("fats", "Did you mean fast?"), ("anthropic/claude-sonet-4-5", "Did you mean anthropic/claude")]
)
def test_the_nearest_is_named(plane: Any, name: str, near: str) -> None:
    assert near in said(plane, name)


def test_what_there_is(plane: Any) -> None:
    assert said(plane, "nothing of the kind").endswith(
        "Set up here: fast, secret-project, anthropic/..., quick. GET /v1/models lists all."
    )


def test_a_provider_without_a_key_says_what_to_set(plane: Any) -> None:
    assert "Mistral" in said(plane, "mistral/mistral-large-latest")
    assert "set MISTRAL_API_KEY" in said(plane, "mistral/mistral-large-latest")


def test_nothing_is_told_of_what_a_key_may_not_use(plane: Any) -> None:
    for name in ("secret-projekt", "nothing of the kind"):
        assert "secret" not in said(plane, name, "fast").replace(name, "")


def test_a_name_may_be_as_long_as_it_likes(plane: Any) -> None:
    assert len(said(plane, "x" * 100_000)) < 1000


def test_a_name_of_the_catalog_is_served_where_its_provider_is(plane: Any) -> None:
    found = plane.router.members("claude-sonnet-4-5")
    assert [each.model for each in found.deployments] == ["anthropic/claude-sonnet-4-5"]
    assert found.name == "anthropic/claude-sonnet-4-5"

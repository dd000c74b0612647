"""What a name means: a group, an alias, a deployment's id, or a pattern, in this order."""

from __future__ import annotations

import pytest

from penstock.routing.deployment import Deployment
from penstock.routing.groups import Groups, UnknownGroup


def deployment(group: str, model: str, name: str) -> Deployment:
    return Deployment(group=group, arguments={"model": model}, id=name)


GROUPS = Groups(
    [
        deployment("gpt", "openai/gpt-4o", "one"),
        deployment("gpt", "azure/gpt-4o", "two"),
        deployment("claude", "anthropic/claude-sonnet-4-5", "three"),
        deployment("openai/*", "openai/*", "four"),
        deployment("openai/gpt-*", "azure/my-*", "five"),
        deployment("*/embed", "cohere/*", "six"),
        deployment("*/at/*", "azure/*-in-*", "seven"),
    ],
    {"default": "gpt", "again": "default", "mini": "openai/gpt-mini"},
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt", [("one", "openai/gpt-4o"), ("two", "azure/gpt-4o")]),
        ("default", [("one", "openai/gpt-4o"), ("two", "azure/gpt-4o")]),
        ("again", [("one", "openai/gpt-4o"), ("two", "azure/gpt-4o")]),
        ("two", [("two", "azure/gpt-4o")]),
        ("openai/o3", [("four", "openai/o3")]),
        ("openai/gpt-5", [("five", "azure/my-5")]),
        ("mini", [("five", "azure/my-mini")]),
        ("v3/embed", [("six", "cohere/v3")]),
        ("gpt-5/at/eu", [("seven", "azure/gpt-5-in-eu")]),
    ],
)
def test_a_name_means(name: str, found: list[tuple[str, str]]) -> None:
    assert [(each.id, each.model) for each in GROUPS.find(name)] == found


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UnknownGroup) as caught:
        GROUPS.find("claud")
    assert "Did you mean 'claude'?" in str(caught.value)
    assert "gpt" in str(caught.value)


def test_who_is_alone() -> None:
    alone = {each.id for each in GROUPS.deployments if GROUPS.is_alone(each)}
    assert alone == {"three", "four", "five", "six", "seven"}


def test_the_names_to_ask_for() -> None:
    stars = {"openai/*", "openai/gpt-*", "*/embed", "*/at/*"}
    assert set(GROUPS.names) == {"gpt", "claude", *stars, "default", "again", "mini"}

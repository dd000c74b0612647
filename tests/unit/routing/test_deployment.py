"""A model list in LiteLLM's form, read as deployments; and one that is not, refused with words that say where."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.routing.deployment import Deployment, MalformedDeployment, deployments_of


def entry(name: Any = "gpt", model: Any = "openai/gpt-4o", info: Any = None, **params: Any) -> dict[str, Any]:
    found = {"model_name": name, "litellm_params": {"model": model, **params}}
    return found if info is None else {**found, "model_info": info}


def read(*entries: Any, **environment: str) -> tuple[Deployment, ...]:
    return deployments_of(list(entries), environment)


def test_an_entry_as_litellm_writes_it() -> None:
    (found,) = read(
        entry(api_key="sk-fake", rpm=6, tpm=7.5, weight=2, order=1, max_parallel_requests=3, info={"id": "one"})
    )
    assert found == Deployment(
        group="gpt",
        arguments={"model": "openai/gpt-4o", "api_key": "sk-fake"},
        id="one",
        rpm=6,
        tpm=7.5,
        weight=2,
        order=1,
        most_in_flight=3,
    )
    assert found.model == "openai/gpt-4o"


def test_params_is_the_same_word() -> None:
    (found,) = read({"model_name": "gpt", "params": {"model": "demo"}})
    assert found.arguments == {"model": "demo"}


def test_what_is_about_routing_is_no_argument_of_the_call() -> None:
    own = {
        "order": 2,
        "weight": 1,
        "rpm": 1,
        "tpm": 1,
        "cooldown_time": 9,
        "stream_timeout": 4,
        "max_parallel_requests": 2,
    }
    (found,) = read(entry(**own, use_in_pass_through=True, temperature=0.5, timeout=3, organization=None))
    assert found.arguments == {"model": "openai/gpt-4o", "temperature": 0.5, "timeout": 3}
    assert (found.cooldown, found.stream_timeout) == (9, 4)


def test_the_base_model_may_stand_in_model_info() -> None:
    (found,) = read(entry(info={"base_model": "gpt-4o"}))
    assert found.arguments["base_model"] == "gpt-4o"


def test_values_from_the_environment() -> None:
    (found,) = read(entry(api_key="os.environ/OPENAI_KEY", api_base="https://x.example"), OPENAI_KEY="sk-fake")
    assert found.arguments["api_key"] == "sk-fake"
    assert found.arguments["api_base"] == "https://x.example"


def test_an_id_is_the_same_after_a_restart_and_when_a_key_changes_in_the_environment() -> None:
    listed = entry(api_key="os.environ/KEY")
    assert read(listed, KEY="sk-one")[0].id == read(listed, KEY="sk-two")[0].id
    assert read(entry(), entry())[0].id != read(entry(), entry())[1].id


def test_neither_id_nor_text_tells_a_secret() -> None:
    (found,) = read(entry(api_key="sk-very-secret"))
    assert "secret" not in f"{found.id}{found!r}{found}"


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], ("empty",)),
        ([{"litellm_params": {"model": "m"}}], ("model_list[0]", "model_name")),
        ([entry(name="")], ("model_list[0]", "model_name")),
        ([entry(), "gpt"], ("model_list[1]", "model_name")),
        ([{"model_name": "gpt"}], ("model_list[0]", "'gpt'", "litellm_params")),
        ([entry(model=None)], ("'gpt'", "model")),
        ([entry(rpm="6")], ("model_list[0].litellm_params.rpm", "'6'")),
        ([entry(weight=-1)], ("weight", "-1")),
        ([entry(weight=float("nan"))], ("weight",)),
        ([entry(order=1.5)], ("order", "whole")),
        ([entry(rpm=True)], ("rpm", "True")),
        ([entry(info="x")], ("model_info",)),
        ([entry(api_key="os.environ/NOT_SET")], ("api_key", "NOT_SET")),
        ([entry(max_budget=3)], ("max_budget", "not supported")),
        ([entry(info={"id": "x"}), entry(info={"id": "x"})], ("'x'", "model_info.id")),
    ],
)
def test_what_is_not_right_is_named(entries: list[Any], words: tuple[str, ...]) -> None:
    with pytest.raises(MalformedDeployment) as caught:
        deployments_of(entries, {})
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("listed", ["gpt", {"model_name": "gpt"}, None, 3])
def test_a_model_list_is_a_list(listed: Any) -> None:
    with pytest.raises(MalformedDeployment, match="must be a list"):
        deployments_of(listed, {})

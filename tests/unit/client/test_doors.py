"""The doors of the package: every call has its twin, every name its home, and the clients offer what the calls do."""

from __future__ import annotations

import inspect
import pydoc
from functools import reduce
from typing import Any

import pytest

import penstock
from penstock import AsyncClient, Client, Router
from penstock.client import api, api_dialects, api_operations
from penstock.client.resources import Resource

CALLS = sorted(
    name
    for module in (api, api_dialects, api_operations)
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__ and name in penstock.__all__
)
BLOCKING = [name for name in CALLS if not inspect.iscoroutinefunction(getattr(penstock, name)) and f"a{name}" in CALLS]


def test_there_are_all_the_calls_of_the_contract() -> None:
    wanted = {
        "completion",
        "text_completion",
        "embedding",
        "responses",
        "get_responses",
        "delete_responses",
        "cancel_responses",
        "list_input_items",
        "messages",
        "generate_content",
        "generate_content_stream",
        "image_generation",
        "image_edit",
        "speech",
        "transcription",
        "rerank",
        "moderation",
        "create_file",
        "file_retrieve",
        "file_delete",
        "file_list",
        "file_content",
        "create_batch",
        "retrieve_batch",
        "list_batches",
        "cancel_batch",
    }
    assert wanted <= set(BLOCKING)


def test_every_call_has_a_twin() -> None:
    twins = {f"a{name}" for name in BLOCKING}
    assert set(CALLS) - set(BLOCKING) - twins == {"configure"}


@pytest.mark.parametrize("name", BLOCKING)
def test_a_twin_takes_the_same_parameters(name: str) -> None:
    blocking, twin = getattr(penstock, name), getattr(penstock, f"a{name}")
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(blocking).parameters == inspect.signature(twin).parameters


@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_documented(name: str) -> None:
    assert (getattr(penstock, name).__doc__ or "").strip()


def test_all_names_are_sorted_and_lead_somewhere() -> None:
    names = [name for name in penstock.__all__ if not name.startswith("_")]
    assert names == sorted(names)
    assert all(hasattr(penstock, name) for name in names)


def tree(client: Resource[Any], path: str = "") -> set[str]:
    """All methods of a client, by their path."""
    found: set[str] = set()
    for name in dir(client):
        if name.startswith("_") or name == "engine":
            continue
        value = getattr(client, name)
        found |= tree(value, f"{path}{name}.") if isinstance(value, Resource) else {f"{path}{name}"}
    return found


def test_both_clients_have_the_same_methods() -> None:
    blocking, asynchronous = Client(environment={}), AsyncClient(environment={})
    assert tree(blocking) == tree(asynchronous)
    assert {"chat.completions.create", "responses.input_items.list", "audio.speech.create"} <= tree(blocking)


def test_a_client_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="a client takes no colour, temperature"):
        Client(temperature=1, colour="red")


def test_too_many_positional_arguments_are_an_error() -> None:
    too_many: Any = Client(environment={}).files.retrieve
    with pytest.raises(TypeError, match=r"retrieve\(\) takes at most 2 positional"):
        too_many("file-1", "openai", "file-2")


def test_an_argument_that_is_given_twice_is_an_error() -> None:
    twice: Any = Client(environment={}).files.retrieve
    with pytest.raises(TypeError, match="several values for file_id"):
        twice("file-1", file_id="file-2")


# -- the methods of clients are the calls ------------------------------------------------------------------------------


def methods(client: Resource[Any]) -> dict[str, Any]:
    """Each method of a client by its path."""
    return {path: reduce(getattr, path.split("."), client) for path in tree(client) if path.split(".")[-1] != "close"}


BLOCKING_METHODS, AWAITED_METHODS = methods(Client(environment={})), methods(AsyncClient(environment={}))


@pytest.mark.parametrize("path", sorted(BLOCKING_METHODS))
def test_a_method_tells_of_itself(path: str) -> None:
    """As the methods of openai's client do: in help(), to inspect, to a debugger."""
    blocking, awaited = BLOCKING_METHODS[path], AWAITED_METHODS[path]
    assert not inspect.iscoroutinefunction(blocking) and inspect.iscoroutinefunction(awaited)
    assert inspect.signature(blocking).parameters == inspect.signature(awaited).parameters
    assert (
        "self" not in inspect.signature(blocking).parameters and "arguments" in inspect.signature(blocking).parameters
    )
    for each in (blocking, awaited):
        name = path.split(".")[-1]
        assert (each.__name__, each.__qualname__.split(".")[-1]) == (name, name)
        assert each.__module__ == "penstock.client.clients"
        assert f"{name}(" in pydoc.plain(pydoc.render_doc(each))
    assert blocking.__doc__ and awaited.__doc__.startswith(blocking.__doc__)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("chat.completions.create", "completion"),
        ("files.create", "create_file"),
        ("images.generate", "image_generation"),
        ("responses.input_items.list", "list_input_items"),
        ("rerank", "rerank"),
    ],
)
def test_a_method_is_called_like_the_call_of_the_module(path: str, name: str) -> None:
    for method, call in ((BLOCKING_METHODS[path], name), (AWAITED_METHODS[path], f"a{name}")):
        assert inspect.signature(method) == inspect.signature(getattr(penstock, call))
    assert inspect.getdoc(BLOCKING_METHODS[path]) == inspect.getdoc(getattr(penstock, name))


@pytest.mark.parametrize("name", [name for name in BLOCKING if hasattr(Router, name) and name != "moderation"])
def test_a_router_has_the_calls_too(name: str) -> None:
    for each in (name, f"a{name}"):
        method = getattr(Router, each)
        _, *parameters = inspect.signature(method).parameters.values()
        assert parameters == list(inspect.signature(getattr(penstock, each)).parameters.values())
        assert (method.__qualname__, method.__doc__) == (f"Router.{each}", inspect.getdoc(getattr(penstock, each)))


def test_arguments_may_be_given_by_position() -> None:
    with Client(environment={}) as client:
        answer = client.chat.completions.create(
            "openai/gpt-4o", [{"role": "user", "content": "Hi"}], mock_response="Yes"
        )
    assert answer.choices[0].message.content == "Yes"

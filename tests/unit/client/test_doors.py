"""The doors of the package: every call has its twin, every name its home, and the clients offer what the calls do."""

from __future__ import annotations

import inspect

import pytest

import penstock
from penstock import AsyncClient, Client
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


def tree(client: Resource, path: str = "") -> set[str]:
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
    with pytest.raises(TypeError, match="at most 1 positional"):
        Client(environment={}).files.retrieve("file-1", "file-2")

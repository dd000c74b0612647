"""Where a parameter stands that the representation does not model."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.dialects import registry
from penstock.dialects.places import AT_THE_ROOT, Places
from penstock.dialects.wire import Fields

TABLE = Places("rest.inner", {"": ("keepAlive", "think"), "other": ("topK",)})


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("keepAlive", ("keepAlive",)),
        ("keep_alive", ("keepAlive",)),
        ("think", ("think",)),
        ("top_k", ("other", "topK")),
        ("nobody_knows_it", ("rest", "inner", "nobody_knows_it")),
    ],
)
def test_the_way_to_a_name(name: str, keys: tuple[str, ...]) -> None:
    assert TABLE.of(name) == keys


def test_without_a_table_all_stand_at_the_root() -> None:
    assert AT_THE_ROOT.of("anything") == ("anything",)


def test_a_name_has_one_place() -> None:
    with pytest.raises(ValueError, match="top_k"):
        Places("", {"": ("topK",), "options": ("top_k",)})


def test_what_the_caller_names_goes_before_what_was_rendered_and_nothing_is_changed() -> None:
    body: dict[str, Any] = {"other": {"topK": 1, "kept": 2}, "think": {"a": 1}}
    given: dict[str, Any] = {"top_k": 5, "think": {"b": 2}, "other": {"more": 3}}
    before = repr((body, given))
    assert TABLE.put(given, body) == {"other": {"topK": 5, "kept": 2, "more": 3}, "think": {"a": 1, "b": 2}}
    assert repr((body, given)) == before


def test_an_object_and_a_field_of_it_may_both_be_given() -> None:
    gemini = registry.get("gemini").places
    thinking = {"includeThoughts": True}
    body = gemini.put({"thinking_config": thinking, "thinking_budget": 7}, {"contents": []})
    assert body["generationConfig"] == {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 7}}
    assert thinking == {"includeThoughts": True}


def test_each_object_of_a_list() -> None:
    table = Places("requests[*]", {"": ("labels",)})
    body: dict[str, Any] = {"requests": [{"content": "a"}, {"content": "b", "title": "B"}]}
    assert table.put({"title": "T", "labels": {}}, body) == {
        "requests": [{"content": "a", "title": "T"}, {"content": "b", "title": "T"}],
        "labels": {},
    }
    assert body["requests"][0] == {"content": "a"}


@pytest.mark.parametrize("name", registry.NAMES)
def test_the_fields_that_a_dialect_models_stand_at_its_root(name: str) -> None:
    """A table that forgot one would move it."""
    module = __import__(f"penstock.dialects.{name}.request", fromlist=["FIELDS"])
    fields = getattr(module, "FIELDS", None)
    names = (
        fields.spellings if isinstance(fields, Fields) else getattr(module, "READERS", getattr(module, "_READERS", ()))
    )
    assert names, "the module's table has another name now"
    for each in names:
        assert len(registry.get(name).places.of(each)) == 1, each

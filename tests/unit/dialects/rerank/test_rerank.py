"""Reranking, golden: what each format is asked, and what of its answer is understood."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import rerank
from penstock.dialects.rerank.dialect import RerankRequest, read_request, text_of
from penstock.providers.wire_formats import WIRE_FORMATS
from penstock.types.errors import DialectError, MalformedError

ASKED = RerankRequest(
    model="m",
    query="red fox",
    documents=("blue sky", {"text": "a red fox", "id": 7}),
    top_n=2,
    return_documents=True,
    extras={"of_tomorrow": 1},
)
SAID = {"model": "m", "query": "red fox", "documents": ["blue sky", "a red fox"], "of_tomorrow": 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cohere_rerank", {**SAID, "top_n": 2}),
        ("jina_rerank", {**SAID, "top_n": 2, "return_documents": True}),
        ("voyage_rerank", {**SAID, "top_k": 2, "return_documents": True}),
    ],
)
def test_a_request(name: str, expected: dict[str, Any]) -> None:
    rendered = rerank.get(name).render_request(ASKED)
    assert rendered.value == expected
    assert rendered.notes == ()


@pytest.mark.parametrize(
    ("name", "answer", "usage", "identity"),
    [
        (
            "cohere_rerank",
            {
                "id": "r1",
                "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
                "meta": {"billed_units": {"search_units": 1}, "api_version": {"version": "2"}},
            },
            {"search_units": 1},
            ("r1", None),
        ),
        (
            "jina_rerank",
            {
                "model": "m",
                "results": [
                    {"index": 0, "relevance_score": 0.1, "document": {"text": "blue sky"}},
                    {"index": 1, "relevance_score": 0.9, "document": "a red fox"},
                ],
                "usage": {"total_tokens": 8, "prompt_tokens": 8},
            },
            {"input_tokens": 8, "total_tokens": 8},
            (None, "m"),
        ),
        (
            "voyage_rerank",
            {
                "object": "list",
                "data": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
                "model": "m",
                "usage": {"total_tokens": 8},
            },
            {"total_tokens": 8},
            (None, "m"),
        ),
    ],
)
def test_an_answer(
    name: str, answer: dict[str, Any], usage: dict[str, int], identity: tuple[str | None, str | None]
) -> None:
    found = rerank.get(name).parse_response(answer)
    assert [(each.index, each.score) for each in found.results] == [(1, 0.9), (0, 0.1)]
    assert found.usage is not None
    assert {key: getattr(found.usage, key) for key in usage} == usage
    assert (found.id, found.model) == identity


def test_a_document_in_an_answer_is_an_object_however_it_came() -> None:
    answer = {"results": [{"index": 0, "relevance_score": 1, "document": "fox"}]}
    assert rerank.get("jina_rerank").parse_response(answer).results[0].document == {"text": "fox"}


def test_what_a_format_cannot_say_is_noted() -> None:
    asked = RerankRequest(model="m", query="q", documents=("d",), max_tokens_per_doc=100, max_chunks_per_doc=3)
    paths = {name: [note.path for note in rerank.get(name).render_request(asked).notes] for name in rerank.HOMES}
    both = ["max_tokens_per_doc", "max_chunks_per_doc"]
    assert paths == {"cohere_rerank": ["max_chunks_per_doc"], "jina_rerank": both, "voyage_rerank": both}


def test_a_structured_document_becomes_text() -> None:
    document = {"title": "Fox", "body": "It is red.", "secret": "x"}
    assert text_of(document, ("title", "body")) == "title: Fox\nbody: It is red."
    assert text_of({"text": "only this", "id": 1}, None) == "only this"
    assert text_of({"a": 1}, None) == "a: 1"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"documents": ["d"]}, "query"),
        ({"query": "q"}, "documents"),
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "q", "documents": ["d", 3]}, "documents[1]"),
        ({"query": 1, "documents": ["d"]}, "query"),
        ({"query": "q", "documents": ["d"], "top_n": "many"}, "top_n"),
    ],
)
def test_a_bad_argument_is_named(body: dict[str, Any], path: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_request(body)
    assert caught.value.path == path


def test_every_rerank_format_of_the_catalog_has_a_dialect() -> None:
    served = {name for name, wire_format in WIRE_FORMATS.items() if wire_format.capability == "rerank"}
    assert served == set(rerank.HOMES)
    assert all(rerank.get(name).name == name for name in rerank.HOMES)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["results", "data", "index", "meta", "usage"]), inner)
    ),
)


@pytest.mark.parametrize("name", rerank.HOMES)
@given(value=json_values)
def test_any_answer_parses_or_raises_a_dialect_error(name: str, value: Any) -> None:
    with suppress(DialectError):
        rerank.get(name).parse_response(value)

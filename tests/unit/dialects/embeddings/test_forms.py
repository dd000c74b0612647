"""Every form of a request for embeddings and of its answer comes back exactly, is recognised by its path and body, and
can be rendered in every other dialect.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from penstock.conformance.check import check
from penstock.conformance.recording import Exchange
from penstock.dialects import embeddings
from penstock.dialects.dialect import PathMatch
from penstock.types.embedding import EmbeddingRequest
from penstock.types.notes import Rendered
from penstock.types.profile import DEFAULT_PROFILE

IMAGE = "data:image/png;base64,iVBORw0KGgo="
COHERE = "/v2/embed"
BATCH = "/v1beta/models/gemini-embedding-001:batchEmbedContents"
ONE = "/v1beta/models/gemini-embedding-001:embedContent"
VERTEX = "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict"
OPENAI = "/v1/embeddings"
ASKED: dict[str, Any] = {"model": "embed-v4.0", "texts": ["a"], "input_type": "search_document"}


def cohere(embeddings: Any, **more: Any) -> dict[str, Any]:
    return {"id": "i", "texts": ["a"], "embeddings": embeddings, "response_type": "embeddings_by_type", **more}


def openai(*items: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(items), "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


ITEM = {"object": "embedding", "index": 0, "embedding": [0.5]}
TYPES = {"float": [0.5], "int8": [-2], "uint8": [3], "binary": [-128], "ubinary": [255], "base64": "AAAA"}
FORMS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    *(
        ("cohere_embed", COHERE, {**ASKED, "embedding_types": [kind]}, cohere({kind: [vector]}))
        for kind, vector in TYPES.items()
    ),
    ("cohere_embed", COHERE, ASKED, cohere({"float": [[0.1]], "int8": None, "base64": ["AA=="]})),
    (
        "cohere_embed",
        COHERE,
        {"model": "m", "images": [IMAGE], "input_type": "image", "embedding_types": ["float"]},
        cohere({"float": [[0.1]]}, images=[{"width": 4, "format": "png"}], meta={"billed_units": {"images": 1.0}}),
    ),
    (
        "cohere_embed",
        COHERE,
        {
            "model": "m",
            "inputs": [
                {"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": IMAGE}}]}
            ],
            "input_type": "search_document",
            "output_dimension": 256,
            "truncate": "END",
            "max_tokens": 10,
            "priority": 1,
        },
        cohere({"float": [[0.1]]}, meta={"api_version": {"version": "2"}, "billed_units": {"input_tokens": 3.0}}),
    ),
    ("cohere_embed", "/v1/embed", ASKED, cohere([[0.1]], response_type="embeddings_floats")),
    (
        "gemini_embed",
        BATCH,
        {
            "requests": [
                {
                    "model": "models/m",
                    "content": {"parts": [{"text": "a"}]},
                    "taskType": "RETRIEVAL_QUERY",
                    "outputDimensionality": 3,
                },
                {
                    "model": "models/m",
                    "content": {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}]},
                    "taskType": "CODE_RETRIEVAL_QUERY",
                    "title": "t",
                },
            ]
        },
        {
            "embeddings": [{"values": [0.1]}, {"values": [0.2], "shape": [1]}],
            "usageMetadata": {"promptTokenCount": 3, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 3}]},
        },
    ),
    (
        "gemini_embed",
        ONE,
        {"content": {"parts": [{"text": "a"}]}, "embedContentConfig": {"taskType": "X"}, "autoTruncate": True},
        {"embedding": {"values": [0.1]}, "truncated": False},
    ),
    (
        "vertex_embed",
        VERTEX,
        {
            "instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY", "title": "t"}, {"content": "b"}],
            "parameters": {"outputDimensionality": 2, "autoTruncate": False},
        },
        {
            "predictions": [
                {"embeddings": {"values": [0.1], "statistics": {"token_count": 3.0, "truncated": False}}},
                {"embeddings": {"values": [0.2]}},
            ],
            "metadata": {"billableCharacterCount": 3},
        },
    ),
    (
        "ollama_embed",
        "/api/embed",
        {"model": "m", "input": ["a"], "truncate": True, "options": {"num_ctx": 1}, "keep_alive": "5m"},
        {"model": "m", "embeddings": [[0.1]], "total_duration": 1, "prompt_eval_count": 3},
    ),
    ("ollama_embed", "/api/embed", {"model": "m", "input": "a"}, {"model": "m", "embeddings": [[0.1]]}),
    ("ollama_embed", "/api/embeddings", {"model": "m", "prompt": "a", "options": {}}, {"embedding": [0.1]}),
    ("openai_embeddings", OPENAI, {"model": "m", "input": [[1, 2], [3]], "encoding_format": "base64"}, openai(ITEM)),
    ("openai_embeddings", OPENAI, {"model": "m", "input": "a"}, openai({"embedding": "AAAA"})),
    ("openai_embeddings", OPENAI, {"model": "m", "input": "a"}, openai({**ITEM, "index": None})),
    (
        "openai_embeddings",
        OPENAI,
        {"model": "jina-clip-v2", "input": [{"text": "a"}, {"image": "https://x"}], "normalized": True},
        openai(ITEM, {**ITEM, "index": 1}),
    ),
    (
        "openai_embeddings",
        OPENAI,
        {"model": "voyage-3", "input": "x", "input_type": "query", "output_dtype": "int8", "truncation": True},
        {**openai(ITEM), "usage": {"total_tokens": 1}},
    ),
]


@pytest.mark.parametrize(("name", "path", "body", "answer"), FORMS, ids=[f"{form[0]} {form[1]}" for form in FORMS])
def test_every_form_comes_back_exactly(name: str, path: str, body: dict[str, Any], answer: dict[str, Any]) -> None:
    result = check(Exchange("x", "somebody", "POST", path, body, 200, {}, answer))
    assert (result.dialect, result.failure) == (name, None)
    assert result.ok


def test_the_older_form_of_ollama_means_the_same() -> None:
    dialect = embeddings.get("ollama_embed")
    older = dialect.parse_request({"model": "m", "prompt": "a"}, PathMatch())
    assert (older.inputs, older.single) == (("a",), True)
    assert (
        dialect.parse_response({"embedding": [0.1]}).vectors == dialect.parse_response({"embeddings": [[0.1]]}).vectors
    )
    assert embeddings.get("openai_embeddings").parse_request({"model": "m", "input": "a"}, PathMatch()).inputs == ("a",)


# -- images ------------------------------------------------------------------------------------------------------------

DATA = "iVBORw0KGgo="
PNG = {"inlineData": {"mimeType": "image/png", "data": DATA}}
CONTENT = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": IMAGE}}]
ONE_IMAGE: dict[str, tuple[str, dict[str, Any]]] = {
    "cohere_embed": (COHERE, {"model": "m", "images": [IMAGE], "input_type": "image", "embedding_types": ["float"]}),
    "gemini_embed": (BATCH, {"requests": [{"model": "models/m", "content": {"parts": [PNG]}}]}),
    "bedrock_titan_embed": ("/model/m/invoke", {"inputImage": DATA}),
}
TEXT_AND_IMAGE: dict[str, tuple[str, dict[str, Any]]] = {
    "cohere_embed": (
        COHERE,
        {"model": "m", "inputs": [{"content": CONTENT}], "input_type": "search_document", "embedding_types": ["float"]},
    ),
    "gemini_embed": (
        BATCH,
        {
            "requests": [
                {"model": "models/m", "content": {"parts": [{"text": "a"}, PNG]}, "taskType": "RETRIEVAL_DOCUMENT"}
            ]
        },
    ),
}


def asked(name: str, body: dict[str, Any]) -> EmbeddingRequest:
    """The request; it comes back exactly."""
    dialect = embeddings.get(name)
    request = dialect.parse_request(body, PathMatch("m"))
    assert dialect.render_request(request, DEFAULT_PROFILE) == Rendered(body)
    return request


@pytest.mark.parametrize("target", ONE_IMAGE)
@pytest.mark.parametrize("source", [*ONE_IMAGE, "jina", "a data URL"])
def test_an_image_is_one_in_every_api_that_embeds_images(source: str, target: str) -> None:
    if source in ONE_IMAGE:
        request = asked(source, ONE_IMAGE[source][1])
    else:
        request = asked("openai_embeddings", {"model": "m", "input": [{"image": IMAGE} if source == "jina" else IMAGE]})
    if request.dialect == target:
        return
    found = embeddings.get(target).render_request(replace(request, encoding_format=None, model="m"), DEFAULT_PROFILE)
    assert found.value == ONE_IMAGE[target][1]
    assert [note.path for note in found.notes if note.kind != "added"] == []


@pytest.mark.parametrize(("source", "target"), [("cohere_embed", "gemini_embed"), ("gemini_embed", "cohere_embed")])
def test_a_text_and_an_image_make_one_vector(source: str, target: str) -> None:
    request = replace(asked(source, TEXT_AND_IMAGE[source][1]), encoding_format=None, model="m")
    found = embeddings.get(target).render_request(request, DEFAULT_PROFILE)
    assert found.value == TEXT_AND_IMAGE[target][1]
    assert found.notes == ()


@pytest.mark.parametrize("name", ["openai_embeddings", "ollama_embed", "vertex_embed", "bedrock_nova_embed"])
def test_an_api_of_texts_notes_the_image(name: str) -> None:
    request = asked("cohere_embed", ONE_IMAGE["cohere_embed"][1])
    found = embeddings.get(name).render_request(replace(request, encoding_format=None), DEFAULT_PROFILE)
    assert [(note.path, note.kind) for note in found.notes] == [("inputs[0]", "dropped")]


@pytest.mark.parametrize(
    "body",
    [
        {"images": []},
        {"images": [1]},
        {"images": "x"},
        {"images": None, "inputs": None},
        {"images": [IMAGE], "texts": ["a"]},
        {"images": [IMAGE], "inputs": [{"content": CONTENT}]},
        {"images": [IMAGE], "input_type": "search_document"},
        {"inputs": [{"content": [{"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}}]}]},
        {"inputs": [{"content": [{"type": "video"}, 7]}, {"content": CONTENT}]},
        {"inputs": [{"content": CONTENT, "x": 1}]},
        {"inputs": [{"content": []}]},
    ],
)
def test_other_forms_of_coheres_images_come_back(body: dict[str, Any]) -> None:
    asked("cohere_embed", {"model": "m", **body})


@pytest.mark.parametrize(
    "element", [{"image": DATA}, {"image": "https://example.com/a.png"}, {"text": "a"}, {"image": 1}]
)
def test_jinas_objects_come_back(element: dict[str, Any]) -> None:
    asked("openai_embeddings", {"model": "m", "input": [element, "b"]})


@pytest.mark.parametrize("parts", [[PNG], [{"text": "a"}, PNG], [{**PNG, "x": 1}], [{"fileData": {}}], [], [PNG, 7]])
def test_geminis_parts_come_back(parts: list[Any]) -> None:
    asked("gemini_embed", {"requests": [{"model": "models/m", "content": {"parts": parts}}]})
    asked("gemini_embed", {"content": {"parts": parts}})


def test_texts_of_google_are_no_loss_elsewhere() -> None:
    batch = asked("gemini_embed", {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}}]})
    instances = asked("vertex_embed", {"instances": [{"content": "a"}]})
    for request in (batch, instances):
        assert embeddings.get("openai_embeddings").render_request(request, DEFAULT_PROFILE).notes == ()

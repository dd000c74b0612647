"""Any JSON at all, at any endpoint: an answer or a native refusal, never a failure of the simulator.

Good requests are spoilt at a random place by a random value; what comes out is decided by the same pure functions that
the server calls, so thousands of cases need no socket.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.testing.providers import ROUTES, Headers, ReceivedRequest, ScriptError
from penstock.testing.providers.registry import resolve_path
from penstock.testing.providers.state import World
from penstock.testing.providers.turns import default_reply, resolve
from penstock.testing.providers.wire import Ask, Call
from tests.unit.testing.test_rules import GOOD

KEYS = [("authorization", "Bearer fake"), ("x-api-key", "f"), ("x-goog-api-key", "f"), ("anthropic-version", "v")]
SMALL: dict[str, tuple[str, Any]] = {
    "embeddings": ("/v1/embeddings", {"model": "m", "input": ["x"]}),
    "images": ("/v1/images/generations", {"model": "m", "prompt": "x", "n": 1}),
    "speech": ("/v1/audio/speech", {"model": "m", "input": "x", "voice": "alloy"}),
    "moderations": ("/v1/moderations", {"input": ["x"]}),
    "completions": ("/v1/completions", {"model": "m", "prompt": ["x"], "stream": True}),
    "batches": ("/v1/batches", {"input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "24h"}),
    "input_tokens": ("/v1/responses/input_tokens", {"model": "m", "input": [{"role": "user", "content": "x"}]}),
    "count_tokens": ("/v1/messages/count_tokens", {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
    "gemini_count": ("/v1beta/models/g:countTokens", {"contents": [{"parts": [{"text": "x"}]}]}),
    "gemini_embed": ("/v1beta/models/g:embedContent", {"content": {"parts": [{"text": "x"}]}}),
    "gemini_embeds": (
        "/v1beta/models/g:batchEmbedContents",
        {"requests": [{"model": "models/g", "content": {"parts": [{"text": "x"}]}}]},
    ),
    "bedrock_count": (
        "/model/m/count-tokens",
        {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "x"}]}]}}},
    ),
    "bedrock_titan": ("/model/amazon.titan-embed-text-v2/invoke", {"inputText": "x", "dimensions": 4}),
    "bedrock_cohere": ("/model/cohere.embed-v4/invoke", {"texts": ["x"], "input_type": "search_query"}),
    "bedrock_nova": (
        "/model/amazon.nova-embed/invoke",
        {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"text": {"value": "x"}}},
    ),
    "bedrock_claude": (
        "/model/anthropic.claude-x/invoke",
        {"anthropic_version": "v", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
    ),
    "cohere_embed": ("/v2/embed", {"model": "m", "texts": ["x"], "input_type": "clustering"}),
    "cohere_rerank": ("/v2/rerank", {"model": "m", "query": "x", "documents": ["x", "y"]}),
    "cohere_tokenize": ("/v1/tokenize", {"model": "m", "text": "x"}),
    "ollama_embed": ("/api/embed", {"model": "m", "input": ["x"]}),
    "ollama_show": ("/api/show", {"model": "m"}),
    "voyage_rerank": ("/voyage/v1/rerank", {"model": "m", "query": "x", "documents": ["x"]}),
    "jina_rerank": ("/jina/v1/rerank", {"model": "m", "query": "x", "documents": [{"text": "x"}]}),
    "compatible": ("/compatible/v1/chat/completions", GOOD["openai_chat"][1]),
    "mistral": ("/mistral/v1/chat/completions", GOOD["openai_chat"][1]),
    "lenient_responses": ("/compatible/v1/responses", GOOD["openai_responses"][1]),
}
CASES = {**GOOD, **SMALL}

WORDS = st.sampled_from(
    ["", "x", "user", "assistant", "tool", "text", "function", "auto", "any", "json_object", "YQ=="]
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "name", "parts", "id", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, the root included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with one place replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def judge(path: str, body: Any) -> str:
    """What becomes of the request: "refused", "answered" or "cannot be said"."""
    request = ReceivedRequest(1, "POST", path, Headers(KEYS), json.dumps(body).encode())
    match = resolve_path(request)
    assert match.operation is not None
    operation = match.operation
    call = Call(request, World(), match.mount.flavour, match.params)
    error = operation.family.authenticate(call) if operation.family.name != "aws" else None
    if error := error or operation.validate(call):
        assert 400 <= operation.family.error(error, call).status < 500
        return "refused"
    ask = operation.asks(call) if operation.asks else Ask()
    try:
        turn = resolve(default_reply(ask), ask)
        if operation.streaming is not None and ask.stream:
            assert operation.streaming.events(turn, call)
        else:
            assert operation.answer(turn, call).status == 200
    except ScriptError:
        return "cannot be said"
    return "answered"


@pytest.mark.parametrize("name", CASES)
def test_the_unspoilt_request_is_answered(name: str) -> None:
    path, body = CASES[name]
    assert judge(path, body) == "answered" or name in ("batches", "mistral")  # no such file; ids of nine


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_a_spoilt_request_never_breaks_the_simulator(name: str, data: st.DataObject) -> None:
    path, body = CASES[name]
    place = data.draw(st.sampled_from(places(body)))
    judge(path, replaced(body, place, data.draw(VALUES)))


@pytest.mark.parametrize("name", CASES)
@given(value=VALUES)
def test_any_json_never_breaks_the_simulator(name: str, value: Any) -> None:
    judge(CASES[name][0], value)


def test_every_route_that_takes_json_is_tried() -> None:
    reached = set()
    for path, _ in CASES.values():
        match = resolve_path(ReceivedRequest(1, "POST", path, Headers(KEYS), b""))
        assert match.operation is not None
        reached.add(match.operation.name)
    posts = {route.operation.name for route in ROUTES if route.method == "POST"}
    forms = {name for name in posts if name.endswith((".create", ".edits", "transcriptions", "translations"))}
    elsewhere = {
        "openai_responses.cancel",
        "openai_batches.cancel",
        "vertex_anthropic",
        "vertex_anthropic.count_tokens",
    }
    assert posts - forms - elsewhere - reached - {"voyage_embeddings", "jina_embeddings"} == set()

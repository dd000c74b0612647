"""No false alarm: every recorded request that the real provider answered with 200 is let in here too.

The rules of the simulated providers are only worth something if they refuse nothing that the providers accept.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.testing.providers import Headers, ReceivedRequest
from penstock.testing.providers.registry import resolve_path
from penstock.testing.providers.state import World
from penstock.testing.providers.wire import Call
from tests.support import shared_folder

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"

# provider of the recording -> where it lives here, and the paths that differ
PLACES: dict[str, tuple[str, dict[str, str]]] = {
    "openai": ("/openai", {}),
    "azure": ("/azure", {}),
    "bedrock-mantle": ("/openai", {"/openai/v1/responses": RESPONSES}),
    "deepseek": ("/deepseek", {"/chat/completions": CHAT, "/responses": RESPONSES}),
    "groq": ("/groq", {}),
    "mistral": ("/mistral", {}),
    "openrouter": ("/openrouter", {}),
    "cerebras": ("/compatible", {}),
    "crusoe": ("/compatible", {}),
    "zai": ("/compatible", {"/api/paas/v4/chat/completions": CHAT}),
    "huggingface": (
        "/compatible",
        {"/together/v1/chat/completions": CHAT, "/novita/v3/openai/chat/completions": CHAT},
    ),
    "anthropic": ("/anthropic", {}),
    "gemini": ("/gemini", {}),
    "vertex": ("/vertex", {}),
    "bedrock": ("/bedrock", {}),
    "cohere": ("/cohere", {}),
    "voyage": ("/voyage", {}),
}


def exchanges() -> Iterator[dict[str, Any]]:
    for path in sorted(shared_folder("provider-exchanges").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def received(exchange: dict[str, Any]) -> ReceivedRequest | None:
    """The recorded request as if it had come here; None for a provider that is not simulated."""
    request = exchange["request"]
    if exchange["provider"] not in PLACES:
        return None
    prefix, paths = PLACES[exchange["provider"]]
    query = f"?{request['query']}" if request.get("query") else ""
    body = request["body"]
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = [*request["headers"].items(), ("anthropic-version", "2023-06-01")]
    target = f"{prefix}{paths.get(request['path'], request['path'])}{query}"
    return ReceivedRequest(1, request["method"].upper(), target, Headers(headers), content)


def is_state_of_the_recorded_world(request: ReceivedRequest) -> bool:
    """Requests that name a file or a response which was made in another recording."""
    return "/files/" in request.path or (request.path.endswith(RESPONSES) and "previous_response_id" in request.json)


def was_recorded_whole(request: ReceivedRequest) -> bool:
    """One recorded body is no JSON: the recording itself cut it."""
    try:
        return "multipart" in request.headers.get("content-type", "") or request.json is not None
    except ValueError:
        return False


@pytest.fixture(scope="module")
def judged() -> dict[str, list[tuple[str, str | None]]]:
    """For each operation: the recordings that reached it, with the message of the refusal, if any."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    for exchange in exchanges():
        request = received(exchange)
        if request is None or exchange["response"]["status"] != 200:
            continue
        match = resolve_path(request)
        if match.operation is None or is_state_of_the_recorded_world(request) or not was_recorded_whole(request):
            continue
        call = Call(request, World(any_signature=True), match.mount.flavour, match.params)
        error = match.operation.validate(call)
        found.setdefault(match.operation.name, []).append((exchange["id"], error.message if error else None))
    return found


@pytest.mark.parametrize(
    ("operation", "at_least"),
    [
        ("openai_chat", 150),
        ("openai_responses", 100),
        ("anthropic_messages", 150),
        ("gemini", 200),
        ("bedrock_converse", 90),
        ("cohere_chat", 5),
        ("bedrock_invoke", 15),
        ("gemini.batch_embed", 5),
    ],
)
def test_what_the_provider_accepted_is_let_in(
    judged: dict[str, list[tuple[str, str | None]]], operation: str, at_least: int
) -> None:
    assert len(judged[operation]) >= at_least, "the recordings reach this operation"
    assert [refused for refused in judged[operation] if refused[1] is not None] == []


def test_nothing_else_is_refused_either(judged: dict[str, list[tuple[str, str | None]]]) -> None:
    assert [refused for rows in judged.values() for refused in rows if refused[1] is not None] == []

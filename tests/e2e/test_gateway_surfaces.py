"""The gateway as an attacker, and as a clumsy client, sees it: keys, paths, bodies, names, and providers that fail.

Every surface is held to the same rules, and says no in its own dialect.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from msgspec import Struct

from penstock.gateway.snapshot import Settings
from penstock.testing.providers import (
    Cut,
    ErrorEvent,
    Malformed,
    ProviderError,
    Reply,
    SimulatedProviders,
    Stall,
    Truncated,
)
from tests.e2e.gateway import KEY, PROVIDER_KEYS, Running, environment_for, serving

MAX_BODY = Settings().max_body
UPSTREAMS = ("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash")
TEN_WORDS = "one two three four five six seven eight nine ten"


class Surface(Struct, frozen=True):
    """One way in: its path for a model, a body that asks something, and how its errors look."""

    name: str
    path: Callable[[str, bool], str]
    body: Callable[[str, bool], dict[str, Any]]
    type_of: Callable[[dict[str, Any]], str]
    wrong_key: str
    not_found: str

    def message(self, answer: httpx.Response) -> str:
        """The message of a refusal, once its shape is what the official client expects."""
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()
        assert self.type_of(error), error
        text: str = error["error"]["message"]
        return text


def _gemini_path(model: str, stream: bool) -> str:
    return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"


def _anthropic_type(error: dict[str, Any]) -> str:
    assert error["type"] == "error"
    return str(error["error"]["type"])


def _openai_type(error: dict[str, Any]) -> str:
    assert set(error["error"]) == {"message", "type", "param", "code"}
    return str(error["error"]["type"])


SAID = [{"role": "user", "content": "Hi"}]
SURFACES = (
    Surface(
        "openai",
        lambda model, stream: "/v1/chat/completions",
        lambda model, stream: {"model": model, "messages": SAID, "stream": stream},
        _openai_type,
        "authentication_error",
        "not_found_error",
    ),
    Surface(
        "anthropic",
        lambda model, stream: "/v1/messages",
        lambda model, stream: {"model": model, "max_tokens": 50, "messages": SAID, "stream": stream},
        _anthropic_type,
        "authentication_error",
        "not_found_error",
    ),
    Surface(
        "gemini",
        _gemini_path,
        lambda model, stream: {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        lambda error: str(error["error"]["status"]),
        "UNAUTHENTICATED",
        "NOT_FOUND",
    ),
    Surface(
        "responses",
        lambda model, stream: "/v1/responses",
        lambda model, stream: {"model": model, "input": SAID, "stream": stream},
        _openai_type,
        "authentication_error",
        "not_found_error",
    ),
)
each_surface = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    return server


@pytest.fixture(scope="module")
def gateway(server: SimulatedProviders) -> Iterator[Running]:
    with serving(environment_for(server, PENSTOCK_MASTER_KEY=KEY)) as running:
        yield running


@pytest.fixture
def client(gateway: Running) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=60) as made:
        yield made


def ask(client: httpx.Client, surface: Surface, model: str, *, stream: bool = False, **more: Any) -> httpx.Response:
    return client.post(surface.path(model, stream), json={**surface.body(model, stream), **more})


# -- keys -------------------------------------------------------------------------------------------------------------


@each_surface
@streamed_or_not
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": f"Bearer {KEY[:-1]}"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer \xff\xfe"},
        {"x-api-key": ""},
        {"x-api-key": KEY.upper()},
        {"x-goog-api-key": "sk-fake"},
    ],
    ids=repr,
)
def test_no_key_and_a_wrong_key_are_refused(
    gateway: Running, surface: Surface, stream: bool, headers: dict[str, str]
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = httpx.post(
        gateway.url + surface.path("demo", stream), headers=raw, json=surface.body("demo", stream), timeout=60
    )
    assert answer.status_code == 401
    assert "no valid key" in surface.message(answer)
    assert surface.type_of(answer.json()) == surface.wrong_key


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": f"Bearer {KEY}"}, ""),
        ({"authorization": f"bearer   {KEY}"}, ""),
        ({"x-api-key": KEY}, ""),
        ({"api-key": KEY}, ""),
        ({"x-goog-api-key": KEY}, ""),
        ({"x-litellm-api-key": f"Bearer {KEY}"}, ""),
        ({}, f"?key={KEY}"),
    ],
)
def test_the_key_may_come_where_any_client_puts_it(gateway: Running, headers: dict[str, str], query: str) -> None:
    assert httpx.get(f"{gateway.url}/v1/models{query}", headers=headers).status_code == 200


def test_without_a_key_the_body_is_not_read(gateway: Running) -> None:
    """An answer comes though the body never does: strangers cannot fill the memory."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    assert b" 401 " in raw_exchange(gateway, head)


@pytest.mark.parametrize("path", ["/health/liveliness", "/health/liveness", "/health/liveliness/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_needs_no_key(gateway: Running, method: str, path: str) -> None:
    answer = httpx.request(method, gateway.url + path)
    assert answer.status_code == 200
    assert answer.text == ("I'm alive!" if method == "GET" else "")


@pytest.mark.parametrize("path", ["/", "//", "/?beta=true"])
def test_who_looks_for_the_gateway_finds_it(gateway: Running, path: str) -> None:
    """Claude Code sends `HEAD /` when it starts."""
    answer = httpx.get(gateway.url + path)
    assert answer.status_code == 200 and answer.json()["name"] == "Penstock"
    assert httpx.get(gateway.url + answer.json()["documentation"]).status_code == 200
    assert set(answer.headers) == {"date", "content-type", "content-length"}
    assert not re.search(r"[0-9]", answer.text.replace("/v1/", "")), "no version"
    assert gateway.url not in answer.text
    head = httpx.head(gateway.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]
    refused = httpx.post(gateway.url + path, headers={"authorization": f"Bearer {KEY}"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def raw_exchange(gateway: Running, data: bytes) -> bytes:
    """Send bytes as they are; the head of what comes back."""
    address = httpx.URL(gateway.url)
    with socket.create_connection((address.host, address.port or 0), timeout=60) as connection:
        connection.sendall(data)
        found = b""
        while b"\r\n\r\n" not in found and (piece := connection.recv(65536)):
            found += piece
        return found


# -- paths and methods ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/messages", "/v1/chat", "/etc/passwd", "/v1/chat/completions/x", "/%0d%0aa:b"])
def test_an_unknown_path_says_what_is_served(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={})
    assert answer.status_code == 404
    assert "/v1/chat/completions" in answer.json()["error"]["message"]
    assert "a" not in answer.headers


def test_an_unknown_path_is_refused_in_the_clients_dialect(client: httpx.Client) -> None:
    answer = client.post("/v1/messages/batches", json={}, headers={"anthropic-version": "2023-06-01"})
    assert (answer.status_code, answer.json()["type"]) == (404, "error")


@each_surface
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_refused(client: httpx.Client, surface: Surface, method: str) -> None:
    answer = client.request(method, surface.path("demo", False))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert method in surface.message(answer)


def test_lists_are_read_only(client: httpx.Client) -> None:
    assert client.post("/v1/models", json={}).status_code == 405


# -- bodies -----------------------------------------------------------------------------------------------------------


@each_surface
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"{'model': 1}", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"NaN", "not JSON"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'"text"', "object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "not JSON"),
    ],
    ids=["empty", "cut", "python", "bytes", "NaN", "list", "null", "text", "deep list", "deep object"],
)
def test_a_body_that_is_none_is_refused(client: httpx.Client, surface: Surface, body: bytes, said: str) -> None:
    answer = client.post(surface.path("demo", False), content=body)
    assert answer.status_code == 400
    assert said in surface.message(answer)


WRONG = {
    "openai": [
        ("model", 1),
        ("messages", "Hi"),
        ("messages", [1]),
        ("messages", [{"role": "user", "content": 5}]),
        ("temperature", "hot"),
        ("max_tokens", []),
        ("stream", "yes"),
        ("tools", {}),
        ("n", "two"),
    ],
    "anthropic": [
        ("model", 1),
        ("messages", "Hi"),
        ("messages", [{"role": "user", "content": 5}]),
        ("max_tokens", "many"),
        ("temperature", "hot"),
        ("system", 5),
        ("tools", {}),
    ],
    "gemini": [
        ("contents", 5),
        ("contents", [{"parts": 5}]),
        ("generationConfig", []),
        ("generationConfig", {"temperature": "hot"}),
        ("tools", 5),
    ],
    "responses": [
        ("model", 1),
        ("input", 5),
        ("instructions", 5),
        ("max_output_tokens", []),
        ("temperature", "hot"),
        ("stream", "yes"),
        ("tools", {}),
    ],
}


@pytest.mark.parametrize(
    ("surface", "name", "value"),
    [(surface, name, value) for surface in SURFACES for name, value in WRONG[surface.name]],
    ids=lambda value: getattr(value, "name", None) or str(value),
)
def test_a_wrong_type_names_its_parameter(client: httpx.Client, surface: Surface, name: str, value: Any) -> None:
    answer = client.post(surface.path("demo", False), json={**surface.body("demo", False), name: value})
    assert answer.status_code == 400
    assert name in surface.message(answer)


def test_openais_clients_find_the_parameter_in_its_field(client: httpx.Client) -> None:
    error = ask(client, SURFACES[0], "demo", temperature="hot").json()["error"]
    assert error["param"] == "temperature"


@each_surface
def test_a_body_announced_as_too_large_is_refused_unread(gateway: Running, surface: Surface) -> None:
    head = f"POST {surface.path('demo', False)} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n"
    answer = raw_exchange(gateway, f"{head}content-length: {MAX_BODY + 1}\r\n\r\n".encode())
    assert b" 413 " in answer


def test_a_body_found_to_be_too_large_is_refused(client: httpx.Client) -> None:
    mebibyte = b" " * 2**20
    pieces = (mebibyte for _ in range(MAX_BODY // 2**20 + 1))
    answer = client.post("/v1/chat/completions", content=pieces)
    assert answer.status_code == 413
    assert f"{MAX_BODY:,} bytes" in answer.json()["error"]["message"]


def test_a_compressed_body_is_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/chat/completions", content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert (answer.status_code, "uncompressed" in answer.text) == (415, True)


def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm(gateway: Running, client: httpx.Client) -> None:
    address = httpx.URL(gateway.url)
    with socket.create_connection((address.host, address.port or 0)) as connection:
        connection.sendall(
            f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: 99\r\n\r\n{{".encode()
        )
    assert client.get("/v1/models").status_code == 200
    assert "Traceback" not in gateway.output


# -- models -----------------------------------------------------------------------------------------------------------


@each_surface
@streamed_or_not
@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("demmo", "Did you mean demo?"),
        ("openai/gpt-4p", None),  # the provider is asked: it may know it
        ("opemai/gpt-4o", "Did you mean openai/gpt-4o"),
        ("no-such-model-at-all", "Set up here: demo, anthropic/..., gemini/..., openai/..."),
        ("mistral/mistral-large-latest", "set MISTRAL_API_KEY"),
        ("groq/llama-3.3-70b-versatile", "set GROQ_API_KEY"),
    ],
)
def test_a_model_that_is_not_served(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, stream: bool, model: str, said: str | None
) -> None:
    providers.script(Reply.error(404, kind="unknown_model"))
    answer = ask(client, surface, model, stream=stream)
    assert answer.status_code == 404
    assert said is None or surface.type_of(answer.json()) == surface.not_found
    assert (said or "") in surface.message(answer)
    assert bool(providers.requests) == (said is None), "nobody else is asked"


@pytest.mark.parametrize("surface", SURFACES[:2], ids=lambda surface: surface.name)
@pytest.mark.parametrize("model", [None, ""])
def test_a_model_must_be_named(client: httpx.Client, surface: Surface, model: str | None) -> None:
    answer = client.post(surface.path("", False), json={**surface.body("", False), "model": model})
    assert answer.status_code == 400
    assert "model" in surface.message(answer)


@pytest.mark.parametrize(
    "name", ["gpt\r\nset-cookie: stolen=1", "gpt\nx-evil: 1", "gpt\x00\x7f", "gpt-\u00e9\u4e2d\U0001f600", "m" * 20_000]
)
def test_a_models_name_cannot_write_headers(client: httpx.Client, providers: SimulatedProviders, name: str) -> None:
    providers.script(Reply.text("Hi").named(model="gpt"))
    answer = ask(client, SURFACES[0], f"openai/{name}")
    assert answer.status_code == 200, answer.text
    assert not {"set-cookie", "x-evil"} & set(answer.headers)
    assert all(character.isascii() and character.isprintable() for character in answer.headers["x-penstock-deployment"])
    assert providers.last.json["model"] == name, "the provider gets the name as it is"


@each_surface
def test_a_request_cannot_say_where_to_go_or_with_which_key(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface
) -> None:
    """What the SDK takes as arguments (addresses, keys, headers) is the operator's to say, and nothing to overlook."""
    with SimulatedProviders() as elsewhere:
        base = elsewhere.url("openai_chat")
        wishes: dict[str, Any] = {
            "api_base": base,
            "base_url": base,
            "api_key": "sk-fake-own",
            "extra_headers": {"x-evil": "1"},
            "mock_response": "no",
            "custom_llm_provider": "groq",
        }
        for model in UPSTREAMS:
            for name, value in wishes.items():
                answer = ask(client, surface, model, **{name: value})
                assert answer.status_code == 400
                assert f"`{name}`" in surface.message(answer)
            nothing: dict[str, Any] = dict.fromkeys(wishes)
            assert ask(client, surface, model, **nothing).status_code == 200
        assert elsewhere.requests == []
    assert len(providers.requests) == len(UPSTREAMS), "of those, nobody was asked"
    assert not any(name in request.json for request in providers.requests for name in wishes)


# -- Gemini's two forms of a stream ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [*UPSTREAMS, "demo"])
def test_a_client_of_gemini_that_asks_for_no_events_gets_an_array(
    client: httpx.Client, providers: SimulatedProviders, model: str
) -> None:
    """As from Google: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent"""
    texts = []
    for query, content_type in (("?alt=sse", "text/event-stream"), ("", "application/json")):
        providers.script(Reply.text(TEN_WORDS))
        path = f"/v1beta/models/{model}:streamGenerateContent{query}"
        answer = client.post(path, json=SURFACES[2].body(model, True))
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type), answer.text
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        frames = [json.loads(event) for event in events] if query else answer.json()
        assert frames[-1]["candidates"][0]["finishReason"] == "STOP"
        texts.append("".join(frame["candidates"][0]["content"]["parts"][0]["text"] for frame in frames))
    assert texts[0] == texts[1] != ""


@pytest.mark.parametrize(("query", "key"), [("", KEY), ("?alt=sse", KEY), ("", "sk-wrong")])
def test_an_error_before_the_array_is_a_list_of_one(client: httpx.Client, query: str, key: str) -> None:
    """As from Google: its clients read elements; of events, they read the error as an object."""
    path = f"/v1beta/models/no-such-model:streamGenerateContent{query}"
    body = SURFACES[2].body("no-such-model", True)
    answer = client.post(path, json=body, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == (404 if key == KEY else 401)
    found = answer.json()
    error = found if query else found[0]
    assert error["error"]["code"] == answer.status_code
    assert query or len(found) == 1
    whole = client.post("/v1beta/models/no-such-model:generateContent", json=SURFACES[2].body("no-such-model", False))
    assert whole.json()["error"]["code"] == 404


@pytest.mark.parametrize("model", UPSTREAMS)
def test_an_array_that_breaks_off_ends_with_the_error(
    client: httpx.Client, providers: SimulatedProviders, model: str
) -> None:
    providers.script(Reply.text(TEN_WORDS).with_faults(Cut(after=5)))
    path = f"/v1beta/models/{model}:streamGenerateContent"
    frames = client.post(path, json=SURFACES[2].body(model, True)).json()
    assert "error" not in frames[0]
    assert frames[-1]["error"]["status"] == "UNAVAILABLE"


# -- providers that fail ----------------------------------------------------------------------------------------------


def error_in_stream(surface: Surface, text: str) -> dict[str, Any]:
    """The error that ends a stream, in the form in which the surface's official client looks for it."""
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    found: dict[str, Any] = events[-1]
    assert "[DONE]" not in text.partition('"error"')[2], "a stream that failed does not end as if it were whole"
    if surface.name == "anthropic":
        assert "event: error\n" in text
    if surface.name == "responses":
        return {"error": {"type": None, "param": None, **_responses_error(found)}}
    return found


def _responses_error(event: dict[str, Any]) -> dict[str, Any]:
    """The error in any of the forms in which the Responses API ends a stream with one: `response.failed`, or an event
    that is the error, or holds it.
    """
    if event["type"] == "response.failed":
        assert event["response"]["status"] == "failed"
        return {**event["response"]["error"], "type": "failed"}
    assert event["type"] == "error"
    return event.get("error") or {name: event[name] for name in ("type", "message", "param", "code")}


ERROR = {"message": "no", "type": "server_error", "param": None, "code": None}
FAULTS = [Cut(after=5), Cut(after=5, reset=True), Cut(after=5, inside="event"), Malformed(after=5), Truncated(after=5)]


@each_surface
@pytest.mark.parametrize("model", UPSTREAMS)
@pytest.mark.parametrize("fault", FAULTS, ids=["cut", "reset", "cut in an event", "malformed", "just over"])
def test_a_stream_that_breaks_off_ends_with_the_dialects_error(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, model: str, fault: Any
) -> None:
    providers.script(Reply.text(TEN_WORDS).with_faults(fault))
    answer = ask(client, surface, model, stream=True)
    assert answer.status_code == 200
    assert surface.type_of(error_in_stream(surface, answer.text))
    assert "one" in answer.text, "what had arrived is passed on"


@each_surface
@pytest.mark.parametrize("model", UPSTREAMS[:2])
def test_an_error_in_the_stream_is_passed_on(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, model: str
) -> None:
    error = ProviderError(529, "Too busy right now")
    providers.script(Reply.text(TEN_WORDS).with_faults(ErrorEvent(error, after=3)))
    answer = ask(client, surface, model, stream=True)
    assert "Too busy right now" in error_in_stream(surface, answer.text)["error"]["message"]


@each_surface
@pytest.mark.parametrize("reply", [Reply.html(200), Reply.empty(200), Reply.native({"error": ERROR})])
def test_a_200_that_is_no_answer_is_an_error(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, reply: Reply
) -> None:
    providers.answer_with(lambda request: reply)
    answer = ask(client, surface, "openai/gpt-4o")
    assert answer.status_code >= 400
    assert surface.message(answer)


@each_surface
@streamed_or_not
def test_a_client_that_leaves_ends_the_call_upstream(
    gateway: Running, client: httpx.Client, providers: SimulatedProviders, surface: Surface, stream: bool
) -> None:
    reply = Reply.text(TEN_WORDS)
    providers.script(reply.with_faults(Stall(after=3)) if stream else reply.delivered(before_headers=600))
    if stream:
        body = surface.body("openai/gpt-4o", True)
        with client.stream("POST", surface.path("openai/gpt-4o", True), json=body) as answer:
            next(answer.iter_bytes())
    else:
        with pytest.raises(httpx.ReadTimeout):
            client.post(
                surface.path("openai/gpt-4o", False),
                json=surface.body("openai/gpt-4o", False),
                timeout=httpx.Timeout(60, read=1),
            )
    assert providers.wait_until(lambda those: those.last.outcome == "client left", 60)
    assert "Traceback" not in gateway.output


@each_surface
@pytest.mark.parametrize(("model", "key"), [*zip(UPSTREAMS, PROVIDER_KEYS.values(), strict=True)], ids=UPSTREAMS)
def test_a_providers_key_never_leaves_in_an_error(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, model: str, key: str
) -> None:
    said = f"Incorrect API key provided: {key}"
    stream_fault = ErrorEvent(ProviderError(401, said), after=3)
    providers.script(Reply.error(401, said), Reply.text(TEN_WORDS).with_faults(stream_fault))
    whole, streamed = ask(client, surface, model), ask(client, surface, model, stream=True)
    assert whole.status_code == 401
    for answer in (whole, streamed):
        # taken out by the call that sent it, or at the last by the gateway
        assert re.search(r"Incorrect API key provided: (\*\*\*|\[key removed\])", answer.text), answer.text
        assert key not in answer.text + repr(answer.headers)


@each_surface
@pytest.mark.parametrize("model", UPSTREAMS)
def test_an_address_of_the_inside_never_leaves_in_an_error(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, model: str
) -> None:
    said = "no route from http://10.0.0.7:9000/v1 to vllm-3.prod.svc.cluster.local"
    providers.script(Reply.error(500, said), Reply.error(500, said), Reply.error(500, said))
    answer = ask(client, surface, model)
    assert answer.status_code == 500
    assert "no route from [address removed] to [address removed]" in answer.text


@each_surface
@pytest.mark.parametrize("status", [302, 307, 600, 999])
def test_a_status_that_is_no_answer_is_an_error(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, status: int
) -> None:
    elsewhere = (("location", "http://10.0.0.7/v1"),)
    providers.script(*[Reply.native({}).delivered(status=status, headers=elsewhere)] * 3)
    answer = ask(client, surface, "openai/gpt-4o")
    assert answer.status_code in (404, 502)
    assert "10.0.0.7" not in answer.text


def models_in(answer: httpx.Response) -> set[str]:
    """Every model that an answer, whole or streamed, says that it is of."""
    names = re.findall(r'"model(?:Version)?": ?"([^"]*)"', answer.text)
    assert names, answer.text
    return set(names)


@each_surface
@streamed_or_not
@pytest.mark.parametrize("model", UPSTREAMS)
def test_who_asks_by_a_name_of_the_gateways_is_answered_by_it(
    client: httpx.Client, providers: SimulatedProviders, surface: Surface, stream: bool, model: str
) -> None:
    """Claude Code drops the thoughts of a model that answers by another name, and is then refused."""
    providers.script(Reply.text("Hi").named(model="another-name-0815"))
    assert models_in(ask(client, surface, model, stream=stream)) == {model}


def test_who_asks_by_the_providers_name_hears_the_providers(
    client: httpx.Client, providers: SimulatedProviders
) -> None:
    providers.script(Reply.text("Hi").named(model="gpt-4o-2024-11-20"))
    assert models_in(ask(client, SURFACES[0], "gpt-4o")) == {"gpt-4o-2024-11-20"}


@pytest.mark.parametrize(("model", "asked"), [("openai/gpt-4o", False), ("openai/gpt-5-mini", True)])
def test_a_model_that_cannot_think_is_not_asked_to(
    client: httpx.Client, providers: SimulatedProviders, model: str, asked: bool
) -> None:
    """Claude Code asks every model; OpenAI answers 400 for one that cannot."""
    thinking: dict[str, Any] = {"max_tokens": 8000, "thinking": {"type": "enabled", "budget_tokens": 4000}}
    answer = ask(client, SURFACES[1], model, **thinking)
    assert answer.status_code == 200, answer.text
    assert ("reasoning_effort" in providers.last.json) is asked
    assert ("dropped reasoning" in answer.headers.get("x-penstock-notes", "")) is not asked


@each_surface
def test_how_long_to_wait_is_passed_on(client: httpx.Client, providers: SimulatedProviders, surface: Surface) -> None:
    providers.script(*[Reply.error(429, retry_after=3600)] * 3)
    answer = ask(client, surface, "openai/gpt-4o")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")


# -- ids, lists -------------------------------------------------------------------------------------------------------


@each_surface
@pytest.mark.parametrize("status", [200, 400, 401, 404])
def test_every_answer_bears_the_id_of_its_call(gateway: Running, surface: Surface, status: int) -> None:
    model = "nope" if status == 404 else "demo"
    body = b"{" if status == 400 else json.dumps(surface.body(model, False)).encode()
    key = "wrong" if status == 401 else KEY
    answers = [
        httpx.post(gateway.url + surface.path(model, False), content=body, headers={"x-api-key": key}) for _ in "12"
    ]
    assert [answer.status_code for answer in answers] == [status, status]
    ids = [answer.headers["x-penstock-call-id"] for answer in answers]
    assert ids[0] != ids[1]
    assert [answer.headers["x-request-id"] for answer in answers] == ids


def test_what_is_answered_here_bears_an_id_too(client: httpx.Client) -> None:
    count = {"model": "demo", "messages": SAID}
    answers = [client.get("/v1/models"), client.get("/v1/models/demo"), client.get("/v1/models/nope")]
    answers += [client.post("/v1/messages/count_tokens", json=count), client.post("/nowhere", json={})]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 200, 404]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


def test_models_are_listed_in_the_shape_that_a_client_reads(client: httpx.Client) -> None:
    openai = client.get("/v1/models").json()
    anthropic = client.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    gemini = client.get("/v1beta/models").json()
    names = [model["id"] for model in openai["data"]]
    assert names[0] == "demo" and len(names) > 100
    assert [model["id"] for model in anthropic["data"]] == names
    assert [model["name"].removeprefix("models/") for model in gemini["models"]] == names


def test_one_model_can_be_looked_up(client: httpx.Client) -> None:
    assert client.get("/v1/models/openai/gpt-4o").json()["id"] == "openai/gpt-4o"
    missing = client.get("/v1/models/openai/gpt-4oo")
    assert (missing.status_code, "Did you mean openai/gpt-4o" in missing.text) == (404, True)


def test_a_host_that_answers_whole_is_heard_as_the_stream_and_under_the_name_that_were_asked_for(
    client: httpx.Client, providers: SimulatedProviders
) -> None:
    message = {"role": "assistant", "content": "Hello"}
    body = {"id": "c", "model": "another-name", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    providers.script(Reply.native(body).delivered(content_type="application/json"))
    answer = ask(client, SURFACES[0], "openai/gpt-4o", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n") and "Hello" in answer.text
    assert models_in(answer) == {"openai/gpt-4o"}


def test_a_model_that_speaks_of_errors_makes_none(client: httpx.Client, providers: SimulatedProviders) -> None:
    """Nothing that is said in a stream is taken for a mark of its end, or of a failure."""
    for word in ("error", "[DONE]", '{"error": {}}', "message_stop", "event: error\n\n"):
        for surface, model in zip(SURFACES[:3], UPSTREAMS, strict=True):
            providers.script(Reply.text(f"before {word} behind"))
            answer = ask(client, surface, model, stream=True)
            assert "behind" in answer.text
            assert "broke off" not in answer.text

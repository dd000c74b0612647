"""The endpoints and flavours that no official client reaches here: retrieval, uploads, odd formats, error shapes."""

import base64
import json
import struct
from typing import Any

import httpx
import pytest

from penstock.testing.providers import (
    Cut,
    ErrorEvent,
    Headers,
    ProviderError,
    ReceivedRequest,
    RedactedThinking,
    Reply,
    SimulatedProviders,
    Stall,
    Text,
    Thinking,
    ToolCall,
    UsagePlace,
)
from penstock.testing.providers.sigv4 import problem

KEYS = {
    "authorization": "Bearer fake",
    "x-api-key": "fake",
    "x-goog-api-key": "fake",
    "anthropic-version": "2023-06-01",
}
ASK = [{"role": "user", "content": "hi"}]


def post(provider: SimulatedProviders, name: str, path: str, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(provider.url(name) + path, json=body, headers={**KEYS, **headers})


# --- Voyage and Jina -------------------------------------------------------------------------------------------------

DOCUMENTS = ["the moon is far", "cats sleep all day", "a cat likes to sleep"]
QUERY = "where does a cat sleep"


def test_voyage_embeds_and_reranks(provider: SimulatedProviders) -> None:
    body = {"model": "voyage-3.5", "input": ["a cat", "a dog"], "output_dimension": 4}
    plain = post(provider, "voyage", "/embeddings", body).json()
    packed = post(provider, "voyage", "/embeddings", {**body, "encoding_format": "base64"}).json()
    unpacked = struct.unpack("<4f", base64.b64decode(packed["data"][1]["embedding"]))
    assert list(unpacked) == plain["data"][1]["embedding"]
    assert plain["usage"]["total_tokens"] > 0
    asked = {"model": "rerank-2", "query": QUERY, "documents": DOCUMENTS, "top_k": 2, "return_documents": True}
    ranked = post(provider, "voyage", "/rerank", asked).json()["data"]
    assert [item["index"] for item in ranked][:1] == [2]
    assert ranked[0]["document"] == DOCUMENTS[2]
    assert len(ranked) == 2


def test_jina_embeds_and_reranks(provider: SimulatedProviders) -> None:
    made = post(provider, "jina", "/embeddings", {"model": "jina-v4", "input": [{"text": "a cat"}], "dimensions": 4})
    assert len(made.json()["data"][0]["embedding"]) == 4
    asked = {"model": "jina-reranker-v2", "query": QUERY, "documents": [{"text": text} for text in DOCUMENTS]}
    results = post(provider, "jina", "/rerank", asked).json()["results"]
    assert results[0]["document"] == {"text": DOCUMENTS[2]}
    bare = post(provider, "jina", "/rerank", {**asked, "return_documents": False}).json()["results"]
    assert "document" not in bare[0]


@pytest.mark.parametrize("name", ["voyage", "jina"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nonsense": 1}, "Argument 'nonsense' is not supported by our API"),
        ({"input": 5}, "Value error at 'input'"),
        ({"model": None}, "Value error at 'model'"),
    ],
)
def test_retrieval_refuses_natively(provider: SimulatedProviders, name: str, change: Any, said: str) -> None:
    answer = post(provider, name, "/embeddings", {"model": "m", "input": "x", **change})
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_retrieval_errors(provider: SimulatedProviders) -> None:
    body = {"model": "m", "input": "x"}
    provider.script(Reply.error(429), Reply.error(500, "it broke"))
    assert post(provider, "voyage", "/embeddings", body).json() == {"detail": "You exceeded your rate limit."}
    assert post(provider, "voyage", "/embeddings", body).json() == {"detail": "it broke"}
    keyless = httpx.post(provider.url("voyage") + "/embeddings", json=body)
    assert (keyless.status_code, keyless.json()["detail"]) == (401, "Provided API key is invalid.")
    unreadable = httpx.post(provider.url("voyage") + "/embeddings", content=b"{", headers=KEYS)
    assert unreadable.json()["detail"] == "Request body is not valid JSON."


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "abcdefgh9", "content": "x"}

# --- flavours of chat ------------------------------------------------------------------------------------------------


def sse(text: str) -> list[Any]:
    """The JSON payloads of a stream of server-sent events."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("groq", {"error": {"message": "no", "type": "invalid_request_error"}}),
        (
            "mistral",
            {"object": "error", "message": "no", "type": "invalid_request_error", "param": None, "code": "1500"},
        ),
        ("compatible", {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}}),
    ],
)
def test_errors_have_the_flavours_shape(provider: SimulatedProviders, name: str, expected: Any) -> None:
    provider.script(Reply.error(400, "no"))
    assert post(provider, name, "/chat/completions", {"model": "m", "messages": ASK}).json() == expected


def test_errors_inside_streams_have_the_flavours_shape(provider: SimulatedProviders) -> None:
    broken = Reply.text("a b").with_faults(ErrorEvent(ProviderError(400, "no"), after=1))
    provider.script(broken, broken)
    body = {"model": "m", "messages": ASK, "stream": True}
    groq = post(provider, "groq", "/chat/completions", body).text
    assert "event: error\ndata: " in groq
    assert sse(groq)[-1]["error"]["status_code"] == 400
    last = sse(post(provider, "openrouter", "/chat/completions", body).text)[-1]
    assert (last["error"]["code"], last["choices"][0]["finish_reason"]) == (400, "error")


def test_mistral_thinks_in_parts_and_has_ids_of_nine(provider: SimulatedProviders) -> None:
    reply = Reply.of(Thinking("hm hm"), Text("42"), ToolCall("f"))
    provider.script(reply, reply)
    body = {"model": "magistral", "messages": ASK}
    message = post(provider, "mistral", "/chat/completions", body).json()["choices"][0]["message"]
    assert [part["type"] for part in message["content"]] == ["thinking", "text"]
    assert len(message["tool_calls"][0]["id"]) == 9
    chunks = sse(post(provider, "mistral", "/chat/completions", {**body, "stream": True}).text)
    parts = [chunk["choices"][0]["delta"].get("content") for chunk in chunks]
    thought = "".join(part[0]["thinking"][0]["text"] for part in parts if isinstance(part, list))
    assert thought == "hm hm"
    assert "usage" in chunks[-1]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [*ASK, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {**RESULT, "tool_call_id": "call_1"}],
            "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.",
        ),
        (
            [*ASK, {"role": "assistant", "content": "", "tool_calls": [{**CALL, "id": "abcdefgh9"}]}, RESULT, *ASK],
            "Unexpected role 'user' after role 'tool'",
        ),
        ([*ASK, {"role": "assistant", "content": "x"}], "Expected last role User or Tool"),
        ([*ASK, {"role": "assistant", "content": "x", "prefix": True}], ""),
        ([*ASK, {"role": "assistant", "content": "", "tool_calls": [{**CALL, "id": "abcdefgh9"}]}, RESULT], ""),
    ],
)
def test_mistral_has_rules_of_its_own(provider: SimulatedProviders, messages: Any, said: str) -> None:
    answer = post(provider, "mistral", "/chat/completions", {"model": "m", "messages": messages})
    assert answer.status_code == (400 if said else 200), answer.text
    assert said in answer.json().get("message", "")


def test_openai_pads_its_events_unless_it_is_asked_not_to(provider: SimulatedProviders) -> None:
    body: dict[str, Any] = {"model": "gpt-4o", "messages": ASK, "stream": True}
    padded = sse(post(provider, "openai", "/chat/completions", body).text)
    plain = sse(
        post(provider, "openai", "/chat/completions", {**body, "stream_options": {"include_obfuscation": False}}).text
    )
    assert all("obfuscation" in chunk for chunk in padded)
    assert not any("obfuscation" in chunk for chunk in plain)


def test_deepseek_counts_its_cache_in_its_own_fields(provider: SimulatedProviders) -> None:
    usage = post(provider, "deepseek", "/chat/completions", {"model": "m", "messages": ASK}).json()["usage"]
    assert usage["prompt_cache_hit_tokens"] + usage["prompt_cache_miss_tokens"] == usage["prompt_tokens"]


def test_a_compatible_server_says_refusals_as_text(provider: SimulatedProviders) -> None:
    provider.script(Reply.refusal("I won't."))
    body = {"model": "m", "messages": ASK}
    message = post(provider, "compatible", "/chat/completions", body).json()["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "I won't."}


# --- OpenAI's uploads and forms --------------------------------------------------------------------------------------


def upload(provider: SimulatedProviders, path: str, data: dict[str, str], files: Any) -> httpx.Response:
    return httpx.post(provider.url("openai") + path, data=data, files=files, headers=KEYS)


AUDIO = {"file": ("a.wav", b"RIFF")}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("text", "one two\n"),
        ("srt", "1\n00:00:00,000 --> 00:00:01,000\none two\n\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\none two\n\n"),
    ],
)
def test_transcriptions_as_text(provider: SimulatedProviders, wanted: str, said: str) -> None:
    provider.script(Reply.text("one two"))
    answer = upload(provider, "/audio/transcriptions", {"model": "whisper-1", "response_format": wanted}, AUDIO)
    assert answer.text == said


@pytest.mark.parametrize(
    ("path", "data", "files", "said"),
    [
        ("/audio/transcriptions", {}, AUDIO, "Missing required parameter: 'model'."),
        ("/audio/transcriptions", {"model": "m"}, {"audio": ("a.wav", b"x")}, "Missing required parameter: 'file'."),
        ("/audio/transcriptions", {"model": "m", "nonsense": "1"}, AUDIO, "Unknown parameter: 'nonsense'."),
        ("/audio/transcriptions", {"model": "m", "response_format": "pdf"}, AUDIO, "Invalid value: 'pdf'."),
        ("/audio/transcriptions", {"model": "m"}, {"file": ("a.wav", b"")}, "Audio file is empty."),
        ("/images/edits", {"prompt": "x"}, {"photo": ("a.png", b"x")}, "Missing required parameter: 'image'."),
        ("/files", {}, {"file": ("a", b"x")}, "Missing required parameter: 'purpose'."),
        ("/files", {"purpose": "fun"}, {"file": ("a", b"x")}, "Invalid value: 'fun'."),
        ("/files", {"purpose": "batch"}, {"other": ("a", b"x")}, "Missing required parameter: 'file'."),
    ],
)
def test_bad_forms_are_refused(provider: SimulatedProviders, path: str, data: Any, files: Any, said: str) -> None:
    answer = upload(provider, path, data, files)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/audio/transcriptions", "/files", "/images/edits"])
def test_json_where_a_form_is_wanted_is_refused(provider: SimulatedProviders, path: str) -> None:
    assert "Could not parse multipart form" in post(provider, "openai", path, {}).json()["error"]["message"]


def test_images_refuse_what_the_model_does_not_take(provider: SimulatedProviders) -> None:
    body = {"model": "gpt-image-1", "prompt": "a fox", "response_format": "url"}
    assert "'response_format'" in post(provider, "openai", "/images/generations", body).json()["error"]["message"]


def test_batches_of_unknown_files_and_unknown_batches(provider: SimulatedProviders) -> None:
    body = {"input_file_id": "file-9", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    assert "No such File object: file-9" in post(provider, "openai", "/batches", body).text
    assert "Invalid value: '1h'" in post(provider, "openai", "/batches", {**body, "completion_window": "1h"}).text
    assert httpx.get(provider.url("openai") + "/batches/batch_9", headers=KEYS).status_code == 404


def test_a_background_response_is_cancelled(provider: SimulatedProviders) -> None:
    body = {"model": "gpt-4o", "input": "hi"}
    made = post(provider, "openai", "/responses", {**body, "background": True}).json()
    assert post(provider, "openai", f"/responses/{made['id']}/cancel", {}).json()["status"] == "cancelled"
    other = post(provider, "openai", "/responses", body).json()
    refused = post(provider, "openai", f"/responses/{other['id']}/cancel", {})
    assert refused.json()["error"]["message"] == "Cannot cancel a synchronous response."
    assert post(provider, "openai", "/responses/resp_9/cancel", {}).status_code == 404


def test_embeddings_of_tokens(provider: SimulatedProviders) -> None:
    for given in ([1, 2, 3], [[1, 2, 3]]):
        body = {"model": "text-embedding-3-small", "input": given}
        assert len(post(provider, "openai", "/embeddings", body).json()["data"]) == 1


# --- Gemini ----------------------------------------------------------------------------------------------------------

HI = {"contents": [{"parts": [{"text": "hi there"}]}]}


def test_gemini_streams_an_array_unless_it_is_asked_for_sse(provider: SimulatedProviders) -> None:
    path = "/v1beta/models/g:streamGenerateContent"
    array = post(provider, "gemini", path, HI).json()
    events = sse(post(provider, "gemini", path + "?alt=sse", HI).text)
    assert [item["candidates"] for item in array] == [item["candidates"] for item in events]
    provider.script(Reply.error(503, "busy"), Reply.native(events=[]))
    assert post(provider, "gemini", path, HI).json()[0]["error"]["message"] == "busy"
    assert post(provider, "gemini", path, HI).json() == []


def test_gemini_embeds_one_and_many(provider: SimulatedProviders) -> None:
    content = {"parts": [{"text": "a cat"}]}
    one = post(provider, "gemini", "/v1beta/models/e:embedContent", {"content": content, "outputDimensionality": 4})
    request = {"model": "models/e", "content": content, "outputDimensionality": 4}
    many = post(provider, "gemini", "/v1beta/models/e:batchEmbedContents", {"requests": [request, request]}).json()
    assert many["embeddings"] == [one.json()["embedding"]] * 2
    for body, said in (
        ({"requests": []}, "at least one request is required"),
        ({"requests": [{**request, "model": "models/other"}]}, "must match the model of the batch request"),
        ({"requests": [{"model": "models/e", "content": {}}]}, "contents is not specified"),
    ):
        answer = post(provider, "gemini", "/v1beta/models/e:batchEmbedContents", body)
        assert said in answer.json()["error"]["message"]


def test_gemini_models(provider: SimulatedProviders) -> None:
    base = provider.url("gemini") + "/v1beta/models"
    assert httpx.get(base, headers=KEYS).json()["models"][0]["name"] == "models/gemini-2.5-flash"
    assert httpx.get(base + "/gemini-2.5-pro", headers=KEYS).json()["displayName"] == "gemini-2.5-pro"


def test_gemini_answers_without_a_version_too(provider: SimulatedProviders) -> None:
    """For clients whose base URL ends in /v1beta and is replaced by the simulator's."""
    assert post(provider, "gemini", "/models/g:generateContent", HI).status_code == 200


def test_vertex_counts_claudes_tokens(provider: SimulatedProviders) -> None:
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict"
    assert post(provider, "vertex", path, {"model": "claude-fake-4-5", "messages": ASK}).json()["input_tokens"] > 0


def test_azure_speaks_openais_paths_under_its_own(provider: SimulatedProviders) -> None:
    for path, body in (
        ("/openai/v1/chat/completions", {"model": "m", "messages": ASK}),
        ("/openai/v1/embeddings", {"model": "m", "input": "x"}),
        ("/openai/deployments/d/embeddings?api-version=2024-10-21", {"input": "x"}),
        ("/openai/responses?api-version=preview", {"model": "m", "input": "x"}),
    ):
        assert post(provider, "azure", path, body).status_code == 200, path


def test_vertex_wants_a_token(provider: SimulatedProviders) -> None:
    publishers = provider.url("vertex") + "/v1/projects/p/locations/l/publishers"
    for path in ("/google/models/g:generateContent", "/anthropic/models/c:rawPredict"):
        answer = httpx.post(publishers + path, json=HI)
        assert answer.status_code == 401
        assert "missing required authentication credential" in answer.text


# --- Bedrock ---------------------------------------------------------------------------------------------------------


def test_invoke_of_other_models_is_refused_plainly(provider: SimulatedProviders) -> None:
    answer = post(provider, "bedrock", "/model/meta.llama3/invoke", {"prompt": "hi"})
    assert "InvokeModel simulates Claude and embedding models, not meta.llama3" in answer.json()["message"]
    missing = post(provider, "bedrock", "/model/amazon.titan-embed-text-v2%3A0/invoke", {})
    assert "required key [inputText] not found" in missing.json()["message"]
    old = post(provider, "bedrock", "/model/cohere.embed-english-v3/invoke", {"texts": ["x"], "input_type": "image"})
    assert old.json()["response_type"] == "embeddings_floats"


GOOD = (
    "AWS4-HMAC-SHA256 Credential=AKIDFAKE/20260101/us-east-1/bedrock/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)


@pytest.mark.parametrize(
    ("authorization", "date", "said"),
    [
        (GOOD, "20260101T000000Z", "The request signature we calculated does not match"),
        (
            GOOD.replace("AKIDFAKE", "AKIDOTHER"),
            "20260101T000000Z",
            "security token included in the request is invalid",
        ),
        (GOOD.replace("/bedrock/", "/s3/"), "20260101T000000Z", "scoped to correct service: 'bedrock', not 's3'"),
        (GOOD, "20260102T000000Z", "Date in Credential scope does not match"),
        (GOOD.replace("host;", ""), "20260101T000000Z", "'host' must be a 'SignedHeader'"),
        (GOOD.replace("/aws4_request", ""), "20260101T000000Z", "is not KEY/DATE/REGION/SERVICE/aws4_request"),
        ("AWS4-HMAC-SHA256 nonsense", "20260101T000000Z", "Authorization header is not AWS4-HMAC-SHA256"),
    ],
)
def test_what_is_wrong_with_a_signature_is_named(authorization: str, date: str, said: str) -> None:
    headers = Headers([("Host", "x"), ("X-Amz-Date", date), ("Authorization", authorization)])
    request = ReceivedRequest(1, "POST", "/model/m/converse", headers, b"{}")
    assert said in str(problem(request, {"AKIDFAKE": "secret"}))


def test_without_secrets_only_the_form_of_a_signature_is_checked() -> None:
    headers = Headers([("Host", "x"), ("X-Amz-Date", "20260101T000000Z"), ("Authorization", GOOD)])
    assert problem(ReceivedRequest(1, "POST", "/model/m/converse", headers, b"{}"), None) is None


# --- Anthropic's rules that depend on the model ----------------------------------------------------------------------


def claude(provider: SimulatedProviders, model: str, **extra: Any) -> str:
    answer = post(provider, "anthropic", "/v1/messages", {"model": model, "max_tokens": 2000, "messages": ASK, **extra})
    return "" if answer.status_code == 200 else str(answer.json()["error"]["message"])


BUDGET = {"type": "enabled", "budget_tokens": 1024}
TOOLS = [{"name": "f", "input_schema": {"type": "object"}}]
PREFILLED = [*ASK, {"role": "assistant", "content": "I"}]
CORRECTED = [*ASK, {"role": "assistant", "content": "I"}, *ASK, {"role": "system", "content": "Be kind."}]


@pytest.mark.parametrize(
    ("model", "extra", "said"),
    [
        ("claude-fake-4-5", {"messages": PREFILLED}, ""),
        ("claude-fake-4-6", {"messages": PREFILLED}, "does not support assistant message prefill"),
        ("claude-opus-4-6", {"thinking": BUDGET}, ""),
        ("claude-opus-4-7", {"thinking": BUDGET}, '"thinking.type.enabled" is not supported for this model'),
        ("claude-opus-4-7", {"temperature": 0.5}, "`temperature` is deprecated for this model."),
        ("claude-3-5-fake", {"temperature": 0.5, "top_p": 0.5}, ""),
        ("claude-fake-4-5", {"temperature": 0.5, "top_p": 0.5}, "cannot both be specified for this model"),
        ("claude-opus-4-6", {"output_config": {"effort": "xhigh"}}, "does not support effort level 'xhigh'"),
        ("claude-opus-4-7", {"output_config": {"effort": "xhigh"}}, ""),
        ("claude-fake-4-5", {"messages": CORRECTED}, 'Unexpected role "system"'),
        ("claude-fake-4-8", {"messages": CORRECTED}, ""),
        ("claude-fake-4-5", {"thinking": BUDGET, "temperature": 0.5}, "may only be set to 1 when thinking is enabled"),
        ("claude-fake-4-5", {"thinking": BUDGET, "top_k": 5}, "`top_k` must be unset when thinking is enabled."),
        ("claude-fake-4-5", {"thinking": BUDGET, "top_p": 0.5}, "greater than or equal to 0.95"),
        ("claude-fake-4-5", {"tool_choice": {"type": "any"}}, "may only be specified while providing `tools`"),
        ("claude-fake-4-5", {"thinking": BUDGET, "tools": TOOLS, "tool_choice": {"type": "any"}}, "forces tool use."),
        ("claude-fake-4-5", {"messages": []}, "messages: at least one message is required"),
        ("claude-fake-4-5", {"metadata": {"user_id": "x" * 257}}, "String should have at most 256 characters"),
    ],
)
def test_claudes_rules_by_version(provider: SimulatedProviders, model: str, extra: Any, said: str) -> None:
    refused = claude(provider, model, **extra)
    assert said in refused if said else refused == ""


def test_cache_lifetimes_are_ordered(provider: SimulatedProviders) -> None:
    marks = [{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}]
    system = [{"type": "text", "text": "x", "cache_control": mark} for mark in marks]
    assert "ttl='1h' cache_control block must not come after" in claude(provider, "claude-fake-4-5", system=system)
    assert claude(provider, "claude-fake-4-5", system=system[::-1]) == ""


def test_who_may_say_what(provider: SimulatedProviders) -> None:
    use = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    said = claude(provider, "claude-fake-4-5", messages=[{"role": "user", "content": [use]}])
    assert said == "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages"


def test_anthropic_uploads_are_checked(provider: SimulatedProviders) -> None:
    assert "multipart" in post(provider, "anthropic", "/v1/files", {}).json()["error"]["message"]
    url = provider.url("anthropic") + "/v1/files"
    nameless = httpx.post(url, files={"file": (None, b"x")}, headers=KEYS)
    assert nameless.json()["error"]["message"] == "file: Field required"


# --- bodies that stall or break --------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_body_that_stalls_and_goes_on_is_whole(provider: SimulatedProviders, framing: Any) -> None:
    provider.script(Reply.text("x").with_faults(Stall(seconds=0.01)).delivered(framing=framing))
    body = {"model": "gpt-4o", "messages": ASK}
    assert post(provider, "openai", "/chat/completions", body).json()["choices"][0]["message"]["content"] == "x"


def test_a_body_that_stalls_for_good(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("x").with_faults(Stall()))
    body = {"model": "gpt-4o", "messages": ASK}
    patience = httpx.Timeout(60, read=0.2)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(provider.url("openai") + "/chat/completions", json=body, headers=KEYS, timeout=patience)
    assert provider.wait_until(lambda provider: provider.last.outcome == "client left")


def test_a_body_cut_inside_a_character(provider: SimulatedProviders) -> None:
    provider.script(Reply.text("zwölf").with_faults(Cut(inside="character")))
    with pytest.raises(httpx.RemoteProtocolError):
        post(provider, "openai", "/chat/completions", {"model": "gpt-4o", "messages": ASK})


# --- what a wire format cannot say -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "body", "reply", "said"),
    [
        (
            "openai",
            "/chat/completions",
            {"model": "m", "messages": ASK},
            Reply.of(RedactedThinking()),
            "OpenAI chat cannot say RedactedThinking",
        ),
        (
            "gemini",
            "/v1beta/models/g:generateContent",
            HI,
            Reply.of(ToolCall("f", "{broken")),
            "the arguments of tool call 'f' are not JSON",
        ),
        (
            "openai",
            "/responses",
            {"model": "m", "input": "x", "stream": True},
            Reply.text("x").reporting(place=UsagePlace.X_GROQ),
            "OpenAI Responses has no place for usage in x_groq",
        ),
    ],
)
def test_it_is_a_script_error(name: str, path: str, body: Any, reply: Reply, said: str) -> None:
    provider = SimulatedProviders().start()
    provider.script(reply)
    answer = post(provider, name, path, body)
    assert answer.status_code == 500
    assert said in answer.text
    with pytest.raises(Exception, match=r"cannot|not JSON|no place"):
        provider.close()


def test_broken_arguments_can_be_said_where_they_are_text(provider: SimulatedProviders) -> None:
    provider.script(Reply.tool_calls(ToolCall("f", '{"a": ', id="call_mine")))
    answer = post(provider, "openai", "/chat/completions", {"model": "gpt-4o", "messages": ASK}).json()
    call = answer["choices"][0]["message"]["tool_calls"][0]
    assert (call["id"], call["function"]["arguments"]) == ("call_mine", '{"a": ')

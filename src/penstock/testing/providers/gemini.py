"""Gemini: generateContent and streamGenerateContent, on the Gemini API and on Vertex AI; tokens, embeddings, models.

A stream is the same object again and again, each with a piece of the candidate and the usage so far; the finish reason
comes with the last. With `alt=sse` it is server-sent events, without it one growing JSON array. Source: Gemini API
reference, "GenerateContentResponse"; Google's error object (AIP-193).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.testing.providers.framing import JSON_ARRAY, ServerSentEvents
from penstock.testing.providers.gemini_rules import check, validate
from penstock.testing.providers.gemini_shapes import BATCH_EMBED_BODY, COUNT_BODY, EMBED_BODY, VERTEX_COUNT_BODY, plain
from penstock.testing.providers.script import (
    Part,
    ProviderError,
    RedactedThinking,
    Refusal,
    Stop,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
)
from penstock.testing.providers.vectors import vector
from penstock.testing.providers.wire import (
    JSON,
    Ask,
    Body,
    Call,
    Event,
    Family,
    Framing,
    Operation,
    Streaming,
    Turn,
    dumps,
    estimate,
    text_pieces,
)

JSON_TYPE = "application/json; charset=UTF-8"
SSE = ServerSentEvents("text/event-stream")

FINISH: Mapping[Stop, str] = {
    "end": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "stop_sequence": "STOP",
    "refusal": "STOP",
}

# status -> (status word, message)
_STATUS: Mapping[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    408: ("DEADLINE_EXCEEDED", "The request timed out."),
    409: ("ABORTED", "The operation was aborted."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    422: ("INVALID_ARGUMENT", "The request could not be processed."),
    429: (
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    502: ("UNAVAILABLE", "Bad gateway."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    529: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_KIND: Mapping[str, tuple[str, str]] = {
    "context_window": (
        "INVALID_ARGUMENT",
        "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "content_policy": ("INVALID_ARGUMENT", "The request was blocked by the safety filters."),
    "quota": _STATUS[429],
    "unknown_model": ("NOT_FOUND", "The model is not found for API version v1beta."),
    "bad_key": ("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
}

_BAD_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}


# --- the family ------------------------------------------------------------------------------------------------------


def authenticate(call: Call) -> ProviderError | None:
    """An API key in a header or the query; Vertex AI wants a bearer token (or, in express mode, a key)."""
    headers = call.request.headers
    token = headers.get("authorization", "").removeprefix("Bearer ").strip()
    key = headers.get("x-goog-api-key") or call.request.query.get("key", [""])[0] or token
    if key:
        return None if call.world.lets_in(key) else _bad_key(bool(token))
    if "project" in call.params:
        text = "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or "
        return ProviderError(401, text + "other valid authentication credential.", type="UNAUTHENTICATED")
    text = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
    return ProviderError(403, text + "other form of API consumer identity to call this API.", type="PERMISSION_DENIED")


def _bad_key(token: bool) -> ProviderError:
    if token:
        return ProviderError(401, "Request had invalid authentication credentials.", type="UNAUTHENTICATED")
    return ProviderError(400, kind="bad_key", details=(_BAD_KEY,))


def error_object(error: ProviderError) -> JSON:
    """Google's error object."""
    word, message = _KIND[error.kind] if error.kind else _STATUS.get(error.status, _STATUS[500])
    details = list(error.details)
    if error.status == 429 and isinstance(error.retry_after, int | float):
        delay = f"{error.retry_after:g}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    body: JSON = {"code": error.status, "message": error.message or message, "status": error.type or word}
    return {"error": {**body, **({"details": details} if details else {})}}


def error_body(error: ProviderError, call: Call) -> Body:
    """The error as an HTTP answer; a stream that is not SSE wraps it in an array."""
    value: Any = error_object(error)
    if call.request.path.endswith(":streamGenerateContent") and framing(call) is JSON_ARRAY:
        value = [value]
    return Body(dumps(value), JSON_TYPE, error.status)


def error_events(error: ProviderError, call: Call) -> list[Event]:
    """The error in a stream that has begun: the error object as an event."""
    return [Event("", dumps(error_object(error)))]


def unknown_path(call: Call) -> Body:
    """404 for a path that does not exist: a page, not JSON."""
    page = f"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p>{call.request.path} was not found on this server."
    return Body(page.encode(), "text/html; charset=UTF-8", 404)


GOOGLE = Family("google", authenticate, error_body, unknown_path)


def framing(call: Call) -> Framing:
    """Server-sent events when asked for, else one JSON array."""
    return SSE if call.request.query.get("alt") == ["sse"] else JSON_ARRAY


# --- reading ---------------------------------------------------------------------------------------------------------


def asks(call: Call) -> Ask:
    """What a generateContent request asks for."""
    body = plain(call.body)
    config = body.get("generation_config") or {}
    calling = (body.get("tool_config") or {}).get("function_calling_config") or {}
    tools = {
        function.get("name", ""): function.get("parameters") or function.get("parameters_json_schema") or {}
        for tool in body.get("tools") or []
        for function in tool.get("function_declarations") or []
    }
    allowed = calling.get("allowed_function_names") or []
    forced = (allowed[0] if len(allowed) == 1 else "*") if calling.get("mode") == "ANY" else None
    return Ask(
        model=call.param("model"),
        said=_last_text(body.get("contents") or []),
        size=_input_size(body),
        tools=tools,
        must_call=forced,
        schema=config.get("response_schema") or config.get("response_json_schema"),
        wants_json=config.get("response_mime_type") == "application/json",
    )


def _asks_stream(call: Call) -> Ask:
    return replace(asks(call), stream=True)


def _last_text(contents: list[JSON]) -> str:
    for content in reversed(contents):
        if content.get("role", "user") == "user":
            return "".join(part.get("text", "") for part in content.get("parts") or [])
    return ""


def _input_size(body: JSON) -> int:
    return estimate([body.get("system_instruction") or "", body.get("contents") or [], body.get("tools") or []])


# --- answering -------------------------------------------------------------------------------------------------------


def answer(turn: Turn, call: Call) -> Body:
    """The whole response."""
    turn.refuse_parts("Gemini", RedactedThinking)
    parts = [piece for part in turn.parts for piece in _whole(part, call)]
    candidates = [_candidate(parts, FINISH[turn.stop])] if turn.parts or turn.stop == "content_filter" else []
    return Body(dumps(_response(candidates, turn.usage if turn.reports_usage else None, turn, call)), JSON_TYPE)


def _candidate(parts: list[JSON], finish: str | None) -> JSON:
    content = {"content": {"parts": parts, "role": "model"}} if parts or finish != "SAFETY" else {}
    return {**content, **({"finishReason": finish} if finish else {}), "index": 0}


def _response(candidates: list[JSON], usage: Usage | None, turn: Turn, call: Call) -> JSON:
    blocked = {} if candidates else {"promptFeedback": {"blockReason": "OTHER"}}
    return {
        **({"candidates": candidates} if candidates else {}),
        **blocked,
        **({"usageMetadata": usage_object(usage)} if usage else {}),
        "modelVersion": turn.model,
        "responseId": turn.id or f"sim{call.number:016d}",
    }


def usage_object(usage: Usage) -> JSON:
    """usageMetadata: the prompt includes what was cached; candidates leave out what was thought."""
    body: JSON = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input_tokens - usage.audio_input_tokens}],
    }
    if usage.audio_input_tokens:
        body["promptTokensDetails"].append({"modality": "AUDIO", "tokenCount": usage.audio_input_tokens})
    if usage.reasoning_tokens:
        body["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens:
        body["cachedContentTokenCount"] = usage.cached_tokens
        body["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached_tokens}]
    return body


def _whole(part: Part, call: Call) -> list[JSON]:
    """A part as Gemini's parts. A thought's signature stands on a part of its own text, as the service puts it."""
    match part:
        case Thinking():
            return [{"text": part.text, "thought": True, "thoughtSignature": _signature(part, call)}]
        case ToolCall():
            sealed = call.world.sign("gemini", part.name, None)
            identified = {"id": part.id} if part.id else {}
            return [
                {
                    "functionCall": {**identified, "name": part.name, "args": part.arguments_value()},
                    "thoughtSignature": sealed,
                }
            ]
        case Refusal(text):
            return [{"text": text}]
        case _:
            return [{"text": getattr(part, "text", "")}]


def _signature(part: Thinking, call: Call) -> str:
    return call.world.sign("gemini", part.text, part.signature)


# --- streaming -------------------------------------------------------------------------------------------------------


def events(turn: Turn, call: Call) -> list[Event]:
    """The events of the stream: one a piece, all with the usage so far, the last with the finish reason."""
    turn.refuse_parts("Gemini", RedactedThinking)
    turn.refuse_places("Gemini", UsagePlace.EMPTY_CHOICES, UsagePlace.X_GROQ, UsagePlace.TWICE)
    pieces = [piece for part in turn.parts for piece in _pieces(part, call)]
    if not pieces:
        return [Event("", dumps(_response([], turn.usage if turn.reports_usage else None, turn, call)))]
    made = []
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        candidate = _candidate([piece], FINISH[turn.stop] if last else None)
        usage = _usage_at(turn, index, len(pieces))
        made.append(Event("", dumps(_response([candidate], usage, turn, call))))
    return made


def _usage_at(turn: Turn, index: int, total: int) -> Usage | None:
    last = index == total - 1
    match turn.usage_place:
        case UsagePlace.MISSING:
            return None
        case UsagePlace.FIRST_EVENT:
            return turn.usage if index == 0 else None
        case UsagePlace.LAST_EVENT:
            return turn.usage if last else None
        case _:
            if last:
                return turn.usage
            thought = min(turn.usage.reasoning_tokens, turn.usage.output_tokens)
            so_far = thought + (turn.usage.output_tokens - thought) * (index + 1) // total
            return replace(turn.usage, output_tokens=so_far)


def _pieces(part: Part, call: Call) -> list[JSON]:
    match part:
        case Text():
            return [{"text": piece} for piece in text_pieces(part)]
        case Thinking():
            pieces: list[JSON] = [{"text": piece, "thought": True} for piece in text_pieces(part)]
            pieces[-1]["thoughtSignature"] = _signature(part, call)
            return pieces
        case _:
            return _whole(part, call)


def _empty_event(call: Call) -> Event:
    body = {"candidates": [], "modelVersion": call.param("model")}
    return Event("", dumps(body))


# --- the endpoints around --------------------------------------------------------------------------------------------


def _known(call: Call, method: str) -> ProviderError | None:
    name = call.param("model")
    if call.world.knows_model(name):
        return None
    text = f"models/{name} is not found for API version v1beta, or is not supported for {method}."
    return ProviderError(
        404,
        f"{text} Call ListModels to see the list of available models and their supported methods.",
        type="NOT_FOUND",
    )


def _validate_generate(call: Call) -> ProviderError | None:
    return _known(call, "generateContent") or validate(call)


def _validate_count(call: Call) -> ProviderError | None:
    shape = VERTEX_COUNT_BODY if "project" in call.params else COUNT_BODY
    return _known(call, "countTokens") or check(call, shape)


def _count(turn: Turn, call: Call) -> Body:
    body = plain(call.body)
    size = _input_size(body.get("generate_content_request") or body)
    details = [{"modality": "TEXT", "tokenCount": size}]
    return Body(dumps({"totalTokens": size, "promptTokensDetails": details}), JSON_TYPE)


def _validate_embed(call: Call) -> ProviderError | None:
    return _known(call, "embedContent") or check(call, EMBED_BODY) or _embed_content(plain(call.body))


def _validate_batch_embed(call: Call) -> ProviderError | None:
    if error := _known(call, "embedContent") or check(call, BATCH_EMBED_BODY):
        return error
    requests = plain(call.body).get("requests") or []
    if not requests:
        return ProviderError(400, "* BatchEmbedContentsRequest.requests: at least one request is required\n")
    for index, request in enumerate(requests):
        if request.get("model", "").removeprefix("models/") != call.param("model"):
            where = f"* BatchEmbedContentsRequest.requests[{index}].model"
            return ProviderError(400, f"{where}: must match the model of the batch request\n")
        if error := _embed_content(request):
            return error
    return None


def _embed_content(request: JSON) -> ProviderError | None:
    if not (request.get("content") or {}).get("parts"):
        return ProviderError(400, "* EmbedContentRequest.content: contents is not specified\n")
    return None


def _embedding(request: JSON) -> JSON:
    text = _last_text([{**request["content"], "role": "user"}])
    inner = request.get("embed_content_config") or {}
    size = request.get("output_dimensionality") or plain(inner).get("output_dimensionality") or 8
    return {"values": vector(text, size)}


def _embed(turn: Turn, call: Call) -> Body:
    body = plain(call.body)
    tokens = estimate(_last_text([{**body["content"], "role": "user"}]))
    usage = {"usageMetadata": {"promptTokenCount": tokens}} if "project" in call.params else {}
    return Body(dumps({"embedding": _embedding(body), **usage}), JSON_TYPE)


def _batch_embed(turn: Turn, call: Call) -> Body:
    requests = plain(call.body)["requests"]
    return Body(dumps({"embeddings": [_embedding(request) for request in requests]}), JSON_TYPE)


def _asks_embed(call: Call) -> Ask:
    return Ask(model=call.param("model"))


def _nothing_to_check(call: Call) -> ProviderError | None:
    return None


def _model_object(name: str) -> JSON:
    methods = ["generateContent", "countTokens", "embedContent"]
    return {
        "name": f"models/{name}",
        "displayName": name,
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": methods,
    }


def _list_models(turn: Turn, call: Call) -> Body:
    names = sorted(call.world.models or {"gemini-2.5-flash"})
    return Body(dumps({"models": [_model_object(name) for name in names]}), JSON_TYPE)


def _model(turn: Turn, call: Call) -> Body:
    return Body(dumps(_model_object(call.param("model"))), JSON_TYPE)


def _known_for_get(call: Call) -> ProviderError | None:
    return _known(call, "generateContent")


_STREAMING = Streaming(events, error_events, framing, _empty_event)

GENERATE = Operation("gemini", GOOGLE, _validate_generate, answer, asks)
STREAM_GENERATE = Operation("gemini", GOOGLE, _validate_generate, answer, _asks_stream, _STREAMING)
COUNT = Operation("gemini.count_tokens", GOOGLE, _validate_count, _count)
EMBED = Operation("gemini.embed", GOOGLE, _validate_embed, _embed, _asks_embed)
BATCH_EMBED = Operation("gemini.batch_embed", GOOGLE, _validate_batch_embed, _batch_embed, _asks_embed)
MODELS_LIST = Operation("gemini.models.list", GOOGLE, _nothing_to_check, _list_models)
MODELS_GET = Operation("gemini.models.retrieve", GOOGLE, _known_for_get, _model)

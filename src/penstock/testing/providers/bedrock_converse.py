"""Amazon Bedrock: Converse and ConverseStream, CountTokens, and InvokeModel for Claude and for embeddings.

A stream is AWS event stream messages: messageStart, a start (tool calls only), deltas and a stop for each content
block, messageStop, then metadata with the usage. Every event carries padding (`p`) against guessing by length. Source:
Amazon Bedrock API reference, "ConverseStream" and "Common errors".
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from penstock.testing.providers import anthropic_messages
from penstock.testing.providers.anthropic_rules import validate_raw
from penstock.testing.providers.bedrock_rules import COUNT_BODY, check, invalid, known_model, unreadable, validate
from penstock.testing.providers.framing import EVENT_STREAM
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
from penstock.testing.providers.shapes import BOOL, OBJECT, STRING, ListOf, Number, Struct, Violation, nullable, one_of
from penstock.testing.providers.sigv4 import problem
from penstock.testing.providers.vectors import vector
from penstock.testing.providers.wire import (
    JSON,
    SLOT,
    Ask,
    Body,
    Call,
    Event,
    Family,
    Operation,
    Streaming,
    Turn,
    argument_pieces,
    dumps,
    estimate,
    json_body,
    piece_events,
    text_pieces,
)

STOPS: Mapping[Stop, str] = {
    "end": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "stop_sequence": "stop_sequence",
    "refusal": "end_turn",
}

# status -> (exception, message)
_STATUS: Mapping[int, tuple[str, str]] = {
    400: ("ValidationException", "The request is not valid."),
    401: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model from the provided model identifier."),
    408: ("ModelTimeoutException", "The model took too long to process the request."),
    409: ("ConflictException", "The resource was changed by another request."),
    413: ("RequestEntityTooLargeException", "Request is too large."),
    422: ("ValidationException", "The request could not be processed."),
    424: ("ModelErrorException", "The request failed because of an error while processing the model."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: ("InternalServerException", "The system encountered an unexpected error during processing. Try again."),
    502: ("ServiceUnavailableException", "Bad gateway."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
    504: ("ModelTimeoutException", "Gateway timeout."),
    529: ("ServiceUnavailableException", "Bedrock is overloaded."),
}
_KIND: Mapping[str, tuple[str, str]] = {
    "context_window": ("ValidationException", "Input is too long for requested model."),
    "content_policy": ("ValidationException", "Output blocked by content filtering policy"),
    "quota": ("ServiceQuotaExceededException", "Your request exceeds the service quota for your account."),
    "unknown_model": ("ValidationException", "The provided model identifier is invalid."),
    "bad_key": ("UnrecognizedClientException", "The security token included in the request is invalid."),
}
# The errors that ConverseStream can say once it has begun.
_STREAM_EXCEPTIONS: Mapping[int, str] = {
    400: "validationException",
    424: "modelStreamErrorException",
    429: "throttlingException",
    500: "internalServerException",
    503: "serviceUnavailableException",
    529: "serviceUnavailableException",
}


# --- the family ------------------------------------------------------------------------------------------------------


def authenticate(call: Call) -> ProviderError | None:
    """Signature Version 4, or a Bedrock API key as a bearer token."""
    authorization = call.request.headers.get("authorization", "")
    if not authorization:
        return ProviderError(403, "Missing Authentication Token", type="MissingAuthenticationTokenException")
    if authorization.startswith("Bearer "):
        known = call.world.lets_in(authorization.removeprefix("Bearer ").strip())
        return None if known else ProviderError(403, "Authentication failed: API Key is not valid.", type=_DENIED)
    wrong = problem(call.request, call.world.aws_secrets)
    if wrong is None:
        return None
    kind = "UnrecognizedClientException" if "token" in wrong else "InvalidSignatureException"
    return ProviderError(403, wrong, type=kind)


_DENIED = "AccessDeniedException"


def describe(error: ProviderError) -> tuple[str, str]:
    """The exception and message of an error."""
    kind, message = _KIND[error.kind] if error.kind else _STATUS.get(error.status, _STATUS[500])
    return error.type or kind, error.message or message


def error_body(error: ProviderError, call: Call) -> Body:
    """The error as an HTTP answer: the exception's name is in a header."""
    kind, message = describe(error)
    named = f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    return json_body({"message": message}, error.status, (("x-amzn-errortype", named),))


def error_events(error: ProviderError, call: Call) -> list[Event]:
    """The error in a stream that has begun: an exception message."""
    _, message = describe(error)
    name = error.type or _STREAM_EXCEPTIONS.get(error.status, "internalServerException")
    return [Event(name[0].lower() + name[1:], dumps({"message": message}), exception=True)]


def unknown_path(call: Call) -> Body:
    """404 for an operation that does not exist."""
    body = {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}
    return json_body(body, 404, (("x-amzn-errortype", "UnknownOperationException"),))


def response_headers(call: Call) -> tuple[tuple[str, str], ...]:
    """The headers that every answer bears."""
    return (("x-amzn-requestid", f"00000000-0000-4000-8000-{call.number:012d}"),)


AWS = Family("aws", authenticate, error_body, unknown_path, response_headers)


# --- reading ---------------------------------------------------------------------------------------------------------


def asks(call: Call) -> Ask:
    """What a Converse request asks for."""
    body = call.body
    config = body.get("toolConfig") or {}
    choice = config.get("toolChoice") or {}
    structure = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure") or {}
    schema = (structure.get("jsonSchema") or {}).get("schema")
    return Ask(
        model=call.param("model"),
        said=_last_text(body.get("messages") or []),
        size=_input_size(body),
        tools={
            tool["toolSpec"]["name"]: tool["toolSpec"]["inputSchema"].get("json") or {}
            for tool in config.get("tools") or []
            if "toolSpec" in tool
        },
        must_call="*" if "any" in choice else choice["tool"]["name"] if "tool" in choice else None,
        schema=json.loads(schema) if schema else None,
    )


def _asks_stream(call: Call) -> Ask:
    return replace(asks(call), stream=True)


def _last_text(messages: list[JSON]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            return "".join(block.get("text", "") for block in message["content"])
    return ""


def _input_size(body: JSON) -> int:
    return estimate([body.get("system") or [], body.get("messages") or [], body.get("toolConfig") or {}])


# --- answering -------------------------------------------------------------------------------------------------------


def answer(turn: Turn, call: Call) -> Body:
    """The whole response."""
    content = [_block(index, part, call) for index, part in enumerate(turn.parts)]
    body: JSON = {
        "metrics": {"latencyMs": 1},
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": STOPS[turn.stop],
        "usage": usage_object(turn.usage) if turn.reports_usage else None,
    }
    if not turn.reports_usage:
        del body["usage"]
    return json_body(body)


def usage_object(usage: Usage) -> JSON:
    """A usage object. Bedrock's inputTokens leave out what was read from or written to a cache."""
    fresh = usage.input_tokens - usage.cached_tokens - usage.cache_written
    body: JSON = {
        "inputTokens": fresh,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens or usage.cache_written:
        body |= {"cacheReadInputTokens": usage.cached_tokens, "cacheWriteInputTokens": usage.cache_written}
    if usage.cache_written:
        lifetimes = (("5m", usage.cache_written_tokens), ("1h", usage.cache_written_1h_tokens))
        body["cacheDetails"] = [{"ttl": ttl, "inputTokens": count} for ttl, count in lifetimes if count]
    return body


def _tool_use_id(index: int, part: ToolCall, call: Call) -> str:
    return part.id or f"tooluse_sim{call.number:016d}{index:02d}"


def _block(index: int, part: Part, call: Call) -> JSON:
    match part:
        case Thinking():
            text = {"text": part.text, "signature": call.world.sign("bedrock", part.text, part.signature)}
            return {"reasoningContent": {"reasoningText": text}}
        case RedactedThinking():
            return {"reasoningContent": {"redactedContent": _redacted(part, call)}}
        case ToolCall():
            identified = {"toolUseId": _tool_use_id(index, part, call), "name": part.name}
            return {"toolUse": {**identified, "input": part.arguments_value()}}
        case Refusal(text):
            return {"text": text}
        case _:
            return {"text": getattr(part, "text", "")}


def _redacted(part: RedactedThinking, call: Call) -> str:
    return call.world.sign("bedrock", "withheld", part.data)


# --- streaming -------------------------------------------------------------------------------------------------------


def _padded(name: str, body: JSON) -> Event:
    return Event(name, dumps({**body, "p": "abcdefghijk"}))


def events(turn: Turn, call: Call) -> list[Event]:
    """The events of the stream."""
    turn.refuse_places(
        "Bedrock ConverseStream",
        UsagePlace.EVERY_EVENT,
        UsagePlace.FIRST_EVENT,
        UsagePlace.EMPTY_CHOICES,
        UsagePlace.X_GROQ,
        UsagePlace.TWICE,
    )
    made = [_padded("messageStart", {"role": "assistant"})]
    for index, part in enumerate(turn.parts):
        made += _block_events(index, part, call)
    made.append(_padded("messageStop", {"stopReason": STOPS[turn.stop]}))
    if turn.reports_usage:
        made.append(_padded("metadata", {"usage": usage_object(turn.usage), "metrics": {"latencyMs": 1}}))
    return made


def _block_events(index: int, part: Part, call: Call) -> Iterator[Event]:
    if isinstance(part, ToolCall):
        start = {"toolUse": {"toolUseId": _tool_use_id(index, part, call), "name": part.name}}
        yield _padded("contentBlockStart", {"contentBlockIndex": index, "start": start})
    yield from _deltas(index, part, call)
    yield _padded("contentBlockStop", {"contentBlockIndex": index})


def _deltas(index: int, part: Part, call: Call) -> list[Event]:
    def template(delta: JSON) -> JSON:
        return {"contentBlockIndex": index, "delta": delta, "p": "abcdefghijk"}

    name = "contentBlockDelta"
    match part:
        case Thinking():
            signature = call.world.sign("bedrock", part.text, part.signature)
            spoken = piece_events(name, template({"reasoningContent": {"text": SLOT}}), text_pieces(part))
            return spoken + piece_events(name, template({"reasoningContent": {"signature": SLOT}}), [signature])
        case RedactedThinking():
            delta = {"reasoningContent": {"redactedContent": SLOT}}
            return piece_events(name, template(delta), [_redacted(part, call)])
        case ToolCall():
            return piece_events(name, template({"toolUse": {"input": SLOT}}), argument_pieces(part))
        case Refusal(text):
            return piece_events(name, template({"text": SLOT}), text_pieces(Text(text)))
        case Text():
            return piece_events(name, template({"text": SLOT}), text_pieces(part))
        case _:
            return []


def _name_event(payload: bytes) -> Event:
    """An event written by hand: {"messageStart": {...}}."""
    value = json.loads(payload)
    name, body = next(iter(value.items()))
    return Event(name, dumps(body), exception=name.endswith("Exception"))


def _empty_event(call: Call) -> Event:
    return Event("contentBlockDelta", dumps({"contentBlockIndex": 0, "delta": {"text": ""}}))


# --- counting tokens -------------------------------------------------------------------------------------------------


def _validate_count(call: Call) -> ProviderError | None:
    return check(call, COUNT_BODY) or known_model(call)


def _count(turn: Turn, call: Call) -> Body:
    wanted = call.body["input"]
    if "converse" in wanted:
        return json_body({"inputTokens": _input_size(wanted["converse"])})
    body = json.loads(base64.b64decode(wanted["invokeModel"]["body"]))
    return json_body({"inputTokens": estimate([body.get("system") or "", body.get("messages") or []])})


# --- InvokeModel: Claude in Anthropic's format, and embeddings -------------------------------------------------------


def _validate_invoke(call: Call) -> ProviderError | None:
    """Each model family has a body of its own; the model's name says which."""
    if error := unreadable(call) or known_model(call):
        return error
    if "claude" in call.param("model"):
        error = validate_raw(call)
        return invalid(error.message or "") if error else None
    shape = _embedder(call)
    if shape is None:
        text = f"penstock.testing: InvokeModel simulates Claude and embedding models, not {call.param('model')}"
        return invalid(text)
    violation = shape.check(call.body)
    return _malformed(violation) if violation else None


def _malformed(violation: Violation) -> ProviderError:
    """How the models behind InvokeModel name what is wrong with a body: by JSON pointer."""
    where, name = "/".join(map(str, violation.path[:-1])), violation.path[-1] if violation.path else ""
    said = {
        "missing": f"#/{where}: required key [{name}] not found",
        "unknown": f"#/{where}: extraneous key [{name}] is not permitted",
    }.get(violation.kind, f"#/{'/'.join(map(str, violation.path))}: expected {violation.expected}")
    text = f"Malformed input request: {said.replace('#/:', '#:')}, please reformat your input and try again."
    return invalid(text)


_TITAN_TYPES = ListOf(one_of("float", "binary"))
_SIZE = nullable(Number(1, 4096, integer=True))
_EMBEDDERS: Mapping[str, Struct] = {
    "titan-embed-text-v1": Struct({"inputText": STRING}, required=("inputText",)),
    "titan-embed-image": Struct(
        {"inputText": STRING, "inputImage": STRING, "embeddingConfig": OBJECT}, required=("inputText",)
    ),
    "titan-embed": Struct(
        {"inputText": STRING, "dimensions": _SIZE, "normalize": BOOL, "embeddingTypes": _TITAN_TYPES},
        required=("inputText",),
    ),
    "cohere.embed": Struct(
        {
            "texts": ListOf(STRING),
            "images": ListOf(STRING),
            "inputs": ListOf(OBJECT),
            "input_type": STRING,
            "truncate": STRING,
            "embedding_types": ListOf(STRING),
            "output_dimension": _SIZE,
            "max_tokens": _SIZE,
        },
        required=("input_type",),
    ),
    "nova": Struct(
        {
            "taskType": STRING,
            "schemaVersion": STRING,
            "singleEmbeddingParams": Struct(
                {"embeddingDimension": _SIZE, "text": Struct({"value": STRING}, open=True)}, open=True
            ),
        },
        required=("taskType", "singleEmbeddingParams"),
    ),
}


def _embedder(call: Call) -> Struct | None:
    """The shape of the body that the model takes; the model's name says which."""
    name = call.param("model")
    return next((shape for key, shape in _EMBEDDERS.items() if key in name), None)


def _invoke(turn: Turn, call: Call) -> Body:
    name, body = call.param("model"), call.body
    if "claude" in name:
        return anthropic_messages.answer(turn, call)
    if "titan" in name:
        values = vector(body["inputText"], body.get("dimensions") or 8)
        answer: JSON = {"embedding": values, "inputTextTokenCount": estimate(body["inputText"])}
        if "v1" not in name:
            answer["embeddingsByType"] = {"float": values}
        return json_body(answer, headers=_token_count(body["inputText"]))
    if "cohere" in name:
        return _cohere_embedding(body, "v4" in name)
    text = (body["singleEmbeddingParams"].get("text") or {}).get("value", "")
    size = body["singleEmbeddingParams"].get("embeddingDimension") or 8
    return json_body(
        {"embeddings": [{"embeddingType": "TEXT", "embedding": vector(text, size)}]}, headers=_token_count(text)
    )


def _cohere_embedding(body: JSON, by_type: bool) -> Body:
    texts = body.get("texts") or []
    values: Any = [vector(text, body.get("output_dimension") or 8) for text in texts]
    kind = "embeddings_floats"
    if by_type or "embedding_types" in body:
        values, kind = {"float": values}, "embeddings_by_type"
    answer = {"id": "sim", "response_type": kind, "embeddings": values, "texts": texts}
    return json_body(answer, headers=_token_count(" ".join(texts)))


def _token_count(text: str) -> tuple[tuple[str, str], ...]:
    return (("x-amzn-bedrock-input-token-count", str(estimate(text))),)


def _asks_invoke(call: Call) -> Ask:
    return anthropic_messages.asks(call) if "claude" in call.param("model") else Ask(model=call.param("model"))


def _asks_invoke_stream(call: Call) -> Ask:
    return replace(_asks_invoke(call), stream=True)


def _chunks(turn: Turn, call: Call) -> list[Event]:
    """Claude's own events, each as the base64 of a chunk."""
    return [_chunk(event.payload) for event in anthropic_messages.events(turn, call)]


def _chunk(payload: bytes) -> Event:
    return Event("chunk", dumps({"bytes": base64.b64encode(payload).decode(), "p": "abcdefghijk"}))


_STREAMING = Streaming(events, error_events, lambda call: EVENT_STREAM, _empty_event, _name_event)

CONVERSE = Operation("bedrock_converse", AWS, validate, answer, asks)
CONVERSE_STREAM = Operation("bedrock_converse", AWS, validate, answer, _asks_stream, _STREAMING)
COUNT = Operation("bedrock_converse.count_tokens", AWS, _validate_count, _count)
INVOKE = Operation("bedrock_invoke", AWS, _validate_invoke, _invoke, _asks_invoke)
_CHUNKED = Streaming(_chunks, error_events, lambda call: EVENT_STREAM, lambda call: _chunk(b"{}"), _chunk)
INVOKE_STREAM = Operation("bedrock_invoke", AWS, _validate_invoke, _invoke, _asks_invoke_stream, _CHUNKED)

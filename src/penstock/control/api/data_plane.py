"""The data plane's paths in the OpenAPI document: what is told of the main surfaces, as items of the document.

They say what the gateway itself holds to: who is asked by which member, what is required, which errors come in which
shape. What a model takes and gives besides is its provider's to say, and goes through: nothing more is forbidden here.
The shapes of errors are those of the three dialects (OpenAI's, Anthropic's, Google's API references).
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {"message": _TEXT, "type": {"type": ["string", "null"]}},
        }
    },
}
_ANTHROPIC_ERROR: Schema = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": _TEXT, "message": _TEXT},
        },
    },
}
_GOOGLE_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "properties": {"code": {"type": "integer"}, "message": _TEXT, "status": _TEXT},
        }
    },
}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


_MODEL: Schema = {**_TEXT, "minLength": 1, "description": "a model group, or a deployment's id"}
_MESSAGES: Schema = {"type": "array", "minItems": 1, "items": _object("role", role=_TEXT)}
_STREAM: Schema = {"type": "boolean"}
_INPUT: Schema = {"anyOf": [_TEXT, {"type": "array", "minItems": 1}]}
_LIST = _object("data", data={"type": "array"})


def _item(
    summary: str,
    body: Schema,
    answer: Schema,
    error: Schema = _ERROR,
    *,
    streams: bool = False,
    parameters: tuple[Schema, ...] = (),
) -> Schema:
    """A path that takes POST."""
    content: Schema = {"application/json": {"schema": answer}}
    if streams:
        content["text/event-stream"] = {"schema": _TEXT}
    return {
        "post": {
            "summary": summary,
            "tags": ["models"],
            "security": [{"key": []}],
            **({"parameters": list(parameters)} if parameters else {}),
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": {"description": "The answer.", "content": content}, **_errors(error)},
        }
    }


def _errors(schema: Schema) -> Schema:
    content = {"application/json": {"schema": schema}}
    return {
        "4XX": {"description": "Something is wrong with the request, or it may not be made.", "content": content},
        "5XX": {"description": "The gateway or the provider cannot answer it now.", "content": content},
    }


def _gemini(summary: str, verb: str, answer: Schema, *, streams: bool = False) -> tuple[str, Schema]:
    """A path of a model. Without `alt=sse` a stream is one JSON array, and so is an error in its place."""
    parameter = {"name": "model", "in": "path", "required": True, "schema": {**_MODEL, "pattern": "^[A-Za-z0-9._-]+$"}}
    body = _object("contents", contents={"type": "array", "minItems": 1, "items": {"type": "object"}})
    error = {"anyOf": [_GOOGLE_ERROR, {"type": "array", "items": _GOOGLE_ERROR}]} if streams else _GOOGLE_ERROR
    item = _item(summary, body, answer, error, streams=streams, parameters=(parameter,))
    return f"/v1beta/models/{{model}}:{verb}", item


def data_plane_paths() -> dict[str, Any]:
    """The paths of the data plane, as items of the document."""
    chat = _object("model", "messages", model=_MODEL, messages=_MESSAGES, stream=_STREAM)
    return {
        "/v1/chat/completions": _item(
            "Answer a chat (OpenAI's Chat Completions).", chat, _object("choices", choices={"type": "array"}),
            streams=True,
        ),
        "/v1/responses": _item(
            "Answer a chat (OpenAI's Responses).", _object("model", model=_MODEL, input=_INPUT, stream=_STREAM),
            _object("output", output={"type": "array"}), streams=True,
        ),
        "/v1/messages": _item(
            "Answer a chat (Anthropic's Messages).",
            _object("model", "messages", "max_tokens", model=_MODEL, messages=_MESSAGES,
                    max_tokens={"type": "integer", "minimum": 1}, stream=_STREAM),
            _object("content", content={"type": "array"}), _ANTHROPIC_ERROR, streams=True,
        ),
        "/v1/messages/count_tokens": _item(
            "Count what goes in (Anthropic's Messages).",
            _object("model", "messages", model=_MODEL, messages=_MESSAGES),
            _object("input_tokens", input_tokens={"type": "integer"}), _ANTHROPIC_ERROR,
        ),
        **dict((
            _gemini("Answer a chat (Gemini).", "generateContent", {"type": "object"}),
            _gemini("Answer a chat as a stream (Gemini).", "streamGenerateContent", {}, streams=True),
            _gemini("Count what goes in (Gemini).", "countTokens", {"type": "object"}),
        )),
        "/v1/completions": _item(
            "Complete a text.", _object("model", "prompt", model=_MODEL, prompt=_INPUT, stream=_STREAM),
            _object("choices", choices={"type": "array"}), streams=True,
        ),
        "/v1/embeddings": _item(
            "Embed texts.", _object("model", "input", model=_MODEL, input=_INPUT), _LIST
        ),
        "/v1/rerank": _item(
            "Order documents by a query (Cohere's words).",
            _object("model", "query", "documents", model=_MODEL, query=_TEXT,
                    documents={"type": "array", "minItems": 1}),
            _object("results", results={"type": "array"}),
        ),
        "/v1/moderations": _item(
            "Tell whether texts are harmful.", _object("input", model=_MODEL, input=_INPUT),
            _object("results", results={"type": "array"}),
        ),
        "/v1/images/generations": _item(
            "Make images.", _object("prompt", model=_MODEL, prompt=_TEXT), _LIST
        ),
        "/v1/models": {
            "get": {
                "summary": "The models that the key may ask for.",
                "tags": ["models"],
                "security": [{"key": []}],
                "responses": {
                    "200": {"description": "The list.", "content": {"application/json": {"schema": _LIST}}},
                    **_errors({"anyOf": [_ERROR, _ANTHROPIC_ERROR]}),
                },
            }
        },
    }  # fmt: skip

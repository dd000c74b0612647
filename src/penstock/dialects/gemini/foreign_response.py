"""Other dialects' answers in the terms of a Gemini candidate.

Signatures of any origin travel in `thoughtSignature`, in an envelope that says whose they are (signatures.py), so that
the client's next request brings them back. Citations become groundingMetadata.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.documents import note_source_span
from penstock.dialects.gemini.foreign_parts import code_result
from penstock.dialects.gemini.grounding import write_grounding
from penstock.dialects.gemini.logprobs import KEY as LOGPROBS
from penstock.dialects.gemini.logprobs import write_logprobs
from penstock.dialects.gemini.media import guess_type
from penstock.dialects.gemini.parts import TOOL_TYPE_OF
from penstock.dialects.gemini.signatures import write_signature
from penstock.dialects.gemini.usage import COUNTS, DETAILS, write_foreign_tier, write_foreign_usage
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.token_logprobs import without_extras
from penstock.dialects.tool_memo import as_object
from penstock.types.content import (
    Base64,
    FileId,
    Json,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    Thinking,
    ToolCall,
    Url,
)
from penstock.types.notes import Note, Rendered
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage

WirePart = dict[str, Any]

FINISH_REASONS: dict[StopReason, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "error": "OTHER",
}
_TOLD = frozenset({"refusal", "pause", "error"})
"""Reasons that Gemini has no word for: `finishMessage` says them."""

_SAYABLE = frozenset(
    {*COUNTS.values(), *(name for table in DETAILS.values() for name in table.values()), "service_tier"}
)


def write_foreign_response(response: Response, context: Context) -> Rendered[dict[str, Any]]:
    """The answer object, and what it could not say."""
    notes: list[Note] = []
    notes += findings("", response.extras)
    found: dict[str, Any] = {"candidates": [_write_choice(choice, notes) for choice in response.choices]}
    usage = response.usage
    if usage is not None:
        notes += note_usage(usage)
        found["usageMetadata"] = write_foreign_usage(usage)
    tier = write_foreign_tier(usage, response.service_tier, notes)
    if tier:
        found.setdefault("usageMetadata", {}).update(tier)
    found["modelVersion"] = context.model or response.model or ""
    found["responseId"] = response.id or context.id
    return Rendered(found, tuple(notes))


def note_usage(usage: Usage) -> list[Note]:
    """A note for every count that has no place in usageMetadata."""
    notes: list[Note] = []
    notes += findings("usage", usage.extras)
    for name in usage.__struct_fields__:
        if name not in _SAYABLE and name not in ("extras", "spelling") and getattr(usage, name):
            notes.append(Note(f"usage.{name}", "dropped", "Gemini does not report it"))
    return notes


def _write_choice(choice: Choice, notes: list[Note]) -> dict[str, Any]:
    path = f"choices[{choice.index}]"
    notes += findings(path, choice.extras)
    writer = AnswerWriter(notes)
    for number, part in enumerate(choice.parts):
        writer.add(part, f"{path}.parts[{number}]")
    content: dict[str, Any] = {"parts": writer.parts} if writer.parts else {}
    found: dict[str, Any] = {"content": {**content, "role": "model"}, **finish(choice.stop_reason, choice.stop_native)}
    found["index"] = choice.index
    if choice.stop_sequence is not None:
        notes.append(Note(f"{path}.stop_sequence", "dropped", "Gemini does not say which sequence it met"))
    if writer.logprobs:
        found[LOGPROBS] = write_logprobs(without_extras(tuple(writer.logprobs)))
    grounding = write_grounding(writer.texts)
    if grounding is not None:
        found["groundingMetadata"] = grounding
    return found


def finish(reason: StopReason | None, native: str | None) -> dict[str, Any]:
    """`finishReason`, and what it cannot say as `finishMessage`."""
    found = {"finishReason": FINISH_REASONS[reason or "stop"]}
    if reason in _TOLD:
        found["finishMessage"] = f"{reason}: {native}" if native and native != reason else str(reason)
    return found


class AnswerWriter:
    """The wire parts of one choice; beside them, what the candidate says about its texts."""

    def __init__(self, notes: list[Note]) -> None:
        self.parts: list[WirePart] = []
        self.texts: dict[int, Text] = {}
        self.logprobs: list[Any] = []
        self._notes = notes

    def add(self, part: Part, path: str) -> None:
        """Add the wire form of one part."""
        write = ANSWER_WRITERS.get(type(part))
        found = write(part) if write is not None else None
        if found is None:
            detail = f"a Gemini answer has no place for {type(part).__name__}"
            self._notes.append(Note(path, "dropped", detail))
            return
        if isinstance(part, Text):
            self.texts[len(self.parts)] = part
            for number, citation in enumerate(part.citations or ()):
                note_source_span(citation, f"{path}.citations[{number}]", self._notes)
        if isinstance(part, Text | Refusal):
            self.logprobs += part.logprobs or ()
        if type(part) is ToolCall:
            self._notes += note_arguments(part, part.arguments, path)
        self._notes += leftovers(path, part.extras)
        self.parts += found


def _sign(found: WirePart, part: Any) -> WirePart:
    if part.signature is not None:
        redacted = getattr(part, "redacted", False)
        found["thoughtSignature"] = write_signature(part.signature, redacted, part.id)
    return found


def _text(part: Text) -> list[WirePart]:
    return [_sign({"text": part.text}, part)]


def _thinking(part: Thinking) -> list[WirePart]:
    text = part.text or "\n\n".join(part.summary or ())
    return [_sign({"text": text, "thought": True}, part)] if text or part.signature is not None else []


def _refusal(part: Refusal) -> list[WirePart]:
    return [{"text": part.text}]


def _json(part: Json) -> list[WirePart]:
    return [{"text": wire.encode(part.value).decode()}]


def _media(part: Media) -> list[WirePart] | None:
    media_type = part.media_type or (guess_type(part.source) if part.source is not None else None)
    mime = {} if media_type is None else {"mimeType": media_type}
    if isinstance(part.source, Base64):
        found: WirePart = {"inlineData": {**mime, "data": part.source.data}}
    elif isinstance(part.source, Url | FileId):
        uri = part.source.url if isinstance(part.source, Url) else part.source.id
        found = {"fileData": {**mime, "fileUri": uri}}
    else:
        return [{"text": part.transcript}] if part.transcript else None
    if part.transcript is not None:
        found["audioTranscription"] = {"text": part.transcript}
    return [_sign(found, part)]


def _tool_call(part: ToolCall) -> list[WirePart]:
    return [_sign({"functionCall": function_call(part, part.arguments)}, part)]


def function_call(part: ToolCall, arguments: dict[str, Any] | str) -> dict[str, Any]:
    """A functionCall with these arguments. A free-form tool's input, and text that is no JSON object (of a call that
    was cut), is the one string `input`.
    """
    args = {"input": arguments} if _is_free_form(part, arguments) else as_object(arguments)[0]
    found: dict[str, Any] = {"name": part.name, "args": args}
    if part.call_id is not None:
        found["id"] = part.call_id
    return found


def _is_free_form(part: ToolCall, arguments: dict[str, Any] | str) -> bool:
    return part.custom and isinstance(arguments, str)


def note_arguments(part: ToolCall, arguments: dict[str, Any] | str, path: str) -> list[Note]:
    """A note for arguments that Gemini, which carries nothing but objects, cannot say."""
    if _is_free_form(part, arguments) or as_object(arguments)[1]:
        return []
    return [Note(f"{path}.arguments", "changed", "arguments that are no JSON object became the one string `input`")]


def _server_call(part: ServerToolCall) -> list[WirePart] | None:
    arguments = as_object(part.arguments or "")[0]
    named = {} if part.call_id is None else {"id": part.call_id}
    if part.name == "code_execution" and isinstance(arguments.get("code"), str):
        code = {"language": "PYTHON", "code": arguments["code"], **named}
        return [_sign({"executableCode": code}, part)]
    if part.name not in TOOL_TYPE_OF:
        return None
    call = {"toolType": TOOL_TYPE_OF[part.name], "args": arguments, **named}
    return [_sign({"toolCall": call}, part)]


def _server_result(part: ServerToolResult) -> list[WirePart] | None:
    named = {} if part.call_id is None else {"id": part.call_id}
    if part.name == "code_execution":
        return [{"codeExecutionResult": {**code_result(part.content), **named}}]
    if part.name not in TOOL_TYPE_OF:
        return None
    content = part.content if isinstance(part.content, dict) else {"result": part.content}
    return [{"toolResponse": {"toolType": TOOL_TYPE_OF[part.name], "response": content, **named}}]


ANSWER_WRITERS: dict[type, Callable[[Any], list[WirePart] | None]] = {
    Text: _text,
    Thinking: _thinking,
    Refusal: _refusal,
    Json: _json,
    Media: _media,
    ToolCall: _tool_call,
    ServerToolCall: _server_call,
    ServerToolResult: _server_result,
}
"""Kind of part -> its wire parts, or None where there is no place for it."""

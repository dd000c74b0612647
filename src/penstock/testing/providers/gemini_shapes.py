"""The messages of Gemini's generateContent, as shapes, and how their JSON is read.

The service reads JSON into protocol buffers, so every name may be written in camelCase or snake_case, a lone message
may stand for a list of one, and a name that the message does not have is refused. Source: Gemini API reference,
"Generating content"; Vertex AI reference, "GenerateContent".
"""

import re
from typing import Any

from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    INT,
    NUMBER,
    OBJECT,
    STRING,
    STRINGS,
    ListOf,
    MapOf,
    Number,
    Path,
    Shape,
    String,
    Struct,
    Violation,
    either,
    nullable,
    one_of,
)


def snake(name: str) -> str:
    """systemInstruction -> system_instruction"""
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: "_" + match[0].lower(), name)


def plain(value: Any) -> Any:
    """The value with every name in snake_case and a lone message in place of a list as a list of one; free-form
    objects (arguments, responses, schemas) are left as they are."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for name, item in value.items():
        key = snake(name)
        made[key] = item if key in _FREE else plain([item] if key in _REPEATED and isinstance(item, dict) else item)
    return made


_REPEATED = frozenset({"contents", "parts", "tools", "function_declarations", "safety_settings", "requests"})


_FREE = frozenset(
    {"args", "response", "parameters", "parameters_json_schema", "response_schema", "response_json_schema"}
)


def _repeated(item: Shape) -> Shape:
    """A list of messages; the service also reads a lone message."""
    return either(ListOf(item), item)


def _message(fields: dict[str, Shape]) -> Struct:
    return Struct(fields, canonical=snake)


class _Lazy(Shape):
    """A shape that contains itself."""

    json_types = ("object",)

    def check(self, value: Any, path: Path = ()) -> Violation | None:
        return SCHEMA.check(value, path)


_INTEGER = either(INT, String(pattern=r"-?\d+"))  # int64 is written as a string
_BLOB = _message({"mime_type": STRING, "data": STRING, "display_name": STRING})
_FILE = _message({"mime_type": STRING, "file_uri": STRING, "display_name": STRING})
CALL = _message(
    {"id": STRING, "name": STRING, "args": nullable(OBJECT), "partial_args": ListOf(OBJECT), "will_continue": BOOL}
)
RESPONSE = _message(
    {
        "id": STRING,
        "name": STRING,
        "response": OBJECT,
        "parts": ListOf(OBJECT),
        "will_continue": BOOL,
        "scheduling": STRING,
    }
)
DATA = (
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
)
PART = _message(
    {
        "text": STRING,
        "inline_data": _BLOB,
        "file_data": _FILE,
        "function_call": CALL,
        "function_response": RESPONSE,
        "executable_code": _message({"id": STRING, "language": STRING, "code": STRING}),
        "code_execution_result": _message({"id": STRING, "outcome": STRING, "output": STRING}),
        "tool_call": OBJECT,
        "tool_response": OBJECT,
        "thought": BOOL,
        "thought_signature": String(pattern=r"[A-Za-z0-9+/_\-]*={0,2}"),
        "video_metadata": OBJECT,
        "media_resolution": either(STRING, OBJECT),
        "part_metadata": OBJECT,
        "audio_metadata": OBJECT,
        "audio_transcription": either(STRING, OBJECT),
        "document_metadata": OBJECT,
        "media_processing": either(STRING, OBJECT),
        "speech_metadata": OBJECT,
        "spreadsheet_metadata": OBJECT,
    }
)
CONTENT = _message({"role": STRING, "parts": _repeated(PART)})

# Schema is a select subset of OpenAPI 3.0: no $ref, const, oneOf or additionalProperties.
SCHEMA = _message(
    {
        "type": either(STRING, STRINGS),
        "format": STRING,
        "title": STRING,
        "description": STRING,
        "nullable": BOOL,
        "enum": STRINGS,
        "max_items": _INTEGER,
        "min_items": _INTEGER,
        "properties": MapOf(_Lazy()),
        "required": STRINGS,
        "min_properties": _INTEGER,
        "max_properties": _INTEGER,
        "min_length": _INTEGER,
        "max_length": _INTEGER,
        "pattern": STRING,
        "example": ANY,
        "any_of": ListOf(_Lazy()),
        "property_ordering": STRINGS,
        "default": ANY,
        "items": _Lazy(),
        "minimum": NUMBER,
        "maximum": NUMBER,
    }
)
FUNCTION = _message(
    {
        "name": STRING,
        "description": STRING,
        "parameters": SCHEMA,
        "parameters_json_schema": OBJECT,
        "response": SCHEMA,
        "response_json_schema": OBJECT,
        "behavior": STRING,
    }
)
_TOOL = _message(
    {
        "function_declarations": _repeated(FUNCTION),
        "google_search": OBJECT,
        "google_search_retrieval": OBJECT,
        "code_execution": OBJECT,
        "url_context": OBJECT,
        "computer_use": OBJECT,
        "file_search": OBJECT,
        "google_maps": OBJECT,
        "mcp_servers": ListOf(OBJECT),
    }
)
VERTEX_TOOL = _message(
    {
        **_TOOL.fields,
        "retrieval": OBJECT,
        "enterprise_web_search": OBJECT,
        "parallel_ai_search": OBJECT,
        "exa_ai_search": OBJECT,
    }
)
TOOL_CONFIG = _message(
    {
        "function_calling_config": _message(
            {
                "mode": one_of("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
                "allowed_function_names": STRINGS,
                "stream_function_call_arguments": BOOL,
            }
        ),
        "retrieval_config": OBJECT,
        "include_server_side_tool_invocations": BOOL,
    }
)
_MODALITY = one_of("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO")
_THINKING = _message(
    {
        "include_thoughts": BOOL,
        "thinking_budget": INT,
        "thinking_level": one_of(
            "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium", "high"
        ),
    }
)
_CONFIG_FIELDS: dict[str, Shape] = {
    "stop_sequences": ListOf(STRING, longest=5),
    "response_mime_type": STRING,
    "response_schema": SCHEMA,
    "response_json_schema": ANY,
    "response_modalities": ListOf(_MODALITY),
    "candidate_count": Number(1, 8, integer=True),
    "max_output_tokens": INT,
    "temperature": Number(0, 2),
    "top_p": NUMBER,
    "top_k": NUMBER,
    "seed": INT,
    "presence_penalty": NUMBER,
    "frequency_penalty": NUMBER,
    "response_logprobs": BOOL,
    "logprobs": INT,
    "enable_enhanced_civic_answers": BOOL,
    "speech_config": OBJECT,
    "thinking_config": _THINKING,
    "image_config": OBJECT,
    "media_resolution": STRING,
    "response_format": OBJECT,
    "translation_config": OBJECT,
    "audio_transcription_config": OBJECT,
}
_CONFIG = _message(_CONFIG_FIELDS)
VERTEX_CONFIG = _message(
    {
        **_CONFIG_FIELDS,
        "audio_timestamp": BOOL,
        "routing_config": OBJECT,
        "model_selection_config": OBJECT,
        "enable_affective_dialog": BOOL,
    }
)
_SAFETY = _message({"category": STRING, "threshold": STRING, "method": STRING})

_BODY_FIELDS: dict[str, Shape] = {
    "model": STRING,
    "contents": _repeated(CONTENT),
    "tools": _repeated(_TOOL),
    "tool_config": TOOL_CONFIG,
    "safety_settings": _repeated(_SAFETY),
    "system_instruction": CONTENT,
    "generation_config": _CONFIG,
    "cached_content": STRING,
    "service_tier": STRING,
    "store": BOOL,
}
BODY = _message(_BODY_FIELDS)
VERTEX_BODY = _message(
    {
        **_BODY_FIELDS,
        "tools": _repeated(VERTEX_TOOL),
        "generation_config": VERTEX_CONFIG,
        "labels": MapOf(STRING),
        "model_armor_config": OBJECT,
    }
)
COUNT_BODY = _message({"contents": _repeated(CONTENT), "generate_content_request": BODY, "model": STRING})
VERTEX_COUNT_BODY = _message(
    {
        "contents": _repeated(CONTENT),
        "system_instruction": CONTENT,
        "tools": _repeated(VERTEX_TOOL),
        "generation_config": VERTEX_CONFIG,
        "model": STRING,
        "instances": ListOf(ANY),
    }
)
_SIZE = Number(1, 4096, integer=True)
_EMBED_CONFIG = _message(
    {
        "task_type": STRING,
        "title": STRING,
        "output_dimensionality": _SIZE,
        "mime_type": STRING,
        "auto_truncate": BOOL,
        "document_ocr": BOOL,
        "audio_track_extraction": BOOL,
    }
)
_EMBED_FIELDS: dict[str, Shape] = {
    "model": STRING,
    "content": CONTENT,
    "task_type": STRING,
    "title": STRING,
    "output_dimensionality": _SIZE,
    "embed_content_config": _EMBED_CONFIG,
    "auto_truncate": BOOL,
}
EMBED_BODY = _message(_EMBED_FIELDS)
BATCH_EMBED_BODY = _message({"requests": _repeated(EMBED_BODY)})

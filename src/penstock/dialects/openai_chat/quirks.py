"""Quirks of compatible hosts, applied to the finished request body. Each is a field of the Profile, with one function
here.

With the default profile (OpenAI-compatible in everything) nothing happens, at the price of one comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import reasoning as effort_table
from penstock.dialects.json_answer import json_instruction
from penstock.dialects.json_schema import without_refused
from penstock.dialects.openai_chat.reasoning import SWITCHES, note_narrowing, write_reasoning
from penstock.dialects.quirk_table import QuirkTable
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Request

_EXTENSIONS = (
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
    "reasoning_details",
    "provider_specific_fields",
    "cache_control",
    "annotations",
    "images",
)
Body = dict[str, Any]


def apply_quirks(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """Change `body` (which is ours) to what the host takes; note each loss."""
    for quirk in _QUIRKS.of(profile):
        quirk(body, request, profile, notes)


def _max_tokens_field(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    if request.max_tokens is not None and profile.max_tokens_field is not None:
        body.pop((request.spelling or {}).get("max_tokens", "max_tokens"), None)
        body[profile.max_tokens_field] = request.max_tokens


def _unsupported(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    spelling = request.spelling or {}
    for name in sorted(profile.unsupported):
        if body.pop(spelling.get(name, name), None) is not None:
            notes.append(Note(name, "dropped", "this host or model does not take it"))


def _unsupported_while_reasoning(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    if request.reasoning is None or not effort_table.budget(request.reasoning):
        return
    for name in sorted(profile.unsupported_while_reasoning):
        if body.pop((request.spelling or {}).get(name, name), None) is not None:
            notes.append(Note(name, "dropped", "this model does not take it while it reasons"))


def _renames(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for name, host_name in profile.renames.items():
        if name in body:
            body[host_name] = body.pop(name)


def _system_role(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for message in body["messages"]:
        if message["role"] in ("system", "developer"):
            message["role"] = profile.system_role


def _content_lists(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for number, message in enumerate(body["messages"]):
        content = message.get("content")
        if isinstance(content, list):
            texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
            message["content"] = "\n".join(texts)
            if len(texts) < len(content):
                notes.append(Note(f"messages[{number}]", "dropped", "this host takes text only"))


def _message_names(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for number, message in enumerate(body["messages"]):
        if message["role"] not in ("tool", "function") and message.pop("name", None) is not None:
            notes.append(Note(f"messages[{number}].name", "dropped", "this host takes no names"))


def _nulls(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for key in [key for key, value in body.items() if value is None]:
        del body[key]
    for message in body["messages"]:
        for key in [key for key, value in message.items() if value is None and key != "content"]:
            del message[key]


def _message_extensions(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    foreign = tuple(name for name in _EXTENSIONS if not (profile.replay_thinking and name == profile.thinking_field))
    for number, message in enumerate(body["messages"]):
        path = f"messages[{number}]"
        _drop(message, foreign, path, notes)
        content = message.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            _drop(part, ("cache_control",), f"{path}.content[{index}]", notes)
        for index, call in enumerate(message.get("tool_calls") or ()):
            _drop(call, ("provider_specific_fields", "extra_content"), f"{path}.tool_calls[{index}]", notes)
    for index, tool in enumerate(body.get("tools") or ()):
        _drop(tool, ("cache_control",), f"tools[{index}]", notes)
    _drop(body, ("cache_control",), "", notes)


def _drop(holder: Body, names: tuple[str, ...], path: str, notes: list[Note]) -> None:
    if holder.keys().isdisjoint(names):
        return  # nearly always
    for name in names:
        if holder.pop(name, None) is not None:
            notes.append(Note(f"{path}.{name}".lstrip("."), "dropped", "this host takes OpenAI's own fields only"))


def _image_urls(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for number, message in enumerate(body["messages"]):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        remote = [place for place, part in enumerate(content) if _is_remote_image(part)]
        for place in remote:
            path = f"messages[{number}].parts[{place}]"
            notes.append(Note(path, "dropped", "this host does not fetch images: resolve them first"))
        message["content"] = [part for place, part in enumerate(content) if place not in remote]


def _is_remote_image(part: Body) -> bool:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    return isinstance(url, str) and not url.startswith("data:")


def _tools(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for name in ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call"):
        if body.pop(name, None) is not None:
            notes.append(Note(name, "dropped", "this model calls no tools"))


def _strict_tools(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for number, tool in enumerate(body.get("tools") or ()):
        function = tool.get("function")
        if isinstance(function, dict) and function.pop("strict", None):
            notes.append(Note(f"tools[{number}].strict", "dropped", "this host does not enforce schemas"))
    schema = (body.get("response_format") or {}).get("json_schema")
    if isinstance(schema, dict) and schema.pop("strict", None):
        notes.append(Note("response_format.strict", "dropped", "this host does not enforce schemas"))


def _tool_choice_required(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    if body.get("tool_choice") in ("required", "any"):
        body["tool_choice"] = profile.tool_choice_required


def _schema_unsupported(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for number, tool in enumerate(body.get("tools") or ()):
        _clean(tool.get("function"), "parameters", f"tools[{number}].parameters", profile, notes)
    wanted = (body.get("response_format") or {}).get("json_schema")
    _clean(wanted, "schema", "response_format.schema", profile, notes)


def _clean(holder: Any, key: str, path: str, profile: Profile, notes: list[Note]) -> None:
    if isinstance(holder, dict) and isinstance(holder.get(key), dict):
        holder[key] = without_refused(holder[key], profile.schema_unsupported, path, notes)


def _reasoning(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """The host's own way of asking for reasoning, whichever way the caller spelled it."""
    if request.reasoning is None:
        return
    template = body.get("chat_template_kwargs")
    others = {key: value for key, value in template.items() if key not in SWITCHES} if template else {}
    for key in ("reasoning_effort", "reasoning", "thinking", "enable_thinking", "chat_template_kwargs"):
        body.pop(key, None)
    asked = write_reasoning(request.reasoning, profile)
    note_narrowing(request.reasoning, asked, notes)
    if not asked:
        notes.append(Note("reasoning", "dropped", "this model cannot be asked to reason"))
    if others:
        asked["chat_template_kwargs"] = {**others, **asked.get("chat_template_kwargs", {})}
    body.update(asked)


def _stream_options(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    body.pop("stream_options", None)


def _structured_output(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """A host below native schemas: any JSON with the schema in a system message, or just the message."""
    wanted = request.response_format
    if wanted is None or wanted.kind != "json_schema" or "response_format" not in body:
        return  # nothing is wanted, or a tool takes it (json_tool.py)
    notes.append(
        Note("response_format", "weakened", "this model has no schema mode: the schema was put into the prompt")
    )
    if profile.structured_output in ("json_object", "tool"):
        body["response_format"] = {"type": "json_object"}
    else:
        body.pop("response_format", None)
    prompt = json_instruction(wanted.schema or {})
    body["messages"] = [{"role": profile.system_role or "system", "content": prompt}, *body["messages"]]


_QUIRKS: QuirkTable[Callable[[Body, Request, Profile, list[Note]], None]] = QuirkTable(
    {
        "message_extensions": _message_extensions,
        "image_urls": _image_urls,
        "content_lists": _content_lists,
        "message_names": _message_names,
        "nulls": _nulls,
        "tools": _tools,
        "strict_tools": _strict_tools,
        "schema_unsupported": _schema_unsupported,
        "tool_choice_required": _tool_choice_required,
        "structured_output": _structured_output,
        "reasoning": _reasoning,
        "stream_options": _stream_options,
        "system_role": _system_role,
        "max_tokens_field": _max_tokens_field,
        "unsupported": _unsupported,
        "unsupported_while_reasoning": _unsupported_while_reasoning,
        "renames": _renames,
    }
)

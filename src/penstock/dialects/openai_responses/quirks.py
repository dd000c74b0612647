"""Quirks of compatible hosts, applied to the finished request body. Each is a field of the Profile, with one function
here.

With the default profile (OpenAI's own API) nothing happens, at the price of one comparison. The body is ours, but what
lies deeper in it may be the caller's: it is replaced, never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import reasoning as effort_table
from penstock.dialects.json_answer import json_instruction
from penstock.dialects.json_schema import without_refused
from penstock.dialects.openai_responses.reasoning import is_foreign_reasoning
from penstock.dialects.quirk_table import QuirkTable
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Request

Body = dict[str, Any]

_WIRE_NAMES = {"messages": "input", "system": "instructions", "max_tokens": "max_output_tokens"}
"""Request field -> body key, where they differ."""


def apply_quirks(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """Change `body` to what the host takes; note each loss."""
    for quirk in _QUIRKS.of(profile):
        quirk(body, request, profile, notes)


def _tools(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for name in ("tools", "tool_choice", "parallel_tool_calls"):
        if body.pop(name, None) is not None:
            notes.append(Note(name, "dropped", "this model calls no tools"))


def _strict_tools(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for number, tool in enumerate(body.get("tools") or ()):
        if tool.pop("strict", None):
            notes.append(Note(f"tools[{number}].strict", "dropped", "this host does not enforce schemas"))
    wanted = _own_format(body)
    if wanted is not None and wanted.pop("strict", None):
        notes.append(Note("response_format.strict", "dropped", "this host does not enforce schemas"))


def _own_format(body: Body) -> Body | None:
    """`text.format` as an object of the body's own, that may be changed."""
    options = body.get("text")
    wanted = options.get("format") if isinstance(options, dict) else None
    if not isinstance(wanted, dict):
        return None
    wanted = dict(wanted)
    body["text"] = {**body["text"], "format": wanted}
    return wanted


def _schema_unsupported(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for number, tool in enumerate(body.get("tools") or ()):
        _clean(tool, "parameters", f"tools[{number}].parameters", profile, notes)
    wanted = _own_format(body)
    if wanted is not None:
        _clean(wanted, "schema", "response_format.schema", profile, notes)


def _clean(holder: Body, key: str, path: str, profile: Profile, notes: list[Note]) -> None:
    if isinstance(holder.get(key), dict):
        holder[key] = without_refused(holder[key], profile.schema_unsupported, path, notes)


def _tool_choice_required(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    if body.get("tool_choice") == "required":
        body["tool_choice"] = profile.tool_choice_required


def _structured_output(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """A host below native schemas: any JSON with the schema in the instructions, or just the instructions."""
    wanted = request.response_format
    if wanted is None or wanted.kind != "json_schema":
        return
    options = {key: value for key, value in body["text"].items() if key != "format"}
    if profile.structured_output in ("json_object", "tool"):
        options["format"] = {"type": "json_object"}
    body["text"] = options
    if not options:
        del body["text"]
    if profile.structured_output == "none":
        notes.append(Note("response_format", "dropped", "this model has no structured output"))
        return
    notes.append(
        Note("response_format", "weakened", "this model has no schema mode: the schema was put into the prompt")
    )
    prompt = json_instruction(wanted.schema or {})
    instructions = body.get("instructions")
    body["instructions"] = f"{instructions}\n\n{prompt}" if instructions else prompt


def _reasoning(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """OpenAI's object is the only way to ask here; a model that cannot reason is not asked."""
    if profile.reasoning == "none" and body.pop("reasoning", None) is not None:
        notes.append(Note("reasoning", "dropped", "this model cannot be asked to reason"))


def _reasoning_efforts(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    wanted = body.get("reasoning")
    word = wanted.get("effort") if isinstance(wanted, dict) else None
    if not isinstance(word, str):
        return
    nearest = effort_table.nearest(word, profile.reasoning_efforts)
    if nearest != word:
        body["reasoning"] = {**body["reasoning"], "effort": nearest}
        notes.append(Note("reasoning.effort", "changed", f"the nearest word that this model knows is {nearest}"))


def _repair_turns(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """The API refuses a call without an output and an output without a call. An empty output is put in for the one; the
    other goes, unless its call may lie in a conversation that the host keeps.
    """
    items = body.get("input")
    if not isinstance(items, list):
        return
    stored = any(body.get(key) is not None for key in ("previous_response_id", "conversation"))
    called = {item.get("call_id") for item in items if item.get("type") in _OUTPUT_TYPES}
    answered = {item.get("call_id") for item in items if item.get("type") in _OUTPUT_TYPES.values()}
    found: list[Body] = []
    for number, item in enumerate(items):
        kind = item.get("type")
        if kind in _OUTPUT_TYPES.values() and item.get("call_id") not in called and not stored:
            notes.append(Note(f"input[{number}]", "dropped", "there is no call that this is the output of"))
            continue
        found.append(item)
        if kind in _OUTPUT_TYPES and item.get("call_id") not in answered:
            notes.append(Note(f"input[{number}]", "added", "an empty output for a call without one"))
            found.append({"type": _OUTPUT_TYPES[kind], "call_id": item.get("call_id"), "output": ""})
    body["input"] = found


_OUTPUT_TYPES = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}


def _signature_origin(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """Reasoning that a client got from another maker's model, by way of us, and sends back: no use to this model."""
    items = body.get("input")
    if not isinstance(items, list):
        return
    kept = []
    for number, item in enumerate(items):
        if is_foreign_reasoning(item, profile.signature_origin):
            notes.append(Note(f"messages[{number}]", "dropped", "this model cannot verify reasoning of another one"))
        else:
            kept.append(item)
    body["input"] = kept


def _message_extensions(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    items = body.get("input")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        content = item.get("content")
        parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
        if [True for holder in (item, *parts) if holder.pop("provider_specific_fields", None) is not None]:
            notes.append(Note(f"messages[{number}].signature", "dropped", "this host takes OpenAI's own fields only"))


def _system_role(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    items = body.get("input")
    for item in items if isinstance(items, list) else ():
        if item.get("role") in ("system", "developer") and item.get("type", "message") == "message":
            item["role"] = profile.system_role


def _image_urls(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    items = body.get("input")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        content = item.get("content")
        if not isinstance(content, list):
            continue
        kept = [part for part in content if not _is_remote_image(part)]
        if len(kept) < len(content):
            item["content"] = kept
            notes.append(Note(f"messages[{number}]", "dropped", "this host does not fetch images: resolve them first"))


def _is_remote_image(part: Body) -> bool:
    url = part.get("image_url")
    return isinstance(url, str) and not url.startswith("data:")


def _content_lists(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    items = body.get("input")
    for number, item in enumerate(items if isinstance(items, list) else ()):
        key = "output" if str(item.get("type", "")).endswith("_output") else "content"
        content = item.get(key)
        if not isinstance(content, list) or item.get("type", "message") not in _TEXT_ITEMS:
            continue
        texts = [text for part in content if isinstance(text := part.get("text", part.get("refusal")), str)]
        item[key] = "\n\n".join(texts)
        if len(texts) < len(content):
            notes.append(Note(f"messages[{number}]", "dropped", "this host takes text only"))


_TEXT_ITEMS = frozenset({"message", "function_call_output", "custom_tool_call_output"})


def _nulls(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    items = body.get("input")
    for holder in (body, *(items if isinstance(items, list) else ())):
        for key in [key for key, value in holder.items() if value is None]:
            del holder[key]


def _max_tokens_field(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    """Only a host that names the limit otherwise than every host of this API says so; the words of Chat Completions are
    not meant.
    """
    name = profile.max_tokens_field
    if name not in (None, "max_tokens", "max_completion_tokens") and "max_output_tokens" in body:
        body[str(name)] = body.pop("max_output_tokens")


def _unsupported(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    _drop_fields(body, profile.unsupported, "this host or model does not take it", notes)


def _unsupported_while_reasoning(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    wanted = request.reasoning
    if wanted is not None and effort_table.budget(wanted) != 0:
        _drop_fields(body, profile.unsupported_while_reasoning, "this model does not take it while it reasons", notes)


def _drop_fields(body: Body, names: frozenset[str], reason: str, notes: list[Note]) -> None:
    for name in sorted(names):
        if name in ("response_format", "verbosity"):
            dropped = _drop_text_option(body, "format" if name == "response_format" else name)
        else:
            dropped = body.pop(_WIRE_NAMES.get(name, name), None)
        if dropped is not None:
            notes.append(Note(name, "dropped", reason))


def _drop_text_option(body: Body, key: str) -> Any:
    options = body.get("text")
    if not isinstance(options, dict) or key not in options:
        return None
    left = {name: value for name, value in options.items() if name != key}
    body["text"] = left
    if not left:
        del body["text"]
    return options[key]


def _exclusive_sampling(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    if body.get("temperature") is not None and body.pop("top_p", None) is not None:
        notes.append(Note("top_p", "dropped", "this model takes either temperature or top_p"))


def _renames(body: Body, request: Request, profile: Profile, notes: list[Note]) -> None:
    for name, host_name in profile.renames.items():
        key = _WIRE_NAMES.get(name, name)
        if key in body:
            body[host_name] = body.pop(key)


_QUIRKS: QuirkTable[Callable[[Body, Request, Profile, list[Note]], None]] = QuirkTable(
    {
        "image_urls": _image_urls,
        "content_lists": _content_lists,
        "nulls": _nulls,
        "tools": _tools,
        "strict_tools": _strict_tools,
        "schema_unsupported": _schema_unsupported,
        "tool_choice_required": _tool_choice_required,
        "structured_output": _structured_output,
        "reasoning": _reasoning,
        "reasoning_efforts": _reasoning_efforts,
        "repair_turns": _repair_turns,
        "signature_origin": _signature_origin,
        "message_extensions": _message_extensions,
        "system_role": _system_role,
        "max_tokens_field": _max_tokens_field,
        "unsupported": _unsupported,
        "unsupported_while_reasoning": _unsupported_while_reasoning,
        "exclusive_sampling": _exclusive_sampling,
        "renames": _renames,
    }
)

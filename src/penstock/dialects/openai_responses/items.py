"""Items of Responses other than messages, both ways: reasoning, calls, outputs of calls, and what a provider ran
itself.

Input and output of the API are lists of items. One item is one part (rarely several), with the item's id on `Part.id`
and its type on `Part.native` where the part's class does not say it:

    reasoning                                       Thinking (several content entries: one each, later ones MORE)
    function_call, custom_tool_call                 ToolCall
    function_call_output, custom_tool_call_output   ToolResult
    computer_call, local_shell_call, shell_call,    ToolCall under a generic name, since the caller runs it; the wire's
      apply_patch_call, tool_search_call              object is the arguments
    ... and their outputs                           ToolResult
    web_search_call, file_search_call, mcp_call,    ServerToolCall: the provider ran it; what came out stays in the
      code_interpreter_call, program                  extras of the same item
    the same, where the provider runs them          ServerToolCall, ServerToolResult (a shell in a container ...)
    image_generation_call                           Media
    anything else                                   Opaque: compaction, item_reference, mcp_list_tools ...

Source: https://platform.openai.com/docs/api-reference/responses/create (input, item types).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.dialects.openai_responses.content import (
    ENVELOPE,
    ITEM,
    optional_string,
    read_content,
    read_part,
    read_thought,
    required_string,
    write_content,
    write_part,
    write_thought,
)
from penstock.types.content import (
    Base64,
    Extras,
    Json,
    Media,
    Opaque,
    Part,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Role

Item = dict[str, Any]
Siblings = Sequence[Any]
"""The list that an item stands in, for the one kind (shell outputs) that has to look for its call. Empty for the items
of an answer.
"""

MORE = "more"
"""The native of a Thinking that is a further content entry of the reasoning item before it."""

COMPLETED: dict[str, Any] = {ITEM: {"status": "completed"}}
"""The extras of an item that says nothing more than this."""
_IN_PROGRESS: Extras = {ITEM: {"status": "in_progress"}}
_BY_STATUS = {"completed": COMPLETED, "in_progress": _IN_PROGRESS}


def rest_of_item(item: Item, known: frozenset[str]) -> Extras:
    """The unmodelled fields of an item, its status set aside. `known` names `status` too."""
    status = item.get("status")
    if isinstance(status, str):
        extras = _BY_STATUS.get(status) or {ITEM: {"status": status}}
        left = wire.rest(item, known)
        return {**left, **extras} if left else extras
    left = wire.rest(item, known)
    if status is not None and left is None:
        return {"status": status}
    return {**left, "status": status} if status is not None and left else left


def _hide(extras: Extras, key: str) -> Extras:
    """`extras` with a field set aside under ITEM, since the part's class says the same."""
    if extras is None or not isinstance(extras.get(key), str):
        return extras
    left = {name: value for name, value in extras.items() if name != key}
    return {**left, ITEM: {**left.get(ITEM, {}), key: extras[key]}}


def add_extras(found: Item, extras: Extras) -> Item:
    """The item with its unmodelled fields again. `found` is changed; what it holds already stands."""
    if not extras:
        return found
    for key, value in extras.items():
        if key in (ITEM, ENVELOPE):
            for name, inner in value.items():
                if name not in found and not name.startswith("("):
                    found[name] = inner
        elif key not in found:
            found[key] = value
    return found


def read_item(value: Any, siblings: Siblings = ()) -> tuple[tuple[Part, ...], Role]:
    """(the parts of an item that is not a message, the role of whoever says it)."""
    item = wire.obj(value)
    kind = item.get("type")
    known = _READERS.get(kind) if isinstance(kind, str) else None
    if known is None:
        role = _OPAQUE_ROLES.get(kind, "assistant") if isinstance(kind, str) else "user"
        return (Opaque(item, native=kind if isinstance(kind, str) and kind != "content" else None),), role
    read, role = known
    parts = read(item, siblings)
    return parts, "assistant" if type(parts[0]) is ServerToolResult else role


_OPAQUE_ROLES: dict[str, Role] = {
    "mcp_approval_response": "user",
    "item_reference": "user",
    "compaction_trigger": "user",
    "additional_tools": "developer",
    "configuration_update": "developer",
}


# Reasoning


def _read_reasoning(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    summary, content = _read_entries(item, "summary"), _read_entries(item, "content")
    known, signature, words = _REASONING_KEYS, None, ""
    if summary is None or content is None:
        known -= {key for key, read in (("summary", summary), ("content", content)) if read is None}
    value = optional_string(item, "encrypted_content")
    if value is not None:
        signature = read_signature(value, item.get("format"))
    elif isinstance(item.get("signature"), str):
        # OpenRouter, for models that sign what they show.
        signature, words, known = (
            read_signature(item["signature"], item.get("format")),
            "signature",
            known | {"signature"},
        )
    if content is not None:
        words = f"{words} {'content' if content else 'empty'}" if words else "content" if content else "empty"
    text = content[0] if content else ""
    item_id = optional_string(item, "id")
    withheld = signature is not None and not text and not summary
    extras = _with_entry_fields(item, rest_of_item(item, known)) if summary or content else rest_of_item(item, known)
    head = Thinking(text, summary, signature, withheld, None, item_id, words or None, extras)
    if content is None or len(content) < 2:
        return (head,)
    return (head, *[Thinking(entry, id=item_id, native=MORE) for entry in content[1:]])


_REASONING_KEYS = frozenset({"type", "id", "status", "summary", "content", "encrypted_content"})
_ENTRY_TYPES = {"summary": "summary_text", "content": "reasoning_text"}


def _read_entries(item: Item, key: str) -> tuple[str, ...] | None:
    """The texts of a list like `[{"type": "summary_text", "text": ...}]`. None for a list of any other shape, which is
    left unmodelled.
    """
    entries = item.get(key)
    if type(entries) is not list:
        return None
    if not entries:
        return ()
    if not all(type(entry) is dict and type(entry.get("text")) is str and "type" in entry for entry in entries):
        return None
    return tuple([entry["text"] for entry in entries])


def _with_entry_fields(item: Item, extras: Extras) -> Extras:
    """`extras`, and under ITEM whatever else the entries of the two lists say than their usual type and a text."""
    found: Item = {}
    for key, usual in _ENTRY_TYPES.items():
        entries = item.get(key) or ()
        if key not in (extras or ()) and any(len(entry) > 2 or entry["type"] != usual for entry in entries):
            found[f"({key})"] = [
                {name: value for name, value in entry.items() if name != "text" and (name, value) != ("type", usual)}
                for entry in entries
            ]
    return {**(extras or {}), ITEM: {**(extras or {}).get(ITEM, {}), **found}} if found else extras


FORMATS = {
    "anthropic": "anthropic-claude-v1",
    "gemini": "google-gemini-v1",
    "openai": "openai-responses-v1",
    "xai": "xai-responses-v1",
}
"""Who can verify a signature -> OpenRouter's word for its format."""
_ORIGINS = {name.partition("-")[0]: origin for origin, name in FORMATS.items()}


def read_signature(value: str, name: Any = None) -> Signature:
    """A signature with who can verify it: by the host's word for its format ("anthropic-claude-v1"), or by the tag that
    `write_signature` put before it.
    """
    if isinstance(name, str):
        word = name.partition("-")[0]
        return Signature(value, _ORIGINS.get(word, word))
    origin, separator, inner = value.partition(":")
    tagged = separator and origin.isascii() and origin.isalpha() and origin.islower() and origin != "openai"
    return Signature(inner, origin) if tagged else Signature(value, "openai")


def is_foreign_reasoning(item: Item, origin: str | None) -> bool:
    """Whether a written item is reasoning whose signature is tagged for somebody else than `origin` (or OpenAI)."""
    value = item.get("encrypted_content")
    if item.get("type") != "reasoning" or not isinstance(value, str) or "format" in item:
        return False
    return read_signature(value).origin not in ("openai", origin)


def write_signature(signature: Signature, extras: Extras = None) -> str:
    """`encrypted_content`. A signature that OpenAI did not make is tagged with its origin, so that it survives in the
    caller's history.
    """
    if signature.origin == "openai" or (extras and isinstance(extras.get("format"), str)):
        return signature.value
    return f"{signature.origin}:{signature.value}"


def _write_reasoning(part: Thinking) -> Item:
    found: Item = {"type": "reasoning"}
    extras, words = part.extras, part.native or ""
    notes: Item = extras.get(ITEM) or {} if extras else {}
    if part.id is not None:
        found["id"] = part.id
    if part.summary is not None:
        found["summary"] = _write_entries(part.summary, "summary_text", notes.get("(summary)"))
    if part.text or "content" in words:
        found["content"] = _write_entries((part.text,), "reasoning_text", notes.get("(content)"))
    elif "empty" in words:
        found["content"] = []
    if part.signature is not None:
        key = "signature" if "signature" in words else "encrypted_content"
        found[key] = write_signature(part.signature, extras)
    return add_extras(found, extras)


def _write_entries(texts: tuple[str, ...], usual: str, notes: list[Item] | None) -> list[Item]:
    entries: list[Item] = [{"type": usual, "text": text} for text in texts]
    for entry, note in zip(entries, notes or (), strict=False):
        entry.update(note)
    return entries


def add_reasoning_entry(item: Item, part: Thinking, head: Thinking | None) -> None:
    """A further content entry on a reasoning item that was just written."""
    entry: Item = {"type": "reasoning_text", "text": part.text}
    notes = (head.extras or {}).get(ITEM, {}).get("(content)") if head is not None else None
    content = item.setdefault("content", [])
    if notes and len(content) < len(notes):
        entry.update(notes[len(content)])
    content.append(entry)


# The caller's functions and custom tools


def _read_function_call(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    arguments = item.get("arguments")
    if not isinstance(arguments, str | dict):
        arguments = required_string(item, "arguments")
    signature, extras = read_thought(item, rest_of_item(item, _FUNCTION_KEYS))
    return (
        ToolCall(
            optional_string(item, "call_id"),
            required_string(item, "name"),
            arguments,
            False,
            signature,
            id=optional_string(item, "id"),
            native="object" if isinstance(arguments, dict) else None,
            extras=extras,
        ),
    )


_FUNCTION_KEYS = frozenset({"type", "id", "call_id", "name", "arguments", "status"})


def _read_custom_call(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    signature, extras = read_thought(item, rest_of_item(item, _CUSTOM_KEYS))
    return (
        ToolCall(
            optional_string(item, "call_id"),
            required_string(item, "name"),
            required_string(item, "input"),
            True,
            signature,
            id=optional_string(item, "id"),
            extras=extras,
        ),
    )


_CUSTOM_KEYS = frozenset({"type", "id", "call_id", "name", "input", "status"})


def _write_call(part: ToolCall) -> Item:
    native = part.native
    if native in CALLS:
        return _write_hosted_call(part, CALLS[native])
    if part.custom:
        arguments: Any = part.arguments if isinstance(part.arguments, str) else wire.encode(part.arguments).decode()
        found: Item = {"type": "custom_tool_call", "name": part.name, "input": arguments}
    else:
        as_text = isinstance(part.arguments, dict) and native != "object"
        arguments = wire.encode(part.arguments).decode() if as_text else part.arguments
        found = {"type": "function_call", "name": part.name, "arguments": arguments}
    if part.call_id is not None:
        found["call_id"] = part.call_id
    if part.id is not None:
        found["id"] = part.id
    if part.signature is not None:
        found.update(write_thought(part.signature, part.extras))
    return add_extras(found, part.extras)


def _read_function_output(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    return (_read_output(item, False),)


def _read_custom_output(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    return (_read_output(item, True),)


def _read_output(item: Item, custom: bool) -> ToolResult:
    output = item.get("output")
    if type(output) is str:
        parts: tuple[Part, ...] = (Text(output),)
        native = None
    elif type(output) is list:
        native = "list"
        try:
            parts = read_content(output, "input_text")
        except DialectError as error:
            raise error.at("output") from None
    elif output is None:
        parts, native = (), "none"
    else:
        parts, native = (Json(output),), "json"
    return ToolResult(
        optional_string(item, "call_id"),
        parts,
        optional_string(item, "name"),
        custom=custom,
        id=optional_string(item, "id"),
        native=native,
        extras=rest_of_item(item, _OUTPUT_KEYS),
    )


_OUTPUT_KEYS = frozenset({"type", "id", "call_id", "name", "output", "status"})


def _write_result(part: ToolResult) -> Item:
    if part.native in _OUTPUTS:
        return _write_hosted_result(part, _OUTPUTS[part.native])
    kind = "custom_tool_call_output" if part.custom else "function_call_output"
    found: Item = {"type": kind}
    if part.call_id is not None:
        found["call_id"] = part.call_id
    if part.parts or part.native != "none":
        found["output"] = _write_output(part)
    if part.name is not None:
        found["name"] = part.name
    if part.id is not None:
        found["id"] = part.id
    return add_extras(found, part.extras)


def _write_output(part: ToolResult) -> Any:
    """The output as it was spelled; for a result that was not: a plain string for one plain text, else a list."""
    parts = part.parts
    if part.native == "list":
        return write_content(parts, "input_text")
    if len(parts) == 1:
        only = parts[0]
        if isinstance(only, Text) and only.cache is None:
            return only.text
        if isinstance(only, Json):
            return only.value if part.native == "json" else wire.encode(only.value).decode()
    return write_content(parts, "input_text") if parts else ""


# Tools that OpenAI defines


class HostedCall(Struct, frozen=True):
    """A kind of call item. `fields` are the wire fields that may hold what was asked (the first that is there does);
    `named` says that the wire names the tool, `call_id` that the item has one besides its id, `by_server` that the
    provider runs it ("sometimes": the item says so).
    """

    type: str
    name: str
    fields: tuple[str, ...]
    by_server: bool | str = True
    call_id: bool = False
    named: bool = False

    @property
    def keys(self) -> frozenset[str]:
        """The wire fields that are modelled."""
        names = (
            {"type", "id", "status"} | ({"call_id"} if self.call_id else set()) | ({"name"} if self.named else set())
        )
        return frozenset(names)


CALLS: dict[str | None, HostedCall] = {
    each.type: each
    for each in (
        HostedCall("web_search_call", "web_search", ("action",)),
        HostedCall("file_search_call", "file_search", ("queries",)),
        HostedCall("code_interpreter_call", "code_execution", ("code",)),
        HostedCall("mcp_call", "mcp", ("arguments",), named=True),
        HostedCall("program", "program", ("code",), call_id=True),
        HostedCall("tool_search_call", "tool_search", ("arguments",), "sometimes", call_id=True),
        HostedCall("shell_call", "bash", ("action",), "sometimes", call_id=True),
        HostedCall("local_shell_call", "bash", ("action",), False, call_id=True),
        HostedCall("computer_call", "computer", ("action", "actions"), False, call_id=True),
        HostedCall("apply_patch_call", "apply_patch", ("operation",), False, call_id=True),
    )
}
_CALL_KEYS = {kind: call.keys for kind, call in CALLS.items()}


def _read_hosted_call(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    call = CALLS[item["type"]]
    field = next((name for name in call.fields if item.get(name) is not None), None)
    arguments = None if field is None else _as_arguments(item[field], field, call)
    extras = rest_of_item(item, _CALL_KEYS[call.type] | {field} if field else _CALL_KEYS[call.type])
    extras = _hide(extras, "execution")
    item_id = optional_string(item, "id")
    call_id = optional_string(item, "call_id") if call.call_id else item_id
    name = required_string(item, "name") if call.named else call.name
    if runs_on_server(item, call):
        own_id = item_id if call.call_id else None
        return (ServerToolCall(call_id, name, arguments, id=own_id, native=call.type, extras=extras),)
    asked = "" if arguments is None else arguments
    return (ToolCall(call_id, name, asked, id=item_id, native=call.type, extras=extras),)


def runs_on_server(item: Item, call: HostedCall) -> bool:
    """Whether the provider runs this call itself."""
    if call.by_server != "sometimes":
        return call.by_server is True
    if call.type == "tool_search_call":
        return item.get("execution") != "client"
    environment = item.get("environment")
    return isinstance(environment, dict) and environment.get("type") != "local"


def _as_arguments(value: Any, field: str, call: HostedCall) -> dict[str, Any] | str:
    """The wire's object, or its other value under its field's name. `_field_of` is the inverse."""
    if call.named and isinstance(value, str):
        return value
    if (
        isinstance(value, dict)
        and field == call.fields[0]
        and not (len(value) == 1 and next(iter(value)) in call.fields)
    ):
        return value
    return {field: value}


def _field_of(arguments: dict[str, Any] | str, call: HostedCall) -> tuple[str, Any]:
    if isinstance(arguments, dict) and len(arguments) == 1:
        field = next(iter(arguments))
        if field in call.fields:
            return field, arguments[field]
    return call.fields[0], arguments


def _write_hosted_call(part: ToolCall | ServerToolCall, call: HostedCall) -> Item:
    found: Item = {"type": call.type}
    if part.arguments is not None and (part.arguments != "" or call.named):
        field, value = _field_of(part.arguments, call)
        found[field] = value
    if call.named:
        found["name"] = part.name
    item_id = part.id if call.call_id or part.id is not None else part.call_id
    if item_id is not None:
        found["id"] = item_id
    if call.call_id and part.call_id is not None:
        found["call_id"] = part.call_id
    return add_extras(found, part.extras)


class HostedOutput(Struct, frozen=True):
    """A kind of output item: the generic name of the tool, and the wire field that holds what came out. `by_id`: its
    `id` is that of the call.
    """

    type: str
    name: str
    field: str = "output"
    by_id: bool = False

    @property
    def native(self) -> str:
        """The native of its part."""
        return f"{self.type} by id" if self.by_id else self.type


_LOCAL_SHELL_BY_ID = HostedOutput("local_shell_call_output", "bash", by_id=True)

_OUTPUTS: dict[str | None, HostedOutput] = {
    each.native: each
    for each in (
        HostedOutput("computer_call_output", "computer"),
        HostedOutput("local_shell_call_output", "bash"),
        _LOCAL_SHELL_BY_ID,
        HostedOutput("shell_call_output", "bash"),
        HostedOutput("apply_patch_call_output", "apply_patch"),
        HostedOutput("tool_search_output", "tool_search", "tools"),
        HostedOutput("program_output", "program", "result"),
    )
}


def _read_hosted_output(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    kind = _OUTPUTS[item["type"]]
    value = item.get(kind.field)
    call_id, item_id = optional_string(item, "call_id"), optional_string(item, "id")
    extras = _hide(rest_of_item(item, frozenset({"type", "id", "call_id", "status", kind.field})), "execution")
    if _came_from_server(item, siblings):
        return (ServerToolResult(call_id, kind.name, value, id=item_id, native=kind.type, extras=extras),)
    if kind.type == "local_shell_call_output" and call_id is None and item_id is not None:
        kind, call_id, item_id = _LOCAL_SHELL_BY_ID, item_id, None
    failed = {"failed": True, "completed": False}.get(item.get("status", "")) if kind.name == "apply_patch" else None
    return (
        ToolResult(
            call_id,
            () if value is None else (_read_hosted_value(value),),
            is_error=failed,
            id=item_id,
            native=kind.native,
            extras=extras,
        ),
    )


def _came_from_server(item: Item, siblings: Siblings) -> bool:
    kind = item["type"]
    if kind == "tool_search_output":
        return item.get("execution") != "client"
    if kind != "shell_call_output":
        return bool(kind == "program_output")
    call_id = item.get("call_id")
    for other in siblings:
        if isinstance(other, dict) and other.get("type") == "shell_call" and other.get("call_id") == call_id:
            return runs_on_server(other, CALLS["shell_call"])
    return not siblings


def _read_hosted_value(value: Any) -> Part:
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, dict) and value.get("type") == "computer_screenshot":
        return read_part(value, "input_text")
    return Json(value)


def _write_hosted_result(part: ToolResult, kind: HostedOutput) -> Item:
    found: Item = {"type": kind.type}
    for inner in part.parts[:1]:
        found[kind.field] = _write_hosted_value(inner)
    if part.call_id is not None:
        found["id" if kind.by_id else "call_id"] = part.call_id
    if part.id is not None:
        found["id"] = part.id
    if part.is_error is not None and kind.name == "apply_patch":
        found["status"] = "failed" if part.is_error else "completed"
    return add_extras(found, part.extras)


def _write_hosted_value(part: Part) -> Any:
    if isinstance(part, Text):
        return part.text
    return part.value if isinstance(part, Json) else write_part(part, "input_text")


def _write_server_call(part: ServerToolCall) -> Item:
    call = CALLS.get(part.native)
    if call is None:
        raise MalformedError(f"there is no item for a call of the provider's tool {part.name!r}")
    return _write_hosted_call(part, call)


def _write_server_result(part: ServerToolResult) -> Item:
    kind = _OUTPUTS.get(part.native)
    if kind is None:
        raise MalformedError(f"there is no item for a result of the provider's tool {part.name!r}")
    found: Item = {"type": kind.type}
    if part.content is not None:
        found[kind.field] = part.content
    if part.call_id is not None:
        found["call_id"] = part.call_id
    if part.id is not None:
        found["id"] = part.id
    return add_extras(found, part.extras)


# Images that the model made

IMAGE = "image_generation_call"
_IMAGE_TYPES = (("iVBOR", "image/png"), ("/9j/", "image/jpeg"), ("UklGR", "image/webp"), ("R0lGOD", "image/gif"))


def _read_image(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    data = optional_string(item, "result")
    name = item.get("output_format")
    media_type = f"image/{name}" if isinstance(name, str) else _sniff(data)
    return (
        Media(
            "image",
            None if data is None else Base64(data),
            media_type,
            id=optional_string(item, "id"),
            native=IMAGE,
            extras=rest_of_item(item, _IMAGE_KEYS),
        ),
    )


_IMAGE_KEYS = frozenset({"type", "id", "result", "status"})


def _sniff(data: str | None) -> str | None:
    """The type that the first bytes tell: the API names it only where the caller chose one."""
    return next((kind for head, kind in _IMAGE_TYPES if data is not None and data.startswith(head)), None)


def _write_image(part: Media) -> Item:
    found: Item = {"type": IMAGE}
    if isinstance(part.source, Base64):
        found["result"] = part.source.data
    if part.id is not None:
        found["id"] = part.id
    return add_extras(found, part.extras)


# The two tables

_READERS: dict[str, tuple[Callable[[Item, Siblings], tuple[Part, ...]], Role]] = {
    "reasoning": (_read_reasoning, "assistant"),
    "function_call": (_read_function_call, "assistant"),
    "custom_tool_call": (_read_custom_call, "assistant"),
    "function_call_output": (_read_function_output, "tool"),
    "custom_tool_call_output": (_read_custom_output, "tool"),
    IMAGE: (_read_image, "assistant"),
    **{str(kind): (_read_hosted_call, "assistant") for kind in CALLS},
    **{kind.type: (_read_hosted_output, "tool") for kind in _OUTPUTS.values()},
}

_WRITERS: dict[type, Callable[[Any], Item]] = {
    Thinking: _write_reasoning,
    ToolCall: _write_call,
    ToolResult: _write_result,
    ServerToolCall: _write_server_call,
    ServerToolResult: _write_server_result,
    Media: _write_image,
    Opaque: lambda part: dict(part.value),
}


def is_content(part: Part) -> bool:
    """Whether the part belongs into a message, and is not an item of its own."""
    kind = type(part)
    if kind is Media or kind is Opaque:
        return part.native != IMAGE if kind is Media else part.native == "content"
    return kind not in _WRITERS


def write_item(part: Part) -> Item:
    """The item of a part for which `is_content` is false."""
    return _WRITERS[type(part)](part)

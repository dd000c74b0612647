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
    web_search_call, program                        ServerToolCall: the provider ran it
    mcp_call, code_interpreter_call,                the same, and a ServerToolResult for what the item says came of it
      file_search_call
    the same, where the provider runs them          ServerToolCall, ServerToolResult (a shell in a container ...)
    image_generation_call                           Media
    anything else                                   Opaque: compaction, item_reference, mcp_list_tools ...

Source: https://platform.openai.com/docs/api-reference/responses/create (input, item types).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.openai_responses.content import read_content, read_thought, write_content, write_thought
from penstock.dialects.openai_responses.fields import Item, add_extras, required_string, rest_of_item
from penstock.dialects.openai_responses.hosted import (
    CALLS,
    IMAGE,
    OUTPUTS,
    Siblings,
    read_hosted_call,
    read_hosted_output,
    read_image,
    write_hosted_call,
    write_hosted_result,
    write_image,
    write_server_call,
    write_server_result,
)
from penstock.dialects.openai_responses.reasoning import read_reasoning, write_reasoning
from penstock.types.content import (
    Json,
    Media,
    Opaque,
    Part,
    ServerToolCall,
    ServerToolResult,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.errors import DialectError
from penstock.types.request import Role


def read_answer_item(value: Any) -> tuple[Part, ...]:
    """The parts of an item of an answer: one that we cannot read under its type is kept whole."""
    try:
        return read_item(value)[0]
    except DialectError:
        kind = value.get("type") if isinstance(value, dict) else None
        return (Opaque(value, native=kind if isinstance(kind, str) and kind != "content" else None),)


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


def _read_function_call(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    arguments = item.get("arguments")
    if arguments is None and not siblings:  # an answer's: some hosts announce a call before it has any
        return _read_bare_call(item, False)
    if not isinstance(arguments, str | dict):
        arguments = required_string(item, "arguments")
    signature, extras = read_thought(item, rest_of_item(item, _FUNCTION_KEYS))
    return (
        ToolCall(
            wire.optional_string(item, "call_id"),
            required_string(item, "name"),
            arguments,
            False,
            signature,
            id=wire.optional_string(item, "id"),
            native="object" if isinstance(arguments, dict) else None,
            extras=extras,
        ),
    )


_FUNCTION_KEYS = frozenset({"type", "id", "call_id", "name", "arguments", "status"})


def _read_bare_call(item: Item, custom: bool) -> tuple[Part, ...]:
    known = _CUSTOM_KEYS if custom else _FUNCTION_KEYS
    call_id, item_id = wire.optional_string(item, "call_id"), wire.optional_string(item, "id")
    name, extras = required_string(item, "name"), rest_of_item(item, known)
    return (ToolCall(call_id, name, "", custom, id=item_id, native=NO_INPUT, extras=extras),)


NO_INPUT = "no input"
"""The native of a call whose item has no arguments (or, of a custom tool, no input)."""


def _read_custom_call(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    if item.get("input") is None and not siblings:
        return _read_bare_call(item, True)
    signature, extras = read_thought(item, rest_of_item(item, _CUSTOM_KEYS))
    return (
        ToolCall(
            wire.optional_string(item, "call_id"),
            required_string(item, "name"),
            required_string(item, "input"),
            True,
            signature,
            id=wire.optional_string(item, "id"),
            extras=extras,
        ),
    )


_CUSTOM_KEYS = frozenset({"type", "id", "call_id", "name", "input", "status"})


def _write_call(part: ToolCall) -> Item:
    native = part.native
    if native in CALLS:
        return write_hosted_call(part, CALLS[native])
    if part.custom:
        arguments: Any = wire.as_text(part.arguments)
        found: Item = {"type": "custom_tool_call", "name": part.name, "input": arguments}
    else:
        as_text = isinstance(part.arguments, dict) and native != "object"
        arguments = wire.encode(part.arguments).decode() if as_text else part.arguments
        found = {"type": "function_call", "name": part.name, "arguments": arguments}
    if native == NO_INPUT and not part.arguments:
        del found["input" if part.custom else "arguments"]
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
        wire.optional_string(item, "call_id"),
        parts,
        wire.optional_string(item, "name"),
        custom=custom,
        id=wire.optional_string(item, "id"),
        native=native,
        extras=rest_of_item(item, _OUTPUT_KEYS),
    )


_OUTPUT_KEYS = frozenset({"type", "id", "call_id", "name", "output", "status"})


def _write_result(part: ToolResult) -> Item:
    if part.native in OUTPUTS:
        return write_hosted_result(part, OUTPUTS[part.native])
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


_READERS: dict[str, tuple[Callable[[Item, Siblings], tuple[Part, ...]], Role]] = {
    "reasoning": (lambda item, _: read_reasoning(item), "assistant"),
    "function_call": (_read_function_call, "assistant"),
    "custom_tool_call": (_read_custom_call, "assistant"),
    "function_call_output": (_read_function_output, "tool"),
    "custom_tool_call_output": (_read_custom_output, "tool"),
    IMAGE: (lambda item, _: read_image(item), "assistant"),
    **{str(kind): (read_hosted_call, "assistant") for kind in CALLS},
    **{kind.type: (read_hosted_output, "tool") for kind in OUTPUTS.values()},
}

_WRITERS: dict[type, Callable[[Any], Item]] = {
    Thinking: write_reasoning,
    ToolCall: _write_call,
    ToolResult: _write_result,
    ServerToolCall: write_server_call,
    ServerToolResult: write_server_result,
    Media: write_image,
    Opaque: lambda part: dict(part.value) if isinstance(part.value, dict) else part.value,
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

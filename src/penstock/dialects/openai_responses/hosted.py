"""Items of the tools that OpenAI defines, both ways: computer, shell, search, code, MCP, images.

Two tables say what there is. A call that the caller runs is a ToolCall under a generic name, with the wire's object as
its arguments; one that the provider ran is a ServerToolCall, and what the same item says came of it a ServerToolResult.
For shells and tool searches, the item itself says who runs them.

Source: https://platform.openai.com/docs/api-reference/responses/create (input, item types).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.dialects.media_types import sniffed
from penstock.dialects.openai_responses.content import read_part, write_part
from penstock.dialects.openai_responses.fields import (
    Item,
    add_extras,
    hide,
    required_string,
    rest_of_item,
)
from penstock.types.content import (
    Base64,
    Json,
    Media,
    Part,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
)
from penstock.types.errors import MalformedError

Siblings = Sequence[Any]
"""The list that an item stands in, for the one kind (shell outputs) that has to look for its call. Empty for the items
of an answer.
"""


_NAMES = {"name", "server_label"}


class HostedCall(Struct, frozen=True):
    """A kind of call item. `fields` are the wire fields that may hold what was asked (the first that is there does);
    `named` says that the wire names the tool (and the MCP server that has it), `call_id` that the item has one besides
    its id, `by_server` that the provider runs it ("sometimes": the item says so). `outcome` is the field that holds
    what came of it, in whose place `error` may say why nothing did.
    """

    type: str
    name: str
    fields: tuple[str, ...]
    by_server: bool | str = True
    call_id: bool = False
    named: bool = False
    outcome: str | None = None

    @property
    def keys(self) -> frozenset[str]:
        """The wire fields that are modelled."""
        names = {"type", "id", "status"} | ({"call_id"} if self.call_id else set()) | (_NAMES if self.named else set())
        return frozenset(names)


CALLS: dict[str | None, HostedCall] = {
    each.type: each
    for each in (
        HostedCall("web_search_call", "web_search", ("action",)),
        HostedCall("file_search_call", "file_search", ("queries",), outcome="results"),
        HostedCall("code_interpreter_call", "code_execution", ("code",), outcome="outputs"),
        HostedCall("mcp_call", "mcp", ("arguments",), named=True, outcome="output"),
        HostedCall("program", "program", ("code",), call_id=True),
        HostedCall("tool_search_call", "tool_search", ("arguments",), "sometimes", call_id=True),
        HostedCall("shell_call", "bash", ("action",), "sometimes", call_id=True),
        HostedCall("local_shell_call", "bash", ("action",), False, call_id=True),
        HostedCall("computer_call", "computer", ("action", "actions"), False, call_id=True),
        HostedCall("apply_patch_call", "apply_patch", ("operation",), False, call_id=True),
    )
}
_CALL_KEYS = {kind: call.keys for kind, call in CALLS.items()}


def read_hosted_call(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    call = CALLS[item["type"]]
    field = next((name for name in call.fields if item.get(name) is not None), None)
    arguments = None if field is None else _as_arguments(item[field], field, call)
    came = _outcome_field(item, call)
    known = _CALL_KEYS[call.type] | {name for name in (field, came) if name is not None}
    extras = hide(rest_of_item(item, known), "execution")
    item_id = wire.optional_string(item, "id")
    call_id = wire.optional_string(item, "call_id") if call.call_id else item_id
    name = required_string(item, "name") if call.named else call.name
    if runs_on_server(item, call):
        own_id = item_id if call.call_id else None
        server = wire.optional_string(item, "server_label") if call.named else None
        asked = ServerToolCall(call_id, name, arguments, server, id=own_id, native=call.type, extras=extras)
        return (asked,) if came is None else (asked, _read_outcome(item, came, call))
    given = "" if arguments is None else arguments
    return (ToolCall(call_id, name, given, id=item_id, native=call.type, extras=extras),)


def _outcome_field(item: Item, call: HostedCall) -> str | None:
    """The field of a finished call that says what came of it."""
    if call.outcome is None:
        return None
    return next((name for name in (call.outcome, _ERROR) if item.get(name) is not None), None)


_ERROR = "error"


def _read_outcome(item: Item, field: str, call: HostedCall) -> ServerToolResult:
    failed = True if field == _ERROR else None
    return ServerToolResult(wire.optional_string(item, "id"), call.name, item[field], failed, native=call.type)


def is_outcome(part: Part) -> bool:
    """Whether the part belongs to the item of the call before it."""
    return type(part) is ServerToolResult and part.native in CALLS


def add_outcome(item: Item, part: Part) -> None:
    """Put what came of a call into its item."""
    assert isinstance(part, ServerToolResult)
    call = CALLS[part.native]
    item[_ERROR if part.is_error else call.outcome or _ERROR] = part.content


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


def write_hosted_call(part: ToolCall | ServerToolCall, call: HostedCall) -> Item:
    found: Item = {"type": call.type}
    if part.arguments is not None and (part.arguments != "" or call.named):
        field, value = _field_of(part.arguments, call)
        found[field] = value
    if call.named:
        found["name"] = part.name
        if isinstance(part, ServerToolCall) and part.server is not None:
            found["server_label"] = part.server
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

OUTPUTS: dict[str | None, HostedOutput] = {
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


def read_hosted_output(item: Item, siblings: Siblings) -> tuple[Part, ...]:
    kind = OUTPUTS[item["type"]]
    value = item.get(kind.field)
    call_id, item_id = wire.optional_string(item, "call_id"), wire.optional_string(item, "id")
    extras = hide(rest_of_item(item, frozenset({"type", "id", "call_id", "status", kind.field})), "execution")
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


def write_hosted_result(part: ToolResult, kind: HostedOutput) -> Item:
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


def write_server_call(part: ServerToolCall) -> Item:
    call = CALLS.get(part.native)
    if call is None:
        raise MalformedError(f"there is no item for a call of the provider's tool {part.name!r}")
    return write_hosted_call(part, call)


def write_server_result(part: ServerToolResult) -> Item:
    kind = OUTPUTS.get(part.native)
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


IMAGE = "image_generation_call"


def read_image(item: Item) -> tuple[Part, ...]:
    data = wire.optional_string(item, "result")
    name = item.get("output_format")
    media_type = f"image/{name}" if isinstance(name, str) else sniffed(data or "")
    return (
        Media(
            "image",
            None if data is None else Base64(data),
            media_type,
            id=wire.optional_string(item, "id"),
            native=IMAGE,
            extras=rest_of_item(item, _IMAGE_KEYS),
        ),
    )


_IMAGE_KEYS = frozenset({"type", "id", "result", "status"})


def write_image(part: Media) -> Item:
    found: Item = {"type": IMAGE}
    if isinstance(part.source, Base64):
        found["result"] = part.source.data
    if part.id is not None:
        found["id"] = part.id
    return add_extras(found, part.extras)

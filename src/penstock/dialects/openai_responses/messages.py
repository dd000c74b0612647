"""The two lists of items, both ways: a request's `input` as Messages, an answer's `output` as parts.

In a request every item is one Message, so that the list comes out again item by item, with its ids, states and
boundaries; neighbours of the same role are one turn to other dialects, whose renderers join them. A Message that
somebody else built (several parts of one turn) is written as as many items as it takes: each run of content parts
becomes a message, every other part an item.

An answer is one Choice, whose parts are those of all items in a row. The first part of a message item holds the item's
own fields in its extras under ITEM and ENVELOPE, which is also how the boundary between two messages is known; all
parts of a message bear its id.

`Message.native` spells a message item: None is the easy form `{"role", "content": "text"}`, else the words "typed" (it
has a `type`) and "list", "null" or "none" (what its content is).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.openai_responses.content import read_answer_part, read_content, write_content
from penstock.dialects.openai_responses.fields import ENVELOPE, ITEM, Item, add_extras, rest_of_item
from penstock.dialects.openai_responses.hosted import Siblings, add_outcome, is_outcome
from penstock.dialects.openai_responses.items import is_content, read_answer_item, read_item, write_item
from penstock.dialects.openai_responses.reasoning import MORE, add_reasoning_entry
from penstock.types.content import Extras, Opaque, Part, Text, Thinking
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Message, Role

_USUAL_TEXT: dict[str, str] = {
    "system": "input_text",
    "developer": "input_text",
    "user": "input_text",
    "assistant": "output_text",
}
"""The roles of messages, and the type of text that each usually holds."""

_SPELLINGS: dict[tuple[bool, str], str | None] = {
    (False, "string"): None,
    (True, "string"): "typed",
    (False, "list"): "list",
    (True, "list"): "typed list",
    (False, "null"): "null",
    (True, "null"): "typed null",
    (False, "none"): "none",
    (True, "none"): "typed none",
}


# Requests


def read_input(value: Any) -> tuple[Message, ...]:
    """`input`: a text, which is one message of the user, or a list of items."""
    if isinstance(value, str):
        return (Message("user", (Text(value),)),)
    items = wire.array(value)
    messages: list[Message] = []
    try:
        for item in items:
            messages.append(_read_input_item(item, items))
    except DialectError as error:
        raise error.at(len(messages)) from None
    return tuple(messages)


def _read_input_item(value: Any, siblings: Siblings) -> Message:
    item = wire.obj(value)
    kind = item.get("type")
    role = item.get("role")
    if (kind == "message" or kind is None) and isinstance(role, str) and role in _USUAL_TEXT:
        return _read_message(item, role)  # type: ignore[arg-type]  # one of the roles, by its table
    if kind is None and role is None and item.keys() <= {"id", "type"}:
        return Message("user", (Opaque(item, native="item_reference"),))
    parts, speaker = read_item(item, siblings)
    return Message(speaker, parts)


def _read_message(item: Item, role: Role) -> Message:
    content = item.get("content")
    if type(content) is str:
        parts: tuple[Part, ...] = (Text(content),)
        form = "string"
    else:
        parts, form = _read_message_content(item, content, role)
    if len(item) == 2 and form == "string":
        return Message(role, parts)
    native = _SPELLINGS[item.get("type") is not None, form]
    return Message(
        role, parts, id=wire.optional_string(item, "id"), native=native, extras=rest_of_item(item, _MESSAGE_KEYS)
    )


_MESSAGE_KEYS = frozenset({"type", "role", "content", "id", "status"})


def _read_message_content(item: Item, content: Any, role: str) -> tuple[tuple[Part, ...], str]:
    if content is None:
        return (), "null" if "content" in item else "none"
    if not isinstance(content, list):
        raise MalformedError(f"expected a string or a list, got {wire.describe(content)}", "content")
    try:
        return read_content(content, _USUAL_TEXT[role]), "list"
    except DialectError as error:
        raise error.at("content") from None


def write_input(messages: Sequence[Message]) -> list[Item]:
    """The list of items."""
    items: list[Item] = []
    for message in messages:
        parts = message.parts
        if not parts:
            items.append(_write_input_message(message, ()))
        elif len(parts) > 1:
            _write_parts(parts, items, partial(_write_group, message))
        else:
            items.append(_write_group(message, parts) if is_content(parts[0]) else write_item(parts[0]))
    return items


def _write_group(message: Message, group: tuple[Part, ...]) -> Item:
    """A run of content parts: an output message where it came from an answer, else in the spelling of the message that
    holds it.
    """
    extras = group[0].extras
    if extras and ITEM in extras:
        return write_output_message(group)
    return _write_input_message(message, group)


def _write_input_message(message: Message, parts: tuple[Part, ...]) -> Item:
    role = message.role if message.role in _USUAL_TEXT else "user"
    words = message.native or ""
    found: Item = {"type": "message", "role": role} if words.startswith("typed") else {"role": role}
    if "none" not in words or parts:
        found["content"] = _write_message_content(parts, words, role)
    if message.id is not None:
        found["id"] = message.id
    return add_extras(found, message.extras)


def _write_message_content(parts: tuple[Part, ...], words: str, role: str) -> Any:
    if "list" not in words:
        first = parts[0] if len(parts) == 1 else None
        if isinstance(first, Text) and _is_plain(first):
            return first.text
        if not parts:
            return None if "null" in words else []
    return write_content(parts, _USUAL_TEXT[role])


def _is_plain(part: Text) -> bool:
    return not (part.cache or part.citations or part.logprobs or part.native or part.extras)


# Answers


def read_output(value: Any) -> tuple[Part, ...]:
    """`output`: the parts of all items."""
    items = wire.array(value)
    found: list[tuple[Part, ...]] = []
    try:
        for item in items:
            found.append(read_output_item(item))
    except DialectError as error:
        raise error.at(len(found)) from None
    return found[0] if len(found) == 1 else tuple([part for parts in found for part in parts])


def read_output_item(value: Any) -> tuple[Part, ...]:
    """The parts of one item of an answer."""
    item = value if isinstance(value, dict) else {}
    if item.get("type") == "message" and isinstance(item.get("role", "assistant"), str):
        return _read_output_message(item)
    return read_answer_item(value)


def _read_output_message(item: Item) -> tuple[Part, ...]:
    content = item.get("content")
    if not isinstance(content, list):
        return (Opaque(item, native="message"),)
    parts = tuple([read_answer_part(element, "output_text") for element in content])
    item_id, extras = read_envelope(item)
    if not parts:
        return (Text("", id=item_id, native=EMPTY, extras=extras),)
    return begin_message(parts, item_id, extras)


EMPTY = "empty"
"""The native of the Text that stands for an output message without content."""


def read_envelope(item: Item) -> tuple[str | None, dict[str, Any]]:
    """(id, extras for the first part) of an output message: everything of it but its content."""
    known: Item = {}
    other: Item = {}
    for key, value in item.items():
        if key in _ENVELOPE_KEYS:
            known[key] = value
        elif key not in _IMPLIED or value != _IMPLIED[key]:
            other[key] = value
    other.pop("content", None)
    if "role" not in item:
        known[_NO_ROLE] = True
    item_id = item.get("id")
    if isinstance(item_id, str):
        del other["id"]
    else:
        item_id = None
    return item_id, {ITEM: known, ENVELOPE: other} if other else {ITEM: known}


_ENVELOPE_KEYS = frozenset({"status"})
_NO_ROLE = "(no role)"
_IMPLIED = {"type": "message", "role": "assistant"}


def begin_message(parts: tuple[Part, ...], item_id: str | None, extras: dict[str, Any]) -> tuple[Part, ...]:
    """`parts` as those of one output message."""
    first = parts[0]
    head = replace(first, id=item_id, extras={**first.extras, **extras} if first.extras else extras)
    if len(parts) == 1:
        return (head,)
    return (head, *[replace(part, id=item_id) for part in parts[1:]])


def write_output(parts: Sequence[Part]) -> list[Item]:
    """The list of items. Content parts that follow each other are one message, until a part says that the next one
    begins.
    """
    items: list[Item] = []
    _write_parts(parts, items, write_output_message)
    return items


def _write_parts(parts: Sequence[Part], items: list[Item], write_group: Callable[[tuple[Part, ...]], Item]) -> None:
    group: list[Part] = []
    head: Thinking | None = None
    for part in parts:
        if is_content(part):
            if group and _begins(part, group[0]):
                items.append(write_group(tuple(group)))
                group = []
            group.append(part)
            continue
        if group:
            items.append(write_group(tuple(group)))
            group = []
        if items and is_outcome(part):
            add_outcome(items[-1], part)
            continue
        if isinstance(part, Thinking) and part.native == MORE and items:
            add_reasoning_entry(items[-1], part, head)
            continue
        items.append(write_item(part))
        head = part if isinstance(part, Thinking) else None
    if group:
        items.append(write_group(tuple(group)))


def _begins(part: Part, first: Part) -> bool:
    """Whether `part` begins another message than the one that `first` began."""
    return bool(part.extras and ITEM in part.extras) or (part.id is not None and part.id != first.id)


def write_output_message(group: tuple[Part, ...]) -> Item:
    """A message item of an answer."""
    first = group[0]
    extras: Extras = first.extras
    found: Item = {"type": "message", "role": "assistant"}
    if first.id is not None:
        found["id"] = first.id
    if extras:
        found.update(extras.get(ENVELOPE, ()))
        found.update(extras.get(ITEM, ()))
        if found.pop(_NO_ROLE, False):
            del found["role"]
    if first.native == EMPTY and isinstance(first, Text):
        group = (replace(first, native=None), *group[1:]) if first.text else group[1:]
    found["content"] = write_content(group, "output_text")
    return found

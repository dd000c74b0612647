"""Messages of Converse, both ways: `{"role": "user" | "assistant" | "system", "content": [block, ...]}`.

Tool results stand in the user's turn. Instructions stand in the request's `system`; the role of that name, in the
middle of a conversation, is a younger extension of a few models.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.blocks import read_blocks, write_blocks
from penstock.types.content import Extras, Part
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Message

_ROLES = frozenset({"user", "assistant", "system"})
_KNOWN = frozenset({"role", "content"})
_ANSWER = frozenset({"content"})
_NO_ROLE = "(no role)"
"""Key in `extras` that remembers a message without its role, which says nothing new in an answer."""


def read_message(value: Any) -> Message:
    """One element of `messages`."""
    message = wire.obj(value)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise MalformedError(f"expected one of {', '.join(sorted(_ROLES))}, got {role!r}", "role")
    parts = _read_content(message, role == "assistant")
    extras = None if len(message) == 2 else wire.rest(message, _KNOWN)
    return Message(role, parts, extras=extras)  # type: ignore[arg-type]  # a role, as was checked


def read_answer(value: Any) -> tuple[tuple[Part, ...], Extras]:
    """(parts, what is not modelled) of the message of a response, whose role is the assistant's."""
    message = wire.obj(value)
    parts = _read_content(message, True)
    if message.get("role") == "assistant":
        return parts, wire.rest(message, _KNOWN)
    extras = wire.rest(message, _ANSWER)
    return parts, extras if "role" in message else {**(extras or {}), _NO_ROLE: True}


def _read_content(message: dict[str, Any], assistant: bool) -> tuple[Part, ...]:
    try:
        return read_blocks(message.get("content"), assistant)
    except DialectError as error:
        raise error.at("content") from None


def write_message(message: Message) -> dict[str, Any]:
    """The message again."""
    found = {"role": message.role, "content": write_blocks(message.parts)}
    return wire.merge(message.extras, found) if message.extras else found


def write_answer(parts: tuple[Part, ...], extras: Extras) -> dict[str, Any]:
    """The message of a response again."""
    found = {"role": "assistant", **(extras or {}), "content": write_blocks(parts)}
    if found.pop(_NO_ROLE, False):
        del found["role"]
    return found

"""Contents, both ways: `{"role": ..., "parts": [...]}` is a message of a request, the system instruction, or a
candidate's answer.

Roles are "user" and "model"; tool results stand in a user's turn (or, as older clients have it, in one of the role
"function"). An absent role is a user's. Google's servers take one object for a list of one, so this reader does, too.

Source: https://ai.google.dev/api/caching#Content
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from penstock.dialects import wire
from penstock.dialects.gemini.parts import read_part, write_part
from penstock.dialects.gemini.spelling import Names, names_of, words
from penstock.types.content import Part
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Message, Role

T = TypeVar("T")

ROLES: dict[str, Role] = {
    "user": "user",
    "model": "assistant",
    "function": "tool",
    "tool": "tool",
    "system": "system",
    "assistant": "assistant",
}
ROLE_WORDS: dict[Role, str] = {
    "user": "user",
    "assistant": "model",
    "tool": "function",
    "system": "system",
    "developer": "system",
}

_KEYS = frozenset({"role", "parts"})

NO_PARTS, EMPTY_PARTS, ONE_PART = "-parts", "parts=[]", "parts={}"
"""Shapes of `parts`: absent, an empty list, one object instead of a list. None of them: a list."""


def read_each(read: Callable[[Any], T], elements: list[Any]) -> tuple[T, ...]:
    """Every element, read. An error says which one it was: that is looked for only when there is one."""
    try:
        return tuple([read(element) for element in elements])
    except DialectError:
        return tuple(wire.each(read, elements))


def read_parts(content: dict[str, Any]) -> tuple[tuple[Part, ...], str]:
    """(the parts of a content, the shape word of its `parts`)."""
    value = content.get("parts")
    try:
        if type(value) is list and value:
            return read_each(read_part, value), ""
        if value is None:
            return (), NO_PARTS
        return (
            ((read_part(value),), ONE_PART) if isinstance(value, dict) else (wire.each(read_part, value), EMPTY_PARTS)
        )
    except DialectError as error:
        raise error.at("parts") from None


def write_parts(parts: tuple[Part, ...], shapes: Names) -> dict[str, Any]:
    """`{"parts": [...]}`, in the shape it had."""
    if not parts and NO_PARTS in shapes:
        return {}
    if len(parts) == 1 and ONE_PART in shapes:
        return {"parts": write_part(parts[0])}
    return {"parts": [write_part(part) for part in parts]}


def read_message(value: Any) -> Message:
    """One element of `contents`."""
    content = value if type(value) is dict else wire.obj(value)
    role, listed = content.get("role"), content.get("parts")
    if len(content) == 2 and listed and type(listed) is list and (role == "user" or role == "model"):
        try:  # the plainest form, which is nearly every message
            return Message("user" if role == "user" else "assistant", tuple([read_part(part) for part in listed]))
        except DialectError:
            pass  # below, it will be found out which part it was
    parts, shape = read_parts(content)
    extras = wire.rest(content, _KEYS)
    if role in ("user", "model"):
        return Message(ROLES[role], parts, native=shape or None, extras=extras)
    return Message(_role(role), parts, native=words((), _role_shape(role), shape), extras=extras)


def _role(role: Any) -> Role:
    if not role and (role is None or role == ""):
        return "user"
    found = ROLES.get(role) if isinstance(role, str) else None
    if found is None:
        raise MalformedError(f"expected the role user or model, got {role!r}", "role")
    return found


def _role_shape(role: str | None) -> str:
    return "-role" if role is None else f"role={role}"


def write_message(message: Message) -> dict[str, Any]:
    """The content of a message of this dialect."""
    if message.native is None:
        found = {"role": ROLE_WORDS[message.role], "parts": [write_part(part) for part in message.parts]}
    else:
        shapes = names_of(message.native)
        found = write_parts(message.parts, shapes)
        if "-role" not in shapes:
            found["role"] = _write_role(message.role, shapes)
    return wire.merge(message.extras, found)


def _write_role(role: Role, shapes: Names) -> str:
    """The word that was used for this role, else the usual one."""
    used = next((word[5:] for word in shapes if word.startswith("role=")), None)
    return used if used is not None and _role(used) == role else ROLE_WORDS[role]

"""Relay: what must be known of a JSON body to send it on, and how it is changed without being rebuilt.

A body is taken apart into the members of its object, each of which stays the bytes that came. Routing and limits read
the few that they need; one that must differ (`model`, where an alias was used) is put in the place of the old; and
all go out again in their order. So whoever reads the body after us reads each name once, and the value that we
decided by: a body that says `model` twice cannot mean one thing here and another there.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from penstock.dialects import wire
from penstock.types.errors import MalformedError

Members = dict[str, Any]
"""The members of an object: names, and values as `msgspec.Raw` or as Python values that were put in their place."""


class Peeked(Struct):
    """What a request says that routing and limits must know.

    model       as the client named it
    stream      whether it wants a stream
    max_output  tokens that it allows to come out, of each choice; None: it does not say
    choices     how many answers it wants
    counts      whether a stream's client asked for its usage (only OpenAI's Chat Completions leaves that open)
    user        the end user, as far as the request names one
    session     what ties the requests of one conversation together, where the request says it
    """

    model: str
    stream: bool = False
    max_output: int | None = None
    choices: int = 1
    counts: bool = True
    user: str | None = None
    session: str | None = None


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def members_of(body: bytes) -> Members:
    """The members of the object, each as its own bytes; of a name that stands twice, the last. Raises
    MalformedError.
    """
    try:
        return _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _leniently(body, error)


def _leniently(body: bytes, error: Exception) -> Members:
    """The members of a body that JSON allows and msgspec refuses. Raises MalformedError for any other."""
    if not body.strip():
        raise MalformedError("the body is empty; send a JSON object")
    try:
        found = wire.decode(body)
    except UnicodeDecodeError:
        raise MalformedError(f"this is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise MalformedError("the body must be a JSON object")
    return {name: msgspec.Raw(wire.encode(value)) for name, value in found.items()}


_text = msgspec.json.Decoder(str)
_value = msgspec.json.Decoder()


def text(members: Members, name: str) -> str | None:
    """A member that is a text; None where it is absent or null. Raises MalformedError."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        return _text.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if value(members, name) is None:
            return None
        raise MalformedError("expected a string", name) from None


def value(members: Members, name: str) -> Any:
    """A member as a Python value; None where it is absent, or cannot be read."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        return _value.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def count(members: Members, name: str) -> int | None:
    """A member that is a count; None where it is none."""
    found = value(members, name)
    return found if type(found) is int and found >= 0 else None


def true(members: Members, name: str) -> bool:
    """Whether a member is true."""
    return name in members and value(members, name) is True


def obj(members: Members, name: str) -> dict[str, Any]:
    """A member that is an object; empty where it is none."""
    found = value(members, name)
    return found if isinstance(found, dict) else {}


def joined(members: Members) -> bytes:
    """The body again."""
    return wire.encode(members)

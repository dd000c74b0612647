"""Naming: an answer that is relayed bears the name that its client asked by.

A client that asked by a name of the gateway's own (a group, an alias, a provider's model with the provider before it)
is answered by it, as in every translated answer: Claude Code drops the thoughts of a model that answers by another
name. Who asked by the provider's name hears the provider's. Nothing else of an answer changes, not a byte.
"""

from __future__ import annotations

import re

import msgspec

from penstock.dialects import wire
from penstock.gateway.relay import joined, members_of
from penstock.types.errors import DialectError


def renamed(body: bytes, key: str, name: str, asked: str) -> bytes:
    """A whole answer with `asked` in the place of its model's `name`, which stands at `key` of its object."""
    token = _quoted(key)
    if body.count(token) == 1:
        for between in (b":", b": "):
            old = token + between + _quoted(name)
            if old in body:
                return body.replace(old, token + between + _quoted(asked))
    try:
        members = members_of(body)
    except DialectError:
        return body
    members[key] = asked
    return joined(members)


class StreamRenamer:
    """Does the same in a stream, frame by frame. The provider's name is read once, in the first frame that has one."""

    __slots__ = ("_asked", "_key", "_new", "_old", "_token")

    def __init__(self, key: str, asked: str) -> None:
        self._key = key
        self._asked = asked
        self._token = _quoted(key)
        self._old = self._new = b""

    def __call__(self, data: bytes) -> bytes:
        """These whole frames, with the name that was asked by."""
        if not self._old and not (self._token in data and self._find(data)):
            return data
        return data.replace(self._old, self._new)

    def _find(self, data: bytes) -> bool:
        for found in _DATA.finditer(data):
            name = self._name(found[1])
            if not name:
                continue
            said = re.search(re.escape(self._token) + rb"\s*:\s*" + re.escape(_quoted(name)), data)
            if said is not None:
                self._old = said[0]
                self._new = said[0].removesuffix(_quoted(name)) + _quoted(self._asked)
                return True
        return False

    def _name(self, payload: bytes) -> str | None:
        """The model's name in a frame: of the answer itself, or of what the frame is about."""
        try:
            value = wire.decode(payload)
        except DialectError:
            return None
        if not isinstance(value, dict):
            return None
        holders = (value, value.get("message"), value.get("response"))
        names = (holder.get(self._key) for holder in holders if isinstance(holder, dict))
        return next((name for name in names if isinstance(name, str) and name), None)


def _quoted(text: str) -> bytes:
    return msgspec.json.encode(text)


_DATA = re.compile(rb"(?:^|\n)data: ?([^\r\n]*)")

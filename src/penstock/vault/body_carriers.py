"""Credentials of somebody else in the body of a request to a bound host, found while the body passes.

Headers and queries lose theirs; a body is not rewritten, so the request is refused, and where a part of it has left
already, the connection is cut before the rest does. Looked at, in bodies of any length, however they are cut:

- **JSON**: members of the outermost object that are called as APIs call a credential (`private_token`, `api_key` ...),
  and strings, at any depth, that are the stub of another secret and nothing else (but for one word: `Bearer`).
- **multipart**: fields of those names, and fields that make the request another method (`_method`).

A stub within a longer text is an alarm and goes on as what it is: a text that opens nothing. Agents print their
environment, and what they printed stands in all that they say to their model from then on. Forms are read whole, by
`inject.py`. Bodies that are compressed, or of another type, are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn, Protocol

from penstock.vault.carriers import FORM_CREDENTIALS, METHOD_OVERRIDE_PARAMETERS
from penstock.vault.rules import Binding
from penstock.vault.values import Refusal, RequestHead

IsStub = Callable[[bytes], bool]
"""Whether some bytes are the stub of another secret than the binding's."""

JSON_CREDENTIALS = FORM_CREDENTIALS - {"token"}
"""`token` in JSON is most often data: what is to be checked, revoked or notified."""

LONGEST_STRING = 16 * 1024
"""Bytes of a string of which more is not compared: stubs are shorter."""
_INSIDE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_AT_THE_TOP = re.compile(rb'["{}\[\]:]')
_DEEPER = re.compile(rb'["{}\[\]]')
_NAMES = b"|".join(re.escape(name.encode()) for name in sorted(FORM_CREDENTIALS | METHOD_OVERRIDE_PARAMETERS))
_FIELD = re.compile(
    rb"content-disposition:[^\r\n]{0,512}?[;\s]name\*?\s*=\s*(?:[\w-]*'[\w-]*')?\"?\s*(" + _NAMES + rb")\s*[\";\r\n]",
    re.IGNORECASE,
)
_LONGEST_FIELD = 1024


class Carriers(Protocol):
    """Reads along a body."""

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Raises Refusal: `foreign_credential`; these bytes must not leave."""


def carriers_of(head: RequestHead, binding: Binding, is_stub: IsStub) -> Carriers | None:
    """Return what reads along the body of a request with this binding, by the type that it is said to have."""
    declared = " ".join(head.values("content-type")).lower()
    if "json" in declared:
        return JsonCarriers(is_stub, binding.slot.name if binding.slot.kind == "json" else "")
    return MultipartCarriers() if "multipart/" in declared else None


class JsonCarriers:
    """Reads along JSON: a reader of quotation marks and brackets, which a document of any size cannot wear out.

    Args:
        is_stub: as above.
        own: the pointer of the slot, where our own credential stands; "" where it is elsewhere.
    """

    def __init__(self, is_stub: IsStub, own: str = "") -> None:
        self._is_stub = is_stub
        self._names = JSON_CREDENTIALS - {own[1:].replace("~1", "/").replace("~0", "~").lower()}
        self._depth = 0
        self._string: bytearray | None = None
        self._is_escaped = False
        self._last = b""

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Raises Refusal: `foreign_credential`."""
        at = 0
        while at < len(data):
            at = self._outside(data, at) if self._string is None else self._inside(data, at, self._string)

    def _outside(self, data: bytes, at: int) -> int:
        """Go to the next mark, and heed it."""
        found = (_AT_THE_TOP if self._depth == 1 else _DEEPER).search(data, at)
        if found is None:
            return len(data)
        mark = found[0]
        if mark == b'"':
            self._string = bytearray()
        elif mark == b":":
            self._check_name()
        else:
            self._depth += 1 if mark in b"{[" else -1
            self._last = b""
        return found.end()

    def _inside(self, data: bytes, at: int, string: bytearray) -> int:
        """Go to the end of a string, or of what there is of it."""
        if self._is_escaped:
            self._is_escaped = False
            string += data[at : at + 1]
            return at + 1
        found = _INSIDE.match(data, at)
        end = found.end() if found is not None else at
        string += data[at : min(end, at + LONGEST_STRING - len(string))]
        if end == len(data):
            return end
        if data[end] == 0x22:
            self._close(bytes(string))
        else:  # a backslash, and nothing behind it yet
            self._is_escaped = True
            string += b"\\"
        return end + 1

    def _close(self, string: bytes) -> None:
        self._string = None
        self._last = _unescaped(string.replace(b"\0", b""))  # some parsers take UTF-16 for JSON as well
        if self._is_stub(self._last.rpartition(b" ")[2]):
            _refuse("a string of its JSON is the stub of another secret")

    def _check_name(self) -> None:
        name = self._last.decode("utf-8", "replace").strip().lower()
        if name in self._names:
            _refuse(f"its JSON has a member `{name}`")
        self._last = b""


class MultipartCarriers:
    """Reads along a multipart body: the heads of its parts, wherever the body is cut."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Raises Refusal: `foreign_credential`."""
        window = self._tail + data
        found = _FIELD.search(window)
        if found is not None:
            _refuse(f"its form has a field `{found[1].decode().lower()}`")
        self._tail = window[-_LONGEST_FIELD:]


def _unescaped(string: bytes) -> bytes:
    if b"\\" not in string:
        return string
    try:
        text: str = json.loads(b'"%b"' % string, strict=False)
    except ValueError:
        return string
    return text.encode("utf-8", "surrogatepass")


def _refuse(reason: str) -> NoReturn:
    raise Refusal(
        "foreign_credential",
        f"On a bound host a request carries one credential, in its slot: {reason}.",
        fix="Take it out, or bind the secret to that place.",
    )

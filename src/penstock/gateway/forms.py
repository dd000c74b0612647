"""Forms: multipart/form-data as it comes in (RFC 7578). Fields are found where they stand, and one may be replaced;
files
stay the bytes that they are.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping

from msgspec import Struct

from penstock.types.errors import MalformedError

MOST_PARTS = 1000
LONGEST_HEAD = 8192
_BOUNDARY = re.compile(r'boundary="?([^\s";]{1,70})"?', re.IGNORECASE)
_NAME = re.compile(rb'[\s;]name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILE = re.compile(rb"[\s;]filename\*?=", re.IGNORECASE)


class Field(Struct, frozen=True):
    """One part: its name, where it begins (with its delimiter), and where its content stands. `file`: it is one."""

    name: str
    begin: int
    start: int
    end: int
    file: bool


class Form:
    """A form. Raises MalformedError for a body that is none."""

    def __init__(self, body: bytes, content_type: str) -> None:
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise MalformedError("the form's content type names no boundary")
        self.body = body
        self._delimiter = b"--" + found[1].encode("latin-1")
        self.fields = tuple(_fields(body, self._delimiter))

    def text(self, name: str) -> str | None:
        """The content of the field of this name, as text; of several, the last."""
        for field in reversed(self.fields):
            if field.name == name and not field.file:
                return self.body[field.start : field.end].decode("utf-8", "replace")
        return None

    def size(self) -> int:
        """Bytes of its files."""
        return sum(field.end - field.start for field in self.fields if field.file)

    def with_texts(self, texts: Mapping[str, str]) -> bytes:
        """The form with another content of the field `model` (or what else must differ), and with those that it lacks.

        A field that stands in the form keeps the client's content, but for `model`.
        """
        there = {field.name for field in self.fields if not field.file}
        pieces, at = [], 0
        for field in self.fields:
            if field.name == "model" and not field.file and "model" in texts:
                pieces += [self.body[at : field.start], texts["model"].encode()]
                at = field.end
        rest = self.body[at:]
        missing = {name: text for name, text in texts.items() if name not in there}
        if missing:
            end = rest.rfind(self._delimiter + b"--")
            added = b"".join(
                b'%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
                % (self._delimiter, _quoted(name), text.encode())
                for name, text in missing.items()
            )
            rest = rest[:end] + added + rest[end:]
        return b"".join([*pieces, rest])

    def without(self, names: Container[str]) -> bytes:
        """The form without the fields of these names (files stay)."""
        pieces, at = [], 0
        for field in self.fields:
            if field.name in names and not field.file:
                pieces.append(self.body[at : field.begin])
                at = field.end + 2  # the line break before the next delimiter
        return b"".join([*pieces, self.body[at:]])


def _quoted(name: str) -> bytes:
    return name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode()


def _fields(body: bytes, delimiter: bytes) -> Iterator[Field]:
    at, count = body.find(delimiter), 0
    while at >= 0:
        begin = at
        at += len(delimiter)
        if body[at : at + 2] == b"--":
            return
        head = body.find(b"\r\n", at)
        end_of_head = body.find(b"\r\n\r\n", at, at + LONGEST_HEAD)
        if head < 0 or end_of_head < 0:
            raise MalformedError("the form is cut off in the head of a part")
        end = body.find(b"\r\n" + delimiter, end_of_head + 2)
        if end < 0:
            raise MalformedError("the form is cut off: its last boundary is missing")
        lines = body[head:end_of_head]
        name = _NAME.search(lines)
        if name is None:
            raise MalformedError("a part of the form has no name")
        count += 1
        if count > MOST_PARTS:
            raise MalformedError(f"a form may have {MOST_PARTS} parts at most")
        start = min(end_of_head + 4, end)
        yield Field(name[1].decode("utf-8", "replace"), begin, start, end, _FILE.search(lines) is not None)
        at = end + 2
    if count == 0:
        raise MalformedError("the form has no parts")
    raise MalformedError("the form is cut off: its last boundary is missing")

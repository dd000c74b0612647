"""Rows of the audit log, and the record of where it ends: what is written, and how an authentic one looks.

`audit.py` appends them to files; nothing here touches a disk.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from penstock.vault.values import Refusal

MAX_TEXT = 2000
"""Characters of one text in a row; what is longer is cut, and says so."""
SLOT_SIZE = 128
"""Bytes of one slot of the head."""
GENESIS = bytes(32)
"""What the first row follows."""

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OWN = frozenset({"seq", "time", "prev", "hash"})
_TAIL = len(',"hash":""}\n') + 64
_SLOT = struct.Struct("<8sQQQ32s")
_MAGIC = b"pstkaud1"


class Head(NamedTuple):
    """Where the chain ends: the last row's number and hash, the file that it is in, and that file's size after it."""

    seq: int = 0
    file: int = 1
    size: int = 0
    hash: bytes = GENESIS


class BadRowError(Exception):
    """A row that is not what was written: why, its number as it should be, and the file."""

    def __init__(self, reason: str, seq: int, file: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seq = seq
        self.file = file


def file_name(number: int) -> str:
    """Return the name of the log's file `number`, from 1."""
    return f"audit-{number:08}.jsonl"


def without_values(target: str) -> str:
    """Return a request target with the names of its query and none of the values: `/a?key=v&x` is `/a?key=&*`."""
    path, mark, query = target.partition("?")
    if not mark:
        return target
    parts = (name + equals if equals else "*" for name, equals, _ in (part.partition("=") for part in query.split("&")))
    return f"{path}?{'&'.join(parts)}"


def fields_of(event: Mapping[str, object]) -> dict[str, Any]:
    """Return the fields of a row. Raises ValueError: the event cannot be one."""
    fields: dict[str, Any] = {}
    for key, value in event.items():
        if key in _OWN or not _FIELD.fullmatch(key):
            raise ValueError(f"no name of an event's field: {key[:40]!r}")
        fields[key] = _plain(key, value)
    if isinstance(fields.get("path"), str):
        fields["path"] = without_values(fields["path"])
    return fields


def _plain(key: str, value: object) -> object:
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace").decode()
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "[cut]"
    if isinstance(value, list | tuple):
        return [_plain(key, item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(f"{key}: a row holds texts, numbers and lists of them, not {type(value).__name__}")


def each_text(value: Any, redact: Callable[[str], str]) -> Any:
    """Return a value with every text in it replaced by what `redact` makes of it."""
    if isinstance(value, str):
        return redact(value)
    return [each_text(item, redact) for item in value] if isinstance(value, list) else value


def shortened(text: str) -> str:
    """Return what is left of a text in a row that is too long: a client must not be able to prevent the row."""
    return text if len(text) <= 100 else text[:100] + "[cut]"


def check_line(key: bytes, prev: bytes, seq: int, line: bytes) -> tuple[int, bytes]:
    """Return the number and the hash of a line that is row `seq` and follows `prev`.

    Raises:
        Refusal: `audit_tampered`.
    """
    text, tail = line[:-_TAIL], line[-_TAIL:]
    digest = hmac.digest(key, prev + text, "sha256")
    if not hmac.compare_digest(tail, b',"hash":"%b"}\n' % digest.hex().encode()):
        raise tampered(f"row {seq} does not fit the row before it")
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        found = {}
    if found.get("seq") != seq or found.get("prev") != prev.hex():
        raise tampered(f"row {seq} does not bear its number")
    return seq, digest


def start_of(line: bytes, name: str) -> tuple[int, bytes]:
    """Return what a file that is not the first says of the row before it; its own hash binds that.

    Raises:
        BadRowError: it says nothing.
    """
    try:
        row = msgspec.json.decode(line)
        return int(row["seq"]) - 1, bytes.fromhex(row["prev"])
    except (msgspec.DecodeError, ValueError, KeyError, TypeError):
        raise BadRowError("the first row cannot be read", 1, name) from None


def slot_of(key: bytes, head: Head) -> bytes:
    """Return the slot that says where the log ends, authenticated."""
    packed = _SLOT.pack(_MAGIC, *head)
    return (packed + hmac.digest(key, b"head" + packed, "sha256")).ljust(SLOT_SIZE, b"\0")


def _read_slot(key: bytes, slot: bytes) -> Head | None:
    packed, tag = slot[: _SLOT.size], slot[_SLOT.size : _SLOT.size + 32]
    if len(slot) < SLOT_SIZE or not hmac.compare_digest(tag, hmac.digest(key, b"head" + packed, hashlib.sha256)):
        return None
    _, *fields = _SLOT.unpack(packed)
    return Head(*fields)


def read_head(key: bytes, slots: bytes) -> tuple[Head | None, bool]:
    """Return the newer of the two slots, and whether the other is not what it should be: the row before."""
    found = [_read_slot(key, slots[place : place + SLOT_SIZE]) for place in (0, SLOT_SIZE)]
    heads = sorted(head for head in found if head is not None)
    if not heads:
        return None, False
    newest = heads[-1]
    return newest, newest.seq > 1 and (len(heads) < 2 or heads[0].seq != newest.seq - 1)


def tampered(what: str) -> Refusal:
    """Return the refusal of a log that somebody changed; `what` says where that shows."""
    fix = "`penstock vault audit verify` says more. Keep the directory as evidence, and begin with a new one."
    return Refusal("audit_tampered", f"The audit log was changed from outside: {what}.", fix=fix, status=503)

"""The resolver of a sandbox: it answers permitted names with addresses that mean nothing outside, and asks nobody.

In transparent mode a program resolves a name before it connects. It gets a stand-in, an address of 198.18.0.0/16 (RFC
2544: never routed), and the vault maps the stand-in back to the name when the connection arrives. No question ever
leaves the machine, so names carry nothing out. The vault resolves the real name by itself, once it is asked to
connect.

    A of a permitted name           the stand-in, the same for as long as the session lasts
    any other type of such a name   an empty answer: no IPv6, and no HTTPS or SVCB record (these would bring ECH keys)
    any other name                  NXDOMAIN
    not a question                  FORMERR, or nothing at all when it is shorter than a header or is itself an answer

The parser is strict: one question, class IN, no compression, nothing but one OPT record behind it, no byte left over.
Pure: bytes in, bytes out. Stand-ins are given in turn, and one that was given up (LIMIT) comes around after all
others only.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from penstock.vault import names
from penstock.vault.values import Refusal

LIMIT = 4096
"""Names of one session that have a stand-in at the same time; the one that was asked for least recently goes."""
TTL = 30
"""Seconds for which a program may keep an answer."""
MAX_QUERY = 4096
UDP_SIZE = 1232
"""What we say that we take by UDP (EDNS): no answer of ours is longer than a question and 27 bytes."""

A, OPT, IN = 1, 41, 1
NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 3, 4, 5, 16

_HEADER = struct.Struct("!6H")
_PER_BLOCK = 254
_STAND_INS = 256 * _PER_BLOCK
"""198.18.x.1 to 198.18.x.254: some programs take .0 and .255 for networks and broadcasts."""


class _Question(NamedTuple):
    name: str
    type: int
    klass: int
    raw: bytes
    edns: int | None
    """Version of EDNS, when the query has an OPT record."""


class _MalformedError(Exception):
    pass


class Names:
    """The names of one session, and their stand-ins.

    Args:
        permits: says whether a canonical name may be asked for: whether any rule or binding is for it.
        limit: see LIMIT.
    """

    def __init__(self, permits: Callable[[str], bool], *, limit: int = LIMIT) -> None:
        self._permits = permits
        self._limit = min(limit, _STAND_INS)
        self._addresses: OrderedDict[str, str] = OrderedDict()
        self._names: dict[str, str] = {}
        self._next = 0

    def answer(self, query: bytes) -> bytes:
        """Return the answer to one DNS message, without the length that goes before it over TCP. Empty: say nothing."""
        if len(query) < _HEADER.size or len(query) > MAX_QUERY or query[2] & 0x80:
            return b""
        if query[2] & 0x78:
            return _reply(query, None, NOTIMP)
        try:
            question = _parse(query)
        except _MalformedError:
            return _reply(query, None, FORMERR)
        if question.edns:
            return _reply(query, question, BADVERS)
        if question.klass != IN:
            return _reply(query, question, REFUSED)
        return self._answer(query, question)

    def name_of(self, address: str) -> str | None:
        """Return the name that a stand-in was given to, or None."""
        return self._names.get(address)

    def address_of(self, name: str) -> str:
        """Return the stand-in of a name (canonical), giving it one."""
        address = self._addresses.get(name)
        if address is None:
            address = self._free()
            self._addresses[name] = address
            self._names[address] = name
        self._addresses.move_to_end(name)
        if len(self._addresses) > self._limit:
            _, gone = self._addresses.popitem(last=False)
            del self._names[gone]
        return address

    def _answer(self, query: bytes, question: _Question) -> bytes:
        try:
            name = names.canonical_host(question.name)
        except Refusal:
            return _reply(query, question, NXDOMAIN)
        if names.is_address(name) or not self._permits(name):
            return _reply(query, question, NXDOMAIN)
        return _reply(query, question, NOERROR, self.address_of(name) if question.type == A else None)

    def _free(self) -> str:
        while True:
            block, host = divmod(self._next, _PER_BLOCK)
            self._next = (self._next + 1) % _STAND_INS
            address = f"198.18.{block}.{host + 1}"
            if address not in self._names:
                return address


# -- messages: pure (RFC 1035; RFC 6891 for OPT) ----------------------------------------------------------------------


def _parse(query: bytes) -> _Question:
    _, _, questions, answers, authorities, additional = _HEADER.unpack_from(query)
    if (questions, answers, authorities) != (1, 0, 0) or additional > 1:
        raise _MalformedError
    name, place = _name(query, _HEADER.size)
    if len(query) < place + 4:
        raise _MalformedError
    kind, klass = struct.unpack_from("!2H", query, place)
    raw, rest = query[_HEADER.size : place + 4], query[place + 4 :]
    if rest and not additional:
        raise _MalformedError
    return _Question(name, kind, klass, raw, _edns(rest) if additional else None)


def _name(query: bytes, place: int) -> tuple[str, int]:
    """Read the name at `place`: labels only, for there is nothing before it that it could point to."""
    labels: list[str] = []
    start = place
    while True:
        length = query[place] if place < len(query) else 255
        if length > 63 or place - start > 254:
            raise _MalformedError
        place += 1
        if length == 0:
            return ".".join(labels), place
        label = query[place : place + length]
        if len(label) < length or b"." in label:
            raise _MalformedError
        labels.append(label.decode("latin-1"))
        place += length


def _edns(record: bytes) -> int:
    """Return the version of the OPT record that is all of `record`."""
    if len(record) < 11 or record[0] != 0:
        raise _MalformedError
    kind, _, _, version, _, length = struct.unpack_from("!HHBBHH", record, 1)
    if kind != OPT or len(record) != 11 + length:
        raise _MalformedError
    return int(version)


def _reply(query: bytes, question: _Question | None, code: int, address: str | None = None) -> bytes:
    """Build the answer: same identity and question; recursion "available", or clients would look for another server."""
    edns = question is not None and question.edns is not None
    flags = 0x8080 | (int.from_bytes(query[2:4], "big") & 0x7900) | (code & 0x0F)
    counts = (int(question is not None), int(address is not None), 0, int(edns))
    message = query[:2] + struct.pack("!5H", flags, *counts)
    if question is not None:
        message += question.raw
    if address is not None:
        octets = bytes(int(part) for part in address.split("."))
        message += struct.pack("!HHHIH", 0xC000 | _HEADER.size, A, IN, TTL, 4) + octets
    if edns:
        message += struct.pack("!BHHBBHH", 0, OPT, UDP_SIZE, code >> 4, 0, 0, 0)
    return message

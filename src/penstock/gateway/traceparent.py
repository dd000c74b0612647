"""W3C trace context: the headers `traceparent` and `tracestate`, read and written. Pure.

    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
                 version, trace, span of the caller, flags; all in small hexadecimal digits

Rules: https://www.w3.org/TR/trace-context-2/. A header that breaks them is as if it were not there, and `tracestate`
with it. A version that we do not know is read as far as we know it. Of the flags we pass on those that are defined:
sampled, and that the trace id is random.
"""

from __future__ import annotations

import re

from msgspec import Struct

SAMPLED = 0x01
RANDOM = 0x02

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MEMBERS_AT_MOST = 32


class Parent(Struct, frozen=True):
    """Who calls: its trace (32 digits), its span (16 digits), the flags, and `tracestate` as it goes on ("": none)."""

    trace_id: str
    span_id: str
    flags: int
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether the caller records its part."""
        return bool(self.flags & SAMPLED)


def parent_of(traceparent: str, tracestate: str = "") -> Parent | None:
    """What the two headers say; None where `traceparent` is missing or says nothing that is allowed. Several headers
    `tracestate` are joined by commas before.
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return Parent(trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM), state_of(tracestate))


def state_of(tracestate: str) -> str:
    """The header in its one spelling; "" where it is empty or breaks the rules."""
    members = [member for part in tracestate.split(",") if (member := part.strip(" \t"))]
    keys = [member.partition("=")[0] for member in members]
    whole = all(_MEMBER.fullmatch(member) for member in members)
    return ",".join(members) if whole and len(set(keys)) == len(keys) <= _MEMBERS_AT_MOST else ""


def traceparent(trace_id: str, span_id: str, flags: int) -> str:
    """The header that names this span as the caller."""
    return f"00-{trace_id}-{span_id}-{flags:02x}"

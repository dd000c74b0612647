"""What families of probes have in common: how a probe of some kind is written, and expectations of more than one."""

from __future__ import annotations

from collections.abc import Callable

from penstock.redteam.expect import nothing_sent, replies, untouched
from penstock.redteam.outside import Field, hold
from penstock.redteam.probe import Code, Expect, Outside, Phase, Probe, Seen, Where

EVIL = "@EVIL@"
"""The attacker's host, another one for each probe."""
Encode = Callable[[bytes], bytes]


def code(row: str, name: str, tries: str, source: str, expect: Expect, where: Where = "agent") -> Probe:
    """Return a probe that is a Python program inside."""
    return Probe(id=f"{row}.{name}", row=row, tries=tries, attack=Code(source), expect=expect, where=where)


def look(row: str, name: str, tries: str, look: Callable[[Field], str], phase: Phase = "revoked") -> Probe:
    """Return a probe that looks from outside."""
    return Probe(id=f"{row}.{name}", row=row, tries=tries, attack=Outside(look), phase=phase)


def nowhere(seen: Seen) -> str:
    """Refused in whatever way, and nobody was asked anything, nor was the attacker's host connected to."""
    if replies(seen) and not any(reply.refusal for reply in replies(seen)):
        return f"it was answered with {replies(seen)[-1].status}"
    if not (replies(seen) or seen.back.error or seen.back.ended):
        return "it was neither refused nor closed"
    return nothing_sent(seen) or untouched(seen)


def whole(seen: Seen) -> str:
    """A whole response came back."""
    return "" if any(reply.complete and reply.status == 200 for reply in replies(seen)) else "no whole response came"


def no_leak(field: Field, where: str, data: bytes) -> str:
    """Say how much was looked through; hold that no canary stands in it."""
    way = field.leak_in(data)
    hold(not way, f"a canary stands {where} ({way})")
    return f"{len(data):,} bytes, no canary"


def brotli(data: bytes) -> bytes:
    """Compress."""
    import brotli  # type: ignore[import-untyped]

    return bytes(brotli.compress(data))


def zstd(data: bytes) -> bytes:
    """Compress, with a checksum: without one, wrong bytes may decode to other bytes."""
    import zstandard

    return zstandard.ZstdCompressor(write_checksum=True).compress(data)

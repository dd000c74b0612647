"""Whether an agent goes in circles. Pure: a fold over its tool calls and their results.

Cheap rules, which need no model, over the calls of one turn:

    repeats   the same tool with the same arguments, so many times in a row (`Limits.repeats`, 5 unless said otherwise)
    cycle     two, three or four calls in the same order again and again, each with the same result as before:
              `repeats` rounds of them
    failing   `FAILURES` results in a row that are errors, whatever was called

A call whose result differs from the last time is progress (polling a build is no loop), so `repeats` counts only calls
with equal results, or with none yet. Arguments are equal when their JSON is, in whatever order its fields stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from penstock.agents.events import Payload, ToolCall, ToolResult, UserMessage

REPEATS = 5
"""Times in a row, where a session's limits say nothing."""
FAILURES = 20
"""Failed calls in a row."""
LONGEST_CYCLE = 4
_KEPT = 64 * LONGEST_CYCLE

_encoder = msgspec.json.Encoder(order="deterministic")


class Step(Struct, frozen=True):
    """One call: digests of tool with arguments, and of the result ("" while there is none)."""

    call: str
    asked: str
    result: str = ""


class Trail(Struct, frozen=True):
    """The last calls of a turn, and how many of the last results in a row were errors."""

    steps: tuple[Step, ...] = ()
    failures: int = 0


def walked(trail: Trail, payload: Payload) -> Trail:
    """The trail after one more event. A user's message begins a new one."""
    if isinstance(payload, UserMessage):
        return Trail()
    if isinstance(payload, ToolCall):
        asked = _digest(payload.name.encode(), _encoder.encode(payload.arguments))
        return Trail((*trail.steps, Step(payload.call, asked))[-_KEPT:], trail.failures)
    if isinstance(payload, ToolResult):
        result = _digest(b"error" if payload.is_error else b"ok", payload.output.encode())
        steps = tuple(
            Step(step.call, step.asked, result) if step.call == payload.call and not step.result else step
            for step in trail.steps
        )
        return Trail(steps, trail.failures + 1 if payload.is_error else 0)
    return trail


def found(trail: Trail, repeats: int | None = None) -> str | None:
    """What kind of circle the agent goes in, as a sentence for people; None: none that these rules know. 0: look for
    none.
    """
    most = REPEATS if repeats is None else repeats
    if not most:
        return None
    if trail.failures >= FAILURES:
        return f"{trail.failures} tool calls in a row have failed"
    for length in range(1, LONGEST_CYCLE + 1):
        if _goes_round(trail.steps, length, max(most, 2)):
            what = "the same tool call" if length == 1 else f"the same {length} tool calls"
            return f"{what} {max(most, 2)} times in a row, with the same results"
    return None


def _goes_round(steps: Sequence[Step], length: int, rounds: int) -> bool:
    """Whether the last steps are `rounds` times the same `length`. The last call may still wait for its result."""
    last = steps[-length * rounds :]
    if len(last) < length * rounds:
        return False
    return all(_equal(last[at], last[at + length]) for at in range(len(last) - length))


def _equal(earlier: Step, later: Step) -> bool:
    return earlier.asked == later.asked and (earlier.result == later.result or not later.result)


def _digest(*parts: bytes) -> str:
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()

"""Response: what a model answered, whole.

`Choice.stop_reason` is the unified word, `stop_native` the provider's own, kept beside it: the unified one is for
programs that treat all models alike, the native one loses nothing (Anthropic `pause_turn`, Gemini
`MALFORMED_FUNCTION_CALL`).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from penstock.types.content import Extras, Part
from penstock.types.usage import Usage

StopReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"]
"""stop: a natural end or a stop sequence; length: a token limit; tool_calls: the caller must run tools; content_filter:
the provider withheld or cut the answer; refusal: the model declined; pause: a long server-side turn to be continued;
error: the provider failed midway."""


class Choice(Struct, frozen=True):
    """One of the alternatives of a response (nearly always the only one)."""

    parts: tuple[Part, ...] = ()
    stop_reason: StopReason | None = None
    stop_native: str | None = None
    stop_sequence: str | None = None
    index: int = 0
    native: str | None = None
    extras: Extras = None


class Response(Struct, frozen=True, kw_only=True):
    """A complete answer. `created` is in Unix seconds. `dialect` is the wire format that `extras` everywhere below
    belong to.
    """

    dialect: str
    id: str | None = None
    model: str | None = None
    created: int | float | None = None
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    service_tier: str | None = None
    native: str | None = None
    extras: Extras = None

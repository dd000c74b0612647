"""ChatSurface: what the data plane must know of an inbound chat dialect, beside the dialect itself.

The dialect parses and renders; this says how its requests and answers are read without being parsed. One file a dialect
beside this one gives the value; `table.py` lists them.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from penstock.dialects.dialect import Dialect, PathMatch
from penstock.gateway.relay import Members, Peeked
from penstock.gateway.tap import Marks


class Quick(Struct):
    """The counts of an answer whose usage has nothing else in it, read without parsing the answer."""

    input: int
    cached: int
    output: int
    reasoning: int | None
    finish_reason: str | None
    response_id: str | None
    model: str | None
    service_tier: str | None = None


class ChatSurface(Struct, frozen=True):
    """An inbound chat dialect.

    id_prefix  how the ids of answers begin, for answers that bring none
    peek       (members of the body, what the path says) -> Peeked. Raises MalformedError
    quick      whole answer -> Quick, or None where it must be parsed
    marks      of its streams
    cap        (members, tokens, the host's word for the limit): let no more tokens come out
    count      members: ask for a stream's usage, where the client did not; None: streams always tell it
    names_model_in_body   False: the path names it
    keeps      providers keep its answers, which can be asked for by their ids
    continues  the members that name what the provider keeps of a conversation: no other dialect can say them
    reasoning  the members that ask a model to reason: not sent to one that cannot
    model_key  where its answers name their model
    prefers    speak this dialect to hosts that know several, because a host says less in Chat Completions than in its
               own format, and not less in this one
    """

    dialect: Dialect
    id_prefix: str
    peek: Callable[[Members, PathMatch], Peeked]
    quick: Callable[[bytes], Quick | None]
    marks: Marks
    cap: Callable[[Members, int, str | None], None]
    count: Callable[[Members], None] | None = None
    names_model_in_body: bool = True
    prefers: bool = True
    keeps: bool = False
    continues: tuple[str, ...] = ()
    reasoning: frozenset[str] = frozenset()
    model_key: str = "model"

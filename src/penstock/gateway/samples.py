"""Sample: what is known of a request when it is over, filled in while it runs. Also its line in the log.

One mutable value a request, so that nothing has to be put together at its end: each stage writes what it learns, and
`Observer.request` (observe.py) reads it once for metrics, log and trace. The fields stand in the order of the log's
line and bear its names; what is absent there was zero, false or unknown.

What callers or providers wrote is only in fields that say so (`requested`, `end_user`, `tags`, `provider_message` ...);
the log takes secrets out of them, and `provider_message` goes nowhere unless prompts are kept, for providers quote
them.
"""

from __future__ import annotations

from msgspec import Struct


class RequestSample(Struct, omit_defaults=True, gc=False, tag_field="event", tag="request"):
    """A request, from its first byte to its answer's last.

    time, level       written by the log: when it ended (RFC 3339, UTC); warning (status 400 and above), error (500 and
                      above) or else info, as also for a client that left
    call_id           32 hex digits, also in `x-penstock-call-id`
    surface           its inbound shape: "openai_chat", "anthropic_messages", "embedding" ...: never a caller's word
    operation         what was asked for: "chat", "embedding" ...
    method, path      as they came, without the query (it may hold a key)
    status            what the client was answered; 0: it left before it was
    outcome           success, failure, cancelled (the client left), broken (cut in mid-answer), refused (nobody was
                      asked)
    error, message    the error's kind, and why, in Penstock's own words
    provider_message  and in the provider's
    key_id, key_alias  who called: the SHA-256 of the key, and its name. Never the key
    client            address that it came from
    requested         the model as the caller named it
    model_group       the group that it came to; "" where none is so called, whatever the caller wrote
    deployment, provider, model   of the attempt that answered, or else of the last
    stream            whether a stream was asked for
    *_tokens, cost    of all attempts; cost in US dollars, as exact decimal text. None: unknown
    estimated         the tokens are an estimate of ours
    cache             "hit", "miss", or None: it was not asked
    seconds           all of it; `first_token` until the first piece of the answer; `overhead` what Penstock itself
                      added; `queued` what it waited for capacity (None: it did not have to)
    attempts, fallbacks  how often a provider was asked, and how often another group
    finish_reason, response_id   of the answer
    notes             what translation dropped, weakened or changed
    route             why it went where it went
    tags, end_user, session    as the caller said
    trace_id, span_id, parent_span_id   of its trace (W3C), where there is one
    cut               something was left out, for the line was too long
    """

    time: str = ""
    level: str = ""
    call_id: str = ""
    surface: str = ""
    operation: str = ""
    method: str = ""
    path: str = ""
    status: int = 0
    outcome: str = ""
    error: str | None = None
    message: str | None = None
    provider_message: str | None = None
    key_id: str | None = None
    key_alias: str | None = None
    client: str | None = None
    requested: str = ""
    model_group: str = ""
    deployment: str = ""
    provider: str = ""
    model: str = ""
    stream: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    cost: str | None = None
    cache: str | None = None
    seconds: float = 0.0
    first_token: float | None = None
    overhead: float = 0.0
    queued: float | None = None
    attempts: int = 0
    fallbacks: int = 0
    finish_reason: str | None = None
    response_id: str | None = None
    notes: tuple[str, ...] = ()
    route: str | None = None
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    session: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    cut: bool = False

"""Records: what a worker writes into its journal about each call, and the control plane reads into the ledger.

A call that is sent leaves `Opened` before its bytes do, and `Closed` before the last byte of the answer goes to the
client; each further attempt leaves the same two. `Closed.last` says that with it the request is over: what nearly
every call comes to, in two records. A request that ends in an error leaves `Ended` (after its attempts, or with none:
refused by a limit, a guard, an empty group). Whoever presents no valid key leaves nothing but a count in the metrics.

So an `Opened` without a `Closed` in the journal of a worker that is dead was cut off by its death: it may have been
billed, and its reservation is what it may have cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from penstock.types.usage import Usage

Amount = tuple[str, int]
"""A quota's name, and how much of it."""


class Opened(Struct, frozen=True, array_like=True, gc=False, tag="o"):
    """A request is about to be sent to a provider.

    call_id     names the request: 32 hex digits, also in `x-penstock-call-id`
    attempt     1, 2 ... within the call
    at          Unix seconds at which this attempt began; `started` those at which the request came
    principal   id of who calls; `operation` what is asked for ("chat", "embedding" ...) at `path`
    requested   the model as the client named it; `group` the model group; `deployment` the id of who is asked
    provider, model   whom that is
    stream      whether a stream was asked for
    reserved    what was reserved for this attempt, of quotas that are settled afterwards
    facts       what else the ledger's row shall say: tags, end_user, session, requester (address), trace, route ...
    """

    call_id: str
    attempt: int
    at: float
    started: float
    principal: str
    operation: str
    path: str
    requested: str
    group: str
    deployment: str
    provider: str
    model: str
    stream: bool
    reserved: tuple[Amount, ...] = ()
    facts: Mapping[str, Any] = {}


class Closed(Struct, frozen=True, array_like=True, gc=False, tag="c"):
    """An attempt is over.

    at          Unix seconds; `first_token` seconds from its beginning to the first piece of the answer (None: none
                came)
    status      the provider's HTTP status; 0: there was no answer
    outcome     "success", "failure" (error is its kind), "cancelled" (the client left), "broken" (cut in mid-answer)
    usage       what it consumed, as far as anybody said; `estimated`: it is our estimate
    cost        picodollars, rounded up; None: unknown. `cost_text` is the exact amount in US dollars, as decimal text
    settled     what was really used of each quota that was reserved from
    last        with this attempt the request is over, with this outcome
    """

    call_id: str
    attempt: int
    at: float
    first_token: float | None
    status: int
    outcome: str
    error: str | None = None
    message: str | None = None
    usage: Usage | None = None
    estimated: bool = False
    cost: int | None = None
    cost_text: str | None = None
    settled: tuple[Amount, ...] = ()
    last: bool = False
    finish_reason: str | None = None
    response_id: str | None = None
    facts: Mapping[str, Any] = {}


class Ended(Struct, frozen=True, array_like=True, gc=False, tag="e"):
    """A request is over with an error (or was answered without a provider: `outcome` "success", `attempts` 0).

    status      what the client was answered; `error` its kind
    usage       what an answer consumed that no provider gave (of the demo model, of a mock)
    """

    call_id: str
    at: float
    started: float
    principal: str
    operation: str
    path: str
    requested: str
    group: str
    attempts: int
    status: int
    outcome: str
    error: str | None = None
    message: str | None = None
    facts: Mapping[str, Any] = {}
    usage: Usage | None = None


Record = Opened | Closed | Ended

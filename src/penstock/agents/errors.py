"""What the agent platform refuses, as one tree: a stable word, a sentence, what to do, and the status that says whose
turn it is.

    AgentsError                     its status says who acts
    +-- Invalid 400                 the caller: the request says something wrong (`param` names the field)
    +-- Unauthenticated 401         the caller: no token, or none that is good
    +-- Forbidden 403               whoever gives tokens: this one lacks a scope, or may never do this
    +-- NotFound 404                the caller: there is no such thing, or it is somebody else's (nobody can tell which)
    +-- Conflict 409                the caller: it cannot be done now
    |   +-- IllegalTransition       a session in this state does not take this; the message names what it takes
    |   +-- VersionConflict         somebody else has changed it since you read it
    |   +-- ProducerGap             a producer of events left some out
    |   +-- ProducerMismatch        a producer repeats a number with another event
    +-- TooLarge 413                the caller: send less
    +-- KeyReused 422               the caller: an idempotency key stands for one request
    +-- TooMany 429                 the caller: later
    +-- Unavailable 503             the operator: a part of the platform is not there, or starts again
    +-- StoreError 500              the operator: the database

No message holds a secret.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum


class AgentsError(Exception):
    """Something that the platform refuses. `fix` says what to do; `param` names the field or parameter, if one is at
    fault.
    """

    status = 500
    code = "internal_error"

    def __init__(self, message: str, *, fix: str = "", code: str | None = None, param: str | None = None) -> None:
        super().__init__(f"{message}; {fix}" if fix else message)
        self.message = message
        self.fix = fix
        self.param = param
        if code is not None:
            self.code = code


class Invalid(AgentsError):
    """The request says something wrong."""

    status = 400
    code = "invalid_request"


class Unauthenticated(AgentsError):
    """Nobody that we know."""

    status = 401
    code = "unauthenticated"


class Forbidden(AgentsError):
    """Somebody who may not."""

    status = 403
    code = "forbidden"


class NotFound(AgentsError):
    """Not there, or not theirs."""

    status = 404
    code = "not_found"


class Conflict(AgentsError):
    """Not now."""

    status = 409
    code = "conflict"


class IllegalTransition(Conflict):
    """A session in this state does not take this. `legal` is what it takes."""

    code = "illegal_transition"

    def __init__(
        self, state: StrEnum, cause: StrEnum, legal: Iterable[StrEnum], *, commands: Collection[StrEnum] = ()
    ) -> None:
        self.state, self.cause, self.legal = state, cause, tuple(legal)
        named = [each.value for each in self.legal if not commands or cause not in commands or each in commands]
        takes = f"it takes {', '.join(named)}" if named else "it is over and takes nothing; start or fork another"
        super().__init__(f"a session that is {state} takes no {cause}", fix=takes)


class VersionConflict(Conflict):
    """Somebody else was faster."""

    code = "version_conflict"


class ProducerGap(Conflict):
    """A producer's events do not follow upon those that are in the log."""

    code = "producer_gap"


class ProducerMismatch(Conflict):
    """What a producer repeats is not what it said first."""

    code = "producer_mismatch"


class TooLarge(AgentsError):
    """More than a documented cap."""

    status = 413
    code = "too_large"


class KeyReused(AgentsError):
    """An idempotency key that stands for another request already."""

    status = 422
    code = "idempotency_key_reused"


class TooMany(AgentsError):
    """More at once, or in a while, than is allowed."""

    status = 429
    code = "too_many"


class Unavailable(AgentsError):
    """A part of the platform that is not there."""

    status = 503
    code = "unavailable"


class StoreError(AgentsError):
    """The database cannot do this; the message says why, and what to do."""

    code = "store_failed"

"""What a worker's beginning, end and late costs mean to its supervisor's session: an event in its log. Pure.

The store writes that event in the transaction that changes the worker, so a share is set aside exactly while the worker
lives, and whoever follows a supervisor's log sees its team come and go. While a worker lives its costs are within its
share, and nothing has to be said of them.
"""

from __future__ import annotations

from penstock.agents.events import WorkerChanged
from penstock.agents.limits import share, used
from penstock.agents.machine import State
from penstock.agents.types import Amounts, Session


def started(worker: Session) -> WorkerChanged:
    """A worker was made."""
    return WorkerChanged(worker.id, "started", lent=share(worker))


def told(before: Session, after: Session) -> WorkerChanged | None:
    """What a change of a worker's row means to its supervisor; None: nothing."""
    if after.state is not State.TERMINATED:
        return None
    if before.state is not State.TERMINATED:
        return WorkerChanged(after.id, "ended", after.stop_reason, share(after), used(after))
    late = _difference(used(after), used(before))
    return WorkerChanged(after.id, "cost", spent=late) if late != Amounts() else None


def _difference(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(
        dollars=one.dollars - other.dollars,
        tokens=one.tokens - other.tokens,
        requests=one.requests - other.requests,
        bytes_out=one.bytes_out - other.bytes_out,
    )

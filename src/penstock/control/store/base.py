"""Store: what a database must do for the control plane. The contract, and the values that it speaks in.

Every method is one transaction: all of it happened or nothing, whatever is killed. Methods block (they are called from
threads, never from an event loop) and may be called from any thread. tests/contract/store.py is what an implementation
must pass.

The ledger's `commit` is the heart of it: the rows of calls, the spend of keys and how far the journals were read change
together. That is why a keeper can be killed at any instant and neither loses a row nor writes one twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from penstock.control.store.calls import Call
from penstock.control.store.keys import KeyRecord
from penstock.gateway.made import Made

T = TypeVar("T")


class StoreError(Exception):
    """The store cannot do this; the message says why, and what to do."""


class AliasTaken(StoreError):
    """Another key has this alias."""


class KeyExists(StoreError):
    """There is a key with this token already."""


class AnotherReader(StoreError):
    """Somebody else has read on in these journals: two ledgers run on one database."""


class Page(Struct, Generic[T], frozen=True):
    """Some of the rows that were asked for, and how many there are in all."""

    rows: list[T]
    total: int


# -- keys -------------------------------------------------------------------------------------------------------------


class KeyFilter(Struct, frozen=True, kw_only=True):
    """Which keys: those of whom everything that is given holds. `sort_by` is a field of KeyRecord."""

    tokens: tuple[str, ...] | None = None
    key_alias: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    source: str | None = None
    sort_by: str = "created_at"
    descending: bool = True


# -- the ledger -------------------------------------------------------------------------------------------------------


class Position(Struct, frozen=True):
    """How far a segment of a journal was read.

    segment   its random name, hex
    worker, number   whose, and which of theirs
    position  bytes from its beginning; `before` what the store had (0: it did not know the segment)
    """

    segment: str
    worker: str
    number: int
    position: int
    before: int = 0


class Rejected(Struct, frozen=True):
    """A record that no row could be made of: kept as it was, so that nothing is lost while somebody finds out why."""

    worker: str
    payload: bytes
    why: str


def no_pause() -> None:
    """Go on."""


class Batch(Struct):
    """What the ledger writes at once.

    calls      that are over
    under_way  calls that are not: what is known of them, so that another keeper can go on from here
    over       ids of calls that were under way in an earlier batch and are not any more
    positions  how far the journals were read for it
    drained    (worker, money quota) -> what the calls that are over really used of it
    pause      is called every few rows while it is written: others may want the processor
    """

    calls: list[Call] = []
    under_way: list[Call] = []
    over: list[str] = []
    positions: list[Position] = []
    rejected: list[Rejected] = []
    drained: dict[tuple[str, str], int] = {}
    pause: Callable[[], None] = no_pause


class SpendQuery(Struct, frozen=True, kw_only=True):
    """Which requests: those for which everything that is given holds. Times in Unix seconds, `end` excluded.

    api_key  token of a key (SHA-256, hex); `users` any of these
    status   "success" or "failure", as LiteLLM has it
    """

    request_id: str | None = None
    api_key: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    model: str | None = None
    status: str | None = None
    start: float | None = None
    end: float | None = None


class Spent(Struct, frozen=True):
    """Sum of the costs (picodollars) of one day's requests of one key, user and model. `day`: days since 1970."""

    day: int
    api_key: str
    user_id: str | None
    model: str
    cost: int
    requests: int


# -- configuration ----------------------------------------------------------------------------------------------------


class ConfigVersion(Struct, frozen=True):
    """A configuration that was in force: its number, text, when (Unix seconds) and by whom it was applied."""

    version: int
    text: str
    at: float
    by: str


class Store(Protocol):
    """What a database does for the control plane."""

    def close(self) -> None:
        """Close all connections."""
        ...

    # keys

    def add_key(self, key: KeyRecord) -> None:
        """Remember a new key. Raises KeyExists, AliasTaken."""
        ...

    def put_key(self, key: KeyRecord) -> KeyRecord:
        """Remember a key, or, where it is there, all that is said of it but what it has spent, and since when it is
        known. Raises AliasTaken.
        """
        ...

    def key(self, token: str) -> KeyRecord | None:
        """The key with this token."""
        ...

    def keys(self, which: KeyFilter, page: int = 1, size: int = 100) -> Page[KeyRecord]:
        """A page (from 1) of these keys."""
        ...

    def change_key(self, token: str, changes: Mapping[str, Any], *, at: float, by: str | None) -> KeyRecord | None:
        """Change fields of a key; None where there is none. Who sets `spend` begins a new period of its budget.
        Raises AliasTaken, and ValueError for a field that cannot be changed.
        """
        ...

    def replace_key(self, token: str, by_token: str, key_name: str, *, at: float, by: str | None) -> KeyRecord | None:
        """Give a key another secret: everything else stays, and what the old one still comes to is counted with it."""
        ...

    def delete_keys(self, tokens: Sequence[str]) -> list[KeyRecord]:
        """Forget these keys; returns those that were there. Their requests stay in the ledger."""
        ...

    def reset_budgets(self, now: float) -> list[KeyRecord]:
        """Begin new periods of all budgets that are due; returns their keys as they are now."""
        ...

    # the ledger

    def commit(self, batch: Batch) -> None:
        """Write all of it, and add what the calls cost to their keys. A call whose id is taken gets "~" and a number
        after its id; one that no row can be made of is kept among the rejected. Raises AnotherReader.
        """
        ...

    def positions(self) -> list[Position]:
        """How far each known segment was read."""
        ...

    def calls_under_way(self) -> list[Call]:
        """The calls that are not over."""
        ...

    def forget_worker(self, worker: str) -> None:
        """Forget how far this worker's segments were read, and what was drained of it: its journal is gone."""
        ...

    def forget_segments(self, segments: Sequence[str]) -> None:
        """Forget how far these segments were read: their files are gone."""
        ...

    def rejected(self) -> list[Rejected]:
        """Records that no row could be made of."""
        ...

    def spent(self, quota: str) -> int:
        """Picodollars that the ledger counts for this money quota; 0 for one of a past period, or of no key."""
        ...

    def drained_of(self, worker: str, quota: str | None = None) -> dict[str, int]:
        """For each money quota (or this one), what was drained of this worker in its life."""
        ...

    def used_by_dead(self, quota: str, window_start: float, live: Collection[str]) -> int:
        """Units of a key's quota of requests or tokens that workers other than `live` used since `window_start`."""
        ...

    def requests(self, which: SpendQuery, page: int = 1, size: int = 100) -> Page[dict[str, Any]]:
        """A page (from 1) of these requests, the last to begin first, under LiteLLM's names (see spend_logs.py)."""
        ...

    def request_ids(self, which: SpendQuery, page: int = 1, size: int = 100) -> Page[int]:
        """The same page, by numbers that `requests_by_id` takes: whoever wants many rows can read them in slices, and
        has those of one moment, whatever is written meanwhile.
        """
        ...

    def requests_by_id(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """These requests, in this order, without those that were deleted meanwhile."""
        ...

    def request_days(self, which: SpendQuery) -> list[int]:
        """Days (since 1970) on which any of these requests began, in their order."""
        ...

    def spend_by_day(self, which: SpendQuery) -> list[Spent]:
        """What these requests cost, by day, key, user and model; in the order of the days."""
        ...

    def made(self, name: str) -> Made | None:
        """Which deployment made this response, file or batch (by the provider's id of it), and for whom."""
        ...

    def prune(self, before: float, limit: int = 1000) -> int:
        """Delete at most `limit` requests (and their attempts) that began before; returns how many it were."""
        ...

    # configuration

    def add_config(self, text: str, *, at: float, by: str) -> ConfigVersion:
        """Remember a configuration that was applied, under the next number."""
        ...

    def config(self, version: int | None = None) -> ConfigVersion | None:
        """A configuration by its number; None: the last."""
        ...

    def configs(self, limit: int = 100, before: int | None = None) -> list[ConfigVersion]:
        """The last configurations (of those before this version), newest first."""
        ...

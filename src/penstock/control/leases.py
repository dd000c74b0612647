"""Leases, the keeper's side: how much of each quota every worker has. Pure: no I/O, no clock; `tell` and `ask_ledger`
are what it says, `now` (Unix seconds) is what it is told. docs/explanation/leases.md has the argument why it is exact.

For each quota one account, and one inequation, which every grant keeps:

    used by the dead (the ledger says it) + lost in this window + the shares of all workers  <=  limit

A worker's share is all that it was granted and did not give back, whether it is used, reserved or unspent. So the
keeper need not know what workers do with it, and no message in flight can make more of it.

A worker is *loose* (it has a slice, and keeps what is left of it) or *tight* (it has what calls use, and gives back
whatever becomes free). Before a draw is refused, all loose workers are recalled, and are tight from then on: then
nobody has a unit that is not in use. Whoever was refused is *hungry*, and is told when units come back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Any

from msgspec import Struct

from penstock.gateway.lease_words import Draw, Grant, Name, Refusal, Share, Units
from penstock.gateway.principal import Quota

SLICES = 4
"""A slice is what is free, divided by this and by the number of workers."""
RECALL_SECONDS = 0.5
"""How long a worker may take to answer a recall. After that, draws are decided without what it has."""
PARALLEL_RETRY = 1.0
"""Seconds after which somebody who met a limit of parallel requests may come again."""
SWEEP_SECONDS = 30.0


class Question(Struct, frozen=True):
    """To the ledger: how much of `quota` was used since `start` by workers other than `live`?

    Money: the ledger's sum for this quota, less what was drained of the live (store: `spent`, `drained_of`). Requests
    and tokens: `used_by_dead`. `number` tells the newest question about a quota from earlier ones.
    """

    quota: Quota
    start: float
    live: frozenset[str]
    number: int


class Waiting(Struct):
    """A draw that is not answered yet."""

    worker: str
    wanted: int
    least: int


class Account:
    """One quota in one period.

    dead      units that dead workers used, as the ledger says; None: it is not known (nothing is granted then)
    lost      units that died with a worker of this window
    shares    worker -> units; `shared` is their sum
    loose     workers that may have units which they do not use
    recalled  workers that were asked for them and have not answered; `recalled_at` when
    waiting   draws to be answered, in their order
    hungry    refused worker -> the least that it wanted
    """

    __slots__ = (
        "asked",
        "dead",
        "hungry",
        "loose",
        "lost",
        "question",
        "quota",
        "recalled",
        "recalled_at",
        "shared",
        "shares",
        "start",
        "until",
        "waiting",
    )

    def __init__(self, quota: Quota, start: float, until: float, dead: int | None) -> None:
        self.quota = quota
        self.waiting: deque[Waiting] = deque()
        self.question = 0
        self.begin(start, until, dead)

    def begin(self, start: float, until: float, dead: int | None) -> None:
        """Begin a period: nobody has anything."""
        self.start, self.until, self.dead = start, until, dead
        self.asked = False
        self.lost = self.shared = 0
        self.shares: dict[str, int] = {}
        self.loose: set[str] = set()
        self.recalled: set[str] = set()
        self.recalled_at = 0.0
        self.hungry: dict[str, int] = {}

    @property
    def free(self) -> int:
        """Units that nobody has. Below 0: the limit was lowered, or calls used more than they had reserved."""
        return self.quota.limit - (self.dead or 0) - self.lost - self.shared

    def add(self, worker: str, units: int) -> None:
        """Change a worker's share."""
        self.shares[worker] = self.shares.get(worker, 0) + units
        self.shared += units

    def remove(self, worker: str) -> int:
        """Forget a worker; returns its share."""
        share = self.shares.pop(worker, 0)
        self.shared -= share
        self.loose.discard(worker)
        self.recalled.discard(worker)
        self.hungry.pop(worker, None)
        if any(one.worker == worker for one in self.waiting):
            self.waiting = deque(one for one in self.waiting if one.worker != worker)
        return share


class LeaseBook:
    """All accounts.

    tell        (worker, kind, message): say this to a worker, if it is there
    ask_ledger  find the answer to a question, and give it to `ledger_says`, at once or later
    expected    workers that are known to be alive: nothing is granted until each has said hello, or is gone
    now         when the keeper began, Unix seconds
    """

    def __init__(
        self,
        tell: Callable[[str, str, Any], None],
        ask_ledger: Callable[[Question], None],
        expected: Collection[str],
        now: float,
    ) -> None:
        self._tell = tell
        self._ask_ledger = ask_ledger
        self.expected = set(expected)
        self.live: set[str] = set()
        self._began = self._now = self._swept = now
        self._accounts: dict[str, Account] = {}
        self._quotas: dict[str, Quota] = {}
        self._recalling: set[str] = set()
        self._unanswered: set[str] = set()
        self.overdrawn = 0

    # -- who is there -------------------------------------------------------------------------------------------------

    def hello(self, worker: str, shares: Iterable[Share], now: float) -> None:
        """A worker is connected, and says all that it has."""
        now = self._clock(now)
        stranger = worker not in self.live
        self.expected.discard(worker)
        self.live.add(worker)
        for account in self._accounts.values():
            account.remove(worker)
        for share in shares:
            if share.until > now:
                self._note_share(worker, share, now, stranger)
        self._serve_all(now)

    def _note_share(self, worker: str, share: Share, now: float, stranger: bool) -> None:
        account = self._account(share.quota, now)
        if stranger and account.question:  # the ledger was asked when this worker passed for dead
            account.dead, account.asked = None, False
        if account.start == share.start:
            account.add(worker, share.units)
            account.loose.add(worker)
        else:  # the length of the window was changed: what was drawn under the old one counts until this one ends
            account.lost += share.units

    def left(self, worker: str, now: float) -> None:
        """A worker's connection is lost; it may live. What it has stays its own until it says hello, or is `gone`."""
        for account in self._accounts.values():
            account.waiting = deque(one for one in account.waiting if one.worker != worker)
            account.hungry.pop(worker, None)
        self._serve_all(self._clock(now))

    def gone(self, worker: str, now: float) -> None:
        """A worker is dead, and its journal is drained into the ledger: from now on, the ledger speaks for it."""
        now = self._clock(now)
        self.expected.discard(worker)
        self.live.discard(worker)
        for account in self._accounts.values():
            share = account.remove(worker)
            if account.quota.kind == "parallel":
                continue
            if account.quota.kind == "money" or account.dead is None:
                if share or account.dead is None:
                    account.dead, account.asked = None, False
            else:
                account.lost += share
        self._serve_all(now)

    # -- what workers say ---------------------------------------------------------------------------------------------

    def draw(self, worker: str, draw: Draw, now: float) -> None:
        """Calls wait at a worker. It is answered by a grant or a refusal, sooner or later."""
        now = self._clock(now)
        if worker not in self.live:
            return
        account = self._account(draw.quota, now)
        self._take_back(account, worker, draw.start, draw.back)
        account.loose.discard(worker)
        account.hungry.pop(worker, None)
        account.waiting.append(Waiting(worker, draw.wanted, draw.least))
        self._serve(account, now)

    def more(self, worker: str, name: str, now: float) -> None:
        """A worker's units run low: a slice, if there is one, and nothing otherwise."""
        account = self._known(worker, name, self._clock(now))
        if account is None:
            return
        can = not self.expected and account.dead is not None and not account.waiting and not account.hungry
        self._grant(account, worker, self._slice(account.free) if can else 0, tight=False, more=True)

    def back(self, worker: str, units: Units, now: float) -> None:
        """A worker gives back what it does not use."""
        now = self._clock(now)
        account = self._known(worker, units.name, now)
        if account is not None:
            self._take_back(account, worker, units.start, units.units)
            self._serve(account, now)

    def recalled(self, worker: str, units: Units, now: float) -> None:
        """A worker gives back what it did not use, as it was asked to."""
        account = self._known(worker, units.name, self._clock(now))
        if account is not None:
            account.recalled.discard(worker)
            self.back(worker, units, now)

    def charge(self, worker: str, units: Units, now: float) -> None:
        """A call used more than was reserved: it counts, also where it is over the limit."""
        account = self._known(worker, units.name, self._clock(now))
        if account is not None and account.start == units.start:
            account.add(worker, units.units)
            self.overdrawn += units.units

    # -- what the control plane says ----------------------------------------------------------------------------------

    def update(self, quota: Quota, now: float) -> None:
        """This is the quota now: call it whenever a principal is handed out or has changed."""
        now = self._clock(now)
        self._quotas[quota.name] = quota
        account = self._accounts.get(quota.name)
        if account is None or account.quota == quota:
            return
        account.quota = quota
        if account.free < 0:
            self._recall(account, now)
        self._serve(account, now)

    def forget(self, name: str) -> None:
        """No principal has this quota any more. What workers have of it dies with their last calls."""
        self._quotas.pop(name, None)

    def ledger_says(self, question: Question, used: int, now: float) -> None:
        """The answer to a question of `ask_ledger`."""
        now = self._clock(now)
        account = self._accounts.get(question.quota.name)
        if account is None or not account.asked or question.number != account.question:
            return
        self._turn(account, now)
        if account.dead is None and account.start == question.start:
            account.dead, account.asked = used, False
        self._serve(account, now)

    def ledger_failed(self, question: Question) -> None:
        """The ledger could not be read: it is asked again at the next draw or tick. Nothing is granted until then."""
        account = self._accounts.get(question.quota.name)
        if account is not None and question.number == account.question:
            account.asked = False
            self._unanswered.add(question.quota.name)

    def tick(self, now: float) -> None:
        """Some time has passed (call it every 100 ms or so): decide without those that do not answer; sweep."""
        now = self._clock(now)
        for name in list(self._recalling):
            account = self._accounts.get(name)
            if account is None or not account.recalled:
                self._recalling.discard(name)
            elif now >= account.recalled_at + RECALL_SECONDS:
                account.recalled.clear()
                self._serve(account, now)
        unanswered, self._unanswered = self._unanswered, set()
        for name in unanswered & self._accounts.keys():
            self._serve(self._accounts[name], now)
        if now >= self._swept + SWEEP_SECONDS:
            self._sweep(now)

    def standing(self, quota: Quota, now: float) -> tuple[int, int, float | None]:
        """(limit, units that nobody has, Unix seconds of the period's end) of a quota, for who wants to know."""
        account = self._account(quota, self._clock(now))
        return account.quota.limit, account.free, account.until if account.until < math.inf else quota.resets_at

    def unheld(self, quota: Quota, now: float) -> int | None:
        """Units of a quota that nobody has; None where only the ledger can tell. It asks nobody, and begins nothing."""
        account = self._accounts.get(quota.name)
        if quota.kind == "money":
            return None if account is None or account.dead is None else account.free
        return quota.limit if account is None or now >= account.until else account.free

    # -- granting -----------------------------------------------------------------------------------------------------

    def _serve(self, account: Account, now: float) -> None:
        """Answer draws, first come first served, as far as they can be; then tell the hungry if something is left."""
        self._turn(account, now)
        if self.expected or not self._knows_dead(account):
            return
        while account.waiting:
            first, free = account.waiting[0], account.free
            if free < first.wanted and first.least <= account.quota.limit and self._recall(account, now):
                return
            account.waiting.popleft()
            if free >= first.wanted:
                alone = not account.waiting and not account.hungry
                extra = self._slice(free - first.wanted) if alone else 0
                self._grant(account, first.worker, first.wanted + extra, tight=not extra)
            elif free >= first.least:
                self._grant(account, first.worker, free, tight=True, dry=True)
            else:
                self._refuse(account, first, now)
        self._tell_hungry(account)

    def _recall(self, account: Account, now: float) -> bool:
        """Ask all loose workers for what they do not use. True: somebody has yet to answer."""
        for worker in account.loose:
            self._tell(worker, "recall", Name(account.quota.name))
        if account.loose:
            account.recalled |= account.loose
            account.recalled_at = now
            account.loose.clear()
            self._recalling.add(account.quota.name)
        return bool(account.recalled)

    def _grant(
        self, account: Account, worker: str, units: int, *, tight: bool, dry: bool = False, more: bool = False
    ) -> None:
        if units:
            account.add(worker, units)
            if not tight:
                account.loose.add(worker)
        name = account.quota.name
        self._tell(worker, "grant", Grant(name, account.start, account.until, units, account.free, tight, dry, more))

    def _refuse(self, account: Account, draw: Waiting, now: float) -> None:
        account.hungry[draw.worker] = draw.least
        quota = account.quota
        end = account.until if quota.resets_at is None else quota.resets_at
        retry = PARALLEL_RETRY if quota.kind == "parallel" else max(0.0, end - now) if end < math.inf else None
        refusal = Refusal(quota.name, account.start, account.until, account.free, draw.least, retry)
        self._tell(draw.worker, "refuse", refusal)

    def _tell_hungry(self, account: Account) -> None:
        free = account.free
        for worker, least in list(account.hungry.items()):
            if least <= free:
                del account.hungry[worker]
                self._tell(worker, "freed", Name(account.quota.name))

    def _slice(self, free: int) -> int:
        """What to give a worker beyond what it needs now: less and less towards the cap, and at last nothing."""
        return max(0, free) // (SLICES * max(1, len(self.live)))

    # -- accounts -----------------------------------------------------------------------------------------------------

    def _account(self, quota: Quota, now: float) -> Account:
        """The account of a quota, in the period that `now` is in."""
        account = self._accounts.get(quota.name)
        if account is None:
            newest = self._quotas.setdefault(quota.name, quota)
            start, until = period(newest, now)
            known = newest.kind == "parallel" or (newest.kind != "money" and start > self._began)
            account = self._accounts[quota.name] = Account(newest, start, until, 0 if known else None)
        self._turn(account, now)
        return account

    def _known(self, worker: str, name: str, now: float) -> Account | None:
        account = self._accounts.get(name) if worker in self.live else None
        if account is not None:
            self._turn(account, now)
        return account

    def _turn(self, account: Account, now: float) -> None:
        if now >= account.until:  # of a window that begins under this keeper, no dead worker can have used anything
            start, until = period(account.quota, now)
            start = max(start, account.until)  # windows do not overlap, also when their length was changed
            account.begin(start, until if until > now else start + account.quota.window, 0)

    def _take_back(self, account: Account, worker: str, start: float, units: int) -> None:
        if start == account.start and units:
            account.add(worker, -units)

    def _knows_dead(self, account: Account) -> bool:
        """Whether it is known what dead workers used; asks for it otherwise."""
        if account.dead is None and not account.asked:
            account.asked = True
            account.question += 1
            live = frozenset(self.live)
            self._ask_ledger(Question(account.quota, account.start, live, account.question))
        return account.dead is not None

    def _serve_all(self, now: float) -> None:
        if not self.expected:
            for account in list(self._accounts.values()):
                if account.waiting or account.hungry:
                    self._serve(account, now)

    def _sweep(self, now: float) -> None:
        """Forget accounts of which nobody has anything."""
        self._swept = now
        for name, account in list(self._accounts.items()):
            idle = not account.waiting and not account.recalled
            if idle and (now >= account.until or (account.until == math.inf and not account.shared)):
                del self._accounts[name]

    def _clock(self, now: float) -> float:
        """Time does not go back here: a window that has begun stays begun when somebody sets the clock."""
        self._now = max(self._now, now)
        return self._now


def period(quota: Quota, now: float) -> tuple[float, float]:
    """Beginning and end of the period that `now` is in: a multiple of the window, or always."""
    if quota.window <= 0:
        return 0.0, math.inf
    start = now // quota.window * quota.window
    return start, start + quota.window

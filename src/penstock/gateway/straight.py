"""StraightCall: a usual chat request (lanes.py), from its reservations to its answer, in as few steps as that takes.

    StraightRelay        body and answer go on as they came
    StraightTranslation  (straight_translation.py) the deployment speaks another dialect

It leaves just what `ChatCall` leaves: the same records, settlements, samples and bytes. It knows one case only. When
anything else happens (the provider refuses, the answer is not plain, the client leaves, the key is revoked), the call
takes a detour: a `ChatCall` goes on from where this one stands, and is told what happened. Until the answer is recorded
nothing is done here that a detour could not go on from.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from penstock.exchange import Broken, HTTPRequest
from penstock.gateway import bounds
from penstock.gateway.call import place_of
from penstock.gateway.chat import ChatCall, usage_of
from penstock.gateway.http.heads import JSON, header_line
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.journal import JournalError
from penstock.gateway.made import Made
from penstock.gateway.naming import renamed
from penstock.gateway.principal import Quota
from penstock.gateway.records import Closed, Opened
from penstock.gateway.relay import Members, Peeked, joined
from penstock.gateway.routed import STANDARD, usual_head
from penstock.gateway.samples import RequestSample
from penstock.gateway.upstream import Ongoing
from penstock.types.errors import ErrorResponse
from penstock.types.notes import Note
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.lanes import Lane, Way
    from penstock.gateway.plane import Plane

_log = logging.getLogger("penstock.gateway")

_copied: Callable[[RequestSample], RequestSample]
_copied = RequestSample.__copy__  # type: ignore[attr-defined]  # structs have it, and the stubs of msgspec do not say so

_MOST_PIECES = 64
"""Pieces of an answer from which on their bytes are counted, which is another's to do."""


class Whole(Struct):
    """An answer to a usual request: what it says of itself, and the body that the client gets."""

    usage: Usage
    service_tier: str | None
    finish_reason: str | None
    response_id: str | None
    body: bytes
    notes: tuple[Note, ...] = ()


class StraightCall:
    """One request on the straight way. It receives the provider's answer."""

    __slots__ = (
        "_began",
        "_bound",
        "_headers",
        "_inbound",
        "_lane",
        "_members",
        "_money",
        "_ongoing",
        "_opened",
        "_peeked",
        "_pieces",
        "_plane",
        "_reserved",
        "_sent_at",
        "_started",
        "_started_unix",
        "_way",
    )

    def __init__(self, plane: Plane, inbound: Inbound, lane: Lane, way: Way, members: Members, peeked: Peeked) -> None:
        self._plane = plane
        self._inbound = inbound
        self._lane = lane
        self._way = way
        self._members = members
        self._peeked = peeked
        self._started = time.perf_counter()
        self._started_unix = time.time()

    # -- there --------------------------------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Send the request. False: nothing was sent or taken, and the call is another's to make."""
        plane, way, inbound = self._plane, self._way, self._inbound
        request = self._request()
        if request is None:
            return False
        self._reserved = reserved = self._most()
        if reserved and not plane.leases.take_all(reserved):
            return False
        self._sent_at = now = time.perf_counter()
        self._opened = opened = self._record(self._started_unix + (now - self._started))
        try:
            plane.journal.opened(opened)
        except JournalError:
            plane.leases.settle_all(reserved, {}, self._started_unix)
            return False
        inbound.answering, inbound.client_left = self, self.client_left
        self._pieces: list[bytes] = []
        self._began = began = plane.clock.monotonic()
        plane.router.table.started(way.deployment.id, began)
        left, network = plane.usual_timeouts.total, way.target.network
        self._ongoing: Ongoing = plane.upstream.send(request, way.timeouts, left, network, self)
        return True

    def _request(self) -> HTTPRequest | None:
        """What the provider gets; None: it is not plain how that is made."""
        raise NotImplementedError

    def _read(self, body: bytes) -> Whole | None:
        """The provider's answer; None: it is not plain."""
        raise NotImplementedError

    def _most(self) -> list[tuple[Quota, int]]:
        """The most that the call can use of each quota."""
        lane, way, peeked = self._lane, self._way, self._peeked
        reserved = list(lane.once)
        self._bound = self._money = 0
        if lane.budgets or lane.tokens or reserved:
            self._bound = inward = bounds.loose(self._inbound.body)
            most, choices = peeked.max_output, peeked.choices
            for quota in lane.tokens:
                reserved.append((quota, inward + (lane.usual_output if most is None else most) * choices))
            if lane.budgets:
                outward = (way.target.max_output or 0) if most is None else most
                self._money = money = way.tariff.bound(inward, outward * choices)
                reserved += [(quota, money) for quota in lane.budgets]
        return reserved

    def _record(self, at: float) -> Opened:
        way, lane, resolved = self._way, self._lane, self._way.target.resolved
        return Opened(
            self._plane.next_id(),
            1,
            at,
            self._started_unix,
            lane.principal.id,
            "chat",
            self._inbound.path,
            lane.requested,
            lane.group.name,
            way.deployment.id,
            resolved.provider.name,
            resolved.model,
            False,
            tuple([(quota.name, self._money) for quota in lane.budgets]),
        )

    # -- and back -----------------------------------------------------------------------------------------------------

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The answer's head has come."""
        self._headers = headers
        if status != 200:
            self._detour().head(status, headers)

    def data(self, data: bytes) -> None:
        """A piece of the answer."""
        pieces = self._pieces
        pieces.append(data)
        if len(pieces) >= _MOST_PIECES:
            call = self._detour()
            call.head(200, self._headers)
            for piece in pieces:
                call.data(piece)

    def end(self) -> None:
        """The answer is whole."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not self._ended(body):
            call = self._detour()
            call.head(200, self._headers)
            call.data(body)
            call.end()

    def _ended(self, body: bytes) -> bool:
        """Whether the answer is plain, and was given."""
        try:
            whole = self._read(body)
            return whole is not None and self._answer(whole)
        except Exception:  # nothing was done yet: the detour meets the same, and tells its client
            return False

    def _answer(self, whole: Whole) -> bool:
        """Record the answer, and give it. False: nothing was done, for its price is not plain, or the journal full."""
        plane, way, tariff, usage = self._plane, self._way, self._way.tariff, whole.usage
        inward, outward = usage.input_tokens or 0, usage.output_tokens or 0
        amount = tariff.of(inward, usage.cache_read_tokens or 0, outward)
        if amount is None or whole.service_tier not in STANDARD:
            return False
        cost, text = tariff.picodollars(amount), tariff.text(amount)
        now = time.perf_counter()
        waited, tokens = now - self._sent_at, usage.total_tokens or inward + outward
        closed = self._closed(whole, cost, text, self._started_unix + (now - self._started))
        try:
            plane.journal.closed(closed)
        except JournalError:
            return False
        try:
            used = {"requests": 1, "tokens": tokens, "money": cost}
            plane.leases.settle_all(self._reserved, used, self._started_unix)
            plane.router.answered(way.deployment.id, waited, False, None, tokens)
            self._observe(closed, whole.notes, waited)
            self._respond(whole, text, waited)
        except Exception as error:  # it is recorded, and could not be told: the client must not wait for ever
            _log.error("the answer of call %s could not be given: %s", closed.call_id, place_of(error))
            self._inbound.abort()
        return True

    def _closed(self, whole: Whole, cost: int, text: str, at: float) -> Closed:
        opened = self._opened
        return Closed(
            opened.call_id,
            1,
            at,
            None,
            200,
            "success",
            None,
            None,
            whole.usage,
            False,
            cost,
            text,
            tuple([(name, cost) for name, _ in opened.reserved]),
            True,
            whole.finish_reason,
            whole.response_id,
            {"notes": [str(note) for note in whole.notes]} if whole.notes else _NO_FACTS,
        )

    def _observe(self, closed: Closed, notes: tuple[Note, ...], waited: float) -> None:
        opened, inbound, usage = self._opened, self._inbound, closed.usage
        assert usage is not None, "a plain answer has counts"
        spent = time.perf_counter() - self._started
        sample = _copied(self._lane.sample)
        sample.call_id = opened.call_id
        sample.method, sample.path, sample.client = inbound.method, inbound.path, inbound.address
        sample.deployment, sample.provider, sample.model = opened.deployment, opened.provider, opened.model
        sample.input_tokens, sample.output_tokens = usage.input_tokens, usage.output_tokens
        sample.cache_read_tokens, sample.reasoning_tokens = usage.cache_read_tokens, usage.reasoning_tokens
        sample.cost = closed.cost_text
        sample.seconds, sample.overhead = spent, max(0.0, spent - waited)
        sample.finish_reason, sample.response_id = closed.finish_reason, closed.response_id
        if notes:
            sample.notes = tuple([str(note) for note in notes])
        self._plane.observer.whole(sample, opened, closed, self._started_unix + spent)

    def _respond(self, whole: Whole, text: str, waited: float) -> None:
        plane, lane = self._plane, self._lane
        if lane.surface.keeps and whole.response_id:
            plane.shared.made.put(whole.response_id, Made(self._way.deployment.id, lane.principal.id))
        overhead = (time.perf_counter() - self._started - waited) * 1000
        head = usual_head(JSON, self._opened.call_id, self._way.place, 1, overhead, text)
        if whole.notes:
            head += header_line("x-penstock-notes", "; ".join(map(str, whole.notes)))
        if lane.principal.quotas:
            head += plane.limit_headers(lane.principal)
        self._inbound.respond(200, head, whole.body)

    # -- anything else ------------------------------------------------------------------------------------------------

    def broken(self, why: Broken) -> None:
        """There is no answer, or no more of it."""
        self._detour().broken(why)

    def client_left(self) -> None:
        """The client has gone before it was answered."""
        self._detour().client_left()

    def cut(self, error: ErrorResponse) -> None:
        """End now, and tell the client why."""
        self._detour().cut(error)

    def _detour(self) -> ChatCall:
        """The call that goes on from here."""
        call = ChatCall(self._plane, self._inbound, self._lane.principal, self._lane.surface, self._members)
        opened = self._opened
        call.id = call.sample.call_id = opened.call_id
        call.started, call.started_unix = self._started, self._started_unix
        call.reserved = [(quota, amount) for quota, amount in self._reserved if quota.kind != "money"]
        call.money, call.open = list(opened.reserved), opened
        call.bound, call.sent_at, call.attempts = self._bound, self._sent_at, 1
        call.group = opened.group
        call.go_on(self._way.deployment, self._ongoing, self._began)
        return call


class StraightRelay(StraightCall):
    """Body and answer go on as they came, but for the name of the model."""

    __slots__ = ()

    def _request(self) -> HTTPRequest | None:
        target, members = self._way.target, self._members
        assert target.endpoint is not None, "what is relayed has an endpoint"
        model = target.endpoint.wire_model
        if model != self._lane.requested:
            members = {**members, "model": model}
        return target.request(joined(members), None, ())

    def _read(self, body: bytes) -> Whole | None:
        lane = self._lane
        quick = lane.surface.quick(body)
        if quick is None:
            return None
        name, asked = quick.model, lane.requested
        if name != asked and asked != self._way.target.resolved.model and name:
            body = renamed(body, lane.surface.model_key, name, asked)
        return Whole(usage_of(quick), quick.service_tier, quick.finish_reason, quick.response_id, body)


_NO_FACTS: dict[str, str] = {}

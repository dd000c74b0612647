"""Call: one request on its way, from the moment its client is known to its last byte. Mutable, and only here.

    admit     the policies, in order; one of them may have to ask for a lease first
    go        the plan, and the exchange that drives it (what a kind of call does is in its subclass)
    sending   an attempt is about to leave: the journal's Opened
    close     an attempt is over: leases settled, the journal's Closed
    respond   the answer, or fail: the error in the client's dialect, the journal's Ended

Whatever happens, a call ends once: its reservations are settled, its records are complete, its client has an answer
or is gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.calls.failures import error_of
from penstock.exchange import AttemptFailed, ExchangeFailed, Send, Success
from penstock.gateway import litellm_headers
from penstock.gateway.driver import Driver, Wait
from penstock.gateway.http.heads import JSON, header_value, ids_of, retry_after
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.journal import JournalError
from penstock.gateway.principal import Principal, Quota
from penstock.gateway.records import Amount, Closed, Ended, Opened
from penstock.gateway.refused import Refused
from penstock.gateway.samples import RequestSample
from penstock.gateway.targets import Target
from penstock.gateway.trace import Trace
from penstock.gateway.upstream import NetworkSettings
from penstock.providers.errors import ProviderError
from penstock.resolve import FetchRefused
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.plane import Plane

_log = logging.getLogger("penstock.gateway")

CLIENT_LEFT = 499
"""The status of a request whose client did not wait for its answer (nginx's word)."""


class Call(Driver):
    """One request. Subclasses say what it asks for.

    group      the model group that it is routed to; `requested` the name that the client gave
    facts      what the ledger's row shall say besides
    """

    operation = "call"
    requested = group = ""
    facts: Mapping[str, Any] = {}
    reserved: list[tuple[Quota, int]] = []
    money: list[Amount] = []
    notes: tuple[Any, ...] = ()
    attempts = step = 0
    attempt: Any = None
    target: Target | None = None
    open: Opened | None = None
    sent_at = waited = 0.0
    cut_tokens = 0
    over = gone = False
    trace: Trace | None = None
    span_id = ""
    """What a call begins with; the lists are replaced, never changed."""

    def __init__(self, plane: Plane, inbound: Inbound, principal: Principal) -> None:
        self.plane = plane
        self.inbound = inbound
        inbound.answering = self
        self.principal = principal
        self.id = plane.next_id()
        self.started = time.perf_counter()
        self.started_unix = time.time()
        self.sample = RequestSample(
            call_id=self.id, operation=self.operation, method=inbound.method, path=inbound.path, key_id=principal.id
        )

    # -- before

    def admit(self) -> None:
        """Ask the policies; then go."""
        if self.over:  # its client has left, or its key was revoked, while it waited
            return
        try:
            policies = self.plane.policies
            while self.step < len(policies):
                wait = policies[self.step].admit(self)
                if wait is not None:
                    self.inbound.client_left = self.client_left
                    self.plane.leases.draw(wait.quota, wait.wanted, wait.least, self.admit)
                    return
                self.step += 1
            self.go()
        except Exception as error:
            self.failed(error)

    def go(self) -> None:
        """Make the call."""
        raise NotImplementedError

    # -- what the driver asks of whose call it drives

    def sending(self, send: Send) -> NetworkSettings:
        """Write down that an attempt leaves."""
        if self.open is not None:  # a credential was refused, and the same attempt is sent again with a fresh one
            self.close("failure", 401, error="authentication")
        if self.gone:
            raise Refused("unavailable", CLIENT_LEFT, "the client left, and nobody is asked again for it")
        target, now = self.target, time.time()
        assert target is not None, "a request is prepared for a target"
        self.attempts += 1
        record = Opened(
            self.id,
            self.attempts,
            now,
            self.started_unix,
            self.principal.id,
            self.operation,
            self.inbound.path,
            self.requested,
            self.group,
            target.deployment.id,
            target.resolved.provider.name,
            target.resolved.model,
            send.stream,
            tuple(self.money),
            self.facts,
        )
        self.plane.journal.opened(record)
        self.open = record
        self.sent_at = time.perf_counter()
        return target.network

    def succeeded(self, success: Success[Any]) -> None:
        """An attempt was answered."""
        try:
            self.answer(success)
        except Exception as error:
            if self.over:  # it is recorded, and could not be told: the client must not wait for ever
                _log.error("the answer of call %s could not be given: %s", self.id, place_of(error))
                self.inbound.abort()
            else:
                self.failed(error)

    def answer(self, success: Success[Any]) -> None:
        """Give the answer to the client."""
        raise NotImplementedError

    # -- an attempt is over

    def close(
        self,
        outcome: str,
        status: int,
        *,
        error: str | None = None,
        message: str | None = None,
        usage: Usage | None = None,
        estimated: bool = False,
        cost: int | None = None,
        cost_text: str | None = None,
        first_token: float | None = None,
        finish_reason: str | None = None,
        response_id: str | None = None,
        last: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Settle the leases of the attempt that is open, and write that it is over. `cost` in picodollars."""
        record, self.open = self.open, None
        settled: tuple[Amount, ...] = ()
        if self.money:
            spent = cost or 0
            settled = tuple([(name, spent) for name, _ in self.money])
            for name, reserved in self.money:
                self.plane.leases.settle(name, reserved, spent, self.started_unix)
            self.money = []
        if record is None:
            return
        closed = Closed(
            self.id,
            record.attempt,
            time.time(),
            first_token,
            status,
            outcome,
            error,
            message,
            usage,
            estimated,
            cost,
            cost_text,
            settled,
            last,
            finish_reason,
            response_id,
            facts or {},
        )
        self.plane.journal.closed(closed)
        self.plane.observer.attempt(self.sample, record, closed, self.trace, self.span_id)

    def release(self) -> None:
        """Let go of what refers back to the call, so that it is freed at once and not by the collector."""
        self.attempt = self.ongoing = None
        self._run = None
        self.inbound.client_left = self.inbound.slow = self.inbound.answering = None

    def settle(self, tokens: int) -> None:
        """Give back what the call reserved, but for the tokens that it used."""
        reserved, self.reserved = self.reserved, []
        if reserved:
            used = {"requests": 1 if self.attempts else 0, "tokens": tokens}
            self.plane.leases.settle_all(reserved, used, self.started_unix)

    # -- it goes wrong ------------------------------------------------------------------------------------------------

    def failed(self, error: BaseException) -> None:
        """The call has failed, whatever it was: say so to the client and the ledger."""
        if isinstance(error, Refused | ExchangeFailed | AttemptFailed):
            self.fail(error.error)
        elif isinstance(error, ProviderError | DialectError | FetchRefused):
            self.fail(error_of(error))
        elif isinstance(error, JournalError):
            _log.error("calls cannot be recorded: %s", error)
            message = "calls cannot be recorded now, so none is made: come again, or tell whoever runs this gateway"
            self.fail(ErrorResponse(kind="unavailable", status=503, message=message, retry_after=5))
        else:
            _log.error("call %s failed in the gateway itself: %s", self.id, place_of(error))
            message = f"the gateway failed; its log tells more under call {self.id}"
            self.fail(ErrorResponse(kind="server", status=500, message=message))

    def fail(self, error: ErrorResponse) -> None:
        """End with an error."""
        inbound = self.inbound
        if self.over:
            if inbound.connection.current is inbound:  # its end could not be recorded, so its answer is not given
                inbound.abort()
            return
        self.over = True
        try:
            self.close("failure", error.status, error=error.kind)
            self.give_up(error)
        except JournalError as unrecorded:
            self._lost(unrecorded)
        if inbound.streaming:  # it fails as its stream begins: the client must be able to tell
            inbound.abort()
        else:
            status, body = self.plane.refusal(self.voice(), error)
            if inbound.place.reads_array(inbound):
                body = b"[%b]" % body
            inbound.respond(status, self.error_head(error), body)
        self.release()

    def give_up(self, error: ErrorResponse) -> None:
        """Settle and record a request that ends with an error."""
        self.settle(self.cut_tokens)
        message = error.message[:500] if error.dialect is None else None
        self.record_end(error.status, "failure", error.kind, message)
        self.observe(error.status, "failure", error.kind, message)

    def record_end(
        self,
        status: int,
        outcome: str,
        error: str | None = None,
        message: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Write that the request is over, where no attempt's record says so."""
        self.plane.journal.ended(
            Ended(
                self.id,
                time.time(),
                self.started_unix,
                self.principal.id,
                self.operation,
                self.inbound.path,
                self.requested,
                self.group,
                self.attempts,
                status,
                outcome,
                error,
                message,
                self.facts,
                usage,
            )
        )

    def voice(self) -> Any:
        """The dialect that errors are told in."""
        raise NotImplementedError

    def error_head(self, error: ErrorResponse) -> bytes:
        """The header lines of an error."""
        head = b"%b%bx-penstock-attempts: %d\r\n%b" % (
            JSON,
            self.ids(),
            self.attempts,
            retry_after(error.retry_after),
        )
        if self.group:
            head += b"x-penstock-model-group: %b\r\n" % header_value(self.group)
        if self.attempts and self.target is not None:
            head += b"x-penstock-deployment: %b\r\n" % header_value(self.target.deployment.id)
        if self.principal.quotas and (self.attempts or error.kind != "unavailable"):  # else what is left is not known
            head += self.plane.limit_headers(self.principal)
        if self.plane.snapshot.settings.litellm_headers:
            head += litellm_headers.of_an_error(self.id)
        return head

    def ids(self) -> bytes:
        """The id of the call, under the names that the official clients look for."""
        return ids_of(self.id)

    def client_left(self) -> None:
        """The client has gone before its answer was complete."""
        if self.over:
            return
        if self.open is not None and self.plane.snapshot.settings.on_disconnect == "drain":
            self.gone = True  # the answer is read for what it cost, and goes nowhere
            return
        self.over = True
        self.give_up_driving()
        self.abandoned()
        self.release()

    def abandoned(self) -> None:
        """Nobody waits for the answer: record what may be billed."""
        if self.open is None:
            try:
                self.record_end(CLIENT_LEFT, "cancelled")
            except JournalError as unrecorded:
                self._lost(unrecorded)
        self._close_cut("cancelled", None, last=True)
        self.settle(self.cut_tokens)
        self.observe(CLIENT_LEFT, "cancelled", None)

    def cut(self, error: ErrorResponse) -> None:
        """End now, and tell the client why: its key was revoked."""
        if self.over:
            return
        self.give_up_driving()
        self._close_cut("failure", error.kind)
        self.fail(error)

    def _close_cut(self, outcome: str, error: str | None, *, last: bool = False) -> None:
        """Close an attempt that was cut off before its answer: the provider may bill what went in."""
        if self.open is None:
            return
        usage, cost, cost_text = self.estimated()
        self.cut_tokens = 0 if usage is None else usage.total_tokens or 0
        try:
            self.close(outcome, 0, error=error, usage=usage, estimated=True, cost=cost, cost_text=cost_text, last=last)
        except JournalError as unrecorded:
            self._lost(unrecorded)

    def _lost(self, unrecorded: JournalError) -> None:
        """The journal cannot take the end of this call: what was reserved for it stands in the ledger."""
        _log.error("the end of call %s could not be recorded: %s", self.id, unrecorded)

    def estimated(self) -> tuple[Usage | None, int | None, str | None]:
        """What the attempt that is open may come to, though no answer of it was read: usage, picodollars, text."""
        return None, None, None

    def observe(self, status: int, outcome: str, error: str | None, message: str | None = None) -> None:
        """Tell metrics, log and trace that the request is over."""
        sample, principal = self.sample, self.principal
        spent = time.perf_counter() - self.started
        sample.status, sample.outcome, sample.error, sample.message = status, outcome, error, message
        sample.key_alias = principal.alias
        sample.client = self.inbound.address
        sample.requested, sample.model_group = self.requested, self.group
        sample.seconds = spent
        sample.overhead = max(0.0, spent - self.waited)
        self.describe(sample)
        self.plane.observer.request(sample, self.started_unix + spent, self.trace)

    def describe(self, sample: RequestSample) -> None:
        """What a kind of call adds to what is observed."""


def place_of(error: BaseException) -> str:
    """An error for the log: its type and where it arose. Its message may hold what a client sent, so it stays out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_globals.get('__name__')}, line {trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"


__all__ = ["Call", "Wait", "place_of"]

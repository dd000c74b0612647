"""ChatCall: a chat request, relayed where the deployment speaks the client's dialect and translated where it does not.

Which of the two is decided anew for each attempt: a fallback may speak another dialect than the deployment that failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from penstock.calls.attempt import whole_stream
from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.demo import demo_answer
from penstock.calls.mock import local_attempt, mock_answer, wants_mock
from penstock.calls.opening import OpenStream
from penstock.calls.pricing import chat_terms
from penstock.dialects import wire
from penstock.dialects.dialect import Context, PathMatch
from penstock.exchange import Attempt, AttemptFailed, ExchangeFailed, Reply, Success
from penstock.gateway.cascading import Cascading
from penstock.gateway.chat_attempts import STREAM, RelayAttempt, TranslateAttempt
from penstock.gateway.http.heads import JSON
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.made import Made
from penstock.gateway.naming import renamed
from penstock.gateway.nearest import LONGEST
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Refused
from penstock.gateway.relay import Members, Peeked, value
from penstock.gateway.route import RouteRequest, as_header
from penstock.gateway.routed import STANDARD, Charge, RoutedCall
from penstock.gateway.streams import RelayedStream, TranslatedStream, estimate
from penstock.gateway.surfaces.chat import ChatSurface, Quick
from penstock.gateway.targets import Target
from penstock.providers.cost import Terms
from penstock.providers.endpoint import Endpoint
from penstock.providers.errors import ProviderError
from penstock.routing.cascade import Cascade
from penstock.routing.deployment import Deployment
from penstock.routing.situation import Need
from penstock.routing.task import Task
from penstock.types.notes import NO_MEMO
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.plane import Plane


class ChatCall(RoutedCall):
    """One chat request."""

    operation = "chat"
    parsed: Request | None = None
    cascading: Cascading | None = None

    def __init__(
        self, plane: Plane, inbound: Inbound, principal: Principal, surface: ChatSurface, members: Members
    ) -> None:
        super().__init__(plane, inbound, principal, members)
        self.surface = surface
        self.match = _NOTHING_SAID
        if not surface.names_model_in_body:
            self.match = surface.dialect.match_path(inbound.path) or _NOTHING_SAID
        self.asked(surface.peek(self.members, self.match), surface.dialect.name)

    def voice(self) -> Any:
        return self.surface.dialect

    def terms(self, response: Response) -> Terms:
        return chat_terms(self.request(), self.notes, response)

    def began(self, attempt: Any) -> None:
        if type(attempt) is not RelayAttempt:
            super().began(attempt)
            return
        self.attempt, self.target, self.hops = attempt, attempt.target, attempt.hops
        self.route.began(attempt)

    # -- who is asked -------------------------------------------------------------------------------------------------

    def cascades(self, cascade: Cascade, request: RouteRequest) -> bool:
        self.cascading = Cascading(self, cascade, request)
        self.cascading.begin()
        return True

    def failed(self, error: BaseException) -> None:
        cascading = self.cascading
        if cascading is not None and not self.over and isinstance(error, ExchangeFailed | AttemptFailed):
            try:
                if cascading.failed(error):
                    return
            except Exception as worse:
                error = worse
        super().failed(error)

    def came_late(self, error: BaseException) -> bool:
        return self.cascading is None and super().came_late(error)

    def settle(self, tokens: int) -> None:
        super().settle(tokens if self.cascading is None else tokens + self.cascading.tokens)

    def explanation(self) -> str:
        said, cascading = super().explanation(), self.cascading
        if cascading is None:
            return said
        return "; ".join([*([said] if said else []), *(f"cascade={as_header(why)}" for why in cascading.why)])

    def response_of(self, success: Success[Any]) -> Response:
        """The whole answer, parsed. Raises DialectError."""
        attempt = self.attempt
        if not isinstance(attempt, RelayAttempt):
            response: Response = success.value
            return response
        if attempt.response is None:
            attempt.response = self.surface.dialect.parse_response(wire.decode(success.reply.body), NO_MEMO)
        return attempt.response

    def describes(self) -> Callable[[], Task]:
        return self._as_task

    def _as_task(self) -> Task:
        principal = self.principal
        tags = (*principal.tags, *self.overrides.tags)
        return Task(self.request(), tags=tags, key=principal.alias or "", tokens=self.count_tokens())

    def needs_of_a_deployment(self) -> Need | None:
        """A conversation that its provider keeps goes on only where its own dialect is spoken. Translated, the request
        would be asked without what was said before, and answered as if nothing were missing.
        """
        surface, members = self.surface, self.members
        name = next((name for name in surface.continues if name in members and value(members, name)), None)
        if name is None:
            return None
        message = (
            f"`{name}` names a conversation that its provider keeps, and what can answer as "
            f"{self.requested[:LONGEST]!r} does not speak Responses, the only API with that. Send the whole "
            "conversation in `input`, or name a model whose deployment speaks Responses"
        )
        return Need(self._speaks_its_dialect, message, name)

    def _speaks_its_dialect(self, deployment: Deployment) -> bool:
        """Whether a request needs no translation there. (What cannot be asked at all says so when it is.)"""
        if deployment.model in DEMO_NAMES:
            return True
        try:
            target = self._target_of(deployment)
        except (ProviderError, Refused):
            return True
        unknown = wants_mock(target.options) or target.endpoint is None
        return unknown or self.speaks(target.endpoint)

    def speaks(self, endpoint: Endpoint | None) -> bool:
        """Whether an endpoint takes the client's own dialect."""
        return endpoint is not None and endpoint.format == self.surface.dialect.name

    def _target_of(self, deployment: Deployment) -> Target:
        surface = self.surface
        prefer = (surface.dialect.name,) if surface.prefers else ()
        return self.target_of(deployment, "chat", surface.dialect.name, prefer, self.peeked.stream)

    def make(self, deployment: Deployment, group: str, hops: int) -> Attempt[Any] | RelayAttempt:
        """An attempt at a deployment."""
        stream = self.peeked.stream
        self.group = group
        if deployment.model in DEMO_NAMES:
            return self._local(deployment, hops)
        target = self._target_of(deployment)
        if wants_mock(target.options):
            return self._local(deployment, hops, target)
        timeouts = self.plane.timeouts(deployment, self.overrides, self.peeked.stream)
        if target.relays and (target.reasons or self._thinks_not()) and not (stream and self._wants_array()):
            return RelayAttempt(self, target, timeouts, group, hops)
        translated = TranslateAttempt(self, target)
        return Attempt(
            target.name,
            target.resolved.provider.name,
            target.resolved.model,
            stream,
            timeouts,
            translated.prepare,
            translated.chat.read,
            translated.chat.read_error,
            translated.chat.lent.refused,
            facts={"model_id": deployment.id, "model_group": group, "fallbacks": hops, "made": translated},
        )

    def _thinks_not(self) -> bool:
        """Whether the request leaves open whether the model shall reason."""
        return self.surface.reasoning.isdisjoint(self.members)

    def _wants_array(self) -> bool:
        """Whether the client reads its stream as one JSON array (Gemini's without `alt=sse`)."""
        return self.surface.dialect.stream_type_asked(self.inbound.query) is not None

    def _local(self, deployment: Deployment, hops: int, target: Target | None = None) -> Attempt[Any]:
        request = self.request()

        def answer() -> Any:
            self.attempts += 1
            created, answer_id = int(self.started_unix), self.surface.id_prefix + self.id
            if target is None:
                response = demo_answer(request, answer_id, created)
            else:
                response = mock_answer(target.options, request, deployment.model, answer_id, created)
            self.target = target
            return response

        attempt = local_attempt(
            deployment.model,
            self.peeked.stream,
            self.plane.timeouts(deployment, self.overrides, self.peeked.stream),
            answer,
        )
        facts = {"model_id": deployment.id, "model_group": self.group, "fallbacks": hops, "made": None}
        return replace(attempt, facts=facts)

    def request(self) -> Request:
        """The request as its dialect reads it, for what cannot be relayed. Raises MalformedError."""
        if self.parsed is None:
            dialect = self.surface.dialect
            request = dialect.parse_request(wire.decode(self.inbound.body), self.match)
            self.parsed = replace(request, stream_usage=True) if request.stream else request
        return self.parsed

    def quick_charge(self, target: Target, quick: Quick) -> Charge:
        """What the counts of a plain answer cost."""
        tariff = target.tariff
        if tariff is not None and quick.service_tier in STANDARD:
            amount = tariff.of(quick.input, quick.cached, quick.output)
            if amount is not None:
                return tariff.picodollars(amount), tariff.text(amount)
        return self.charge(target, usage_of(quick), quick.service_tier, None)

    # -- the answer ---------------------------------------------------------------------------------------------------

    def remember(self, answer_id: str | None) -> None:
        """What the provider keeps is found again where it was made."""
        if answer_id and self.surface.keeps and self.target is not None and not self.said.arguments:
            self.plane.shared.made.put(answer_id, Made(self.target.deployment.id, self.principal.id))

    def answer(self, success: Success[Any]) -> None:
        if self.cascading is not None and not self.cascading.answered(success):
            return
        attempt, value = self.attempt, success.value
        if isinstance(attempt, RelayAttempt):
            if value is STREAM:
                RelayedStream(self, attempt, success.reply).begin()
            elif isinstance(value, Response):
                TranslatedStream(self, None, whole_stream(value), None).begin()
            else:
                self._relayed(attempt, success.reply)
            return
        translated = success.attempt.facts["made"]
        if isinstance(value, OpenStream):
            TranslatedStream(self, translated, value, success.reply.stream).begin()
        elif self.peeked.stream:
            TranslatedStream(self, translated, whole_stream(value), None).begin()
        else:
            self._translated(translated, value)

    def _relayed(self, made: RelayAttempt, reply: Reply) -> None:
        target, quick, estimated = made.target, made.quick, False
        if quick is not None:
            usage: Usage | None = usage_of(quick)
            picodollars, text = self.quick_charge(target, quick)
            reason, answer_id, name = quick.finish_reason, quick.response_id, quick.model
        else:
            response = made.response
            assert response is not None, "what could not be read quickly was parsed"
            usage = response.usage
            reason = response.choices[0].stop_reason if response.choices else None
            answer_id, name = response.id, response.model
            if usage is None:
                estimated, usage = True, estimate(self, len(reply.body) // 4)
            picodollars, text = self.charge(target, usage, None, response)
        if self.kept is not None:
            self.kept.take(reply.body)
        self.finish(reply.status, usage, picodollars, text, reason, answer_id, estimated=estimated)
        text = text if self.cascading is None else self.cascading.total(text)
        body, asked = reply.body, self.requested
        if name != asked and asked != target.resolved.model and name:
            body = renamed(body, self.surface.model_key, name, asked)
        self.inbound.respond(reply.status, self.answer_head(target, JSON, text), body)
        self.release()

    def _translated(self, made: TranslateAttempt | None, response: Response) -> None:
        dialect, target = self.surface.dialect, self.target
        notes = made.chat.notes if made is not None else ()
        self.notes = notes
        rendered = dialect.render_response(response, self.context())
        body = wire.encode(rendered.value)
        usage = response.usage
        if usage is None:
            usage = estimate(self, len(body) // 4)
        picodollars, text = (None, None) if target is None else self.charge(target, usage, None, response)
        self.notes = notes + rendered.notes
        reason = response.choices[0].stop_reason if response.choices else None
        estimated = response.usage is None
        if self.kept is not None:
            self.kept.take(body)
        self.finish(200, usage, picodollars, text, reason, response.id, estimated=estimated)
        text = text if self.cascading is None else self.cascading.total(text)
        self.inbound.respond(200, self.answer_head(target, JSON, text), body)
        self.release()

    def context(self) -> Context:
        """What the renderer of the answer must know."""
        target = self.target
        resolved = None if target is None else target.resolved.model
        return context_of(self.surface, self.inbound, self.id, self.started_unix, self.peeked, resolved, self.request())


def context_of(
    surface: ChatSurface,
    inbound: Inbound,
    call_id: str,
    started_unix: float,
    peeked: Peeked,
    resolved: str | None,
    request: Request,
) -> Context:
    """What the renderer of an answer must know. `resolved`: the model as its provider knows it."""
    asked = peeked.model
    return Context(
        surface.id_prefix + call_id,
        int(started_unix),
        model=None if resolved == asked else asked,
        request=request,
        stream_usage=peeked.counts,
        stream_type=surface.dialect.stream_type_asked(inbound.query),
    )


def usage_of(quick: Quick) -> Usage:
    """The counts of a plain answer as a usage."""
    return Usage(
        input_tokens=quick.input,
        output_tokens=quick.output,
        total_tokens=quick.input + quick.output,
        cache_read_tokens=quick.cached or None,
        reasoning_tokens=quick.reasoning,
        service_tier=quick.service_tier,
    )


_NOTHING_SAID = PathMatch()

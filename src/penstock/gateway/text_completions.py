"""TextCall: a text completion. Relayed to a deployment that has them, and bridged through chat to one that has not:
decided anew for each attempt.

Several prompts are several chats, one after the other, at whatever answered the first: each is an attempt with a
record and a price of its own, and their answers are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.prepare import complete
from penstock.calls.text_shape import bridged, text_of
from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.exchange import Ladder, Reply, Success, exchange
from penstock.gateway.chat import ChatCall
from penstock.gateway.chat_attempts import RelayAttempt
from penstock.gateway.http.heads import JSON
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.operations import tokens_of, total_of
from penstock.gateway.principal import Principal
from penstock.gateway.relay import members_of, true, value
from penstock.gateway.surfaces.openai_text import DIALECT, NAME, SURFACE
from penstock.gateway.targets import Target
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment
from penstock.types.errors import ErrorResponse
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.plane import Plane

CAPABILITY = "text_completion"
FORMATS = (NAME,)
_MOCKS = frozenset({"mock_response", "mock_timeout"})


@dataclass(slots=True)
class Part:
    """The answer to one of several prompts, and what it cost."""

    response: Response
    cost: str | None


class TextCall(ChatCall):
    """One text completion."""

    operation = CAPABILITY

    def __init__(self, plane: Plane, inbound: Inbound, principal: Principal) -> None:
        super().__init__(plane, inbound, principal, SURFACE, members_of(inbound.body))
        self._parts: list[Part] = []
        self._chats: list[Request] = []

    def make(self, deployment: Deployment, group: str, hops: int) -> Any:
        target = self._native(deployment)
        if target is None:
            self._say_as_chats(deployment)
            return super().make(deployment, group, hops)
        self.group = group
        return TextRelay(self, target, self.plane.timeouts(deployment, self.overrides, self.peeked.stream), group, hops)

    def _native(self, deployment: Deployment) -> Target | None:
        """The target, where it has text completions."""
        if deployment.model in DEMO_NAMES or not _MOCKS.isdisjoint(deployment.arguments):
            return None  # it is answered here, as a chat
        try:
            target = self.target_of(deployment, CAPABILITY, NAME, FORMATS, self.peeked.stream)
        except ProviderError as error:
            if error.kind == "unsupported_capability":
                return None
            raise
        return target if target.endpoint is not None else None

    def _say_as_chats(self, deployment: Deployment) -> None:
        """Read the prompts as chats. Raises DialectError where a chat cannot say what is asked."""
        if self._chats:
            return
        drop = bool(deployment.arguments.get("drop_params", self.plane.snapshot.settings.drop_params))
        body = {name: value(self.members, name) for name in self.members}
        advice = "Set drop_params to leave it out"
        read = (CHAT.parse_request(chat, PathMatch()) for chat in bridged(body, drop, advice))
        streams = true(self.members, "stream")
        self._chats = [replace(each, stream_usage=True) if streams else each for each in read]
        self.parsed = self._chats[0]

    def ended(self, attempt: Any, seconds: float, error: ErrorResponse | None, streams: bool) -> None:
        more = len(self._parts) + 1 < len(self._chats) and not isinstance(self.attempt, RelayAttempt)
        self.route.pinned = more if error is None else bool(self._parts)
        super().ended(attempt, seconds, error, streams)

    def answer(self, success: Success[Any]) -> None:
        if len(self._chats) < 2 or isinstance(self.attempt, RelayAttempt):
            super().answer(success)
            return
        response: Response = success.value
        done = len(self._parts) + 1
        cost, text = (None, None) if self.target is None else self.charge(self.target, response.usage, None, response)
        self._parts.append(Part(response, text))
        if done == len(self._chats):
            self._joined(success, cost, text)
            return
        self.close("success", 200, usage=response.usage, cost=cost, cost_text=text, response_id=response.id)
        self.parsed = self._chats[done]
        self._again(success)

    def _again(self, success: Success[Any]) -> None:
        """Ask whoever answered for the next."""
        facts = success.attempt.facts
        deployment = self.plane.router.members(facts["model_id"]).deployments[0]
        attempt = ChatCall.make(self, deployment, self.group, facts["fallbacks"])
        plan = Ladder([attempt], retries=self.plane.snapshot.routing.retries)  # type: ignore[list-item]  # both do what is asked of an Attempt
        self.drive(exchange(plan, self.plane.clock, self.plane.total_timeout(self), self))

    def settle(self, tokens: int) -> None:
        super().settle(tokens + sum(tokens_of(part.response.usage) for part in self._parts[:-1]))

    def _joined(self, success: Success[Any], cost: int | None, text: str | None) -> None:
        last = self._parts[-1].response
        choices = tuple(
            replace(choice, index=index)
            for index, choice in enumerate(choice for part in self._parts for choice in part.response.choices)
        )
        usages = [part.response.usage for part in self._parts if part.response.usage is not None]
        first = self._parts[0].response
        whole = replace(first, choices=choices, usage=summed(usages) if len(usages) == len(self._parts) else None)
        rendered = DIALECT.render_response(whole, self.context())
        total = total_of([part.cost for part in self._parts])
        self.finish(200, last.usage, cost, text, None, first.id)
        head = self.answer_head(self.target, JSON, total)
        self.inbound.respond(200, head, wire.encode(rendered.value))
        self.release()

    def _relayed(self, made: RelayAttempt, reply: Reply) -> None:
        """Fill-in-the-middle APIs answer in the shape of chat."""
        if b'"message"' in reply.body:
            reply = replace(reply, body=wire.encode(text_of(wire.obj(wire.decode(reply.body)))))
        super()._relayed(made, reply)


class TextRelay(RelayAttempt):
    """A request for a text completion that goes on as it came, but for what its deployment adds."""

    __slots__ = ()

    def body(self) -> bytes:
        target = self.target
        sent = super().body()
        if target.relays or target.endpoint is None:
            return sent
        body = {**target.defaults, **wire.obj(wire.decode(sent)), "model": target.endpoint.wire_model}
        return wire.encode(complete(body, target.endpoint, target.options))


def summed(usages: list[Usage]) -> Usage:
    """The sum of usages."""
    names = [name for name in Usage.__struct_fields__ if type(getattr(usages[0], name)) in (int, float)]
    return replace(usages[0], **{name: sum(getattr(usage, name) or 0 for usage in usages) for name in names})

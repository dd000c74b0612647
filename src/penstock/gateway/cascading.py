"""Cascading: a call that asks the cheap group first and gives its client the first answer that passes the checks.

What comes next is decided by the pure `routing.cascade.next_step`. Each question is an exchange of its own, with its
own record and its own price; what was asked in vain is paid for, and stands in the ledger, like any answer.
"""

from __future__ import annotations

from collections.abc import Generator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from penstock.dialects import registry, wire
from penstock.dialects.dialect import Context
from penstock.exchange import Success
from penstock.gateway.route import RouteRequest
from penstock.providers.auth.commands import Fetch, Fetched
from penstock.routing.cascade import Accept, Answer, Ask, Cascade, Judge, Next, next_step
from penstock.types.profile import Profile

if TYPE_CHECKING:
    from penstock.gateway.chat import ChatCall

_LONGEST_VERDICT = 1000


class Verdict(Struct, frozen=True):
    """What the hook said."""

    accepted: bool
    why: str = ""


class Said(Struct, frozen=True):
    """The answer of a hook, on the wire."""

    accept: bool
    why: str = ""


class Kept(Struct, frozen=True, eq=False):
    """An answer that was not accepted, in case nothing better comes: with who gave it."""

    success: Success[Any]
    attempt: Any
    target: Any
    route: Any
    group: str


class Cascading:
    """The cascade of one call.

    tokens, dollars   what the answers took that were put aside
    last_counts       whether the accepted answer is to be added to these
    why               what was decided, a line for each answer
    """

    __slots__ = (
        "_answers",
        "_call",
        "_cascade",
        "_kept",
        "_request",
        "_settled",
        "dollars",
        "last_counts",
        "tokens",
        "why",
    )

    def __init__(self, call: ChatCall, cascade: Cascade, request: RouteRequest) -> None:
        self._call, self._cascade, self._request = call, cascade, request
        self._answers: list[Answer] = []
        self._kept: Kept | None = None
        self._settled = False
        self.tokens = 0
        self.last_counts = True
        self.dollars = Decimal(0)
        self.why: tuple[str, ...] = ()

    def begin(self) -> None:
        """Ask the first group."""
        self._follow(next_step(self._cascade, self._call.request(), self._answers))

    def answered(self, success: Success[Any]) -> bool:
        """A group has answered. Whether that is the client's answer; else the cascade goes on by itself."""
        if isinstance(success.value, Verdict):
            self._answers[-1] = replace(self._answers[-1], accepted=success.value.accepted, why=success.value.why)
        elif self._settled:
            return True
        else:
            call = self._call
            self._answers.append(Answer(self._request.group, call.response_of(success)))
            self._kept = Kept(success, call.attempt, call.target, call.route, call.group)
        step = next_step(self._cascade, self._call.request(), self._answers)
        if isinstance(step, Accept):
            return self._accept(step)
        if isinstance(step, Ask):
            self._put_aside()
        self._follow(step)
        return False

    def failed(self, error: BaseException) -> bool:
        """A group has failed. Whether the cascade goes on."""
        self._answers.append(Answer(self._request.group, None))
        step = next_step(self._cascade, self._call.request(), self._answers)
        if isinstance(step, Accept):  # of one that was put aside, which is counted already
            self.last_counts = False
            self._accept(step)
            return True
        if isinstance(step, Ask):
            self._follow(step)
            return True
        self.why = step.why if not isinstance(step, Judge) else ()
        return False

    def total(self, text: str | None) -> str | None:
        """The cost of all answers, of which the last cost this much (decimal US dollars)."""
        if not self.dollars or text is None:
            return text
        return f"{self.dollars + (Decimal(text) if self.last_counts else 0):f}"

    def _accept(self, step: Accept) -> bool:
        """Give the client the answer that was kept last. Whether it is the one that is under way."""
        self.why = step.why
        kept, call = self._kept, self._call
        assert kept is not None, "what is accepted was kept"
        self._settled = True
        call.attempt, call.target, call.route, call.group = kept.attempt, kept.target, kept.route, kept.group
        call.answer(kept.success)
        return False

    def _put_aside(self) -> None:
        """The answer is not given to the client; it is paid for all the same."""
        kept, response = self._kept, self._answers[-1].response
        if kept is None or response is None:
            return
        call, usage = self._call, response.usage
        cost, text = (None, None) if call.target is None else call.charge(call.target, usage, None, response)
        self.dollars += Decimal(text) if text is not None else 0
        tokens = 0 if usage is None else usage.total_tokens or (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self.tokens += tokens
        call.close("success", 200, usage=usage, cost=cost, cost_text=text, response_id=response.id)
        call.route.done(tokens)

    def _follow(self, step: Next) -> None:
        if isinstance(step, Ask):
            self._request = replace(self._request, group=step.group)
            self._call.ask(self._request)
        elif isinstance(step, Judge):
            self._call.drive(self._judge())

    def _judge(self) -> Generator[Any, Any, Success[Any]]:
        """Ask the hook, in OpenAI's shape whatever the client speaks."""
        assert self._kept is not None and self._cascade.hook is not None, "there is an answer to be judged"
        response = self._answers[-1].response
        assert response is not None, "an answer that failed is not judged"
        request, chat = self._call.request(), registry.get("openai_chat")
        shown = chat.render_response(response, Context(self._call.id, int(self._call.started_unix), request=request))
        body = {"request": chat.render_request(request, Profile()).value, "response": shown.value}
        outcome = yield Fetch(
            method="POST",
            url=self._cascade.hook,
            headers={"content-type": "application/json"},
            body=wire.encode(body),
            timeout=self._cascade.hook_timeout,
        )
        return replace(self._kept.success, value=_verdict(outcome))


def _verdict(outcome: Any) -> Verdict:
    """What a hook said; one that does not answer as it should has not accepted."""
    if not isinstance(outcome, Fetched):
        return Verdict(False, "it did not answer")
    try:
        said = msgspec.json.decode(outcome.body, type=Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Verdict(False, f"its answer ({outcome.status}) is not understood")
    return Verdict(said.accept and outcome.status == 200, said.why[:_LONGEST_VERDICT])

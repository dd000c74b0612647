"""Embeddings: one vector for each input, over any embedding dialect.

A list that is longer than one request may be is cut and its vectors are joined again, in order. All parts come from
one model, for vectors of two models cannot be compared: where the first part had to go to a fallback, the others go
there too. Whether vectors are numbers or base64 text is settled here and asked of no provider but those that speak
OpenAI's format.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from penstock.calls.bills import embedding_bill
from penstock.calls.embedding_shape import encoded, in_form, read_answer
from penstock.calls.options import Options, timeouts_of
from penstock.calls.prepare import complete
from penstock.client.operations import (
    JSON,
    Body,
    Operation,
    Payload,
    ReadError,
    SimpleAttempt,
    SimpleCall,
)
from penstock.client.result_objects import EmbeddingResponse
from penstock.dialects import embeddings, wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.embeddings.openai import DIALECT as OPENAI
from penstock.exchange import AttemptFailed, Plan, Reply, Success
from penstock.providers.endpoint import Endpoint
from penstock.providers.errors import ProviderError
from penstock.types.errors import ErrorResponse, MalformedError

PARAMETERS = frozenset({"dimensions", "input_type", "truncate"})
"""What is refused, not dropped, where a target has no word for it. (`user` changes no vector, and `encoding_format` is
ours to keep.)
"""


def _encode(body: Body, target: Endpoint, options: Options) -> Payload:
    said, notes = encoded(body, target)
    return Payload(target, wire.encode(complete(said, target, options)), JSON, notes)


def _read(reply: Reply, target: Endpoint) -> EmbeddingResponse:
    """The answer in OpenAI's shape. The call puts the vectors into the form that was asked for."""
    return EmbeddingResponse(read_answer(reply.body, target))


def _errors(wire_format: str) -> ReadError:
    return embeddings.get(wire_format).parse_error


def _mock(value: Any, body: Body) -> EmbeddingResponse:
    """A scripted vector, for each input."""
    if isinstance(value, Mapping):
        return EmbeddingResponse(value)
    if not isinstance(value, list | tuple):
        raise MalformedError("expected a vector, an exception or an EmbeddingResponse", "mock_response")
    inputs = OPENAI.parse_request(body, PathMatch()).inputs
    data = [{"object": "embedding", "index": index, "embedding": list(value)} for index in range(len(inputs))]
    usage = {"prompt_tokens": 10, "total_tokens": 10}
    return EmbeddingResponse({"object": "list", "data": data, "model": body.get("model"), "usage": usage})


def _input(value: Any) -> Any:
    """A text, a list of them, or tokens. One that is empty is refused here: providers say less of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes) and len(value):
        return list(value)
    raise MalformedError(f"expected a text or a list of at least one, got {wire.describe(value)}")


def _encoding(value: Any) -> str:
    if value not in ("float", "base64"):
        raise MalformedError(f'expected "float" or "base64", got {value!r}')
    return str(value)


def _finish(body: Body, answer: EmbeddingResponse) -> EmbeddingResponse:
    """The vectors in the form that was asked for."""
    for item in answer.data:
        item["embedding"] = in_form(item["embedding"], body.get("encoding_format"))
    return answer


EMBEDDING: Operation[EmbeddingResponse] = Operation(
    name="embedding",
    capability="embeddings",
    encode=_encode,
    read=_read,
    arguments={"input": _input, "encoding_format": _encoding, "dimensions": wire.integer},
    required={"input": "a text, or a list of texts"},
    example="openai/text-embedding-3-small",
    parameters=PARAMETERS,
    bill=embedding_bill,
    mock=_mock,
    errors=_errors,
    finish=_finish,
)


@dataclass(slots=True)
class EmbeddingCall(SimpleCall[EmbeddingResponse]):
    """An embedding call: as many requests as its input needs."""

    def run(self) -> Generator[Any, Any, Any]:
        began = self.engine.clock.monotonic()
        inputs = self.body["input"]
        limit = (yield from self._limit()) if _is_list(inputs) else None
        if limit is None or len(inputs) <= limit:
            success = yield from self.engine.exchange(self.plan(), self.options)
            return self.answer(success.value, success)
        success = yield from self._part(inputs[:limit], None, began)
        answers: list[EmbeddingResponse] = [success.value]
        for start in range(limit, len(inputs), limit):
            success = yield from self._part(inputs[start : start + limit], success, began)
            answers.append(success.value)
        self.body["input"] = inputs
        return self.answer(_joined(answers), success)

    def _limit(self) -> Generator[Any, Any, int | None]:
        """The most inputs that every target takes. One that cannot be found says so when it is its turn."""
        limits: list[int] = []
        self.engine.eligible(self)
        for attempt in self.attempts:
            try:
                target = yield from attempt.locate()
            except ProviderError:
                continue
            most = embeddings.get(target.format).max_inputs
            limits += [] if most is None else [most]
        self.attempts.clear()
        return min(limits, default=None)

    def _part(self, inputs: list[Any], before: Success[Any] | None, began: float) -> Generator[Any, Any, Success[Any]]:
        """One request's worth, at the model that gave the vectors before."""
        self.body["input"] = inputs
        timeouts = timeouts_of(self.options.timeout)
        if timeouts.total is not None:
            left = timeouts.total - (self.engine.clock.monotonic() - began)
            if left <= 0:
                raise AttemptFailed(_out_of_time(timeouts.total))
            timeouts = replace(timeouts, total=left)
        plan = self.plan() if before is None else self._same_again(before)
        return (yield from self.engine.exchange(plan, replace(self.options, timeout=timeouts)))

    def _same_again(self, before: Success[Any]) -> Plan:
        """A plan that asks whoever answered before: vectors of two models do not compare."""
        winner = self.winner(before)
        if winner is None:
            return self.plan()  # nobody was asked
        body = {**winner.body, "input": self.body["input"]}
        again = SimpleAttempt(winner.operation, body, winner.resolved, winner.options, winner.engine)
        self.attempts = [again]
        attempt = again.attempt(timeouts_of(winner.options.timeout))
        return self.engine.ladder([replace(attempt, facts=before.attempt.facts)], self.options)


def _out_of_time(total: float) -> ErrorResponse:
    message = f"the deadline of {total:g} s for the whole call is over; give `timeout` more seconds or embed less"
    return ErrorResponse(kind="timeout", status=408, message=message, native="deadline")


def _is_list(inputs: Any) -> bool:
    """Whether this is a list of inputs, and not one text or one list of token ids."""
    return isinstance(inputs, list) and not isinstance(inputs[0], int)


def _joined(answers: list[EmbeddingResponse]) -> EmbeddingResponse:
    """The vectors of all parts, numbered through, and the sum of what they took."""
    first = answers[0]
    first["data"] = [item for answer in answers for item in answer.data]
    for index, item in enumerate(first["data"]):
        item["index"] = index
    usages = [answer.usage for answer in answers if answer.usage is not None]
    if usages and len(usages) == len(answers):
        names = [name for name, count in usages[0].items() if type(count) is int]
        usages[0].update({name: sum(usage.get(name) or 0 for usage in usages) for name in names})
    return first

"""Shapes: in which wire format a chat call is described, and its answer given back.

`completion` speaks Chat Completions with its caller, `responses` the Responses API, `messages` Anthropic's,
`generate_content` Gemini's. All four are the same call (chat.py) with another `Shape`: the caller's dialect parses the
arguments and renders the answer, and a provider that speaks the caller's dialect is spoken to in it, so that nothing
is lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from penstock.calls.arguments import messages_of, tool_of
from penstock.calls.opening import OpenStream
from penstock.client.answer_forms import CHAT_FORM, AnswerForm
from penstock.client.objects import Answer, ModelResponse, ModelResponseStream
from penstock.client.streams import Finish, PureStream, StreamState
from penstock.dialects.dialect import Context, Dialect, PathMatch
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.dialects.openai_chat.request import UNMODELLED
from penstock.types.request import Request

C = TypeVar("C", bound=Answer)
R = TypeVar("R", bound=Answer)


@dataclass(frozen=True, slots=True)
class Shape(Generic[C, R]):
    """One way to describe a chat call.

    dialect      the caller's wire format
    answer       the class of a whole answer
    read         the arguments for the model -> the representation. Raises MalformedError with the argument's name
    stream       (what was opened, context, `_hidden_params`, finish) -> the pure half of a stream
    id_prefix    how ids that we make up begin
    prefer       the formats to speak with the provider where it can; none: the catalog's order
    own          options (`penstock.calls.options`) that are arguments for the model in this shape
    own_with     the same for options that are so only beside another argument: {"metadata": "store"}
    essential    arguments that no other dialect can say and that must not be left out silently
    wants_usage  (arguments) -> whether the caller wants usage in a stream
    call_type    what callbacks are told that the call is (of a coroutine, with an `a` before it)
    structured   where a call says what its answer must be (a class, a schema), against which answers are checked
    """

    dialect: Dialect
    answer: type[R]
    read: Callable[[dict[str, Any]], Request]
    stream: Callable[[OpenStream, Context, dict[str, Any], Finish[R]], PureStream[C, R]]
    id_prefix: str
    prefer: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()
    own_with: Mapping[str, str] = field(default_factory=dict)
    essential: frozenset[str] = frozenset()
    wants_usage: Callable[[dict[str, Any]], bool] = lambda body: True
    call_type: str = "completion"
    structured: AnswerForm | None = None


_NO_MATCH = PathMatch()


def with_stream_usage(request: Request) -> Request:
    """A request for a stream asks for its usage, whether or not the caller wants to see it."""
    return replace(request, stream_usage=True) if request.stream and request.stream_usage is None else request


def _read_chat(body: dict[str, Any]) -> Request:
    if "cache_control_injection_points" in body:
        from penstock.client.cache_points import with_cache_points  # few calls need it

        body = with_cache_points(body)
    if "messages" in body:
        body["messages"] = messages_of(body["messages"])
    if body.get("tools"):
        body["tools"] = [tool_of(tool) for tool in body["tools"]]
    return with_stream_usage(CHAT.parse_request(body, _NO_MATCH))


def _wants_chat_usage(body: dict[str, Any]) -> bool:
    return bool((body.get("stream_options") or {}).get("include_usage"))


CHAT_SHAPE: Shape[ModelResponseStream, ModelResponse] = Shape(
    dialect=CHAT,
    answer=ModelResponse,
    read=_read_chat,
    stream=StreamState,
    id_prefix="chatcmpl-",
    wants_usage=_wants_chat_usage,
    structured=CHAT_FORM,
    own_with={"metadata": "store"},
    essential=UNMODELLED,
)

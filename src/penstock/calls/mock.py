"""Mock answers: `mock_response` makes a call answer without asking anybody, in every other respect like a real one.

mock_response="text"                      the answer's text (streamed in pieces where a stream was asked for)
mock_response=RateLimitError(...)         raised
mock_response="penstock.RateLimitError"   the same by name (LiteLLM's names with its prefix work too)
mock_response=ModelResponse(...)          the answer itself
mock_tool_calls=[...]                     tool calls of the answer, in OpenAI's shape
mock_timeout=True, mock_delay=0.2         a Timeout; seconds to wait first
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock.calls.options import Options
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.dialects.openai_chat.messages import read_tool_calls
from penstock.exchange import Attempt, Timeouts
from penstock.types.content import Part, Text
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import NO_MEMO
from penstock.types.request import Request
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage

_USAGE = Usage(input_tokens=10, output_tokens=20, total_tokens=30)
"""LiteLLM's figures for a mock, on which tests of its users rely."""


def wants_mock(options: Options) -> bool:
    """Whether a call is answered by what the caller scripted."""
    return options.mock_response is not None or options.mock_tool_calls is not None or bool(options.mock_timeout)


def mock_answer(options: Options, request: Request, model: str, call_id: str, created: int) -> Response:
    """The answer. Raises what the mock says."""
    wanted = options.mock_response
    raise_mock(options, model)
    if isinstance(wanted, Mapping):
        return CHAT.parse_response(dict(wanted), NO_MEMO)
    if wanted is not None and not isinstance(wanted, str):
        raise MalformedError("expected a text, an exception or a ModelResponse", "mock_response")
    parts: list[Part] = [Text(wanted)] if wanted is not None else []
    if options.mock_tool_calls is not None:
        parts += read_tool_calls(list(options.mock_tool_calls))
    reason: StopReason = "tool_calls" if options.mock_tool_calls else "stop"
    choices = tuple(Choice(tuple(parts), reason, index=number) for number in range(request.n or 1))
    return Response(dialect="mock", id=call_id, model=model, created=created, choices=choices, usage=_USAGE)


def local_attempt(model: str, stream: bool, timeouts: Timeouts, answer: Callable[[], Any]) -> Attempt[Any]:
    """An attempt of which `answer` gives the answer, or raises the failure, in the place of a provider."""

    def local() -> Any:
        try:
            return answer()
        except DialectError:  # the script is at fault
            raise
        except Exception as error:
            from penstock.exceptions import as_error

            return as_error(error)

    def never(*_: Any) -> Any:
        raise AssertionError("a local attempt sends nothing")

    return Attempt(f"mock/{model}", "mock", model, stream, timeouts, never, never, never, local=local)


def raise_mock(options: Options, model: str) -> None:
    """Raise what the mock says to raise; nothing else happens. For calls of every kind."""
    wanted = options.mock_response
    if options.mock_timeout:
        raise _exception("Timeout", "mock_timeout was set", model)
    if isinstance(wanted, BaseException):
        raise wanted
    if isinstance(wanted, str):
        _raise_by_name(wanted, model)


def _raise_by_name(text: str, model: str) -> None:
    prefix, _, name = text.partition(".")
    if prefix in ("penstock", "litellm") and name.isidentifier() and name[:1].isupper():
        raise _exception(name, "this is a mock error", model)


def _exception(name: str, message: str, model: str) -> Exception:
    from penstock import exceptions

    kind = getattr(exceptions, name, None)
    if not (isinstance(kind, type) and issubclass(kind, exceptions.PenstockError)):
        raise MalformedError(f"there is no exception {name!r}", "mock_response")
    return kind(message, "mock", model)

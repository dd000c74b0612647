"""Answer forms: where a call says what its answer must be, and where in the answer that stands. One for each shape
whose answers are checked; the checking itself (structured_calls.py) is the same for all, and loaded when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock.calls.arguments import plain
from penstock.client.objects import Object
from penstock.types.errors import MalformedError

Arguments: TypeAlias = dict[str, Any]
Judged: TypeAlias = tuple[str | None, Object]
"""A text that must fit, and the object whose `parsed` it becomes."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How one shape says it.

    argument   the name of the argument that says what is wanted, for messages
    limit      the name of the argument that bounds the answer's tokens
    asked      (arguments) -> what is wanted (a class, a schema, `{"type": "json_schema", ...}`); None: nothing
    put        (arguments, OpenAI's `response_format` object) -> the arguments to call with. Raises MalformedError
    texts      (answer) -> what must fit. Nothing, where the model did something else: called a tool, refused, was held
               back by a content filter
    was_cut    (answer) -> whether it ended at its token limit
    go_on      (arguments, the answer's text, what to say to it) -> the arguments that ask again
    """

    argument: str
    limit: str
    asked: Callable[[Mapping[str, Any]], Any]
    put: Callable[[Arguments, dict[str, Any]], Arguments]
    texts: Callable[[Any], Iterator[Judged]]
    was_cut: Callable[[Any], bool]
    go_on: Callable[[Arguments, str, str], Arguments]


def _turns(said: str, reply: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": said}, {"role": "user", "content": reply}]


# -- Chat Completions: `response_format`, `message.parsed` ------------------------------------------------------------


def _asked_of_chat(arguments: Mapping[str, Any]) -> Any:
    return arguments.get("response_format")


def _put_to_chat(arguments: Arguments, wanted: dict[str, Any]) -> Arguments:
    return {**arguments, "response_format": wanted}


def _chat_texts(answer: Any) -> Iterator[Judged]:
    for choice in answer.get("choices") or ():
        message = choice.message
        held_back = not message.get("content") and choice.get("finish_reason") == "content_filter"
        if not (held_back or message.get("refusal") or message.get("tool_calls")):
            yield message.get("content"), message


def _chat_was_cut(answer: Any) -> bool:
    return any(choice.get("finish_reason") == "length" for choice in answer.get("choices") or ())


def _go_on_in_chat(arguments: Arguments, said: str, reply: str) -> Arguments:
    return {**arguments, "messages": [*arguments["messages"], *_turns(said, reply)]}


CHAT_FORM = AnswerForm(
    "response_format", "max_tokens", _asked_of_chat, _put_to_chat, _chat_texts, _chat_was_cut, _go_on_in_chat
)

# -- the Responses API: `text_format` or `text.format`, `output_parsed` -----------------------------------------------


def _asked_of_responses(arguments: Mapping[str, Any]) -> Any:
    wanted = arguments.get("text_format")
    text = plain(arguments.get("text"))
    if wanted is None and isinstance(text, Mapping):
        wanted = text.get("format")
    if isinstance(wanted, Mapping) and wanted.get("type") == "json_schema" and "json_schema" not in wanted:
        return {"type": "json_schema", "json_schema": _without(wanted, "type")}
    return wanted


def _put_to_responses(arguments: Arguments, wanted: dict[str, Any]) -> Arguments:
    inner = {"type": "json_schema", **wanted["json_schema"]} if "json_schema" in wanted else wanted
    text = plain(arguments.get("text"))
    if not isinstance(text, Mapping | None):
        raise MalformedError(f"expected an object, got {type(text).__name__}", "text")
    return {**_without(arguments, "text_format"), "text": {**(text or {}), "format": inner}}


def _without(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def _responses_texts(answer: Any) -> Iterator[Judged]:
    if answer.get("status") not in (None, "completed", "incomplete"):  # it is still being made, or failed
        return
    output = answer.get("output") or ()
    if any(item.get("type") in _CALLERS for item in output):
        return
    messages = [item for item in output if item.get("type") == "message" and item.get("phase") != "commentary"]
    parts = [part for item in messages for part in item.get("content") or ()]
    texts = [part for part in parts if part.get("type") == "output_text"]
    held_back = not texts and (answer.get("incomplete_details") or {}).get("reason") == "content_filter"
    if not held_back and all(part.get("type") == "output_text" for part in parts):
        yield "".join(part["text"] for part in texts), (texts[0] if texts else answer)


_CALLERS = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_approval_request",
    }
)
"""Items of an output that wait for the caller, unlike the calls of the provider's own tools
(platform.openai.com/docs/api-reference/responses/object, "output").
"""


def _responses_was_cut(answer: Any) -> bool:
    return (answer.get("incomplete_details") or {}).get("reason") == "max_output_tokens"


def _go_on_in_responses(arguments: Arguments, said: str, reply: str) -> Arguments:
    given = arguments["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    return {**arguments, "input": [*items, *_turns(said, reply)]}


RESPONSES_FORM = AnswerForm(
    "text_format",
    "max_output_tokens",
    _asked_of_responses,
    _put_to_responses,
    _responses_texts,
    _responses_was_cut,
    _go_on_in_responses,
)

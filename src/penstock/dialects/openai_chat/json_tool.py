"""A tool that takes the answer: structured output on hosts that have tools but no schema mode
(`Profile.structured_output` "tool").

Writing, the schema becomes the parameters of one more function that the model must call. Reading, the call becomes the
text that the caller waits for, before anything else looks at the answer: what is read is the answer that a host with a
schema mode would have sent. `Memo.json_tool` is the function's name.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects.json_schema import object_schema
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Request

JSON_TOOL = "json_tool_call"
"""LiteLLM's name for it."""

Body = dict[str, Any]


def force_tool(body: Body, request: Request, profile: Profile, notes: list[Note]) -> str | None:
    """Put the tool into `body` (which is ours) in the place of the schema; its name. None where that is not to be done:
    the host has a better or no such way, or the caller forces a tool of their own.
    """
    wanted = request.response_format
    if profile.structured_output != "tool" or wanted is None or wanted.kind != "json_schema" or wanted.schema is None:
        return None
    choice = request.tool_choice
    if not profile.tools or (choice is not None and choice.mode in ("required", "tool", "allowed")):
        return None
    tools = list(body.get("tools") or ())
    name = _free_name({tool.get("function", {}).get("name") for tool in tools})
    description = wanted.description or "Give the answer by calling this."
    function = {"name": name, "description": description, "parameters": object_schema(wanted.schema)}
    alone = not tools or (choice is not None and choice.mode == "none")
    body["tools"] = [*tools, {"type": "function", "function": function}]
    body["tool_choice"] = {"type": "function", "function": {"name": name}} if alone else "required"
    del body["response_format"]
    notes.append(Note("response_format", "weakened", "this model has no schema mode: a tool takes the answer"))
    return name


def _free_name(taken: set[Any]) -> str:
    return next(
        name for name in (JSON_TOOL, *(f"{JSON_TOOL}_{number}" for number in range(2, 999))) if name not in taken
    )


def unwrap_answer(body: Body, name: str) -> Body:
    """A copy of a whole answer with the calls of the tool as text."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        return body
    return {**body, "choices": [_unwrapped_choice(choice, name) for choice in choices]}


def _unwrapped_choice(choice: Any, name: str) -> Any:
    message = choice.get("message") if isinstance(choice, dict) else None
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(calls, list):
        return choice
    ours = [call for call in calls if _name_of(call) == name]
    if not ours:
        return choice
    others = [call for call in calls if call not in ours]
    texts = [message.get("content"), *(_arguments_of(call) for call in ours[:1])]
    said = {key: value for key, value in message.items() if key != "tool_calls"}
    said["content"] = "".join(text for text in texts if isinstance(text, str))
    if others:
        said["tool_calls"] = others
    return {**choice, "message": said, **_reason(choice, bool(others))}


def _function_of(call: Any) -> Body:
    function = call.get("function") if isinstance(call, dict) else None
    return function if isinstance(function, dict) else {}


def _name_of(call: Any) -> Any:
    return _function_of(call).get("name")


def _arguments_of(call: Any) -> Any:
    return _function_of(call).get("arguments")


def _reason(choice: Body, called: bool) -> Body:
    """The end of a choice without other calls is a natural one."""
    return {"finish_reason": "stop"} if choice.get("finish_reason") == "tool_calls" and not called else {}


class ChunkUnwrapper:
    """The same for the chunks of a stream, which are ours to change."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._slots: dict[tuple[Any, Any], bool] = {}
        self._called: set[Any] = set()

    def unwrap(self, chunk: Body) -> None:
        """Turn the pieces of the tool's call into pieces of text."""
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._unwrap_choice(choice)

    def _unwrap_choice(self, choice: Body) -> None:
        number, delta = choice.get("index"), choice.get("delta")
        calls = delta.get("tool_calls") if isinstance(delta, dict) else None
        if isinstance(delta, dict) and isinstance(calls, list):
            others = [call for call in calls if not self._is_ours(number, call)]
            pieces = [_arguments_of(call) for call in calls if call not in others]
            text = "".join(piece for piece in pieces if isinstance(piece, str))
            if text:
                delta["content"] = (delta.get("content") or "") + text
            if others:
                delta["tool_calls"] = others
            else:
                del delta["tool_calls"]
        choice.update(_reason(choice, number in self._called))

    def _is_ours(self, number: Any, call: Any) -> bool:
        key = (number, call.get("index") if isinstance(call, dict) else None)
        name = _name_of(call)
        if name:
            self._slots[key] = name == self._name
        ours = self._slots.get(key, False)
        if not ours:
            self._called.add(number)
        return ours

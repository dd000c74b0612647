"""What the calls return: OpenAI's JSON, with attribute access.

An `Object` is a dict, so it goes wherever JSON goes (into the next request's messages, through `json.dumps`, into a
log), and each field can be read and set as an attribute as well. Fields that a class declares read as None where the
answer has none; any other missing name is an AttributeError. What a provider adds beyond OpenAI's fields is kept and
reads the same way.

    response.choices[0].message.content        response["choices"][0]["message"]["content"]
    response.model_dump()                      response._hidden_params["response_cost"]
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import msgspec

from penstock.dialects import wire
from penstock.types.notes import Note


class Object(dict[str, Any]):
    """A JSON object. `children` says which fields hold objects (or lists of objects) of which class."""

    children: ClassVar[dict[str, type[Object]]] = {}
    declared: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        cls.declared = frozenset(name for kind in cls.__mro__ for name in vars(kind).get("__annotations__", ()))

    def __init__(self, fields: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        super().__init__(fields or {}, **more)
        for name, kind in self.children.items():
            value = self.get(name)
            if value is not None:
                self[name] = _adopt(value, kind)

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name in self.declared:
                return None
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            super().__delattr__(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    def __copy__(self) -> Object:
        return self._with_state(type(self)(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Object:
        return self._with_state(type(self)(copy.deepcopy(dict(self), memo)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),), dict(vars(self))

    def _with_state(self, other: Object) -> Object:
        vars(other).update(vars(self))
        return other

    def model_dump(
        self, *, include: Any = None, exclude: Any = None, exclude_none: bool = False, **ignored: Any
    ) -> dict[str, Any]:
        """Plain dicts and lists, sharing nothing with this object.

        `include` and `exclude` are names of fields, or dicts that say the same of what is inside them:
        `exclude={"id": True, "usage": {"cost"}}`. (Other arguments of pydantic's method are accepted and change
        nothing.)
        """
        plain: dict[str, Any] = _plain(self, exclude_none)
        return plain if include is None and exclude is None else _picked(plain, include, exclude)

    def model_dump_json(self, *, indent: int | None = None, **arguments: Any) -> str:
        """The JSON text of `model_dump` with these arguments."""
        text = wire.encode(self.model_dump(**arguments))
        return (text if indent is None else msgspec.json.format(text, indent=indent)).decode()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; of the fields in `update`, with those values."""
        made = copy.deepcopy(self) if deep else copy.copy(self)
        made.update(update or {})
        return made

    def json(self, **arguments: Any) -> dict[str, Any]:
        """As `model_dump`: LiteLLM's `json()` returns a dict."""
        return self.model_dump(**arguments)

    def to_dict(self, **arguments: Any) -> dict[str, Any]:
        """As `model_dump`, under the name that the `openai` package's objects have for it."""
        return self.model_dump(**arguments)

    def to_json(self, *, indent: int | None = 2, **arguments: Any) -> str:
        """As `model_dump_json`, under the name that the `openai` package's objects have for it."""
        return self.model_dump_json(indent=indent, **arguments)

    def dict(self, **arguments: Any) -> dict[str, Any]:
        """As `model_dump`."""
        return self.model_dump(**arguments)


def _adopt(value: Any, kind: type[Object]) -> Any:
    if type(value) is dict:  # nearly always
        return kind(value)
    if isinstance(value, list | tuple):
        return [_adopt(element, kind) for element in value]
    return kind(value) if isinstance(value, Mapping) and type(value) is not kind else value


def _plain(value: Any, exclude_none: bool) -> Any:
    if isinstance(value, dict):
        if exclude_none:
            return {key: _plain(inner, True) for key, inner in value.items() if inner is not None}
        return {key: _plain(inner, False) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, exclude_none) for inner in value]
    return value


def _picked(value: Any, include: Any, exclude: Any) -> Any:
    """What is asked for of a plain value. Of a list, the same of every element."""
    if isinstance(value, list):
        return [_picked(element, include, exclude) for element in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, inner in value.items():
        wanted, unwanted = _within(include, name, True), _within(exclude, name, False)
        if wanted is not False and unwanted is not True:
            more = isinstance(wanted, Collection) or isinstance(unwanted, Collection)
            within = None if wanted is True else wanted, None if unwanted is False else unwanted
            found[name] = _picked(inner, *within) if more else inner
    return found


def _within(choice: Any, name: str, default: bool) -> Any:
    """What a choice says of a field: True (all of it), False (not at all), or a choice of what is inside."""
    if choice is None:
        return default
    said = choice.get(name, False) if isinstance(choice, Mapping) else name in choice
    inner = said.get("__all__", said) if isinstance(said, Mapping) else said
    return True if inner is ... else inner


class FunctionCall(Object):
    """Name and arguments (JSON text) of a called function."""

    name: str
    arguments: str


class ToolCall(Object):
    """One tool call of a message."""

    id: str | None
    type: str
    function: FunctionCall
    custom: Object | None
    children = {"function": FunctionCall, "custom": Object}


class Message(Object):
    """An assistant's message. It can be put into the next request's `messages` as it is: thinking and signatures come
    along.
    """

    role: str
    content: str | None
    tool_calls: list[ToolCall] | None
    function_call: FunctionCall | None
    refusal: str | None
    reasoning_content: str | None
    thinking_blocks: list[dict[str, Any]] | None
    annotations: list[dict[str, Any]] | None
    audio: Object | None
    images: list[dict[str, Any]] | None
    provider_specific_fields: dict[str, Any] | None
    parsed: Any
    children = {"tool_calls": ToolCall, "function_call": FunctionCall, "audio": Object}


class Choice(Object):
    """One alternative."""

    index: int
    message: Message
    finish_reason: str | None
    native_finish_reason: str | None
    logprobs: Object | None
    children = {"message": Message, "logprobs": Object}


class TokenDetails(Object):
    """The parts that a token count is made of."""

    cached_tokens: int | None
    cache_write_tokens: int | None
    cache_creation_tokens: int | None
    reasoning_tokens: int | None
    text_tokens: int | None
    audio_tokens: int | None
    image_tokens: int | None
    accepted_prediction_tokens: int | None
    rejected_prediction_tokens: int | None


class Usage(Object):
    """Token counts, totals inclusive: `prompt_tokens` counts cached tokens, `completion_tokens` reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: TokenDetails | None
    completion_tokens_details: TokenDetails | None
    cache_creation_input_tokens: int | None
    cache_read_input_tokens: int | None
    cost: float | None
    server_tool_use: Object | None
    children = {
        "prompt_tokens_details": TokenDetails,
        "completion_tokens_details": TokenDetails,
        "server_tool_use": Object,
    }


class Answer(Object):
    """What every call returns. `_hidden_params` holds what is about the call, not of the answer: response_cost (None:
    unknown), model_id, custom_llm_provider, api_base, litellm_call_id, additional_headers, attempts; `notes` lists
    what a translation dropped or changed."""

    _hidden_params: dict[str, Any]
    _response_ms: float = 0.0
    _notes: tuple[Note, ...] = ()

    def __init__(self, fields: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        super().__init__(fields, **more)
        vars(self)["_hidden_params"] = {}

    def _with(self, hidden: dict[str, Any], notes: tuple[Note, ...] = ()) -> Self:
        """This answer with facts about its call."""
        state = vars(self)
        state["_hidden_params"] = hidden
        if notes:
            state["_notes"] = notes
        return self

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was lost, weakened or changed on the way to the provider and back."""
        return self._notes


class ModelResponse(Answer):
    """A chat completion."""

    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None
    system_fingerprint: str | None
    service_tier: str | None
    children = {"choices": Choice, "usage": Usage}


class Delta(Message):
    """The piece of a message that a chunk brings."""


class StreamingChoice(Object):
    """One alternative's piece."""

    index: int
    delta: Delta
    finish_reason: str | None
    native_finish_reason: str | None
    logprobs: Object | None
    children = {"delta": Delta}


class ModelResponseStream(Answer):
    """A chunk of a chat completion."""

    id: str
    object: str
    created: int
    model: str
    choices: list[StreamingChoice]
    usage: Usage | None
    system_fingerprint: str | None
    service_tier: str | None
    children = {"choices": StreamingChoice, "usage": Usage}

"""Tokens: how many a request will be billed for, as well as that can be told without asking anybody.

`token_counter` says a number, and how much it is worth: it returns a `TokenCount`, an int that knows whether it is
`exact`, by which `method` it was found, and the relative `error` to expect. Texts and plain conversations for OpenAI's
models are exact with the extra `[tokenizers]`; everything else is an estimate whose error was measured on recorded
requests (docs/reference/tokens.md). `count_tokens` asks the provider's own counting endpoint instead.

What is counted is the representation of a request, so that every dialect's requests can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from penstock.calls.arguments import messages_of, plain, tool_of
from penstock.calls.failures import raising
from penstock.calls.image_sizes import size_of
from penstock.calls.image_tokens import ImageRule, image_rule, image_tokens
from penstock.calls.token_families import TokenFamily, family_of
from penstock.calls.tokenizers import count_texts
from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.types.content import (
    Base64,
    Blocks,
    Json,
    Media,
    Part,
    PlainText,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.errors import MalformedError
from penstock.types.request import Message, Request, Tool


class TokenCount(int):
    """A number of tokens, and what it is worth.

    exact     the provider will count the same
    method    how it was found: "provider:...", "tokenizer:...", "estimate:..."
    error     the relative error that nine of ten recorded requests stayed under; 0.0 where it is exact
    """

    exact: bool
    method: str
    error: float

    def __new__(cls, tokens: int, *, exact: bool, method: str, error: float = 0.0) -> Self:
        made = super().__new__(cls, tokens)
        made.exact, made.method, made.error = exact, method, error
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (int(self), self.exact, self.method, self.error)

    @property
    def total_tokens(self) -> int:
        """The number: LiteLLM's name in what `acount_tokens` returns."""
        return int(self)

    @property
    def tokenizer_type(self) -> str:
        """LiteLLM's name for `method`."""
        return self.method


def _rebuilt(tokens: int, exact: bool, method: str, error: float) -> TokenCount:
    return TokenCount(tokens, exact=exact, method=method, error=error)


def token_counter(
    model: str = "",
    custom_tokenizer: Any = None,
    text: str | Sequence[str] | None = None,
    messages: Sequence[Any] | None = None,
    count_response_tokens: bool = False,
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
    use_default_image_token_count: bool = False,
    default_token_count: int | None = None,
) -> TokenCount:
    """Tokens of a text, or of a conversation with its tools, as this model counts them.

    text                 a text, or several
    messages, tools      in OpenAI's shape; Python functions and answers of earlier calls as they are
    custom_tokenizer     an object whose `encode(text)` gives a list; it counts the texts in the place of ours
    count_response_tokens    count the words of the messages only, not the marks around them: they are an answer
    use_default_image_token_count    count every image as one of unknown size
    default_token_count  returned where nothing can be counted, instead of an exception
    tool_choice          some providers add more where a tool must be called

    Raises BadRequestError for arguments that cannot be read.
    """
    try:
        with raising("", model):
            family = family_of(model)
            if text is not None:
                texts = [text] if isinstance(text, str) else list(text)
                return _worth(Load(texts, image_rule(model)), family, custom_tokenizer, framed=False)
            if messages is None:
                raise MalformedError("one of text and messages must be given", "text")
            request = _request(messages, tools, tool_choice)
            family = family_at(family, request)
            load = load_of(request, model, use_default_image_token_count)
            return _worth(load, family, custom_tokenizer, framed=not count_response_tokens)
    except Exception:
        if default_token_count is None:
            raise
        return TokenCount(default_token_count, exact=False, method="default", error=1.0)


def _request(messages: Sequence[Any], tools: Sequence[Any] | None, tool_choice: Any) -> Request:
    body: dict[str, Any] = {"messages": messages_of(messages)}
    if tools:
        body["tools"] = [tool_of(tool) for tool in tools]
        if tool_choice is not None:
            body["tool_choice"] = plain(tool_choice)
    return CHAT.parse_request(body, PathMatch())


class Load(Struct):
    """What a request holds that costs tokens. `answers` are the messages of the model's own; `media` is in tokens.
    `guessed` says that some of it is of unknown size, or of a kind that nobody can count; `mixed` that a message has
    several texts, which the provider joins in a way of its own; `signatures` are the characters of those of the turn
    under way; `forced` says that a tool must be called, `budgeted` that there is a budget for thoughts.
    """

    texts: list[str]
    images: ImageRule
    messages: int = 0
    answers: int = 0
    signatures: int = 0
    forced: bool = False
    budgeted: bool = False
    mixed: bool = False
    calls: int = 0
    names: int = 0
    tools: int = 0
    tool_texts: list[str] = []
    schema: str = ""
    media: int = 0
    guessed: bool = False


def count_request(request: Request, model: str) -> TokenCount:
    """Tokens of a request in any dialect."""
    return _worth(load_of(request, model), family_at(family_of(model), request), None, framed=True)


def family_at(family: TokenFamily, request: Request) -> TokenFamily:
    """The family, as it counts requests of this dialect."""
    different = family.formats.get(request.dialect)
    return replace(family, **different) if different else family


def load_of(request: Request, model: str, default_images: bool = False) -> Load:
    """What a request holds."""
    family = family_of(model)
    load = Load([], image_rule(model), messages=bool(request.system))
    _add_parts(load, request.system or (), default_images)
    for message, current in _with_turn(request.messages):
        own = message.role == "assistant"
        parts = [part for part in message.parts if current or not isinstance(part, Thinking)]
        if own and not current and family.drops_thoughts:
            parts = [_without_thoughts(part) for part in parts]
        load.signatures += sum(map(_signature, parts)) if current else 0
        load.messages += bool(parts)
        load.answers += bool(parts) and own
        load.names += message.name is not None
        load.mixed = load.mixed or sum(isinstance(part, Text) for part in parts) > 1
        _add_parts(load, parts, default_images)
    load.forced = request.tool_choice is not None and request.tool_choice.mode in ("required", "tool")
    load.budgeted = request.reasoning is not None and request.reasoning.budget_tokens is not None
    for tool in request.tools or ():
        load.tools += 1
        load.tool_texts.append(_tool_text(tool))
        load.guessed = load.guessed or tool.kind == "server"
    if request.response_format is not None and request.response_format.schema is not None:
        load.schema = wire.encode(request.response_format.schema).decode()
    if request.reasoning is not None and request.reasoning.extras:
        load.guessed = True  # a mode of the provider's, with a prompt of its own
    return load


def _with_turn(messages: Sequence[Message]) -> Iterator[tuple[Message, bool]]:
    """Each message, and whether it stands behind the user's last words: providers drop the thoughts of earlier
    turns.
    """
    spoken = [place for place, message in enumerate(messages) if message.role == "user" and _speaks(message.parts)]
    last = spoken[-1] if spoken else -1
    return ((message, place > last) for place, message in enumerate(messages))


def _signature(part: Part) -> int:
    """The characters of a part's signature."""
    signature = getattr(part, "signature", None)
    return 0 if signature is None else len(signature.value)


_THOUGHTS = re.compile(r"^.*?</think>\s*", re.DOTALL)
"""The opening mark may be missing: the host wrote it into the prompt."""


def _without_thoughts(part: Part) -> Part:
    """A text without the thoughts in plain words that it begins with."""
    return replace(part, text=_THOUGHTS.sub("", part.text)) if isinstance(part, Text) else part


def _speaks(parts: Iterable[Part]) -> bool:
    return any(not isinstance(part, ToolResult) for part in parts)


def _add_parts(load: Load, parts: Iterable[Part], default_images: bool) -> None:
    for part in parts:
        if isinstance(part, Text | Refusal):
            load.texts.append(part.text)
        elif isinstance(part, Thinking):
            load.texts.append(part.text or "\n".join(part.summary or ()))
        elif isinstance(part, ToolCall):
            load.calls += 1
            load.texts += [part.name, wire.as_text(part.arguments)]
        elif isinstance(part, ToolResult):
            load.calls += 1
            _add_parts(load, part.parts, default_images)
        elif isinstance(part, Json):
            load.texts.append(wire.as_text(part.value))
        elif isinstance(part, Media):
            _add_media(load, part, default_images)
        else:
            load.guessed = True


def _tool_text(tool: Tool) -> str:
    known = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return wire.encode({name: value for name, value in known.items() if value is not None}).decode()


# -- media ------------------------------------------------------------------------------------------------------------

_USUAL_IMAGE = (1024, 1024)
_USUAL_FILE = 1500
"""Tokens of a document, a sound or a film of unknown length: about a page, or a minute."""


def _add_media(load: Load, part: Media, default_images: bool) -> None:
    if isinstance(part.source, PlainText):
        load.texts.append(part.source.text)
    elif isinstance(part.source, Blocks):
        _add_parts(load, part.source.parts, default_images)
    elif part.kind == "image":
        size = size_of(part.source.data) if isinstance(part.source, Base64) and not default_images else None
        load.guessed = True
        load.media += image_tokens(size or _USUAL_IMAGE, part.detail, load.images)
    else:
        load.guessed = True
        load.media += _USUAL_FILE


# -- what it comes to -------------------------------------------------------------------------------------------------


def _worth(load: Load, family: TokenFamily, tokenizer: Any, *, framed: bool) -> TokenCount:
    """The count of a load, and what it is worth."""
    if tokenizer is not None:
        words, real = sum(len(tokenizer.encode(text)) for text in load.texts), True
    else:
        words, real = count_texts(load.texts, family.encoding)
    own = family.exact or tokenizer is not None
    extra = load.guessed or load.media or load.tools or load.calls or load.names or load.schema or load.signatures
    plain = not (extra or load.mixed)
    tokens = float(words) if own else words * family.text
    if framed:
        tokens += family.base + family.message * load.messages + family.answer * load.answers
        tokens += family.thinking * load.budgeted
    if extra:
        tokens += (
            family.signature * load.signatures + family.call * load.calls + load.media + _tool_tokens(load, family)
        )
    exact = real and own and plain
    source = "custom" if tokenizer is not None else family.encoding if real else "pieces"
    error = 0.0 if exact else family.error if real else family.rough_error
    method = f"{'tokenizer' if exact else 'estimate'}:{source}"
    return TokenCount(max(0, round(tokens)), exact=exact, method=method, error=error)


def _tool_tokens(load: Load, family: TokenFamily) -> float:
    tools, _ = count_texts(load.tool_texts, family.encoding)
    schema, _ = count_texts([load.schema] if load.schema else [], family.encoding)
    there = family.any_tool + family.forced * load.forced if load.tools else 0.0
    return there + family.tool * load.tools + family.tool_text * tools + family.schema * schema

"""stream_chunk_builder: the chunks of a stream, kept in a list, as the one answer that they make.

Nothing is added up here: the chunks are read as the wire format that they are, and the fold that serves every stream
adds them (text, tool calls by index, thinking with its signatures, citations, audio, log probabilities, usage).
`stream.response` has the same answer without keeping the chunks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.calls.arguments import plain
from penstock.calls.failures import raising
from penstock.client.objects import ModelResponse, Usage
from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.types.errors import MalformedError
from penstock.types.fold import Fold
from penstock.types.notes import NO_MEMO


def stream_chunk_builder(
    chunks: Sequence[Any], messages: Sequence[Any] | None = None, start_time: Any = None, end_time: Any = None
) -> ModelResponse | None:
    """The whole answer of a stream's chunks (ModelResponseStream, the `openai` package's, or dicts); None where there
    are none.

    Where no chunk brought usage and `messages` are given, the tokens are counted here (see `token_counter` for how
    exactly). `start_time` and `end_time` are LiteLLM's and change nothing. Raises BadRequestError for what is no chunk.
    """
    if not chunks:
        return None
    with raising("", ""):
        total = _folded(chunks)
        if total.error is not None:
            raise MalformedError(f"the stream ended in an error: {total.error.message}", "chunks")
        response = total.response()
        answer = ModelResponse(CHAT.render_response(response, Context(response.id or "chatcmpl-unknown")).value)
    _add_native_reasons(answer, chunks)
    hidden = getattr(chunks[-1], "_hidden_params", None)
    answer._with(dict(hidden) if isinstance(hidden, Mapping) else {})
    if answer.get("usage") is None and messages is not None:
        answer["usage"] = _counted(answer, messages)
    return answer


def _folded(chunks: Sequence[Any]) -> Fold:
    parser = CHAT.stream_parser(NO_MEMO)
    total = Fold("stream")
    for number, chunk in enumerate(chunks):
        value = plain(chunk)
        if not isinstance(value, Mapping):
            raise MalformedError(f"expected a chunk, got {wire.describe(value)}", f"chunks[{number}]")
        for event in parser.feed(b"data: " + wire.encode(value) + b"\n\n"):
            total.add(event)
    for event in parser.close():
        total.add(event)
    return total


def _add_native_reasons(answer: ModelResponse, chunks: Sequence[Any]) -> None:
    """The provider's own word for the end, which the chunks carry beside OpenAI's."""
    for chunk in chunks:
        for given in plain(chunk).get("choices") or ():
            native = given.get("native_finish_reason")
            for choice in answer.choices:
                if native is not None and choice.index == given.get("index"):
                    choice["native_finish_reason"] = native


def _counted(answer: ModelResponse, messages: Sequence[Any]) -> Usage:
    from penstock.calls.tokens import token_counter

    model = answer.get("model") or ""
    read = token_counter(model=model, messages=messages)
    written = sum(token_counter(model=model, text=_said(choice.message)) for choice in answer.choices)
    return Usage(prompt_tokens=int(read), completion_tokens=written, total_tokens=int(read) + written)


def _said(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls") or ()
    texts = [message.get("reasoning_content") or "", message.get("content") or ""]
    for call in calls:
        function = call.get("function") or {}
        texts += [function.get("name") or "", function.get("arguments") or ""]
    return "".join(text for text in texts if isinstance(text, str))

"""What the calls other than `completion` return: the provider's JSON in OpenAI's (rerank: Cohere's) shape, with
attribute and item access like everything in objects.py.

A `Tree` gives attribute access at every depth, for answers whose inner objects are of many kinds (the items of a
Responses answer, Anthropic's content blocks, moderation's categories). `BinaryContent` is what is no JSON: speech and
the content of a file.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.client.objects import Answer, Object, Usage
from penstock.types.errors import MalformedError


class Tree(Object):
    """A JSON object whose inner objects, at any depth, are Trees too."""

    def __init__(self, fields: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        super().__init__(fields, **more)
        for name, value in self.items():
            if type(value) in (dict, list):
                self[name] = self._grow(value)

    @classmethod
    def _grow(cls, value: Any) -> Any:
        if type(value) is list:
            return [cls._grow(element) for element in value]
        return cls._inner()(value) if type(value) is dict else value

    @classmethod
    def _inner(cls) -> type[Tree]:
        return Tree


# -- the Responses API ------------------------------------------------------------------------------------------------


class ResponsesResponse(Answer, Tree):
    """An answer of the Responses API. `output_text` is all its text, joined; `output_parsed` what was asked for with
    `text_format`, as an instance of its class (of a JSON schema: the decoded value).
    """

    id: str
    object: str
    created_at: float
    status: str | None
    model: str
    output: list[Tree]
    usage: Tree | None
    error: Tree | None
    incomplete_details: Tree | None
    instructions: Any
    metadata: Tree | None
    previous_response_id: str | None
    reasoning: Tree | None
    text: Tree | None
    tool_choice: Any
    tools: list[Tree]

    @property
    def output_text(self) -> str:
        """The text of all messages of the output."""
        messages = [item for item in self.get("output") or () if item.get("type") == "message"]
        parts = [part for item in messages for part in item.get("content") or ()]
        return "".join(part["text"] for part in parts if part.get("type") == "output_text")

    @property
    def output_parsed(self) -> Any:
        """The answer as what `text_format` asked for; None where the model did something else (called a tool,
        refused).
        """
        parts = [part for item in self.get("output") or () for part in item.get("content") or ()]
        return next((vars(part)["parsed"] for part in parts if "parsed" in vars(part)), None)


class ResponsesStreamEvent(Answer, Tree):
    """One event of a streamed Responses answer: `type` says which, the rest follows from it."""

    type: str
    sequence_number: int | None


class ResponsesDeleted(Answer, Tree):
    """A stored response that is no more."""

    id: str
    object: str
    deleted: bool


# -- Anthropic Messages -----------------------------------------------------------------------------------------------


class AnthropicMessage(Answer, Tree):
    """An answer of Anthropic's Messages API."""

    id: str
    type: str
    role: str
    model: str
    content: list[Tree]
    stop_reason: str | None
    stop_sequence: str | None
    usage: Tree


class AnthropicStreamEvent(Answer, Tree):
    """One event of a streamed message: `type` says which."""

    type: str
    index: int | None
    delta: Tree | None
    message: Tree | None
    content_block: Tree | None
    usage: Tree | None


# -- Gemini -----------------------------------------------------------------------------------------------------------


class GeminiTree(Tree):
    """A Tree whose fields are named as on the wire (`usageMetadata`) and can be read as in Google's Python package
    (`usage_metadata`) too.
    """

    @classmethod
    def _inner(cls) -> type[Tree]:
        return GeminiTree

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        return super().__getattr__(_CAMEL.sub(lambda match: match[1].upper(), name))


_CAMEL = re.compile(r"_([a-z])")


class GenerateContentResponse(Answer, GeminiTree):
    """An answer of Gemini's generateContent, or one chunk of its stream. `text` is the text of the first candidate."""

    candidates: list[Tree] | None
    usageMetadata: Tree | None
    promptFeedback: Tree | None
    modelVersion: str | None
    responseId: str | None

    @property
    def text(self) -> str:
        """The text of the first candidate, thoughts left out."""
        candidates = self.get("candidates") or [{}]
        parts = (candidates[0].get("content") or {}).get("parts") or ()
        return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


# -- text completions -------------------------------------------------------------------------------------------------


class TextChoice(Object):
    """One alternative, or its next piece."""

    index: int
    text: str
    finish_reason: str | None
    logprobs: Object | None


class TextCompletionResponse(Answer):
    """An answer of the legacy completions API, or one chunk of its stream."""

    id: str
    object: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None
    system_fingerprint: str | None
    children = {"choices": TextChoice, "usage": Usage}


# -- embeddings and reranking -----------------------------------------------------------------------------------------


class Embedding(Object):
    """One vector: a list of numbers, or base64 text of little-endian 32-bit floats where that was asked for."""

    object: str
    index: int
    embedding: list[float] | str


class EmbeddingResponse(Answer):
    """The vectors, in the order of the inputs."""

    object: str
    data: list[Embedding]
    model: str
    usage: Usage | None
    children = {"data": Embedding, "usage": Usage}


class RerankResult(Object):
    """One document: its place in the request, and how well it fits (higher is better)."""

    index: int
    relevance_score: float
    document: Object | None
    children = {"document": Object}


class RerankResponse(Answer, Tree):
    """The documents that fit best, best first, in Cohere's shape."""

    id: str
    results: list[RerankResult]
    meta: Tree | None
    children = {"results": RerankResult}


# -- images, audio, moderation ----------------------------------------------------------------------------------------


class Image(Object):
    """One image, by address or as base64."""

    url: str | None
    b64_json: str | None
    revised_prompt: str | None


class ImageResponse(Answer, Tree):
    """Images that were made."""

    created: int
    data: list[Image]
    usage: Tree | None
    size: str | None
    quality: str | None
    output_format: str | None
    background: str | None
    children = {"data": Image}


class TranscriptionResponse(Answer, Tree):
    """What was said. For the formats "text", "srt" and "vtt", `text` is the whole answer."""

    text: str
    language: str | None
    duration: float | None
    words: list[Tree] | None
    segments: list[Tree] | None
    usage: Tree | None


class StreamedEvent(Answer, Tree):
    """One event of a streamed image or transcription: `type` says which."""

    type: str


class ModerationResponse(Answer, Tree):
    """A verdict for each input."""

    id: str
    model: str
    results: list[Tree]


class BinaryContent:
    """Bytes that a provider answered: speech, the content of a file. It offers what the `openai` package's object
    offers; everything has arrived already.
    """

    def __init__(self, content: bytes, media_type: str = "application/octet-stream", status: int = 200) -> None:
        self.content = content
        self.media_type = media_type
        self.status_code = status
        self._hidden_params: dict[str, Any] = {}
        self._response_ms = 0.0

    def __repr__(self) -> str:
        return f"BinaryContent({len(self.content)} bytes, {self.media_type!r})"

    @property
    def text(self) -> str:
        """The bytes as UTF-8 text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The bytes as JSON."""
        from penstock.dialects import wire

        return wire.decode(self.content)

    def read(self) -> bytes:
        """All bytes."""
        return self.content

    async def aread(self) -> bytes:
        """All bytes, for a coroutine."""
        return self.content

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The bytes, in pieces of `chunk_size` (default: in one)."""
        size = chunk_size or max(1, len(self.content))
        for start in range(0, len(self.content), size):
            yield self.content[start : start + size]

    iter_raw = iter_bytes

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """`iter_bytes` for a coroutine."""
        for piece in self.iter_bytes(chunk_size):
            yield piece

    aiter_raw = aiter_bytes

    def iter_lines(self) -> Iterator[str]:
        """The text, line by line."""
        yield from self.text.splitlines()

    def write_to_file(self, file: str | Path) -> None:
        """Write the bytes to a file."""
        Path(file).write_bytes(self.content)

    def stream_to_file(self, file: str | Path, *, chunk_size: int | None = None) -> None:
        """The same, under the name that users of the `openai` package know."""
        self.write_to_file(file)

    async def astream_to_file(self, file: str | Path, *, chunk_size: int | None = None) -> None:
        """The same from a coroutine."""
        import asyncio

        await asyncio.to_thread(self.write_to_file, file)

    def close(self) -> None:
        """Nothing is open."""


# -- files and batches ------------------------------------------------------------------------------------------------


class FileObject(Answer, Tree):
    """An uploaded file."""

    id: str
    object: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str | None
    expires_at: int | None


class FileDeleted(Answer, Tree):
    """A file that is no more."""

    id: str
    object: str
    deleted: bool


class Batch(Answer, Tree):
    """A batch of requests: where it stands, and the ids of its files."""

    id: str
    object: str
    endpoint: str
    status: str
    input_file_id: str
    completion_window: str
    output_file_id: str | None
    error_file_id: str | None
    errors: Tree | None
    created_at: int
    completed_at: int | None
    expires_at: int | None
    request_counts: Tree | None
    metadata: Tree | None


class Page(Answer, Tree):
    """A list of objects; `has_more` says whether `after=last_id` gives more. Looping goes over this page's objects."""

    object: str
    data: list[Tree]
    first_id: str | None
    last_id: str | None
    has_more: bool | None

    def __iter__(self) -> Iterator[Any]:
        return iter(self.get("data") or ())


def page(value: Any) -> Page:
    """A list answer. Raises MalformedError."""
    if not isinstance(value.get("data"), list):
        raise MalformedError("expected a list", "data")
    return Page(value)

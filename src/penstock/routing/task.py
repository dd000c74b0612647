"""Task: what a request is, as rules see it. A pure function of the request, whatever dialect it came in.

`task_of` reads only what costs nothing; the rest (language, code, what texts contain) is read when a rule first asks.
What is asked for stands in the last user message; long conversations are about many things.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from penstock.routing.language import language_of
from penstock.types.content import Media, Part, PlainText, Text, ToolCall, ToolResult
from penstock.types.request import Message, Request

LONGEST = 20_000
"""Characters of a text that keywords and patterns are looked for in: the first half of so many, and the last."""
_DEPTH = 20
_FENCE = re.compile(r"```[\w+#.-]*\n.*?(?:```|\Z)", re.DOTALL)
_CODE_LINE = re.compile(
    r"^\s*(?:"
    r"(?:async\s+)?def \w+\s*\(|class \w+\s*[(:{]|(?:from [\w.]+ )?import [\w.{*]|"
    r"(?:public|private|protected|static|export|async)\s+\w|function\b.*\(|func \w+\(|fn \w+|"
    r"(?:const|let|var|val|auto|int|float|double|void|char|bool|string)\s+[\w*&]+\s*[=(;]|"
    r"#\s*(?:include|define|ifdef)\b|package \w|using \w+|namespace \w|"
    r"(?:if|for|while|switch|catch)\s*\(.*\)\s*\{?|\}\s*(?:else|catch|finally)?|return\b.*;|"
    r"(?:SELECT\b.*\bFROM|INSERT INTO|UPDATE \w+ SET|CREATE TABLE|ALTER TABLE)\b|"
    r"</?[a-zA-Z][\w-]*(?:\s[^>]*)?>|Traceback \(most recent call last\)|"
    r"\s+at [\w.$<>]+\(.*:\d+\)|File \".*\", line \d+|[$>] (?:sudo|git|npm|pip|docker|cd|ls|curl)\b"
    r")|^.*[;{]\s*$"
)


class Task:
    """A description of one request.

    tokens, characters   of all that goes in; tokens about, where nobody counted them
    messages             how many turns
    system, text         the instruction; the last user message
    tools                names of tools that may be called
    images, audio, video, files    how many
    schema, json         whether the answer must fit a JSON schema; be any JSON
    reasoning            whether thinking was asked for
    stream, max_tokens   as the request says
    tags, key            the tags; the alias of the key
    """

    def __init__(self, request: Request, *, tags: Sequence[str] = (), key: str = "", tokens: int | None = None) -> None:
        self.request = request
        self.tags = tuple(tags)
        self.key = key
        self._tokens = tokens

    @cached_property
    def _texts(self) -> list[str]:
        parts = [*(self.request.system or ()), *(part for turn in self.request.messages for part in turn.parts)]
        return list(_texts(parts))

    @cached_property
    def characters(self) -> int:
        return sum(map(len, self._texts))

    @cached_property
    def tokens(self) -> int:
        """As counted, else four bytes each, which holds for most scripts and languages within a half."""
        if self._tokens is not None:
            return self._tokens
        return sum(-(-len(text.encode("utf-8", "surrogatepass")) // 4) for text in self._texts)

    @property
    def messages(self) -> int:
        return len(self.request.messages)

    @cached_property
    def system(self) -> str:
        turns = [turn for turn in self.request.messages if turn.role in ("system", "developer")]
        parts = [*(self.request.system or ()), *(part for turn in turns for part in turn.parts)]
        return "\n".join(_texts(parts))

    @cached_property
    def text(self) -> str:
        turn = _last_of_user(self.request.messages)
        return "" if turn is None else "\n".join(_own_texts(turn.parts))

    @cached_property
    def searched(self) -> str:
        """The text, as far as it is searched."""
        return _within(self.text)

    @cached_property
    def searched_system(self) -> str:
        return _within(self.system)

    @cached_property
    def language(self) -> str | None:
        return language_of(self.text)

    @cached_property
    def code(self) -> bool:
        """Whether code stands in the text, in a fence or plainly."""
        return has_code(self.text)

    @cached_property
    def tools(self) -> tuple[str, ...]:
        choice = self.request.tool_choice
        if choice is not None and choice.mode == "none":
            return ()
        return tuple(tool.name for tool in self.request.tools or ())

    @cached_property
    def _media(self) -> dict[str, int]:
        found = {"image": 0, "audio": 0, "video": 0, "file": 0}
        for part in _media([part for turn in self.request.messages for part in turn.parts], _DEPTH):
            found[part.kind] += 1
        return found

    @property
    def images(self) -> int:
        return self._media["image"]

    @property
    def audio(self) -> int:
        return self._media["audio"]

    @property
    def video(self) -> int:
        return self._media["video"]

    @property
    def files(self) -> int:
        return self._media["file"]

    @property
    def schema(self) -> bool:
        wanted = self.request.response_format
        return wanted is not None and wanted.kind == "json_schema"

    @property
    def json(self) -> bool:
        wanted = self.request.response_format
        return wanted is not None and wanted.kind != "text"

    @property
    def reasoning(self) -> bool:
        asked = self.request.reasoning
        if asked is None or asked.enabled is False or asked.effort == "none" or asked.budget_tokens == 0:
            return False
        return bool(asked.enabled or asked.adaptive or asked.effort or asked.budget_tokens)

    @property
    def stream(self) -> bool:
        return bool(self.request.stream)

    @property
    def max_tokens(self) -> int:
        return self.request.max_tokens or 0


def has_code(text: str) -> bool:
    """Whether a text has code in it: a fenced block, or two lines or more that look like code, a fifth of all."""
    text = text[:LONGEST]
    if _FENCE.search(text):
        return True
    lines = [line[:200] for line in text.splitlines() if line.strip()]
    looks = sum(1 for line in lines if _CODE_LINE.match(line))
    return looks >= 2 and looks * 5 >= len(lines)


def _last_of_user(messages: Sequence[Message]) -> Message | None:
    """The last message in which the user says something: tool results alone are not that."""
    for turn in reversed(messages):
        if turn.role == "user" and any(not isinstance(part, ToolResult) for part in turn.parts):
            return turn
    return None


def _own_texts(parts: Sequence[Part]) -> Iterator[str]:
    return (part.text for part in parts if isinstance(part, Text))


def _texts(parts: Sequence[Part], depth: int = _DEPTH) -> Iterator[str]:
    """All texts that go in."""
    for part in parts:
        if isinstance(part, Text):
            yield part.text
        elif isinstance(part, ToolResult) and depth:
            yield from _texts(part.parts, depth - 1)
        elif isinstance(part, ToolCall) and isinstance(part.arguments, str):
            yield part.arguments
        elif isinstance(part, Media) and isinstance(part.source, PlainText):
            yield part.source.text


def _media(parts: Sequence[Part], depth: int) -> Iterator[Media]:
    for part in parts:
        if isinstance(part, Media):
            yield part
        elif isinstance(part, ToolResult) and depth:
            yield from _media(part.parts, depth - 1)


def _within(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"

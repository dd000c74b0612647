"""Turns: other dialects' messages in the order that Cohere takes.

    - one instruction, in front; one between the turns moves there, unless the model takes it at its place
    - the results of calls are messages of their own, right after the calls; images in them follow in a user message
    - there is no empty message, and the assistant's is not the last

What a caller simply forgot (a result, a last user message) is put in only if the profile asks for repairs; else the
provider says so itself.
"""

from __future__ import annotations

from penstock.dialects.cohere_chat.foreign_parts import PartAdapter, as_assistant, as_content
from penstock.dialects.cohere_chat.names import DOCUMENTS
from penstock.dialects.leftovers import leftovers
from penstock.dialects.plain import plain_text
from penstock.types.content import Media, Part, PlainText, Text, ToolCall, ToolResult
from penstock.types.request import Message, Request

PLACEHOLDER = "."
NO_RESULT = "This call was not answered."


class _Turns:
    """Messages under way. `pending` waits for the end of a run of tool results."""

    def __init__(self, adapter: PartAdapter, last_user: int) -> None:
        self.adapter = adapter
        self.last_user = last_user
        self.system: list[Part] = []
        self.found: list[Message] = []
        self.pending: list[Part] = []
        self._said: list[Part] = []

    def add(self, message: Message, number: int) -> None:
        """One more message."""
        if self._add_plain(message):
            return
        path = f"messages[{number}]"
        if message.extras or message.name is not None or message.cache is not None:
            self._note(message, path)
        if message.role in ("system", "developer"):
            self._instruct(message, path)
        elif message.role == "assistant":
            self.flush()
            self._answer(self.adapter.parts(message.parts, "assistant", f"{path}.parts"), message, path)
        else:
            self._add_user(message, number, path)

    def _add_plain(self, message: Message) -> bool:
        """A turn that is plain words, where nothing before it waits for it or goes on with it."""
        text = None if self.pending else plain_text(message)
        if text is None:
            return False
        role = message.role
        if role == "user" or (role == "assistant" and not (self.found and self.found[-1].role == "assistant")):
            self.found.append(Message(role, (text,)))
        elif role in ("system", "developer") and not self.found:
            self.system.append(text)
        else:
            return False
        return True

    def _note(self, message: Message, path: str) -> None:
        self.adapter.notes += leftovers(path, message.extras)
        if message.name is not None:
            self.adapter.note(f"{path}.name", "dropped", "messages have no names")
        if message.cache is not None:
            self.adapter.note(f"{path}.cache", "dropped", "Cohere has no cache markers")

    def _instruct(self, message: Message, path: str) -> None:
        parts = self.adapter.parts(message.parts, "system", f"{path}.parts")
        if not self.found and not self.pending:
            self.system += parts
        elif self.adapter.profile.system_turns:
            self.flush()
            self._speak("system", parts, message, path)
        else:
            self.system += parts
            self.adapter.note(path, "changed", "an instruction between the turns was moved in front of them")

    def _add_user(self, message: Message, number: int, path: str) -> None:
        kept: list[Part] = []
        results = False
        for index, part in enumerate(message.parts):
            place = f"{path}.parts[{index}]"
            if isinstance(part, ToolResult):
                result, images = self.adapter.result(part, place)
                self._add_result(result, place)
                self.pending += images
                results = True
            else:
                kept += self.adapter.part(part, message.role, place)
        if kept and number != self.last_user and any(part.native == DOCUMENTS and type(part) is Media for part in kept):
            self.adapter.note(path, "changed", "its documents became documents of the whole request")
        if kept or not results:
            kept = self.pending + _with_words(kept)
            self.pending = []
            self._speak("user", kept, message, path)

    def _add_result(self, result: ToolResult, path: str) -> None:
        """A result, right after its call. One that comes later, after other messages, moves there."""
        place = len(self.found)
        for number in range(place - 1, -1, -1):
            if result.call_id in [part.call_id for part in self.found[number].parts if type(part) is ToolCall]:
                place = number + 1
                break
        while place < len(self.found) and self.found[place].role == "tool":
            place += 1
        if place < len(self.found):
            self.adapter.note(path, "changed", "the result was moved to its call")
        self.found.insert(place, Message("tool", (result,)))

    def _answer(self, parts: list[Part], message: Message, path: str) -> None:
        """The assistant's turn; one that goes on after calls is one message with them, so that their results follow."""
        last = self.found[-1] if self.found else None
        if last is not None and last.role == "assistant" and any(type(part) is ToolCall for part in last.parts):
            self._said += parts
            self.found[-1] = Message("assistant", as_assistant(self._said))
        else:
            self._said = parts
            self._speak("assistant", parts, message, path)

    def flush(self) -> None:
        """What waited for the end of the results follows in a user message."""
        if self.pending:
            self.found.append(Message("user", as_content(self.pending)))
            self.pending = []

    def _speak(self, role: str, parts: list[Part], message: Message, path: str) -> None:
        if role == "assistant":
            content = as_assistant(parts)
        else:
            content = as_content([part for part in parts if type(part) is not Text or part.text])
        if content:
            self.found.append(Message(role, content))  # type: ignore[arg-type]  # called with roles only
        elif not message.parts or any(type(part) is Text for part in parts):
            self.adapter.note(path, "dropped", "an empty message is refused")


def _with_words(parts: list[Part]) -> list[Part]:
    """A message needs a text of its own: if it has documents only, they are it."""
    if not all(part.native == DOCUMENTS for part in parts):
        return parts
    return [Text(part.source.text) for part in parts if isinstance(part, Media) and isinstance(part.source, PlainText)]


def adapt_turns(request: Request, adapter: PartAdapter) -> tuple[Message, ...]:
    """All messages of another dialect's request."""
    users = [number for number, message in enumerate(request.messages) if message.role == "user"]
    turns = _Turns(adapter, users[-1] if users else -1)
    turns.system += adapter.parts(request.system or (), "system", "system")
    for number, message in enumerate(request.messages):
        turns.add(message, number)
    turns.flush()
    found = turns.found
    if adapter.profile.repair_turns:
        found = _repaired(found, adapter)
    system = [part for part in turns.system if type(part) is not Text or part.text]
    if system:
        found = [Message("system", as_content(system)), *found]
    return tuple(found)


def _repaired(messages: list[Message], adapter: PartAdapter) -> list[Message]:
    """With a result for each call, and a user's word at the end."""
    found: list[Message] = []
    waiting: dict[str | None, None] = {}
    for message in [*messages, None]:
        result = message.parts[0] if message is not None and message.parts else None
        if isinstance(result, ToolResult):
            waiting.pop(result.call_id, None)
        else:
            for call_id in waiting:
                found.append(Message("tool", (ToolResult(call_id, (Text(NO_RESULT),)),)))
                adapter.note("messages", "added", f"a result for the call {call_id!r}, which has none")
            waiting = {}
        if message is not None:
            found.append(message)
            waiting |= {part.call_id: None for part in message.parts if type(part) is ToolCall}
    if not found or found[-1].role == "assistant":
        found.append(Message("user", (Text(PLACEHOLDER),)))
        adapter.note("messages", "added", "the last word must be the user's")
    return found

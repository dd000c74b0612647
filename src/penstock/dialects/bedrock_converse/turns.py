"""Turns: the order that Converse demands, made from any other dialect's messages.

- instructions stand in `system`; those between the turns too, unless the model takes the role `system` there
- user and assistant alternate: neighbours of one role become one turn
- the results of a turn's calls open the user's turn that follows
- a turn with a document holds a text, too

What a caller simply forgot (a first user message, a result) is put in only if the profile asks for repairs; else
Bedrock says so itself.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.foreign_parts import PartAdapter
from penstock.dialects.bedrock_converse.media import SEARCH_RESULT
from penstock.dialects.leftovers import leftovers
from penstock.dialects.plain import plain_text
from penstock.types.content import Cache, Json, Media, Part, Text, Thinking, ToolCall, ToolResult
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Message, Request, Role

PLACEHOLDER = "."
NO_RESULT = "This call was not answered."
BESIDE_DOCUMENT = "The document is attached."


class _Turn(Struct):
    """A message under way. `number` is that of the first of the caller's messages in it, None where there is none."""

    role: Role
    parts: list[Part]
    number: int | None

    @property
    def path(self) -> str:
        """Where a note says that it is."""
        return "messages" if self.number is None else f"messages[{self.number}]"


class Turns:
    """Turns and instructions, as they grow message by message."""

    def __init__(self, adapter: PartAdapter, profile: Profile, notes: list[Note]) -> None:
        self.adapter = adapter
        self.profile = profile
        self.notes = notes
        self.system: list[Part] = []
        self.turns: list[_Turn] = []

    def add(self, message: Message, number: int) -> None:
        """One more of the caller's messages."""
        text = plain_text(message)
        if text is not None:
            self._place(message.role, [text], number)
            return
        path = f"messages[{number}]"
        if message.extras:
            self.notes += leftovers(path, message.extras)
        if message.name is not None and message.role != "tool":
            self.notes.append(Note(f"{path}.name", "dropped", "messages have no names"))
        parts = self._parts(message, path)
        if parts or message.role in ("system", "developer"):
            self._place(message.role, parts, number)
        elif not message.parts:
            self.notes.append(Note(path, "dropped", "an empty message is refused"))

    def _place(self, role: Role, parts: list[Part], number: int) -> None:
        if role in ("system", "developer"):
            self._instruct(parts, number)
        else:
            self._speak("assistant" if role == "assistant" else "user", parts, number)

    def _parts(self, message: Message, path: str) -> list[Part]:
        parts: list[Part] = []
        for number, part in enumerate(message.parts):
            adapted = self.adapter.adapt(part, f"{path}.parts[{number}]", message.role == "assistant")
            if not adapted and part.cache is not None and not isinstance(part, Thinking):
                self._mark_last(parts, part.cache, f"{path}.parts[{number}]")
            parts += adapted
        if message.cache is not None:
            self._mark_last(parts, message.cache, path)
        return parts

    def _mark_last(self, parts: list[Part], cache: Cache, path: str) -> None:
        """A marker on a message, or on a part that is not sent, is one on the last part before it."""
        last = parts[-1] if parts else None
        if last is None or isinstance(last, Thinking):
            place = f"{path}.cache".lstrip(".")
            self.notes.append(Note(place, "dropped", "there is nothing before it that could bear the marker"))
        elif last.cache is None:
            parts[-1] = replace(last, cache=self.adapter.cache(cache, path))

    def _instruct(self, parts: list[Part], number: int) -> None:
        path = f"messages[{number}]"
        if not self.turns:
            self.system += self._texts(parts, path)
        elif self.profile.system_turns:
            self.turns.append(_Turn("system", self._texts(parts, path), number))
        elif parts:
            self.notes.append(Note(path, "changed", "an instruction between the turns was moved in front of them"))
            self.system += self._texts(parts, path)

    def _texts(self, parts: list[Part], path: str) -> list[Part]:
        """The texts of an instruction, which can hold nothing else."""
        for part in parts:
            if not isinstance(part, Text):
                self.notes.append(Note(path, "dropped", f"an instruction holds no {type(part).__name__}"))
        texts = [part for part in parts if isinstance(part, Text)]
        return [part if part.citations is None else replace(part, citations=None) for part in texts]

    def instruct_before(self, parts: tuple[Part, ...]) -> None:
        """The request's own instructions."""
        for number, part in enumerate(parts):
            path = f"system[{number}]"
            self.system += self._texts(self.adapter.adapt(part, path, False), path)

    def _speak(self, role: Role, parts: list[Part], number: int) -> None:
        if self.turns and self.turns[-1].role == role:
            self.turns[-1].parts += parts
        else:
            self.turns.append(_Turn(role, parts, number))

    def finish(self, request: Request) -> None:
        """Bring the turns into shape."""
        if self.profile.repair_turns:
            self._repair()
        for turn in self.turns:
            if turn.role == "user" and not (len(turn.parts) == 1 and type(turn.parts[0]) is Text):
                turn.parts.sort(key=_results_first)
                self._stand_beside_documents(turn)
        self._strip_prefill()
        if request.cache is not None and self.turns:
            self._mark_last(self.turns[-1].parts, request.cache, "")

    def _stand_beside_documents(self, turn: _Turn) -> None:
        if any(_is_document(part) for part in turn.parts) and not any(isinstance(part, Text) for part in turn.parts):
            self.notes.append(Note(turn.path, "added", "a message with a document must hold a text"))
            turn.parts.append(Text(BESIDE_DOCUMENT))

    def _strip_prefill(self) -> None:
        """White space at the end of the assistant's last words is refused when they are the last."""
        turn = self.turns[-1] if self.turns else None
        if turn is None or turn.role != "assistant" or not isinstance(turn.parts[-1], Text):
            return
        last = turn.parts[-1]
        if last.text != last.text.rstrip():
            turn.parts[-1] = replace(last, text=last.text.rstrip())
            self.notes.append(Note(turn.path, "changed", "white space at the end of a prefill is refused"))

    def _repair(self) -> None:
        if not self.turns or self.turns[0].role != "user":
            self.turns.insert(0, _Turn("user", [Text(PLACEHOLDER)], None))
            self.notes.append(Note("messages", "added", "a conversation must begin with the user"))
        for number in range(len(self.turns) - 1, -1, -1):
            if self.turns[number].role == "assistant":
                self._answer_calls(number)
        self._explain_orphans()

    def _answer_calls(self, number: int) -> None:
        following = self.turns[number + 1] if number + 1 < len(self.turns) else None
        answered = {part.call_id for part in following.parts if isinstance(part, ToolResult)} if following else set()
        calls = [part.call_id for part in self.turns[number].parts if type(part) is ToolCall]
        missing = [call_id for call_id in calls if call_id not in answered]
        if not missing:
            return
        results: list[Part] = [ToolResult(call_id, (Text(NO_RESULT),), is_error=True) for call_id in missing]
        if following is None or following.role != "user":
            self.turns.insert(number + 1, _Turn("user", results, self.turns[number].number))
        else:
            following.parts[:0] = results
        words = ", ".join(str(call_id) for call_id in missing)
        self.notes.append(Note("messages", "added", f"results for calls that were not answered: {words}"))

    def _explain_orphans(self) -> None:
        """A result that answers no call of the turn before is refused: its words stay, as parts of their own."""
        calls: set[str | None] = set()
        for turn in self.turns:
            if turn.role == "user":
                turn.parts = [piece for part in turn.parts for piece in self._unless_orphan(part, calls)]
            calls = {part.call_id for part in turn.parts if type(part) is ToolCall}

    def _unless_orphan(self, part: Part, calls: set[str | None]) -> tuple[Part, ...]:
        if not isinstance(part, ToolResult) or part.call_id in calls:
            return (part,)
        note = f"the result {part.call_id!r} answers no call and became plain content"
        self.notes.append(Note("messages", "changed", note))
        return tuple(_plain(inner) for inner in part.parts)


def _plain(part: Part) -> Part:
    """A part of a tool result as one of a message, which holds no JSON."""
    return Text(wire.encode(part.value).decode()) if isinstance(part, Json) else part


def _results_first(part: Part) -> bool:
    return not isinstance(part, ToolResult)


def _is_document(part: Part) -> bool:
    return isinstance(part, Media) and part.kind == "file" and part.native != SEARCH_RESULT


def adapt_turns(
    request: Request, adapter: PartAdapter, profile: Profile, notes: list[Note]
) -> tuple[tuple[Part, ...], tuple[Message, ...]]:
    """(instructions, messages) of another dialect's request."""
    turns = Turns(adapter, profile, notes)
    turns.instruct_before(request.system or ())
    for number, message in enumerate(request.messages):
        turns.add(message, number)
    turns.finish(request)
    return tuple(turns.system), tuple([Message(turn.role, tuple(turn.parts)) for turn in turns.turns])

"""Turns: the order that Anthropic demands, made from any other dialect's messages.

    - instructions stand in `system`; those between the turns too, unless the model takes `role: system` there, and
    then only behind a user turn
    - user and assistant alternate: neighbours of one role become one turn
    - the results of a turn's calls open the user turn that follows
    - the last turn, if it is the assistant's (a prefill), ends without white space

What a caller simply forgot (a first user message, a result) is put in only if the profile asks for repairs; else the
provider says so itself. Sources: https://platform.claude.com/docs/en/api/messages,
.../build-with-claude/mid-conversation-system-messages
"""

from __future__ import annotations

from typing import Any

from penstock.dialects.anthropic_messages.foreign import Block, Draft, write_parts
from penstock.dialects.leftovers import leftovers
from penstock.dialects.plain import plain_text
from penstock.types.request import Message, Request

PLACEHOLDER = "."
NO_RESULT = "This call was not answered."


class Turn:
    """A message under way."""

    __slots__ = ("blocks", "role")

    def __init__(self, role: str, blocks: list[Block]) -> None:
        self.role = role
        self.blocks = blocks

    def message(self) -> dict[str, Any]:
        """The message on the wire."""
        return {"role": self.role, "content": self.blocks}


class Turns:
    """Turns and system blocks, as they grow message by message."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.system: list[Block] = []
        self.turns: list[Turn] = []
        self._waiting: list[tuple[str, list[Block]]] = []

    def instruct(self, blocks: list[Block], path: str) -> None:
        """An instruction: in front of the conversation, or at its place if the model takes it there."""
        if not self.turns:
            self.system += blocks
        elif self.draft.profile.system_turns:
            self._waiting.append((path, blocks))
        else:
            self._hoist(path, blocks)

    def _hoist(self, path: str, blocks: list[Block]) -> None:
        self.system += blocks
        self.draft.note(path, "changed", "an instruction between the turns was moved in front of them")

    def speak(self, role: str, blocks: list[Block]) -> None:
        """More of the user's or the assistant's turn."""
        if role == "assistant":
            self.settle()
        last = self._last_speaker(role)
        if last is None:
            self.turns.append(Turn(role, blocks))
        else:
            last.blocks += blocks

    def _last_speaker(self, role: str) -> Turn | None:
        return self.turns[-1] if self.turns and self.turns[-1].role == role else None

    def settle(self) -> None:
        """Place the instructions that wait for the end of a user turn."""
        for path, blocks in self._waiting:
            if self.turns[-1].role == "assistant":
                self._hoist(path, blocks)
            else:
                self.turns.append(Turn("system", blocks))
        self._waiting = []


def write_turns(request: Request, draft: Draft) -> Turns:
    """All turns and instructions of another dialect's request."""
    found = Turns(draft)
    found.system += write_parts(request.system or (), "system", "system", draft)
    for number, message in enumerate(request.messages):
        _add_message(found, message, f"messages[{number}]", draft)
    found.settle()
    for turn in found.turns:
        if turn.role == "user":
            turn.blocks.sort(key=_results_first)
    if draft.profile.repair_turns:
        _repair(found, draft)
    _strip_prefill(found, len(request.messages) - 1, draft)
    return found


def _results_first(block: Block) -> bool:
    return bool(block["type"] != "tool_result")


def _add_message(found: Turns, message: Message, path: str, draft: Draft) -> None:
    text = plain_text(message)
    if text is not None and message.role in _SPEAKERS:
        found.speak(message.role, [{"type": "text", "text": text.text}])
        return
    if message.extras:
        draft.notes += leftovers(path, message.extras)
    if message.name is not None and message.role != "tool":
        draft.note(f"{path}.name", "dropped", "messages have no names")
    blocks = write_parts(message.parts, message.role, f"{path}.parts", draft)
    if message.cache is not None:
        _mark_last(blocks, message, path, draft)
    if not blocks:
        if not message.parts:
            draft.note(path, "dropped", "an empty message is refused")
        return
    if message.role in ("system", "developer"):
        found.instruct(blocks, path)
    else:
        found.speak("assistant" if message.role == "assistant" else "user", blocks)


_SPEAKERS = frozenset({"user", "assistant"})


def _mark_last(blocks: list[Block], message: Message, path: str, draft: Draft) -> None:
    """A marker on a message is one on its last block."""
    last = next((block for block in reversed(blocks) if "thinking" not in block["type"]), None)
    if last is None:
        draft.note(f"{path}.cache", "dropped", "nothing of this message can carry a marker")
    elif "cache_control" not in last:
        draft.mark(last, message.cache, path)


def _strip_prefill(found: Turns, number: int, draft: Draft) -> None:
    turn = found.turns[-1] if found.turns else None
    if turn is None or turn.role != "assistant" or turn.blocks[-1]["type"] != "text":
        return
    text = turn.blocks[-1]["text"]
    if text != text.rstrip():
        turn.blocks[-1]["text"] = text.rstrip()
        draft.note(f"messages[{number}]", "changed", "white space at the end of a prefill is refused")


def begins_without_thought(turns: list[Turn]) -> bool:
    """Whether the assistant turn that the model is to continue (a prefill, or calls whose results follow) does not
    begin with a thinking block.
    """
    speakers = [turn for turn in turns if turn.role != "system"]
    if not speakers:
        return False
    last = speakers[-1]
    if last.role == "user":
        if last.blocks[0]["type"] != "tool_result" or len(speakers) < 2:
            return False
        last = speakers[-2]
    return last.blocks[0]["type"] not in ("thinking", "redacted_thinking")


def _repair(found: Turns, draft: Draft) -> None:
    """Put in what the API demands and the caller forgot."""
    _begin_with_user(found, draft)
    for number in range(len(found.turns) - 1, -1, -1):
        if found.turns[number].role == "assistant":
            _answer_calls(found.turns, number, draft)
    _explain_orphans(found.turns, draft)
    found.turns = [turn for turn in found.turns if turn.blocks]
    _begin_with_user(found, draft)


def _begin_with_user(found: Turns, draft: Draft) -> None:
    if not found.turns or found.turns[0].role != "user":
        found.turns.insert(0, Turn("user", [{"type": "text", "text": PLACEHOLDER}]))
        draft.note("messages", "added", "a conversation must begin with the user")


def _answer_calls(turns: list[Turn], number: int, draft: Draft) -> None:
    following = turns[number + 1] if number + 1 < len(turns) else None
    answered = {block.get("tool_use_id") for block in following.blocks} if following is not None else set()
    missing = [
        block["id"] for block in turns[number].blocks if block["type"] == "tool_use" and block["id"] not in answered
    ]
    if not missing:
        return
    results: list[Block] = [
        {
            "type": "tool_result",
            "tool_use_id": call_id,
            "content": [{"type": "text", "text": NO_RESULT}],
            "is_error": True,
        }
        for call_id in missing
    ]
    if following is None or following.role != "user":
        turns.insert(number + 1, Turn("user", results))
    else:
        following.blocks[:0] = results
    draft.note("messages", "added", f"results for calls that were not answered: {', '.join(missing)}")


def _explain_orphans(turns: list[Turn], draft: Draft) -> None:
    """A result that answers no call of the turn before is refused: its words stay, as text."""
    calls: set[str] = set()
    for turn in turns:
        if turn.role == "assistant":
            calls = {block["id"] for block in turn.blocks if block["type"] == "tool_use"}
        elif turn.role == "user":
            kept: list[Block] = []
            for block in turn.blocks:
                if block["type"] == "tool_result" and block["tool_use_id"] not in calls:
                    draft.note(
                        "messages",
                        "changed",
                        f"the result {block['tool_use_id']!r} answers no call and became plain content",
                    )
                    kept += block["content"]
                else:
                    kept.append(block)
            turn.blocks = kept
            calls = set()

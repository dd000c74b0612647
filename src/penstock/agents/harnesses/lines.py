"""What the readings of programs share: JSON out of lines, texts that come in pieces, and how a turn ended. Pure.

A program may print anything: warnings between its JSON, JSON of another version, half a line before it dies. Nothing of
it may end whoever reads, and none of it is lost without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock.agents.events import Draft, Error, Text, Thinking, TurnEnd
from penstock.agents.harnesses.contract import Question, Turn

MOST_SAID = 2000
"""Characters of a program's words that tell why a turn failed."""

Spoken = type[Text] | type[Thinking]
_decoder = msgspec.json.Decoder()


class LineReading:
    """A reading of JSON lines: subclasses say what an object means (`read`), and note what becomes of the turn.

    Attributes:
        resume, finished: as the contract has them. A turn that fails before it begins leaves `resume` as it was.
        failure: why the turn failed, in the program's words; empty: it has not.
        says_when_finished: the program prints when a turn is over, so that without it the turn has failed.
    """

    says_when_finished = True

    def __init__(self, turn: Turn) -> None:
        self.resume = turn.resume
        self.finished = False
        self.failure = ""
        self._parts = 0
        self._open: tuple[Spoken, str] | None = None
        self._asked: list[Question] = []
        self._waiting: dict[str, Question] = {}

    def read(self, value: dict[str, Any]) -> Iterator[Draft]:
        """What an object means. KeyError, TypeError and their like: it is not as it was when this was written."""
        raise NotImplementedError

    def feed(self, line: bytes) -> Sequence[Draft]:
        """Read one line (contract.py)."""
        if not line.strip():
            return ()
        try:
            value = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            value = None
        if isinstance(value, dict):
            try:
                return list(self.read(value))
            except (KeyError, IndexError, TypeError, AttributeError, ValueError):
                pass
        return list(self.said(line.decode("utf-8", "replace") + "\n"))

    def asked(self) -> Sequence[Question]:
        """The questions since the last call."""
        found, self._asked = self._asked, []
        return found

    def answer(self, call: str, allowed: bool, note: str = "") -> bytes:
        """Answer a question (contract.py)."""
        return self.reply(self._waiting.pop(call), allowed, note or "Somebody decided against it.")

    def reply(self, question: Question, allowed: bool, note: str) -> bytes:
        """What the program wants to read as the answer."""
        raise NotImplementedError

    def ask(self, question: Question) -> None:
        """Note a question."""
        self._asked.append(question)
        self._waiting[question.call] = question

    def said(self, text: str, kind: Spoken = Text) -> Iterator[Draft]:
        """A whole text."""
        yield from self.close()
        yield kind(text)

    def piece(self, text: str, kind: Spoken = Text) -> Iterator[Draft]:
        """A piece of a text that goes on until one of another kind begins, or `close`."""
        if self._open is None or self._open[0] is not kind:
            yield from self.close()
            self._parts += 1
            self._open = (kind, f"p{self._parts}")
        if text:
            yield kind(text, self._open[1], more=True)

    def close(self) -> Iterator[Draft]:
        """The end of a text that came in pieces."""
        if self._open is not None:
            kind, part = self._open
            self._open = None
            yield kind("", part)

    def end(self, status: int, errors: bytes, *, interrupted: bool = False) -> Sequence[Draft]:
        """Read the end (contract.py)."""
        closing = list(self.close())
        if interrupted:
            return [*closing, TurnEnd("interrupted", resume=self.resume)]
        failure = (_message(self.failure) or self._silent_failure(status, errors)).strip()[:MOST_SAID]
        if not failure:
            return [*closing, TurnEnd("completed", resume=self.resume)]
        error = Error("agent_failed", failure, fix="see what it says; the session takes the next message all the same")
        return [*closing, error, TurnEnd("failed", summary=failure.splitlines()[0][:500], resume=self.resume)]

    def _silent_failure(self, status: int, errors: bytes) -> str:
        said = errors.decode("utf-8", "replace").strip()[-MOST_SAID // 2 :]
        if status != 0:
            return f"the program ended with status {status}" + (f": {said}" if said else "")
        if self.says_when_finished and not self.finished:
            return "the program ended before the turn was over" + (f": {said}" if said else "")
        return ""


def _message(failure: str) -> str:
    """What a failure says, where it shows an error's JSON (of which the gateway's and providers' have one shape)."""
    try:
        return str(_decoder.decode(failure[failure.index("{") : failure.rindex("}") + 1].encode())["error"]["message"])
    except (ValueError, KeyError, TypeError, msgspec.DecodeError):
        return failure


def plain(content: Any) -> str:
    """The text of a tool's result: a text, or blocks of which the texts count."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(block.get("text", f"({block.get('type')})")) for block in content)
    return "" if content is None else msgspec.json.encode(content).decode()

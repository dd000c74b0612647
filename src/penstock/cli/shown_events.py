"""Events of a session on a terminal: the agent's words as they come, a line for each tool call, what it cost.

The words go to one stream (standard output), everything else to another, so that an answer can be piped on. Nothing
that an agent or its programs have written reaches the terminal but as text: control characters are left out (`plain`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TextIO

import msgspec

from penstock.agents.events import (
    ApprovalDecided,
    ApprovalRequested,
    Artifact,
    Error,
    SessionEvent,
    Status,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.agents.machine import Cause, State
from penstock.agents.types import Usage

_CONTROLS = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, clipboard, links
    r"|\x1b[PX^_].*?(?:\x1b\\|$)"  # DCS, SOS, PM, APC
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b.?|[\x00-\x08\x0b-\x1f\x7f-\x9f]",
    re.DOTALL,
)
_HIDDEN = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of writing, so that a line is read otherwise than it is."""
WIDTH = 100


def plain(text: str) -> str:
    """A text that commands no terminal: without escape sequences, control characters but tab and line feed, and
    characters that turn the direction of writing. Pure.
    """
    return _HIDDEN.sub("", _CONTROLS.sub("", text.replace("\r\n", "\n")))


def line_of(text: str, most: int = WIDTH) -> str:
    """A text as one line of at most so many characters. Pure."""
    line = " ".join(plain(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def call_of(name: str, arguments: Any) -> str:
    """A tool call on one line: its name, and what it is given. Pure."""
    if isinstance(arguments, Mapping):
        values = [value for value in arguments.values() if isinstance(value, str | int | float)]
        shown = (
            str(values[0]) if len(values) == 1 else ", ".join(f"{key}={_short(arguments[key])}" for key in arguments)
        )
    else:
        shown = "" if arguments is None else _short(arguments)
    return line_of(f"{name} {shown}")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return line_of(text, 40)


def cost_of(usage: Usage, seconds: float | None = None) -> str:
    """What a session has used, as people read it. Pure."""
    words = [f"${_money(usage.dollars)}", f"{usage.input_tokens:,} tokens in", f"{usage.output_tokens:,} out"]
    words.append(f"{usage.requests} model call{'' if usage.requests == 1 else 's'}")
    return " · ".join([*words, *([f"{seconds:.1f} s"] if seconds is not None else [])])


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}" if amount >= 1 or not amount else f"{amount:.6f}".rstrip("0")


class Shown:
    """Prints events.

    Args:
        words: of the agent go here; rest: everything else.
        colour: whether `rest` is a terminal that shows some.
        quiet: nothing but words and errors.
    """

    def __init__(
        self, words: TextIO = sys.stdout, rest: TextIO = sys.stderr, *, colour: bool = False, quiet: bool = False
    ) -> None:
        self._words = words
        self._rest = rest
        self._colour = colour
        self._quiet = quiet
        self._open = False
        self.has_failed = False

    def show(self, event: SessionEvent) -> None:
        """Print one."""
        data = event.data
        if isinstance(data, Text):
            self._text(data)
            return
        self._close()
        if isinstance(data, Error):
            self._say(f"error: {data.message}" + (f" ({data.fix})" if data.fix else ""), "31", loud=True)
        elif isinstance(data, ApprovalRequested):
            self._say(f"? {data.summary} Rule: {data.rule}", "33", loud=True)
        else:
            self._quietly(data)

    def _quietly(self, data: Any) -> None:
        if isinstance(data, Thinking):
            self._say(line_of(data.text), "2")
        elif isinstance(data, ToolCall):
            self._say(f"• {call_of(data.name, data.arguments)}", "36")
        elif isinstance(data, ToolResult) and data.is_error:
            self._say(f"  {line_of(data.output)}", "31")
        elif isinstance(data, ApprovalDecided):
            self._say(f"  {data.decision}", "33")
        elif isinstance(data, Artifact):
            self._say(f"• artifact {line_of(data.name)} ({data.size:,} bytes)", "36")
        elif isinstance(data, Status):
            self._status(data)

    def _text(self, data: Text) -> None:
        text = plain(data.text)
        self._words.write(text)
        self._open = bool(text) and not text.endswith("\n") if text else self._open
        if not data.more:
            self._close()
        self._words.flush()

    def _close(self) -> None:
        """End a line of words that was begun."""
        if self._open:
            self._words.write("\n")
            self._words.flush()
            self._open = False

    def _status(self, data: Status) -> None:
        if data.state in (State.RESCHEDULING, State.SUSPENDED, State.TERMINATED) or data.cause is Cause.RESUME:
            self._say(f"{data.state.value}: {data.reason.value}" + (f" ({data.detail})" if data.detail else ""), "2")

    def failed(self, text: str) -> None:
        """Say why there is nothing more to come."""
        self.has_failed = True
        self._close()
        self._say(f"error: {text}", "31", loud=True)

    def note(self, text: str) -> None:
        """Say something of our own."""
        self._close()
        self._say(text, "2")

    def _say(self, text: str, colour: str, *, loud: bool = False) -> None:
        if self._quiet and not loud:
            return
        text = plain(text)
        print(f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text, file=self._rest, flush=True)

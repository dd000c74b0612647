"""The agent that comes with Penstock: a model, a plan, a shell, and tools that read, edit and search.

It works with any model, and needs nothing but Python inside: its program (loop_program.py) is placed in the home and
run by the system's python3. It speaks Chat Completions. Its lines are events one to one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import json

from penstock.agents.environments.packages import Packages
from penstock.agents.events import Draft, Thinking, ToolCall, ToolResult
from penstock.agents.harnesses.contract import Gateway, Launch, Question, Turn, Wire, check_tools
from penstock.agents.harnesses.lines import LineReading
from penstock.agents.sandboxes.driver import HOME, File

PROGRAM = f"{HOME}/.penstock/loop.py"


@cache
def program() -> bytes:
    """The program's source."""
    return files("penstock.agents.harnesses").joinpath("loop_program.py").read_bytes()


START = """
for python in /usr/bin/python3 /usr/local/bin/python3 python3; do
  command -v "$python" >/dev/null && exec "$python" -S -E -s "$0"
done
echo "the agent loop needs python3, which this system does not have" >&2
exit 127
"""
"""The system's own Python first; images have it elsewhere."""


class Loop:
    """Our own agent."""

    name = "loop"
    wire: Wire | None = "openai_chat"
    packages = Packages()

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        check_tools(turn, self.name, "ask", "deny")
        said = {"prompt": turn.prompt, "model": turn.model or (gateway.models or ("",))[0], "system": turn.system,
                "resume": turn.resume, "tools": dict(turn.tools)}  # fmt: skip
        return Launch(
            argv=("/bin/sh", "-c", START, PROGRAM),
            env={"PENSTOCK_GATEWAY_URL": gateway.url, "PENSTOCK_GATEWAY_KEY": gateway.key},
            files={PROGRAM: File(program())},
            stdin=json.encode(said) + b"\n",
            answers="ask" in turn.tools.values(),
        )

    def terminal(self, turn: Turn, gateway: Gateway) -> None:
        return None

    def reading(self, turn: Turn) -> LoopReading:
        return LoopReading(turn)


class LoopReading(LineReading):
    """What loop_program.py prints."""

    def read(self, value: dict[str, Any]) -> Iterator[Draft]:
        match value["type"]:
            case "session":
                self.resume = value["id"]
            case "text":
                yield from self.piece(value["text"])
            case "thinking":
                yield from self.piece(value["text"], Thinking)
            case "call":
                yield from self.close()
                yield ToolCall(value["call"], value["name"], value["arguments"])
            case "ask":
                self.ask(Question(value["call"], value["name"], value["arguments"]))
            case "result":
                yield ToolResult(value["call"], value["output"], value["is_error"])
            case "retry":
                yield from self.close()
            case "error":
                self.failure = value["message"]
            case "end":
                self.finished = True

    def reply(self, question: Question, allowed: bool, note: str) -> bytes:
        return json.encode({"call": question.call, "allowed": allowed, "note": note}) + b"\n"

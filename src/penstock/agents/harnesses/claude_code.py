"""Claude Code: `claude -p`, which prints stream-json. It speaks Anthropic Messages.

One variable holds the key, for of several one counts. All sizes of model are the session's. Questions about tools are
`control_request` lines (about those that only read: if they are named). Source: code.claude.com/docs, "CLI reference".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import json, structs

from penstock.agents.environments.packages import Packages
from penstock.agents.events import Draft, Thinking, ToolCall, ToolResult
from penstock.agents.harnesses.contract import Gateway, Launch, Question, Turn, Wire, check_tools, literally
from penstock.agents.harnesses.lines import LineReading, plain
from penstock.agents.sandboxes.driver import HOME, WORKSPACE, File

SYSTEM = f"{HOME}/.claude/penstock.md"
STREAM = ("-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages")
FREE = ("--dangerously-skip-permissions",)
ASKING = ("--input-format", "stream-json", "--permission-prompt-tool", "stdio", "--permission-mode", "default")
MODELS = ("_MODEL", *(f"_DEFAULT_{size}_MODEL" for size in ("HAIKU", "SONNET", "OPUS")))
QUIET = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY")
WELCOMED = {f"{HOME}/.claude.json": File(json.encode({  # or it begins with questions about colours and trust
    "hasCompletedOnboarding": True, "theme": "dark", "bypassPermissionsModeAccepted": True,
    "projects": {WORKSPACE: {"hasTrustDialogAccepted": True}}}))}  # fmt: skip


class ClaudeCode:
    """Anthropic's coding agent."""

    name = "claude-code"
    wire: Wire | None = "anthropic_messages"
    packages = Packages(npm=("@anthropic-ai/claude-code",))

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        check_tools(turn, self.name, "ask", "deny")
        asks = "ask" in turn.tools.values()
        said = {"type": "user", "message": {"role": "user", "content": literally(turn.prompt)}}
        key = {"ANTHROPIC_BASE_URL": gateway.url, "ANTHROPIC_AUTH_TOKEN": gateway.key, "CLAUDE_CODE_MAX_RETRIES": "3"}
        return Launch(
            argv=("claude", *STREAM, *(ASKING if asks else FREE), *_options(turn)),
            env={**key, **{f"ANTHROPIC{end}": turn.model for end in MODELS if turn.model}, **dict.fromkeys(QUIET, "1")},
            files={SYSTEM: File(turn.system.encode())} if turn.system else {},
            stdin=json.encode(said) + b"\n" if asks else literally(turn.prompt).encode(),
            answers=asks,
        )

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch:
        argv = ("claude", *(() if "ask" in turn.tools.values() else FREE), *_options(turn))
        launch = self.launch(turn, gateway)
        return structs.replace(launch, argv=argv, stdin=b"", answers=False, files={**launch.files, **WELCOMED})

    def reading(self, turn: Turn) -> ClaudeReading:
        return ClaudeReading(turn)


def _options(turn: Turn) -> list[str]:
    named = {tool: "allow" if setting == "auto" else setting for tool, setting in turn.tools.items() if tool != "*"}
    rules = {word: [tool for tool, found in named.items() if found == word] for word in ("allow", "ask", "deny")}
    options = ["--settings", json.encode({"permissions": rules}).decode()] if turn.tools else []
    options += ["--tools", ",".join(rules["allow"] + rules["ask"])] if turn.tools.get("*") == "deny" else []
    options += ["--append-system-prompt-file", SYSTEM] if turn.system else []
    return options + (["--resume", turn.resume] if turn.resume else [])


class ClaudeReading(LineReading):
    """Texts come in pieces (`stream_event`); the whole messages after them have the tools."""

    def read(self, value: dict[str, Any]) -> Iterator[Draft]:
        self.resume = value.get("session_id") or self.resume
        match value["type"], value.get("event", {}).get("delta", {}).get("type"):
            case "stream_event", "text_delta" | "thinking_delta" if not value.get("parent_tool_use_id"):
                delta = value["event"]["delta"]  # without a parent: a subagent's words are not the agent's
                yield from self.piece(delta["text"]) if "text" in delta else self.piece(delta["thinking"], Thinking)
            case "stream_event", _ if value["event"]["type"] == "content_block_stop":
                yield from self.close()
            case "assistant" | "user", _ if isinstance(value["message"]["content"], list):
                for block in value["message"]["content"]:
                    yield from self._tool(block)
            case "control_request", _ if value["request"]["subtype"] == "can_use_tool":
                self.ask(Question(value["request_id"], value["request"]["tool_name"], value["request"]["input"]))
            case "result", _:
                self.finished = True
                failed = value.get("is_error") or value.get("subtype") != "success"
                self.failure = str(value.get("result") or value.get("errors") or value["subtype"]) if failed else ""

    def _tool(self, block: dict[str, Any]) -> Iterator[Draft]:
        if block["type"] == "tool_use":
            yield from self.close()
            yield ToolCall(block["id"], block["name"], block["input"])
        elif block["type"] == "tool_result":
            yield ToolResult(block["tool_use_id"], plain(block.get("content")), bool(block.get("is_error")))

    def reply(self, question: Question, allowed: bool, note: str) -> bytes:
        yes, no = {"behavior": "allow", "updatedInput": question.arguments}, {"behavior": "deny", "message": note}
        response = {"subtype": "success", "request_id": question.call, "response": yes if allowed else no}
        return json.encode({"type": "control_response", "response": response}) + b"\n"

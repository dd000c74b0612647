"""Gemini CLI: `gemini --output-format stream-json`. It speaks Gemini, to the host's root.

How it logs in is a setting, not a variable: without it, a base URL of one's own makes it look for another login. Nobody
can answer when it asks, so a tool is used freely or is not there. Source: geminicli.com/docs, "Configuration" and
"Headless mode".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import json

from penstock.agents.environments.packages import Packages
from penstock.agents.events import Draft, ToolCall, ToolResult
from penstock.agents.harnesses.contract import Gateway, Launch, Turn, Wire, check_tools
from penstock.agents.harnesses.lines import LineReading, plain
from penstock.agents.sandboxes.driver import HOME, File

SETTINGS = f"{HOME}/.gemini/settings.json"
SYSTEM = f"{HOME}/.gemini/GEMINI.md"
FREE = ("--approval-mode", "yolo", "--skip-trust")


class Gemini:
    """Google's coding agent."""

    name = "gemini"
    wire: Wire | None = "gemini"
    packages = Packages(npm=("@google/gemini-cli",))

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        check_tools(turn, self.name, "deny")
        return Launch(
            argv=("gemini", "--output-format", "stream-json", *FREE, *_options(turn)),
            env={
                "GOOGLE_GEMINI_BASE_URL": gateway.url,
                "GEMINI_API_KEY": gateway.key,
                "GEMINI_TELEMETRY_ENABLED": "false",
                "GEMINI_CLI_NO_RELAUNCH": "true",  # a second process, for the sake of memory that we limit anyway
            },
            files={SETTINGS: File(_settings(turn)), SYSTEM: File(turn.system.encode())},
            stdin=turn.prompt.encode(),
        )

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch:
        launch = self.launch(turn, gateway)
        return Launch(argv=("gemini", *FREE, *_options(turn)), env=launch.env, files=launch.files)

    def reading(self, turn: Turn) -> GeminiReading:
        return GeminiReading(turn)


def _options(turn: Turn) -> list[str]:
    model = ["--model", turn.model] if turn.model else []
    return model + (["--resume", turn.resume] if turn.resume else [])


def _settings(turn: Turn) -> bytes:
    allowed = [tool for tool, setting in turn.tools.items() if setting == "auto" and tool != "*"]
    denied = [tool for tool, setting in turn.tools.items() if setting == "deny" and tool != "*"]
    tools = {"exclude": denied, **({"core": allowed} if turn.tools.get("*") == "deny" else {})}
    return json.encode({
        "security": {"auth": {"selectedType": "gemini-api-key"}}, "tools": tools,
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 3},
        "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False},
    })  # fmt: skip


class GeminiReading(LineReading):
    """Messages in pieces, tools and their results, and a result at the end.

    A conversation in which the model has said nothing is not kept, and cannot be gone on with.
    """

    _session = ""

    def read(self, value: dict[str, Any]) -> Iterator[Draft]:
        match value["type"]:
            case "init":
                self._session = value["session_id"]
            case "message" if value["role"] == "assistant":
                self.resume = self._session
                yield from self.piece(value["content"]) if value.get("delta") else self.said(value["content"])
            case "tool_use":
                self.resume = self._session
                yield from self.close()
                yield ToolCall(value["tool_id"], value["tool_name"], value.get("parameters"))
            case "tool_result":
                shown = value.get("output") or value.get("error", {}).get("message")
                yield ToolResult(value["tool_id"], plain(shown), is_error=value["status"] != "success")
            case "error" if value.get("severity") != "warning":
                self.failure = value["message"]
            case "result":
                self.finished = True
                self.failure = value["error"]["message"] if value["status"] != "success" else ""

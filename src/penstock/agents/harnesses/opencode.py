"""OpenCode: `opencode run --format json`. It speaks Chat Completions, by an adapter that comes with it.

Its configuration travels in a variable and names nothing but the gateway: no list of models is fetched, no plugin, no
language server. It prints a text when it is whole. Nobody can answer when it asks, so a tool is used freely or denied.
Source: opencode.ai/docs, "Config", "Providers", "Permissions", "CLI".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import json

from penstock.agents.environments.packages import Packages
from penstock.agents.events import Draft, Thinking, ToolCall, ToolResult
from penstock.agents.harnesses.contract import Gateway, Launch, Turn, Wire, check_tools
from penstock.agents.harnesses.lines import LineReading, plain
from penstock.agents.sandboxes.driver import HOME, File

SYSTEM = f"{HOME}/.config/opencode/penstock.md"
KEY = "PENSTOCK_GATEWAY_KEY"
QUIET = ("MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE")


class OpenCode:
    """The coding agent of opencode.ai."""

    name = "opencode"
    wire: Wire | None = "openai_chat"
    packages = Packages(npm=("opencode-ai",))

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        check_tools(turn, self.name, "deny")
        again = ("--session", turn.resume) if turn.resume else ("--title", "penstock")  # no call to find a title
        return Launch(
            argv=("opencode", "run", "--format", "json", "--thinking", *again),
            env=_variables(turn, gateway),
            files={SYSTEM: File(turn.system.encode())} if turn.system else {},
            stdin=turn.prompt.encode(),
        )

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch:
        again = ("--session", turn.resume) if turn.resume else ()
        launch = self.launch(turn, gateway)
        return Launch(argv=("opencode", *again), env=launch.env, files=launch.files)

    def reading(self, turn: Turn) -> OpenCodeReading:
        return OpenCodeReading(turn)


def _variables(turn: Turn, gateway: Gateway) -> dict[str, str]:
    model = f"penstock/{turn.model}"
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Penstock",
        "options": {"baseURL": f"{gateway.url}/v1", "apiKey": f"{{env:{KEY}}}"},
        "models": {name: {"name": name} for name in dict.fromkeys((turn.model, *gateway.models))},
    }
    tools = {"*": "allow", **{tool: "deny" if its == "deny" else "allow" for tool, its in turn.tools.items()}}
    config = {
        "provider": {"penstock": provider}, "enabled_providers": ["penstock"], "model": model, "small_model": model,
        "permission": tools, "autoupdate": False, "share": "disabled", "instructions": [SYSTEM] if turn.system else [],
    }  # fmt: skip
    quiet = {f"OPENCODE_DISABLE_{what}": "1" for what in QUIET}
    return {**quiet, KEY: gateway.key, "OPENCODE_CONFIG_CONTENT": json.encode(config).decode()}


class OpenCodeReading(LineReading):
    """Parts of messages, each when it is whole. An error is a line as well; a turn's end is the program's."""

    says_when_finished = False

    def read(self, value: dict[str, Any]) -> Iterator[Draft]:
        self.resume = value.get("sessionID") or self.resume
        part = value.get("part", {})
        match value["type"]:
            case "text":
                yield from self.said(part["text"])
            case "reasoning":
                yield from self.said(part["text"], Thinking)
            case "tool_use":
                state = part["state"]
                yield ToolCall(part["callID"], part["tool"], state.get("input"))
                failed = state["status"] == "error"
                yield ToolResult(part["callID"], plain(state.get("error" if failed else "output")), is_error=failed)
            case "error":
                error = value["error"]
                self.failure = str(error.get("data", {}).get("message") or error.get("name") or error)

"""Codex: `codex exec --json`. It speaks OpenAI Responses, and needs a provider of another name than its built-in one.

Its own sandbox is off, for it runs in ours. It prints no pieces: a message comes when it is whole. It retries lost
connections and servers' errors, but no 429; the gateway does. No tool of it can be asked about or taken away.
Source: developers.openai.com/codex, "Non-interactive mode" and "Configuration reference".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import json

from penstock.agents.environments.packages import Packages
from penstock.agents.events import Draft, Thinking, ToolCall, ToolResult
from penstock.agents.harnesses.contract import Gateway, Launch, Turn, Wire, check_tools
from penstock.agents.harnesses.lines import LineReading, plain

KEY = "PENSTOCK_GATEWAY_KEY"
FREE = ("--dangerously-bypass-approvals-and-sandbox",)
QUIET = (
    "analytics.enabled=false",
    "features.plugins=false",
    "check_for_update_on_startup=false",
    "web_search=disabled",
)


class Codex:
    """OpenAI's coding agent."""

    name = "codex"
    wire: Wire | None = "openai_responses"
    packages = Packages(npm=("@openai/codex",))

    def launch(self, turn: Turn, gateway: Gateway) -> Launch:
        check_tools(turn, self.name)
        resume, again = (("resume",), (turn.resume,)) if turn.resume else ((), ())
        argv = ("codex", "exec", *resume, "--json", "--skip-git-repo-check", *_options(turn, gateway), *again, "-")
        return Launch(argv=argv, env={KEY: gateway.key}, stdin=turn.prompt.encode())

    def terminal(self, turn: Turn, gateway: Gateway) -> Launch:
        resume = ("resume", turn.resume) if turn.resume else ()
        return Launch(argv=("codex", *resume, *_options(turn, gateway)), env={KEY: gateway.key})

    def reading(self, turn: Turn) -> CodexReading:
        return CodexReading(turn)


def _options(turn: Turn, gateway: Gateway) -> list[str]:
    """Options as `-c KEY=VALUE`. A JSON string is a TOML string as well."""
    url, provider = json.encode(f"{gateway.url}/v1").decode(), "model_providers.penstock"
    settings = [f"{provider}.name='Penstock'", f"{provider}.base_url={url}", f"{provider}.env_key='{KEY}'",
                f"{provider}.wire_api='responses'", f"{provider}.supports_websockets=false",
                f"{provider}.request_max_retries=3", f"{provider}.stream_max_retries=2",
                "model_provider='penstock'", *QUIET]  # fmt: skip
    if turn.model:
        settings.append(f"model={json.encode(turn.model).decode()}")
    if turn.system:
        settings.append(f"developer_instructions={json.encode(turn.system).decode()}")
    return [*FREE, *(word for setting in settings for word in ("-c", setting))]


class CodexReading(LineReading):
    """Threads, turns and items. What it says before a turn begins is about its own set-up, and shown if it fails."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self._began: set[str] = set()

    def read(self, value: dict[str, Any]) -> Iterator[Draft]:
        match value["type"]:
            case "thread.started":
                self.resume = value["thread_id"]
            case "item.started":
                yield from self._call(value["item"])
            case "item.completed":
                yield from self._item(value["item"])
            case "turn.completed":
                self.finished = True
            case "turn.failed" | "error":
                self.failure = value["error"]["message"] if "error" in value else value["message"]

    def _item(self, item: dict[str, Any]) -> Iterator[Draft]:
        if item["type"] in ("agent_message", "reasoning"):
            yield from self.said(item["text"], Thinking) if item["type"] == "reasoning" else self.said(item["text"])
        elif item["type"] not in ("error", "todo_list"):
            yield from self._call(item)
            shown = item.get("aggregated_output") or item.get("changes") or item.get("result") or item.get("error")
            yield ToolResult(item["id"], plain(shown), is_error=item.get("status") == "failed")

    def _call(self, item: dict[str, Any]) -> Iterator[Draft]:
        if item["type"] not in ("agent_message", "reasoning", "error", "todo_list") and item["id"] not in self._began:
            self._began.add(item["id"])
            results = ("id", "type", "status", "aggregated_output", "exit_code", "result", "error")
            arguments = {name: given for name, given in item.items() if name not in results}
            yield ToolCall(item["id"], item.get("tool", item["type"]), arguments)

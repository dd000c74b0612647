"""What tools that a provider ran have answered, in terms that every dialect can write: what a program printed, the
words of an MCP server.

`ServerToolResult.content` is the provider's own JSON. Code: Anthropic tells two streams and a return code, Gemini one
output and an outcome, Nova an exit code, Responses a list of logs and pictures. MCP: Anthropic tells content blocks, as
the server gave them, Responses their text, or an error.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool,
.../agents-and-tools/mcp-connector, https://ai.google.dev/api/caching#CodeExecutionResult,
https://docs.aws.amazon.com/nova/latest/userguide/nova-code-interpreter.html,
https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.types.content import ServerToolCall, ServerToolResult
from penstock.types.errors import DialectError

MCP = "mcp"
"""`ServerToolResult.name` of what an MCP server answered."""


class CodeOutcome(Struct, frozen=True):
    """What a program printed, whether it failed, and whether it made something else (`more`: files, pictures)."""

    stdout: str = ""
    stderr: str = ""
    failed: bool = False
    more: bool = False

    @property
    def text(self) -> str:
        """All that was printed, as one text."""
        apart = "\n" if self.stdout and self.stderr and not self.stdout.endswith("\n") else ""
        return self.stdout + apart + self.stderr


def code_of(arguments: dict[str, Any] | str | None) -> str | None:
    """The program that a code tool was given, whatever the provider calls it."""
    if isinstance(arguments, str):
        try:
            arguments = wire.decode(arguments)
        except DialectError:
            return None
    if not isinstance(arguments, dict):
        return None
    return next((code for key in ("code", "command", "snippet") if isinstance(code := arguments.get(key), str)), None)


def code_outcome(content: Any) -> CodeOutcome | None:
    """What the `content` of a code tool's result says; None where its form is not known."""
    if isinstance(content, str):
        return CodeOutcome(content)
    if isinstance(content, dict):
        return _outcome_of_object(content)
    return _outcome_of_list(content) if isinstance(content, list) else None


def _outcome_of_object(content: dict[str, Any]) -> CodeOutcome:
    stdout = "\n".join(_strings(content, "stdout", "stdOut", "output"))
    stderr = "\n".join(_strings(content, "stderr", "stdErr", "error_code"))
    codes = (content.get("return_code"), content.get("exitCode"))
    failed = (
        any(code not in (0, None) for code in codes)
        or content.get("outcome") not in (None, "OUTCOME_OK")
        or content.get("isError") is True
        or isinstance(content.get("error_code"), str)
    )
    return CodeOutcome(stdout, stderr, failed, bool(content.get("content")))


def _strings(holder: dict[str, Any], *keys: str) -> list[str]:
    return [text for key in keys if isinstance(text := holder.get(key), str) and text]


def _outcome_of_list(content: list[Any]) -> CodeOutcome | None:
    """Logs and pictures of Responses, or blocks of Converse (one text, or one JSON value)."""
    if len(content) == 1 and isinstance(content[0], dict):
        inner = content[0].get("json", content[0].get("text"))
        if inner is not None:
            return code_outcome(inner)
    entries = [entry for entry in content if isinstance(entry, dict) and isinstance(entry.get("type"), str)]
    if len(entries) < len(content):
        return None
    logs = [text for entry in entries for text in _strings(entry, "logs")]
    return CodeOutcome("\n".join(logs), more=any(entry["type"] != "logs" for entry in entries))


def mcp_words(content: Any) -> tuple[str, bool]:
    """(the words of what an MCP server answered, whether it gave something else too: pictures, resources)."""
    if isinstance(content, str):
        return content, False
    if isinstance(content, dict):
        found = _strings(content, "text", "message") or [
            words for key in ("content", "error") if (words := mcp_words(content.get(key) or "")[0])
        ]
        return ("\n".join(found), False) if found else (wire.encode(content).decode(), False)
    if not isinstance(content, list):
        return ("", False) if content is None else (wire.encode(content).decode(), False)
    texts = [block.get("text") if isinstance(block, dict) else block for block in content]
    said = [text for text in texts if isinstance(text, str)]
    return "\n".join(said), len(said) < len(texts)


def answers(result: ServerToolResult, call: ServerToolCall) -> bool:
    """Whether `result` is what came of `call`."""
    return result.call_id == call.call_id and result.name == (MCP if call.server is not None else call.name)

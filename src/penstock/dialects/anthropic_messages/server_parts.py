"""What another provider ran, as the blocks that Anthropic has for the same tool: code, and the tools of MCP servers.

    code    server_tool_use "code_execution"    code_execution_tool_result
    MCP     mcp_tool_use                        mcp_tool_result

All other tools stay out: what a search found goes with a proof that only Anthropic can make (`encrypted_content`), and
blocks of the rest have forms of their own. In an answer the blocks tell the client what was run. In a request they are
sent only where the API takes them: the request has the tool, and the call its result.

Sources: https://platform.claude.com/docs/en/agents-and-tools/mcp-connector,
https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool
"""

from __future__ import annotations

import re
from typing import Any

from penstock.dialects.anthropic_messages.messages import as_object
from penstock.dialects.server_outcomes import MCP, code_of, code_outcome, mcp_words
from penstock.types.content import ServerToolCall, ServerToolResult
from penstock.types.notes import Note

Block = dict[str, Any]

CODE = "code_execution"
_UNSAFE = re.compile(r"[^A-Za-z0-9_]")
_SERVER_ID = "srvtoolu_"
"""How the ids of Anthropic's own tools must begin."""


def write_server_call(part: ServerToolCall) -> Block | None:
    """The block of a call, None where there is none for its tool."""
    call_id = part.call_id or ""
    if part.server is not None:
        arguments = as_object(part.arguments)
        server = {"name": part.name, "server_name": part.server}
        return {"type": "mcp_tool_use", "id": _mcp_id(call_id), **server, "input": arguments}
    if part.name != CODE:
        return None
    code = code_of(part.arguments)
    arguments = as_object(part.arguments) if code is None else {"code": code}
    return {"type": "server_tool_use", "id": _code_id(call_id), "name": CODE, "input": arguments}


def write_server_result(part: ServerToolResult, path: str, notes: list[Note]) -> Block | None:
    """The block of a result, None where there is none for its tool, or where its form is not known."""
    call_id = part.call_id or ""
    if part.name == MCP:
        words, more = mcp_words(part.content)
        content = [{"type": "text", "text": words}] if words else []
        found = {"type": "mcp_tool_result", "tool_use_id": _mcp_id(call_id), "is_error": part.is_error is True}
        found["content"] = content
    else:
        outcome = code_outcome(part.content) if part.name == CODE else None
        if outcome is None:
            return None
        more = outcome.more
        told = {"stdout": outcome.stdout, "stderr": outcome.stderr, "return_code": int(outcome.failed), "content": []}
        found = {"type": "code_execution_tool_result", "tool_use_id": _code_id(call_id)}
        found["content"] = {"type": "code_execution_result", **told}
    if more:
        notes.append(Note(f"{path}.content", "weakened", "of what a provider's tool made, only its words are told"))
    return found


def _mcp_id(call_id: str) -> str:
    return _UNSAFE.sub("_", call_id)


def _code_id(call_id: str) -> str:
    safe = _UNSAFE.sub("_", call_id)
    return safe if safe.startswith(_SERVER_ID) else _SERVER_ID + safe

"""Tool names: Gemini takes letters, digits, `_`, `.` and `-`, begun by a letter or `_`, at most 64 characters of them.

Callers' names may be anything (MCP servers like slashes and colons). Newer models take longer names, and colons; a name
that fits the old rule fits them, too.

Source: https://ai.google.dev/api/caching#FunctionDeclaration
"""

from __future__ import annotations

import re

from penstock.dialects.tool_memo import ToolNames, tool_names_of
from penstock.types.content import ToolResult
from penstock.types.request import Request

MAX_LENGTH = 64

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")


def tool_names(request: Request) -> ToolNames:
    """The names of the request's tools, as they are written here and back. Results have names, too."""
    names = tool_names_of(request)
    for message in request.messages:
        for part in message.parts:
            if type(part) is ToolResult and part.name is not None:
                names.add(part.name)
    return ToolNames(names, _UNFIT, MAX_LENGTH, "_")

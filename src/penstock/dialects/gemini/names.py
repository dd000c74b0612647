"""Tool names: Gemini takes letters, digits, `_`, `.` and `-`, begun by a letter or `_`, at most 64 characters of them.

Callers' names may be anything (MCP servers like slashes and colons). `ToolNames` gives each a name that Gemini takes, a
different one for each, and remembers the way back. Newer models take longer names, and colons; a name that fits the old
rule fits them, too.

Source: https://ai.google.dev/api/caching#FunctionDeclaration
"""

from __future__ import annotations

import re

from penstock.types.request import Request

MAX_LENGTH = 64

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")
_FIT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def fit(name: str) -> str:
    """The nearest name that Gemini takes: odd characters become `_`, what is too long is cut."""
    if _FIT.fullmatch(name):
        return name
    found = _UNFIT.sub("_", name) or "_"
    return (found if found[0].isalpha() or found[0] == "_" else f"_{found}")[:MAX_LENGTH]


class ToolNames:
    """The names of one request. Declared tools come first, so that theirs depend on nothing else."""

    def __init__(self, request: Request) -> None:
        self._wire: dict[str, str] = {}
        self._taken: set[str] = set()
        for tool in request.tools or ():
            if tool.kind != "server":
                self.wire(tool.name)

    def wire(self, name: str) -> str:
        """The name on the wire."""
        found = self._wire.get(name)
        if found is None:
            found = self._wire[name] = self._free(fit(name))
            self._taken.add(found)
        return found

    def _free(self, name: str) -> str:
        """`name` itself, or with a number if another tool has it already."""
        found, number = name, 2
        while found in self._taken:
            ending = f"_{number}"
            found, number = name[: MAX_LENGTH - len(ending)] + ending, number + 1
        return found

    def back(self) -> dict[str, str] | None:
        """Wire name -> caller's name, of those that differ (the Memo's `tool_names`)."""
        return {wire: name for name, wire in self._wire.items() if wire != name} or None

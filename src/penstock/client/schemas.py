"""Schemas of tools: refused here where they are none, in words that say where, before a provider refuses them in its
own or takes them and ignores them. The keywords that are checked are those of `penstock.types.json_schema`.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.types.errors import MalformedError
from penstock.types.json_schema import check_schema
from penstock.types.request import Tool


def check_tools(tools: Sequence[Tool] | None) -> None:
    """Refuse a function whose parameters are no JSON Schema. Raises MalformedError with the tool's name and place."""
    for number, tool in enumerate(tools or ()):
        problem = None if tool.parameters is None else check_schema(tool.parameters)
        if problem is not None:
            path = f"tools[{number}].function.parameters"
            raise MalformedError(f"the tool {tool.name!r} has no valid JSON Schema: {problem}", path)

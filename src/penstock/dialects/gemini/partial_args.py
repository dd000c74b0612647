"""Arguments of a function call that arrive piece by piece (Vertex AI, `streamFunctionCallArguments`).

The first piece of a call has its name and `willContinue`; each further one brings `partialArgs`, which say by JSON path
where a value goes; a piece without `willContinue` ends the call. A string may come in several pieces under one path.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from penstock.dialects import wire
from penstock.types.errors import MalformedError

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")
_MAX_INDEX = 10_000
"""The longest list that a path may ask for."""


class PartialArguments:
    """The arguments of one call, as far as they have arrived."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments: dict[str, Any] = dict(arguments)
        self._open: set[str] = set()

    def add(self, pieces: Any) -> None:
        """Take the `partialArgs` of one frame. Raises MalformedError."""
        for piece in wire.array(pieces):
            self._add(wire.obj(piece))

    def _add(self, piece: dict[str, Any]) -> None:
        path = wire.string(piece.get("jsonPath"))
        key = next((name for name in _VALUES if name in piece), None)
        if key is None:
            return
        value = None if key == "nullValue" else piece[key]
        continues = path in self._open and key == "stringValue"
        _put(self.arguments, _steps(path), value, continues)
        if piece.get("willContinue") is True:
            self._open.add(path)
        else:
            self._open.discard(path)


def _steps(path: str) -> list[str | int]:
    """`$.a[0]['b c']` -> ["a", 0, "b c"]."""
    found: list[str | int] = []
    place = 1
    while path.startswith("$") and place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            break
        name = next((group for group in (match[1], match[3], match[4]) if group is not None), None)
        found.append(int(match[2]) if name is None else re.sub(r"\\(.)", r"\1", name))
        place = match.end()
    if not found or place < len(path):
        raise MalformedError(f"{path!r} is not a path to an argument", "jsonPath")
    return found


def _put(root: dict[str, Any], steps: list[str | int], value: Any, continues: bool) -> None:
    """Put `value` where the steps lead, making objects and lists on the way; or add it to the text that is there."""
    holder: Any = root
    for step, following in pairwise(steps):
        holder = _child(holder, step, [] if isinstance(following, int) else {})
    last = steps[-1]
    before = _child(holder, last, None)
    joined = continues and isinstance(before, str) and isinstance(value, str)
    holder[last] = before + value if joined else value


def _child(holder: Any, step: str | int, default: Any) -> Any:
    """What `holder` has at `step`; `default`, now put there, where it has nothing."""
    if isinstance(step, int) and isinstance(holder, list) and step < _MAX_INDEX:
        holder += [None] * (step + 1 - len(holder))
    elif not isinstance(step, str) or not isinstance(holder, dict):
        raise MalformedError(f"the step {step!r} does not fit what is there", "jsonPath")
    found = holder[step] if isinstance(step, int) else holder.get(step)
    if found is None and default is not None:
        found = holder[step] = default
    return found

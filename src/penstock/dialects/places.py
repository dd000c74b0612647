"""Places: where in a request's body stands a parameter that the representation does not model.

A caller may name a parameter that is the provider's own (`num_ctx`, `safety_settings`, `guardrailConfig`). It belongs
where that provider's API has it, and a parameter that nobody here has heard of belongs where the API puts most: for
some at the root, for others in an object (Ollama's `options`, Gemini's `generationConfig`). Each dialect says that in
one table, from the documentation of its API:

    Places("generationConfig", {"": ("safetySettings",), "generationConfig.thinkingConfig": ("thinkingBudget",)})

Names in camelCase are known in snake_case too, and stand in the body as the table spells them. `requests[*]` is each
object of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from penstock.dialects import wire

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


class Places:
    """A dialect's table. `rest` is the dotted path of the object for every name that is not listed ("": the root);
    `listed` has the names by the path of the object that they stand in. (The objects themselves need not be listed.)
    """

    __slots__ = ("_listed", "_rest")

    def __init__(self, rest: str = "", listed: Mapping[str, Iterable[str]] | None = None) -> None:
        self._rest = _steps(rest)
        self._listed: dict[str, tuple[str, ...]] = {}
        for path, names in (listed or {}).items():
            for name in names:
                for spelled in {name, snake(name)}:
                    if spelled in self._listed:
                        raise ValueError(f"{spelled!r} has two places")
                    self._listed[spelled] = (*_steps(path), name)
        for path in (rest, *(listed or {})):
            steps = _steps(path)
            for count, name in enumerate(steps, 1):
                for spelled in (name, snake(name)):
                    if not name.endswith(_EACH):
                        self._listed.setdefault(spelled, steps[:count])

    def of(self, name: str) -> tuple[str, ...]:
        """The keys that lead to a parameter, from the root of the body."""
        return self._listed.get(name) or (*self._rest, name)

    def put(self, parameters: Mapping[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """The body with these parameters in their places. They go before what stands there already, for the caller said
        them in the provider's own words; of objects, the members are merged. `body` is not changed.
        """
        for name, value in parameters.items():
            body = _with(body, self.of(name), value)
        return body


_EACH = "[*]"


def _with(body: dict[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of the body with the value at the end of the keys."""
    key, rest = keys[0], keys[1:]
    if key.endswith(_EACH):
        key = key.removesuffix(_EACH)
        return {**body, key: [_with(each, rest, value) for each in body.get(key, ())]}
    if not rest:
        return wire.deep_merge(body, {key: value})
    below = body.get(key)
    return {**body, key: _with(below if isinstance(below, dict) else {}, rest, value)}


def snake(name: str) -> str:
    """`topK` -> `top_k`."""
    return _HUMP.sub(lambda hump: f"_{hump[1].lower()}", name)


def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")) if path else ()


AT_THE_ROOT: Final = Places()
"""The table of an API that has all parameters side by side."""

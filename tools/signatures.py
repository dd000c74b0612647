"""Types and signatures as text, the same with every version of Python: the pages that show them are compared with the
code in every one.
"""

from __future__ import annotations

import enum
import inspect
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

_STARS = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
_WIDTH = 110


def signature(name: str, value: Callable[..., Any]) -> str:
    """`name(a: int, ...) -> str`, in several lines where it is long."""
    found = inspect.signature(value)
    words = [_parameter(each) for each in found.parameters.values()]
    kinds = [each.kind.name for each in found.parameters.values()]
    if "KEYWORD_ONLY" in kinds and "VAR_POSITIONAL" not in kinds:
        words.insert(kinds.index("KEYWORD_ONLY"), "*")
    result = "" if isinstance(value, type) else f" -> {written(found.return_annotation)}"
    line = f"{name}({', '.join(words)}){result}"
    return line if len(line) <= _WIDTH else f"{name}(\n{''.join(f'    {word},{chr(10)}' for word in words)}){result}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = _STARS.get(parameter.kind.name)
    if stars:
        return stars + parameter.name
    kind = "" if parameter.annotation is inspect.Parameter.empty else f": {written(parameter.annotation)}"
    return parameter.name + kind + ("" if parameter.default is inspect.Parameter.empty else _default(parameter.default))


def _default(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return f" = {type(value).__name__}.{value.name}"
    text = repr(value)
    plain = not hasattr(value, "__dataclass_fields__") and " at 0x" not in text
    return f" = {text if plain else type(value).__name__ + '(...)'}"


def written(kind: Any) -> str:
    """A type as one writes it, without the names of modules."""
    if isinstance(kind, str):
        return kind
    origin, inner = get_origin(kind), get_args(kind)
    if kind is None or kind is type(None):
        return "None"
    if kind is Ellipsis:
        return "..."
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(map(written, inner))
    if isinstance(kind, list):
        return f"[{', '.join(map(written, kind))}]"
    name = str(getattr(origin or kind, "__name__", kind))
    return f"{name}[{', '.join(map(written, inner))}]" if inner else name

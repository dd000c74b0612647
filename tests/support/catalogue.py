"""Catalogues: the types of an official client (pydantic models) list every field of an API. From them come wire values:
for every field of every object, one value in which only that field is said (beside those that must be).

A dialect that passes all of them back exactly forgets no field, wherever it stands.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import pydantic

_SAMPLES: dict[Any, tuple[Any, ...]] = {
    bool: (True, False),
    int: (7, 0),
    float: (0.5, 1, 0.0),
    str: ("words", ""),
    bytes: ("aGVsbG8=", "_-8="),
    datetime: ("2025-01-02T03:04:05.678901234Z",),
    Any: ({"any": [1, None, "x"]},),
}
"""Values of each simple type, as they stand in JSON."""


def values(kind: Any, depth: int = 7) -> Iterator[Any]:
    """JSON values of a type: for a model the least object, and one for each value of each of its fields."""
    return _values(kind, depth, ())


def _values(kind: Any, depth: int, around: tuple[type, ...]) -> Iterator[Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        named = any(typing.get_origin(each) is typing.Literal for each in arguments)
        for each in arguments:
            if each is not type(None) and not (named and each is Any):  # (some clients write an enum so)
                yield from _values(each, depth, around)
    elif origin is typing.Annotated:
        yield from _values(arguments[0], depth, around)
    elif origin is typing.Literal:
        yield arguments[0]
    elif origin in (list, Sequence):
        yield []
        yield from ([value] for value in _values(arguments[0], depth, around))
    elif origin is dict:
        yield {}
        yield from ({"key": value} for value in _values(arguments[1], depth, around))
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        yield from (each.value for each in kind)
        yield "SOMETHING_NEW"
    elif isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        yield from _objects(kind, depth, around)
    else:
        yield from _SAMPLES.get(kind, ())


def _objects(model: type[pydantic.BaseModel], depth: int, around: tuple[type, ...]) -> Iterator[dict[str, Any]]:
    around = (*around, model)
    least = {
        field.alias or name: _first(field.annotation, around)
        for name, field in model.model_fields.items()
        if field.is_required()
    }
    yield least
    if depth <= 0 or around.count(model) > 2:
        return
    for name, field in model.model_fields.items():
        for value in _values(field.annotation, depth - 1, around):
            yield {**least, field.alias or name: value}


def _first(kind: Any, around: tuple[type, ...]) -> Any:
    """A value of a field that must be there: the first that says something."""
    found = [*islice(_values(kind, 3 - len(around), around), 2)]
    return next((value for value in found if value), found[0] if found else None)

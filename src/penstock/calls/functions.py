"""Functions: a Python function as a tool. Its signature and docstring become the JSON Schema, and the model's arguments
become Python values again.

    def weather(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius") -> str:
        \"\"\"Current weather of a city.

        Args:
            city: its name, in English.
        \"\"\"

    function_to_dict(weather)   # {"name": "weather", "description": ..., "parameters": {...}}

Types come from the annotations (whatever msgspec knows: dataclasses, TypedDict, Literal, Enum, containers; pydantic
classes too), or, where there are none, from a docstring in numpydoc style. Descriptions come from the docstring
(numpydoc, Google or Sphinx style) or from `Annotated[str, "the city's name"]`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Struct

from penstock.calls.docstrings import Described, described
from penstock.types.errors import MalformedError

_UNKNOWN: dict[str, Any] = {}


class Parameter(Struct, frozen=True):
    """One argument of a function. `kind` is its type (Any where none is said)."""

    name: str
    kind: Any
    required: bool
    schema: dict[str, Any]


class Function(Struct, frozen=True):
    """A Python function that a model may call."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    definitions: dict[str, Any]
    takes_more: bool
    run: Callable[..., Any]

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments."""
        found: dict[str, Any] = {
            "type": "object",
            "properties": {each.name: each.schema for each in self.parameters},
            "required": [each.name for each in self.parameters if each.required],
        }
        if self.takes_more:
            found["additionalProperties"] = True
        if self.definitions:
            found["$defs"] = self.definitions
        return found

    @property
    def tool(self) -> dict[str, Any]:
        """The tool in OpenAI's shape."""
        made = {"name": self.name, "description": self.description, "parameters": self.schema}
        return {"type": "function", "function": {key: value for key, value in made.items() if value != ""}}

    def arguments(self, given: Any) -> dict[str, Any]:
        """What the model gave, as the function's own types. Raises ValueError in words for the model."""
        if not isinstance(given, Mapping):
            raise ValueError(f"the arguments must be a JSON object, got {type(given).__name__}")
        known = {each.name: each for each in self.parameters}
        missing = [each.name for each in self.parameters if each.required and each.name not in given]
        unknown = [name for name in given if name not in known]
        if missing:
            raise ValueError(f"missing arguments: {', '.join(missing)}")
        if unknown and not self.takes_more:
            raise ValueError(f"there are no arguments {', '.join(unknown)}; there are {', '.join(known) or 'none'}")
        return {name: _value(value, known[name]) if name in known else value for name, value in given.items()}


def function_of(function: Callable[..., Any]) -> Function:
    """A Python function as a tool. Raises MalformedError where its arguments cannot be named by a model."""
    name = getattr(function, "__name__", type(function).__name__)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise MalformedError(f"the signature of {name} cannot be read: give its JSON schema", "tools") from None
    about = described(inspect.getdoc(function) or "")
    hints = _hints(function)
    definitions: dict[str, Any] = {}
    parameters, takes_more = [], False
    for each in signature.parameters.values():
        if each.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise MalformedError(
                f"the argument {each.name!r} of {name} is positional only: a model names them", "tools"
            )
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            takes_more = True
        elif each.kind is not inspect.Parameter.VAR_POSITIONAL:
            parameters.append(_parameter(each, hints.get(each.name, Any), about, definitions))
    return Function(name, about.summary, tuple(parameters), definitions, takes_more, function)


def function_to_dict(input_function: Callable[..., Any]) -> dict[str, Any]:
    """{"name", "description", "parameters"} of `input_function`, a Python function: the `function` of a tool in
    OpenAI's shape. Raises MalformedError where its arguments cannot be named by a model.
    """
    made: dict[str, Any] = function_of(input_function).tool["function"]
    return made


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except (NameError, TypeError):  # a name that only a type checker sees: the docstring may still say it
        return {}


def _parameter(parameter: inspect.Parameter, kind: Any, about: Described, definitions: dict[str, Any]) -> Parameter:
    said = about.parameters.get(parameter.name)
    schema = dict(_schema(kind, definitions)) if kind is not Any else dict(said.schema if said else _UNKNOWN)
    notes = [note for note in get_args(kind)[1:] if isinstance(note, str)] if get_origin(kind) is Annotated else []
    description = said.description if said and said.description else " ".join(notes)
    if description and "description" not in schema:
        schema["description"] = description
    required = parameter.default is inspect.Parameter.empty and not (said and said.optional and kind is Any)
    if not required and parameter.default not in (None, inspect.Parameter.empty):
        _add_default(schema, parameter.default)
    return Parameter(parameter.name, kind, required, schema)


def _add_default(schema: dict[str, Any], default: Any) -> None:
    try:
        schema["default"] = msgspec.json.decode(msgspec.json.encode(default))
    except (TypeError, ValueError):  # a default that JSON cannot say is the function's own affair
        return


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; what it refers to is added to `definitions`. A type that nobody knows may be anything."""
    pydantic = getattr(_bare(kind), "model_json_schema", None)
    if pydantic is not None:
        schema: dict[str, Any] = pydantic(ref_template="#/$defs/{model}")
        definitions |= schema.pop("$defs", {})
        return schema
    try:
        (schema,), found = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    except (TypeError, ValueError):
        return dict(_UNKNOWN)
    definitions |= found
    if "type" not in schema and schema.get("enum") and all(isinstance(each, str) for each in schema["enum"]):
        schema["type"] = "string"  # some providers want it spelled out
    return schema


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _value(value: Any, parameter: Parameter) -> Any:
    kind = _bare(parameter.kind)
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(value)
    if kind is Any or parameter.schema == _UNKNOWN:
        return value
    try:
        return msgspec.convert(value, parameter.kind, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"argument {parameter.name!r}: {error}") from None
    except TypeError:  # a type that msgspec does not know: the function will see for itself
        return value

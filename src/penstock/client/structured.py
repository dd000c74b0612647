"""Structured output: what the caller wants as a class or a schema, what the model is asked, and whether the answer
fits.

`response_format` may be a pydantic class, a msgspec Struct, a dataclass or TypedDict, a JSON schema, or OpenAI's own
`{"type": "json_schema", ...}`. The renderer of the target dialect asks in the best way that the model has (natively,
by a forced tool, or in the prompt); the answer is always validated here, and `message.parsed` holds it: an instance
of the class, or the decoded JSON. An answer that does not fit raises JSONSchemaValidationError, or is sent back to
the model with what is wrong, up to `max_repairs` times.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, is_typeddict

import msgspec
from msgspec import Struct

from penstock.dialects import wire
from penstock.types.errors import MalformedError
from penstock.types.json_schema import check_schema, errors_in


class Wanted(Struct, frozen=True):
    """What the answer must be. `body` is what `response_format` becomes on the wire; `build` makes the caller's
    instance of the JSON text, or raises ValueError.
    """

    body: dict[str, Any]
    schema: dict[str, Any] | None
    build: Callable[[str], Any]


class Misfit(ValueError):
    """An answer does not fit. `errors` say where."""

    def __init__(self, text: str, errors: tuple[str, ...]) -> None:
        super().__init__("; ".join(errors))
        self.text = text
        self.errors = errors


def wanted_of(response_format: Any, argument: str = "response_format") -> Wanted | None:
    """What `response_format` asks for; None: nothing that could be validated. Raises MalformedError for a schema that
    is none, with the name of the argument.
    """
    if response_format is None:
        return None
    if isinstance(response_format, Mapping):
        return _of_mapping(dict(response_format), argument)
    if isinstance(response_format, type) and hasattr(response_format, "model_json_schema"):
        model: Any = response_format
        return _of_class(model.__name__, model.model_json_schema(), model.model_validate_json)
    if _is_msgspec_type(response_format):
        decode = msgspec.json.Decoder(response_format).decode
        return _of_class(response_format.__name__, _msgspec_schema(response_format), decode)
    name = getattr(response_format, "__name__", type(response_format).__name__)
    message = f"expected a pydantic class, a msgspec Struct, a dataclass, a TypedDict or a JSON schema, got {name}"
    raise MalformedError(message, argument)


def _is_msgspec_type(value: Any) -> bool:
    return isinstance(value, type) and (
        issubclass(value, Struct) or dataclasses.is_dataclass(value) or is_typeddict(value)
    )


def _msgspec_schema(kind: Any) -> dict[str, Any]:
    """The schema of a type, with the type itself at the root and all others under `$defs`."""
    (root,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    name = root.get("$ref", "").rpartition("/")[2]
    schema = dict(definitions.pop(name, root)) if name else dict(root)
    text = wire.encode(schema).decode()
    if f'"#/$defs/{name}"' in text or any(
        f'"#/$defs/{name}"' in wire.encode(each).decode() for each in definitions.values()
    ):
        definitions[name] = dict(schema)
    return {**schema, "$defs": definitions} if definitions else schema


def _of_class(name: str, schema: dict[str, Any], build: Callable[[str], Any]) -> Wanted:
    strict = strict_schema(schema)
    inner: dict[str, Any] = {"name": wire_name(name), "schema": strict or schema}
    if strict is not None:
        inner["strict"] = True
    return Wanted({"type": "json_schema", "json_schema": inner}, schema, build)


def _of_mapping(given: dict[str, Any], argument: str) -> Wanted | None:
    kind = given.get("type")
    if kind == "json_schema" and isinstance(given.get("json_schema"), Mapping):
        schema = given["json_schema"].get("schema")
        return Wanted(given, _checked(schema, argument) if schema is not None else None, wire.decode)
    if kind == "json_object":
        return Wanted(given, None, wire.decode)
    if "properties" in given or "$defs" in given or kind in ("object", "array"):
        schema = _checked(given, argument)
        name = wire_name(str(given.get("title") or "answer"))
        return Wanted({"type": "json_schema", "json_schema": {"name": name, "schema": schema}}, schema, wire.decode)
    return None


def _checked(schema: Any, argument: str) -> dict[str, Any]:
    problem = check_schema(schema)
    if problem is not None:
        raise MalformedError(problem, argument)
    return dict(schema) if isinstance(schema, Mapping) else {}


def wire_name(name: str) -> str:
    """A name that every provider takes for a schema."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "answer"


def strict_schema(schema: Any) -> dict[str, Any] | None:
    """`schema` in the form that OpenAI's strict mode demands, or None where it cannot be put so without changing what
    it allows.

    Every value has a type, and every object lists all of its properties as required and allows no others
    (https://platform.openai.com/docs/guides/structured-outputs). A property that was optional would become required,
    and an object of any properties an empty one, so such a schema is left as it is, and sent without `strict`.
    """
    if not isinstance(schema, dict) or not schema.keys() & _SAYS_WHAT:
        return None
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
            inner = {name: strict_schema(each) for name, each in value.items()}
            if None in inner.values():
                return None
            found[key] = inner
        elif key in ("anyOf", "prefixItems") and isinstance(value, list):
            found[key] = [strict_schema(each) for each in value]
            if None in found[key]:
                return None
        elif key == "items":
            found[key] = strict_schema(value)
            if found[key] is None:
                return None
        elif key != "default":
            found[key] = value
    return _closed(found)


_SAYS_WHAT = frozenset({"type", "properties", "enum", "const", "$ref", "anyOf", "allOf", "oneOf"})
"""Keywords of which a schema has one if it does not allow everything."""


def _closed(schema: dict[str, Any]) -> dict[str, Any] | None:
    if schema.get("type") != "object" and "properties" not in schema:
        return schema
    if "properties" not in schema and schema.get("additionalProperties") is not False:
        return None
    properties = schema.get("properties", {})
    if schema.get("additionalProperties") not in (None, False) or set(schema.get("required", ())) != set(properties):
        return None
    return {**schema, "additionalProperties": False, "required": list(properties)}


def parse(wanted: Wanted, text: str | None) -> Any:
    """The answer's text as what was wanted. Raises Misfit."""
    cleaned = unfenced(text or "")
    try:
        value = wire.decode(cleaned)
    except MalformedError as error:
        raise Misfit(text or "", (str(error),)) from None
    errors = () if wanted.schema is None else tuple(errors_in(value, wanted.schema))
    if errors:
        raise Misfit(text or "", errors)
    try:
        return wanted.build(cleaned)
    except (ValueError, msgspec.ValidationError) as error:
        raise Misfit(text or "", (str(error),)) from None


_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


def unfenced(text: str) -> str:
    """The JSON inside a Markdown fence, where a model put one around it."""
    found = _FENCE.match(text)
    return found[1] if found else text


def repair_of(misfit: Misfit) -> str:
    """What to say to the model so that it mends its answer."""
    wrong = "\n".join(f"- {error}" for error in misfit.errors)
    return f"That does not fit the JSON schema:\n{wrong}\nAnswer again with the corrected JSON only."

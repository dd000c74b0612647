"""What Gemini's generateContent accepts beyond the shape of its messages: the rules between contents, as functions.

Source: Gemini API reference, "Generating content", "Function calling", "Thought signatures"; the errors are worded as
the service words them.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from penstock.testing.providers.gemini_shapes import BODY, DATA, VERTEX_BODY, plain, snake
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import Struct, Violation, bracketed
from penstock.testing.providers.wire import JSON, Call

_FUNCTION_NAME = r"[A-Za-z_][A-Za-z0-9_.:\-]{0,63}"

SKIP_SIGNATURE = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


# --- wording ---------------------------------------------------------------------------------------------------------

_PROTO = {"string": "TYPE_STRING", "integer": "TYPE_INT32", "number": "TYPE_FLOAT", "boolean": "TYPE_BOOL"}


def invalid(message: str, field: str = "") -> ProviderError:
    """A 400 INVALID_ARGUMENT; with a field, the details name it as the service does."""
    details: tuple[JSON, ...] = ()
    if field:
        broken = {"field": field, "description": message}
        details = ({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [broken]},)
    return ProviderError(400, message, type="INVALID_ARGUMENT", details=details)


def bad_field(violation: Violation) -> ProviderError:
    """The error for a body that is not the protocol buffer message."""
    where = bracketed(violation.path)
    parent = bracketed(violation.path[:-1])
    if violation.kind == "unknown":
        name = violation.path[-1]
        at = f" at '{parent}'" if parent else ""
        return invalid(f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.', parent or "")
    if violation.kind in ("low", "high", "short", "long"):
        bound = "at least" if violation.kind in ("low", "short") else "at most"
        return invalid(f"* GenerateContentRequest.{where}: must be {bound} {violation.expected}\n")
    if violation.kind in ("value", "pattern"):
        return invalid(f"Invalid value at '{where}' (TYPE_ENUM), \"{violation.value}\"", where)
    expected = str(violation.expected).split(" or ")[0]
    if violation.kind == "type" and expected in ("array", "object"):
        return invalid(
            f"Invalid JSON payload received. '{where}' is not {'a list' if expected == 'array' else 'a message'}.",
            where,
        )
    return invalid(f"Invalid value at '{where}' ({_PROTO.get(expected, expected)}), {violation.value!r}", where)


def check(call: Call, shape: Struct) -> ProviderError | None:
    """The error for a body that is not JSON or leaves the shape."""
    try:
        value = call.request.json
    except ValueError as error:
        return invalid(f"Invalid JSON payload received. {error}")
    violation = shape.check(value)
    return bad_field(violation) if violation else None


# --- rules -----------------------------------------------------------------------------------------------------------


def validate(call: Call) -> ProviderError | None:
    """The error with which Gemini refuses the request, or None."""
    vertex = "project" in call.params
    if error := check(call, VERTEX_BODY if vertex else BODY):
        return error
    body = plain(call.body)
    if error := next((error for rule in _RULES if (error := rule(body))), None):
        return error
    return _signatures(body, call)


def _some_contents(body: JSON) -> ProviderError | None:
    if not body.get("contents"):
        return invalid("* GenerateContentRequest.contents: contents is not specified\n")
    return None


def _roles(body: JSON) -> ProviderError | None:
    for content in body["contents"]:
        if content.get("role", "user") not in ("user", "model", "function"):
            return invalid("Please use a valid role: user, model.")
    return None


def _parts(body: JSON) -> ProviderError | None:
    """Every content has parts, and every part holds one thing."""
    for index, content in enumerate(body["contents"]):
        if not content.get("parts"):
            return invalid(f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty.\n")
        for place, part in enumerate(content["parts"]):
            held = [name for name in DATA if name in part]
            where = f"GenerateContentRequest.contents[{index}].parts[{place}].data"
            if not held and "thought_signature" not in part:
                return invalid(f"* {where}: required oneof field 'data' must have one initialized field\n")
            if len(held) > 1:
                return invalid(
                    f"Invalid value at 'contents[{index}].parts[{place}]' (oneof), oneof field 'data' is "
                    f"already set. Cannot set '{held[1]}'"
                )
            if error := _media(part, f"contents[{index}].parts[{place}]"):
                return error
    return None


def _media(part: JSON, where: str) -> ProviderError | None:
    blob = part.get("inline_data")
    if blob is not None and not blob.get("mime_type"):
        return invalid(f"* GenerateContentRequest.{where}.inline_data.mime_type: must be specified\n")
    if blob is not None and re.fullmatch(r"[A-Za-z0-9+/_\-]*={0,2}", blob.get("data", "")) is None:
        return invalid(f"Invalid value at '{where}.inline_data.data' (TYPE_BYTES), Base64 decoding failed", where)
    return None


def _function_turns(body: JSON) -> ProviderError | None:
    """A turn of function calls follows a user's turn or function responses, and its responses follow at once.
    Consecutive contents of one role are one turn."""
    pending = 0
    previous = ""
    for role, parts in _joined(body["contents"]):
        calls = sum("function_call" in part for part in parts)
        responses = sum("function_response" in part for part in parts)
        if error := _response_names(parts):
            return error
        if responses and not pending:
            return invalid("Please ensure that function response turn comes immediately after a function call turn.")
        if pending and responses != pending:
            return invalid(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        if calls and not previous:
            return invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn."
            )
        pending, previous = calls, role
    return None


def _joined(contents: list[JSON]) -> list[tuple[str, list[JSON]]]:
    turns: list[tuple[str, list[JSON]]] = []
    for content in contents:
        role = content.get("role", "user")
        if turns and turns[-1][0] == role:
            turns[-1] = (role, [*turns[-1][1], *content["parts"]])
        else:
            turns.append((role, content["parts"]))
    return turns


def _response_names(parts: list[JSON]) -> ProviderError | None:
    for place, part in enumerate(parts):
        for kind in ("function_call", "function_response"):
            if kind in part and not part[kind].get("name"):
                return invalid(f"* GenerateContentRequest.contents.parts[{place}].{kind}.name: Name cannot be empty.\n")
    return None


def _functions(body: JSON) -> ProviderError | None:
    for index, tool in enumerate(body.get("tools") or []):
        for place, function in enumerate(tool.get("function_declarations") or []):
            where = f"GenerateContentRequest.tools[{index}].function_declarations[{place}]"
            if re.fullmatch(_FUNCTION_NAME, function.get("name", "")) is None:
                return invalid(
                    f"* {where}.name: Invalid function name. Must start with a letter or an underscore. Must be "
                    "alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a "
                    "maximum length of 64.\n"
                )
            if "parameters" in function and "parameters_json_schema" in function:
                return invalid(f"* {where}.parameters: parameters and parametersJsonSchema are mutually exclusive.\n")
            if error := _object_schema(plain_schema(function.get("parameters")), f"{where}.parameters"):
                return error
    return None


def plain_schema(schema: Any) -> Any:
    """A schema with its keywords in snake_case (property names stay)."""
    if isinstance(schema, list):
        return [plain_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made: JSON = {}
    for name, item in schema.items():
        inner = (
            {key: plain_schema(value) for key, value in item.items()} if name == "properties" else plain_schema(item)
        )
        made[snake(name)] = inner
    return made


def _object_schema(schema: Any, where: str) -> ProviderError | None:
    """An enum is of strings, an array has items, a required name is a property."""
    if not isinstance(schema, dict):
        return None
    kind = str(schema.get("type", "")).upper()
    if kind == "ARRAY" and "items" not in schema:
        return invalid(f"* {where}.items: missing field.\n")
    for place, name in enumerate(schema.get("required") or []):
        if name not in (schema.get("properties") or {}):
            return invalid(f"* {where}.required[{place}]: property is not defined\n")
    for name, inner in (schema.get("properties") or {}).items():
        if error := _object_schema(inner, f"{where}.properties[{name}]"):
            return error
    return _object_schema(schema.get("items"), f"{where}.items")


def _calling_config(body: JSON) -> ProviderError | None:
    config = (body.get("tool_config") or {}).get("function_calling_config") or {}
    if config.get("allowed_function_names") and config.get("mode") not in ("ANY", "VALIDATED"):
        return invalid(
            "Function calling config is set without function_declarations or allowed_function_names is set "
            "while the mode is not ANY or VALIDATED."
        )
    declared = [
        function["name"] for tool in body.get("tools") or [] for function in tool.get("function_declarations") or []
    ]
    for name in config.get("allowed_function_names") or []:
        if name not in declared:
            return invalid(f"allowed_function_names contains '{name}', which is not in function_declarations.")
    if config.get("mode") == "ANY" and not declared:
        return invalid("Function calling config is set without function_declarations.")
    return None


def _output(body: JSON) -> ProviderError | None:
    config = body.get("generation_config") or {}
    mime = config.get("response_mime_type") or "text/plain"
    allowed = ("text/plain", "application/json", "application/xml", "application/yaml", "text/x.enum")
    if mime not in allowed:
        listed = ", ".join(f"`{name}`" for name in allowed)
        return invalid(
            f"* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are {listed}.\n"
        )
    if ("response_schema" in config or "response_json_schema" in config) and mime == "text/plain":
        return invalid(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when response_mime_type is "
            "application/json or text/x.enum.\n"
        )
    if "response_schema" in config and "response_json_schema" in config:
        return invalid("response_schema and response_json_schema cannot both be set.")
    return None


def _signed_parts(body: JSON) -> Iterator[tuple[int, int, JSON]]:
    for index, content in enumerate(body["contents"]):
        for place, part in enumerate(content["parts"]):
            yield index, place, part


def _signatures(body: JSON, call: Call) -> ProviderError | None:
    """A thought signature comes back as it was given out; Gemini 3 wants one on the first call of the current turn."""
    for _, _, part in _signed_parts(body):
        given = part.get("thought_signature")
        if (
            given
            and given not in SKIP_SIGNATURE
            and not call.world.accepts("gemini", given.replace("-", "+").replace("_", "/"))
        ):
            return invalid("Corrupted thought signature.")
    if not call.param("model").startswith("gemini-3"):
        return None
    for index in range(_current_turn(body["contents"]), len(body["contents"])):
        parts = body["contents"][index]["parts"]
        first = next((part for part in parts if "function_call" in part), None)
        if first is not None and not first.get("thought_signature"):
            name = first["function_call"].get("name")
            return invalid(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}` , position {index + 1}."
            )
    return None


def _current_turn(contents: list[JSON]) -> int:
    """The index after the last content in which the user said something of his own."""
    for index in reversed(range(len(contents))):
        content = contents[index]
        responses = any("function_response" in part for part in content["parts"])
        if content.get("role", "user") == "user" and not responses:
            return index + 1
    return 0


_RULES: tuple[Callable[[JSON], ProviderError | None], ...] = (
    _some_contents,
    _roles,
    _parts,
    _function_turns,
    _functions,
    _calling_config,
    _output,
)

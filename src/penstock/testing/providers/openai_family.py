"""What all of OpenAI's endpoints share: bearer keys, the error object, and how a bad parameter is named.

Source: OpenAI API reference, "Error codes"; the wording is that of the live service. Other servers speak the same wire
format with an error object of their own; which one is a field of the `Flavour`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import Shape, Struct, Violation, bracketed, json_type
from penstock.testing.providers.wire import JSON, Body, Call, Event, Family, dumps, json_body

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY)."
)

# status -> (type, code, message)
_STATUS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("timeout", "request_timeout", "The request timed out."),
    409: ("invalid_request_error", "conflict", "The resource was changed by another request."),
    413: ("invalid_request_error", "request_too_large", "Request body is too large."),
    422: ("invalid_request_error", "unprocessable_entity", "The request could not be processed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests per min (RPM): Limit 3, Used 3."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    502: ("server_error", None, "Bad gateway."),
    503: ("server_error", "service_unavailable", "The engine is currently overloaded, please try again later"),
    504: ("server_error", None, "Gateway timeout."),
    529: ("server_error", "overloaded", "The engine is currently overloaded, please try again later"),
}

_KIND: Mapping[str, tuple[str, str | None, str]] = {
    "context_window": (
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens. "
        "Please reduce the length of the messages.",
    ),
    "content_policy": (
        "invalid_request_error",
        "content_policy_violation",
        "Your request was rejected as a result of our safety system.",
    ),
    "quota": (
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "unknown_model": _STATUS[404],
    "bad_key": _STATUS[401],
}

_GENERIC = ("server_error", None, "The server had an error while processing your request.")


def authenticate(call: Call) -> ProviderError | None:
    """Bearer keys; on Azure also the `api-key` header."""
    headers = call.request.headers
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        key = headers.get("api-key", "")
    if not key.strip():
        return ProviderError(401, _NO_KEY, type="invalid_request_error", code="")
    if not call.world.lets_in(key.strip()):
        shown = f"{key[:8]}***"
        return ProviderError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")
    return None


def describe(error: ProviderError) -> tuple[str, str | None, str]:
    """The type, code and message of an error, with the service's own where the script gives none ("" means null)."""
    type_, code, message = _KIND[error.kind] if error.kind else _STATUS.get(error.status, _GENERIC)
    if error.message is not None and error.kind is None and error.code is None:
        code = code if error.status in (401, 404, 429) else None
    return error.type or type_, (code if error.code is None else error.code or None), error.message or message


def _openai(error: ProviderError) -> JSON:
    type_, code, message = describe(error)
    return {"error": {"message": message, "type": type_, "param": error.param, "code": code}}


def _groq(error: ProviderError) -> JSON:
    type_, code, message = describe(error)
    return {"error": {"message": message, "type": type_, **({"code": code} if code else {})}}


def _mistral(error: ProviderError) -> JSON:
    type_, code, message = describe(error)
    return {"object": "error", "message": message, "type": type_, "param": error.param, "code": code or "1500"}


def _openrouter(error: ProviderError) -> JSON:
    _, _, message = describe(error)
    raw = {"raw": message, "provider_name": "Simulated"}
    return {
        "error": {"message": "Provider returned error", "code": error.status, "metadata": raw},
        "user_id": "user_sim",
    }


_SHAPES: Mapping[str, Callable[[ProviderError], JSON]] = {
    "openai": _openai,
    "groq": _groq,
    "mistral": _mistral,
    "openrouter": _openrouter,
}


def error_body(error: ProviderError, call: Call) -> Body:
    """The error as an HTTP answer, in the shape of the server's flavour."""
    return json_body(_SHAPES[call.flavour.error](error), error.status)


def error_events(error: ProviderError, call: Call) -> list[Event]:
    """The error in a chat stream that has begun: an event with the error object, and no [DONE].

    Groq names the event and repeats the status; OpenRouter adds a last choice whose finish reason is `error`.
    """
    body = _SHAPES[call.flavour.error](error)
    name = ""
    if call.flavour.error == "groq":
        name = "error"
        body["error"]["status_code"] = error.status
    elif call.flavour.error == "openrouter":
        ended = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": None}
        body |= {"object": "chat.completion.chunk", "choices": [ended]}
    return [Event(name, dumps(body))]


def unknown_path(call: Call) -> Body:
    """404 for a path that does not exist."""
    text = f"Invalid URL ({call.request.method} {call.request.path})"
    return error_body(ProviderError(404, text, type="invalid_request_error", code=""), call)


def response_headers(call: Call) -> tuple[tuple[str, str], ...]:
    """The headers that every answer bears."""
    return (
        ("x-request-id", f"req_sim{call.number:08d}"),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "1"),
    )


OPENAI = Family("openai", authenticate, error_body, unknown_path, response_headers)


# --- naming a bad parameter ------------------------------------------------------------------------------------------

_A = {
    "string": "a string",
    "integer": "an integer",
    "number": "a decimal",
    "boolean": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def bad_parameter(violation: Violation) -> ProviderError:
    """The error with which OpenAI names a parameter that leaves its documented shape."""
    name = bracketed(violation.path)
    code, message = _WORDING[violation.kind](name, violation)
    return ProviderError(400, message, type="invalid_request_error", code=code, param=name or None)


def invalid(message: str, param: str | None = None, code: str = "") -> ProviderError:
    """A 400 with this message; an empty code goes out as null."""
    return ProviderError(400, message, type="invalid_request_error", code=code, param=param)


def unreadable(call: Call) -> ProviderError | None:
    """The error for a body that is not a JSON object."""
    try:
        value = call.request.json
    except ValueError:
        return invalid("We could not parse the JSON body of your request. The OpenAI API expects a JSON payload.")
    return None if isinstance(value, dict) else invalid("The JSON body of your request is not an object.")


def check_body(call: Call, strict: Struct, lenient: Struct) -> ProviderError | None:
    """The first way in which the body leaves the shape; a server that is not strict lets unknown names in."""
    if error := unreadable(call):
        return error
    if "model" in strict.required and not call.body.get("model"):
        return invalid("you must provide a model parameter")
    violation = (strict if call.flavour.strict else lenient).check(call.body)
    return bad_parameter(violation) if violation else None


def unknown_model(call: Call, model: str) -> ProviderError | None:
    """404 when the model does not exist here."""
    if call.world.knows_model(model):
        return None
    return ProviderError(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def opened(shape: Struct) -> Struct:
    """The same shape, letting unknown top-level names in: what an OpenAI-compatible server does."""
    return Struct(shape.fields, required=shape.required, open=True)


def _type(name: str, violation: Violation) -> tuple[str, str]:
    wanted = [_A.get(kind, kind) for kind in str(violation.expected).split(" or ")]
    expected = f"one of {', '.join(wanted[:-1])} or {wanted[-1]}" if len(wanted) > 1 else wanted[0]
    came = _A[json_type(violation.value)]
    return "invalid_type", f"Invalid type for '{name}': expected {expected}, but got {came} instead."


def _value(name: str, violation: Violation) -> tuple[str, str]:
    quoted = [f"'{value}'" for value in violation.expected]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
    return "invalid_value", f"Invalid value: '{violation.value}'. Supported values are: {listed}."


def _bound(name: str, violation: Violation) -> tuple[str, str]:
    kind = "integer" if isinstance(violation.value, int) else "decimal"
    low = violation.kind == "low"
    where, sign = ("below_min", ">=") if low else ("above_max", "<=")
    words = "below minimum" if low else "above maximum"
    bound, value = violation.expected, violation.value
    message = f"Invalid '{name}': {kind} {words} value. Expected a value {sign} {bound}, but got {value} instead."
    return f"{kind}_{where}_value", message


def _length(name: str, violation: Violation) -> tuple[str, str]:
    short = violation.kind == "short"
    text = isinstance(violation.value, str)
    bound, got = violation.expected, len(violation.value)
    if short and not got:
        kind = "string" if text else "array"
        message = f"Invalid '{name}': empty {kind}. Expected {_A[kind]} with minimum length {bound}, but got an empty"
        return f"empty_{kind}", f"{message} {kind} instead."
    kind, limit = ("string" if text else "array"), "minimum" if short else "maximum"
    too = "short" if short else "long"
    code = f"{kind}_{'below_min' if short else 'above_max'}_length"
    wants = f"Expected {_A[kind]} with {limit} length {bound}, but got {_A[kind]} with length {got} instead."
    return code, f"Invalid '{name}': {kind} too {too}. {wants}"


_WORDING: Mapping[str, Callable[[str, Violation], tuple[str, str]]] = {
    "unknown": lambda name, violation: ("unknown_parameter", f"Unknown parameter: '{name}'."),
    "missing": lambda name, violation: ("missing_required_parameter", f"Missing required parameter: '{name}'."),
    "type": _type,
    "value": _value,
    "tag": _value,
    "low": _bound,
    "high": _bound,
    "short": _length,
    "long": _length,
    "pattern": lambda name, violation: (
        "invalid_value",
        f"Invalid '{name}': string does not match pattern. Expected a string that matches the pattern "
        f"'^{violation.expected}$'.",
    ),
    "one_of": lambda name, violation: ("invalid_value", f"Invalid value for '{name}': expected exactly one field."),
}


def strict_schema(
    schema: Any, where: str, param: str, code: str, context: tuple[str, ...] = ()
) -> ProviderError | None:
    """What OpenAI says of a schema that is not in its strict subset: every object closed, every property required."""
    if not isinstance(schema, dict):
        return None
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object and (error := _strict_object(schema, where, param, code, context)):
        return error
    for name, inner, step in _subschemas(schema):
        if error := strict_schema(inner, where, param, code, (*context, step, *([name] if name else []))):
            return error
    return None


def _strict_object(schema: JSON, where: str, param: str, code: str, context: tuple[str, ...]) -> ProviderError | None:
    head = f"Invalid schema for {where}: In context={context!r}, "
    if schema.get("additionalProperties") is not False:
        return invalid(f"{head}'additionalProperties' is required to be supplied and to be false.", param, code)
    required = schema.get("required") or []
    for name in schema.get("properties") or {}:
        if name not in required:
            text = "'required' is required to be supplied and to be an array including every key in properties."
            return invalid(f"{head}{text} Missing '{name}'.", param, code)
    return None


def _subschemas(schema: JSON) -> list[tuple[str, Any, str]]:
    found: list[tuple[str, Any, str]] = []
    for key in ("properties", "$defs", "definitions"):
        found += [(name, inner, key) for name, inner in (schema.get(key) or {}).items()]
    found += [("", inner, "anyOf") for inner in schema.get("anyOf") or []]
    return found + ([("", schema["items"], "items")] if "items" in schema else [])


def is_reasoning_model(model: str) -> bool:
    """Whether OpenAI's rules for reasoning models hold: the o-series and gpt-5 (its chat variant excepted)."""
    name = model.rsplit("/", 1)[-1]
    return name.startswith(("o1", "o3", "o4", "gpt-5")) and not name.startswith("gpt-5-chat")


__all__ = ["OPENAI", "Shape", "bad_parameter", "check_body", "invalid", "strict_schema"]

"""Requests of Converse and ConverseStream, both ways. The table READERS is the specification: what is not in it is not
modelled and travels in `extras`, as does what a modelled object holds beyond the model, nested as on the wire.

The model is in the path, and so is whether to stream (see `match_path` in this package); the body holds neither.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.additional import (
    FIELD,
    finish_reasoning,
    read_additional,
    read_effort,
    write_own,
)
from penstock.dialects.bedrock_converse.blocks import read_blocks, write_blocks
from penstock.dialects.bedrock_converse.foreign import adapt
from penstock.dialects.bedrock_converse.messages import read_message, write_message
from penstock.dialects.bedrock_converse.names import NAME
from penstock.dialects.bedrock_converse.tools import read_tool_config, write_tool_config
from penstock.dialects.dialect import PathMatch
from penstock.dialects.places import Places
from penstock.dialects.reasoning import budget
from penstock.dialects.wire import Field, Fields
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Request, ResponseFormat

_PATH = re.compile(r"(?:^|/)model/(?P<model>.+)/converse(?P<stream>-stream)?/?$")


def match_path(path: str) -> PathMatch | None:
    """`/model/{modelId}/converse` and `/converse-stream`. The model is a name or an ARN, percent-encoded or not."""
    found = _PATH.search(path)
    return None if found is None else PathMatch(unquote(found["model"]), found["stream"] is not None)


def path(model: str, stream: bool) -> str:
    """The path for a model, with everything encoded that Amazon's own clients encode."""
    return f"/model/{quote(model, safe='')}/converse{'-stream' if stream else ''}"


# Reading: a reader puts what it models into `found` and returns what is left of its value, None for nothing.

Found = dict[str, Any]


def _read_messages(value: Any, found: Found) -> Any:
    found["messages"] = wire.each(read_message, value)
    return None if found["messages"] else []


def _read_system(value: Any, found: Found) -> Any:
    found["system"] = read_blocks(value)
    return None


INFERENCE = Fields(
    Field("maxTokens", wire.integer, "max_tokens"),
    Field("temperature", wire.number),
    Field("topP", wire.number, "top_p"),
    Field("stopSequences", wire.strings, "stop"),
)


def _read_inference(value: Any, found: Found) -> Any:
    values = INFERENCE.read(wire.obj(value))
    left = values.pop("extras", None)
    found |= values
    return left if values or left else {}


def _read_tier(value: Any, found: Found) -> Any:
    tier = wire.obj(value)
    if not isinstance(tier.get("type"), str):
        return tier
    found["service_tier"] = tier["type"]
    return wire.rest(tier, _TYPE)


_TYPE = frozenset({"type"})


def _read_metadata(value: Any, found: Found) -> Any:
    found["metadata"] = wire.obj(value)
    return None


def _read_output(value: Any, found: Found) -> Any:
    left = dict(wire.obj(value))
    read_effort(left, found)
    text_format = left.get("textFormat")
    if isinstance(text_format, dict) and text_format.get("type") == "json_schema":
        _read_schema(text_format, left, found)
    return left or (None if value else {})


def _read_schema(text_format: dict[str, Any], left: dict[str, Any], found: Found) -> None:
    """The JSON schema, which Converse wants as a *string*. One that is not the string of an object stays as it is."""
    structure = text_format.get("structure")
    definition = structure.get("jsonSchema") if isinstance(structure, dict) else None
    text = definition.get("schema") if isinstance(definition, dict) else None
    if not isinstance(text, str) or not isinstance(structure, dict) or not isinstance(definition, dict):
        return
    try:
        schema = wire.obj(wire.decode(text))
    except MalformedError:
        return
    names = {key: definition[key] for key in ("name", "description") if isinstance(definition.get(key), str)}
    native = None if wire.encode(schema).decode() == text else text
    found["response_format"] = ResponseFormat("json_schema", schema, **names, native=native)
    rest = {
        **{key: other for key, other in text_format.items() if key not in ("type", "structure")},
        **_nested("structure", structure, "jsonSchema", definition, {"schema", *names}),
    }
    if rest:
        left["textFormat"] = rest
    else:
        del left["textFormat"]


def _nested(outer: str, holder: Found, inner: str, values: Found, taken: set[str]) -> Found:
    """What is left of `{outer: {inner: {...}}}` when the keys `taken` are gone."""
    rest = {key: value for key, value in holder.items() if key != inner}
    left = {key: value for key, value in values.items() if key not in taken}
    if left:
        rest[inner] = left
    return {outer: rest} if rest else {}


READERS: dict[str, Callable[[Any, Found], Any]] = {
    "messages": _read_messages,
    "system": _read_system,
    "inferenceConfig": _read_inference,
    "toolConfig": read_tool_config,
    "additionalModelRequestFields": read_additional,
    "requestMetadata": _read_metadata,
    "serviceTier": _read_tier,
    "outputConfig": _read_output,
}


PLACES = Places(
    FIELD,
    {
        "": (*READERS, "additionalModelResponseFieldPaths", "guardrailConfig", "performanceConfig", "promptVariables"),
        "inferenceConfig": ("maxTokens", "topP", "stopSequences"),
    },
)
"""Converse's own fields; all else is the model's, to which Converse passes it on."""


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body; `match` brings what the path says."""
    found: Found = {}
    extras: Found = {}
    for key, part in wire.obj(value).items():
        read = READERS.get(key)
        if read is None or part is None:
            extras[key] = part
            continue
        try:
            left = read(part, found)
        except DialectError as error:
            raise error.at(key) from None
        if left is not None:
            extras[key] = left
    finish_reasoning(found)
    found.setdefault("messages", ())
    return Request(dialect=NAME, model=match.model, stream=match.stream, extras=extras or None, **found)


# Writing


def render_request(request: Request, profile: Profile) -> Rendered[dict[str, Any]]:
    """The body for a model with this profile. The memo maps tool names back and names the tool that stands for JSON."""
    notes: list[Note] = []
    refused = profile.unsupported
    if profile.unsupported_while_reasoning and request.reasoning is not None and budget(request.reasoning):
        refused |= profile.unsupported_while_reasoning
    if refused:
        request = _without(request, refused, notes)
    if request.dialect == NAME:
        return Rendered(_write(request, *write_own(request)), tuple(notes))
    adapted = adapt(request, profile, notes)
    body = _write(adapted.request, adapted.additional, None)
    return Rendered(body, tuple(notes), adapted.memo)


def _without(request: Request, unsupported: frozenset[str], notes: list[Note]) -> Request:
    refused = [name for name in sorted(unsupported) if getattr(request, name, None) is not None]
    notes += [Note(name, "dropped", "this host or model does not take it") for name in refused]
    return replace(request, **dict.fromkeys(refused)) if refused else request


def _write(request: Request, additional: Found, effort: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.messages:
        body["messages"] = [write_message(message) for message in request.messages]
    if request.system is not None:
        body["system"] = write_blocks(request.system)
    inference = _write_inference(request)
    if inference:
        body["inferenceConfig"] = inference
    if request.tools is not None or request.tool_choice is not None:
        body["toolConfig"] = write_tool_config(request.tools, request.tool_choice)
    if additional:
        body[FIELD] = additional
    if request.metadata is not None:
        body["requestMetadata"] = request.metadata
    if request.service_tier is not None:
        body["serviceTier"] = {"type": request.service_tier}
    output = _write_output(request.response_format, effort)
    if output:
        body["outputConfig"] = output
    return wire.deep_merge(request.extras, body) if request.extras else body


def _write_inference(request: Request) -> dict[str, Any]:
    stop = (request.stop,) if isinstance(request.stop, str) else request.stop
    values = {
        "maxTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": None if stop is None else list(stop),
    }
    return {key: value for key, value in values.items() if value is not None}


def _write_output(wanted: ResponseFormat | None, effort: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {} if effort is None else {"effort": effort}
    if wanted is not None and wanted.kind == "json_schema":
        definition = {"schema": _schema_text(wanted)}
        if wanted.name is not None:
            definition["name"] = wanted.name
        if wanted.description is not None:
            definition["description"] = wanted.description
        found["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    return found


def _schema_text(wanted: ResponseFormat) -> str:
    """The schema as a string: the caller's own spelling of it, as long as it spells this schema."""
    schema = {"type": "object"} if wanted.schema is None else wanted.schema
    if wanted.native is not None and wire.decode(wanted.native) == schema:
        return wanted.native
    return wire.encode(schema).decode()

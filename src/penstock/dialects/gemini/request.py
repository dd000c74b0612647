"""Requests: the body of generateContent and streamGenerateContent. Model and stream stand in the path, not here.

What the readers below do not know stays in the extras and goes back untouched: safetySettings, cachedContent,
modelArmorConfig, and all that Google will add.

Source: https://ai.google.dev/api/generate-content,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.gemini.config import read_config, write_config
from penstock.dialects.gemini.foreign import write_foreign
from penstock.dialects.gemini.messages import read_each, read_message, read_parts, write_message, write_parts
from penstock.dialects.gemini.spelling import SNAKE, find, left, names_of, object_of
from penstock.dialects.gemini.tools import read_tool_choice, read_tools, write_tool_choice, write_tools
from penstock.dialects.gemini.usage import SERVICE_TIERS, UNIFIED_TIERS
from penstock.dialects.places import Places
from penstock.types.content import Text
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Rendered
from penstock.types.profile import Profile
from penstock.types.request import Request

NAME = "gemini"


class _Body:
    """What has been read of a body: values by field, synonyms, and the rest."""

    __slots__ = ("extras", "found", "spelling")

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.spelling: dict[str, str] = {}
        self.extras: dict[str, Any] = {}


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body. `match` brings what the path said."""
    body = _Body()
    seen: set[str] = set()
    for key, inner in wire.obj(value).items():
        known = _READERS.get(key)
        if known is None or inner is None or known[0] in seen:
            body.extras[key] = inner
            continue
        field, read, usual = known
        seen.add(field)
        try:
            read(body, key, inner)
        except DialectError as error:
            raise error.at(key) from None
        if key != usual:
            body.spelling[field] = key
    if "contents" not in seen:
        raise MalformedError("a list of contents is missing", "contents")
    spelling, extras = body.spelling or None, body.extras or None
    return Request(dialect=NAME, model=match.model, stream=match.stream, spelling=spelling, extras=extras, **body.found)


def _read_contents(body: _Body, key: str, value: Any) -> None:
    if isinstance(value, dict):
        body.spelling["contents_shape"] = "object"
        body.found["messages"] = (read_message(value),)
    else:
        body.found["messages"] = read_each(read_message, wire.array(value))


def _read_system(body: _Body, key: str, value: Any) -> None:
    """A content whose role means nothing, or (some clients) just its text."""
    if isinstance(value, str):
        body.spelling["system_shape"] = "string"
        body.found["system"] = (Text(value),)
        return
    content = wire.obj(value)
    body.found["system"], shape = read_parts(content)
    used = ["parts"] if content.get("parts") is not None else []
    role = content.get("role")
    if isinstance(role, str):
        body.spelling["system_role"] = role
        used.append("role")
    if shape:
        body.spelling["system_shape"] = shape
    rest = left(content, used)
    if rest:
        body.extras[key] = rest


def _read_tools(body: _Body, key: str, value: Any) -> None:
    body.found["tools"] = read_tools(value, body.spelling)


def _read_tool_config(body: _Body, key: str, value: Any) -> None:
    config = wire.obj(value)
    calling_key, _ = find(config, "functionCallingConfig")
    choice = None
    if calling_key:
        try:
            choice = read_tool_choice(object_of(config, calling_key), calling_key)
        except DialectError as error:
            raise error if error.path.startswith(calling_key) else error.at(calling_key) from None
    if choice is not None:
        body.found["tool_choice"] = choice
    rest = left(config, () if choice is None else (calling_key,))
    if rest or choice is None:
        body.extras[key] = rest or {}


def _read_config(body: _Body, key: str, value: Any) -> None:
    found = read_config(value)
    rest = found.pop("extras", None)
    body.spelling |= found.pop("spelling", {})
    if rest or not found:
        body.extras[key] = rest or {}
    body.found |= found


def _read_tier(body: _Body, key: str, value: Any) -> None:
    if type(value) is int:  # an enum's number, which is not the same on all hosts
        body.extras[key] = value
        return
    word = wire.string(value)
    body.found["service_tier"] = UNIFIED_TIERS.get(word.lower(), word)
    if body.found["service_tier"] != word:
        body.spelling["tier_word"] = word


def _write_tier(tier: str, spelling: dict[str, str]) -> str:
    """The word that was used, if it still means the same, else Gemini's for it."""
    used = spelling.get("tier_word", "")
    return used if UNIFIED_TIERS.get(used.lower()) == tier else SERVICE_TIERS.get(tier, tier)


def _read_simple(field: str, read: Callable[[Any], Any]) -> Callable[[_Body, str, Any], None]:
    def read_one(body: _Body, key: str, value: Any) -> None:
        body.found[field] = read(value)

    return read_one


_Reader = Callable[[_Body, str, Any], None]
_READERS: dict[str, tuple[str, _Reader, str]] = {
    spelled: (field, read, name)
    for name, field, read in (
        ("contents", "contents", _read_contents),
        ("systemInstruction", "system", _read_system),
        ("tools", "tools", _read_tools),
        ("toolConfig", "tool_config", _read_tool_config),
        ("generationConfig", "config", _read_config),
        ("labels", "metadata", _read_simple("metadata", wire.obj)),
        ("serviceTier", "service_tier", _read_tier),
        ("store", "store", _read_simple("store", wire.boolean)),
    )
    for spelled in {name, SNAKE.get(name, name)}
}
"""Key in either spelling -> (the field that it fills, its reader, the usual spelling)."""


PLACES = Places(
    "generationConfig",
    {
        "": (
            *("contents", "systemInstruction", "tools", "toolConfig", "safetySettings"),
            *("cachedContent", "labels", "serviceTier", "store", "modelArmorConfig"),
        ),
        "generationConfig": (
            *("stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities"),
            *("candidateCount", "maxOutputTokens", "topP", "topK", "presencePenalty", "frequencyPenalty"),
            *("responseLogprobs", "speechConfig", "imageConfig", "mediaResolution"),
            *("audioTimestamp", "enableAffectiveDialog", "enableEnhancedCivicAnswers", "routingConfig"),
            *("modelSelectionConfig",),
        ),
        "generationConfig.thinkingConfig": ("thinkingBudget", "thinkingLevel", "includeThoughts"),
    },
)
"""Google's fields by the object that has them; a name that is none of them is taken for one of generationConfig."""


def render_request(request: Request, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body for a host with this profile."""
    return Rendered(_write_own(request)) if request.dialect == NAME else write_foreign(request, profile)


def _write_own(request: Request) -> dict[str, Any]:
    spelling = request.spelling or {}
    contents = [write_message(message) for message in request.messages]
    found: dict[str, Any] = {
        "contents": contents[0] if len(contents) == 1 and "contents_shape" in spelling else contents
    }
    if request.system is not None:
        found[spelling.get("system", "systemInstruction")] = _write_system(request, spelling)
    if request.tools is not None:
        found["tools"] = write_tools(request.tools, spelling)
    if request.tool_choice is not None:
        calling = names_of(request.tool_choice.native)["functionCallingConfig"]
        found[spelling.get("tool_config", "toolConfig")] = {calling: write_tool_choice(request.tool_choice)}
    config = write_config(request, spelling)
    if config:
        found[spelling.get("config", "generationConfig")] = config
    if request.metadata is not None:
        found["labels"] = request.metadata
    if request.service_tier is not None:
        found[spelling.get("service_tier", "serviceTier")] = _write_tier(request.service_tier, spelling)
    if request.store is not None:
        found["store"] = request.store
    return wire.deep_merge(request.extras, found)


def _write_system(request: Request, spelling: dict[str, str]) -> Any:
    parts = request.system or ()
    shape = spelling.get("system_shape", "")
    if shape == "string" and len(parts) == 1 and type(parts[0]) is Text:
        return parts[0].text
    content = write_parts(parts, names_of(shape))
    return {"role": spelling["system_role"], **content} if "system_role" in spelling else content

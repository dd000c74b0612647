"""Other dialects' requests in the terms of Gemini: what has a place is moved to it, what has none is noted.

foreign_parts.py    the parts of messages
foreign_config.py   sampling, form of the answer, thinking
here                the order of turns, tools, and the fields of the body

- Instructions stand outside of the turns: system messages move there, wherever in the conversation they stood.
- Turns alternate: neighbours of one role become one content, tool results first in theirs, since Gemini wants all
  answers to one turn's calls in the next turn.
- Fields that only some of Google's hosts take (labels, placeholders for signatures) are the profile's business.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.gemini.foreign_config import with_answer_level, write_config, write_prompt
from penstock.dialects.gemini.foreign_parts import PartWriter
from penstock.dialects.gemini.foreign_tools import write_tools
from penstock.dialects.gemini.names import tool_names
from penstock.dialects.gemini.repairs import filler, repair
from penstock.dialects.gemini.signatures import SKIP_VALIDATION
from penstock.dialects.gemini.usage import SERVICE_TIERS
from penstock.dialects.leftovers import leftovers
from penstock.dialects.plain import plain_text
from penstock.dialects.said import Said
from penstock.dialects.tool_ids import with_tool_ids
from penstock.types.content import Part
from penstock.types.notes import Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Message, Request

Content = dict[str, Any]

_NO_MARKERS = "Gemini caches prefixes by itself, or by a cachedContent that was made before"

_UNSAYABLE: Said[str] = Said(
    {
        "logit_bias": "Gemini cannot weigh single tokens",
        "verbosity": "Gemini has no such dial",
        "user": "Gemini knows no end users",
        "safety_identifier": "Gemini knows no end users",
        "prompt_cache_key": "Gemini's implicit cache has no keys",
        "prompt_cache_retention": "Gemini's implicit cache has no lifetimes",
        "cache": _NO_MARKERS,
        "betas": "only Claude has betas",
    }
)


def write_foreign(request: Request, profile: Profile) -> Rendered[dict[str, Any]]:
    """The request body, what it could not say, and what the reader of the answer must know."""
    request, profile = with_tool_ids(request), with_answer_level(request, profile)
    notes: list[Note] = []
    names = tool_names(request)
    writer = PartWriter(request, profile, names, notes)
    system, contents = _write_turns(request, writer)
    system += write_prompt(request, profile)
    found: dict[str, Any] = {"contents": contents or [filler(notes)]}
    if system:
        found["systemInstruction"] = {"parts": system}
    memo = write_tools(request, profile, names, notes, found)
    config = write_config(request, profile, notes)
    if config:
        found["generationConfig"] = config
    _write_fields(request, profile, notes, found)
    return Rendered(found, tuple(notes), memo)


def _write_turns(request: Request, writer: PartWriter) -> tuple[list[dict[str, Any]], list[Content]]:
    """(the parts of the system instruction, the turns)."""
    system = writer.texts(request.system or (), "system")
    contents: list[Content] = []
    for number, message in enumerate(request.messages):
        text = plain_text(message)
        if text is not None and message.role in _SPEAKERS:
            _append(contents, _SPEAKERS[message.role], [{"text": text.text}])
            continue
        path = f"messages[{number}]"
        _note_message(message, path, writer.notes)
        if message.role in ("system", "developer"):
            system += writer.texts(message.parts, f"{path}.parts")
            if contents:
                writer.notes.append(Note(path, "changed", "instructions in mid-conversation moved to its head"))
            continue
        parts = _write_parts(message.parts, path, writer)
        role = "model" if message.role == "assistant" else "user"
        if role == "model" and writer.profile.placeholder_signatures:
            _add_placeholder(parts)
        _append(contents, role, parts)
    if writer.profile.repair_turns:
        repair(contents, writer.notes)
    return system, contents


_SPEAKERS = {"user": "user", "assistant": "model"}


def _note_message(message: Message, path: str, notes: list[Note]) -> None:
    if message.extras is not None:
        notes += leftovers(path, message.extras)
    if message.name is not None:
        notes.append(Note(f"{path}.name", "dropped", "Gemini's turns have no names"))
    if message.cache is not None:
        notes.append(Note(f"{path}.cache", "dropped", _NO_MARKERS))


def _write_parts(parts: tuple[Part, ...], path: str, writer: PartWriter) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for index, part in enumerate(parts):
        found += writer.write(part, f"{path}.parts[{index}]")
    return found


def _append(contents: list[Content], role: str, parts: list[dict[str, Any]]) -> None:
    """`parts` as a turn of their own, or joined to the last one of the same role, function responses first."""
    if not parts:
        return
    if not contents or contents[-1]["role"] != role:
        contents.append({"role": role, "parts": []})
    turn = contents[-1]["parts"]
    responses = [part for part in parts if "functionResponse" in part]
    if responses:
        place = sum(1 for part in turn if "functionResponse" in part)
        turn[place:place] = responses
        parts = [part for part in parts if "functionResponse" not in part]
    turn += parts


def _add_placeholder(parts: list[dict[str, Any]]) -> None:
    """Gemini 3 wants a signature on the first call of each step (the others of the step are covered by it)."""
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any("thoughtSignature" in part for part in calls):
        calls[0]["thoughtSignature"] = SKIP_VALIDATION


def _write_fields(request: Request, profile: Profile, notes: list[Note], found: dict[str, Any]) -> None:
    """The fields of the body that are neither turns, tools nor generationConfig."""
    notes += leftovers("", request.extras)
    notes += [Note(name, "dropped", reason) for name, reason, _ in _UNSAYABLE.of(request)]
    if request.service_tier not in (None, "auto"):
        tier = SERVICE_TIERS.get(request.service_tier or "")
        _put(found, "service_tier", "serviceTier", tier, profile, notes)
    if request.metadata is not None:
        labels = _labels(request.metadata) if profile.labels else None
        _put(found, "metadata", "labels", labels, profile, notes)
    if request.store is not None:
        _put(found, "store", "store", request.store, profile, notes)


def _put(found: dict[str, Any], name: str, key: str, value: Any, profile: Profile, notes: list[Note]) -> None:
    if value is None or name in profile.unsupported:
        notes.append(Note(name, "dropped", "this host or model does not take it"))
    else:
        found[profile.renames.get(name, key)] = value


def _labels(metadata: dict[str, Any]) -> dict[str, str]:
    return {key: wire.as_text(value) for key, value in metadata.items()}

"""generationConfig for requests of other dialects: sampling, limits, the form of the answer, thinking, speech."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects.gemini.config import CONFIG, JSON, PLAIN_TEXT, write_voice
from penstock.dialects.gemini.foreign_tools import write_schema
from penstock.dialects.json_answer import json_instruction
from penstock.dialects.leftovers import leftovers
from penstock.dialects.reasoning import budget, effort, with_known_effort
from penstock.dialects.said import Said
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Reasoning, Request, ResponseFormat

MAX_STOP = 5
"""Stop sequences that Gemini takes (https://ai.google.dev/api/generate-content#generationconfig)."""
SEED_BITS = 0x7FFFFFFF
"""Seeds are 32-bit integers here; other providers take longer ones."""
EFFORTS = ("minimal", "low", "medium", "high")
"""The levels of Gemini 3, where the profile names no others
(https://ai.google.dev/gemini-api/docs/thinking#levels-budgets)."""

OPENAI_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)
"""Voices that Gemini refuses: it has others (https://platform.openai.com/docs/guides/text-to-speech#voice-options)."""

_COMPOSED = ("max_tokens", "stop", "modalities", "seed", "reasoning")
_PLAIN = Said(CONFIG.wire_names, _COMPOSED)


def write_config(request: Request, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    """generationConfig, without what this host or model does not take."""
    values: dict[str, tuple[str, Any]] = {}
    for name, usual, value in _PLAIN.of(request):
        values[name] = (usual, value)
    if request.max_tokens is not None:
        values["max_tokens"] = ("maxOutputTokens", _limit(request.max_tokens, profile, notes))
    if request.seed is not None:
        values["seed"] = ("seed", _seed(request.seed, notes))
    if request.stop:
        values["stop"] = ("stopSequences", _stop(request.stop, notes))
    if request.modalities:
        values["modalities"] = ("responseModalities", [word.upper() for word in request.modalities])
    voice = _voice(request.audio, notes) if request.audio is not None else None
    if voice is not None:
        values["audio"] = ("speechConfig", write_voice(voice))
    thinking = _thinking(request.reasoning, profile, notes) if request.reasoning is not None else None
    if thinking:
        values["reasoning"] = ("thinkingConfig", thinking)
    found = _accepted(values, request, profile, notes)
    if request.response_format is not None and "response_format" not in profile.unsupported:
        found |= _format(request.response_format, profile, notes)
    elif request.response_format is not None:
        notes.append(Note("response_format", "dropped", "this host or model does not take it"))
    return found


def _accepted(
    values: dict[str, tuple[str, Any]], request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    """The values under the host's names, without those that it refuses."""
    refused = profile.unsupported
    if profile.unsupported_while_reasoning and request.reasoning is not None and budget(request.reasoning):
        refused |= profile.unsupported_while_reasoning
    found: dict[str, Any] = {}
    for name, (usual, value) in values.items():
        if name in refused:
            notes.append(Note(name, "dropped", "this host or model does not take it"))
        else:
            found[profile.renames.get(name, profile.renames.get(usual, usual))] = value
    return found


def _limit(wanted: int, profile: Profile, notes: list[Note]) -> int:
    most = profile.max_output_tokens
    if most is None or wanted <= most:
        return wanted
    notes.append(Note("max_tokens", "changed", f"this model writes {most} at most"))
    return most


def _seed(seed: int, notes: list[Note]) -> int:
    if -SEED_BITS <= seed <= SEED_BITS:
        return seed
    notes.append(Note("seed", "changed", "seeds have 32 bits here: the lower ones were taken"))
    return int(seed) & SEED_BITS


def _stop(stop: str | tuple[str, ...], notes: list[Note]) -> list[str]:
    found = [stop] if isinstance(stop, str) else list(stop)
    if len(found) > MAX_STOP:
        notes.append(Note("stop", "weakened", f"Gemini takes {MAX_STOP} stop sequences: the first ones were sent"))
    return found[:MAX_STOP]


def _voice(audio: dict[str, Any], notes: list[Note]) -> str | None:
    voice = audio.get("voice")
    if isinstance(voice, dict) or voice in OPENAI_VOICES:  # an object names a voice that was made at OpenAI
        notes.append(Note("audio.voice", "dropped", "a voice of OpenAI's: Gemini speaks with its own"))
        audio, voice = {**audio, "voice": None}, None
    for key in audio:
        if not (key == "voice" and isinstance(voice, str)) and audio[key] is not None:
            notes.append(Note(f"audio.{key}", "dropped", "Gemini lets the voice be chosen, and nothing else"))
    return voice if isinstance(voice, str) else None


# Thinking.


def _thinking(reasoning: Reasoning, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    notes += leftovers("reasoning", reasoning.extras)
    reasoning = with_known_effort(reasoning, notes)
    if profile.reasoning == "none":
        notes.append(Note("reasoning", "dropped", "this model does not think"))
        return {}
    asked = _level(reasoning, profile, notes) if profile.reasoning == "level" else _budget(reasoning)
    shown = _shown(reasoning, notes)
    return asked if shown is None else {"includeThoughts": shown, **asked}


def _budget(reasoning: Reasoning) -> dict[str, Any]:
    """-1 leaves it to the model, 0 switches off (https://ai.google.dev/gemini-api/docs/thinking#set-budget)."""
    if reasoning.budget_tokens is None and reasoning.effort is None and reasoning.enabled is not False:
        return {"thinkingBudget": -1} if reasoning.adaptive or reasoning.enabled else {}
    tokens = budget(reasoning)
    return {} if tokens is None else {"thinkingBudget": tokens}


def _level(reasoning: Reasoning, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    """A level. Models with levels cannot be kept from thinking: the lowest level is the nearest."""
    if reasoning.effort is None and reasoning.budget_tokens is None and reasoning.enabled is not False:
        return {}
    known = profile.reasoning_efforts or EFFORTS
    wanted = effort(reasoning)
    word = effort(reasoning, known)
    if word is None:
        return {}
    if reasoning.effort is None and reasoning.budget_tokens is not None:
        notes.append(Note("reasoning.budget_tokens", "changed", f"this model has levels: {word} is the nearest"))
    elif word != wanted:
        notes.append(Note("reasoning.effort", "weakened", f"this model has no such level: {word} is the nearest"))
    return {} if word == "none" else {"thinkingLevel": word.upper()}


def _shown(reasoning: Reasoning, notes: list[Note]) -> bool | None:
    """Whether thoughts are to be shown: as the caller said, else whenever it asked for thinking at all."""
    if reasoning.include is not None:
        return reasoning.include
    if reasoning.summary not in (None, "auto"):
        notes.append(Note("reasoning.summary", "weakened", "Gemini has one length of summaries"))
    asked = reasoning.summary is not None or reasoning.adaptive or bool(budget(reasoning))
    return True if asked else None


# The form of the answer.


def with_answer_level(request: Request, profile: Profile) -> Profile:
    """The profile for this request: its JSON mode may exclude tools, and then something else must do its work."""
    wanted = request.response_format
    if profile.json_with_tools or wanted is None or wanted.kind == "text" or not request.tools or not profile.tools:
        return profile
    if profile.structured_output not in ("json_schema", "json_object"):
        return profile
    functions = any(tool.kind != "server" for tool in request.tools)
    by_tool = functions and wanted.kind == "json_schema"
    return replace(profile, structured_output="tool" if by_tool else "prompt")


def _format(wanted: ResponseFormat, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    notes += leftovers("response_format", wanted.extras)
    if wanted.kind == "text":
        return {"responseMimeType": PLAIN_TEXT}
    level = profile.structured_output
    if level in ("prompt", "none"):
        detail = "no JSON mode: the prompt asks for it" if level == "prompt" else "this model has no JSON mode"
        notes.append(Note("response_format", "weakened" if level == "prompt" else "dropped", detail))
        return {}
    if wanted.kind == "json_object" or wanted.schema is None:
        return {"responseMimeType": JSON}
    if level == "tool":
        return {}
    if level == "json_object":
        notes.append(Note("response_format", "weakened", "no schema mode: the prompt says what the JSON is to be"))
        return {"responseMimeType": JSON}
    schema = wanted.schema
    if wanted.description is not None and "description" not in schema:
        schema = {**schema, "description": wanted.description}
    key, schema = write_schema(schema, "response_format.schema", profile, notes)
    return {"responseMimeType": JSON, "responseSchema" if key == "subset" else "responseJsonSchema": schema}


def write_prompt(request: Request, profile: Profile) -> list[dict[str, Any]]:
    """The instruction that stands in for a schema mode, as parts of the system instruction."""
    wanted = request.response_format
    if wanted is None or wanted.kind == "text" or profile.structured_output not in ("prompt", "json_object"):
        return []
    if wanted.kind == "json_object" or wanted.schema is None:
        return [{"text": "Answer with JSON only."}] if profile.structured_output == "prompt" else []
    return [{"text": json_instruction(wanted.schema)}]

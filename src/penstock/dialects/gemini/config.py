"""generationConfig: sampling, limits, the form of the answer, thinking and speech, both ways.

CONFIG is the table of what is simple. What takes several fields for one meaning has functions of its own:

    responseMimeType, responseSchema, responseJsonSchema     ResponseFormat
    thinkingConfig                                           Reasoning
    responseModalities                                       modalities ("TEXT" is "text" elsewhere)
    speechConfig                                             audio.voice, where one prebuilt voice is asked for

Everything else in generationConfig stays in the request's extras, under the same key.

Source: https://ai.google.dev/api/generate-content#generationconfig
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.gemini.numbers import RESPONSE_MODALITIES, word_of
from penstock.dialects.gemini.schema import ODD, from_subset
from penstock.dialects.gemini.spelling import SNAKE, find, left, names_of, text_of, words
from penstock.dialects.gemini.tools import restore_schema
from penstock.dialects.said import Said
from penstock.dialects.wire import Field, Fields
from penstock.types.errors import DialectError, MalformedError
from penstock.types.request import Reasoning, Request, ResponseFormat

JSON, PLAIN_TEXT = "application/json", "text/plain"

LEVELS = frozenset({"MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"})
"""Words of `thinkingLevel`. In lower case they are the unified efforts."""


def _modalities(value: Any) -> tuple[str, ...]:
    return tuple(word.lower() for word in wire.strings(_modality_words(value)))


def _modality_words(value: Any) -> list[Any]:
    """The words, also where they came as numbers."""
    return [word_of(each, RESPONSE_MODALITIES) or each for each in wire.array(value)]


def _read_reasoning(value: Any) -> Reasoning:
    config = wire.obj(value)
    values: dict[str, Any] = {}
    used: list[str] = []
    for key, inner in config.items():
        known = _THINKING.get(key)
        if known is None or inner is None or known[0] in values:
            continue
        try:
            read = known[1](inner)
        except DialectError as error:
            raise error.at(key) from None
        if read is not None:
            values[known[0]] = read
            used.append(key)
    budget, level = values.pop("thinkingBudget", None), values.pop("thinkingLevel", None)
    return Reasoning(
        level.lower() if level is not None else None,
        budget if budget is not None and budget > 0 else None,
        False if budget == 0 else None,
        True if budget == -1 else None,
        include=values.get("includeThoughts"),
        native=words(tuple(used), "" if level is None or level.isupper() else f"level={level}"),
        extras=left(config, used),
    )


def _budget(value: Any) -> int | None:
    """-1 leaves it to the model, 0 turns thinking off (https://ai.google.dev/gemini-api/docs/thinking#set-budget)."""
    budget = wire.integer(value)
    return budget if type(budget) is int and budget >= -1 else None


def _level(value: Any) -> str | None:
    if type(value) is int:  # an enum's number, which is not the same on all hosts
        return None
    word = wire.string(value)
    return word if word.upper() in LEVELS else None


_THINKING: dict[str, tuple[str, Callable[[Any], Any]]] = {
    spelled: (name, read)
    for name, read in (("includeThoughts", wire.boolean), ("thinkingBudget", _budget), ("thinkingLevel", _level))
    for spelled in (name, SNAKE[name])
}
"""Fields of thinkingConfig in either spelling -> (name, reader); a reader gives None for what has no meaning here."""


CONFIG = Fields(
    Field("temperature", wire.number),
    Field("topP", wire.number, "top_p", ("top_p",)),
    Field("topK", wire.number, "top_k", ("top_k",)),
    Field("candidateCount", wire.integer, "n", ("candidate_count",)),
    Field("maxOutputTokens", wire.integer, "max_tokens", ("max_output_tokens",)),
    Field("stopSequences", wire.strings, "stop", ("stop_sequences",)),
    Field("seed", wire.integer),
    Field("presencePenalty", wire.number, "presence_penalty", ("presence_penalty",)),
    Field("frequencyPenalty", wire.number, "frequency_penalty", ("frequency_penalty",)),
    Field("responseLogprobs", wire.boolean, "logprobs", ("response_logprobs",)),
    Field("logprobs", wire.integer, "top_logprobs"),
    Field("responseModalities", _modalities, "modalities", ("response_modalities",)),
    Field("thinkingConfig", _read_reasoning, "reasoning", ("thinking_config",)),
)
_PLAIN = Said(CONFIG.wire_names, but=("stop", "modalities", "reasoning"))


TEXTS = "config_texts"
"""In the request's spelling: the keys of generationConfig whose numbers were strings."""
_LONGEST_NUMBER = 25

_SCHEMA_KEYS = ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")


def read_config(value: Any) -> dict[str, Any]:
    """Values by the representation's field names, with "extras" and "spelling" where there are any."""
    config = wire.obj(value)
    try:
        found = CONFIG.read(config)
    except MalformedError:
        numbers = {key: number for key, text in config.items() if (number := _number_in(text)) is not None}
        if not numbers:
            raise
        found = _read_with(numbers, config)
    rest = found.get("extras")
    if rest:
        for keys, read in _COMPOSED:
            if not keys.isdisjoint(rest):
                read(rest, found)
        if not rest:
            del found["extras"]
    if "modalities" in found:
        _remember_case(config, found)
    return found


def _read_with(numbers: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """As JSON of protocol buffers allows, numbers may be strings ("64")."""
    found = CONFIG.read({**config, **numbers})
    for key in numbers.keys() & found.get("extras", {}).keys():
        found["extras"][key] = config[key]
    found.setdefault("spelling", {})[TEXTS] = " ".join(numbers)
    return found


def _number_in(text: Any) -> int | float | None:
    """The number that a string holds, if it is what that number would be written as."""
    if type(text) is not str or len(text) > _LONGEST_NUMBER:
        return None
    try:
        number = wire.decode(text)
    except MalformedError:
        return None
    return number if type(number) in (int, float) and wire.encode(number).decode() == text else None


def _remember_case(config: dict[str, Any], found: dict[str, Any]) -> None:
    """Modalities that were not in capitals are written again as they were."""
    spelling = found.setdefault("spelling", {})
    words_used = config[spelling.get("modalities", "responseModalities")]
    if any(type(word) is not str or word != word.upper() for word in words_used):
        spelling["modality_words"] = wire.encode(words_used).decode()
    if not spelling:
        del found["spelling"]


def _read_format(rest: dict[str, Any], found: dict[str, Any]) -> None:
    mime_key, mime = find(rest, "responseMimeType")
    schema_key, schema = find(rest, "responseJsonSchema")
    if not schema_key:
        schema_key, schema = find(rest, "responseSchema")
    if mime_key:
        text_of(rest, mime_key)
    if schema_key and mime in (None, JSON) and isinstance(schema, dict):
        found["response_format"] = _read_schema(rest, mime_key, schema_key)
    elif mime == JSON and not schema_key:
        found["response_format"] = ResponseFormat("json_object", native=words((mime_key,)))
    elif mime == PLAIN_TEXT and not schema_key:
        found["response_format"] = ResponseFormat("text", native=words((mime_key,)))
    else:
        return
    for key in filter(None, (mime_key, schema_key)):
        del rest[key]


def _read_schema(rest: dict[str, Any], mime_key: str, schema_key: str) -> ResponseFormat:
    schema = rest[schema_key]
    shapes: tuple[str, ...] = ()
    subset = schema_key in ("responseSchema", "response_schema")
    if subset:
        schema, shapes = from_subset(schema)
    native = words((mime_key, schema_key), "" if mime_key else "-mime", "subset" if subset else "", *shapes)
    extras = {schema_key: rest[schema_key]} if ODD in shapes else None
    return ResponseFormat("json_schema", schema, native=native, extras=extras)


def _read_speech(rest: dict[str, Any], found: dict[str, Any]) -> None:
    """A single prebuilt voice, if nothing is in the way of its path; the rest of the object stays where it is."""
    key, speech = find(rest, "speechConfig")
    voice = _object(speech, "voiceConfig")
    prebuilt = _object(voice, "prebuiltVoiceConfig")
    name = prebuilt.get("voiceName")
    if not isinstance(name, str) or key != "speechConfig":
        return
    found["audio"] = {"voice": name}
    if len(speech) == len(voice) == len(prebuilt) == 1:
        del rest[key]
    else:
        inner = {other: value for other, value in prebuilt.items() if other != "voiceName"}
        rest[key] = {**speech, "voiceConfig": {**voice, "prebuiltVoiceConfig": inner}}


def _object(holder: Any, key: str) -> dict[str, Any]:
    inner = holder.get(key) if isinstance(holder, dict) else None
    return inner if isinstance(inner, dict) else {}


_COMPOSED: tuple[tuple[frozenset[str], Callable[[dict[str, Any], dict[str, Any]], None]], ...] = (
    (frozenset({"responseMimeType", "response_mime_type", *_SCHEMA_KEYS}), _read_format),
    (frozenset({"speechConfig", "speech_config"}), _read_speech),
)
"""Which keys make it worth asking which reader."""


def write_config(request: Request, spelling: dict[str, str]) -> dict[str, Any]:
    """generationConfig of a request of this dialect, without its extras."""
    found: dict[str, Any] = {}
    for name, usual, value in _PLAIN.of(request):
        found[spelling.get(name, usual)] = value
    if request.stop is not None:
        stop = [request.stop] if isinstance(request.stop, str) else list(request.stop)
        found[spelling.get("stop", "stopSequences")] = stop
    if request.modalities is not None:
        found[spelling.get("modalities", "responseModalities")] = _write_modalities(request.modalities, spelling)
    if request.response_format is not None:
        found |= write_format(request.response_format)
    if request.reasoning is not None:
        found[spelling.get("reasoning", "thinkingConfig")] = write_thinking(request.reasoning)
    if request.audio is not None and isinstance(request.audio.get("voice"), str):
        found["speechConfig"] = write_voice(request.audio["voice"])
    for key in spelling.get(TEXTS, "").split():
        if type(found.get(key)) in (int, float):
            found[key] = wire.encode(found[key]).decode()
    return found


def _write_modalities(modalities: tuple[str, ...], spelling: dict[str, str]) -> list[str]:
    used = wire.decode(spelling["modality_words"]) if "modality_words" in spelling else []
    same = [word.lower() for word in _modality_words(used)] == list(modalities)
    return used if same else [word.upper() for word in modalities]


def write_voice(name: str) -> dict[str, Any]:
    """speechConfig for one prebuilt voice."""
    return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}


def write_format(wanted: ResponseFormat) -> dict[str, Any]:
    """The fields that ask for this form of answer."""
    names = names_of(wanted.native)
    found: dict[str, Any] = {}
    if "-mime" not in names or wanted.kind != "json_schema":
        found[names["responseMimeType"]] = PLAIN_TEXT if wanted.kind == "text" else JSON
    if wanted.kind == "json_schema" and wanted.schema is not None:
        key = names["responseSchema"] if "subset" in names else names["responseJsonSchema"]
        found[key] = restore_schema(wanted.schema, names, (wanted.extras or {}).get(key))
    return found


def write_thinking(reasoning: Reasoning) -> dict[str, Any]:
    """thinkingConfig of a request of this dialect."""
    names = names_of(reasoning.native)
    found: dict[str, Any] = {}
    if reasoning.include is not None:
        found[names["includeThoughts"]] = reasoning.include
    budget = -1 if reasoning.adaptive else 0 if reasoning.enabled is False else reasoning.budget_tokens
    if budget is not None:
        found[names["thinkingBudget"]] = budget
    if reasoning.effort is not None:
        used = next((word[6:] for word in names if word.startswith("level=")), "")
        found[names["thinkingLevel"]] = used if used.lower() == reasoning.effort else reasoning.effort.upper()
    return wire.merge(reasoning.extras, found)

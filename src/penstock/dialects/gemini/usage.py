"""usageMetadata, both ways.

Gemini counts beside each other what the representation counts together:

    input_tokens  = promptTokenCount (cached tokens included) + toolUsePromptTokenCount
    output_tokens = candidatesTokenCount + thoughtsTokenCount

Some models' candidatesTokenCount has the thoughts in it; then the total tells (prompt + candidates = total). A count of
zero is left out on the wire, so a sum whose first half is zero means that it was absent; an explicit zero stays in the
extras. Details by modality fill the representation's counts by modality; their order is remembered.

Source: https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.gemini.numbers import MODALITIES, word_of
from penstock.types.notes import Note
from penstock.types.usage import Usage

COUNTS: dict[str, str] = {
    "promptTokenCount": "input_tokens",
    "candidatesTokenCount": "output_tokens",
    "totalTokenCount": "total_tokens",
    "cachedContentTokenCount": "cache_read_tokens",
    "thoughtsTokenCount": "reasoning_tokens",
    "toolUsePromptTokenCount": "tool_use_input_tokens",
}
DETAILS: dict[str, dict[str, str]] = {
    "promptTokensDetails": {
        "TEXT": "input_text_tokens",
        "AUDIO": "input_audio_tokens",
        "IMAGE": "input_image_tokens",
        "VIDEO": "input_video_tokens",
    },
    "candidatesTokensDetails": {
        "TEXT": "output_text_tokens",
        "AUDIO": "output_audio_tokens",
        "IMAGE": "output_image_tokens",
    },
    "cacheTokensDetails": {"AUDIO": "cache_read_audio_tokens"},
    "toolUsePromptTokensDetails": {},
}
SUMS = (
    ("input_tokens", "tool_use_input_tokens", "promptTokenCount"),
    ("output_tokens", "reasoning_tokens", "candidatesTokenCount"),
)
"""(the sum, its second half, the wire name of its first half)."""

TIERS: dict[str, str] = {
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "PROVISIONED_THROUGHPUT": "provisioned_throughput",
}
"""Vertex AI's `trafficType` -> service tier
(https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1beta1/GenerateContentResponse)."""

SERVICE_TIERS: dict[str, str] = {
    "default": "standard",
    "standard": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
}
"""Tiers by their words in all dialects -> Gemini's. "auto" is what Gemini does anyway."""

UNIFIED_TIERS: dict[str, str] = {"standard": "default", "unspecified": "auto", "flex": "flex", "priority": "priority"}
"""Gemini's tiers -> the words that all dialects share."""

_TRAFFIC = {tier: kind for kind, tier in TIERS.items()}
_INCLUSIVE = "inclusive"


def read_usage(value: Any) -> Usage:
    """`usageMetadata`."""
    counts = wire.obj(value)
    values: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    extras: dict[str, Any] = {}
    for key, count in counts.items():
        if type(count) is int and key in COUNTS:
            values[COUNTS[key]] = count
        elif type(count) is list and key in DETAILS:
            _read_details(key, count, values, spelling, extras)
        else:
            extras[key] = count
    if "reasoning_tokens" in values or "tool_use_input_tokens" in values:
        _add_up(values, spelling, extras)
    if extras:
        _read_tier(values, spelling, extras)
        values["extras"] = extras or None
    if spelling:
        values["spelling"] = spelling
    return Usage(**values)


def _read_details(
    key: str, details: list[Any], values: dict[str, Any], spelling: dict[str, str], extras: dict[str, Any]
) -> None:
    """Counts by modality, remembered as "TEXT IMAGE DOCUMENT=258": a modality that the representation has no count for
    brings its own; one that came as a number is remembered as "#1". A list of any other form is not read, and stays in
    the extras.
    """
    table = DETAILS[key]
    found: dict[str, int] = {}
    order: dict[str, str] = {}
    for detail in details:
        modality, count, spelled = _detail(detail)
        if modality in order or not modality.isalpha():
            extras[key] = details
            return
        if modality in table:
            found[table[modality]] = count
            order[modality] = spelled
        else:
            order[modality] = f"{spelled}={count}"
    values.update(found)
    spelling[key] = " ".join(order.values())


def _detail(detail: Any) -> tuple[str, int, str]:
    """A modality, its count, and how it was spelled; ("", 0, "") for an entry of any other form."""
    if type(detail) is not dict or len(detail) != 2:
        return "", 0, ""
    modality, count = detail.get("modality"), detail.get("tokenCount")
    if type(count) is not int:
        return "", 0, ""
    word = word_of(modality, MODALITIES)
    if word is not None:
        return word.replace("_", ""), count, f"#{modality}"
    return (modality, count, modality) if type(modality) is str else ("", 0, "")


def _add_up(values: dict[str, Any], spelling: dict[str, str], extras: dict[str, Any]) -> None:
    candidates = values.get("output_tokens")
    if candidates and values.get("reasoning_tokens") and _holds_thoughts(values, candidates):
        spelling["output_tokens"] = _INCLUSIVE
    for total, second, key in SUMS:
        if second in values and total not in spelling:
            first = values.get(total)
            values[total] = (first or 0) + values[second]
            if first == 0:
                extras[key] = 0


def _holds_thoughts(values: dict[str, Any], candidates: int) -> bool:
    """Whether the thoughts are counted among the candidates' tokens: without them, the total is reached."""
    total = values.get("total_tokens")
    return total is not None and values.get("input_tokens", 0) + candidates == total


def _read_tier(values: dict[str, Any], spelling: dict[str, str], extras: dict[str, Any]) -> None:
    """The tier that served the call: said as such (Gemini API), or by the kind of traffic (Vertex AI)."""
    if type(extras.get("serviceTier")) is str:
        values["service_tier"] = extras.pop("serviceTier")
    elif type(extras.get("trafficType")) is str and extras["trafficType"] in TIERS and "serviceTier" not in extras:
        values["service_tier"] = TIERS[extras.pop("trafficType")]
        spelling["service_tier"] = "trafficType"


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usageMetadata` of an answer of this dialect."""
    spelling, extras = usage.spelling or {}, usage.extras or {}
    found = _write_counts(usage, spelling.get("output_tokens") == _INCLUSIVE)
    for key, table in DETAILS.items():
        if key in spelling:
            found[key] = _details(usage, table, spelling[key].split())
    tier = usage.service_tier
    if tier is not None and spelling.get("service_tier") == "trafficType" and tier in _TRAFFIC:
        found["trafficType"] = _TRAFFIC[tier]
    elif tier is not None:
        found["serviceTier"] = tier
    return {**extras, **found}


def _write_counts(usage: Usage, inclusive: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, name in COUNTS.items():
        count = getattr(usage, name)
        if count is not None:
            found[key] = count
    for total, second, key in SUMS:
        more = getattr(usage, second)
        if more is None or key not in found or (inclusive and total == "output_tokens"):
            continue
        found[key] -= more
        if found[key] == 0:
            del found[key]
    return found


def _details(usage: Usage, table: dict[str, str], order: list[str]) -> list[dict[str, Any]]:
    found = []
    for word in order:
        modality, own, count = word.partition("=")
        numbered = int(modality[1:]) if modality[0] == "#" else None
        number = int(count) if own else getattr(usage, table[word_of(numbered, MODALITIES) or modality])
        if number is not None:
            found.append({"modality": modality if numbered is None else numbered, "tokenCount": number})
    return found


def write_foreign_usage(usage: Usage) -> dict[str, Any]:
    """`usageMetadata` for another dialect's counts. Clients read the three main counts, so they are completed."""
    found = _write_counts(usage, False)
    found = {key: max(0, count) for key, count in found.items()}  # some hosts do not count thoughts as output
    total = usage.total_tokens
    if total is None and (usage.input_tokens is not None or usage.output_tokens is not None):
        total = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    if total is not None:
        found["totalTokenCount"] = total
    for key, table in DETAILS.items():
        details = _details(usage, table, list(table))
        if len(details) > (1 if details and details[0]["modality"] == "TEXT" else 0):
            found[key] = details
    return found


def write_foreign_tier(usage: Usage | None, tier: str | None, notes: list[Note]) -> dict[str, str]:
    """`serviceTier` of `usageMetadata` for another dialect's answer: what its usage says, else the answer (`tier`)."""
    said = [("usage.service_tier", None if usage is None else usage.service_tier), ("service_tier", tier)]
    found: dict[str, str] = {}
    for path, word in said:
        if word is None or word == "auto" or found:
            continue
        if word in SERVICE_TIERS:
            found["serviceTier"] = SERVICE_TIERS[word]
        else:
            notes.append(Note(path, "dropped", f"Gemini has no tier {word!r}"))
    return found

"""Settings of other dialects' requests in the terms of Responses. Messages and tools are foreign.py's.

Sources: https://platform.openai.com/docs/api-reference/responses/create, https://platform.openai.com/docs/guides/reasoning.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import reasoning as effort_table
from penstock.dialects.leftovers import leftovers
from penstock.dialects.openai_tiers import adapt_tier
from penstock.dialects.said import Said
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Reasoning, Request, ResponseFormat

MIN_OUTPUT_TOKENS = 16
"""The API refuses a smaller `max_output_tokens` (https://platform.openai.com/docs/api-reference/responses/create)."""

_UNSAYABLE: Said[str] = Said(
    {
        "top_k": "Responses has no such sampling field",
        "stop": "Responses has no stop sequences",
        "seed": "Responses has no seed",
        "presence_penalty": "Responses has no penalties",
        "frequency_penalty": "Responses has no penalties",
        "logit_bias": "Responses has no logit bias",
        "audio": "Responses answers without audio",
        "cache": "Responses caches by itself",
        "betas": "only Claude has betas",
    }
)


def adapt_settings(request: Request, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    """The fields of `request` that change: what Responses cannot say becomes None, the rest is put in its words."""
    return {
        "reasoning": _reasoning(request.reasoning, profile, notes),
        "response_format": _format(request.response_format, notes),
        "max_tokens": _max_tokens(request.max_tokens, notes),
        "service_tier": adapt_tier(request.service_tier, notes),
        "spelling": None,
        "extras": _include(request, profile, notes),
        **_drop_unsayable(request, notes),
    }


def _drop_unsayable(request: Request, notes: list[Note]) -> dict[str, None]:
    dropped: dict[str, None] = {}
    for name, reason, _ in _UNSAYABLE.of(request):
        notes.append(Note(name, "dropped", reason))
        dropped[name] = None
    if request.n is not None and request.n != 1:
        notes.append(Note("n", "dropped", "Responses gives one answer"))
    if request.modalities is not None and request.modalities != ("text",):
        notes.append(
            Note("modalities", "dropped", "Responses answers with text; images come from the image_generation tool")
        )
    return dropped


def _max_tokens(limit: int | None, notes: list[Note]) -> int | None:
    if limit is None or limit >= MIN_OUTPUT_TOKENS:
        return limit
    notes.append(Note("max_tokens", "changed", f"Responses takes at least {MIN_OUTPUT_TOKENS}"))
    return MIN_OUTPUT_TOKENS


def _include(request: Request, profile: Profile, notes: list[Note]) -> dict[str, Any] | None:
    """Ask for encrypted reasoning where the model reasons and can read it again: the caller keeps the history, and
    nothing else carries it.
    """
    wanted = request.reasoning
    if wanted is None or profile.signature_origin != "openai" or effort_table.budget(wanted) == 0:
        return None
    notes.append(Note("include", "added", "reasoning.encrypted_content: so that the reasoning can be sent back"))
    return {"include": ["reasoning.encrypted_content"]}


def _reasoning(wanted: Reasoning | None, profile: Profile, notes: list[Note]) -> Reasoning | None:
    if wanted is None:
        return None
    notes += leftovers("reasoning", wanted.extras)
    word = effort_table.effort(wanted, profile.reasoning_efforts)
    if wanted.budget_tokens is not None and wanted.effort is None:
        notes.append(Note("reasoning.budget_tokens", "changed", f"Responses takes a word: {word}"))
    elif wanted.effort is not None and word != wanted.effort:
        notes.append(Note("reasoning.effort", "changed", f"the nearest word that this model knows is {word}"))
    elif wanted.adaptive and wanted.effort is None:
        word = None
    if word is not None and word not in effort_table.BUDGETS:
        notes.append(Note("reasoning.effort", "dropped", f"Responses has no effort {word!r}"))
        word = None
    summary = wanted.summary or ("auto" if wanted.include else None)
    return Reasoning(word, summary=summary) if word or summary else None


def _format(wanted: ResponseFormat | None, notes: list[Note]) -> ResponseFormat | None:
    if wanted is None:
        return None
    notes += leftovers("response_format", wanted.extras)
    if wanted.kind != "json_schema":
        return ResponseFormat(wanted.kind)
    if wanted.name is None:
        notes.append(Note("response_format.name", "added", "Responses wants a name"))
    schema = {} if wanted.schema is None else wanted.schema
    return ResponseFormat(wanted.kind, schema, wanted.name or "answer", wanted.description, wanted.strict)

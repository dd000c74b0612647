"""Thinking: `thinking` and `output_config.effort`, both ways, and how other dialects' wishes for reasoning are said.

    {"type": "enabled", "budget_tokens": n}    a budget of at least 1024, below max_tokens (models before Claude 4.6)
    {"type": "adaptive"}                       the model decides, guided by `output_config.effort` (since Claude 4.6)
    {"type": "disabled"}

`display` ("summarized", "omitted") is `Reasoning.include`. With thinking on, the API refuses a temperature other than
1, a top_k, a top_p below 0.95, and a forced tool ("Thinking may not be enabled when tool_choice forces tool use": the
tool stays, since programs rely on its call); with a budget also an unfinished assistant turn that does not begin with a
thinking block. An effort needs no thinking.
Sources: https://platform.claude.com/docs/en/build-with-claude/extended-thinking, .../adaptive-thinking, .../effort,
https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (forcing tool use)
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from penstock.dialects import reasoning as efforts
from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import maybe_at
from penstock.dialects.leftovers import leftovers
from penstock.types.content import Extras
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Reasoning, Request

MINIMUM_BUDGET = 1024
ANSWER_SHARE = 4096
"""Tokens that are left for the answer where the caller set no limit and thinking takes all of the default."""

_DYNAMIC = 2048
"""The budget for a wish without a number (Gemini's -1)."""

EFFORTS = ("low", "medium", "high", "xhigh", "max")

_DISPLAY = {"summarized": True, "omitted": False}
_DISPLAY_WORDS = {include: word for word, include in _DISPLAY.items()}


def read_reasoning(thinking: dict[str, Any] | None, effort: str | None) -> tuple[Reasoning | None, Extras]:
    """(what the caller wants, what of `thinking` is not modelled)."""
    if thinking is None:
        return (None if effort is None else Reasoning(effort)), None
    kind = maybe_at(thinking, "type", wire.string)
    budget = maybe_at(thinking, "budget_tokens", wire.integer)
    display = maybe_at(thinking, "display", wire.string)
    known = _KEYS if display in _DISPLAY else _KEYS_BUT_DISPLAY
    wanted = Reasoning(
        effort,
        budget,
        _ENABLED.get(kind or ""),
        True if kind == "adaptive" else None,
        include=None if display is None else _DISPLAY.get(display),
        native=None if kind in _PLAIN else kind,
    )
    return wanted, wire.rest(thinking, known)


_KEYS = frozenset({"type", "budget_tokens", "display"})
_KEYS_BUT_DISPLAY = frozenset({"type", "budget_tokens"})
_ENABLED = {"enabled": True, "disabled": False, "between_tools": True}
_PLAIN = frozenset({None, "enabled", "disabled", "adaptive"})


def write_thinking(wanted: Reasoning) -> dict[str, Any]:
    """`thinking` of a request of this dialect again. Empty where only an effort was said."""
    found: dict[str, Any] = {}
    if wanted.native is not None:
        found["type"] = wanted.native
    elif wanted.adaptive:
        found["type"] = "adaptive"
    elif wanted.enabled is not None:
        found["type"] = "enabled" if wanted.enabled else "disabled"
    if wanted.budget_tokens is not None:
        found["budget_tokens"] = wanted.budget_tokens
    if wanted.include is not None:
        found["display"] = _DISPLAY_WORDS[wanted.include]
    return found


class Plan(Struct, frozen=True):
    """How a foreign request thinks here: the `thinking` object, the effort word, and the budget that the answer's limit
    must exceed.
    """

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    budget: int = 0


NO_PLAN = Plan()


def plan_reasoning(request: Request, profile: Profile, forced: bool, unfinished: bool, notes: list[Note]) -> Plan:
    """The plan for another dialect's request. `forced`: the tool choice forces a tool; `unfinished`: the last assistant
    turn lacks its thoughts.
    """
    wanted = request.reasoning
    if wanted is None or wanted.effort == "default":
        return NO_PLAN
    notes += leftovers("reasoning", wanted.extras)
    if wanted.enabled is False or efforts.budget(wanted) == 0:
        return Plan({"type": "disabled"}) if profile.reasoning != "none" else NO_PLAN
    obstacle = _obstacle(profile, forced, unfinished)
    if obstacle is not None:
        notes.append(Note("reasoning", "dropped", obstacle))
        return NO_PLAN
    if profile.reasoning == "adaptive" and forced:
        notes.append(Note("reasoning", "weakened", "a forced tool and thinking exclude each other"))
        return Plan(None, _effort(wanted, profile, notes))
    if profile.reasoning == "effort":
        return Plan(None, _effort(wanted, profile, notes))
    if profile.reasoning == "adaptive":
        return Plan(_displayed({"type": "adaptive"}, wanted, notes), _effort(wanted, profile, notes))
    return _plan_budget(request, wanted, notes)


def _obstacle(profile: Profile, forced: bool, unfinished: bool) -> str | None:
    if profile.reasoning == "none":
        return "this model cannot be asked to reason"
    if profile.reasoning in ("effort", "adaptive"):
        return None
    if forced:
        return "a forced tool and a thinking budget exclude each other"
    if unfinished:
        return "the assistant turn to be continued carries no signed thoughts"
    return None


def _displayed(thinking: dict[str, Any], wanted: Reasoning, notes: list[Note]) -> dict[str, Any]:
    """With `display`, where the caller said whether thoughts shall be shown (they are, as a summary)."""
    include = True if wanted.include is None and wanted.summary is not None else wanted.include
    if wanted.summary in ("concise", "detailed"):
        notes.append(Note("reasoning.summary", "changed", "summaries have one length here"))
    return thinking if include is None else {**thinking, "display": _DISPLAY_WORDS[include]}


def _effort(wanted: Reasoning, profile: Profile, notes: list[Note]) -> str | None:
    """The nearest word that the model knows. A bare switch needs none."""
    if wanted.effort is None and wanted.budget_tokens is None:
        return None
    word = efforts.effort(wanted, profile.reasoning_efforts or EFFORTS)
    if wanted.budget_tokens is not None and wanted.effort is None:
        notes.append(Note("reasoning.budget_tokens", "weakened", f"said as effort {word!r}"))
    elif word != wanted.effort:
        notes.append(Note("reasoning.effort", "changed", f"said as effort {word!r}"))
    return word


def _plan_budget(request: Request, wanted: Reasoning, notes: list[Note]) -> Plan:
    asked = efforts.budget(wanted)
    if asked is None:
        notes.append(Note("reasoning", "dropped", "nothing to show: no thinking was asked for"))
        return NO_PLAN
    if asked < 0:
        asked = _DYNAMIC
    if wanted.budget_tokens is None and wanted.effort is not None and wanted.effort not in efforts.BUDGETS:
        notes.append(
            Note("reasoning.effort", "changed", f"{wanted.effort!r} is no known effort; {asked} tokens of thinking")
        )
    budget = max(asked, MINIMUM_BUDGET)
    if budget != asked and wanted.budget_tokens is not None:
        notes.append(Note("reasoning.budget_tokens", "changed", f"raised to the least, {MINIMUM_BUDGET}"))
    if request.max_tokens is not None and budget >= request.max_tokens:
        budget = request.max_tokens - 1
        if budget < MINIMUM_BUDGET:
            notes.append(
                Note("reasoning", "dropped", f"max_tokens leaves no room for {MINIMUM_BUDGET} tokens of thinking")
            )
            return NO_PLAN
        notes.append(Note("reasoning", "weakened", f"{budget} tokens of thinking, to stay below max_tokens"))
    thinking = {"type": "enabled", "budget_tokens": budget}
    return Plan(_displayed(thinking, wanted, notes), None, budget)

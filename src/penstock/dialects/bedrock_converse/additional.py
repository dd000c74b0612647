"""`additionalModelRequestFields`: what Converse passes on to the model as it is; so the place of reasoning and top_k,
and of the names of Claude's betas (`anthropic_beta`).

Claude's own `tool_choice` stands there too, since Converse's cannot say that tools are to be called one at a time:
`{"type": "auto", "disable_parallel_tool_use": true}`. (Bedrock refuses it beside a `toolChoice` that forces a tool, and
models before Claude 4.5 do not know it.)

Every family of models has its own words there. Reading knows them all; `Reasoning.native` remembers which of the
*sources* below the request used, so that it is written the same way again:

    thinking            {"type": "enabled" | "disabled" | "adaptive", "budget_tokens": 1024, "display"}    Claude
    output_config       {"effort": "high"}                                                  Claude, beside `thinking`
    reasoning_effort    "high"                                                              gpt-oss
    reasoning_config    "high", or the object that `thinking` is                            Qwen; older Claude
    reasoningConfig     {"type": "enabled", "maxReasoningEffort": "high"}                   Nova
    outputConfig        {"effort": "high"}                                                  Converse's own field

Writing for a foreign request follows `profile.reasoning`; `profile.renames` says what the model calls a field
(`{"reasoning_effort": "reasoning_config", "top_k": "inferenceConfig.topK"}`: a dot leads into an object).

Sources: the pages "Inference request parameters" of the Bedrock user guide, one for each family of models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import reasoning as table
from penstock.dialects.bedrock_converse.signatures import ORIGIN
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Reasoning, Request

FIELD = "additionalModelRequestFields"
BETAS = "anthropic_beta"
TOOL_CHOICE = "tool_choice"
_ONE_CALL = "disable_parallel_tool_use"
MINIMUM_BUDGET = 1024
"""Tokens: the least that Claude takes as `budget_tokens`."""

Values = dict[str, Any]
"""What one source says of a Reasoning, by field name."""

_SWITCH: dict[Any, Values] = {
    "enabled": {"enabled": True},
    "disabled": {"enabled": False},
    "adaptive": {"enabled": True, "adaptive": True},
}
_DISPLAY = {"summarized": True, "omitted": False}
_DISPLAY_WORDS = {include: word for word, include in _DISPLAY.items()}
_CLAUDE_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_THREE_EFFORTS = ("low", "medium", "high")


# Reading: a reader takes its words out of `left` and returns what they mean, or nothing where they are not as expected.


def read_additional(value: Any, found: dict[str, Any]) -> Any:
    """Put `reasoning`, `top_k` and `betas` into `found`; return what is left (all of it where it is no object)."""
    if not isinstance(value, dict):
        return value
    left = dict(value)
    for name, read in _SOURCES.items():
        if name in left:
            _collect(found, name, read, left)
    _read_top_k(left, found)
    names = left.get(BETAS)
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        found["betas"] = tuple(left.pop(BETAS))
    parallel = left.get(TOOL_CHOICE)
    for allowed in (True, False):
        if parallel == write_parallel(allowed)[TOOL_CHOICE] and type(parallel[_ONE_CALL]) is bool:
            found["parallel_tool_calls"] = allowed
            del left[TOOL_CHOICE]
            break
    return left or (None if value else {})


def read_effort(config: dict[str, Any], found: dict[str, Any]) -> None:
    """`effort` of Converse's own `outputConfig`, taken out of `config`."""
    known: Values = found.setdefault("reasoning", {})
    if isinstance(config.get("effort"), str) and "effort" not in known:
        known["effort"] = config.pop("effort")
        found.setdefault("sources", []).append("outputConfig")


def _collect(found: dict[str, Any], name: str, read: Callable[[Values, str], Values], left: Values) -> None:
    """Add what one source says, unless another has said the same before: then it stays in `left`."""
    known: Values = found.setdefault("reasoning", {})
    trial = dict(left)
    values = read(trial, name)
    if not values or (values.keys() & known.keys()):
        return
    left.clear()
    left.update(trial)
    known |= values
    found.setdefault("sources", []).append(name)


def _read_switch(left: Values, name: str) -> Values:
    """`{"type", "budget_tokens"}`."""
    inner = left[name]
    if not isinstance(inner, dict):
        return {}
    inner = dict(inner)
    values: Values = {}
    kind = inner.get("type")
    if isinstance(kind, str) and kind in _SWITCH:
        values |= _SWITCH[inner.pop("type")]
    if type(inner.get("budget_tokens")) is int:
        values["budget_tokens"] = inner.pop("budget_tokens")
    display = inner.get("display")
    if isinstance(display, str) and display in _DISPLAY:
        values["include"] = _DISPLAY[inner.pop("display")]
    _put(left, name, inner)
    return values


def _read_effort(left: Values, name: str) -> Values:
    inner = left[name]
    if not (isinstance(inner, dict) and isinstance(inner.get("effort"), str)):
        return {}
    inner = dict(inner)
    values = {"effort": inner.pop("effort")}
    _put(left, name, inner)
    return values


def _read_word(left: Values, name: str) -> Values:
    return {"effort": left.pop(name)} if isinstance(left[name], str) else {}


def _read_word_or_switch(left: Values, name: str) -> Values:
    return _read_word(left, name) or _read_switch(left, name)


def _read_nova(left: Values, name: str) -> Values:
    inner = left[name]
    if not isinstance(inner, dict):
        return {}
    inner = dict(inner)
    values: Values = {}
    if inner.get("type") in ("enabled", "disabled"):
        values["enabled"] = inner.pop("type") == "enabled"
    if isinstance(inner.get("maxReasoningEffort"), str):
        values["effort"] = inner.pop("maxReasoningEffort")
    _put(left, name, inner)
    return values


def _put(left: Values, name: str, inner: Values) -> None:
    if inner:
        left[name] = inner
    else:
        del left[name]


_SOURCES: dict[str, Callable[[Values, str], Values]] = {
    "thinking": _read_switch,
    "output_config": _read_effort,
    "reasoning_effort": _read_word,
    "reasoning_config": _read_word_or_switch,
    "reasoningConfig": _read_nova,
}


def finish_reasoning(found: dict[str, Any]) -> None:
    """Make a Reasoning of what the sources said."""
    values, sources = found.pop("reasoning", None), found.pop("sources", None)
    if values:
        found["reasoning"] = Reasoning(**values, native=",".join(sources))


_TOP_K = ("top_k", "inferenceConfig.topK")
"""Where the models look for it: most of them, Nova."""


def _read_top_k(left: Values, found: dict[str, Any]) -> None:
    for path in _TOP_K:
        outer, _, name = path.rpartition(".")
        holder = left.get(outer) if outer else left
        if isinstance(holder, dict) and type(holder.get(name)) in (int, float) and "top_k" not in found:
            found["top_k"] = holder[name]
            if path != _TOP_K[0]:
                found["spelling"] = {"top_k": path}
            rest = {key: value for key, value in holder.items() if key != name}
            if outer:
                _put(left, outer, rest)
            else:
                del left[name]


# Writing


def write_parallel(allowed: bool) -> Values:
    """Claude's tool choice, which says whether it may call several tools in one turn."""
    return {TOOL_CHOICE: {"type": "auto", _ONE_CALL: not allowed}}


def write_own(request: Request) -> tuple[Values, str | None]:
    """(the additional fields, the effort that goes into `outputConfig`) of a request of this dialect."""
    fields: Values = {}
    effort = None
    if request.top_k is not None:
        put_at(fields, (request.spelling or {}).get("top_k", _TOP_K[0]), request.top_k)
    if request.betas is not None:
        fields[BETAS] = list(request.betas)
    if request.parallel_tool_calls is not None:
        fields |= write_parallel(request.parallel_tool_calls)
    wanted = request.reasoning
    if wanted is not None:
        for source in (wanted.native or "thinking").split(","):
            if source == "outputConfig":
                effort = wanted.effort
            else:
                value = _WRITERS[source](wanted)
                if value is not None:
                    fields[source] = value
    return fields, effort


def put_at(fields: Values, path: str, value: Any) -> None:
    """Set the value at a dotted path, making the objects on the way."""
    *outer, name = path.split(".")
    for step in outer:
        fields = fields.setdefault(step, {})
    fields[name] = value


def _write_switch(wanted: Reasoning) -> Values | None:
    found: Values = {}
    if wanted.adaptive:
        found["type"] = "adaptive"
    elif wanted.enabled is not None:
        found["type"] = "enabled" if wanted.enabled else "disabled"
    if wanted.budget_tokens is not None:
        found["budget_tokens"] = wanted.budget_tokens
    if wanted.include is not None:
        found["display"] = _DISPLAY_WORDS[wanted.include]
    return found or None


def _write_effort(wanted: Reasoning) -> Values | None:
    return None if wanted.effort is None else {"effort": wanted.effort}


def _write_word(wanted: Reasoning) -> str | None:
    return wanted.effort


def _write_word_or_switch(wanted: Reasoning) -> Any:
    switch = _write_switch(wanted)
    return wanted.effort if switch is None else switch


def _write_nova(wanted: Reasoning) -> Values | None:
    found: Values = {}
    if wanted.enabled is not None:
        found["type"] = "enabled" if wanted.enabled else "disabled"
    if wanted.effort is not None:
        found["maxReasoningEffort"] = wanted.effort
    return found or None


_WRITERS: dict[str, Callable[[Reasoning], Any]] = {
    "thinking": _write_switch,
    "output_config": _write_effort,
    "reasoning_effort": _write_word,
    "reasoning_config": _write_word_or_switch,
    "reasoningConfig": _write_nova,
}


def adapt_betas(request: Request, profile: Profile, notes: list[Note]) -> Values:
    """The names of betas, for a model that may be Claude."""
    if not request.betas:
        return {}
    if profile.signature_origin in (None, ORIGIN):
        return {BETAS: list(request.betas)}
    notes.append(Note("betas", "dropped", "only Claude has betas"))
    return {}


def adapt_reasoning(request: Request, profile: Profile, notes: list[Note]) -> Values:
    """The additional fields that ask the model for the reasoning that a foreign request wants."""
    wanted = request.reasoning
    if wanted is None:
        return {}
    on = table.budget(wanted)
    if on is None:
        return {}
    on = table.BUDGETS["medium"] if on < 0 else on  # Gemini's word for "as much as you like"
    if profile.reasoning == "none":
        if on:
            notes.append(Note("reasoning", "dropped", "this model does not reason on request"))
        return {}
    found = _ADAPTERS.get(profile.reasoning, _adapt_budget)(wanted, on, request, profile, notes)
    include = True if wanted.include is None and wanted.summary is not None else wanted.include
    if on and include is not None:
        _show(include, found, notes)
    return found


def _show(include: bool, found: Values, notes: list[Note]) -> None:
    """Ask for reasoning that is shown, or is not: Claude's `thinking` can; of a budget it is always shown unless it is
    asked not to be.
    """
    thinking = found.get("thinking")
    if thinking is None and not include:
        notes.append(Note("reasoning.include", "dropped", "this model always shows its reasoning"))
    elif thinking is not None and (not include or thinking["type"] == "adaptive"):
        thinking["display"] = _DISPLAY_WORDS[include]


def _adapt_budget(
    wanted: Reasoning, tokens: int, request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    """Claude's `thinking` with a budget, which must leave room for the answer below `maxTokens`."""
    if tokens <= 0:
        return {"thinking": {"type": "disabled"}}
    tokens = max(MINIMUM_BUDGET, tokens)
    if request.max_tokens is not None and tokens >= request.max_tokens:
        tokens = request.max_tokens - 1
        if tokens < MINIMUM_BUDGET:
            notes.append(
                Note("reasoning", "dropped", f"max_tokens leaves no room for {MINIMUM_BUDGET} thinking tokens")
            )
            return {}
        notes.append(Note("reasoning", "changed", f"a budget of {tokens} tokens, to stay below max_tokens"))
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


def _adapt_adaptive(
    wanted: Reasoning, tokens: int, request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    if tokens <= 0:
        return {"thinking": {"type": "disabled"}}
    found: dict[str, Any] = {"thinking": {"type": "adaptive"}}
    if wanted.effort is not None or wanted.budget_tokens is not None:
        found["output_config"] = {"effort": table.effort(wanted, profile.reasoning_efforts or _CLAUDE_EFFORTS)}
    return found


def _adapt_effort(
    wanted: Reasoning, tokens: int, request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    known = profile.reasoning_efforts or _THREE_EFFORTS
    word = table.effort(wanted, known)
    if tokens <= 0 and word != "none":
        notes.append(Note("reasoning", "weakened", f"this model always reasons: {word!r} is its least"))
    found: dict[str, Any] = {}
    put_at(found, profile.renames.get("reasoning_effort", "reasoning_effort"), word)
    return found


def _adapt_level(
    wanted: Reasoning, tokens: int, request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    if tokens <= 0:
        return {"reasoningConfig": {"type": "disabled"}}
    word = table.effort(wanted, profile.reasoning_efforts or _THREE_EFFORTS)
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": word}}


def _adapt_switch(
    wanted: Reasoning, tokens: int, request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    return {"thinking": {"type": "enabled" if tokens > 0 else "disabled"}}


def _adapt_enable(
    wanted: Reasoning, tokens: int, request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    return {"enable_thinking": tokens > 0}


def _adapt_template(
    wanted: Reasoning, tokens: int, request: Request, profile: Profile, notes: list[Note]
) -> dict[str, Any]:
    return {"chat_template_kwargs": {"enable_thinking": tokens > 0}}


_ADAPTERS: dict[str, Callable[[Reasoning, int, Request, Profile, list[Note]], dict[str, Any]]] = {
    "adaptive": _adapt_adaptive,
    "effort": _adapt_effort,
    "level": _adapt_level,
    "switch": _adapt_switch,
    "thinking_type": _adapt_switch,
    "enable_thinking": _adapt_enable,
    "template": _adapt_template,
}

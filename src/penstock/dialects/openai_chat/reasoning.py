"""How Chat Completions asks for reasoning: one meaning, many spellings.

reasoning_effort    OpenAI's word
reasoning           OpenRouter's object: effort or max_tokens, enabled, exclude
thinking            Anthropic's shape, that DeepSeek, Z.ai and LiteLLM's users have taken over
enable_thinking     Qwen's switch
chat_template_kwargs  what vLLM and SGLang hand to a model's template: Qwen's switch, or `thinking` (DeepSeek)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import reasoning as effort_table
from penstock.dialects import wire
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import Reasoning


def read_effort(value: Any) -> Reasoning:
    return Reasoning(wire.string(value))


def read_object(value: Any) -> Reasoning:
    """OpenRouter: `{"effort": ..., "max_tokens": ..., "enabled": ..., "exclude": ...}`."""
    wanted = wire.obj(value)
    values = {key: wanted[key] for key, kind in _REASONING_TYPES.items() if type(wanted.get(key)) is kind}
    return Reasoning(
        values.get("effort"),
        values.get("max_tokens"),
        values.get("enabled"),
        include=None if "exclude" not in values else not values["exclude"],
        extras=wire.rest(wanted, frozenset(values)),
    )


_REASONING_TYPES: dict[str, type] = {"effort": str, "max_tokens": int, "enabled": bool, "exclude": bool}


def read_thinking(value: Any) -> Reasoning:
    """Anthropic's shape, that DeepSeek, Z.ai and LiteLLM's users have taken over: `{"type": "enabled",
    "budget_tokens": 1024}`.
    """
    wanted = wire.obj(value)
    kind = wanted.get("type")
    tokens = wanted.get("budget_tokens")
    known = {"type"} if kind in _THINKING_TYPES else set()
    known |= {"budget_tokens"} if type(tokens) is int else set()
    return Reasoning(
        budget_tokens=tokens if "budget_tokens" in known else None,
        enabled=_THINKING_TYPES.get(kind) if "type" in known else None,
        adaptive=True if kind == "adaptive" else None,
        extras=wire.rest(wanted, frozenset(known)),
    )


_THINKING_TYPES: dict[Any, bool] = {"enabled": True, "disabled": False, "adaptive": True}


def read_switch(value: Any) -> Reasoning:
    return Reasoning(enabled=wire.boolean(value))


def read_template(value: Any) -> Any:
    """The switch among the arguments of a template; without one, they are not ours to read."""
    arguments = wire.obj(value)
    key = next((name for name in SWITCHES if isinstance(arguments.get(name), bool)), None)
    if key is None:
        return wire.UNREAD
    return Reasoning(enabled=arguments[key], native=key, extras=wire.rest(arguments, frozenset({key})))


SWITCHES = ("enable_thinking", "thinking")
"""Names of the switch among the arguments of a template."""


def _write_object(wanted: Reasoning) -> Any:
    values = {
        "effort": wanted.effort,
        "max_tokens": wanted.budget_tokens,
        "enabled": wanted.enabled,
        "exclude": None if wanted.include is None else not wanted.include,
    }
    return {key: value for key, value in values.items() if value is not None}


def _write_thinking(wanted: Reasoning) -> Any:
    found: dict[str, Any] = {}
    if wanted.adaptive:
        found["type"] = "adaptive"
    elif wanted.enabled is not None:
        found["type"] = "enabled" if wanted.enabled else "disabled"
    if wanted.budget_tokens is not None:
        found["budget_tokens"] = wanted.budget_tokens
    return found


_WRITERS: dict[str, Callable[[Reasoning], Any]] = {
    "reasoning_effort": lambda wanted: wanted.effort,
    "reasoning": _write_object,
    "thinking": _write_thinking,
    "enable_thinking": lambda wanted: wanted.enabled,
    "chat_template_kwargs": lambda wanted: {wanted.native or SWITCHES[0]: wanted.enabled},
}


def write_own_reasoning(wanted: Reasoning, key: str) -> dict[str, Any]:
    value = _WRITERS[key](wanted)
    return {key: wire.merge(wanted.extras, value) if isinstance(value, dict) else value}


def write_reasoning(wanted: Reasoning, profile: Profile) -> dict[str, Any]:
    """The fields that ask a host for reasoning, in the way that its profile names. Empty where there is nothing to
    ask, or no way.
    """
    on = effort_table.budget(wanted) != 0
    match profile.reasoning:
        case "none":
            return {}
        case "object":
            return {"reasoning": _write_object(wanted)}
        case "thinking_type":
            switch = {"thinking": {"type": "enabled" if on else "disabled"}}
            measured = wanted.effort is not None or wanted.budget_tokens is not None
            if not (on and measured and profile.reasoning_efforts):
                return switch
            return {**switch, "reasoning_effort": effort_table.effort(wanted, profile.reasoning_efforts)}
        case "budget" | "adaptive":
            return {
                "thinking": {"type": "enabled", "budget_tokens": effort_table.budget(wanted)}
                if on
                else {"type": "disabled"}
            }
        case "enable_thinking" | "switch":
            return {"enable_thinking": on}
        case "template":
            return {"chat_template_kwargs": {"enable_thinking": on}}
        case _:
            word = effort_table.effort(wanted, profile.reasoning_efforts)
            return {} if word is None else {"reasoning_effort": word}


def note_narrowing(wanted: Reasoning, asked: dict[str, Any], notes: list[Note]) -> None:
    """A note where `asked`, the fields that `write_reasoning` gave, ask for another amount of reasoning than the caller
    did: hosts know few words, or have nothing but a switch. (That an effort is said as the tokens of the table is no
    loss.)
    """
    if (wanted.effort is None and wanted.budget_tokens is None) or not asked or "reasoning" in asked:
        return
    path = "reasoning.budget_tokens" if wanted.effort is None else "reasoning.effort"
    word = asked.get("reasoning_effort")
    if word is None:
        measured = "budget_tokens" in asked.get("thinking", ())
        if not measured and effort_table.budget(wanted) != 0:
            notes.append(Note(path, "weakened", "this host has a switch for reasoning, and no measure"))
        return
    if word != (wanted.effort or ("none" if wanted.budget_tokens == 0 else None)):
        notes.append(Note(path, "weakened", f"the nearest word that this host knows is {word!r}"))
    if wanted.effort is not None and wanted.budget_tokens is not None:
        notes.append(Note("reasoning.budget_tokens", "dropped", "this host takes a word"))

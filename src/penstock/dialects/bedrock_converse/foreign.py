"""Another dialect's request as a request of this one: every field of Request is said here, or noted.

The result holds only what `request.py` writes one to one. What differs most:

- instructions stand before the conversation;
- user and assistant alternate, tool results open the user's turn that follows the calls;
- a history with tool calls needs a `toolConfig`, even if nothing more shall be called;
- there is no way to forbid tools but not to declare them.

What Converse itself has no field for is sent in `additionalModelRequestFields` if `profile.renames` gives it a name
there, since that is how a host says that its model knows it; `top_k` always is.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from msgspec import Struct

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.additional import (
    Values,
    adapt_betas,
    adapt_reasoning,
    put_at,
    write_parallel,
)
from penstock.dialects.bedrock_converse.blocks import SYSTEM_TOOLS
from penstock.dialects.bedrock_converse.cache_points import MOST, limit_cache_points
from penstock.dialects.bedrock_converse.foreign_parts import PartAdapter
from penstock.dialects.bedrock_converse.names import NAME, tool_names
from penstock.dialects.bedrock_converse.schemas import Output, plan_output
from penstock.dialects.bedrock_converse.turns import adapt_turns
from penstock.dialects.json_schema import object_schema
from penstock.dialects.leftovers import leftovers
from penstock.dialects.said import Said
from penstock.dialects.tool_ids import with_tool_ids
from penstock.dialects.tool_memo import FREE_FORM, ToolNames, memo_of
from penstock.dialects.tool_settings import sayable, unversioned
from penstock.types.content import Text, ToolCall, ToolResult
from penstock.types.notes import Memo, Note
from penstock.types.profile import Profile
from penstock.types.request import Message, Request, Tool, ToolChoice

UNSPEAKABLE: Said[tuple[Any, ...]] = Said(
    {
        "seed": (),
        "presence_penalty": (0,),
        "frequency_penalty": (0,),
        "logit_bias": ({},),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "n": (1,),
        "verbosity": (),
        "modalities": (("text",), ()),
        "audio": (),
        "user": (),
        "safety_identifier": (),
        "prompt_cache_key": (),
        "prompt_cache_retention": ("in_memory", "in-memory"),
        "store": (False,),
    }
)
"""Fields of Request that Converse has no place for, with the values that ask for nothing (and so are no loss)."""

SERVICE_TIERS: dict[str, str | None] = {
    "auto": None,
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "flex": "flex",
    "priority": "priority",
    "reserved": "reserved",
}
"""The unified word -> `serviceTier.type`; None: what happens without one."""

_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]*")
_MOST_METADATA, _LONGEST_METADATA = 16, 256
_UNKNOWN_TOOL = "tool"


class Adapted(Struct, frozen=True):
    """A request in the terms of this dialect, its additional model fields, and the memo for the answer."""

    request: Request
    additional: Values
    memo: Memo


def adapt(request: Request, profile: Profile, notes: list[Note]) -> Adapted:
    """`request` as one of this dialect. `notes` grows."""
    request = with_tool_ids(request)
    notes += leftovers("", request.extras)
    names = tool_names(request)
    adapter = PartAdapter(notes, profile, names)
    output = plan_output(request.response_format, profile, names, notes)
    system, messages = adapt_turns(request, adapter, profile, notes)
    if output.prompt is not None:
        system = (*system, Text(output.prompt))
    tools = _tools(request, profile, names, adapter, notes)
    choice = _choice(request, tools, names, notes)
    tools, choice = _with_json_tool(tools, choice, output, notes)
    if tools is None:
        tools = _tools_of(messages, notes)
    forced = choice is not None and choice.mode != "auto"
    additional = _additional(request, profile, forced, notes)
    if tools is not None and request.parallel_tool_calls is False:
        choice = _one_call_at_a_time(choice, profile, additional, notes)
    limits = _limits(request, profile, additional, notes)
    adapted = Request(
        dialect=NAME,
        model=request.model,
        messages=messages,
        system=system or None,
        tools=tools,
        tool_choice=choice,
        response_format=output.format,
        metadata=_metadata(request.metadata, notes),
        service_tier=_service_tier(request.service_tier, notes),
        stream=request.stream,
        **limits,
    )
    if adapter.cache_points > MOST:
        adapted = limit_cache_points(adapted, notes)
    return Adapted(adapted, additional, memo_of(request, names, output.tool))


# Tools


def _tools(
    request: Request, profile: Profile, names: ToolNames, adapter: PartAdapter, notes: list[Note]
) -> tuple[Tool, ...] | None:
    """The tools to declare, None for none. A choice among some of them is said by leaving the others out."""
    if not request.tools:
        return None
    if not profile.tools:
        notes.append(Note("tools", "dropped", "this model calls no tools"))
        return None
    allowed = _allowed(request)
    found: list[Tool] = []
    for number, tool in enumerate(request.tools):
        if allowed is None or tool.name in allowed:
            found += _tool(tool, f"tools[{number}]", profile, names, adapter, notes)
    if allowed is not None and len(found) < len(request.tools):
        notes.append(Note("tool_choice", "changed", "the tools that may not be called were left out"))
    return tuple(found) or None


def _allowed(request: Request) -> set[str] | None:
    """The names of the tools that the choice allows, None for all. Of "none", those stay that the history calls."""
    choice = request.tool_choice
    if choice is not None and choice.mode == "allowed":
        return set(choice.names or ())
    if choice is not None and choice.mode == "none":
        return {part.name for message in request.messages for part in message.parts if type(part) is ToolCall}
    return None


def _tool(
    tool: Tool, path: str, profile: Profile, names: ToolNames, adapter: PartAdapter, notes: list[Note]
) -> list[Tool]:
    if tool.kind == "server":
        return _system_tool(tool, path, adapter, notes)
    notes += leftovers(path, tool.extras)
    cache = adapter.cache(tool.cache, path)
    name = names.write(tool.name)
    if name != tool.name:
        notes.append(Note(f"{path}.name", "changed", f"{tool.name!r} became {name!r}; answers name it as before"))
    strict = tool.strict
    if strict is not None and not profile.strict_tools:
        if strict:
            notes.append(Note(f"{path}.strict", "dropped", "this model does not enforce schemas"))
        strict = None
    if tool.kind == "custom" and tool.format is not None and tool.format.get("type") != "text":
        notes.append(Note(f"{path}.format", "dropped", "inputs follow no grammar here"))
    schema = FREE_FORM if tool.kind == "custom" else object_schema(tool.parameters)
    return [Tool(name, description=tool.description or None, parameters=schema, strict=strict, cache=cache)]


def _system_tool(tool: Tool, path: str, adapter: PartAdapter, notes: list[Note]) -> list[Tool]:
    """One that Bedrock runs itself. These have no settings, so nothing may narrow the caller's."""
    name = unversioned(tool.name)
    if name not in SYSTEM_TOOLS.values():
        notes.append(Note(path, "dropped", f"Bedrock runs no tool {tool.name!r}"))
        return []
    notes += leftovers(path, tool.extras)
    if sayable(tool, path, (), notes, "Bedrock") is None:
        return []
    return [Tool(name, "server", cache=adapter.cache(tool.cache, path))]


def _tools_of(messages: tuple[Message, ...], notes: list[Note]) -> tuple[Tool, ...] | None:
    """A bare declaration for each tool that the history calls: Bedrock refuses calls without a toolConfig."""
    parts = [part for message in messages for part in message.parts]
    called = dict.fromkeys(part.name for part in parts if type(part) is ToolCall)
    if not called and any(type(part) is ToolResult for part in parts):
        called = {_UNKNOWN_TOOL: None}
    if not called:
        return None
    notes.append(Note("tools", "added", f"the history calls tools, so they must be declared: {', '.join(called)}"))
    return tuple(Tool(name, parameters=object_schema(None)) for name in called)


def _choice(request: Request, tools: tuple[Tool, ...] | None, names: ToolNames, notes: list[Note]) -> ToolChoice | None:
    """auto, any or one tool; `allowed` has already left its mark on the tools."""
    choice = request.tool_choice
    if choice is None:
        return None
    notes += leftovers("tool_choice", choice.extras)
    if tools is None:
        if choice.mode in ("required", "tool"):
            notes.append(Note("tool_choice", "dropped", "there are no tools to choose from"))
        return None
    if choice.mode == "none":
        notes.append(Note("tool_choice", "weakened", "tools that the history calls are declared, so may be called"))
        return None
    if choice.mode == "allowed":
        return ToolChoice("required" if choice.allowed_mode == "required" else "auto")
    if choice.mode != "tool":
        return ToolChoice(choice.mode)
    name = names.write(choice.name or "")
    if any(tool.name == name for tool in tools):
        return ToolChoice("tool", name)
    notes.append(Note("tool_choice", "dropped", f"there is no tool {choice.name!r} to choose"))
    return None


def _with_json_tool(
    tools: tuple[Tool, ...] | None, choice: ToolChoice | None, output: Output, notes: list[Note]
) -> tuple[tuple[Tool, ...] | None, ToolChoice | None]:
    """With the tool that stands for a JSON answer: the only one is forced, beside others any of them is."""
    if output.tool is None:
        return tools, choice
    if tools is None:
        return (output.tool,), ToolChoice("tool", output.tool.name)
    if choice is not None and choice.mode == "tool":
        notes.append(Note("response_format", "dropped", "the choice of a tool leaves no place for a formatted answer"))
        return tools, choice
    if choice is not None and choice.mode == "required":
        notes.append(Note("tool_choice", "weakened", "the formatted answer is one of the tools to choose from"))
    return (*tools, output.tool), ToolChoice("required")


def _one_call_at_a_time(
    choice: ToolChoice | None, profile: Profile, additional: Values, notes: list[Note]
) -> ToolChoice | None:
    """Claude's own tool choice, in place of Converse's: two that force are refused together."""
    if profile.parallel_tool_switch and (choice is None or choice.mode == "auto"):
        additional.update(write_parallel(False))
        return None
    if "parallel_tool_calls" in profile.renames:
        put_at(additional, profile.renames["parallel_tool_calls"], False)
    else:
        notes.append(Note("parallel_tool_calls", "dropped", "Converse has no place for it"))
    return choice


# Fields


def _additional(request: Request, profile: Profile, forced: bool, notes: list[Note]) -> Values:
    found = {**adapt_reasoning(request, profile, notes), **adapt_betas(request, profile, notes)}
    if forced and _claude_thinks(found):
        del found["thinking"]
        kind: Literal["weakened", "dropped"] = "weakened" if "output_config" in found else "dropped"
        notes.append(Note("reasoning", kind, "a forced tool and thinking exclude each other"))
    if request.top_k is not None:
        if _claude_thinks(found):
            notes.append(Note("top_k", "dropped", "not together with thinking"))
        else:
            put_at(found, profile.renames.get("top_k", "top_k"), request.top_k)
    for name, silent, value in UNSPEAKABLE.of(request):
        if name in profile.renames:
            put_at(found, profile.renames[name], list(value) if isinstance(value, tuple) else value)
        elif value not in silent:
            notes.append(Note(name, "dropped", "Converse has no place for it"))
    if request.reasoning is not None:
        notes += leftovers("reasoning", request.reasoning.extras)
    return found


def _claude_thinks(additional: Values) -> bool:
    """Whether the restrictions of Claude's thinking hold.

    Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking
    """
    thinking = additional.get("thinking")
    return isinstance(thinking, dict) and ("budget_tokens" in thinking or thinking.get("type") == "adaptive")


def _limits(request: Request, profile: Profile, additional: Values, notes: list[Note]) -> dict[str, Any]:
    """Length and sampling, by field name."""
    temperature, top_p = request.temperature, request.top_p
    most, tokens = profile.max_output_tokens, request.max_tokens
    if most is not None and tokens is not None and tokens > most:
        notes.append(Note("max_tokens", "changed", f"this model writes at most {most}"))
        tokens = most
    if temperature is not None and temperature > 1:
        notes.append(Note("temperature", "changed", "Converse goes up to 1"))
        temperature = 1
    if _claude_thinks(additional):
        if temperature is not None and temperature != 1:
            notes.append(Note("temperature", "dropped", "not together with thinking"))
            temperature = None
        if top_p is not None and top_p < 0.95:
            notes.append(Note("top_p", "dropped", "not below 0.95 together with thinking"))
            top_p = None
    if temperature is not None and top_p is not None and profile.exclusive_sampling:
        notes.append(Note("top_p", "dropped", "this model takes either temperature or top_p"))
        top_p = None
    stop = (request.stop,) if isinstance(request.stop, str) else request.stop
    stop = None if stop is None else tuple(sequence for sequence in stop if sequence) or None
    return {"max_tokens": tokens, "temperature": temperature, "top_p": top_p, "stop": stop}


def _metadata(metadata: dict[str, Any] | None, notes: list[Note]) -> dict[str, str] | None:
    """`requestMetadata`: at most 16 pairs of short plain texts."""
    found: dict[str, str] = {}
    for key, value in (metadata or {}).items():
        text = wire.as_text(value)
        fits = all(len(word) <= _LONGEST_METADATA and _METADATA.fullmatch(word) for word in (key, text))
        if not fits or not key or len(found) == _MOST_METADATA:
            notes.append(Note(f"metadata.{key}", "dropped", "requestMetadata takes 16 short texts of plain characters"))
            continue
        if text is not value:
            notes.append(Note(f"metadata.{key}", "changed", "written as text"))
        found[key] = text
    return found or None


def _service_tier(tier: str | None, notes: list[Note]) -> str | None:
    if tier is not None and tier not in SERVICE_TIERS:
        notes.append(Note("service_tier", "dropped", f"Bedrock has no tier {tier!r}"))
    return SERVICE_TIERS.get(tier or "auto")

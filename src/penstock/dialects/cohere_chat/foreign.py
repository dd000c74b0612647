"""Another dialect's request as a request of this one: every field of Request is said here, or noted.

The result holds only what `request.py` writes one to one. What differs most:

- one instruction stands before the conversation; the results of calls follow right after the calls
- a forced tool is the only one that is declared, together with REQUIRED
- a JSON answer and tools or documents exclude each other: beside tools, a tool takes the JSON; documents become texts
- limits are narrower: temperature and penalties from 0 to 1, `p` below 1, `k` up to 500, five stop sequences

Source: https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.dialects import reasoning as effort_table
from penstock.dialects.cohere_chat.foreign_parts import PartAdapter
from penstock.dialects.cohere_chat.names import NAME
from penstock.dialects.cohere_chat.turns import adapt_turns
from penstock.dialects.json_answer import JSON_TOOL, JSON_TOOL_TASK, json_instruction
from penstock.dialects.json_schema import object_schema, without_refused
from penstock.dialects.leftovers import leftovers
from penstock.dialects.said import Said, note_unspeakable
from penstock.dialects.tool_ids import with_tool_ids
from penstock.dialects.tool_memo import FREE_FORM, ToolNames, memo_of, tool_names_of
from penstock.types.content import Text
from penstock.types.notes import Memo, Note
from penstock.types.profile import Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice

UNSPEAKABLE: Said[tuple[Any, ...]] = Said(
    {
        "parallel_tool_calls": (True,),
        "logit_bias": ({},),
        "top_logprobs": (0,),
        "n": (1,),
        "verbosity": (),
        "modalities": (("text",), ()),
        "audio": (),
        "service_tier": ("auto", "default", "standard"),
        "user": (),
        "safety_identifier": (),
        "prompt_cache_key": (),
        "prompt_cache_retention": ("in_memory", "in-memory"),
        "cache": (),
        "betas": ((),),
        "metadata": ({},),
        "store": (False,),
    }
)
"""Fields of Request that Cohere has no place for, with the values that ask for nothing (and so are no loss)."""

RANGES: Said[tuple[float, float]] = Said(
    {
        "temperature": (0, 1),
        "top_p": (0.01, 0.99),
        "top_k": (0, 500),
        "presence_penalty": (0, 1),
        "frequency_penalty": (0, 1),
    }
)
"""Least and greatest value of each number."""

MOST_STOPS = 5

_BAD_IN_NAME = re.compile(r"[^a-zA-Z0-9_]")
_LONGEST_NAME = 64
"""Names of tools: letters, digits and underscores, not a digit first (https://docs.cohere.com/v1/reference/chat)."""


class Output(Struct, frozen=True):
    """How a foreign request's format is said here: natively, by a tool, or in words."""

    format: ResponseFormat | None = None
    tool: Tool | None = None
    prompt: str | None = None


def adapt(request: Request, profile: Profile, notes: list[Note]) -> tuple[Request, Memo]:
    """`request` as one of this dialect, and the memo for the answer. `notes` grows."""
    request = with_tool_ids(request)
    notes += leftovers("", request.extras)
    names = ToolNames(tool_names_of(request), _BAD_IN_NAME, _LONGEST_NAME, "_")
    tools, choice = _adapt_tools(request, profile, names, notes)
    if choice is not None and choice.mode == "none" and _is_json(request.response_format):
        notes.append(Note("tools", "changed", "tools that may not be called were left out, since they exclude JSON"))
        tools, choice = (), None
    output = _plan_output(request, tools, choice, profile, names, notes)
    reasoning = _adapt_reasoning(request.reasoning, profile, notes)
    thinks = profile.reasoning != "none" and (reasoning is None or reasoning.enabled is not False)
    adapter = PartAdapter(notes, profile, names, thinks, output.format is None)
    messages = adapt_turns(request, adapter)
    if output.prompt is not None:
        messages = _instructed(messages, output.prompt)
    if output.tool is not None:
        tools, choice = (*tools, output.tool), ToolChoice("required")
    note_unspeakable(UNSPEAKABLE, request, "Cohere has no such field", notes)
    adapted = Request(
        dialect=NAME,
        model=request.model,
        messages=messages,
        tools=tools or None,
        tool_choice=choice,
        response_format=output.format,
        reasoning=reasoning,
        logprobs=request.logprobs,
        stream=request.stream,
        **_limits(request, profile, notes),
    )
    return adapted, memo_of(request, names, output.tool)


def _instructed(messages: tuple[Message, ...], prompt: str) -> tuple[Message, ...]:
    """The messages with one more paragraph of instruction."""
    if messages and messages[0].role == "system":
        first = messages[0]
        parts = tuple(replace(part, native="text") if type(part) is Text else part for part in first.parts)
        return (replace(first, parts=(*parts, Text(prompt, native="text"))), *messages[1:])
    return (Message("system", (Text(prompt),)), *messages)


# Tools


def _adapt_tools(
    request: Request, profile: Profile, names: ToolNames, notes: list[Note]
) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """The tools to declare, and the choice among them. A choice of some is said by leaving the others out."""
    choice = request.tool_choice
    if choice is not None:
        notes += leftovers("tool_choice", choice.extras)
    if request.tools and not profile.tools:
        notes.append(Note("tools", "dropped", "this model calls no tools"))
        return (), _adapt_choice(choice, False, notes)
    wanted = _wanted(choice)
    found: list[Tool] = []
    for number, tool in enumerate(request.tools or ()):
        if wanted is None or tool.name in wanted:
            found += _adapt_tool(tool, f"tools[{number}]", profile, names, notes)
    if wanted is not None and request.tools and len(found) < len(request.tools):
        notes.append(Note("tool_choice", "changed", "the tools that may not be called were left out"))
    tools = _with_one_strictness(tuple(found), profile, notes)
    return tools, _adapt_choice(choice, bool(tools), notes)


def _wanted(choice: ToolChoice | None) -> set[str] | None:
    """The names of the tools that the choice leaves, None for all."""
    if choice is None or choice.mode not in ("tool", "allowed"):
        return None
    return {choice.name or ""} if choice.mode == "tool" else set(choice.names or ())


def _adapt_choice(choice: ToolChoice | None, tools: bool, notes: list[Note]) -> ToolChoice | None:
    if choice is None or choice.mode == "auto":
        return None
    if not tools:
        if choice.mode != "none":
            notes.append(Note("tool_choice", "dropped", "there are no tools to choose from"))
        return None
    if choice.mode == "none":
        return ToolChoice("none")
    optional = choice.mode == "allowed" and choice.allowed_mode != "required"
    return None if optional else ToolChoice("required")


def _adapt_tool(tool: Tool, path: str, profile: Profile, names: ToolNames, notes: list[Note]) -> list[Tool]:
    if tool.kind == "server":
        notes.append(Note(path, "dropped", f"Cohere runs no tool {tool.name!r}"))
        return []
    notes += leftovers(path, tool.extras)
    if tool.cache is not None:
        notes.append(Note(f"{path}.cache", "dropped", "Cohere has no cache markers"))
    if tool.kind == "custom" and tool.format is not None and tool.format.get("type") != "text":
        notes.append(Note(f"{path}.format", "dropped", "inputs follow no grammar here"))
    name = names.write(tool.name)
    if name != tool.name:
        notes.append(Note(f"{path}.name", "changed", f"{tool.name!r} became {name!r}; answers name it as before"))
    schema = FREE_FORM if tool.kind == "custom" else object_schema(tool.parameters)
    schema = without_refused(schema, profile.schema_unsupported, f"{path}.parameters", notes)
    return [Tool(name, description=tool.description, parameters=schema, strict=tool.strict)]


def _with_one_strictness(tools: tuple[Tool, ...], profile: Profile, notes: list[Note]) -> tuple[Tool, ...]:
    """`strict_tools` is for all or none, and takes only tools with a required parameter."""
    if all(tool.strict is None for tool in tools):
        return tools
    if not any(tool.strict for tool in tools):
        return tuple(replace(tool, strict=None) for tool in tools)
    able = all(tool.strict and (tool.parameters or {}).get("required") for tool in tools)
    if able and profile.strict_tools:
        return tools
    why = (
        "strict_tools is for all tools, each with a required parameter" if profile.strict_tools else "not enforced here"
    )
    notes += [Note(f"tools[{number}].strict", "dropped", why) for number, tool in enumerate(tools) if tool.strict]
    return tuple(replace(tool, strict=None) for tool in tools)


# Structured output


def _is_json(wanted: ResponseFormat | None) -> bool:
    return wanted is not None and wanted.kind != "text"


def _plan_output(
    request: Request,
    tools: tuple[Tool, ...],
    choice: ToolChoice | None,
    profile: Profile,
    names: ToolNames,
    notes: list[Note],
) -> Output:
    """The way that the profile's level and the tools allow."""
    wanted = request.response_format
    if wanted is None or wanted.kind == "text":
        return Output()
    notes += leftovers("response_format", wanted.extras)
    level = profile.structured_output
    schema = wanted.schema if wanted.kind == "json_schema" else None
    if level == "none" or (choice is not None and tools):
        why = "this model has no structured output" if level == "none" else "a tool is forced"
        notes.append(Note("response_format", "dropped", why))
        return Output()
    if level == "prompt" or (level == "json_object" and tools):
        notes.append(Note("response_format", "weakened", "the format was put into the instruction"))
        return Output(prompt=json_instruction(schema))
    if (tools or level == "tool") and profile.tools:
        return Output(tool=_json_tool(wanted, schema, names))
    return _native_output(wanted, schema, profile, notes)


def _native_output(
    wanted: ResponseFormat, schema: dict[str, Any] | None, profile: Profile, notes: list[Note]
) -> Output:
    if schema is None:
        return Output(ResponseFormat("json_object"))
    if profile.structured_output != "json_schema":
        notes.append(Note("response_format", "weakened", "this model has no schema mode: the schema is in the prompt"))
        return Output(ResponseFormat("json_object"), prompt=json_instruction(schema))
    if wanted.description is not None and "description" not in schema:
        schema = {**schema, "description": wanted.description}
    schema = without_refused(schema, profile.schema_unsupported, "response_format.schema", notes)
    return Output(ResponseFormat("json_schema", schema))


def _json_tool(wanted: ResponseFormat, schema: dict[str, Any] | None, names: ToolNames) -> Tool:
    task = wanted.description or JSON_TOOL_TASK
    return Tool(names.free(JSON_TOOL), description=task, parameters=object_schema(schema))


# Reasoning


def _adapt_reasoning(wanted: Reasoning | None, profile: Profile, notes: list[Note]) -> Reasoning | None:
    """`thinking`: a switch, and a budget where one was asked for in tokens or in words."""
    if wanted is None:
        return None
    notes += leftovers("reasoning", wanted.extras)
    wanted = effort_table.with_known_effort(wanted, notes)
    if wanted.summary is not None:
        notes.append(Note("reasoning.summary", "dropped", "Cohere shows its thoughts, and no summary of them"))
    if wanted.include is False:
        notes.append(Note("reasoning.include", "dropped", "Cohere always shows its thoughts"))
    tokens = effort_table.budget(wanted)
    if tokens is None:
        return None
    if profile.reasoning == "none":
        if tokens:
            notes.append(Note("reasoning", "dropped", "this model cannot be asked to reason"))
        return None
    if not tokens:
        return Reasoning(enabled=False)
    asked = wanted.budget_tokens is not None or wanted.effort is not None
    if asked and profile.reasoning == "switch":
        notes.append(Note("reasoning", "weakened", "this model's thinking is only switched on or off"))
        asked = False
    return Reasoning(enabled=True, budget_tokens=tokens if asked else None)


# Limits


def _limits(request: Request, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    """Length, sampling and stop sequences, by field name."""
    found: dict[str, Any] = {name: _within(name, value, range, notes) for name, range, value in RANGES.of(request)}
    most, tokens = profile.max_output_tokens, request.max_tokens
    if most is not None and tokens is not None and tokens > most:
        notes.append(Note("max_tokens", "changed", f"this model writes at most {most}"))
        tokens = most
    if request.seed is not None and request.seed < 0:
        notes.append(Note("seed", "dropped", "a seed is not negative here"))
    elif request.seed is not None:
        found["seed"] = request.seed
    if profile.exclusive_sampling and found.keys() >= {"temperature", "top_p"}:
        notes.append(Note("top_p", "dropped", "this model takes either temperature or top_p"))
        del found["top_p"]
    if request.stop:
        found["stop"] = _stop(request.stop, notes)
    found["max_tokens"] = tokens
    return found


def _within(name: str, value: Any, range: tuple[float, float], notes: list[Note]) -> Any:
    least, most = range
    kept = value if least <= value <= most else max(least, min(most, value))
    if name == "top_k":
        kept = int(kept)
    if kept != value:
        notes.append(Note(name, "changed", f"{value} became {kept}: Cohere goes from {least} to {most}"))
    return kept


def _stop(stop: str | tuple[str, ...], notes: list[Note]) -> tuple[str, ...] | None:
    sequences = (stop,) if isinstance(stop, str) else stop
    kept = tuple(sequence for sequence in sequences if sequence)[:MOST_STOPS]
    if len(kept) < len(sequences):
        notes.append(Note("stop", "dropped", f"at most {MOST_STOPS} stop sequences, none of them empty"))
    return kept or None

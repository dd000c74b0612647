"""Another dialect's request as a request of this one: every field of Request is said here, or noted.

The result holds only what `request.py` writes one to one. What differs most:

- a message has one text, and beside it images as bytes
- results of calls are messages of their own, with the tool's name
- there is no way to force a tool, nor to forbid them but not to declare them
- most models switch thinking on or off; only those whose profile says so know levels

Source: https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import reasoning as effort_table
from penstock.dialects.json_answer import json_instruction
from penstock.dialects.json_schema import object_schema, without_refused
from penstock.dialects.leftovers import leftovers
from penstock.dialects.ollama_chat.foreign_parts import PartAdapter
from penstock.dialects.ollama_chat.names import NAME
from penstock.dialects.plain import plain_text
from penstock.dialects.said import Said, note_unspeakable
from penstock.dialects.tool_ids import tool_names, with_tool_ids
from penstock.dialects.tool_memo import FREE_FORM
from penstock.types.content import Part, Text, ToolCall, ToolResult
from penstock.types.notes import Memo, Note
from penstock.types.profile import Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Role, Tool, ToolChoice

UNSPEAKABLE: Said[tuple[Any, ...]] = Said(
    {
        "parallel_tool_calls": (True,),
        "logit_bias": ({},),
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
"""Fields of Request that Ollama has no place for, with the values that ask for nothing (and so are no loss)."""

LEVELS = ("low", "medium", "high")
"""The words of `think` that every model with levels knows."""

MOST_TOP_LOGPROBS = 20
PLACEHOLDER = "."
NO_RESULT = "This call was not answered."


def adapt(request: Request, profile: Profile, notes: list[Note]) -> tuple[Request, Memo]:
    """`request` as one of this dialect, and the memo for the answer. `notes` grows."""
    request = with_tool_ids(request)
    notes += leftovers("", request.extras)
    adapter = PartAdapter(notes, tool_names(request.messages))
    messages = _adapt_messages(request, adapter, profile, notes)
    wanted, prompt = _adapt_format(request.response_format, profile, notes)
    if prompt is not None:
        messages = (Message("system", (Text(prompt),)), *messages)
    note_unspeakable(UNSPEAKABLE, request, "Ollama has no such field", notes)
    adapted = Request(
        dialect=NAME,
        model=request.model,
        messages=messages,
        tools=_adapt_tools(request, profile, notes) or None,
        response_format=wanted,
        reasoning=_adapt_reasoning(request.reasoning, profile, notes),
        logprobs=request.logprobs,
        top_logprobs=_top_logprobs(request.top_logprobs, notes),
        max_tokens=_limit(request.max_tokens, profile, notes),
        temperature=request.temperature,
        top_p=_top_p(request, profile, notes),
        top_k=_top_k(request.top_k, notes),
        seed=request.seed,
        stop=_stop(request.stop),
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        stream=bool(request.stream),
    )
    custom = frozenset(tool.name for tool in request.tools or () if tool.kind == "custom")
    return adapted, Memo(custom_tools=custom)


# Messages


def _adapt_messages(request: Request, adapter: PartAdapter, profile: Profile, notes: list[Note]) -> tuple[Message, ...]:
    found: list[Message] = []
    if request.system:
        found.append(Message("system", adapter.joined(request.system, "system", "system")))
    for number, message in enumerate(request.messages):
        found += _adapt_message(message, f"messages[{number}]", adapter, notes)
    if profile.repair_turns:
        found = _repaired(found, notes)
    return tuple(found)


def _adapt_message(message: Message, path: str, adapter: PartAdapter, notes: list[Note]) -> list[Message]:
    """One message as one or several: tool results first, then what else the turn holds."""
    text = plain_text(message)
    if text is not None:
        return [Message(_ROLES.get(message.role, message.role), (text,))]
    notes += leftovers(path, message.extras)
    if message.name is not None:
        notes.append(Note(f"{path}.name", "dropped", "messages have no names"))
    if message.cache is not None:
        notes.append(Note(f"{path}.cache", "dropped", "Ollama has no cache markers"))
    results: list[Message] = []
    kept: dict[int, Part] = {}
    for number, part in enumerate(message.parts):
        if isinstance(part, ToolResult) and message.role in ("user", "tool"):
            results.append(Message("tool", (adapter.result(part, f"{path}.parts[{number}]"),)))
        else:
            kept[number] = part
    if results and not kept:
        return results
    parts = adapter.joined(kept, message.role, f"{path}.parts")
    if not parts:
        if not message.parts:
            notes.append(Note(path, "dropped", "an empty message says nothing"))
        return results
    return [*results, Message(_ROLES.get(message.role, message.role), parts)]


_ROLES: dict[Role, Role] = {"developer": "system", "tool": "user"}
"""The roles of the turns that Ollama calls otherwise. (A tool's results are messages of their own.)"""


def _repaired(messages: list[Message], notes: list[Note]) -> list[Message]:
    """With a result for each call, and a user's word where there is none."""
    found: list[Message] = []
    waiting: dict[str | None, str] = {}
    for message in [*messages, None]:
        result = message.parts[0] if message is not None and message.parts else None
        if isinstance(result, ToolResult):
            waiting.pop(result.call_id, None)
        else:
            for call_id, name in waiting.items():
                found.append(Message("tool", (ToolResult(call_id, (Text(NO_RESULT),), name),)))
                notes.append(Note("messages", "added", f"a result for the call {call_id!r}, which has none"))
            waiting = {}
        if message is not None:
            found.append(message)
            waiting |= {part.call_id: part.name for part in message.parts if type(part) is ToolCall}
    if not any(message.role in ("user", "tool") for message in found):
        found.append(Message("user", (Text(PLACEHOLDER),)))
        notes.append(Note("messages", "added", "a user's word"))
    return found


# Tools


def _adapt_tools(request: Request, profile: Profile, notes: list[Note]) -> tuple[Tool, ...]:
    """The tools to declare. What a choice forbids is left out; what it forces, cannot be."""
    tools, choice = request.tools or (), request.tool_choice
    if choice is not None:
        notes += leftovers("tool_choice", choice.extras)
    if tools and not profile.tools:
        notes.append(Note("tools", "dropped", "this model calls no tools"))
        tools = ()
    if not tools:
        if choice is not None and choice.mode not in ("auto", "none"):
            notes.append(Note("tool_choice", "dropped", "there are no tools to choose from"))
        return ()
    wanted = _wanted(choice)
    found = [
        adapted
        for number, tool in enumerate(tools)
        if wanted is None or tool.name in wanted
        for adapted in _adapt_tool(tool, f"tools[{number}]", profile, notes)
    ]
    if wanted is not None and len(found) < len(tools):
        notes.append(Note("tool_choice", "changed", "the tools that may not be called were left out"))
    forced = choice is not None and (choice.mode in ("required", "tool") or choice.allowed_mode == "required")
    if forced:
        notes.append(Note("tool_choice", "weakened", "Ollama cannot force a call: the model is free not to"))
    return tuple(found)


def _wanted(choice: ToolChoice | None) -> set[str] | None:
    """The names of the tools that the choice leaves, None for all."""
    if choice is None or choice.mode in ("auto", "required"):
        return None
    return {choice.name or ""} if choice.mode == "tool" else set(choice.names or ())


def _adapt_tool(tool: Tool, path: str, profile: Profile, notes: list[Note]) -> list[Tool]:
    if tool.kind == "server":
        notes.append(Note(path, "dropped", f"Ollama runs no tool {tool.name!r}"))
        return []
    notes += leftovers(path, tool.extras)
    if tool.cache is not None:
        notes.append(Note(f"{path}.cache", "dropped", "Ollama has no cache markers"))
    if tool.strict:
        notes.append(Note(f"{path}.strict", "dropped", "Ollama does not enforce the schemas of tools"))
    if tool.kind == "custom" and tool.format is not None and tool.format.get("type") != "text":
        notes.append(Note(f"{path}.format", "dropped", "inputs follow no grammar here"))
    schema = FREE_FORM if tool.kind == "custom" else object_schema(tool.parameters)
    schema = without_refused(schema, profile.schema_unsupported, f"{path}.parameters", notes)
    return [Tool(tool.name, description=tool.description, parameters=schema)]


# Structured output


def _adapt_format(
    wanted: ResponseFormat | None, profile: Profile, notes: list[Note]
) -> tuple[ResponseFormat | None, str | None]:
    """(the format, an instruction that stands in for it or goes with it)."""
    if wanted is None or wanted.kind == "text":
        return None, None
    notes += leftovers("response_format", wanted.extras)
    level = profile.structured_output
    schema = wanted.schema if wanted.kind == "json_schema" else None
    if level == "none":
        notes.append(Note("response_format", "dropped", "this model has no structured output"))
        return None, None
    if level in ("prompt", "tool"):
        notes.append(Note("response_format", "weakened", "the format was put into the instruction"))
        return None, json_instruction(schema)
    if schema is None:
        return ResponseFormat("json_object"), None
    if level == "json_object":
        notes.append(Note("response_format", "weakened", "this model has no schema mode: the schema is in the prompt"))
        return ResponseFormat("json_object"), json_instruction(schema)
    if wanted.description is not None and "description" not in schema:
        schema = {**schema, "description": wanted.description}
    schema = without_refused(schema, profile.schema_unsupported, "response_format.schema", notes)
    return ResponseFormat("json_schema", schema), None


# Reasoning


def _adapt_reasoning(wanted: Reasoning | None, profile: Profile, notes: list[Note]) -> Reasoning | None:
    """`think`: a word for models with levels (`profile.reasoning` effort or level), else a switch."""
    if wanted is None:
        return None
    notes += leftovers("reasoning", wanted.extras)
    wanted = effort_table.with_known_effort(wanted, notes)
    if wanted.summary is not None:
        notes.append(Note("reasoning.summary", "dropped", "Ollama shows the thoughts, and no summary of them"))
    if wanted.include is False:
        notes.append(Note("reasoning.include", "dropped", "Ollama shows the thoughts of a model that thinks"))
    tokens = effort_table.budget(wanted)
    if tokens is None:
        return None
    if profile.reasoning == "none":
        if tokens:
            notes.append(Note("reasoning", "dropped", "this model cannot be asked to reason"))
        return None
    if profile.reasoning in ("effort", "level") and (tokens or "none" not in (profile.reasoning_efforts or ("none",))):
        return _graded(wanted, profile, notes)
    if not tokens:
        return Reasoning(enabled=False)
    if wanted.effort is not None or wanted.budget_tokens is not None:
        notes.append(Note("reasoning", "weakened", "this model's thinking is only switched on or off"))
    return Reasoning(enabled=True)


def _graded(wanted: Reasoning, profile: Profile, notes: list[Note]) -> Reasoning:
    """The word for a model with levels. Some have no word for no thinking at all: then the weakest is the nearest."""
    known = profile.reasoning_efforts or LEVELS
    asked = effort_table.effort(wanted)
    word = effort_table.effort(wanted, known)
    if wanted.budget_tokens is not None:
        notes.append(Note("reasoning.budget_tokens", "changed", f"Ollama takes a word, no number of tokens: {word}"))
    elif word != asked:
        path = "reasoning.effort" if wanted.effort is not None else "reasoning.enabled"
        notes.append(Note(path, "weakened", f"this model thinks {', '.join(known)}: {word} is the nearest"))
    return Reasoning(word)


# Limits


def _limit(tokens: int | None, profile: Profile, notes: list[Note]) -> int | None:
    most = profile.max_output_tokens
    if most is None or tokens is None or tokens <= most:
        return tokens
    notes.append(Note("max_tokens", "changed", f"this model writes at most {most}"))
    return most


def _top_p(request: Request, profile: Profile, notes: list[Note]) -> float | None:
    if request.top_p is None or request.temperature is None or not profile.exclusive_sampling:
        return request.top_p
    notes.append(Note("top_p", "dropped", "this model takes either temperature or top_p"))
    return None


def _top_k(value: float | None, notes: list[Note]) -> int | None:
    if value is not None and value != int(value):
        notes.append(Note("top_k", "changed", "it is a whole number here"))
    return None if value is None else int(value)


def _top_logprobs(value: int | None, notes: list[Note]) -> int | None:
    if value is None or value <= MOST_TOP_LOGPROBS:
        return value
    notes.append(Note("top_logprobs", "changed", f"Ollama gives at most {MOST_TOP_LOGPROBS}"))
    return MOST_TOP_LOGPROBS


def _stop(stop: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    sequences = (stop,) if isinstance(stop, str) else stop or ()
    return tuple(sequence for sequence in sequences if sequence) or None

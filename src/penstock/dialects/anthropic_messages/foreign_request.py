"""Another dialect's request as a request of this one: every field of Request is said here, or noted.

The order matters where one field restrains another: tools before messages (their names), messages before thinking (an
unfinished turn), thinking before sampling.
"""

from __future__ import annotations

import re
from typing import Any

from penstock.dialects.anthropic_messages.access import write_cache
from penstock.dialects.anthropic_messages.foreign import Draft
from penstock.dialects.anthropic_messages.foreign_tools import write_server_tool
from penstock.dialects.anthropic_messages.formats import Output, plan_output
from penstock.dialects.anthropic_messages.server_parts import write_server_result
from penstock.dialects.anthropic_messages.thinking import ANSWER_SHARE, Plan, plan_reasoning
from penstock.dialects.anthropic_messages.tools import Names, own_name, write_tool_choice
from penstock.dialects.anthropic_messages.turns import begins_without_thought, write_turns
from penstock.dialects.json_answer import JSON_TOOL
from penstock.dialects.json_schema import object_schema
from penstock.dialects.leftovers import leftovers
from penstock.dialects.said import Said, note_unspeakable
from penstock.dialects.tool_ids import with_tool_ids
from penstock.types.content import ServerToolResult, ToolCall
from penstock.types.notes import Memo, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Request, Tool, ToolChoice

Body = dict[str, Any]

NO_FIELD = "the API has no such field"

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
        "modalities": (("text",),),
        "audio": (),
        "prompt_cache_key": (),
        "prompt_cache_retention": ("in_memory", "in-memory"),
        "store": (False,),
    }
)
"""Fields of Request that the API cannot say, with the values that ask for nothing (and so are no loss)."""

SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard": "standard_only", "priority": "auto"}
"""Unified tier -> `service_tier` of the request. "auto" uses priority capacity where the account has it."""

_PERSONAL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|\+[\d\s().-]{7,}")
"""What looks like an e-mail address or a telephone number (a plain number is an id): both are forbidden as `user_id`.
"""


def write_foreign(request: Request, profile: Profile) -> Rendered[Body]:
    """The request body, its notes, and the memo for the answer."""
    request = with_tool_ids(request)
    draft = Draft(profile, Names(_valid_first(request)))
    draft.notes += leftovers("", request.extras)
    body: Body = {} if request.model is None else {"model": request.model}
    tools = _write_tools(request, draft)
    draft.server_tools = frozenset(tool.name for tool in request.tools or () if tool.kind == "server")
    draft.answered = _answered(request)
    turns = write_turns(request, draft)
    if not tools and profile.repair_turns:
        tools = _tools_of_history(turns.turns, draft)
    output = plan_output(request.response_format, profile, draft.notes)
    json_tool = _write_choice(request, tools, output, body, draft)
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    plan = plan_reasoning(request, profile, forced, begins_without_thought(turns.turns), draft.notes)
    if output.prompt is not None:
        turns.system.append({"type": "text", "text": output.prompt})
    body["messages"] = [turn.message() for turn in turns.turns]
    if turns.system:
        body["system"] = turns.system
    if tools:
        body["tools"] = tools
    if draft.servers:
        body["mcp_servers"] = draft.servers
    _write_limits(request, plan, body, draft)
    _write_output(output, plan, body)
    _write_sampling(request, plan, body, draft)
    _write_account(request, body, draft)
    note_unspeakable(UNSPEAKABLE, request, NO_FIELD, draft.notes)
    draft.limit_markers(0 if request.cache is None else 1)
    memo = Memo(draft.names.changed(), json_tool, frozenset(draft.custom_tools))
    return Rendered(body, tuple(draft.notes), memo)


def _answered(request: Request) -> frozenset[str | None]:
    """The ids of calls of the provider's tools whose results have blocks here."""
    return frozenset(
        part.call_id
        for message in request.messages
        if message.role == "assistant"
        for part in message.parts
        if type(part) is ServerToolResult and write_server_result(part, "", []) is not None
    )


def _valid_first(request: Request) -> list[str]:
    """Names that may stay as they are; they are reserved before others are fitted around them."""
    return [tool.name for tool in request.tools or () if tool.kind != "server"] + [
        part.name for message in request.messages for part in message.parts if type(part) is ToolCall
    ]


def _write_tools(request: Request, draft: Draft) -> list[Body]:
    """`tools`. A choice among some of them is said by leaving the others out."""
    if not request.tools:
        return []
    if not draft.profile.tools:
        draft.note("tools", "dropped", "this model calls no tools")
        return []
    choice = request.tool_choice
    allowed = frozenset(choice.names or ()) if choice is not None and choice.mode == "allowed" else None
    if allowed is not None:
        draft.note("tool_choice", "changed", "the tools that are not allowed were left out")
    found: list[Body] = []
    for number, tool in enumerate(request.tools):
        if allowed is None or tool.name in allowed or _label_of(tool) in allowed:
            found += _write_tool(tool, f"tools[{number}]", draft)
    return found


def _label_of(tool: Tool) -> str | None:
    """What a choice calls an MCP server."""
    return None if tool.settings is None else tool.settings.server_label


def _write_tool(tool: Tool, path: str, draft: Draft) -> list[Body]:
    if tool.kind == "server":
        return write_server_tool(tool, path, draft)
    draft.notes += leftovers(path, tool.extras)
    found: Body = {"name": draft.names.wire(tool.name)}
    if tool.description:
        found["description"] = tool.description
    found["input_schema"] = _input_schema(tool, path, draft)
    if tool.strict is not None and tool.kind == "function":
        if draft.profile.strict_tools:
            found["strict"] = tool.strict
        elif tool.strict:
            draft.note(f"{path}.strict", "dropped", "this host does not enforce schemas")
    return [draft.mark(found, tool.cache, path)]


_FREE_FORM: Body = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def _input_schema(tool: Tool, path: str, draft: Draft) -> Body:
    """The schema of the input: an object, since nothing else is taken. A free-form tool takes one string."""
    if tool.kind == "custom":
        draft.custom_tools.add(tool.name)
        if tool.format is not None and tool.format.get("type") != "text":
            draft.note(f"{path}.format", "dropped", "inputs follow no grammar here")
        return _FREE_FORM
    return object_schema(tool.parameters or None)


def _tools_of_history(turns: Any, draft: Draft) -> list[Body]:
    """A declaration for every tool that the history calls: without one, the API refuses the calls."""
    names = {block["name"] for turn in turns for block in turn.blocks if block["type"] == "tool_use"}
    if names:
        draft.note("tools", "added", "the history calls tools, so they must be declared")
    return [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in sorted(names)]


def _write_choice(request: Request, tools: list[Body], output: Output, body: Body, draft: Draft) -> str | None:
    """`tool_choice`, and the tool that takes a structured answer (its name is returned)."""
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    draft.notes += leftovers("tool_choice", None if choice is None else choice.extras)
    if output.tool is not None and not _must_call(choice):
        json_tool = draft.names.fresh(JSON_TOOL) if JSON_TOOL in draft.names.back else JSON_TOOL
        alone = not tools or (choice is not None and choice.mode == "none")
        tools.append({**output.tool, "name": json_tool})
        body["tool_choice"] = {"type": "tool", "name": json_tool} if alone else {"type": "any"}
        if parallel is False:
            body["tool_choice"]["disable_parallel_tool_use"] = True
        return json_tool
    if output.tool is not None:
        draft.note("response_format", "dropped", "where a tool must be called, there is no formatted answer")
    if choice is None and parallel is not False:
        return None
    if not tools:
        if choice is not None and choice.mode != "none":
            draft.note("tool_choice", "dropped", "there are no tools to choose from")
        return None
    body["tool_choice"] = _wire_choice(choice, parallel, tools, draft)
    return None


def _must_call(choice: ToolChoice | None) -> bool:
    if choice is None:
        return False
    return choice.mode in ("tool", "required") or choice.allowed_mode == "required"


def _wire_choice(choice: ToolChoice | None, parallel: bool | None, tools: list[Body], draft: Draft) -> Body:
    name = None if choice is None or choice.name is None else draft.names.wire(choice.name)
    if choice is not None and name is not None:
        declared = {tool.get("name") for tool in tools}
        name = name if name in declared else own_name(choice.name or "")
        if name not in declared:
            draft.note("tool_choice", "dropped", f"there is no tool {choice.name!r} here that could be chosen")
            choice = ToolChoice("auto")
            name = None
    plain = None if choice is None else ToolChoice(choice.mode, name, allowed_mode=choice.allowed_mode)
    silent = parallel is not False or (choice is not None and choice.mode == "none")
    return write_tool_choice(plain, None if silent else parallel)


def _write_limits(request: Request, plan: Plan, body: Body, draft: Draft) -> None:
    limit = request.max_tokens
    if limit is None:
        profile = draft.profile
        limit = profile.default_max_tokens
        if plan.budget:
            limit = max(limit, plan.budget + min(limit, ANSWER_SHARE))
        if profile.max_output_tokens is not None:
            limit = min(limit, profile.max_output_tokens)
        draft.note("max_tokens", "added", f"the API demands a limit; {limit}")
    body["max_tokens"] = limit
    if request.stop is not None:
        _write_stop((request.stop,) if isinstance(request.stop, str) else request.stop, body, draft)
    if request.stream is not None:
        body["stream"] = request.stream
    if request.cache is not None:
        body["cache_control"] = write_cache(request.cache)


def _write_stop(stop: tuple[str, ...], body: Body, draft: Draft) -> None:
    kept = [sequence for sequence in stop if sequence.strip()]
    if len(kept) < len(stop):
        draft.note("stop", "dropped", "stop sequences of white space only are refused")
    if kept:
        body["stop_sequences"] = kept


def _write_output(output: Output, plan: Plan, body: Body) -> None:
    if plan.thinking is not None:
        body["thinking"] = plan.thinking
    config: Body = {}
    if plan.effort is not None:
        config["effort"] = plan.effort
    if output.format is not None:
        config["format"] = output.format
    if config:
        body["output_config"] = config


def _write_sampling(request: Request, plan: Plan, body: Body, draft: Draft) -> None:
    """temperature, top_p, top_k, as far as thinking allows (`thinking.py` says what it refuses)."""
    thinks = plan.thinking is not None and plan.thinking["type"] != "disabled"
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    if temperature is not None and temperature > 1:
        draft.note("temperature", "changed", f"{temperature} is above the highest, 1")
        temperature = 1
    if thinks and temperature not in (None, 1):
        draft.note("temperature", "dropped", "a thinking model takes no temperature but 1")
        temperature = None
    if top_p is not None and (
        (thinks and top_p < 0.95) or (draft.profile.exclusive_sampling and temperature is not None)
    ):
        draft.note("top_p", "dropped", "not beside thinking" if thinks else "not beside a temperature")
        top_p = None
    if top_k is not None and (thinks or top_k != int(top_k)):
        draft.note("top_k", "dropped", "not beside thinking" if thinks else "it must be a whole number")
        top_k = None
    for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
        if value is not None:
            body[name] = value


def _write_account(request: Request, body: Body, draft: Draft) -> None:
    """Who asks, for which betas, and in which service tier."""
    if request.betas:
        body["anthropic_beta"] = list(request.betas)
    metadata = dict(request.metadata or {})
    known = metadata.pop("user_id", None) if isinstance(metadata.get("user_id"), str) else None
    for name, user in (
        ("user", request.user),
        ("safety_identifier", request.safety_identifier),
        ("metadata.user_id", known),
    ):
        if user is None:
            continue
        if _PERSONAL.fullmatch(user):
            draft.note(name, "dropped", "an e-mail address or telephone number may not be sent as user_id")
        elif "metadata" not in body:
            body["metadata"] = {"user_id": user}
        elif body["metadata"]["user_id"] != user:
            draft.note(name, "dropped", "one identifier of the user is sent")
    if metadata:
        draft.note("metadata", "dropped", "the API takes a user_id only")
    if request.service_tier is None:
        return
    tier = SERVICE_TIERS.get(request.service_tier)
    if tier is None:
        draft.note("service_tier", "dropped", f"no tier {request.service_tier!r}")
        return
    body["service_tier"] = tier
    if request.service_tier == "priority":
        draft.note("service_tier", "changed", "priority capacity is used where the account has it")

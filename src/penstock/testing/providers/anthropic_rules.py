"""What Anthropic Messages accepts beyond the shape of its fields: the rules between messages, as functions.

Source: Anthropic API reference, "Create a Message"; recorded traffic shows that the service joins consecutive
messages of one role and takes an assistant's message first, so neither is refused here. Errors are worded as the
service words them.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from penstock.testing.providers.anthropic_shapes import (
    BETA_BODY,
    BETA_COUNT_BODY,
    BODY,
    COUNT_BODY,
    CUSTOM_TOOL,
    SERVER_TOOL_TYPE,
)
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import Struct, Violation, dotted
from penstock.testing.providers.wire import JSON, Call


def invalid(message: str) -> ProviderError:
    """A 400 with this message."""
    return ProviderError(400, message, type="invalid_request_error")


def validate(call: Call) -> ProviderError | None:
    """The error with which Anthropic refuses the request, or None."""
    return _validate(call, BETA_BODY if _beta(call) else BODY)


def validate_count(call: Call) -> ProviderError | None:
    """The same for the token-counting endpoint."""
    return _validate(call, BETA_COUNT_BODY if _beta(call) else COUNT_BODY)


def _beta(call: Call) -> bool:
    return "anthropic-beta" in call.request.headers or "beta" in call.request.query


def unreadable(call: Call) -> ProviderError | None:
    """The error for a request without a version, or for a body that is not a JSON object."""
    if "anthropic-version" not in call.request.headers:
        return invalid("anthropic-version: header is required")
    try:
        value = call.request.json
    except ValueError:
        return invalid("The request body is not valid JSON")
    return None if isinstance(value, dict) else invalid("Input should be a valid dictionary")


def validate_raw(call: Call) -> ProviderError | None:
    """The same where a cloud hosts the model: the body names the version, the path names the model."""
    body = call.body
    if "anthropic_version" not in body:
        return invalid("anthropic_version: Field required")
    if "model" in body:
        return invalid("model: Extra inputs are not permitted")
    inner = {name: value for name, value in body.items() if name not in ("anthropic_version", "anthropic_beta")}
    twin = Call(call.request, call.world, call.flavour, call.params)
    twin.body = {**inner, "model": call.param("model")}
    return _check(twin, BETA_BODY)


def validate_vertex_count(call: Call) -> ProviderError | None:
    """The token-counting endpoint on Vertex AI: no version header, the model in the body."""
    return _check(call, BETA_COUNT_BODY)


def _validate(call: Call, shape: Struct) -> ProviderError | None:
    return unreadable(call) or _check(call, shape)


def _check(call: Call, shape: Struct) -> ProviderError | None:
    if violation := shape.check(call.body):
        return invalid(_worded(violation))
    if error := _tools(call.body):
        return error
    if not call.world.knows_model(call.body["model"]):
        return ProviderError(404, f"model: {call.body['model']}", type="not_found_error")
    return next((error for rule in RULES if (error := rule(call))), None)


# --- wording ---------------------------------------------------------------------------------------------------------

_A = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "dictionary",
}


def _worded(violation: Violation) -> str:
    where = dotted(violation.path)
    expected = violation.expected
    match violation.kind:
        case "unknown":
            return f"{where}: Extra inputs are not permitted"
        case "missing":
            return f"{where}: Field required"
        case "type":
            return f"{where}: Input should be a valid {_A.get(str(expected).split(' or ')[0], expected)}"
        case "value":
            return f"{where}: Input should be {_listed(expected)}"
        case "tag":
            tags = ", ".join(f"'{tag}'" for tag in expected)
            parent = dotted(violation.path[:-1])
            found = f"{parent}: Input tag '{violation.value}' found using 'type'"
            return f"{found} does not match any of the expected tags: {tags}"
        case "low":
            return f"{where}: Input should be greater than or equal to {expected}"
        case "high":
            return f"{where}: Input should be less than or equal to {expected}"
        case "short":
            return f"{where}: String should have at least {expected} character{'s' if expected != 1 else ''}"
        case "long":
            return f"{where}: String should have at most {expected} characters"
        case _:
            return f"{where}: String should match pattern '^{expected}$'"


def _listed(values: tuple[str, ...]) -> str:
    quoted = [f"'{value}'" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


# --- tools -----------------------------------------------------------------------------------------------------------


def _tools(body: JSON) -> ProviderError | None:
    """Each tool is a client's (a schema) or one of Anthropic's dated types; names are unique; the choice names one."""
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        kind = tool.get("type")
        if kind in (None, "custom"):
            if violation := CUSTOM_TOOL.check(tool, ("tools", index, "custom")):
                return invalid(_worded(violation))
        elif not isinstance(kind, str) or not SERVER_TOOL_TYPE.fullmatch(kind):
            return invalid(
                f"tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
                "'bash_20250124', 'custom', 'text_editor_20250124', 'web_search_20250305'"
            )
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(set(names)) != len(names):
        return invalid("tools: Tool names must be unique.")
    choice = body.get("tool_choice") or {}
    if choice and not tools and choice["type"] != "none":
        return invalid("tool_choice: `tool_choice` may only be specified while providing `tools`.")
    if choice.get("type") == "tool" and choice["name"] not in names:
        return invalid(f"Tool '{choice['name']}' not found in provided tools")
    return None


# --- messages --------------------------------------------------------------------------------------------------------


def _blocks(message: JSON) -> list[JSON]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _located(body: JSON) -> Iterator[tuple[str, JSON, JSON]]:
    """Every block with its place and its message."""
    for index, message in enumerate(body["messages"]):
        for place, block in enumerate(_blocks(message)):
            yield f"messages.{index}.content.{place}", block, message


def joined(messages: list[JSON]) -> list[tuple[int, str, list[JSON]]]:
    """Consecutive messages of one role as one turn: (index of its last message, role, blocks). System messages in the
    middle of a conversation are no turns."""
    turns: list[tuple[int, str, list[JSON]]] = []
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if turns and turns[-1][1] == message["role"]:
            turns[-1] = (index, message["role"], [*turns[-1][2], *_blocks(message)])
        else:
            turns.append((index, message["role"], _blocks(message)))
    return turns


def _some_messages(call: Call) -> ProviderError | None:
    return None if call.body["messages"] else invalid("messages: at least one message is required")


def _nonempty(call: Call) -> ProviderError | None:
    messages = call.body["messages"]
    for index, message in enumerate(messages):
        last_word = index == len(messages) - 1 and message["role"] == "assistant"
        if not message["content"] and not last_word:
            return invalid(
                f"messages.{index}: all messages must have non-empty content except for the optional final assistant "
                "message"
            )
    for _, block, _ in _located(call.body):
        if block["type"] == "text" and not block["text"]:
            return invalid("messages: text content blocks must be non-empty")
        if block["type"] == "text" and not block["text"].strip():
            return invalid("messages: text content blocks must contain non-whitespace text")
    system = call.body.get("system")
    if isinstance(system, list) and any(not block["text"] for block in system):
        return invalid("system: text content blocks must be non-empty")
    return None


def _final_whitespace(call: Call) -> ProviderError | None:
    last = call.body["messages"][-1]
    if last["role"] != "assistant":
        return None
    blocks = _blocks(last)
    if blocks and blocks[-1]["type"] == "text" and blocks[-1]["text"] != blocks[-1]["text"].rstrip():
        return invalid("messages: final assistant content cannot end with trailing whitespace")
    if not _takes_prefill(call.body["model"]):
        return invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    return None


def version(model: str) -> tuple[int, int]:
    """(4, 6) of claude-opus-4-6 or claude-4-6-opus; (0, 0) of a name without a version."""
    numbers = re.search(r"-(\d)(?:[-.](\d{1,2}))?(?=[-@:.]|$)", model)
    return (int(numbers[1]), int(numbers[2] or 0)) if numbers else (0, 0)


def _adaptive_only(model: str) -> bool:
    """Opus from 4.7 on: thinking is adaptive, and sampling is not to be set."""
    return "opus" in model and version(model) >= (4, 7)


def _takes_prefill(model: str) -> bool:
    return version(model) < (4, 6)


_SAYERS = {"tool_use": "assistant", "thinking": "assistant", "redacted_thinking": "assistant", "tool_result": "user"}


def _sayers(call: Call) -> ProviderError | None:
    """Who may say what: only the assistant calls tools and thinks, only the user gives tool results."""
    for where, block, message in _located(call.body):
        sayer = _SAYERS.get(block["type"])
        if sayer is not None and message["role"] != sayer:
            return invalid(f"{where}: `{block['type']}` blocks can only be in `{sayer}` messages")
    return None


def _tool_results(call: Call) -> ProviderError | None:
    """Every tool_use is answered in the next message, and every tool_result answers a tool_use of the one before."""
    turns = joined(call.body["messages"])
    previous: list[str] = []
    for number, (index, role, blocks) in enumerate(turns):
        uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if len(set(uses)) != len(uses):
            return invalid(f"messages.{index}: `tool_use` ids must be unique")
        for place, result in enumerate(results):
            if result not in previous:
                return invalid(
                    f"messages.{index}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{result}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                    "message."
                )
            if results.count(result) > 1:
                return invalid(
                    f"messages.{index}.content.{place}: each tool_use must have a single result. Found multiple "
                    f"`tool_result` blocks with id: {result}"
                )
        following = turns[number + 1] if number + 1 < len(turns) else None
        answered = _leading_results(following[2]) if following else []
        missing = [use for use in uses if use not in answered]
        if role == "assistant" and missing:
            return invalid(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        previous = uses
    return None


def _leading_results(blocks: list[JSON]) -> list[str]:
    """The tool calls that a user's turn answers; results count only before anything else that the user says."""
    found: list[str] = []
    for block in blocks:
        if block["type"] != "tool_result":
            break
        found.append(block["tool_use_id"])
    return found


def _cache_marks(call: Call) -> ProviderError | None:
    body = call.body
    system = body.get("system")
    marked = [*(body.get("tools") or []), *(system if isinstance(system, list) else [])]
    marked += [block for _, block, _ in _located(body)]
    marks = [block["cache_control"] for block in marked if block.get("cache_control")]
    if len(marks) + bool(body.get("cache_control")) > 4:
        return invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {len(marks)}.")
    short_seen = False
    for mark in marks:
        if mark.get("ttl") == "1h" and short_seen:
            return invalid("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.")
        short_seen = short_seen or mark.get("ttl", "5m") == "5m"
    return None


def _thinking_budget(call: Call) -> ProviderError | None:
    body = call.body
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return None
    if _adaptive_only(body["model"]):
        return invalid(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    if "max_tokens" in body and body["max_tokens"] <= thinking["budget_tokens"]:
        return invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.get("temperature", 1) != 1:
        return invalid("`temperature` may only be set to 1 when thinking is enabled.")
    if "top_k" in body:
        return invalid("`top_k` must be unset when thinking is enabled.")
    if body.get("top_p", 1) < 0.95:
        return invalid("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        return invalid("Thinking may not be enabled when tool_choice forces tool use.")
    return None


def _thinking_first(call: Call) -> ProviderError | None:
    """With thinking on, the assistant's turn that a tool result answers begins with its thinking."""
    if (call.body.get("thinking") or {}).get("type") != "enabled":
        return None
    turns = joined(call.body["messages"])
    if len(turns) < 2 or not any(block["type"] == "tool_result" for block in turns[-1][2]):
        return None
    index, _, blocks = turns[-2]
    first = blocks[0]["type"]
    if first in ("thinking", "redacted_thinking"):
        return None
    return invalid(
        f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When "
        "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost "
        "set of `tool_use` and `tool_result` blocks)."
    )


def _signatures(call: Call) -> ProviderError | None:
    for where, block, _ in _located(call.body):
        if block["type"] == "thinking" and not call.world.accepts("anthropic", block["signature"], block["thinking"]):
            return invalid(f"{where}: Invalid `signature` in `thinking` block")
        if block["type"] == "redacted_thinking" and not call.world.accepts("anthropic", block["data"]):
            return invalid(f"{where}: Invalid `data` in `redacted_thinking` block")
    return None


def _sampling(call: Call) -> ProviderError | None:
    body = call.body
    released = version(body["model"])
    if "temperature" in body and "top_p" in body and released >= (4, 1):
        return invalid("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if _adaptive_only(body["model"]):
        for name in ("temperature", "top_p", "top_k"):
            if name in body:
                return invalid(f"`{name}` is deprecated for this model.")
    return None


def _effort(call: Call) -> ProviderError | None:
    effort: Any = (call.body.get("output_config") or {}).get("effort")
    if effort == "xhigh" and version(call.body["model"]) == (4, 6):
        return invalid("This model does not support effort level 'xhigh'. Supported levels: high, low, max, medium.")
    return None


def _system_role(call: Call) -> ProviderError | None:
    """Only the newest models take system messages in the middle; none takes one first."""
    for index, message in enumerate(call.body["messages"]):
        if message["role"] == "system" and (index == 0 or version(call.body["model"]) < (4, 8)):
            return invalid(
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not '
                '"system" as an input message role.'
            )
    return None


RULES: tuple[Callable[[Call], ProviderError | None], ...] = (
    _some_messages,
    _system_role,
    _nonempty,
    _final_whitespace,
    _sayers,
    _tool_results,
    _cache_marks,
    _thinking_budget,
    _thinking_first,
    _signatures,
    _sampling,
    _effort,
)

"""What OpenAI Responses accepts: the documented fields and input items as shapes, the rules between them as functions.

Source: OpenAI API reference, "Create a model response"; the errors are worded as the service words them.
"""

from collections.abc import Callable, Iterator

from penstock.testing.providers.openai_chat_rules import (
    METADATA,
    REASONING_EFFORT,
    SERVICE_TIER,
    TEMPERATURE,
    TOOL_NAME,
    TOP_P,
    function_schema,
)
from penstock.testing.providers.openai_family import (
    bad_parameter,
    check_body,
    invalid,
    is_reasoning_model,
    opened,
    strict_schema,
    unknown_model,
)
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    NAME,
    OBJECT,
    STRING,
    ListOf,
    Number,
    Shape,
    String,
    Struct,
    Tagged,
    Violation,
    either,
    nullable,
    one_of,
)
from penstock.testing.providers.wire import JSON, Call

_CACHE_MARK: dict[str, Shape] = {"type": STRING, "prompt_cache_breakpoint": OBJECT}
_INPUT_TEXT = Struct({**_CACHE_MARK, "text": STRING}, required=("text",))
_INPUT_IMAGE = Struct(
    {
        **_CACHE_MARK,
        "image_url": nullable(STRING),
        "file_id": nullable(STRING),
        "detail": one_of("auto", "low", "high", "original"),
    }
)
_INPUT_FILE = Struct(
    {
        **_CACHE_MARK,
        "file_data": STRING,
        "file_id": nullable(STRING),
        "file_url": STRING,
        "filename": STRING,
        "detail": one_of("auto", "low", "high"),
    }
)
_OUTPUT_TEXT = Struct({"type": STRING, "text": STRING, "annotations": ANY, "logprobs": ANY}, required=("text",))
_REFUSAL = Struct({"type": STRING, "refusal": STRING}, required=("refusal",))

_SAID = Tagged("type", {"input_text": _INPUT_TEXT, "input_image": _INPUT_IMAGE, "input_file": _INPUT_FILE})
_ANSWERED = Tagged("type", {"output_text": _OUTPUT_TEXT, "refusal": _REFUSAL})
_STATUS = nullable(one_of("in_progress", "completed", "incomplete"))
_CALL_ID = String(shortest=1, longest=64)
_ITEM_ID = nullable(String(longest=64))


def _message(content: Shape) -> Struct:
    fields: dict[str, Shape] = {
        "type": STRING,
        "role": STRING,
        "content": either(STRING, ListOf(content)),
        "id": _ITEM_ID,
        "status": _STATUS,
        "phase": nullable(one_of("commentary", "final_answer")),
    }
    return Struct(fields, required=("content",))


_MESSAGE = Tagged(
    "role",
    {
        "user": _message(_SAID),
        "system": _message(_SAID),
        "developer": _message(_SAID),
        "assistant": _message(_ANSWERED),
    },
)

_CALLER: dict[str, Shape] = {"caller": nullable(OBJECT), "namespace": nullable(STRING), "status": _STATUS}
_FUNCTION_CALL = Struct(
    {"type": STRING, "id": _ITEM_ID, "call_id": _CALL_ID, "name": NAME, "arguments": STRING, **_CALLER},
    required=("call_id", "name", "arguments"),
)
_FUNCTION_OUTPUT = Struct(
    {"type": STRING, "id": _ITEM_ID, "call_id": _CALL_ID, "output": either(STRING, ListOf(_SAID)), **_CALLER},
    required=("call_id", "output"),
)
_SUMMARY = Struct({"type": one_of("summary_text"), "text": STRING}, required=("type", "text"))
_THOUGHT = Struct({"type": one_of("reasoning_text"), "text": STRING}, required=("type", "text"))
_REASONING = Struct(
    {
        "type": STRING,
        "id": STRING,
        "summary": ListOf(_SUMMARY),
        "content": nullable(ListOf(_THOUGHT)),
        "encrypted_content": nullable(STRING),
        "status": _STATUS,
    },
    required=("id", "summary"),
)
_ANY_ITEM = Struct({"type": STRING}, open=True)

ITEM = Tagged(
    "type",
    {
        "message": _MESSAGE,
        "function_call": _FUNCTION_CALL,
        "function_call_output": _FUNCTION_OUTPUT,
        "reasoning": _REASONING,
        "item_reference": Struct({"type": STRING, "id": STRING}, required=("id",)),
        **dict.fromkeys(
            (
                "file_search_call",
                "computer_call",
                "computer_call_output",
                "web_search_call",
                "tool_search_call",
                "tool_search_output",
                "additional_tools",
                "configuration_update",
                "compaction",
                "compaction_trigger",
                "image_generation_call",
                "code_interpreter_call",
                "local_shell_call",
                "local_shell_call_output",
                "shell_call",
                "shell_call_output",
                "apply_patch_call",
                "apply_patch_call_output",
                "mcp_list_tools",
                "mcp_approval_request",
                "mcp_approval_response",
                "mcp_call",
                "custom_tool_call",
                "custom_tool_call_output",
                "program",
                "program_output",
            ),
            _ANY_ITEM,
        ),
    },
    default="message",
)

_FUNCTION_TOOL = Struct(
    {
        "type": STRING,
        "name": TOOL_NAME,
        "description": nullable(STRING),
        "parameters": nullable(OBJECT),
        "strict": nullable(BOOL),
        "defer_loading": BOOL,
        "allowed_callers": nullable(ANY),
        "output_schema": nullable(OBJECT),
    },
    required=("name",),
)
_HOSTED_TOOLS = (
    "file_search",
    "computer",
    "computer_use_preview",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "mcp",
    "code_interpreter",
    "image_generation",
    "local_shell",
    "shell",
    "apply_patch",
    "custom",
    "namespace",
    "tool_search",
    "programmatic_tool_calling",
)
_TOOL = Tagged("type", {"function": _FUNCTION_TOOL, **dict.fromkeys(_HOSTED_TOOLS, _ANY_ITEM)})
_NAMED = Struct({"type": STRING, "name": STRING}, required=("name",))
_TOOL_CHOICE = either(
    one_of("none", "auto", "required"),
    Tagged(
        "type",
        {
            "function": _NAMED,
            "custom": _NAMED,
            "allowed_tools": Struct({"type": STRING, "mode": STRING, "tools": ListOf(OBJECT)}, required=("tools",)),
            **dict.fromkeys((*_HOSTED_TOOLS[:9], *_HOSTED_TOOLS[9:13]), _ANY_ITEM),
        },
    ),
)
_FORMAT = Tagged(
    "type",
    {
        "text": Struct({"type": STRING}),
        "json_object": Struct({"type": STRING}),
        "json_schema": Struct(
            {
                "type": STRING,
                "name": TOOL_NAME,
                "schema": OBJECT,
                "description": nullable(STRING),
                "strict": nullable(BOOL),
            },
            required=("name", "schema"),
        ),
    },
)
_REASONING_OPTIONS = Struct(
    {
        "effort": REASONING_EFFORT,
        "summary": nullable(one_of("auto", "concise", "detailed")),
        "generate_summary": nullable(one_of("auto", "concise", "detailed")),
        "context": nullable(one_of("auto", "current_turn", "all_turns")),
        "mode": STRING,
    }
)

_COMMON: dict[str, Shape] = {
    "model": NAME,
    "conversation": nullable(either(STRING, OBJECT)),
    "instructions": nullable(STRING),
    "parallel_tool_calls": nullable(BOOL),
    "previous_response_id": nullable(STRING),
    "reasoning": nullable(_REASONING_OPTIONS),
    "text": Struct({"format": _FORMAT, "verbosity": nullable(one_of("low", "medium", "high"))}),
    "tool_choice": _TOOL_CHOICE,
    "tools": ListOf(_TOOL),
    "truncation": nullable(one_of("auto", "disabled")),
}

BODY = Struct(
    {
        **_COMMON,
        "access_programs": OBJECT,
        "background": nullable(BOOL),
        "background_options": OBJECT,
        "client_metadata": nullable(OBJECT),  # no reference has it; Codex sends it to the service, which takes it
        "context_management": nullable(ListOf(OBJECT)),
        "image": OBJECT,
        "include": nullable(ListOf(STRING)),
        "input": either(STRING, ListOf(ITEM)),
        "max_output_tokens": nullable(Number(16, integer=True)),
        "max_tool_calls": nullable(Number(1, integer=True)),
        "metadata": METADATA,
        "moderation": nullable(OBJECT),
        "prompt": nullable(OBJECT),
        "prompt_cache_key": nullable(STRING),
        "prompt_cache_options": OBJECT,
        "prompt_cache_retention": nullable(one_of("in_memory", "24h")),
        "safety_identifier": nullable(STRING),
        "service_tier": SERVICE_TIER,
        "store": nullable(BOOL),
        "stream": nullable(BOOL),
        "stream_options": nullable(Struct({"include_obfuscation": BOOL})),
        "temperature": TEMPERATURE,
        "top_logprobs": nullable(Number(0, 20, integer=True)),
        "top_p": TOP_P,
        "user": STRING,
    },
    required=("model",),
)
COUNT_BODY = Struct({**_COMMON, "input": nullable(either(STRING, ListOf(ITEM))), "personality": STRING})
_LOOSE_NAMED = Struct({"type": STRING, "name": STRING, "parameters": nullable(OBJECT)}, open=True)
LENIENT_BODY = Struct(
    {
        "model": NAME,
        "input": either(STRING, ListOf(Struct({"content": nullable(either(STRING, ListOf(OBJECT)))}, open=True))),
        "stream": nullable(BOOL),
        "tools": nullable(ListOf(_LOOSE_NAMED)),
        "tool_choice": nullable(either(STRING, _LOOSE_NAMED)),
        "text": nullable(Struct({"format": nullable(Struct({"schema": OBJECT}, open=True))}, open=True)),
        "reasoning": nullable(OBJECT),
        "include": nullable(ListOf(STRING)),
    },
    required=("model",),
    open=True,
)

# Parameters of Chat Completions that bear another name here; the service says which.
_MOVED = {
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
}


def validate(call: Call) -> ProviderError | None:
    """The error with which OpenAI refuses the request, or None."""
    if call.flavour.strict and (error := _moved(call.body)):
        return error
    if error := check_body(call, BODY, LENIENT_BODY):
        return error
    if error := unknown_model(call, call.body["model"]):
        return error
    if not call.flavour.strict:
        return None
    return next((error for rule in _RULES if (error := rule(call))), None)


def validate_count(call: Call) -> ProviderError | None:
    """The error with which the token-counting endpoint refuses the request, or None."""
    return check_body(call, COUNT_BODY, opened(COUNT_BODY))


def _moved(body: JSON) -> ProviderError | None:
    for name, new in _MOVED.items():
        if name in body:
            text = f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{new}'."
            return invalid(f"{text} Try again with the new parameter.", name, "unsupported_parameter")
    return None


def items(body: JSON) -> list[JSON]:
    """The input as a list of items."""
    given = body.get("input") or []
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


def _some_input(call: Call) -> ProviderError | None:
    named = ("input", "previous_response_id", "prompt", "conversation")
    if not any(call.body.get(name) for name in named):
        return invalid(
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
            "input",
            "missing_required_parameter",
        )
    return None


def _known_previous(call: Call) -> ProviderError | None:
    previous = call.body.get("previous_response_id")
    if previous is None or previous in call.world.responses:
        return None
    text = f"Previous response with id '{previous}' not found."
    return invalid(text, "previous_response_id", "previous_response_not_found")


def _id_prefixes(call: Call) -> ProviderError | None:
    wanted = {"function_call": "fc", "reasoning": "rs", "message": "msg"}
    for index, item in enumerate(items(call.body)):
        prefix = wanted.get(item.get("type", "message"))
        if prefix and item.get("id") and not item["id"].startswith(prefix):
            name = f"input[{index}].id"
            text = f"Invalid '{name}': '{item['id']}'. Expected an ID that begins with '{prefix}'."
            return invalid(text, name, "invalid_value")
    return None


def _tool_outputs(call: Call) -> ProviderError | None:
    """Every output answers a call, and every call is answered (the call may lie in a stored response)."""
    stored = set(_stored_calls(call))
    given = items(call.body)
    calls = [item["call_id"] for item in given if item.get("type") == "function_call"]
    others = [item["call_id"] for item in given if "call_id" in item and not str(item.get("type")).endswith("_output")]
    outputs = [item["call_id"] for item in given if item.get("type") == "function_call_output"]
    for call_id in outputs:
        if call_id not in others and call_id not in stored and call.body.get("conversation") is None:
            return invalid(f"No tool call found for function call output with call_id {call_id}.", "input")
    for call_id in [*calls, *stored]:
        if call_id not in outputs:
            return invalid(f"No tool output found for function call {call_id}.", "input")
    return None


def _stored_calls(call: Call) -> Iterator[str]:
    previous = call.world.responses.get(call.body.get("previous_response_id") or "")
    for item in (previous or {}).get("output", []):
        if item["type"] == "function_call":
            yield item["call_id"]


def _reasoning_followed(call: Call) -> ProviderError | None:
    """A reasoning item is followed by what was reasoned about."""
    given = items(call.body)
    for index, item in enumerate(given):
        if item.get("type") != "reasoning":
            continue
        following = given[index + 1] if index + 1 < len(given) else {"role": "user"}
        if following.get("role") in ("user", "system", "developer") or following.get("type") == "function_call_output":
            text = f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
            return invalid(text, "input")
    return None


def _encrypted(call: Call) -> ProviderError | None:
    for item in items(call.body):
        sealed = item.get("encrypted_content") if item.get("type") == "reasoning" else None
        if sealed and not call.world.accepts("openai", sealed):
            text = f"The encrypted content for item {item['id']} could not be verified."
            return invalid(text, code="invalid_encrypted_content")
    return None


def _sampling(call: Call) -> ProviderError | None:
    if not is_reasoning_model(call.body["model"]):
        if (call.body.get("reasoning") or {}).get("effort") not in (None, "none"):
            text = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
            return invalid(text, "reasoning.effort", "unsupported_parameter")
        return None
    for name in ("temperature", "top_p"):
        effort = (call.body.get("reasoning") or {}).get("effort")
        if call.body.get(name) not in (None, 1) and effort != "none":
            text = f"Unsupported parameter: '{name}' is not supported with this model."
            return invalid(text, name, "unsupported_parameter")
    return None


def _schemas(call: Call) -> ProviderError | None:
    wanted = (call.body.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema" and wanted.get("strict"):
        where = f"response_format '{wanted['name']}'"
        if error := strict_schema(wanted["schema"], where, "text.format.schema", "invalid_json_schema"):
            return error
    for index, tool in enumerate(call.body.get("tools") or []):
        if tool["type"] == "function" and (error := function_schema(tool, f"tools[{index}]")):
            return error
    return None


def _tool_choice(call: Call) -> ProviderError | None:
    choice = call.body.get("tool_choice")
    tools = call.body.get("tools") or []
    named = choice["name"] if isinstance(choice, dict) and choice["type"] == "function" else None
    if named is not None and named not in [tool.get("name") for tool in tools]:
        return invalid(f"Tool choice 'function' not found in 'tools' parameter: {named}", "tool_choice")
    if choice == "required" and not tools:
        return invalid("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
    return None


def _stream_options(call: Call) -> ProviderError | None:
    if call.body.get("stream_options") is not None and not call.body.get("stream"):
        return bad_parameter(Violation("unknown", ("stream_options",), ()))
    return None


_RULES: tuple[Callable[[Call], ProviderError | None], ...] = (
    _some_input,
    _known_previous,
    _id_prefixes,
    _tool_outputs,
    _reasoning_followed,
    _encrypted,
    _sampling,
    _schemas,
    _tool_choice,
    _stream_options,
)

"""What each simulated provider refuses, and in which words: one table a wire format.

Each row takes a good request, spoils it in one way, and names what the real service says. The good request itself is
let in (`test_a_good_request_is_let_in`), so a row can only fail for the reason that it states.
"""

import json
from copy import deepcopy
from typing import Any

import httpx
import pytest

from penstock.testing.providers import SimulatedProviders

# --- good requests ---------------------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

CHAT = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
                {"id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "22"},
        {"role": "tool", "tool_call_id": "call_2", "content": "23"},
    ],
    "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}],
}
RESPONSES = {
    "model": "gpt-5",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "22"},
    ],
    "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}],
}
CLAUDE = {
    "model": "claude-fake-4-5",
    "max_tokens": 2000,
    "messages": [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
                {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "22"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "23"},
                {"type": "text", "text": "And?"},
            ],
        },
    ],
    "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
}
GEMINI = {
    "contents": [
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"c": 22}}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "get_weather", "parameters": SCHEMA}]}],
    "generationConfig": {"maxOutputTokens": 10},
}
BEDROCK = {
    "messages": [
        {"role": "user", "content": [{"text": "Weather?"}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "22"}]}}]},
    ],
    "toolConfig": {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}]},
    "inferenceConfig": {"maxTokens": 10},
}
COHERE = {
    "model": "command-a",
    "messages": [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "tool_plan": "I look.",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "22"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
}
OLLAMA = {
    "model": "llama3.2",
    "stream": False,
    "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"role": "tool", "tool_name": "f", "content": "22"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "options": {"temperature": 0.5},
}
GOOD: dict[str, tuple[str, Any]] = {
    "openai_chat": ("/v1/chat/completions", CHAT),
    "openai_responses": ("/v1/responses", RESPONSES),
    "anthropic_messages": ("/v1/messages", CLAUDE),
    "gemini": ("/v1beta/models/gemini-2.5-flash:generateContent", GEMINI),
    "bedrock_converse": ("/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse", BEDROCK),
    "cohere_chat": ("/v2/chat", COHERE),
    "ollama_chat": ("/api/chat", OLLAMA),
}
HEADERS = {
    "authorization": "Bearer fake",
    "x-api-key": "fake",
    "x-goog-api-key": "fake",
    "anthropic-version": "2023-06-01",
}


def send(provider: SimulatedProviders, name: str, body: Any, headers: dict[str, str] = HEADERS) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(provider.origin + GOOD[name][0], content=content, headers=headers)


def spoil(body: Any, path: str, value: Any) -> Any:
    """A copy with one place changed: `messages.0.role`. A value of DROP removes it; an index of `+` appends."""
    spoilt = deepcopy(body)
    *steps, last = path.split(".")
    place = spoilt
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if last == "+":
        place.append(value)
    elif value is DROP:
        del place[int(last) if isinstance(place, list) else last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return spoilt


DROP = object()


def message_of(answer: httpx.Response) -> str:
    """The message of a native error, whatever its shape."""
    body = answer.json()
    error = body.get("error", body)
    return str(error if isinstance(error, str) else error["message"])


@pytest.mark.parametrize("name", GOOD)
def test_a_good_request_is_let_in(provider: SimulatedProviders, name: str) -> None:
    answer = send(provider, name, GOOD[name][1])
    assert answer.status_code == 200, answer.text
    assert provider.last.refused is None


# --- the tables ------------------------------------------------------------------------------------------------------

LONG_ID = "toolu_" + "x" * 60
STRICT = {
    "name": "get_weather",
    "strict": True,
    "parameters": {"type": "object", "properties": {"a": {"type": "null"}}},
}
LOOSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "x", "strict": True, "schema": {**SCHEMA, "required": []}},
}

HALF_STRICT = {**SCHEMA, "properties": {"a": {}, "b": {}}, "required": ["a"], "additionalProperties": False}
DEEP = {"type": "object", "properties": {"a": SCHEMA}, "required": ["a"], "additionalProperties": False}
TOOL_SPEC = {"name": "get_weather", "inputSchema": {"json": SCHEMA}}
IMAGE = {"format": "png", "source": {"bytes": "AA=="}}
PAGE = {"format": "pdf", "name": "page", "source": {"bytes": "AA=="}}

ROWS: dict[str, list[tuple[str, Any, str]]] = {
    "openai_chat": [
        ("messages.3", {"role": "user", "content": "x"}, "did not have response messages: call_1, call_2"),
        ("messages.1.content.0", {"type": "image_url", "image_url": {"url": "cat.png"}}, "Expected a valid URL"),
        (
            "messages.1.content.0",
            {"type": "image_url"},
            "Missing required parameter: 'messages[1].content[0].image_url'",
        ),
        ("tool_choice", {"type": "function", "function": {"name": "x"}}, "the named function is not in 'tools'."),
        ("tools.0.function.parameters", {"type": "string"}, "schema must be a JSON Schema of 'type: \"object\"'"),
        ("tools.0.function.parameters", DROP, ""),
        ("tools.0.function", {"name": "f", "strict": True, "parameters": HALF_STRICT}, "Missing 'b'."),
        ("tools.0.function", {"name": "f", "strict": True, "parameters": DEEP}, "In context=('properties', 'a'),"),
        (
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
            "got 'type: \"None\"'",
        ),
        ("max_tokens", 5, ""),
        ("n", 0, "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."),
        ("web_search_options", {}, "Unknown parameter: 'web_search_options'."),
        ("model", DROP, "you must provide a model parameter"),
        ("messages", DROP, "Missing required parameter: 'messages'."),
        ("messages", [], "Invalid 'messages': empty array. Expected an array with minimum length 1"),
        ("messages", "hi", "Invalid type for 'messages': expected an array, but got a string instead."),
        ("nonsense", 1, "Unknown parameter: 'nonsense'."),
        ("max_output_tokens", 5, "Unknown parameter: 'max_output_tokens'."),
        ("system", "Be brief.", "Unknown parameter: 'system'."),
        ("messages.0.role", "model", "Invalid value: 'model'. Supported values are: 'system', 'assistant', 'user'"),
        ("messages.1.content.0", {"type": "input_text", "text": "x"}, "Invalid value: 'input_text'."),
        ("messages.1.content.0.cache_control", {"type": "ephemeral"}, "'messages[1].content[0].cache_control'"),
        ("messages.2.reasoning_content", "hm", "Unknown parameter: 'messages[2].reasoning_content'."),
        ("messages.2.tool_calls.0.id", LONG_ID, "string too long. Expected a string with maximum length 40"),
        ("messages.2.tool_calls.0.function.arguments", {}, "expected a string, but got an object instead."),
        ("messages.3.tool_call_id", "call_9", "messages with role 'tool' must be a response to a preceeding message"),
        ("messages.4", DROP, "did not have response messages: call_2"),
        ("messages.2.tool_calls", DROP, "Invalid value for 'content': expected a string, got null."),
        ("tools", DROP, ""),  # history with tool calls needs no tools
        ("tools.0.function.name", "get weather", "string does not match pattern. Expected a string that matches"),
        ("tools.0", {"name": "f", "input_schema": SCHEMA}, "Missing required parameter: 'tools[0].type'."),
        (
            "tools.0.function",
            STRICT,
            "In context=(), 'additionalProperties' is required to be supplied and to be false.",
        ),
        ("tool_choice", "any", "Invalid value: 'any'. Supported values are: 'none', 'auto', and 'required'."),
        ("temperature", 3, "Invalid 'temperature': integer above maximum value. Expected a value <= 2, but got 3"),
        ("temperature", "hot", "Invalid type for 'temperature': expected one of null, an integer or a decimal"),
        ("stop", ["a"] * 5, "array too long. Expected an array with maximum length 4, but got an array with length 5"),
        ("stream_options", {"include_usage": True}, "only allowed when 'stream' is enabled."),
        ("top_logprobs", 3, "only allowed when 'logprobs' is enabled."),
        ("reasoning_effort", "low", "Unrecognized request argument supplied: reasoning_effort"),
        ("response_format", {"type": "json_object"}, "must contain the word 'json' in some form"),
        ("response_format", LOOSE_FORMAT, "'additionalProperties' is required to be supplied and to be false."),
        ("thinking", {"type": "enabled"}, "Unknown parameter: 'thinking'."),
    ],
    "openai_responses": [
        ("reasoning", {"effort": "low"}, ""),
        ("tools", [], ""),
        ("tools.0.parameters", {"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"'"),
        ("text", {"format": {"type": "json_schema", "name": "x", "strict": True, "schema": SCHEMA}}, "to be false."),
        ("stream_options", {"include_obfuscation": False}, "Unknown parameter: 'stream_options'."),
        ("input.1.content", [{"type": "text", "text": "x"}], "Supported values are: 'reasoning_text'."),
        ("input", DROP, 'One of "input" or "previous_response_id"'),
        ("nonsense", 1, "Unknown parameter: 'nonsense'."),
        ("messages", [], "this parameter has moved to 'input'."),
        ("response_format", {"type": "text"}, "this parameter has moved to 'text.format'."),
        ("max_tokens", 100, "this parameter has moved to 'max_output_tokens'."),
        ("max_output_tokens", 1, "Expected a value >= 16, but got 1 instead."),
        ("input.0.content.0.type", "text", "Supported values are: 'input_text', 'input_image', and 'input_file'."),
        ("input.2.id", "call_1", "Expected an ID that begins with 'fc'."),
        ("input.3", DROP, "No tool output found for function call call_1."),
        ("input.+", {"type": "reasoning", "id": "rs_2", "summary": []}, "without its required following item."),
        ("input.3.call_id", "call_9", "No tool call found for function call output with call_id call_9."),
        ("input.1.encrypted_content", "c2VhbA==", "The encrypted content for item rs_1 could not be verified."),
        ("previous_response_id", "resp_9", "Previous response with id 'resp_9' not found."),
        ("tools.0", {"type": "function", "function": {"name": "f"}}, "Missing required parameter: 'tools[0].name'."),
        ("temperature", 0.5, "'temperature' is not supported with this model."),
        ("tool_choice", {"type": "function", "name": "other"}, "not found in 'tools' parameter"),
    ],
    "anthropic_messages": [
        ("messages.0.content", [{"type": "text", "text": ""}], "messages: text content blocks must be non-empty"),
        ("messages.2.content.+", {"type": "tool_result", "tool_use_id": "toolu_1", "content": ""}, "single result"),
        ("messages.1.content.0", {"type": "redacted_thinking", "data": "c2Vl"}, "`data` in `redacted_thinking` block"),
        ("messages.2.content.0.content", [{"type": "tool_use"}], "Input tag 'tool_use' found using 'type'"),
        ("system", [{"type": "image"}], "system.0.text: Field required"),
        ("max_tokens", DROP, "max_tokens: Field required"),
        ("max_tokens", 0, "max_tokens: Input should be greater than or equal to 1"),
        ("max_completion_tokens", 5, "max_completion_tokens: Extra inputs are not permitted"),
        ("context_management", {}, "context_management: Extra inputs are not permitted"),
        ("messages.0.name", "bob", "messages.0.name: Extra inputs are not permitted"),
        ("messages.0.role", "system", 'messages: Unexpected role "system".'),
        ("messages.0.role", "tool", "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
        ("messages.0.content", "", "messages.0: all messages must have non-empty content"),
        ("messages.0.content", [{"type": "text", "text": " "}], "must contain non-whitespace text"),
        ("messages.0.content", [{"type": "image_url", "image_url": {}}], "Input tag 'image_url' found using 'type'"),
        ("messages.1.content.1.input", "{}", "messages.1.content.1.input: Input should be a valid dictionary"),
        ("messages.1.content.1.id", "call 1", "String should match pattern '^[a-zA-Z0-9_-]+$'"),
        ("messages.1.content.2.id", "toolu_1", "`tool_use` ids must be unique"),
        ("messages.2.content.1", DROP, "ids were found without `tool_result` blocks immediately after: toolu_2."),
        ("messages.1.content", "I look.", "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1."),
        ("messages.2.content.0", {"type": "text", "text": "x"}, "blocks immediately after: toolu_1, toolu_2."),
        ("messages.+", {"role": "assistant", "content": "Well "}, "cannot end with trailing whitespace"),
        ("tools.0.input_schema", DROP, "tools.0.custom.input_schema: Field required"),
        ("tools.0", {"type": "function", "function": {}}, "tools.0: Input tag 'function' found using 'type'"),
        ("tools.+", {"name": "get_weather", "input_schema": SCHEMA}, "tools: Tool names must be unique."),
        ("tools.0.name", "get weather", "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ("tool_choice", "auto", "tool_choice: Input should be a valid dictionary"),
        ("tool_choice", {"type": "tool", "name": "x"}, "Tool 'x' not found in provided tools"),
        ("temperature", 1.5, "temperature: Input should be less than or equal to 1"),
        ("thinking", {"type": "enabled", "budget_tokens": 5}, "greater than or equal to 1024"),
        ("thinking", {"type": "enabled", "budget_tokens": 5000}, "`max_tokens` must be greater than"),
        (
            "thinking",
            {"type": "enabled", "budget_tokens": 1024},
            "Expected `thinking` or `redacted_thinking`, but found",
        ),
        (
            "messages.1.content.0",
            {"type": "thinking", "thinking": "hm", "signature": "c2Vl"},
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        ("system", [{"type": "text", "text": ""}], "system: text content blocks must be non-empty"),
    ],
    "gemini": [
        ("contents.0.parts.0.inlineData", {"data": "AA=="}, "oneof field 'data' is already set."),
        ("contents.0.parts.0", {"inlineData": {"data": "AA=="}}, "inline_data.mime_type: must be specified"),
        ("contents.0.parts.0", {"inlineData": {"mimeType": "image/png", "data": "%"}}, "Base64 decoding failed"),
        ("tools.0.functionDeclarations.0.parametersJsonSchema", {}, "are mutually exclusive."),
        ("tools.0.functionDeclarations.0.parameters.properties.city", {"type": "ARRAY"}, "items: missing field."),
        ("tools.0.functionDeclarations.0.parameters.properties.city.const", "x", 'Unknown name "const"'),
        ("toolConfig", {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["x"]}}, "contains 'x'"),
        ("toolConfig", {"functionCallingConfig": {"mode": "REQUIRED"}}, '(TYPE_ENUM), "REQUIRED"'),
        ("generationConfig.temperature", 3, "generation_config.temperature: must be at most 2"),
        (
            "generationConfig",
            {"responseMimeType": "application/json", "responseSchema": SCHEMA, "responseJsonSchema": SCHEMA},
            "response_schema and response_json_schema cannot both be set.",
        ),
        ("contents", DROP, "* GenerateContentRequest.contents: contents is not specified"),
        ("contents", "hi", "'contents' is not a list."),
        ("messages", [], 'Unknown name "messages": Cannot find field.'),
        ("generationConfig.max_tokens", 5, "Unknown name \"max_tokens\" at 'generation_config': Cannot find field."),
        ("contents.0.role", "assistant", "Please use a valid role: user, model."),
        ("contents.0.parts.0", {"type": "text", "text": "x"}, "Unknown name \"type\" at 'contents[0].parts[0]'"),
        ("contents.0.parts.0", {}, "required oneof field 'data' must have one initialized field"),
        ("contents.0.parts", [], "contents.parts must not be empty."),
        ("contents.0.parts.0.text", 5, "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 5"),
        ("contents.1", DROP, "function response turn comes immediately after a function call turn"),
        ("contents.0", DROP, "function call turn comes immediately after a user turn"),
        ("contents.2", {"role": "user", "parts": [{"text": "x"}]}, "number of function response parts is equal"),
        ("contents.2.parts.0.functionResponse.name", "", "function_response.name: Name cannot be empty."),
        ("contents.1.parts.0.thoughtSignature", "c2Vl", "Corrupted thought signature."),
        ("tools.0.functionDeclarations.0.name", "get weather", "Invalid function name. Must start with a letter"),
        (
            "tools.0.functionDeclarations.0.parameters.additionalProperties",
            False,
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'",
        ),
        ("tools.0.functionDeclarations.0.parameters.required", ["town"], "required[0]: property is not defined"),
        ("generationConfig.responseSchema", SCHEMA, "only allowed when response_mime_type is application/json"),
        ("generationConfig.responseMimeType", "text/html", "allowed mimetypes are `text/plain`"),
        ("toolConfig", {"functionCallingConfig": {"allowedFunctionNames": ["x"]}}, "while the mode is not ANY"),
        ("generationConfig.stopSequences", ["x"] * 6, "must be at most 5"),
    ],
    "bedrock_converse": [
        ("messages.2", DROP, "Expected toolResult blocks at messages.2.content for the following Ids: t1"),
        ("toolConfig.tools.+", {"toolSpec": TOOL_SPEC}, "contains tools with the same name."),
        ("toolConfig.toolChoice", {"tool": {"name": "x"}}, "The tool x in toolChoice is not defined in toolConfig."),
        ("toolConfig.toolChoice", {"any": {}, "auto": {}}, "Can only set one of: auto, any, tool."),
        ("messages.0.content.+", {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}, "cannot contain toolUse"),
        ("messages.1.content.+", {"image": IMAGE}, "Assistant messages cannot contain image content."),
        ("messages.0.content", [{"text": "x"}, {"document": PAGE}, {"document": PAGE}], "names in a conversation must"),
        (
            "messages.1.content.+",
            {"reasoningContent": {"reasoningText": {"text": "hm"}}},
            "thinking.signature: Field required",
        ),
        ("messages", DROP, "A conversation must start with a user message."),
        ("messages.0", DROP, "A conversation must start with a user message."),
        ("messages.+", {"role": "user", "content": [{"text": "x"}]}, "must alternate between user and assistant roles"),
        ("max_tokens", 5, 'Unknown parameter in input: "max_tokens", must be one of:'),
        ("inferenceConfig.maxTokens", 0, "Member must have value greater than or equal to 1"),
        ("inferenceConfig.temperature", 2, "Member must have value less than or equal to 1"),
        ("messages.0.content", "hi", "Unexpected type at messages.1.member.content: expected array"),
        ("messages.0.content", [], "The content field in the Message object at messages.0 is empty."),
        ("messages.0.content.0.text", "", "ContentBlock object at messages.0.content.0 is blank."),
        ("messages.0.content.0", {"type": "text", "text": "x"}, '"messages.1.member.content.1.member.type"'),
        ("messages.0.content.0.image", {"format": "png", "source": {"bytes": "AA=="}}, "tagged union structure"),
        ("toolConfig", DROP, "The toolConfig field must be defined when using toolUse and toolResult content blocks."),
        ("toolConfig.tools", [], "Member must have length greater than or equal to 1"),
        ("toolConfig.tools.0.toolSpec.name", "get weather", "regular expression pattern: [a-zA-Z0-9_-]+"),
        ("toolConfig.tools.0.toolSpec.description", "", "Member must have length greater than or equal to 1"),
        ("toolConfig.tools.0.toolSpec.inputSchema", {"json": {}}, "must be one of the following: object."),
        ("messages.1.content.0.toolUse.toolUseId", "t 1", "regular expression pattern: [a-zA-Z0-9_.:-]+"),
        ("messages.2.content.0", {"text": "x"}, "Expected toolResult blocks at messages.2.content"),
        ("messages.1.content.0", {"text": "x"}, "exceeds the number of toolUse blocks of previous turn"),
        (
            "messages.0.content.+",
            {"document": {"format": "pdf", "name": "report_1.pdf", "source": {"bytes": "AA=="}}},
            "The document file name can only contain alphanumeric characters",
        ),
        (
            "messages.0.content",
            [{"document": {"format": "pdf", "name": "report", "source": {"bytes": "AA=="}}}],
            "a text block must be included when a document is included",
        ),
        (
            "messages.1.content.+",
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2Vl"}}},
            "Invalid `signature` in `thinking` block",
        ),
    ],
    "cohere_chat": [
        ("messages.0.content", "", "all elements in messages must have content: messages[0] has none"),
        ("messages.2", {"role": "user", "content": "x"}, "missing tool results for tool calls: c1"),
        ("temperature", 2, "temperature must be at most 1, but got 2"),
        ("stop_sequences", ["x"] * 6, "stop_sequences is too long: the limit is 5"),
        ("response_format", {"type": "json_object"}, "cannot be used with tools"),
        ("model", DROP, "invalid request: model is required"),
        ("messages", [], "invalid request: list of messages must not be empty"),
        ("nonsense", 1, "unknown field: parameter 'nonsense' is not a valid field"),
        ("top_p", 0.5, "unknown field: parameter 'top_p' is not a valid field"),
        ("temperature", "hot", "invalid type: parameter temperature should be of type"),
        ("tool_choice", "auto", "tool_choice must be one of REQUIRED, NONE"),
        ("messages.2.tool_call_id", "c9", "tool call id not found in previous tool calls: c9"),
        ("messages.2", DROP, "missing tool results for tool calls: c1"),
        ("messages.1.tool_calls.0.function.arguments", {}, "should be of type string"),
        ("messages.+", {"role": "assistant", "content": "x"}, "the last message must be a user or tool message"),
        ("response_format", {"type": "json_schema"}, "response_format.type must be one of text, json_object"),
    ],
    "ollama_chat": [
        ("tools.0.function.name", DROP, "a tool has type function and a function with a name"),
        ("stream", "no", "json: cannot unmarshal string into Go struct field ChatRequest.stream of type"),
        ("model", "", "model is required"),
        ("temperature", 0.5, "Ollama would ignore the unknown field 'ChatRequest.temperature'"),
        ("options.max_tokens", 5, "Ollama would ignore the unknown field 'ChatRequest.options.max_tokens'"),
        ("messages.0.content", [{"type": "text"}], "json: cannot unmarshal array into Go struct field ChatRequest"),
        (
            "messages.1.tool_calls.0.function.arguments",
            "{}",
            "json: cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments",
        ),
        ("messages.0.role", "developer", "invalid role: developer, must be one of"),
        ("messages.0.images", ["data:image/png;base64,AA=="], "invalid value for ChatRequest.messages.images"),
        ("tool_choice", "auto", "unknown field 'ChatRequest.tool_choice'"),
    ],
}


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [(name, *row) for name, rows in ROWS.items() for row in rows],
    ids=lambda value: value if isinstance(value, str) and len(value) < 60 else "",
)
def test_a_spoilt_request_is_refused_in_the_providers_words(
    provider: SimulatedProviders, name: str, path: str, value: Any, said: str
) -> None:
    answer = send(provider, name, spoil(GOOD[name][1], path, value))
    if not said:
        assert answer.status_code == 200, answer.text
        return
    assert answer.status_code in (400, 422), answer.text
    assert said in message_of(answer)
    assert provider.last.refused == message_of(answer)


REASONING_MODEL = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"max_tokens": 5}, "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        ({"temperature": 0.5}, "'temperature' does not support 0.5 with this model."),
        ({"stop": ["x"]}, "Unsupported parameter: 'stop' is not supported with this model."),
    ],
)
@pytest.mark.parametrize("model", ["gpt-5", "o3-mini", "o1"])
def test_reasoning_models_have_rules_of_their_own(
    provider: SimulatedProviders, model: str, extra: Any, said: str
) -> None:
    asked = {**REASONING_MODEL, "model": model}
    assert said in message_of(send(provider, "openai_chat", {**asked, **extra}))
    assert send(provider, "openai_chat", {**asked, "max_completion_tokens": 5}).status_code == 200
    assert send(provider, "openai_chat", {**asked, "model": "gpt-4o", **extra}).status_code == 200


def test_a_compatible_server_lets_unknown_parameters_in(provider: SimulatedProviders) -> None:
    body = {**CHAT, "top_k": 5, "repetition_penalty": 1.1}
    url = provider.url("compatible") + "/chat/completions"
    assert httpx.post(url, json=body, headers=HEADERS).status_code == 200
    unanswered = spoil(body, "messages.4", DROP)
    assert httpx.post(url, json=unanswered, headers=HEADERS).status_code == 400


def test_a_server_that_is_not_strict_lets_anything_in() -> None:
    with SimulatedProviders(strict=False) as provider:
        for name, (_, body) in GOOD.items():
            assert send(provider, name, {**body, "nonsense": 1}).status_code == 200


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"text"', b"null"])
def test_a_body_that_is_no_json_object_is_refused(provider: SimulatedProviders, name: str, body: bytes) -> None:
    assert send(provider, name, body).status_code in (400, 422)
    assert provider.last.refused


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("openai_chat", 401, "You didn't provide an API key."),
        ("openai_responses", 401, "You didn't provide an API key."),
        ("anthropic_messages", 401, "x-api-key header is required"),
        ("gemini", 403, "Method doesn't allow unregistered callers"),
        ("bedrock_converse", 403, "Missing Authentication Token"),
        ("cohere_chat", 401, "no api key supplied"),
    ],
)
def test_no_key_is_refused_before_anything_else(
    provider: SimulatedProviders, name: str, status: int, said: str
) -> None:
    answer = send(provider, name, {}, headers={"anthropic-version": "2023-06-01"})
    assert answer.status_code == status
    assert said in message_of(answer)


def test_a_wrong_key_is_refused() -> None:
    with SimulatedProviders(keys={"good"}) as provider:
        for name in set(GOOD) - {"ollama_chat"}:
            assert send(provider, name, GOOD[name][1]).status_code in (400, 401, 403), name


@pytest.mark.parametrize("name", GOOD)
def test_an_unknown_model_is_refused(name: str) -> None:
    with SimulatedProviders(models={"another"}) as provider:
        answer = send(provider, name, GOOD[name][1])
    assert answer.status_code == (400 if name == "bedrock_converse" else 404)


def test_beta_fields_want_a_beta_header(provider: SimulatedProviders) -> None:
    body = {**CLAUDE, "context_management": {"edits": []}}
    assert send(provider, "anthropic_messages", body).status_code == 400
    assert send(provider, "anthropic_messages", body, {**HEADERS, "anthropic-beta": "some-beta"}).status_code == 200


def test_the_version_header_is_required(provider: SimulatedProviders) -> None:
    answer = send(provider, "anthropic_messages", CLAUDE, {"x-api-key": "fake"})
    assert message_of(answer) == "anthropic-version: header is required"


def test_at_most_four_cache_marks(provider: SimulatedProviders) -> None:
    marked = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}} for _ in range(5)]
    answer = send(provider, "anthropic_messages", {**CLAUDE, "system": marked})
    assert message_of(answer) == "A maximum of 4 blocks with cache_control may be provided. Found 5."


def test_gemini_reads_snake_case_and_lone_messages(provider: SimulatedProviders) -> None:
    body = {
        "system_instruction": {"parts": {"text": "Be brief."}},
        "contents": {"parts": [{"inline_data": {"mime_type": "image/png", "data": "AA=="}}, {"text": "hi"}]},
        "generation_config": {"max_output_tokens": 5},
    }
    answer = send(provider, "gemini", body)
    assert answer.json()["candidates"][0]["content"]["parts"] == [{"text": "You said: hi"}]

"""Samples that hold every block, tool, event and spelling that Converse documents. All values are made up."""

import json
from base64 import b64encode
from typing import Any

from penstock.dialects.aws_event_stream import Header, HeaderType, write_event, write_exception, write_message

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}
WITHHELD = b64encode(b"EqQBCkYIBxgCKkBT").decode()
"""What Anthropic's own API would send as `data`, in the blob that Bedrock makes of it."""

CITATIONS: list[dict[str, Any]] = [
    {"title": "Web", "location": {"web": {"url": "https://example.com/a", "domain": "example.com"}}},
    {"location": {"web": {"domain": "example.com"}}},
    {
        "title": "Report",
        "source": "doc-1",
        "sourceContent": [{"text": "cited words"}],
        "location": {"documentChar": {"documentIndex": 0, "start": 3, "end": 9}},
    },
    {"sourceContent": [{"text": "a"}, {"text": "b"}], "location": {"documentPage": {"documentIndex": 1, "start": 1}}},
    {"title": None, "location": {"documentChunk": {"documentIndex": 2}}},
    {"source": "https://example.com/s", "location": {"searchResultLocation": {"searchResultIndex": 0, "start": 0}}},
    {"location": {"future": {"deep": [1, None]}}, "score": 0.5},
    {},
]

USER_BLOCKS: list[dict[str, Any]] = [
    {"text": "Look at these."},
    HOUR,
    {"image": {"format": "png", "source": {"bytes": PIXEL}}},
    {
        "image": {
            "format": "jpeg",
            "source": {"s3Location": {"uri": "s3://bucket/a.jpg", "bucketOwner": "123456789012"}},
        }
    },
    {"image": {"format": "odd/word", "source": {"bytes": PIXEL}, "error": {"message": "too small"}}},
    {"image": {"format": None, "source": {}}},
    {"document": {"format": "pdf", "name": "Report", "source": {"bytes": "JVBERi0="}, "context": "the annual one"}},
    {"document": {"format": "txt", "name": "Note", "source": {"text": "words"}, "citations": {"enabled": True}}},
    {"document": {"name": "Parts", "source": {"content": [{"text": "one"}, {"text": "two", "more": 1}]}}},
    POINT,
    {"video": {"format": "three_gp", "source": {"s3Location": {"uri": "s3://bucket/v.3gp"}}}},
    {"audio": {"format": "mp3", "source": {"bytes": "SUQz"}}},
    {"audio": {"format": "mpeg", "source": {"bytes": "SUQz", "future": 1}}},
    {"guardContent": {"text": {"text": "guard this", "qualifiers": ["query"]}}},
    {"guardContent": {"image": {"format": "png", "source": {"bytes": PIXEL}}}},
    {"guardContent": {"future": {}}},
    {
        "searchResult": {
            "source": "https://example.com/s",
            "title": "Found",
            "content": [{"text": "first"}, {"text": "second"}],
            "citations": {"enabled": True},
        }
    },
    {"toolAddition": {"tool": {"name": "look_up"}}},
    {"text": "with a sibling", "unknownMember": {"a": None}},
    {},
]

ASSISTANT_BLOCKS: list[dict[str, Any]] = [
    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
    {"reasoningContent": {"reasoningText": {"text": "No proof."}}},
    {"reasoningContent": {"reasoningText": {"signature": "c2ln", "future": 1}}},
    {"reasoningContent": {"redactedContent": WITHHELD}},
    {"reasoningContent": {"redactedContent": "//79"}},
    {"reasoningContent": {"future": 1}},
    {"text": "I look."},
    {"toolUse": {"toolUseId": "t1", "name": "look_up", "input": {"city": "Paris", "deep": {"a": [1, 2.5, None]}}}},
    {"toolUse": {"toolUseId": "t2", "name": "look_up", "input": {}, "type": "tool_use"}},
    POINT,
    {"toolUse": {"toolUseId": "t3", "name": "look_up", "input": "odd"}},
    {"toolUse": {"toolUseId": "t4", "name": "look_up"}},
    {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {"q": 1}, "type": "server_tool_use"}},
    {
        "toolResult": {
            "toolUseId": "s1",
            "type": "nova_grounding_result",
            "status": "success",
            "content": [{"json": {"hits": [1]}}, {"text": "found"}],
        }
    },
    {"toolResult": {"toolUseId": "s2", "content": [{"text": "no type"}]}},
    {"citationsContent": {"content": [{"text": "It is so."}], "citations": CITATIONS}},
    {"citationsContent": {"citations": [{"location": {"web": {"url": "https://example.com/b"}}}]}},
    {"citationsContent": {"content": [{"text": "cut "}, {"text": "in two"}], "citations": []}},
    {"citationsContent": {"content": []}},
    {"image": {"format": "png", "source": {"bytes": PIXEL}}},
]

RESULT_BLOCKS: list[dict[str, Any]] = [
    {"toolResult": {"toolUseId": "t1", "status": "success", "content": [{"json": {"a": 1}}, {"text": "ok"}]}},
    {"toolResult": {"toolUseId": "t2", "status": "error", "content": [], "type": "tool_result"}},
    POINT,
    {
        "toolResult": {
            "toolUseId": "t3",
            "status": "odd",
            "content": [
                {"image": {"format": "gif", "source": {"bytes": "R0lGODlh"}}},
                {"document": {"format": "csv", "name": "Table", "source": {"bytes": "YSxi"}}},
                {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
                {"searchResult": {"source": "x", "title": "T", "content": [{"text": "t"}]}},
                {"future": {}},
            ],
        }
    },
]

REQUEST: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": USER_BLOCKS},
        {"role": "assistant", "content": ASSISTANT_BLOCKS},
        {"role": "user", "content": RESULT_BLOCKS, "future": 1},
        {"role": "system", "content": [{"toolRemoval": {"tool": {"name": "look_up"}}}]},
    ],
    "system": [{"text": "Be brief."}, POINT, {"guardContent": {"text": {"text": "rule"}}}, {"future": 1}, POINT, POINT],
    "inferenceConfig": {
        "maxTokens": 100,
        "temperature": 0.0,
        "topP": 0.9,
        "stopSequences": ["END"],
        "future": 1,
    },
    "toolConfig": {
        "tools": [
            {"toolSpec": {"name": "look_up", "description": "Look", "inputSchema": {"json": SCHEMA}, "strict": True}},
            {"toolSpec": {"name": "bare", "inputSchema": {"json": {}}, "future": 1}},
            POINT,
            {"toolSpec": {"name": "no_schema"}},
            {"toolSpec": {"name": "odd_schema", "inputSchema": {"future": 1}}},
            {"systemTool": {"name": "nova_grounding"}},
            {"systemTool": {"name": "nova_later", "settings": {"a": 1}}},
            {"future": {}},
        ],
        "toolChoice": {"tool": {"name": "look_up"}},
        "future": 1,
    },
    "guardrailConfig": {"guardrailIdentifier": "g1", "guardrailVersion": "1", "trace": "enabled"},
    "additionalModelRequestFields": {
        "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized", "future": 1},
        "output_config": {"effort": "high", "future": 1},
        "top_k": 40,
        "inferenceConfig": {"topK": 20},
        "anthropic_beta": ["context-1m-2025-08-07"],
    },
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
    "promptVariables": {"leo": {"text": "aaaa"}},
    "requestMetadata": {"team": "blue"},
    "performanceConfig": {"latency": "optimized"},
    "serviceTier": {"type": "flex", "future": 1},
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {
                "jsonSchema": {"schema": json.dumps(SCHEMA), "name": "City", "description": "One", "future": 1},
                "future": 1,
            },
        },
        "effort": "low",
    },
    "future": {"a": None},
}

SPELLINGS: list[dict[str, Any]] = [
    {},
    {"messages": []},
    {"messages": [{"role": "user", "content": []}], "system": [], "inferenceConfig": {}, "toolConfig": {}},
    {"inferenceConfig": {"stopSequences": []}, "toolConfig": {"tools": []}, "requestMetadata": {}},
    {"additionalModelRequestFields": {}, "outputConfig": {}, "serviceTier": {}},
    {"additionalModelRequestFields": None, "system": None, "messages": None, "toolConfig": None},
    {"additionalModelRequestFields": "odd", "toolConfig": {"toolChoice": {}}},
    {"toolConfig": {"toolChoice": {"auto": {}}}},
    {"toolConfig": {"toolChoice": {"any": {"future": 1}}}},
    {"toolConfig": {"toolChoice": {"future": {}}}},
    {"additionalModelRequestFields": {"reasoning_effort": "low"}},
    {"additionalModelRequestFields": {"reasoning_config": "high"}},
    {"additionalModelRequestFields": {"reasoning_config": {"type": "enabled", "budget_tokens": 4096}}},
    {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}},
    {"additionalModelRequestFields": {"reasoningConfig": {"type": "disabled"}, "thinking": {"type": "adaptive"}}},
    {"additionalModelRequestFields": {"thinking": {"type": "future", "budget_tokens": 1024}}},
    {"additionalModelRequestFields": {"thinking": {}, "output_config": {}, "inferenceConfig": {}}},
    {"additionalModelRequestFields": {"inferenceConfig": {"topK": 20, "future": 1}}},
    {"additionalModelRequestFields": {"output_config": {"effort": "max"}}, "outputConfig": {"effort": "low"}},
    {"outputConfig": {"effort": "low"}},
    {"outputConfig": {"textFormat": {"type": "future", "structure": {}}}},
    {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "no JSON"}}}}},
    {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": '{"a":1}'}}}}},
]
"""Requests that say little in odd ways."""

ANSWER: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": ASSISTANT_BLOCKS, "future": 1}, "future": 1},
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": 10,
        "outputTokens": 20,
        "totalTokens": 60,
        "cacheReadInputTokens": 13,
        "cacheReadInputTokenCount": 13,
        "cacheWriteInputTokens": 17,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 7}, {"ttl": "5m", "inputTokens": 10}],
        "serverToolUsage": {},
    },
    "metrics": {"latencyMs": 401},
    "additionalModelResponseFields": {"stop_sequence": "END", "more": 1},
    "trace": {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::foundation-model/a.b"}, "guardrail": {}},
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "default"},
}

ANSWER_SPELLINGS: list[dict[str, Any]] = [
    {"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn"},
    {"output": {"message": {"content": [{"text": "no role"}]}}, "stopReason": "future", "usage": None},
    {"output": {"message": {"role": "user", "content": []}}, "stopReason": None, "additionalModelResponseFields": "x"},
    {"output": {}, "stopReason": "guardrail_intervened", "additionalModelResponseFields": {}},
    {"output": {"message": None}, "usage": {}},
    {"stopReason": "content_filtered", "usage": {"cacheDetails": []}},
    {"output": None, "usage": {"cacheDetails": [{"ttl": "5m", "inputTokens": 1}, {"ttl": "1h", "inputTokens": 2}]}},
    {"output": None, "usage": {"cacheDetails": [{"ttl": "5m", "inputTokens": 1, "future": 1}], "inputTokens": None}},
]


def event(name: str, payload: Any) -> bytes:
    """One message as Amazon writes it."""
    return write_event(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode(), name)


def start(index: int, block: dict[str, Any]) -> tuple[str, Any]:
    return "contentBlockStart", {"contentBlockIndex": index, "p": "abc", "start": block}


def delta(index: int, piece: dict[str, Any]) -> tuple[str, Any]:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": piece, "p": "abcdefgh"}


def stop(index: int) -> tuple[str, Any]:
    return "contentBlockStop", {"contentBlockIndex": index, "p": "a"}


EVENTS: list[tuple[str, Any]] = [
    ("messageStart", {"p": "abcd", "role": "assistant"}),
    delta(0, {"reasoningContent": {"text": "The user "}}),
    delta(0, {"reasoningContent": {"text": "asks."}}),
    delta(0, {"reasoningContent": {"signature": "c2lnbmF0dXJl"}}),
    stop(0),
    delta(1, {"reasoningContent": {"redactedContent": WITHHELD}}),
    stop(1),
    delta(2, {"reasoningContent": {"data": WITHHELD}}),
    stop(2),
    delta(3, {"text": ""}),
    delta(3, {"text": "Grüße 👋 "}),
    delta(3, {"text": "to you."}),
    delta(3, {"citation": CITATIONS[2]}),
    delta(3, {"citation": CITATIONS[0]}),
    stop(3),
    start(4, {"toolUse": {"name": "look_up", "toolUseId": "t1"}}),
    delta(4, {"toolUse": {"input": ""}}),
    delta(4, {"toolUse": {"input": '{"city": "Par'}}),
    delta(4, {"toolUse": {"input": 'is"}'}}),
    stop(4),
    start(5, {"toolUse": {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use"}}),
    delta(5, {"toolUse": {"input": '{"snippet": "1+1"}'}}),
    stop(5),
    start(6, {"toolResult": {"toolUseId": "s1", "type": "nova_code_interpreter_result", "status": "success"}}),
    delta(6, {"toolResult": [{"text": "2"}, {"json": {"exitCode": 0}}]}),
    delta(6, {"toolResult": [{"text": "do"}]}),
    delta(6, {"toolResult": [{"text": "ne"}]}),
    stop(6),
    start(7, {"image": {"format": "png"}}),
    delta(7, {"image": {"source": {"bytes": PIXEL[:40]}}}),
    delta(7, {"image": {"source": {"bytes": PIXEL[40:]}}}),
    stop(7),
    start(8, {"future": {"a": 1}}),
    delta(8, {"future": [1, None]}),
    stop(8),
    ("messageStop", {"additionalModelResponseFields": {"stop_sequence": "END"}, "p": "ab", "stopReason": "tool_use"}),
    ("futureEvent", {"a": [1, None], "p": "abc"}),
    (
        "metadata",
        {
            "metrics": {"latencyMs": 753},
            "p": "abc",
            "serviceTier": {"type": "flex"},
            "usage": {"cacheReadInputTokens": 5, "inputTokens": 70, "outputTokens": 43, "totalTokens": 118},
        },
    ),
]
STREAM = b"".join(event(name, payload) for name, payload in EVENTS)

WHOLE: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "The user asks.", "signature": "c2lnbmF0dXJl"}}},
                {"reasoningContent": {"redactedContent": WITHHELD}},
                {"reasoningContent": {"redactedContent": WITHHELD}},
                {"text": "Grüße 👋 to you."},
                {"toolUse": {"toolUseId": "t1", "name": "look_up", "input": {"city": "Paris"}}},
                {
                    "toolUse": {
                        "toolUseId": "s1",
                        "name": "nova_code_interpreter",
                        "type": "server_tool_use",
                        "input": {"snippet": "1+1"},
                    }
                },
                {
                    "toolResult": {
                        "toolUseId": "s1",
                        "type": "nova_code_interpreter_result",
                        "status": "success",
                        "content": [{"text": "2"}, {"json": {"exitCode": 0}}, {"text": "done"}],
                    }
                },
                {"image": {"format": "png", "source": {"bytes": PIXEL}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "additionalModelResponseFields": {"stop_sequence": "END"},
    "usage": {"cacheReadInputTokens": 5, "inputTokens": 70, "outputTokens": 43, "totalTokens": 118},
    "serviceTier": {"type": "flex"},
}
"""The answer that `STREAM` would have been without streaming (its citations and the unknown block aside)."""

BROKEN_STREAMS: dict[str, bytes] = {
    name: STREAM[: len(event(*EVENTS[0]))]
    + write_exception(json.dumps({"message": words}, separators=(",", ":")).encode(), name)
    for name, words in {
        "throttlingException": "Too many requests, please wait before trying again.",
        "modelStreamErrorException": "The model stream broke.",
        "validationException": "Input is too long for requested model.",
        "internalServerException": "The system encountered an unexpected error.",
        "serviceUnavailableException": "Bedrock is unable to process your request.",
    }.items()
}
UNMODELLED_ERROR = write_message(
    (
        Header(":message-type", "error"),
        Header(":error-code", "InternalError"),
        Header(":error-message", "An internal server error occurred"),
        Header("attempt", 3, HeaderType.SHORT),
    ),
    b"",
)

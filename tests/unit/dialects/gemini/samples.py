"""Wire values of generateContent that show every field, and every way to spell one."""

import json
from typing import Any

from tests.contract.dialects import PIXEL

SIGNATURE = "ZmFrZSBzaWduYXR1cmUh"

REQUEST: dict[str, Any] = {
    "systemInstruction": {"role": "user", "parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "What is this?"},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL, "displayName": "a.png"}},
                {
                    "fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/a.mp4"},
                    "videoMetadata": {"startOffset": "1s", "fps": 2.0},
                    "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
                },
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "I should look.", "thought": True, "thoughtSignature": SIGNATURE},
                {"text": "Let me look.", "thoughtSignature": SIGNATURE},
                {"functionCall": {"id": "c1", "name": "look", "args": {"x": 1.5}}, "thoughtSignature": SIGNATURE},
                {"functionCall": {"name": "look", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "c1",
                        "name": "look",
                        "response": {"seen": [1, None]},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}],
                        "scheduling": "SILENT",
                    }
                },
                {"functionResponse": {"name": "look", "response": {"error": "too dark"}}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {
                    "executableCode": {"language": "PYTHON", "code": "print(1)", "id": "e1"},
                    "thoughtSignature": SIGNATURE,
                },
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n", "id": "e1"}},
                {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["q"]}, "id": "t1"}},
                {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {"a": 1}, "id": "t1"}},
                {"text": "", "thoughtSignature": SIGNATURE},
            ],
        },
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "look",
                    "description": "Look at it",
                    "parametersJsonSchema": {"type": "object", "properties": {"x": {"type": "number"}}},
                    "responseJsonSchema": {"type": "object"},
                    "behavior": "BLOCKING",
                },
                {
                    "name": "tell",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"to": {"type": "STRING", "nullable": True}, "what": {"type": "STRING"}},
                        "required": ["what"],
                        "propertyOrdering": ["what", "to"],
                    },
                    "response": {"type": "STRING"},
                },
            ],
            "googleSearch": {"excludeDomains": ["example.com"]},
        },
        {"codeExecution": {}},
        {"mcpServers": [{"name": "a", "streamableHttpTransport": {"url": "https://example.com/mcp"}}, {"name": "b"}]},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look", "tell"]},
        "retrievalConfig": {"languageCode": "en"},
        "includeServerSideToolInvocations": True,
    },
    "generationConfig": {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40.0,
        "candidateCount": 2,
        "maxOutputTokens": 1000,
        "stopSequences": ["END", "STOP"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "properties": {"a": {"type": "string"}}},
        "responseModalities": ["TEXT", "AUDIO"],
        "speechConfig": {
            "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}},
            "languageCode": "en-US",
        },
        "imageConfig": {"aspectRatio": "16:9"},
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}],
    "cachedContent": "cachedContents/abc",
    "labels": {"team": "blue"},
    "serviceTier": "flex",
    "store": False,
    "newField": {"a": [None]},
}


def _part(part: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [part]}]}


def _request(**fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], **fields}


def _tool(tool: Any) -> dict[str, Any]:
    return _request(tools=[tool])


def _config(**fields: Any) -> dict[str, Any]:
    return _request(generationConfig=fields)


def _schema(schema: Any) -> dict[str, Any]:
    return _tool({"functionDeclarations": [{"name": "f", "parameters": schema}]})


ENVELOPE = "cGVuc3RvY2s6YW50aHJvcGljOjo6YUIrLz0="  # penstock:anthropic:::aB+/=

SPELLINGS: tuple[dict[str, Any], ...] = (
    {
        "system_instruction": {"parts": {"text": "Be brief."}},
        "contents": {"role": "user", "parts": {"text": "Hello"}},
        "tools": {"function_declarations": {"name": "f", "parameters_json_schema": {"type": "object"}}},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        "generation_config": {
            "max_output_tokens": 5,
            "top_p": 0.5,
            "top_k": 4,
            "candidate_count": 1,
            "stop_sequences": ["a"],
            "response_mime_type": "application/json",
            "response_schema": {"type": "OBJECT"},
            "response_modalities": ["Text", "Image"],
            "thinking_config": {"include_thoughts": False, "thinking_level": "high"},
            "response_logprobs": False,
            "presence_penalty": 0,
            "frequency_penalty": 0,
        },
        "service_tier": "standard",
    },
    _part({"inline_data": {"mime_type": "image/png", "data": PIXEL}}),
    _part({"inlineData": {"mime_type": "image/png", "data": "a-_b", "display_name": "x"}}),
    _part({"inlineData": {"mimeType": "image/png", "data": "aGk"}}),
    _part({"inlineData": {"mimeType": "image/png", "data": "-_+/"}}),
    _part({"inlineData": {"mimeType": "image/png"}}),
    _part({"inlineData": {}}),
    _part({"file_data": {"fileUri": "https://youtu.be/x"}}),
    _part({"fileData": {"file_uri": "files/x", "mimeType": None}}),
    _part({"fileData": {"mimeType": "image/png"}}),
    _part({"fileData": {}, "media_resolution": {"level": "MEDIA_RESOLUTION_HIGH"}}),
    _part({"inlineData": {"mimeType": "image/png", "data": PIXEL}, "mediaResolution": {"level": "X", "numTokens": 5}}),
    _part({"inlineData": {"mimeType": "image/png", "data": PIXEL}, "thought": True, "thoughtSignature": SIGNATURE}),
    _part({"function_call": {"name": "f"}, "thought_signature": SIGNATURE}),
    _part({"functionCall": {"name": "f", "args": None, "id": None, "willContinue": False}, "thought": False}),
    _part({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "b"}], "willContinue": True}}),
    _part({"functionCall": {}}),
    _part({"functionCall": {"name": "f", "args": {"a": 1}}, "inlineData": {"data": ""}}),
    _part({"function_response": {"name": "f", "response": {"output": "text"}}}),
    _part({"functionResponse": {"name": "f", "response": {"output": {"a": 1}}}}),
    _part({"functionResponse": {"name": "f", "response": {"output": None}}}),
    _part({"functionResponse": {"name": "f", "response": {"result": ["a"]}}}),
    _part({"functionResponse": {"name": "f", "response": {"error": {"code": 1}}}}),
    _part({"functionResponse": {"name": "f", "response": {"error": "a", "output": "b"}}}),
    _part({"functionResponse": {"name": "f", "response": {}}}),
    _part({"functionResponse": {"name": "f", "response": None, "parts": []}}),
    _part({"functionResponse": {"response": {"return_value": 1}, "willContinue": True}}),
    _part(
        {"functionResponse": {"name": "f", "response": {}, "parts": [{"text": "?"}, {"file_data": {"fileUri": "x"}}]}}
    ),
    _part({"executable_code": {"code": "1"}}),
    _part({"code_execution_result": {"outcome": "OUTCOME_FAILED", "id": None}}),
    _part({"tool_call": {"tool_type": "FILE_SEARCH"}}),
    _part({"toolCall": {"toolType": "web_search", "args": None, "new": 1}}),
    _part({"toolCall": {"toolType": "", "id": "x"}}),
    _part({"toolCall": {}}),
    _part({"tool_response": {"toolType": "GOOGLE_SEARCH_IMAGE", "response": None}}),
    _part({"text": None, "functionCall": {"name": "f", "args": {}}}),
    _part({"text": "a", "inlineData": None}),
    _part({"text": "a", "thought": False}),
    _part({"text": "a", "thought": None, "thoughtSignature": None}),
    _part({"text": "a", "thought": "yes"}),
    _part({"text": "a", "partMetadata": {"a": 1}, "speechMetadata": {"speaker": "x"}}),
    _part({"text": "a", "thought": True, "thoughtSignature": ENVELOPE}),
    _part({"text": "a", "thoughtSignature": ENVELOPE.replace("+", "-").replace("/", "_")}),
    _part({"text": "a", "thoughtSignature": "cGVuc3RvY2s6x"}),
    _part({"thoughtSignature": SIGNATURE}),
    _part({"thought": True, "thoughtSignature": SIGNATURE}),
    _part({"videoMetadata": {"fps": 1}}),
    _part({}),
    _part({"newKind": {"a": 1}, "thought": True}),
    {"contents": []},
    {"contents": [{}]},
    {"contents": [{"role": "model", "parts": []}, {"parts": None, "role": None}, {"role": "", "parts": [{}], "x": 1}]},
    {"contents": [{"role": "function", "parts": [{"text": "a"}]}, {"role": "system", "parts": [{"text": "a"}]}]},
    _request(systemInstruction="Be brief."),
    _request(systemInstruction={}),
    _request(systemInstruction={"parts": [], "role": "system", "new": None}),
    _request(systemInstruction={"role": None, "parts": [{"text": "a"}]}),
    _request(systemInstruction=None, tools=None, toolConfig=None, generationConfig=None, labels=None, store=None),
    _request(generationConfig={}, toolConfig={}, tools=[], labels={}, safetySettings=[]),
    _request(toolConfig={"functionCallingConfig": {}}),
    _request(toolConfig={"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": []}}),
    _request(toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}}),
    _request(toolConfig={"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["a"]}}),
    _request(toolConfig={"functionCallingConfig": {"mode": "NONE", "allowedFunctionNames": ["a"]}}),
    _request(toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a"]}}),
    _request(toolConfig={"functionCallingConfig": {"mode": "MODE_UNSPECIFIED", "streamFunctionCallArguments": True}}),
    _request(toolConfig={"functionCallingConfig": {"mode": "a b"}}),
    _request(toolConfig={"functionCallingConfig": {"mode": ""}}),
    _request(toolConfig={"functionCallingConfig": {"allowedFunctionNames": ["a", "b"]}}),
    _request(tools=[{}, {"functionDeclarations": []}, {"googleSearch": None, "codeExecution": {}}, {"x": None}]),
    _request(tools=[{"functionDeclarations": [{"name": "a"}]}, {"functionDeclarations": [{"name": "b"}]}]),
    _request(tools=[{"functionDeclarations": [{"name": "a"}], "function_declarations": [{"name": "b"}]}]),
    _request(tools=[{"google_search": {}, "url_context": {}}, {"googleSearch": {}}, {"new": {"a": 1}, "newer": 1}]),
    _request(tools=[{"google_search_retrieval": {"dynamic_retrieval_config": {"mode": "MODE_DYNAMIC"}}}]),
    _request(tools=[{"mcp_servers": {"name": "one"}}, {"retrieval": {"vertexAiSearch": {"engine": "x"}}}]),
    _request(tools={"googleSearch": {}}),
    _request(tools=[{"my new tool": {}}, {"new": {}}, {"one": {}}]),
    _tool({"functionDeclarations": [{"name": "f", "description": "", "parameters": None, "new": [1]}]}),
    _tool({"functionDeclarations": [{"name": "f", "parameters": {"type": "object"}, "parametersJsonSchema": {}}]}),
    _schema({"type": "object", "properties": {"a": {"type": "string", "nullable": True}}}),
    _schema({"type": "OBJECT", "properties": {"a": {"type": "string"}}}),
    _schema({"type": "Object"}),
    _schema({"type": ["STRING", "null"], "nullable": True}),
    _schema({"type": "ARRAY", "items": {"any_of": [{"type": "STRING"}]}, "max_items": "3", "minItems": "1"}),
    _schema(
        {"type": "OBJECT", "properties": {"type": {"type": "STRING", "enum": ["OBJECT"]}}, "default": {"type": "A"}}
    ),
    _schema({"anyOf": [{"type": "STRING"}, {"type": "TYPE_UNSPECIFIED"}], "nullable": True}),
    _schema({}),
    _config(responseMimeType="text/plain"),
    _config(responseMimeType="application/json"),
    _config(responseMimeType="text/x.enum", responseSchema={"type": "STRING", "enum": ["a"]}),
    _config(responseSchema={"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}}),
    _config(responseMimeType="application/json", responseSchema={"type": "Object"}, responseJsonSchema=None),
    _config(responseMimeType="application/json", responseJsonSchema={}, response_schema={"type": "OBJECT"}),
    _config(responseJsonSchema=True),
    _config(thinkingConfig={}),
    _config(thinkingConfig={"thinkingBudget": -1, "includeThoughts": None, "new": 1}),
    _config(thinkingConfig={"thinkingBudget": 0}),
    _config(thinkingConfig={"thinkingBudget": -5, "thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}),
    _config(thinkingConfig={"thinkingLevel": "LOW"}),
    _config(thinking_config={"thinking_budget": 24576}),
    _config(speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}),
    _config(speech_config={"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}}),
    _config(speechConfig={"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": []}}),
    _config(responseModalities=[]),
    _config(responseModalities=["IMAGE"], temperature=None, topP=None, top_p=0.5, new=None),
    _request(model="models/gemini-2.5-flash"),
    _request(serviceTier="PRIORITY"),
    _request(serviceTier="unspecified"),
    _request(service_tier="brand-new"),
)


def _answer(*parts: Any, **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": "STOP", "index": 0}
    return {"candidates": [{**candidate, **fields}]}


def _usage(**counts: Any) -> dict[str, Any]:
    return {**_answer({"text": "a"}), "usageMetadata": counts}


_TOKEN = {"token": "Hi", "tokenId": 5, "logProbability": -0.5}

ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "Thinking.", "thought": True},
                    {"text": "Für Paris: sunny.", "thoughtSignature": SIGNATURE},
                    {"functionCall": {"name": "look", "args": {"x": [1, {"y": None}]}, "id": "c1"}},
                ],
                "role": "model",
            },
            "finishReason": "STOP",
            "finishMessage": "Model generated function call(s).",
            "index": 0,
            "avgLogprobs": -0.1,
            "tokenCount": 5,
            "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW", "blocked": False}],
            "citationMetadata": {"citations": [{"startIndex": 0, "endIndex": 4, "uri": "https://example.com/b"}]},
            "groundingMetadata": {
                "webSearchQueries": ["paris"],
                "groundingChunks": [
                    {"web": {"uri": "https://example.com/a", "title": "A"}},
                    {"retrievedContext": {"text": "words", "title": "T", "documentName": "d"}},
                ],
                "groundingSupports": [
                    {"segment": {"endIndex": 11, "text": "Für Paris:"}, "groundingChunkIndices": [0, 1]}
                ],
            },
            "urlContextMetadata": {
                "urlMetadata": [
                    {"retrievedUrl": "https://example.com/c", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"}
                ]
            },
            "logprobsResult": {
                "chosenCandidates": [_TOKEN],
                "topCandidates": [{"candidates": [_TOKEN, {"token": "Ho"}]}],
                "logProbabilitySum": -0.5,
            },
        },
        {"content": {"parts": [{"text": "Other."}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": 1},
    ],
    "promptFeedback": {"safetyRatings": []},
    "usageMetadata": {
        "promptTokenCount": 10,
        "candidatesTokenCount": 5,
        "totalTokenCount": 122,
        "cachedContentTokenCount": 4,
        "thoughtsTokenCount": 7,
        "toolUsePromptTokenCount": 100,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 6}, {"modality": "DOCUMENT", "tokenCount": 4}],
        "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
        "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
        "trafficType": "ON_DEMAND_PRIORITY",
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "abc-_1",
    "createTime": "2026-05-27T16:53:45.443719Z",
    "modelStatus": {"modelStage": "STABLE"},
}

ANSWER_SPELLINGS: tuple[dict[str, Any], ...] = (
    {"candidates": [{"content": {}, "finishReason": "SAFETY", "safetyRatings": [{"blocked": True}]}]},
    {"candidates": [{"finishReason": "MODEL_ARMOR", "finishMessage": "no"}]},
    {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}]},
    {"candidates": [{"content": {"parts": [], "role": "user", "x": 1}, "index": 3, "finishReason": None}]},
    {"candidates": [{"content": {"parts": {"text": "a"}, "role": None}, "index": None}]},
    {"candidates": [{"content": None}], "createTime": "yesterday"},
    {"candidates": [{}], "createTime": "2026-05-27T16:53:45.123456789+02:00", "modelVersion": None},
    {"candidates": [], "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": []}},
    {"promptFeedback": {"blockReason": "MODEL_ARMOR", "blockReasonMessage": "The prompt was blocked."}},
    {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": None}, "usageMetadata": {}},
    {"promptFeedback": {}},
    {"usageMetadata": {"promptTokenCount": 1}, "candidates": None},
    {"candidates": []},
    _answer({"text": ""}, {}, {"thoughtSignature": SIGNATURE}),
    _answer({"functionCall": {"name": "f"}}),
    _answer({"text": "a"}, finishReason="BRAND_NEW"),
    _answer({"text": "a"}, logprobsResult={"chosenCandidates": [{"token": "a", "logProbability": None}]}),
    _answer({"text": "a"}, logprobsResult={"chosenCandidates": [_TOKEN], "topCandidates": []}),
    _answer({"text": "a"}, logprobsResult={"chosenCandidates": []}),
    _answer({"text": "a"}, logprobsResult=None, groundingMetadata={}, citationMetadata={"citationSources": [{}]}),
    _answer({"functionCall": {"name": "f", "args": {}}}, logprobsResult={"chosenCandidates": [_TOKEN]}),
    _answer({"inlineData": {"mimeType": "image/png", "data": PIXEL}, "thoughtSignature": SIGNATURE}),
    _usage(),
    _usage(promptTokenCount=5, thoughtsTokenCount=7, totalTokenCount=12),
    _usage(promptTokenCount=5, candidatesTokenCount=0, thoughtsTokenCount=0, toolUsePromptTokenCount=0),
    _usage(promptTokenCount=0, candidatesTokenCount=0, toolUsePromptTokenCount=3),
    _usage(promptTokenCount=5, candidatesTokenCount=17, thoughtsTokenCount=7, totalTokenCount=22),
    _usage(promptTokenCount=None, candidatesTokenCount="7", totalTokenCount=1.5, new={"a": 1}),
    _usage(promptTokensDetails=[{"modality": "TEXT"}, {"modality": "IMAGE", "tokenCount": 3}]),
    _usage(promptTokensDetails=[{"modality": "A B", "tokenCount": 3}], candidatesTokensDetails=[]),
    _usage(promptTokensDetails=[{"modality": "TEXT", "tokenCount": 3}, {"modality": "TEXT", "tokenCount": 3}]),
    _usage(serviceTier="priority", trafficType="ON_DEMAND_PRIORITY"),
    _usage(serviceTier="standard"),
    _usage(serviceTier=1, trafficType="BRAND_NEW"),
)


def frame(value: Any) -> bytes:
    """One frame of a stream with alt=sse, as Google's servers end it."""
    return b"data: " + json.dumps(value).encode() + b"\r\n\r\n"


def _piece(*parts: Any, **fields: Any) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **fields}],
        "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "abc",
    }


CHUNKS: tuple[dict[str, Any], ...] = (
    _piece({"text": "Let me ", "thought": True}),
    _piece({"text": "think.", "thought": True}, {"text": "It is "}),
    _piece({"text": "sünny 🌞"}, {"text": " today."}),
    _piece({"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK"}}),
    _piece({"functionCall": {"name": "look", "args": {"x": 1.5}, "id": "c1"}, "thoughtSignature": SIGNATURE}),
    _piece({"inlineData": {"mimeType": "image/png", "data": PIXEL}}),
    _piece({"text": "Done."}),
    {
        **_piece({"text": "", "thoughtSignature": SIGNATURE}, finishReason="STOP", avgLogprobs=-0.5),
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 3, "totalTokenCount": 8, "new": 1},
        "createTime": "2026-05-27T16:53:45Z",
    },
)
STREAM = b"".join(frame(chunk) for chunk in CHUNKS)

ODD_CHUNKS: tuple[dict[str, Any], ...] = (
    {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "createTime": "2026-05-27T16:53:45Z"},
    {"candidates": [{"content": {"parts": [{"text": "b"}], "role": "model"}, "index": 1}]},
    {"candidates": [{"index": 1, "safetyRatings": []}, {"content": {"parts": {"text": "c", "thought": False}}}]},
    {"candidates": [{"content": {"parts": [{}, {"thoughtSignature": SIGNATURE}]}}], "new": None},
    {"candidates": [{"content": {"parts": [{"text": "d", "new": 1}, {"thought_signature": "x", "text": "e"}]}}]},
    {"candidates": [{"finishReason": "STOP"}, {"content": None, "finishReason": "MAX_TOKENS", "index": 1}]},
    {"candidates": [{"groundingMetadata": {"groundingChunks": [{"web": {"uri": "https://example.com"}}]}}]},
    {"usageMetadata": {"promptTokenCount": 1, "thoughtsTokenCount": 3}, "candidates": []},
    {"promptFeedback": {"safetyRatings": []}},
    {"candidates": None},
)
ODD_STREAM = b": keep-alive\n\n" + b"".join(frame(chunk) for chunk in ODD_CHUNKS)

BLOCKED_STREAM = frame(
    {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no"}, "usageMetadata": {}}
)

PARTIAL_CALL: tuple[dict[str, Any], ...] = (
    _piece({"functionCall": {"name": "look", "id": "c1", "willContinue": True}, "thoughtSignature": SIGNATURE}),
    _piece({"functionCall": {"partialArgs": [{"jsonPath": "$.city", "stringValue": "Pa", "willContinue": True}],
                             "willContinue": True}}),
    _piece({"functionCall": {"partialArgs": [{"jsonPath": "$.city", "stringValue": "ris"},
                                             {"jsonPath": "$.at[1]['a b']", "numberValue": 2},
                                             {"jsonPath": "$.sure", "boolValue": True},
                                             {"jsonPath": "$.none", "nullValue": "NULL_VALUE"}],
                             "willContinue": True}}),
    _piece({"functionCall": {}}),
    _piece({"text": ""}, finishReason="STOP"),
)  # fmt: skip

ERROR: dict[str, Any] = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "10"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.074824224s"},
        ],
    }
}

"""What Amazon Bedrock Converse accepts: the documented members as shapes, the rules between messages as functions.

Source: Amazon Bedrock API reference, "Converse"; the errors are worded as the service words them. A member that the API
does not have is refused: the service's own clients do so before they send.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from penstock.testing.providers.anthropic_rules import version
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    OBJECT,
    STRING,
    ListOf,
    MapOf,
    Number,
    Path,
    Shape,
    String,
    Struct,
    Violation,
    one_of,
)
from penstock.testing.providers.wire import JSON, Call

_BYTES = String(pattern=r"[A-Za-z0-9+/\s]+={0,2}\s*", shortest=1)
_S3 = Struct({"uri": String(pattern=r"s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?"), "bucketOwner": STRING}, ("uri",))


def _union(fields: Mapping[str, Shape]) -> Struct:
    return Struct(fields, exactly_one=True)


_CITED = Struct({"enabled": BOOL}, required=("enabled",))
_IMAGE = Struct(
    {"format": one_of("png", "jpeg", "gif", "webp"), "source": _union({"bytes": _BYTES, "s3Location": _S3})},
    required=("format", "source"),
)
_DOCUMENT = Struct(
    {
        "format": one_of("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"),
        "name": String(shortest=1, longest=200),
        "source": _union(
            {"bytes": _BYTES, "s3Location": _S3, "text": STRING, "content": ListOf(_union({"text": STRING}))}
        ),
        "context": STRING,
        "citations": _CITED,
    },
    required=("name", "source"),
)
_VIDEO_FORMATS = ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")
_VIDEO = Struct(
    {
        "format": one_of(*_VIDEO_FORMATS, *(f"video/{name}" for name in _VIDEO_FORMATS)),  # seen to take both
        "source": _union({"bytes": _BYTES, "s3Location": _S3}),
    },
    required=("format", "source"),
)
_AUDIO = Struct(
    {"format": STRING, "source": _union({"bytes": _BYTES, "s3Location": _S3})}, required=("format", "source")
)
_CACHE_POINT = Struct({"type": one_of("default"), "ttl": one_of("5m", "1h")}, required=("type",))
_SEARCH_RESULT = Struct(
    {"source": STRING, "title": STRING, "content": ListOf(Struct({"text": STRING})), "citations": _CITED},
    required=("source", "title", "content"),
)
TOOL_NAME = String(pattern="[a-zA-Z0-9_-]+", shortest=1, longest=64)
TOOL_USE_ID = String(pattern="[a-zA-Z0-9_.:-]+", shortest=1, longest=64)
_TOOL_USE = Struct(
    {"toolUseId": TOOL_USE_ID, "name": TOOL_NAME, "input": ANY, "type": one_of("server_tool_use")},
    required=("toolUseId", "name", "input"),
)
_TOOL_RESULT = Struct(
    {
        "toolUseId": TOOL_USE_ID,
        "content": ListOf(
            _union(
                {
                    "json": ANY,
                    "text": STRING,
                    "image": _IMAGE,
                    "document": _DOCUMENT,
                    "video": _VIDEO,
                    "searchResult": _SEARCH_RESULT,
                }
            )
        ),
        "status": one_of("success", "error"),
        "type": STRING,
    },
    required=("toolUseId", "content"),
)
_GUARD = _union({"text": Struct({"text": STRING, "qualifiers": ListOf(STRING)}, required=("text",)), "image": OBJECT})
_REASONING = _union(
    {
        "reasoningText": Struct({"text": STRING, "signature": STRING}, required=("text",)),
        "redactedContent": _BYTES,
    }
)
_BLOCK = _union(
    {
        "text": STRING,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "video": _VIDEO,
        "audio": _AUDIO,
        "toolUse": _TOOL_USE,
        "toolResult": _TOOL_RESULT,
        "guardContent": _GUARD,
        "cachePoint": _CACHE_POINT,
        "reasoningContent": _REASONING,
        "citationsContent": OBJECT,
        "searchResult": _SEARCH_RESULT,
        "toolAddition": OBJECT,
        "toolRemoval": OBJECT,
    }
)
MESSAGE = Struct(
    {"role": one_of("user", "assistant", "system"), "content": ListOf(_BLOCK)}, required=("role", "content")
)
_SYSTEM = _union({"text": String(shortest=1), "guardContent": _GUARD, "cachePoint": _CACHE_POINT})
_TOOL_SPEC = Struct(
    {
        "name": TOOL_NAME,
        "description": String(shortest=1),
        "inputSchema": _union({"json": OBJECT}),
        "strict": BOOL,
    },
    required=("name", "inputSchema"),
)
_TOOL_CONFIG = Struct(
    {
        "tools": ListOf(
            _union(
                {
                    "toolSpec": _TOOL_SPEC,
                    "systemTool": Struct({"name": TOOL_NAME}, required=("name",)),
                    "cachePoint": _CACHE_POINT,
                }
            ),
            shortest=1,
        ),
        "toolChoice": _union(
            {"auto": Struct({}), "any": Struct({}), "tool": Struct({"name": TOOL_NAME}, required=("name",))}
        ),
    },
    required=("tools",),
)
_INFERENCE = Struct(
    {
        "maxTokens": Number(1, integer=True),
        "temperature": Number(0, 1),
        "topP": Number(0, 1),
        "stopSequences": ListOf(String(shortest=1), longest=2500),
    }
)
_OUTPUT_CONFIG = Struct(
    {
        "textFormat": Struct(
            {
                "type": one_of("json_schema"),
                "structure": _union(
                    {
                        "jsonSchema": Struct(
                            {"schema": STRING, "name": STRING, "description": STRING}, required=("schema",)
                        )
                    }
                ),
            },
            required=("type", "structure"),
        ),
        "effort": String(longest=16),
    }
)
_COUNTED: dict[str, Shape] = {
    "messages": ListOf(MESSAGE),
    "system": ListOf(_SYSTEM),
    "toolConfig": _TOOL_CONFIG,
    "additionalModelRequestFields": OBJECT,
}
BODY = Struct(
    {
        **_COUNTED,
        "inferenceConfig": _INFERENCE,
        "guardrailConfig": OBJECT,
        "promptVariables": OBJECT,
        "additionalModelResponseFieldPaths": ListOf(STRING, longest=10),
        "requestMetadata": MapOf(STRING),
        "performanceConfig": Struct({"latency": one_of("standard", "optimized")}),
        "serviceTier": Struct({"type": one_of("priority", "default", "flex", "reserved")}, required=("type",)),
        "outputConfig": _OUTPUT_CONFIG,
    }
)
COUNT_BODY = Struct(
    {"input": _union({"invokeModel": Struct({"body": STRING}, ("body",)), "converse": Struct(_COUNTED)})}, ("input",)
)


def invalid(message: str) -> ProviderError:
    """A ValidationException."""
    return ProviderError(400, message, type="ValidationException")


def unreadable(call: Call) -> ProviderError | None:
    """The error for a body that is not a JSON object."""
    try:
        value = call.request.json
    except ValueError:
        return ProviderError(400, "The request body is not valid JSON.", type="SerializationException")
    return None if isinstance(value, dict) else ProviderError(400, "Expected an object.", type="SerializationException")


def known_model(call: Call) -> ProviderError | None:
    """400 for a model that does not exist."""
    return None if call.world.knows_model(call.param("model")) else invalid("The provided model identifier is invalid.")


def check(call: Call, shape: Struct) -> ProviderError | None:
    """The error for a body that leaves the shape."""
    if error := unreadable(call):
        return error
    violation = shape.check(call.body)
    return _worded(violation) if violation else None


def validate(call: Call) -> ProviderError | None:
    """The error with which Bedrock refuses the request, or None."""
    if error := check(call, BODY) or known_model(call):
        return error
    return next((error for rule in _RULES if (error := rule(call))), None)


def _members(path: Path) -> str:
    """toolConfig.tools.1.member.toolSpec: AWS counts members of a list from 1."""
    return ".".join(f"{step + 1}.member" if isinstance(step, int) else step for step in path)


def _worded(violation: Violation) -> ProviderError:
    where, value, expected = _members(violation.path), violation.value, violation.expected
    if violation.kind == "unknown":
        known = ", ".join(expected)
        return invalid(f'Unknown parameter in input: "{where}", must be one of: {known}')
    if violation.kind == "type":
        text = f"Unexpected type at {where}: expected {expected}"
        return ProviderError(400, text, type="SerializationException")
    if violation.kind == "one_of":
        return invalid(
            f"Invalid number of parameters set for tagged union structure {where}. Can only set one of: "
            f"{', '.join(expected)}."
        )
    constraint = {
        "missing": "Member must not be null",
        "value": f"Member must satisfy enum value set: [{', '.join(expected) if violation.kind == 'value' else ''}]",
        "pattern": f"Member must satisfy regular expression pattern: {expected}",
        "low": f"Member must have value greater than or equal to {expected}",
        "high": f"Member must have value less than or equal to {expected}",
        "short": f"Member must have length greater than or equal to {expected}",
        "long": f"Member must have length less than or equal to {expected}",
    }[violation.kind]
    shown = "null" if value is None else value
    return invalid(
        f"1 validation error detected: Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"
    )


# --- rules between messages ------------------------------------------------------------------------------------------


def _turns(call: Call) -> ProviderError | None:
    """A conversation begins with the user and alternates (system messages in the middle are no turns)."""
    roles = [message["role"] for message in call.body.get("messages") or [] if message["role"] != "system"]
    if not roles:
        return invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a "
            "user message."
        )
    if roles[0] != "user" and not _takes_assistant_first(call.param("model")):
        return invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a "
            "user message."
        )
    if any(a == b for a, b in pairwise(roles)):
        return invalid(
            "A conversation must alternate between user and assistant roles. Make sure the conversation "
            "alternates between user and assistant roles and try again."
        )
    return None


def _takes_assistant_first(model: str) -> bool:
    return "claude" in model and version(model) >= (4, 0)


def _located(call: Call) -> Iterator[tuple[int, int, JSON]]:
    for index, message in enumerate(call.body["messages"]):
        for place, block in enumerate(message["content"]):
            yield index, place, block


def _content(call: Call) -> ProviderError | None:
    for index, message in enumerate(call.body["messages"]):
        if not message["content"]:
            return invalid(
                f"The content field in the Message object at messages.{index} is empty. Add a ContentBlock "
                "object to the content field and try again."
            )
    for index, place, block in _located(call):
        if "text" in block and not block["text"]:
            return invalid(
                f"The text field in the ContentBlock object at messages.{index}.content.{place} is blank. "
                "Add text to the text field, and try again."
            )
    return None


_BAD_NAME = re.compile(r"[^\w\s\-()\[\]]|_|\s{2,}", re.ASCII)


def _documents(call: Call) -> ProviderError | None:
    """Document names keep to a small alphabet and are unique; a document comes with a text."""
    names: list[str] = []
    for index, message in enumerate(call.body["messages"]):
        documents = [block["document"] for block in message["content"] if "document" in block]
        for document in documents:
            if _BAD_NAME.search(document["name"]):
                return invalid(
                    "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                    "parentheses, and square brackets. The name can't contain more than one consecutive whitespace "
                    "character."
                )
            names.append(document["name"])
        if documents and not any("text" in block for block in message["content"]):
            return invalid(
                f"messages.{index}: a text block must be included when a document is included. Add a text "
                "field to the content and try again."
            )
    if len(set(names)) != len(names):
        return invalid("The document names in a conversation must be unique.")
    return None


def _tool_config(call: Call) -> ProviderError | None:
    config = call.body.get("toolConfig")
    uses = any("toolUse" in block or "toolResult" in block for _, _, block in _located(call))
    if uses and config is None:
        return invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    if config is None:
        return None
    specs = [tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool]
    names = [spec["name"] for spec in specs]
    if len(set(names)) != len(names):
        return invalid("The toolConfig field contains tools with the same name.")
    wanted = config.get("toolChoice", {}).get("tool", {}).get("name")
    if wanted is not None and wanted not in names:
        return invalid(f"The tool {wanted} in toolChoice is not defined in toolConfig.")
    for index, spec in enumerate(specs):
        if spec["inputSchema"]["json"].get("type") != "object":
            return invalid(
                f"The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the "
                "following: object."
            )
    return None


def _tool_results(call: Call) -> ProviderError | None:
    """Every toolUse is answered in the next message, and every toolResult answers a toolUse of the one before."""
    expected: list[str] = []
    for index, message in enumerate(call.body["messages"]):
        if message["role"] == "system":
            continue
        uses = [b["toolUse"]["toolUseId"] for b in message["content"] if "toolUse" in b and "type" not in b["toolUse"]]
        results = [b["toolResult"]["toolUseId"] for b in message["content"] if "toolResult" in b]
        if message["role"] == "assistant" and results:
            continue  # results of tools that the server ran
        if len(results) > len(expected):
            return invalid(
                f"The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse "
                "blocks of previous turn."
            )
        missing = [name for name in expected if name not in results]
        if missing:
            return invalid(
                f"Expected toolResult blocks at messages.{index}.content for the following Ids: {', '.join(missing)}"
            )
        expected = uses
    if expected:
        index = len(call.body["messages"])
        return invalid(
            f"Expected toolResult blocks at messages.{index}.content for the following Ids: {', '.join(expected)}"
        )
    return None


def _sayers(call: Call) -> ProviderError | None:
    for index, place, block in _located(call):
        role = call.body["messages"][index]["role"]
        if role == "user" and ("toolUse" in block or "reasoningContent" in block):
            kind = "toolUse" if "toolUse" in block else "reasoningContent"
            return invalid(f"User messages cannot contain {kind} content. See messages.{index}.content.{place}.")
        if role == "assistant" and ("image" in block or "document" in block):
            kind = "image" if "image" in block else "document"
            return invalid(f"Assistant messages cannot contain {kind} content. See messages.{index}.content.{place}.")
    return None


def _signatures(call: Call) -> ProviderError | None:
    for index, place, block in _located(call):
        thought = block.get("reasoningContent", {}).get("reasoningText")
        if thought is None or "claude" not in call.param("model"):
            continue
        where = f"messages.{index}.content.{place}"
        if "signature" not in thought:
            return invalid(f"The model returned the following errors: {where}.thinking.signature: Field required")
        if not call.world.accepts("bedrock", thought["signature"], thought["text"]):
            return invalid(f"The model returned the following errors: {where}: Invalid `signature` in `thinking` block")
    return None


_RULES: tuple[Callable[[Call], ProviderError | None], ...] = (
    _turns,
    _content,
    _sayers,
    _tool_config,
    _tool_results,
    _documents,
    _signatures,
)

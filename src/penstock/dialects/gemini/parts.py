"""Parts, both ways: one object whose only data key says what it is, with the same few keys beside it for all kinds.

    text                     Text, or Thinking with `thought: true`
    inlineData, fileData     Media
    functionCall             ToolCall             functionResponse         ToolResult
    executableCode           ServerToolCall       codeExecutionResult      ServerToolResult  (the tool code_execution)
    toolCall                 ServerToolCall       toolResponse             ServerToolResult  (other server tools)

A part without a data key is an empty Text; a data key that nobody knows yet makes it Opaque. So is a picture that
the model drew while thinking (`thought: true`): it has no place in the representation, and must not pass for an answer.

Source: https://ai.google.dev/api/caching#Part,
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1beta1/Content#Part
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.gemini.media import kind_of, read_base64, write_base64
from penstock.dialects.gemini.signatures import ORIGIN, UNSIGNED, URL_SAFE, Sealed, read_signature, write_signature
from penstock.dialects.gemini.spelling import (
    Names,
    find,
    left,
    maybe_text,
    names_of,
    object_of,
    present,
    text_of,
    words,
)
from penstock.types.content import (
    Base64,
    Json,
    Media,
    Opaque,
    Part,
    ServerToolCall,
    ServerToolResult,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import DialectError, MalformedError

TOOL_TYPES: dict[str, str] = {
    "GOOGLE_SEARCH_WEB": "web_search",
    "URL_CONTEXT": "web_fetch",
    "FILE_SEARCH": "file_search",
    "GOOGLE_MAPS": "maps",
}
"""`toolType` -> generic name. Types without a generic name keep their own."""
TOOL_TYPE_OF: dict[str, str] = {name: kind for kind, name in TOOL_TYPES.items()}

DETAILS: dict[str, str] = {
    "MEDIA_RESOLUTION_LOW": "low",
    "MEDIA_RESOLUTION_MEDIUM": "medium",
    "MEDIA_RESOLUTION_HIGH": "high",
    "MEDIA_RESOLUTION_ULTRA_HIGH": "ultra_high",
}
LEVEL_OF: dict[str, str] = {detail: level for level, detail in DETAILS.items()}

ANSWER_KEYS = ("output", "result", "error")
"""Keys of a function response that hold the whole answer: Google's words are output and error, its SDKs' is result."""

_METADATA = frozenset({"thought", "thoughtSignature", "thought_signature", "videoMetadata", "mediaResolution"})


def read_part(value: Any) -> Part:
    """One element of `parts`. Raises MalformedError."""
    part = value if type(value) is dict else wire.obj(value)
    if len(part) == 1 and type(part.get("text")) is str:
        return Text(part["text"])
    for key, inner in part.items():
        read = _READERS.get(key)
        if read is not None and inner is not None:
            try:
                return read(part, key)
            except DialectError as error:
                raise (error if error.path.startswith(("thought", key)) else error.at(key)) from None
    return _read_empty(part)


def _read_text(part: dict[str, Any], key: str) -> Part:
    text = text_of(part, "text")
    sealed, used = _signature(part, "text")
    thought = part.get("thought")
    if type(thought) is bool:
        used = (*used, "thought")
    native = words(used, "thought=false" if thought is False else "", sealed.shape)
    extras = left(part, used)
    if thought is not True:
        return Text(text, signature=sealed.signature, id=sealed.item_id, native=native, extras=extras)
    return Thinking(text, None, sealed.signature, sealed.redacted, id=sealed.item_id, native=native, extras=extras)


def _read_empty(part: dict[str, Any]) -> Part:
    """A part without data: an empty text (often the bearer of a signature), or something new."""
    if not {key for key, value in part.items() if value is not None} <= _METADATA:
        return Opaque(part)
    sealed, used = _signature(part)
    thought = part.get("thought") is True
    native = words(used, "-text", sealed.shape)
    extras = left(part, (*used, "thought") if thought else used)
    if thought:
        return Thinking("", None, sealed.signature, sealed.redacted, id=sealed.item_id, native=native, extras=extras)
    return Text("", signature=sealed.signature, id=sealed.item_id, native=native, extras=extras)


def _signature(part: dict[str, Any], *used: str) -> tuple[Sealed, tuple[str, ...]]:
    """(the part's signature, the keys that were read: `used`, and that of the signature)."""
    if len(part) == len(used):
        return UNSIGNED, used
    key, _ = find(part, "thoughtSignature")
    return (read_signature(text_of(part, key)), (*used, key)) if key else (UNSIGNED, used)


def _extras(
    part: dict[str, Any], used: tuple[str, ...], key: str, inner: dict[str, Any], inner_used: tuple[str, ...]
) -> dict[str, Any] | None:
    """What was read neither of a part nor of its data object `inner`, which stands under `key`."""
    if len(part) == len(used) and len(inner) == len(inner_used):
        return None
    rest = left(inner, inner_used)
    extras = left(part, used)
    return {**(extras or {}), key: rest} if rest else extras


def _read_inline_data(part: dict[str, Any], key: str) -> Part:
    if part.get("thought") is True:
        return Opaque(part, native="thought")
    blob = object_of(part, key)
    data = maybe_text(blob, "data")
    source, shape = read_base64(data) if data is not None else (None, "")
    return _read_media(part, key, blob, source, "data" if data is not None else "", shape)


def _read_file_data(part: dict[str, Any], key: str) -> Part:
    if part.get("thought") is True:
        return Opaque(part, native="thought")
    file = object_of(part, key)
    uri_key, _ = find(file, "fileUri")
    source = Url(text_of(file, uri_key)) if uri_key else None
    return _read_media(part, key, file, source, uri_key, "" if uri_key else "file")


def _read_media(
    part: dict[str, Any], key: str, holder: dict[str, Any], source: Base64 | Url | None, source_key: str, shape: str
) -> Part:
    mime_key, name_key = find(holder, "mimeType")[0], find(holder, "displayName")[0]
    inner_used = tuple(filter(None, (source_key, mime_key, name_key)))
    media_type = maybe_text(holder, mime_key)
    detail_key, detail = _detail(part)
    sealed, used = _signature(part, *((key, detail_key) if detail_key else (key,)))
    return Media(
        kind_of(media_type, source),
        source,
        media_type,
        maybe_text(holder, name_key),
        detail,
        signature=sealed.signature,
        id=sealed.item_id,
        native=words((*used, *inner_used), shape, sealed.shape),
        extras=_extras(part, used, key, holder, inner_used),
    )


def _detail(part: dict[str, Any]) -> tuple[str, str | None]:
    """`mediaResolution: {"level": ...}` as the unified fidelity; anything richer stays in the extras."""
    key, value = find(part, "mediaResolution")
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("level"), str):
        detail = DETAILS.get(value["level"])
        return (key, detail) if detail else ("", None)
    return "", None


def _read_function_call(part: dict[str, Any], key: str) -> Part:
    call = object_of(part, key)
    name, arguments, call_id = call.get("name"), call.get("args"), call.get("id")
    if len(part) == 1 and type(name) is str and type(arguments) is dict and key == "functionCall":
        if len(call) == 2:
            return ToolCall(None, name, arguments)
        if len(call) == 3 and type(call_id) is str:
            return ToolCall(call_id, name, arguments)
    if name is None:  # a later piece of a call whose arguments were streamed
        return Opaque(part, native=key)
    sealed, used = _signature(part, key)
    extras = None
    if len(part) > len(used) or len(call) > 1 + (arguments is not None) + (call_id is not None):
        extras = _extras(part, used, key, call, present(call, ("name", "args", "id")))
    return ToolCall(
        None if call_id is None else text_of(call, "id"),
        text_of(call, "name"),
        {} if arguments is None else object_of(call, "args"),
        signature=sealed.signature,
        id=sealed.item_id,
        native=words(used, sealed.shape, "-args" if arguments is None else ""),
        extras=extras,
    )


def _read_function_response(part: dict[str, Any], key: str) -> Part:
    holder = object_of(part, key)
    if len(part) == 1 and key == "functionResponse" and holder.keys() in _PLAIN_RESPONSES:
        plain = _read_plain_response(holder)
        if plain is not None:
            return plain
    parts: tuple[Part, ...] = ()
    used = present(holder, ("id", "name", "response"))
    if "response" in used:
        parts = (_read_answer(object_of(holder, "response")),)
    if holder.get("parts"):
        parts += _read_result_media(holder["parts"])
        used = (*used, "parts")
    return ToolResult(
        maybe_text(holder, "id"),
        parts,
        maybe_text(holder, "name"),
        True if parts and parts[0].native == "error" else None,
        native=words((key,), "" if "response" in used else "-response"),
        extras=_extras(part, (key,), key, holder, used),
    )


_PLAIN_RESPONSES = ({"name", "response"}, {"id", "name", "response"})


def _read_plain_response(holder: dict[str, Any]) -> Part | None:
    """The plainest form, which is nearly every response; None where a value is not of the usual type."""
    call_id, name, response = holder.get("id"), holder["name"], holder["response"]
    if type(name) is not str or type(response) is not dict or (call_id is None) != (len(holder) == 2):
        return None
    if call_id is not None and type(call_id) is not str:
        return None
    answer = _read_answer(response)
    return ToolResult(call_id, (answer,), name, True if answer.native == "error" else None)


def _read_answer(response: dict[str, Any]) -> Part:
    """The function's answer: an object, or what stands alone under one of the usual keys."""
    if len(response) == 1:
        (name, value) = next(iter(response.items()))
        if name in ANSWER_KEYS:
            return Text(value, native=name) if type(value) is str else Json(value, native=name)
    return Json(response)


def _read_result_media(value: Any) -> tuple[Part, ...]:
    found: list[Part] = []
    try:
        for element in wire.array(value):
            part = read_part(element)
            found.append(part if type(part) is Media else Opaque(wire.obj(element)))
    except DialectError as error:
        raise error.at(len(found)).at("parts") from None
    return tuple(found)


def _read_executable_code(part: dict[str, Any], key: str) -> Part:
    """`language` and `code` are the arguments, whatever else there is among them."""
    code = object_of(part, key)
    sealed, used = _signature(part, key)
    return ServerToolCall(
        maybe_text(code, "id"),
        "code_execution",
        {name: value for name, value in code.items() if name != "id" or value is None},
        signature=sealed.signature,
        id=sealed.item_id,
        native=words(used, "code", sealed.shape),
        extras=left(part, used),
    )


def _read_code_result(part: dict[str, Any], key: str) -> Part:
    result = object_of(part, key)
    return ServerToolResult(
        maybe_text(result, "id"),
        "code_execution",
        {name: value for name, value in result.items() if name != "id" or value is None},
        native=words((key,), "code"),
        extras=left(part, (key,)),
    )


def _read_tool_call(part: dict[str, Any], key: str) -> Part:
    call = object_of(part, key)
    name, type_key, shape = _tool_type(call)
    inner_used = (*type_key, *present(call, ("id", "args")))
    sealed, used = _signature(part, key)
    return ServerToolCall(
        maybe_text(call, "id"),
        name,
        object_of(call, "args") if "args" in inner_used else None,
        signature=sealed.signature,
        id=sealed.item_id,
        native=words((*used, *inner_used), shape, sealed.shape),
        extras=_extras(part, used, key, call, inner_used),
    )


def _read_tool_response(part: dict[str, Any], key: str) -> Part:
    holder = object_of(part, key)
    name, type_key, shape = _tool_type(holder)
    inner_used = (*type_key, *present(holder, ("id", "response")))
    return ServerToolResult(
        maybe_text(holder, "id"),
        name,
        holder.get("response"),
        native=words((key, *inner_used), shape),
        extras=_extras(part, (key,), key, holder, inner_used),
    )


def _tool_type(holder: dict[str, Any]) -> tuple[str, tuple[str, ...], str]:
    """(the tool's name, the key of its type if there is one, the shape word) of a `toolCall` or `toolResponse`."""
    key, _ = find(holder, "toolType")
    if not key or type(holder[key]) is int:  # an enum's number stays where it is
        return "", (), ""
    kind = text_of(holder, key)
    if not kind or kind in TOOL_TYPE_OF:  # a type that looks like one of our generic names, or like none
        return kind, (key,), f"type={kind}"
    return TOOL_TYPES.get(kind, kind), (key,), ""


_READERS: dict[str, Callable[[dict[str, Any], str], Part]] = {
    "text": _read_text,
    "inlineData": _read_inline_data,
    "inline_data": _read_inline_data,
    "fileData": _read_file_data,
    "file_data": _read_file_data,
    "functionCall": _read_function_call,
    "function_call": _read_function_call,
    "functionResponse": _read_function_response,
    "function_response": _read_function_response,
    "executableCode": _read_executable_code,
    "executable_code": _read_executable_code,
    "codeExecutionResult": _read_code_result,
    "code_execution_result": _read_code_result,
    "toolCall": _read_tool_call,
    "tool_call": _read_tool_call,
    "toolResponse": _read_tool_response,
    "tool_response": _read_tool_response,
}


# Writing: parts of this dialect come out as they were; parts of others must have been brought into its terms before
# (foreign.py).


def write_part(part: Part) -> dict[str, Any]:
    """The wire form of a part."""
    if type(part) is Text and part.native is None and part.signature is None and part.extras is None:
        return {"text": part.text}
    write = _WRITERS.get(type(part))
    if write is None:
        raise MalformedError(f"{type(part).__name__} has no place in a Gemini content")
    found: dict[str, Any] = write(part)
    return found if part.extras is None else wire.deep_merge(part.extras, found)


def _sign(part: Any, names: Names, found: dict[str, Any]) -> dict[str, Any]:
    """`found` with the part's signature, if it has one."""
    signature = part.signature
    if signature is not None:
        value = signature.value
        if signature.origin != ORIGIN:
            value = write_signature(signature, getattr(part, "redacted", False), part.id, URL_SAFE in names)
        found[names["thoughtSignature"]] = value
    return found


def _write_text(part: Any) -> dict[str, Any]:
    thought = type(part) is Thinking
    if part.native is None and part.signature is None:
        return {"text": part.text, "thought": True} if thought else {"text": part.text}
    names = names_of(part.native)
    found: dict[str, Any] = {} if "-text" in names and not part.text else {"text": part.text}
    if thought:
        found["thought"] = True
    elif "thought=false" in names:
        found["thought"] = False
    return _sign(part, names, found)


def _write_media(part: Media) -> dict[str, Any]:
    names = names_of(part.native)
    inner: dict[str, Any] = {}
    if part.media_type is not None:
        inner[names["mimeType"]] = part.media_type
    if part.name is not None:
        inner[names["displayName"]] = part.name
    key = "inlineData"
    if isinstance(part.source, Base64):
        inner["data"] = write_base64(part.source.data, names)
    elif isinstance(part.source, Url):
        key = "fileData"
        inner[names["fileUri"]] = part.source.url
    elif "file" in names:
        key = "fileData"
    found: dict[str, Any] = {names[key]: inner}
    if part.detail in LEVEL_OF:
        found[names["mediaResolution"]] = {"level": LEVEL_OF[part.detail]}
    return _sign(part, names, found)


def _write_function_call(part: ToolCall) -> dict[str, Any]:
    call: dict[str, Any] = {"name": part.name}
    if part.native is None and part.signature is None:  # nearly every call
        call["args"] = part.arguments
        if part.call_id is not None:
            call["id"] = part.call_id
        return {"functionCall": call}
    names = names_of(part.native)
    if part.arguments or "-args" not in names:
        call["args"] = part.arguments
    if part.call_id is not None:
        call["id"] = part.call_id
    return _sign(part, names, {names["functionCall"]: call})


def _write_function_response(part: ToolResult) -> dict[str, Any]:
    names = names_of(part.native)
    inner: dict[str, Any] = {}
    if part.call_id is not None:
        inner["id"] = part.call_id
    if part.name is not None:
        inner["name"] = part.name
    answers = [piece for piece in part.parts if type(piece) in (Text, Json)]
    media = [write_part(piece) for piece in part.parts if type(piece) not in (Text, Json)]
    if answers or "-response" not in names:
        inner["response"] = write_answer(answers, bool(part.is_error))
    if media:
        inner["parts"] = media
    return {names["functionResponse"]: inner}


def write_answer(answers: list[Any], is_error: bool) -> dict[str, Any]:
    """The object of a function response for texts and JSON values: one object stands for itself, everything else goes
    under the key it came with, or `error` or `result`.
    """
    if len(answers) == 1:
        (answer,) = answers
        value = answer.text if type(answer) is Text else answer.value
        if answer.native is None and type(value) is dict and not is_error:
            return value
        key = answer.native if answer.native in ANSWER_KEYS and (answer.native == "error") == is_error else None
        return {key or ("error" if is_error else "result"): value}
    texts = [answer.text if type(answer) is Text else wire.encode(answer.value).decode() for answer in answers]
    return {"error" if is_error else "result": "\n".join(texts)}


def _write_server_call(part: ServerToolCall) -> dict[str, Any]:
    names = names_of(part.native)
    if "code" in names:
        code = dict(part.arguments) if isinstance(part.arguments, dict) else {}
        if part.call_id is not None:
            code["id"] = part.call_id
        return _sign(part, names, {names["executableCode"]: code})
    call = _write_tool_type(part.name, names)
    if part.arguments is not None:
        call["args"] = part.arguments
    if part.call_id is not None:
        call["id"] = part.call_id
    return _sign(part, names, {names["toolCall"]: call})


def _write_server_result(part: ServerToolResult) -> dict[str, Any]:
    names = names_of(part.native)
    if "code" in names:
        result = dict(part.content) if isinstance(part.content, dict) else {}
        if part.call_id is not None:
            result["id"] = part.call_id
        return {names["codeExecutionResult"]: result}
    response = _write_tool_type(part.name, names)
    if part.content is not None:
        response["response"] = part.content
    if part.call_id is not None:
        response["id"] = part.call_id
    return {names["toolResponse"]: response}


def _write_tool_type(name: str, names: Names) -> dict[str, Any]:
    if f"type={name}" in names:
        return {names["toolType"]: name}
    return {names["toolType"]: TOOL_TYPE_OF.get(name, name)} if name else {}


def _write_opaque(part: Opaque) -> dict[str, Any]:
    return wire.obj(part.value)


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Text: _write_text,
    Thinking: _write_text,
    Media: _write_media,
    ToolCall: _write_function_call,
    ToolResult: _write_function_response,
    ServerToolCall: _write_server_call,
    ServerToolResult: _write_server_result,
    Opaque: _write_opaque,
}

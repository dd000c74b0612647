"""Other dialects' requests in the terms of Responses: what has a place is moved to it, what has none is noted.

The result is a Request that this dialect's own writers can write one to one. Differences that matter:

- instructions that stand before the first turn go into `instructions`, later ones stay where they are, as messages;
- a call and its output are items of their own, matched by id (at most 64 characters);
- OpenAI takes functions as strict unless told otherwise, other dialects do not: `strict` is written out;
- reasoning goes back as an item, with its signature to models that can verify it (`profile.signature_origin`), as plain
  text only to hosts that want that (`profile.replay_thinking`);
- an image in an assistant's turn can only have been made by the image tool.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.documents import words_about
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import derived_name, media_type_of
from penstock.dialects.openai_responses.fields import COMPLETED
from penstock.dialects.openai_responses.foreign_outcomes import with_outcome
from penstock.dialects.openai_responses.foreign_parts import adapt_citations, adapt_document
from penstock.dialects.openai_responses.foreign_response import adapt_mcp_call
from penstock.dialects.openai_responses.foreign_settings import adapt_settings
from penstock.dialects.openai_responses.foreign_tools import adapt_server_tool
from penstock.dialects.openai_responses.hosted import IMAGE
from penstock.dialects.openai_responses.items import is_content
from penstock.dialects.openai_responses.reasoning import FORMATS
from penstock.dialects.plain import plain_text
from penstock.dialects.server_outcomes import answers
from penstock.dialects.tool_ids import with_tool_ids
from penstock.types.content import (
    Base64,
    Cache,
    FileId,
    Json,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.notes import Memo, Note
from penstock.types.profile import Profile
from penstock.types.request import Message, Request, Tool, ToolChoice

MAX_CALL_ID = 64
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def adapt(request: Request, profile: Profile, notes: list[Note]) -> tuple[Request, Memo]:
    """`request` with messages, tools and settings that Responses can write, and what the reader of the answer must
    know.
    """
    request = with_tool_ids(request)
    turn = _Adapter(request, profile, notes)
    system, messages = turn.messages()
    notes += leftovers("", request.extras)
    tools = turn.tools()
    settings = adapt_settings(request, profile, notes)
    choice = turn.tool_choice(tools)
    if turn.max_tool_calls is not None:
        settings["extras"] = {**(settings["extras"] or {}), "max_tool_calls": turn.max_tool_calls}
    adapted = replace(request, system=system, messages=messages, tools=tools, tool_choice=choice, **settings)
    names = {wire_name: name for name, wire_name in turn.names.items() if wire_name != name}
    return adapted, Memo(tool_names=names or None)


class _Adapter:
    """One translation of a request: the notes it makes, the names and ids that it changes."""

    def __init__(self, request: Request, profile: Profile, notes: list[Note]) -> None:
        self.request = request
        self.profile = profile
        self.notes = notes
        self.names: dict[str, str] = {}
        self.custom_calls: set[str | None] = set()
        self.max_tool_calls: int | None = None
        self.replayed: list[ServerToolResult] = []
        for tool in request.tools or ():
            if tool.kind != "server":
                self.name(tool.name)

    def note(self, path: str, kind: Any, detail: str) -> None:
        self.notes.append(Note(path, kind, detail))

    # Names and ids

    def name(self, name: str) -> str:
        """A function's name with the characters and the length that the API takes; the same one every time, and one of
        its own.
        """
        known = self.names.get(name)
        if known is not None:
            return known
        safe = name if _NAME.fullmatch(name) else re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "tool"
        taken = set(self.names.values())
        if safe in taken or (safe != name and safe in self.names):
            safe = f"{safe[:55]}_{sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"
        self.names[name] = safe
        return safe

    def call_id(self, call_id: str | None, path: str) -> str | None:
        if call_id is None or len(call_id) <= MAX_CALL_ID:
            return call_id
        self.note(f"{path}.call_id", "changed", f"Responses takes at most {MAX_CALL_ID} characters")
        return f"{call_id[:31]}_{sha256(call_id.encode('utf-8', 'replace')).hexdigest()[:32]}"

    # Messages

    def messages(self) -> tuple[tuple[Part, ...] | None, tuple[Message, ...]]:
        """(instructions, messages)."""
        request = self.request
        system, opening = request.system, 0
        found: list[Message] = []
        if system is not None:
            parts = self.parts(system, "system", "system")
        else:
            while opening < len(request.messages) and self._is_instruction(request.messages[opening]):
                opening += 1
            parts = tuple(part for number in range(opening) for part in self.message(number)[1])
        if any(part.cache is not None or not isinstance(part, Text) for part in parts):
            found.append(Message(self.profile.system_role or "developer", parts))
            parts = ()
        for number in range(opening, len(request.messages)):
            message, adapted = self.message(number)
            if adapted or not message.parts:
                found.append(self._turn(message, adapted))
        return parts or None, tuple(found)

    def _is_instruction(self, message: Message) -> bool:
        return message.role in ("system", "developer") and all(isinstance(part, Text) for part in message.parts)

    def _turn(self, message: Message, parts: tuple[Part, ...]) -> Message:
        """The adapted message. What the model said goes back as a string where it is one text, else as the message
        item that it would have been (an easy message holds only what a user may write).
        """
        role = message.role
        if role in ("system", "developer"):
            role = self.profile.system_role or role
        content = [part for part in parts if is_content(part)] if role == "assistant" else []
        if not content or (len(content) == 1 and isinstance(content[0], Text) and not content[0].citations):
            return Message(role, parts)
        filled = tuple(
            replace(part, citations=()) if isinstance(part, Text) and part.citations is None else part for part in parts
        )
        return Message(role, filled, native="typed list", extras=COMPLETED)

    def message(self, number: int) -> tuple[Message, tuple[Part, ...]]:
        message = self.request.messages[number]
        text = plain_text(message)
        if text is not None:
            return message, (text,)
        path = f"messages[{number}]"
        self.notes += leftovers(path, message.extras)
        if message.name is not None:
            self.note(f"{path}.name", "dropped", "messages have no names here")
        parts = self.parts(message.parts, message.role, f"{path}.parts")
        if message.cache is not None:
            parts = self._cache_last(parts, message.cache, path, message.role)
        return message, parts

    def _cache_last(self, parts: tuple[Part, ...], cache: Cache, path: str, role: str) -> tuple[Part, ...]:
        """A marker on a whole message is one on its last part."""
        kept = self.cache(cache, path, role)
        if kept is None or not parts or not isinstance(parts[-1], Text | Media):
            return parts
        return (*parts[:-1], replace(parts[-1], cache=kept))

    def parts(self, parts: tuple[Part, ...], role: str, path: str) -> tuple[Part, ...]:
        found: list[Part] = []
        for number, part in enumerate(parts):
            found += self.part(part, role, f"{path}[{number}]")
        return tuple(found)

    def part(self, part: Part, role: str, path: str) -> tuple[Part, ...]:
        adapt_one = _ADAPTERS.get(type(part))
        if adapt_one is None:
            self.note(path, "dropped", f"Responses takes no {type(part).__name__} of another provider")
            return ()
        if part.extras:
            self.notes += leftovers(path, part.extras)
        return adapt_one(self, part, role, path)

    def cache(self, cache: Cache | None, path: str, role: str) -> Cache | None:
        """A breakpoint, for models that take them in what the caller writes."""
        if cache is None:
            return None
        if not self.profile.cache_breakpoints or role == "assistant":
            self.note(
                f"{path}.cache",
                "dropped",
                "Responses caches by itself" if role != "assistant" else "only input can be marked",
            )
            return None
        self.notes += leftovers(f"{path}.cache", cache.extras)
        if cache.ttl is None or cache.ttl in ("30m", "12h"):
            return Cache(cache.ttl)
        self.note(f"{path}.cache.ttl", "changed", "Responses knows 30m (the default) and 12h")
        return Cache()

    def text(self, part: Text, role: str, path: str) -> tuple[Part, ...]:
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "a text carries no signature here")
        if part.logprobs:
            self.note(f"{path}.logprobs", "dropped", "a request carries no log probabilities")
        citations = (
            adapt_citations(part, f"{path}.citations", self.notes) if role == "assistant" and part.citations else None
        )
        if part.citations and role != "assistant":
            self.note(f"{path}.citations", "dropped", "only an answer carries citations")
        return (Text(part.text, citations, cache=self.cache(part.cache, path, role)),)

    def json(self, part: Json, role: str, path: str) -> tuple[Part, ...]:
        return (Text(wire.encode(part.value).decode(), cache=self.cache(part.cache, path, role)),)

    def refusal(self, part: Refusal, role: str, path: str) -> tuple[Part, ...]:
        self.cache(part.cache, path, "assistant")
        if part.logprobs:
            self.note(f"{path}.logprobs", "dropped", "a request carries no log probabilities")
        return (Refusal(part.text) if role == "assistant" else Text(part.text),)

    def thinking(self, part: Thinking, role: str, path: str) -> tuple[Part, ...]:
        signature, profile = part.signature, self.profile
        if signature is not None and signature.origin == profile.signature_origin and role == "assistant":
            self.cache(part.cache, path, role)
            return (_signed_thinking(part, signature),)
        if not profile.replay_thinking or part.redacted or role != "assistant":
            self.note(path, "dropped", "this model can neither verify nor use earlier reasoning of another one")
            return ()
        if signature is not None:
            self.note(f"{path}.signature", "dropped", "this model cannot verify it")
        self.cache(part.cache, path, role)
        return (Thinking(part.text, part.summary or ()),)

    def call(self, part: ToolCall, role: str, path: str) -> tuple[Part, ...]:
        if role != "assistant":
            self.note(path, "dropped", "only the assistant calls tools")
            return ()
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "a call carries no signature here")
        self.cache(part.cache, path, role)
        arguments = wire.as_text(part.arguments)
        call_id = self.call_id(part.call_id, path)
        if part.custom:
            self.custom_calls.add(part.call_id)
            return (ToolCall(call_id, self.name(part.name), arguments, True),)
        return (ToolCall(call_id, self.name(part.name), arguments or "{}"),)

    def result(self, part: ToolResult, role: str, path: str) -> tuple[Part, ...]:
        inner = self._output(part.parts, f"{path}.parts")
        if part.is_error:
            self.note(f"{path}.is_error", "dropped", "an output has no flag for a failed tool")
        if part.cache is not None:
            inner = self._cache_last(inner, part.cache, path, "user")
        if not self.profile.content_lists and all(isinstance(piece, Text) for piece in inner):
            inner = (Text("\n\n".join(piece.text for piece in inner if isinstance(piece, Text))),)
        custom = part.custom or part.call_id in self.custom_calls
        return (ToolResult(self.call_id(part.call_id, path), inner, custom=custom),)

    def _output(self, parts: tuple[Part, ...], path: str) -> tuple[Part, ...]:
        """The parts of an output: what would be an item of its own has no place in one."""
        found: list[Part] = []
        for number, part in enumerate(parts):
            place = f"{path}[{number}]"
            if isinstance(part, ToolResult):
                self.note(place, "dropped", "an output holds no other one")
            else:
                found += self.part(part, "user", place)
        return tuple(found)

    # What a provider ran

    def server_call(self, part: ServerToolCall, role: str, path: str) -> tuple[Part, ...]:
        """A call of an MCP server's tool, with what came of it. What else a provider ran is known by things that stay
        with the provider: a container, a proof.
        """
        if part.server is None or role != "assistant":
            self.note(path, "dropped", f"another provider ran {part.name!r}: it cannot be replayed here")
            return ()
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "a call carries no signature here")
        result = next((each for each in self._server_results.get(part.call_id, ()) if answers(each, part)), None)
        if result is None:
            self.note(path, "dropped", "a call of a provider's tool without its result says nothing")
            return ()
        self.cache(part.cache, path, role)
        item = adapt_mcp_call(part)
        told = with_outcome(item, result, path, self.notes) or item
        self.replayed.append(result)
        return (replace(told, id=_mcp_id(part.call_id)),)

    def server_result(self, part: ServerToolResult, role: str, path: str) -> tuple[Part, ...]:
        """It stands in the item of its call."""
        if all(part is not each for each in self.replayed):
            self.note(path, "dropped", f"another provider ran {part.name!r}: it cannot be replayed here")
        return ()

    @cached_property
    def _server_results(self) -> dict[str | None, list[ServerToolResult]]:
        """What the tools of providers answered, by the id of the call."""
        found: dict[str | None, list[ServerToolResult]] = {}
        for message in self.request.messages:
            for part in message.parts:
                if type(part) is ServerToolResult:
                    found.setdefault(part.call_id, []).append(part)
        return found

    # Media

    def media(self, part: Media, role: str, path: str) -> tuple[Part, ...]:
        document = adapt_document(part, path, self.notes)
        if document is not None:
            kept = self.cache(part.cache, path, role)
            inner = self.parts(document, role, f"{path}.source.parts")
            return (*inner[:-1], replace(inner[-1], cache=kept)) if inner and kept else inner
        for name in ("signature", "transcript") if role != "assistant" else ("signature",):
            if getattr(part, name) is not None:
                self.note(f"{path}.{name}", "dropped", "media carries none here")
        if role == "assistant":
            return self._own_media(part, path)
        problem = self._media_problem(part)
        if problem:
            self.note(path, "dropped", problem)
            return ()
        about = words_about(part, path, self.notes)
        named = self._named(part, self.cache(part.cache, path, role), path)
        return (named,) if about is None else (Text(about), named)

    def _own_media(self, part: Media, path: str) -> tuple[Part, ...]:
        """What the model made before: images as items of the image tool, of audio the words."""
        self.cache(part.cache, path, "assistant")
        if part.kind == "image" and isinstance(part.source, Base64):
            item_id = f"ig_{sha256(part.source.data.encode('utf-8', 'replace')).hexdigest()[:32]}"
            return (Media("image", part.source, id=item_id, native=IMAGE, extras={"status": "completed"}),)
        if part.kind == "audio" and part.transcript:
            self.note(path, "weakened", "an assistant's audio became its transcript")
            return (Text(part.transcript),)
        self.note(path, "dropped", f"an assistant's turn holds no {part.kind}")
        return ()

    def _media_problem(self, part: Media) -> str | None:
        source = part.source
        if source is None:
            return f"this {part.kind} has no content"
        if not self.profile.content_lists:
            return "this host takes text only"
        if part.kind == "video":
            return "Responses takes no video"
        if part.kind == "audio" and not isinstance(source, Base64):
            return "Responses takes audio only as bytes"
        if isinstance(source, Url) and not source.url.startswith(("https:", "http:", "data:")):
            return "Responses fetches only http and https: resolve it first"
        if isinstance(source, Url) and part.kind == "image" and not self.profile.image_urls:
            return "this host does not fetch images: resolve them first"
        return None

    def _named(self, part: Media, cache: Cache | None, path: str) -> Media:
        """The media without another dialect's fields. A file given as bytes must have a name; only a file may."""
        name, detail = part.name, part.detail if part.kind in ("image", "file") else None
        if part.kind == "image":
            detail = detail or "auto"
        if part.kind != "file" and name is not None:
            self.note(f"{path}.name", "dropped", f"{part.kind} parts have no names here")
            name = None
        media_type = part.media_type
        if part.kind == "file" and isinstance(part.source, Base64):
            media_type = media_type_of(part) or "application/pdf"
            if name is None:
                name = derived_name(media_type)
                self.note(f"{path}.name", "added", "a file must have a name here")
        if isinstance(part.source, FileId | Url):
            media_type = None
        return Media(part.kind, part.source, media_type, name, detail, cache=cache)

    # Tools

    def tools(self) -> tuple[Tool, ...] | None:
        if self.request.tools is None:
            return None
        found = [self.tool(tool, f"tools[{number}]") for number, tool in enumerate(self.request.tools)]
        return tuple(tool for tool in found if tool is not None) or None

    def tool(self, tool: Tool, path: str) -> Tool | None:
        if tool.kind == "server":
            return self._server_tool(tool, path)
        self.notes += leftovers(path, tool.extras)
        if tool.cache is not None:
            self.note(f"{path}.cache", "dropped", "Responses caches by itself")
        name = self.name(tool.name)
        if tool.kind == "custom":
            return Tool(name, "custom", tool.description, format=tool.format)
        parameters = {"type": "object", "properties": {}} if tool.parameters is None else tool.parameters
        strict = None if not self.profile.strict_tools else bool(tool.strict)
        return Tool(name, "function", tool.description, parameters, strict)

    def _server_tool(self, tool: Tool, path: str) -> Tool | None:
        self.notes += leftovers(path, tool.extras)
        if tool.cache is not None:
            self.note(f"{path}.cache", "dropped", "Responses caches by itself")
        if tool.settings is not None and tool.settings.max_uses is not None and self._is_only_server_tool():
            self.max_tool_calls = tool.settings.max_uses
            tool = replace(tool, settings=replace(tool.settings, max_uses=None))
        adapted = adapt_server_tool(tool, path, self.profile, self.notes)
        if adapted is None:
            self.max_tool_calls = None
        return adapted

    def _is_only_server_tool(self) -> bool:
        """Whether a limit for all of OpenAI's tools together is one for this tool."""
        return sum(tool.kind == "server" for tool in self.request.tools or ()) == 1

    def tool_choice(self, tools: tuple[Tool, ...] | None) -> ToolChoice | None:
        choice = self.request.tool_choice
        if choice is None:
            return None
        self.notes += leftovers("tool_choice", choice.extras)
        if not tools:
            if choice.mode not in ("auto", "none"):
                self.note("tool_choice", "dropped", "there are no tools to choose from")
            return None
        kinds = {tool.name: tool for tool in tools}
        if choice.mode == "tool":
            return self._chosen(choice.name or "", kinds)
        if choice.mode == "allowed":
            return self._allowed(choice, kinds)
        return ToolChoice(choice.mode)

    def _chosen(self, name: str, tools: dict[str, Tool]) -> ToolChoice | None:
        tool = tools.get(name) or tools.get(self.names.get(name, name))
        if tool is None:
            self.note("tool_choice", "dropped", f"there is no tool {name!r} here")
            return None
        return ToolChoice("tool", tool.name, native=_choice_type(tool))

    def _allowed(self, choice: ToolChoice, tools: dict[str, Tool]) -> ToolChoice:
        found = [tools.get(name) or tools.get(self.names.get(name, name)) for name in choice.names or ()]
        known = [tool for tool in found if tool is not None]
        if len(known) < len(found):
            self.note("tool_choice.names", "dropped", "some allowed tools are not there")
        entries = [{"type": _choice_type(tool) or "function"} for tool in known]
        return ToolChoice(
            "allowed",
            names=tuple(tool.name for tool in known),
            allowed_mode=choice.allowed_mode or "auto",
            extras={"tools": entries},
        )


def _signed_thinking(part: Thinking, signature: Signature) -> Thinking:
    """Reasoning with its proof and its id, which OpenAI demands. Hosts that serve other makers' models in this
    dialect name the format beside it (https://openrouter.ai/docs/api-reference/responses-api).
    """
    summary = part.summary or ()
    if signature.origin == "openai":
        # What OpenAI shows of its models' thoughts is their summary, whatever another dialect called it.
        return Thinking("", summary or ((part.text,) if part.text else ()), signature, id=part.id)
    extras = {"format": FORMATS.get(signature.origin, signature.origin)}
    native = "signature" if part.text else None
    return Thinking(part.text, summary, signature, id=part.id, native=native, extras=extras)


def _mcp_id(call_id: str | None) -> str:
    """The id of an item, which OpenAI wants to begin with "mcp_"."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", call_id or "")
    return safe[:MAX_CALL_ID] if safe.startswith("mcp_") else f"mcp_{safe[-56:]}"


def _choice_type(tool: Tool) -> str | None:
    if tool.kind == "server":
        return tool.native
    return "custom" if tool.kind == "custom" else None


_ADAPTERS: dict[type, Callable[[_Adapter, Any, str, str], tuple[Part, ...]]] = {
    Text: _Adapter.text,
    Json: _Adapter.json,
    Refusal: _Adapter.refusal,
    Thinking: _Adapter.thinking,
    Media: _Adapter.media,
    ToolCall: _Adapter.call,
    ToolResult: _Adapter.result,
    ServerToolCall: _Adapter.server_call,
    ServerToolResult: _Adapter.server_result,
}

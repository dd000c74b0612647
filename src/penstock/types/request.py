"""Request: one model call, as every dialect can say it.

A field is None where the caller did not say anything, so that nothing is invented on the way. What only one dialect
knows stays in `extras`; what at least two dialects can say has a field here. `spelling` records which synonym the
caller used (`max_completion_tokens` for `max_tokens`), so that the same dialect can say it the same way again.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from penstock.types.content import Cache, Extras, Part
from penstock.types.tool_settings import ToolSettings

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


class Message(Struct, frozen=True):
    """One turn. Tool results stand in a "tool" message (OpenAI, Cohere, Ollama) or inside a "user" message
    (Anthropic, Gemini, Bedrock).
    """

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    id: str | None = None
    cache: Cache | None = None
    native: str | None = None
    extras: Extras = None


SERVER_TOOLS = frozenset(
    {
        "web_search",
        "web_fetch",
        "code_execution",
        "file_search",
        "image_generation",
        "computer",
        "bash",
        "text_editor",
        "memory",
        "maps",
        "mcp",
        "tool_search",
    }
)
"""The generic names of provider-run (or provider-defined) tools that more than one provider offers."""


class Tool(Struct, frozen=True):
    """A tool the model may call.

    kind "function": `parameters` is a JSON Schema. "custom": free-form text input, `format` what it must be:
    `{"type": "text"}`, or `{"type": "grammar", "syntax": "lark" or "regex", "definition": ...}`. "server":
    run or defined by the provider; `name` is one of SERVER_TOOLS where known, `native` the provider's versioned type,
    `settings` how it may be used, and `extras` what only one provider can say of that (some of it secret, so that the
    repr of a server tool names the extras and does not show them).
    """

    name: str
    kind: Literal["function", "custom", "server"] = "function"
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    cache: Cache | None = None
    native: str | None = None
    extras: Extras = None
    settings: ToolSettings | None = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        if self.extras and self.kind == "server":
            values["extras"] = sorted(self.extras)
        return list(values.items())

    def __repr__(self) -> str:
        return f"Tool({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class ToolChoice(Struct, frozen=True):
    """auto, none, required (any tool), "tool" (the one in `name`), or "allowed" (only `names`, in mode `allowed_mode`
    auto or required).
    """

    mode: Literal["auto", "none", "required", "tool", "allowed"]
    name: str | None = None
    names: tuple[str, ...] | None = None
    allowed_mode: Literal["auto", "required"] | None = None
    native: str | None = None
    extras: Extras = None


class ResponseFormat(Struct, frozen=True):
    """text, json_object (any JSON), or json_schema with `schema`; `name` and `strict` as OpenAI defines them."""

    kind: Literal["text", "json_object", "json_schema"]
    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    native: str | None = None
    extras: Extras = None


class Reasoning(Struct, frozen=True):
    """How much the model should think.

    `effort` is the unified word (none, minimal, low, medium, high, xhigh, max); `budget_tokens` an explicit cap on
    thinking tokens; `enabled` a plain on/off switch; `adaptive` lets the model decide. `summary` asks for a visible
    summary ("auto", "concise", "detailed"), `include` says whether thoughts shall be shown at all.
    """

    effort: str | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    adaptive: bool | None = None
    summary: str | None = None
    include: bool | None = None
    native: str | None = None
    extras: Extras = None


class Request(Struct, frozen=True, kw_only=True):
    """One model call. `dialect` names the wire format that `extras`, `native` and `spelling` everywhere below belong
    to.

    `system` is the instruction that a dialect carries outside of the messages (Anthropic `system`, Gemini
    `systemInstruction`, Responses `instructions`); a dialect without such a place (OpenAI Chat) has it as its first
    message, and renderers move between the two. `betas` are the names of the features that Claude has on request only,
    as Bedrock's bodies carry them (Anthropic's own API takes them in a header: providers/betas.py).
    """

    dialect: str
    model: str | None
    messages: tuple[Message, ...]
    system: tuple[Part, ...] | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | float | None = None
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    modalities: tuple[str, ...] | None = None
    audio: dict[str, Any] | None = None
    service_tier: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    cache: Cache | None = None
    betas: tuple[str, ...] | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_usage: bool | None = None
    spelling: dict[str, str] | None = None
    extras: Extras = None

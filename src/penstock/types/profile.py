"""Profile: what a renderer must know about the host and the model that it writes for.

A quirk is a field with a default, never a test on a provider's name. The catalog's rows and the model facts fill it
in; a dialect reads the fields that concern it and ignores the rest. The defaults describe the dialect's own inventor
(OpenAI for OpenAI Chat ...).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Profile(Struct, frozen=True, kw_only=True):
    """Facts for rendering.

    Sampling and limits
        max_tokens_field      the wire name for the output limit, where a dialect has several (None: the dialect's
                              default)
        default_max_tokens    used where the dialect demands a limit and the caller gave none
        max_output_tokens     the model's own limit, where known
        unsupported           Request field names, or generic names of provider-run tools (Gemini's format), that this
                              host or model refuses: dropped with a note
        unsupported_while_reasoning  the same, but only for a request that asks the model to reason (an effort but
                                     "none", a budget, ...)
        renames               Request field name or wire name -> the host's wire name (`{"seed": "random_seed"}`)
        exclusive_sampling    whether temperature and top_p exclude each other (Claude since 4.5): top_p is then dropped
    Messages
        system_role           how OpenAI-like dialects call the system role ("system", "developer"); None: leave as
                              the caller wrote it
        content_lists         whether message content may be a list of parts (False: texts are joined to one string)
        message_names         whether `name` is accepted on messages that are not tool results
        nulls                 whether explicit nulls are accepted
        message_extensions    whether messages may carry fields beyond the dialect inventor's own (thinking text, unless
                              it is replayed, cache markers, signatures)
        cache_breakpoints     whether the model takes cache markers of the dialect inventor's own kind (OpenAI's
                              `prompt_cache_breakpoint`: gpt-5.6 and later), where others refuse the field
        image_urls            whether the host fetches image URLs itself
        system_turns          whether an instruction may stand between the turns, where a dialect has another place for
                              instructions (Claude since Opus 4.8)
        repair_turns          whether to put in what the target demands and the caller forgot (a first user message, the
                              result of a call, a tool that the history calls): LiteLLM's `modify_params`
    Tools and structured output
        tools                 whether the model can call tools at all
        strict_tools          whether `strict` is accepted on tools and schemas
        parallel_tool_switch  whether Converse passes on that tools are to be called one at a time (Claude since 4.5:
                              `disable_parallel_tool_use` in `additionalModelRequestFields`)
        tool_choice_required  the word for "any tool" ("required" or "any")
        structured_output     the best level available: json_schema, json_object, tool (forced tool), prompt, none
        json_with_tools       whether a JSON answer may be asked for beside tools (Gemini from 3 on); False: beside
                              functions a forced one takes it, beside provider-run tools the prompt asks for it
        schema_unsupported    JSON Schema keywords that the host refuses
        schema_subset         whether schemas must be cut down to the dialect's older subset (Gemini: OpenAPI 3.0,
                              without references) instead of going out as JSON Schema
        mixed_tools           whether functions and provider-run tools may stand in one Gemini request: flagged (with
                              `includeServerSideToolInvocations`: the Gemini API from Gemini 3 on), allowed (without),
                              refused (older models: the provider-run tools are dropped)
        search_excludes       whether the host's web search takes domains to exclude, where its dialect's inventor's
                              does not (Vertex AI in Gemini's format; xAI and OpenRouter in Responses)
        server_tools          the tools that the host runs in Chat Completions: generic name -> its type for it
                              (OpenRouter: `{"web_search": "openrouter:web_search"}`; see openai_chat/server_tools.py).
                              Without an entry, web search is `web_search_options`, and there is nothing else
        tool_result_media     whether Gemini tool results may hold media (from Gemini 3 on); False: it follows beside
                              the result
        media_detail          whether Gemini takes the resolution of a single medium (from Gemini 3 on)
        labels                whether metadata may go out as Gemini's `labels` (Vertex AI)
    Reasoning
        reasoning             how thinking is asked for, where a dialect has several ways. Of OpenAI Chat: effort
                              (`reasoning_effort`), object (`reasoning: {}`), thinking_type (`thinking: {"type":
                              "enabled"}`, with an effort beside it where the efforts are known), budget (the same with
                              `budget_tokens`), enable_thinking, template (`chat_template_kwargs`); of Anthropic:
                              budget, adaptive; of Gemini: budget, level; of Converse, in
                              `additionalModelRequestFields`: budget, adaptive (Claude), effort (`reasoning_effort`,
                              or what `renames` calls it), level (Nova), and the switches; none: not at all
        reasoning_efforts     the effort words the model knows, weakest first (empty: all)
        thinking_field        the message field that carries thinking text ("reasoning_content", "reasoning")
        replay_thinking       whether earlier thinking text must be sent back with tool turns
        signature_origin      whose signatures the model can verify ("anthropic", "gemini", "openai"; None: nobody's)
        placeholder_signatures  whether a Gemini tool call without a signature gets Google's documented placeholder
                              (Gemini 3 refuses the history otherwise)
    Streams
        stream_options        whether `stream_options.include_usage` is accepted
    """

    max_tokens_field: str | None = None
    default_max_tokens: int = 4096
    max_output_tokens: int | None = None
    unsupported: frozenset[str] = frozenset()
    unsupported_while_reasoning: frozenset[str] = frozenset()
    renames: dict[str, str] = {}
    exclusive_sampling: bool = False
    system_role: Literal["system", "developer"] | None = None
    content_lists: bool = True
    message_names: bool = True
    nulls: bool = True
    message_extensions: bool = True
    cache_breakpoints: bool = False
    image_urls: bool = True
    system_turns: bool = False
    repair_turns: bool = False
    tools: bool = True
    strict_tools: bool = True
    parallel_tool_switch: bool = False
    tool_choice_required: str = "required"
    structured_output: Literal["json_schema", "json_object", "tool", "prompt", "none"] = "json_schema"
    json_with_tools: bool = True
    schema_unsupported: frozenset[str] = frozenset()
    schema_subset: bool = False
    mixed_tools: Literal["flagged", "allowed", "refused"] = "flagged"
    search_excludes: bool = False
    server_tools: dict[str, str] = {}
    tool_result_media: bool = False
    media_detail: bool = False
    labels: bool = False
    reasoning: Literal[
        "default",
        "effort",
        "budget",
        "adaptive",
        "level",
        "switch",
        "thinking_type",
        "enable_thinking",
        "template",
        "object",
        "none",
    ] = "default"
    reasoning_efforts: tuple[str, ...] = ()
    thinking_field: str = "reasoning_content"
    replay_thinking: bool = False
    signature_origin: str | None = None
    placeholder_signatures: bool = False
    stream_options: bool = True


DEFAULT_PROFILE = Profile()

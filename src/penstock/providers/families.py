"""Families: what holds for well-known models wherever they are hosted. Globs over model names; a host's own rules come
after and win.

Names differ by host (`claude-opus-4-6`, `us.anthropic.claude-opus-4-6-v1:0`, `anthropic/claude-opus-4.6`), so globs
begin with a star and use `[-.]` where hosts disagree. Rules are limited to the formats that they speak about: what
holds for OpenAI's parameters says nothing about Anthropic's. Sources: platform.openai.com/docs/guides/reasoning,
platform.claude.com/docs/en/build-with-claude/extended-thinking and /effort, ai.google.dev/gemini-api/docs/thinking.
"""

from __future__ import annotations

from penstock.providers.provider import ModelRule

_OPENAI = ("openai_chat", "openai_responses")
_SAMPLING = ["temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"]

_O_SERIES = tuple(f"{before}o[134]{after}" for before in ("", "*[/.:]") for after in ("", "-*"))
_OPENAI_REASONING = (*_O_SERIES, "*gpt-5*", "*gpt-6*", "*codex*", "*gpt-daybreak*")
_OPENAI_CHAT_TUNED = ("*-chat*", "*gpt-5-search*", "*audio*", "*image*", "*transcribe*", "*-tts*", "*realtime*")

_CLAUDE_BUDGET = ("*claude-3[-.]7*", "*claude-opus-4*", "*claude-sonnet-4*", "*claude-haiku-4*")
_CLAUDE_ADAPTIVE = (
    "*claude-*-4[-.][6-9]*",
    "*claude-*-[5-9]*",
    "*claude-mythos*",
    "*claude-fable*",
)
_CLAUDE_DATED = ("*claude-*-4[-.][0-5]*", "*claude-*-4-20*", "*claude-*-4@20*", "*claude-3*")

FAMILIES: tuple[ModelRule, ...] = (
    ModelRule(
        models=_OPENAI_REASONING,
        unless=_OPENAI_CHAT_TUNED,
        formats=_OPENAI,
        profile={"reasoning": "effort", "system_role": "developer", "max_tokens_field": "max_completion_tokens"},
    ),
    ModelRule(  # from GPT-5.1 on, sampling works while the model does not reason
        models=_OPENAI_REASONING,
        unless=(*_OPENAI_CHAT_TUNED, "*gpt-5.[1-9]*", "*gpt-6*"),
        formats=_OPENAI,
        profile={"unsupported": [*_SAMPLING, "stop"]},
    ),
    ModelRule(
        models=("*gpt-5.[1-9]*", "*gpt-6*"),
        unless=_OPENAI_CHAT_TUNED,
        formats=_OPENAI,
        profile={"unsupported": ["stop"], "unsupported_while_reasoning": _SAMPLING},
    ),
    ModelRule(
        models=("*claude-*",),
        formats=("anthropic_messages", "bedrock_converse"),
        profile={"signature_origin": "anthropic", "unsupported_while_reasoning": ["temperature", "top_k"]},
    ),
    ModelRule(  # from Claude 4.7 on, sampling is the model's own business
        models=("*claude-*-4[-.][7-9]*", "*claude-*-[5-9]*", "*claude-mythos*", "*claude-fable*"),
        unless=(*_CLAUDE_DATED, "*claude-*-4[-.]6*"),
        formats=("anthropic_messages", "bedrock_converse"),
        profile={"unsupported": ["temperature", "top_p", "top_k"]},
    ),
    ModelRule(
        models=_CLAUDE_BUDGET,
        formats=("anthropic_messages", "bedrock_converse"),
        profile={"reasoning": "budget"},
    ),
    ModelRule(
        models=_CLAUDE_ADAPTIVE,
        unless=_CLAUDE_DATED,
        formats=("anthropic_messages", "bedrock_converse"),
        profile={"reasoning": "adaptive"},
    ),
    ModelRule(
        models=(
            "*claude-3-opus*",
            "*claude-3-sonnet*",
            "*claude-3-haiku*",
            "*claude-3[-.]5*",
            "*claude-v2*",
            "*claude-2*",
        ),
        formats=("anthropic_messages", "bedrock_converse"),
        profile={"reasoning": "none"},
    ),
    ModelRule(models=("*gemini-*",), formats=("gemini",), profile={"signature_origin": "gemini"}),
    ModelRule(
        models=("*gemini-2.5*",),
        unless=("*-image*", "*-tts*"),
        formats=("gemini",),
        profile={"reasoning": "budget"},
    ),
    ModelRule(
        models=("*gemini-[3-9]*", "*gemini-flash-latest", "*gemini-pro-latest", "*gemini-flash-lite-latest"),
        unless=("*-tts*",),
        formats=("gemini",),
        profile={"reasoning": "level"},
    ),
    ModelRule(models=("*gemini-1*", "*gemini-2.0*", "*gemma*"), formats=("gemini",), profile={"reasoning": "none"}),
)
"""In order; where two rules set the same field, the later one holds."""

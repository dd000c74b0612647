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
_OPENAI_REASONING = (*_O_SERIES, "*gpt-5*", "*gpt-6*", "*codex*", "*daybreak*", "*computer-use-preview*")
_OPENAI_CHAT_TUNED = ("*-chat*", "*gpt-5-search*", "*audio*", "*image*", "*transcribe*", "*-tts*", "*realtime*")

_GEMINI_3 = ("*gemini-[3-9]*", "*gemini-omni*", "*gemini-*-latest", "*gemini-robotics-er-[2-9]*")

_CLAUDE = ("anthropic_messages", "bedrock_converse")
# Versions 5 and later, of whatever name, and the two names that began there. A date is no version.
_CLAUDE_5 = ("*claude-*-[5-9]*", "*claude-mythos*", "*claude-fable*")
_CLAUDE_BEFORE_4_6 = ("*claude-3*", "*claude-*-4[-.][0-5]*", "*claude-*-4-20*", "*claude-*-4@20*")
_CLAUDE_BEFORE_4_7 = (*_CLAUDE_BEFORE_4_6, "*claude-*-4[-.]6*")
_CLAUDE_BEFORE_4_8 = (*_CLAUDE_BEFORE_4_7, "*claude-*-4[-.]7*", "*claude-mythos-preview*")

_CLAUDE_BEFORE_4_5 = ("*claude-v[12]*", "*claude-instant*", "*claude-3*", "*claude-*-4[-@]20*", "*claude-*-4-0*")
# docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html; what of it recordings and facts bear out
_CONVERSE_WITH_SCHEMAS = (
    "*gpt-oss*",
    "*qwen3*",
    "*deepseek.v3*",
    "*gemma-3*",
    "*glm-[4-9]*",
    "*minimax-m*",
    "*ministral-3*",
    "*mistral-large-3*",
    "*voxtral*",
    "*magistral*",
    "*kimi-k2*",
    "*nemotron*",
)

FAMILIES: tuple[ModelRule, ...] = (
    ModelRule(
        models=_OPENAI_REASONING,
        unless=_OPENAI_CHAT_TUNED,
        formats=_OPENAI,
        profile={"reasoning": "effort", "system_role": "developer"},
    ),
    ModelRule(
        models=_OPENAI_REASONING,
        unless=_OPENAI_CHAT_TUNED,
        formats=("openai_chat",),
        profile={"max_tokens_field": "max_completion_tokens"},
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
    ModelRule(  # encrypted reasoning comes back to whoever made it, at whatever host
        models=_OPENAI_REASONING,
        unless=_OPENAI_CHAT_TUNED,
        formats=("openai_responses",),
        profile={"signature_origin": "openai"},
    ),
    ModelRule(  # OpenAI's explicit cache breakpoints
        models=("*gpt-5.[6-9]*", "*gpt-6*"),
        formats=_OPENAI,
        profile={"cache_breakpoints": True},
    ),
    ModelRule(
        models=("*claude-*",),
        formats=_CLAUDE,
        profile={"signature_origin": "anthropic", "unsupported_while_reasoning": ["temperature", "top_k"]},
    ),
    ModelRule(
        models=("*claude-3[-.]7*", "*claude-opus-4*", "*claude-sonnet-4*", "*claude-haiku-4*"),
        formats=_CLAUDE,
        profile={"reasoning": "budget"},
    ),
    ModelRule(
        models=("*claude-instant*", "*claude-v[12]*", "*claude-2*", "*claude-3*"),
        unless=("*claude-3[-.]7*",),
        formats=_CLAUDE,
        profile={"reasoning": "none"},
    ),
    ModelRule(models=_CLAUDE_BEFORE_4_5, formats=_CLAUDE, profile={"structured_output": "tool"}),
    ModelRule(
        models=(*_CLAUDE_BEFORE_4_5, "*claude-*-4-1*"),
        formats=("bedrock_converse",),
        profile={"structured_output": "tool", "strict_tools": False},
    ),
    ModelRule(
        models=("*claude-*-4[-.][5-9]*", *_CLAUDE_5),
        unless=(*_CLAUDE_BEFORE_4_5, "*claude-*-4-1*"),
        formats=("bedrock_converse",),
        profile={"parallel_tool_switch": True},
    ),
    ModelRule(
        models=("*claude-*-4[-.][56]*",),
        formats=_CLAUDE,
        profile={"exclusive_sampling": True},
    ),
    ModelRule(
        models=("*claude-*-4[-.][6-9]*", *_CLAUDE_5),
        unless=_CLAUDE_BEFORE_4_6,
        formats=_CLAUDE,
        profile={"reasoning": "adaptive"},
    ),
    ModelRule(
        models=("*claude-*-4[-.][7-9]*", *_CLAUDE_5),
        unless=_CLAUDE_BEFORE_4_7,
        formats=_CLAUDE,
        profile={"unsupported": ["temperature", "top_p", "top_k"]},
    ),
    ModelRule(
        models=("*claude-*-4[-.][89]*", *_CLAUDE_5),
        unless=_CLAUDE_BEFORE_4_8,
        formats=_CLAUDE,
        profile={"system_turns": True},
    ),
    # Converse passes on what a model takes, and each maker's takes other words. Of an ARN nobody can tell.
    ModelRule(
        models=("*",),
        unless=("*claude*", "arn:*"),
        formats=("bedrock_converse",),
        profile={
            "signature_origin": "none",
            "reasoning": "none",
            "structured_output": "tool",
            "strict_tools": False,
        },
    ),
    ModelRule(
        models=_CONVERSE_WITH_SCHEMAS,
        formats=("bedrock_converse",),
        profile={"structured_output": "json_schema", "strict_tools": True},
    ),
    ModelRule(  # docs.aws.amazon.com/nova/latest/userguide/using-converse-api.html
        models=("*nova-*",),
        formats=("bedrock_converse",),
        profile={"renames": {"top_k": "inferenceConfig.topK"}},
    ),
    ModelRule(  # docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
        models=("*nova-2-*",), formats=("bedrock_converse",), profile={"reasoning": "level"}
    ),
    ModelRule(models=("*openai.gpt*",), formats=("bedrock_converse",), profile={"reasoning": "effort"}),
    ModelRule(
        models=("*qwen3*",),
        formats=("bedrock_converse",),
        profile={"reasoning": "effort", "renames": {"reasoning_effort": "reasoning_config"}},
    ),
    # It always reasons, in three strengths: cookbook.openai.com/articles/openai-harmony, docs.ollama.com/capabilities/
    # thinking, console.groq.com/docs/reasoning.
    ModelRule(
        models=("*gpt-oss*",),
        formats=(*_OPENAI, "ollama_chat", "bedrock_converse"),
        profile={"reasoning": "effort", "reasoning_efforts": ["low", "medium", "high"]},
    ),
    ModelRule(models=("*gemini-*",), formats=("gemini",), profile={"signature_origin": "gemini"}),
    ModelRule(
        models=("*gemini-2.5*",),
        unless=("*-image*", "*-tts*"),
        formats=("gemini",),
        profile={"reasoning": "budget"},
    ),
    ModelRule(
        models=_GEMINI_3,
        unless=("*-tts*",),
        formats=("gemini",),
        profile={
            "reasoning": "level",
            "tool_result_media": True,
            "media_detail": True,
            "placeholder_signatures": True,
        },
    ),
    ModelRule(
        models=("*gemini-*", "*gemma*"),
        unless=_GEMINI_3,
        formats=("gemini",),
        profile={"mixed_tools": "refused", "json_with_tools": False},
    ),
    ModelRule(models=("*gemini-1*", "*gemini-2.0*", "*gemma*"), formats=("gemini",), profile={"reasoning": "none"}),
    ModelRule(models=("*gemini-1*", "*gemma-[1-3]*"), formats=("gemini",), profile={"schema_subset": True}),
)
"""In order; where two rules set the same field, the later one holds."""

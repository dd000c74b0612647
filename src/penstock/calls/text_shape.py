"""Text completions over chat: a prompt as the user's words, and a chat answer in the shape of the older API.

Chat has no `suffix`, `best_of` or `echo`: they are refused, or left out on request. Source:
platform.openai.com/docs/api-reference/completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.calls.prepare import UnsupportedParameter
from penstock.dialects import wire
from penstock.types.errors import MalformedError

Body = dict[str, Any]
UNSAID = ("suffix", "best_of", "echo")
"""Parameters that chat has no word for."""


def text_of(value: Mapping[str, Any]) -> Body:
    """A chat answer, or one of its chunks, as a text completion. What is one already stays as it is."""
    choices = value.get("choices")
    if not isinstance(choices, list) or not any("message" in each or "delta" in each for each in choices):
        return {**value, "object": "text_completion"} if "object" in value else dict(value)
    return {**value, "object": "text_completion", "choices": [text_choice(each) for each in choices]}


def text_choice(choice: Mapping[str, Any]) -> Body:
    """A choice of a chat answer or chunk as one of a text completion."""
    said = choice.get("message") or choice.get("delta") or {}
    return {
        "text": said.get("content") or "",
        "index": choice.get("index", 0),
        "logprobs": _legacy_logprobs(choice.get("logprobs")),
        "finish_reason": choice.get("finish_reason"),
    }


def _legacy_logprobs(logprobs: Any) -> Any:
    """Chat's list of tokens as the four parallel lists of the older API."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not content:
        return None
    offsets = [0]
    for token in content[:-1]:
        offsets.append(offsets[-1] + len(token["token"]))
    tops = [{top["token"]: top["logprob"] for top in token.get("top_logprobs") or ()} for token in content]
    return {
        "tokens": [token["token"] for token in content],
        "token_logprobs": [token["logprob"] for token in content],
        "top_logprobs": tops,
        "text_offset": offsets,
    }


def bridged(arguments: Body, drop: bool, advice: str = "Pass drop_params=True to leave it out") -> list[Body]:
    """The chat calls that say the same, one for each prompt. Raises MalformedError, UnsupportedParameter."""
    given = {name: value for name, value in arguments.items() if name not in (*UNSAID, "prompt")}
    for name in UNSAID:
        if arguments.get(name) not in (None, False, "", 1) and not drop:
            message = f"{arguments.get('model')} has no text completions, and chat takes no {name!r}"
            raise UnsupportedParameter(f"{message}. {advice}", name)
    prompts = prompts_of(arguments.get("prompt"))
    if len(prompts) > 1 and arguments.get("stream"):
        raise UnsupportedParameter("several prompts cannot be streamed in one call to a chat model", "stream")
    count = given.pop("logprobs", None)
    if isinstance(count, int) and not isinstance(count, bool):
        given |= {"logprobs": True, "top_logprobs": count}
    return [{**given, "messages": [{"role": "user", "content": prompt}]} for prompt in prompts]


def prompts_of(value: Any) -> list[str]:
    """The prompts. Raises MalformedError, UnsupportedParameter."""
    if isinstance(value, str):
        return [value]
    if value is None or not isinstance(value, list | tuple) or not value:
        raise MalformedError(f"expected a text or a list of texts, got {wire.describe(value)}", "prompt")
    if not all(isinstance(each, str) for each in value):
        raise UnsupportedParameter("a prompt of token ids cannot be sent to a chat model: give its text", "prompt")
    return list(value)

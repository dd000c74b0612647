"""Bills: what a call that is no chat is charged by, read from its request and its answer in OpenAI's shape
(reranking: in
Cohere's).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from penstock.providers.cost import Terms
from penstock.types.usage import Usage


class Bill(Struct):
    """What a call is charged by, as `penstock.providers.cost.cost` takes it. `names` are more precise names of the
    model's price, tried first (images are priced by size and quality).
    """

    usage: Usage | None = None
    facts: dict[str, Any] = {}
    names: tuple[str, ...] = ()


def image_bill(body: Mapping[str, Any], answer: Mapping[str, Any]) -> Bill:
    """Tokens where the answer counts them, else images at the price of their size and quality."""
    usage = answer.get("usage")
    size, quality = body.get("size"), body.get("quality")
    terms = Terms(size=size if isinstance(size, str) else None)
    count = len(answer.get("data") or ())
    if isinstance(usage, Mapping):
        read, written = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
        output = usage.get("output_tokens")
        counted = Usage(
            input_tokens=usage.get("input_tokens"),
            input_text_tokens=read.get("text_tokens"),
            input_image_tokens=read.get("image_tokens"),
            output_tokens=output,
            output_image_tokens=written.get("image_tokens", output),
            total_tokens=usage.get("total_tokens"),
        )
        return Bill(counted, {"terms": terms})
    measure = str(size or "1024x1024").replace("x", "-x-")
    model = str(body.get("model", "")).rpartition("/")[2]
    names = (f"{quality or 'standard'}/{measure}/{model}", f"{measure}/{model}")
    return Bill(Usage(images=count), {"terms": terms}, names)


def transcription_bill(body: Mapping[str, Any], answer: Mapping[str, Any]) -> Bill:
    """Tokens where they are counted, else seconds."""
    usage = answer.get("usage") or {}
    details = usage.get("input_token_details") or {}
    seconds = usage.get("seconds", answer.get("duration"))
    if "input_tokens" not in usage:
        return Bill(None if seconds is None else Usage(seconds=float(seconds)))
    counted = Usage(
        input_tokens=usage["input_tokens"],
        input_text_tokens=details.get("text_tokens"),
        input_audio_tokens=details.get("audio_tokens"),
        output_tokens=usage.get("output_tokens"),
        total_tokens=usage.get("total_tokens"),
    )
    return Bill(counted)


def speech_bill(body: Mapping[str, Any], answer: object) -> Bill:
    """The characters that are read aloud."""
    return Bill(Usage(characters=len(body["input"])))


def rerank_bill(body: Mapping[str, Any], answer: Mapping[str, Any]) -> Bill:
    """Search units, or tokens; reranking writes none."""
    billed = (answer.get("meta") or {}).get("billed_units") or {}
    if "search_units" in billed:
        return Bill(Usage(search_units=billed["search_units"]))
    tokens = billed.get("input_tokens")
    return Bill(None if tokens is None else Usage(input_tokens=tokens, output_tokens=0, total_tokens=tokens))


def text_completion_bill(body: Mapping[str, Any], answer: Mapping[str, Any]) -> Bill:
    """The tokens that its usage tells."""
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return Bill()
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Bill(Usage(input_tokens=read, output_tokens=written, total_tokens=usage.get("total_tokens")))


def embedding_bill(body: Mapping[str, Any], answer: Mapping[str, Any]) -> Bill:
    """The tokens that go in: none come out."""
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return Bill()
    tokens = usage.get("prompt_tokens")
    return Bill(Usage(input_tokens=tokens, output_tokens=0, total_tokens=usage.get("total_tokens", tokens)))

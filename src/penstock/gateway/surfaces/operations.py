"""The operations that are served: embeddings, reranking, text completions, images, speech, transcriptions,
moderation.
"""

from __future__ import annotations

from typing import Any

from penstock.calls import bills, embedding_shape, rerank_shape
from penstock.dialects import embeddings, registry, rerank, wire
from penstock.gateway import bounds
from penstock.gateway.operations import Body, Operation, Translation, tokens_in
from penstock.providers.endpoint import Endpoint
from penstock.types.usage import Usage

LONGEST = 4096
"""Tokens that a text completion is taken to have at most where it does not say; OpenAI's own default is 16."""


def _embedding(body: Body, data: bytes, target: Endpoint) -> Body:
    answer = embedding_shape.read_answer(data, target)
    for item in answer.get("data", ()):
        item["embedding"] = embedding_shape.in_form(item["embedding"], body.get("encoding_format"))
    return answer


def _rerank(body: Body, data: bytes, target: Endpoint) -> Body:
    return rerank_shape.with_documents(body, rerank_shape.read_answer(data, target))


EMBEDDINGS = Operation(
    name="embedding",
    capability="embeddings",
    format="openai_embeddings",
    most=tokens_in,
    bill=bills.embedding_bill,
    translation=Translation(
        embedding_shape.encoded, _embedding, lambda wire_format: embeddings.get(wire_format).parse_error
    ),
)
RERANK = Operation(
    name="rerank",
    capability="rerank",
    format="cohere_rerank",
    most=tokens_in,
    bill=bills.rerank_bill,
    translation=Translation(
        rerank_shape.encoded, _rerank, lambda wire_format: registry.get(rerank.get(wire_format).errors).parse_error
    ),
)


def _count(value: Any, otherwise: int) -> int:
    """A count, which a form says as text."""
    return int(value) if str(value).isdigit() and int(value) > 0 else otherwise


def _completion(body: Body, size: int) -> Usage:
    count = _count(body.get("max_tokens"), LONGEST)
    choices = max(_count(body.get(name), 1) for name in ("n", "best_of"))
    inward = bounds.tight(wire.encode(body))
    return Usage(input_tokens=inward, output_tokens=count * choices, total_tokens=inward + count * choices)


COMPLETIONS = Operation(
    name="text_completion",
    capability="text_completion",
    format="openai_text_completion",
    most=_completion,
    bill=bills.text_completion_bill,
)


def _images(body: Body, size: int) -> Usage:
    images = _count(body.get("n"), 1)
    return Usage(images=images, input_tokens=bounds.tight(wire.encode(body)), output_tokens=images * 8192)


IMAGES = Operation(
    name="image_generation", capability="images", format="openai_images", most=_images, bill=bills.image_bill
)
IMAGE_EDITS = Operation(
    name="image_edit", capability="image_edits", format="openai_image_edits", most=_images, bill=bills.image_bill
)
SPEECH = Operation(
    name="speech",
    capability="speech",
    format="openai_speech",
    most=lambda body, size: Usage(characters=len(str(body.get("input", "")))),
    bill=bills.speech_bill,
    binary=True,
)


def _seconds(body: Body, size: int) -> Usage:
    """No speech is packed into less than a kilobyte a second."""
    return Usage(seconds=max(1.0, size / 1000.0))


def _transcribed(body: Any, answer: Any) -> bills.Bill:
    return bills.transcription_bill(body, answer if isinstance(answer, dict) else {})


TRANSCRIPTIONS = Operation(
    name="transcription",
    capability="transcription",
    format="openai_transcription",
    most=_seconds,
    bill=_transcribed,
)
MODERATIONS = Operation(
    name="moderation",
    capability="moderation",
    format="openai_moderation",
    most=lambda body, size: Usage(),
    model="omni-moderation-latest",
)

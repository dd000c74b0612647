"""The operations that are served: embeddings, reranking, images, speech, transcriptions, moderation."""

from __future__ import annotations

from typing import Any

from penstock.calls import bills, embedding_shape, rerank_shape
from penstock.dialects import embeddings, registry, rerank, wire
from penstock.gateway import bounds
from penstock.gateway.operations import Body, Operation, Parts, Translation, tokens_in
from penstock.gateway.surfaces import mocks
from penstock.providers.endpoint import Endpoint
from penstock.types.usage import Usage


def _embedding(body: Body, data: bytes, target: Endpoint) -> Body:
    answer = embedding_shape.read_answer(data, target)
    for item in answer.get("data", ()):
        item["embedding"] = embedding_shape.in_form(item["embedding"], body.get("encoding_format"))
    return answer


def _rerank(body: Body, data: bytes, target: Endpoint) -> Body:
    return rerank_shape.with_documents(body, rerank_shape.read_answer(data, target))


def _cut(body: Body, target: Endpoint) -> list[Body]:
    """As many requests as a list of inputs needs at this host."""
    inputs, most = body.get("input"), embeddings.get(target.format).max_inputs
    if most is None or not isinstance(inputs, list) or len(inputs) <= most or isinstance(inputs[0], int):
        return [body]
    return [{**body, "input": inputs[start : start + most]} for start in range(0, len(inputs), most)]


def _joined(answers: list[Body]) -> Body:
    """The vectors of all parts, numbered through, and the sum of what they took."""
    data = [item for answer in answers for item in answer.get("data") or ()]
    whole = {**answers[0], "data": [{**item, "index": index} for index, item in enumerate(data)]}
    usages = [usage for answer in answers if isinstance(usage := answer.get("usage"), dict)]
    if len(usages) == len(answers):
        names = [name for name, count in usages[0].items() if type(count) is int]
        whole["usage"] = {**usages[0], **{name: sum(usage.get(name) or 0 for usage in usages) for name in names}}
    return whole


LONG_LIST = 6000
"""Bytes that a list of 2,049 texts has at least: OpenAI takes 2,048."""

EMBEDDINGS = Operation(
    name="embedding",
    capability="embeddings",
    format="openai_embeddings",
    most=tokens_in,
    bill=bills.embedding_bill,
    translation=Translation(
        embedding_shape.encoded, _embedding, lambda wire_format: embeddings.get(wire_format).parse_error
    ),
    parts=Parts(LONG_LIST, _cut, _joined),
    mock=mocks.embedding,
)


def _units(body: Body, size: int) -> Usage:
    """Cohere counts a search unit for a hundred documents, and a document of more than 500 tokens as several."""
    documents = body.get("documents")
    pieces = sum(1 + len(wire.encode(each)) // A_PIECE for each in documents) if isinstance(documents, list) else 1
    most = bounds.tight(wire.encode(body))
    return Usage(search_units=1 + pieces // 100, input_tokens=most, output_tokens=0, total_tokens=most)


A_PIECE = 250
"""Bytes of a document that is cut into pieces, at least, in each (the query stands beside it)."""

RERANK = Operation(
    name="rerank",
    capability="rerank",
    format="cohere_rerank",
    most=_units,
    bill=bills.rerank_bill,
    translation=Translation(
        rerank_shape.encoded, _rerank, lambda wire_format: registry.get(rerank.get(wire_format).errors).parse_error
    ),
    mock=mocks.rerank,
)


def _count(value: Any, otherwise: int) -> int:
    """A count, which a form says as text."""
    return int(value) if str(value).isdigit() and int(value) > 0 else otherwise


def _images(body: Body, size: int) -> Usage:
    images = _count(body.get("n"), 1)
    return Usage(images=images, input_tokens=bounds.tight(wire.encode(body)), output_tokens=images * 8192)


IMAGES = Operation(
    name="image_generation",
    capability="images",
    format="openai_images",
    most=_images,
    bill=bills.image_bill,
    mock=mocks.image,
)
IMAGE_EDITS = Operation(
    name="image_edit",
    capability="image_edits",
    format="openai_image_edits",
    most=_images,
    bill=bills.image_bill,
    mock=mocks.image,
)
SPEECH = Operation(
    name="speech",
    capability="speech",
    format="openai_speech",
    most=lambda body, size: Usage(characters=len(str(body.get("input", "")))),
    bill=bills.speech_bill,
    binary=True,
    mock=mocks.speech,
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
    mock=mocks.transcription,
)
MODERATIONS = Operation(
    name="moderation",
    capability="moderation",
    format="openai_moderation",
    most=lambda body, size: Usage(),
    model="omni-moderation-latest",
    mock=mocks.moderation,
)

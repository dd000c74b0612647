"""OpenAI's smaller model endpoints: embeddings, images, moderations, legacy completions, and the list of models.

Their answers are small real things: unit vectors, a PNG of one pixel. Source: OpenAI API reference.
"""

import base64
from collections.abc import Callable
from typing import Any

from penstock.testing.providers.framing import SSE
from penstock.testing.providers.openai_chat import DONE, FINISH, usage_object
from penstock.testing.providers.openai_family import (
    OPENAI,
    bad_parameter,
    check_body,
    error_events,
    opened,
    unknown_model,
)
from penstock.testing.providers.openai_forms import check_form, fields_of
from penstock.testing.providers.script import ProviderError, Refusal, Text
from penstock.testing.providers.shapes import (
    ANY,
    BOOL,
    INT,
    NAME,
    STRING,
    ListOf,
    Number,
    String,
    Struct,
    Violation,
    either,
    nullable,
    one_of,
)
from penstock.testing.providers.vectors import pack, vector
from penstock.testing.providers.wire import (
    JSON,
    SLOT,
    Ask,
    Body,
    Call,
    Event,
    Operation,
    Streaming,
    Turn,
    dumps,
    estimate,
    json_body,
    piece_events,
    text_pieces,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""

_INPUT = either(String(shortest=1), ListOf(either(STRING, INT, ListOf(INT, shortest=1)), shortest=1, longest=2048))


def validator(shape: Struct) -> Callable[[Call], ProviderError | None]:
    """A validator: the body has this shape, and its model exists."""
    lenient = opened(shape)

    def validate(call: Call) -> ProviderError | None:
        if error := check_body(call, shape, lenient):
            return error
        return unknown_model(call, str(call.body["model"])) if "model" in call.body else None

    return validate


def asks_model(call: Call) -> Ask:
    """The model, and the text that is asked about."""
    return Ask(
        model=str(call.body.get("model") or ""), said=str(call.body.get("prompt") or call.body.get("input") or "")
    )


# --- embeddings ------------------------------------------------------------------------------------------------------

EMBEDDING_BODY = Struct(
    {
        "model": NAME,
        "input": _INPUT,
        "dimensions": Number(1, 4096, integer=True),
        "encoding_format": one_of("float", "base64"),
        "user": STRING,
    },
    required=("model", "input"),
)


def texts_of(given: Any) -> list[str]:
    """The inputs of a request as texts: one text, several, one list of tokens, or several (tokens by their numbers)."""
    if isinstance(given, str):
        return [given]
    items = given or []
    if items and all(isinstance(item, int | float) for item in items):
        return [" ".join(map(str, items))]
    return [" ".join(map(str, item)) if isinstance(item, list) else str(item) for item in items]


def embedding_list(texts: list[str], dimensions: int, encoded: bool) -> list[JSON]:
    """The `data` of an embeddings answer, as numbers or as base64 of 32-bit floats."""
    vectors = [vector(text, dimensions) for text in texts]
    return [
        {"object": "embedding", "index": i, "embedding": base64.b64encode(pack(values)).decode() if encoded else values}
        for i, values in enumerate(vectors)
    ]


def _embeddings(turn: Turn, call: Call) -> Body:
    body = call.body
    texts = texts_of(body["input"])
    tokens = sum(map(estimate, texts))
    data = embedding_list(texts, body.get("dimensions") or 8, body.get("encoding_format") == "base64")
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_body({"object": "list", "data": data, "model": body["model"], "usage": usage})


# --- images ----------------------------------------------------------------------------------------------------------

_IMAGE_OPTIONS = {
    "model": nullable(STRING),
    "background": nullable(one_of("transparent", "opaque", "auto")),
    "complexity": nullable(STRING),
    "frame_count": nullable(INT),
    "frame_duration_ms": nullable(INT),
    "n": nullable(Number(1, 10, integer=True)),
    "output_compression": nullable(Number(0, 100, integer=True)),
    "output_format": nullable(one_of("png", "webp", "jpeg", "gif", "svg")),
    "partial_images": nullable(Number(0, 3, integer=True)),
    "quality": nullable(one_of("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd")),
    "response_format": nullable(one_of("url", "b64_json")),
    "safety_identifier": nullable(STRING),
    "size": nullable(STRING),
    "stream": nullable(BOOL),
    "svg": ANY,
    "user": STRING,
}
IMAGE_BODY = Struct(
    {
        **_IMAGE_OPTIONS,
        "prompt": String(shortest=1, longest=32000),
        "moderation": nullable(one_of("low", "auto")),
        "style": nullable(one_of("vivid", "natural")),
    },
    required=("prompt",),
)
_check_image = validator(IMAGE_BODY)


def _validate_image(call: Call) -> ProviderError | None:
    if error := _check_image(call):
        return error
    if _is_gpt_image(call.body.get("model")) and call.body.get("response_format") is not None:
        return bad_parameter(Violation("unknown", ("response_format",), ()))
    return None


def _is_gpt_image(model: object) -> bool:
    return str(model or "").startswith("gpt-image")


def _image_answer(call: Call, model: object, count: int, wants: object, prompt: str) -> Body:
    inline = _is_gpt_image(model) or wants == "b64_json"
    made: JSON = (
        {"b64_json": base64.b64encode(PNG).decode()} if inline else {"url": f"https://images.invalid/{call.number}.png"}
    )
    revised = {} if _is_gpt_image(model) else {"revised_prompt": prompt}
    body: JSON = {"created": call.created, "data": [{**made, **revised} for _ in range(count)]}
    if _is_gpt_image(model):
        read = estimate(prompt)
        body["usage"] = {
            "input_tokens": read,
            "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
            "output_tokens": 272 * count,
            "total_tokens": read + 272 * count,
        }
    return json_body(body)


def _images(turn: Turn, call: Call) -> Body:
    body = call.body
    return _image_answer(
        call, body.get("model"), int(body.get("n") or 1), body.get("response_format"), turn.text or body["prompt"]
    )


_EDIT_FIELDS = {*_IMAGE_OPTIONS, "prompt", "image", "image[]", "mask", "input_fidelity", "markup"}


def _validate_edit(call: Call) -> ProviderError | None:
    return check_form(call, _EDIT_FIELDS, ("prompt",), ("image", "image[]"))


def _edit(turn: Turn, call: Call) -> Body:
    fields = fields_of(call)
    count = int(fields.get("n", "1"))
    return _image_answer(call, fields.get("model"), count, fields.get("response_format"), fields["prompt"])


# --- moderation ------------------------------------------------------------------------------------------------------

_CATEGORIES = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
]
MODERATION_BODY = Struct(
    {"model": STRING, "input": either(STRING, ListOf(either(STRING, Struct({"type": STRING}, ("type",), open=True))))},
    required=("input",),
)


def _moderation(turn: Turn, call: Call) -> Body:
    """Text that contains the word "unsafe" is flagged as violence; so is everything when the script is a refusal."""
    refused = any(isinstance(part, Refusal) for part in turn.parts)
    given = call.body["input"]
    inputs = given if isinstance(given, list) and all(isinstance(item, str) for item in given) else [str(given)]
    results = [_verdict(refused or "unsafe" in text.lower()) for text in inputs]
    model = call.body.get("model") or "omni-moderation-latest"
    return json_body({"id": f"modr-sim{call.number:08d}", "model": model, "results": results})


def _verdict(flagged: bool) -> JSON:
    categories = {name: flagged and name == "violence" for name in _CATEGORIES}
    return {
        "flagged": flagged,
        "categories": categories,
        "category_scores": {name: 0.98 if hit else 0.0001 for name, hit in categories.items()},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }


# --- legacy completions ----------------------------------------------------------------------------------------------

COMPLETION_BODY = Struct(
    {
        "model": NAME,
        "prompt": nullable(either(STRING, ListOf(either(STRING, INT, ListOf(INT))))),
        "best_of": nullable(Number(1, 20, integer=True)),
        "echo": nullable(BOOL),
        "frequency_penalty": nullable(Number(-2, 2)),
        "logit_bias": nullable(ANY),
        "logprobs": nullable(Number(0, 5, integer=True)),
        "max_tokens": nullable(Number(0, integer=True)),
        "n": nullable(Number(1, 128, integer=True)),
        "presence_penalty": nullable(Number(-2, 2)),
        "seed": nullable(INT),
        "stop": nullable(either(STRING, ListOf(STRING, longest=4))),
        "stream": nullable(BOOL),
        "stream_options": nullable(Struct({"include_usage": BOOL, "include_obfuscation": BOOL})),
        "suffix": nullable(STRING),
        "temperature": nullable(Number(0, 2)),
        "top_p": nullable(Number(0, 1)),
        "user": STRING,
    },
    required=("model", "prompt"),
)


def _asks_completion(call: Call) -> Ask:
    prompt = call.body.get("prompt")
    said = prompt if isinstance(prompt, str) else " ".join(texts_of(prompt))
    return Ask(
        model=str(call.body.get("model", "")), stream=bool(call.body.get("stream")), said=said, size=estimate(said)
    )


def _completion_head(turn: Turn, call: Call) -> JSON:
    name = turn.id or f"cmpl-sim{call.number:012d}"
    return {"id": name, "object": "text_completion", "created": call.created, "model": turn.model}


def _completion(turn: Turn, call: Call) -> Body:
    text = (str(call.body["prompt"]) if call.body.get("echo") else "") + turn.text
    choices = [
        {"text": text, "index": index, "logprobs": None, "finish_reason": FINISH[turn.stop]}
        for index in range(int(call.body.get("n") or 1))
    ]
    usage = {"usage": usage_object(turn.usage, call.flavour)} if turn.reports_usage else {}
    return json_body({**_completion_head(turn, call), "choices": choices, **usage})


def _completion_events(turn: Turn, call: Call) -> list[Event]:
    head = _completion_head(turn, call)

    def chunk(text: str, finish: str | None) -> JSON:
        return {**head, "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]}

    made = piece_events("", chunk(SLOT, None), text_pieces(Text(turn.text)))
    made.append(Event("", dumps(chunk("", FINISH[turn.stop]))))
    if (call.body.get("stream_options") or {}).get("include_usage") and turn.reports_usage:
        usage = usage_object(turn.usage, call.flavour)
        made.append(Event("", dumps({**head, "choices": [], "usage": usage})))
    return [*made, DONE]


# --- models ----------------------------------------------------------------------------------------------------------


def _nothing_to_check(call: Call) -> ProviderError | None:
    return None


def _model_object(name: str, call: Call) -> JSON:
    return {"id": name, "object": "model", "created": call.created, "owned_by": "simulated"}


def _models(turn: Turn, call: Call) -> Body:
    names = sorted(call.world.models or {"gpt-4o"})
    return json_body({"object": "list", "data": [_model_object(name, call) for name in names]})


def _known_model(call: Call) -> ProviderError | None:
    return unknown_model(call, call.param("model"))


def _model(turn: Turn, call: Call) -> Body:
    return json_body(_model_object(call.param("model"), call))


_LIKE_CHAT = Streaming(_completion_events, error_events, lambda call: SSE)

EMBEDDINGS = Operation("openai_embeddings", OPENAI, validator(EMBEDDING_BODY), _embeddings, asks_model)
IMAGES = Operation("openai_images", OPENAI, _validate_image, _images, asks_model)
IMAGE_EDITS = Operation("openai_images.edits", OPENAI, _validate_edit, _edit, asks_model)
MODERATIONS = Operation("openai_moderations", OPENAI, validator(MODERATION_BODY), _moderation, asks_model)
COMPLETIONS = Operation(
    "openai_completions", OPENAI, validator(COMPLETION_BODY), _completion, _asks_completion, _LIKE_CHAT
)
MODELS_LIST = Operation("openai_models.list", OPENAI, _nothing_to_check, _models)
MODELS_GET = Operation("openai_models.retrieve", OPENAI, _known_model, _model)

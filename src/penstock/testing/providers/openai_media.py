"""OpenAI's smaller model endpoints: embeddings, images, speech, transcriptions, translations, moderations, legacy
completions, and the list of models.

Their answers are small real things: unit vectors, a PNG of one pixel, a WAV of silence. Source: OpenAI API reference.
"""

import base64
import struct
from collections.abc import Callable, Mapping

from penstock.testing.providers.framing import SSE
from penstock.testing.providers.multipart import FormPart
from penstock.testing.providers.openai_chat import DONE, FINISH, usage_object
from penstock.testing.providers.openai_family import (
    OPENAI,
    bad_parameter,
    check_body,
    error_events,
    invalid,
    opened,
    unknown_model,
)
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
    typed_event,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""

_INPUT = either(String(shortest=1), ListOf(either(STRING, INT, ListOf(INT, shortest=1)), shortest=1, longest=2048))


def _validator(shape: Struct) -> Callable[[Call], ProviderError | None]:
    lenient = opened(shape)

    def validate(call: Call) -> ProviderError | None:
        if error := check_body(call, shape, lenient):
            return error
        return unknown_model(call, str(call.body["model"])) if "model" in call.body else None

    return validate


def _asks(call: Call) -> Ask:
    return Ask(
        model=str(call.body.get("model") or ""), said=str(call.body.get("prompt") or call.body.get("input") or "")
    )


# --- embeddings ------------------------------------------------------------------------------------------------------

EMBEDDING_BODY = Struct(
    {
        "model": NAME,
        "input": _INPUT,
        "dimensions": Number(1, integer=True),
        "encoding_format": one_of("float", "base64"),
        "user": STRING,
    },
    required=("model", "input"),
)


def texts_of(given: object) -> list[str]:
    """The inputs of an embedding request as texts (token lists by their numbers)."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [item if isinstance(item, str) else " ".join(map(str, item)) for item in (given or [])]  # type: ignore[attr-defined]


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
_check_image = _validator(IMAGE_BODY)


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
        call, body.get("model"), body.get("n") or 1, body.get("response_format"), turn.text or body["prompt"]
    )


_EDIT_FIELDS = {*_IMAGE_OPTIONS, "prompt", "image", "image[]", "mask", "input_fidelity", "markup"}


def _validate_edit(call: Call) -> ProviderError | None:
    return _check_form(call, _EDIT_FIELDS, ("prompt",), ("image", "image[]"))


def _edit(turn: Turn, call: Call) -> Body:
    fields = _fields(call)
    count = int(fields.get("n", "1"))
    return _image_answer(call, fields.get("model"), count, fields.get("response_format"), fields["prompt"])


# --- multipart forms -------------------------------------------------------------------------------------------------


def _form(call: Call) -> list[FormPart]:
    try:
        return call.request.form
    except ValueError:
        return []


def _fields(call: Call) -> dict[str, str]:
    return {part.name: part.text for part in _form(call) if part.filename is None}


def _check_form(call: Call, known: set[str], required: tuple[str, ...], files: tuple[str, ...]) -> ProviderError | None:
    """The error for a form that lacks a field or a file, or (on OpenAI itself) has an unknown field."""
    try:
        parts = call.request.form
    except ValueError as error:
        return invalid(f"Could not parse multipart form: {error}")
    names = [part.name for part in parts]
    for name in required:
        if name not in names:
            return bad_parameter(Violation("missing", (name,), ()))
    if not any(part.name in files and part.filename is not None for part in parts):
        return bad_parameter(Violation("missing", (files[0],), ()))
    if call.flavour.strict:
        for name in names:
            if name not in known and name.removesuffix("[]") not in known:
                return bad_parameter(Violation("unknown", (name,), ()))
    model = _fields(call).get("model")
    return unknown_model(call, model) if model else None


# --- speech and transcription ----------------------------------------------------------------------------------------

SPEECH_BODY = Struct(
    {
        "model": NAME,
        "input": String(shortest=1, longest=4096),
        "voice": either(STRING, ANY),
        "instructions": STRING,
        "response_format": one_of("mp3", "opus", "aac", "flac", "wav", "pcm"),
        "speed": Number(0.25, 4),
        "stream_format": one_of("sse", "audio"),
    },
    required=("model", "input", "voice"),
)
_AUDIO_TYPES: Mapping[str, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def wav(seconds: float = 0.05, rate: int = 8000) -> bytes:
    """A WAV file of silence: 16-bit, one channel."""
    data = bytes(2 * int(seconds * rate))
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        rate,
        2 * rate,
        2,
        16,
        b"data",
        len(data),
    )
    return head + data


def _speech(turn: Turn, call: Call) -> Body:
    wanted = call.body.get("response_format", "mp3")
    content = wav() if wanted == "wav" else b"SIMULATED-AUDIO:" + wanted.encode() + b":" + call.body["input"].encode()
    return Body(content, _AUDIO_TYPES[wanted])


_TRANSCRIPTION_FIELDS = {
    "file", "model", "chunking_strategy", "include", "keywords", "known_speaker_names", "known_speaker_references",
    "language", "languages", "prompt", "response_format", "stream", "temperature", "timestamp_granularities",
}  # fmt: skip


def _validate_transcription(call: Call) -> ProviderError | None:
    if error := _check_form(call, _TRANSCRIPTION_FIELDS, ("model",), ("file",)):
        return error
    wanted = _fields(call).get("response_format", "json")
    allowed = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
    if wanted not in allowed:
        return bad_parameter(Violation("value", ("response_format",), allowed, wanted))
    if next(part for part in _form(call) if part.name == "file").content == b"":
        return invalid("Audio file is empty.", "file", "invalid_value")
    return None


def _asks_transcription(call: Call) -> Ask:
    fields = _fields(call)
    name = next((part.filename for part in _form(call) if part.filename), "")
    return Ask(model=fields.get("model", ""), said=name, stream=fields.get("stream") == "true")


def _transcription(turn: Turn, call: Call) -> Body:
    text = turn.text
    match _fields(call).get("response_format", "json"):
        case "text":
            return Body(f"{text}\n".encode(), "text/plain; charset=utf-8")
        case "srt":
            return Body(f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n\n".encode(), "text/plain; charset=utf-8")
        case "vtt":
            return Body(f"WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{text}\n\n".encode(), "text/plain; charset=utf-8")
        case "verbose_json":
            return json_body(_verbose(text))
        case _:
            return json_body({"text": text, "usage": _audio_usage(text)})


def _audio_usage(text: str) -> JSON:
    written = estimate(text)
    details = {"text_tokens": 0, "audio_tokens": 10}
    return {
        "type": "tokens",
        "input_tokens": 10,
        "input_token_details": details,
        "output_tokens": written,
        "total_tokens": 10 + written,
    }


def _verbose(text: str) -> JSON:
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": 1.0,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.1,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }
    spoken = [{"word": word, "start": 0.0, "end": 1.0} for word in text.split()]
    return {
        "task": "transcribe",
        "language": "english",
        "duration": 1.0,
        "text": text,
        "segments": [segment],
        "words": spoken,
        "usage": {"type": "duration", "seconds": 1},
    }


def _transcription_events(turn: Turn, call: Call) -> list[Event]:
    kind = "transcript.text.delta"
    deltas = piece_events("", {"type": kind, "delta": SLOT}, text_pieces(Text(turn.text)))
    done = {"type": "transcript.text.done", "text": turn.text, "usage": _audio_usage(turn.text)}
    return [*deltas, Event("", dumps(done))]


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
        for index in range(call.body.get("n") or 1)
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

EMBEDDINGS = Operation("openai_embeddings", OPENAI, _validator(EMBEDDING_BODY), _embeddings, _asks)
IMAGES = Operation("openai_images", OPENAI, _validate_image, _images, _asks)
IMAGE_EDITS = Operation("openai_images.edits", OPENAI, _validate_edit, _edit, _asks)
SPEECH = Operation("openai_speech", OPENAI, _validator(SPEECH_BODY), _speech, _asks)
TRANSCRIPTIONS = Operation(
    "openai_transcriptions",
    OPENAI,
    _validate_transcription,
    _transcription,
    _asks_transcription,
    Streaming(_transcription_events, error_events, lambda call: SSE, name_event=typed_event),
)
TRANSLATIONS = Operation("openai_translations", OPENAI, _validate_transcription, _transcription, _asks_transcription)
MODERATIONS = Operation("openai_moderations", OPENAI, _validator(MODERATION_BODY), _moderation, _asks)
COMPLETIONS = Operation(
    "openai_completions", OPENAI, _validator(COMPLETION_BODY), _completion, _asks_completion, _LIKE_CHAT
)
MODELS_LIST = Operation("openai_models.list", OPENAI, _nothing_to_check, _models)
MODELS_GET = Operation("openai_models.retrieve", OPENAI, _known_model, _model)

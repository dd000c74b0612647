"""OpenAI audio: POST /v1/audio/speech (binary), /v1/audio/transcriptions and /v1/audio/translations (uploads).

The text of a scripted reply is what was heard; speech is a WAV of silence, or bytes that say what they stand for.
Source: OpenAI API reference, "Audio".
"""

import struct
from collections.abc import Mapping

from penstock.testing.providers.framing import SSE
from penstock.testing.providers.openai_family import OPENAI, bad_parameter, error_events, invalid
from penstock.testing.providers.openai_forms import check_form, fields_of, form_of
from penstock.testing.providers.openai_media import asks_model, validator
from penstock.testing.providers.script import ProviderError, Text
from penstock.testing.providers.shapes import ANY, NAME, STRING, Number, String, Struct, Violation, either, one_of
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
    if error := check_form(call, _TRANSCRIPTION_FIELDS, ("model",), ("file",)):
        return error
    wanted = fields_of(call).get("response_format", "json")
    allowed = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
    if wanted not in allowed:
        return bad_parameter(Violation("value", ("response_format",), allowed, wanted))
    if next(part for part in form_of(call) if part.name == "file").content == b"":
        return invalid("Audio file is empty.", "file", "invalid_value")
    return None


def _asks_transcription(call: Call) -> Ask:
    fields = fields_of(call)
    name = next((part.filename for part in form_of(call) if part.filename), "")
    return Ask(model=fields.get("model", ""), said=name, stream=fields.get("stream") == "true")


def _transcription(turn: Turn, call: Call) -> Body:
    text = turn.text
    match fields_of(call).get("response_format", "json"):
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


SPEECH = Operation("openai_speech", OPENAI, validator(SPEECH_BODY), _speech, asks_model)
TRANSCRIPTIONS = Operation(
    "openai_transcriptions",
    OPENAI,
    _validate_transcription,
    _transcription,
    _asks_transcription,
    Streaming(_transcription_events, error_events, lambda call: SSE, name_event=typed_event),
)
TRANSLATIONS = Operation("openai_translations", OPENAI, _validate_transcription, _transcription, _asks_transcription)

"""Images, speech, transcription and moderation: OpenAI's APIs, which all their hosts speak.

Sources: platform.openai.com/docs/api-reference, "Images", "Audio", "Moderations".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock.calls.bills import image_bill, speech_bill, transcription_bill
from penstock.calls.options import Options
from penstock.client import multipart
from penstock.client.multipart import FilePart, file_part
from penstock.client.operations import (
    Body,
    Operation,
    Payload,
    binary_answer,
    completed,
    json_answer,
    json_payload,
)
from penstock.client.result_objects import (
    BinaryContent,
    ImageResponse,
    ModerationResponse,
    StreamedEvent,
    TranscriptionResponse,
)
from penstock.dialects import wire
from penstock.exchange import Reply
from penstock.providers.endpoint import Endpoint
from penstock.types.errors import MalformedError


def _file(parameter: str, fallback: str) -> Callable[[Any], FilePart]:
    """A reader of one file. It is read once: what was read is sent again by a retry."""

    def read(value: Any) -> FilePart:
        return value if isinstance(value, FilePart) else file_part(value, "", fallback)

    return read


def _files(value: Any) -> list[FilePart]:
    """A reader of one file or a list of them."""
    read = _file("image", "image")
    return [read(each) for each in value] if isinstance(value, list) else [read(value)]


def form_payload(body: Body, target: Endpoint, options: Options) -> Payload:
    """The arguments as a form: what is a file goes as one, several under `name[]`."""
    fields: Body = {}
    files: list[tuple[str, FilePart]] = []
    for name, value in completed(body, target, options).items():
        if isinstance(value, FilePart):
            files.append((name, value))
        elif isinstance(value, list) and value and all(isinstance(each, FilePart) for each in value):
            key = name if len(value) == 1 else f"{name}[]"
            files += [(key, each) for each in value]
        else:
            fields[name] = value
    content, media_type = multipart.encode(multipart.fields_of(fields), files)
    return Payload(target, content, media_type)


# -- images -----------------------------------------------------------------------------------------------------------


def _mock_image(value: Any, body: Body) -> ImageResponse:
    if isinstance(value, Mapping):
        return ImageResponse(value)
    if isinstance(value, str):
        return ImageResponse({"created": 0, "data": [{"url": value}] * (body.get("n") or 1)})
    raise MalformedError("expected an image's address, an exception or an ImageResponse", "mock_response")


def _whole_image(events: list[Any]) -> ImageResponse:
    done = [event for event in events if _is_last_image(event)]
    made = [{"b64_json": event.get("b64_json")} for event in done]
    last = done[-1] if done else {}
    fields = {name: last.get(name) for name in ("size", "quality", "background", "output_format", "usage")}
    return ImageResponse({"created": last.get("created_at", 0), "data": made, **fields})


def _is_last_image(event: Any) -> bool:
    return str(event.get("type")).endswith(".completed")


_PICTURE: dict[str, Callable[[Any], Any]] = {"prompt": wire.string, "n": wire.integer, "stream": wire.boolean}

IMAGE_GENERATION: Operation[ImageResponse] = Operation(
    name="image_generation",
    capability="images",
    encode=json_payload,
    read=json_answer(ImageResponse),
    arguments=_PICTURE,
    required={"prompt": "what the image shall show, in words"},
    example="openai/gpt-image-1",
    bill=image_bill,
    mock=_mock_image,
    event=StreamedEvent,
    ends=_is_last_image,
    whole=_whole_image,
)

IMAGE_EDIT: Operation[ImageResponse] = Operation(
    name="image_edit",
    capability="image_edits",
    encode=form_payload,
    read=json_answer(ImageResponse),
    arguments={**_PICTURE, "image": _files, "mask": _file("mask", "mask")},
    required={
        "image": "bytes, an open file or a path, or a list of these",
        "prompt": "what shall be different, in words",
    },
    example="openai/gpt-image-1",
    bill=image_bill,
    mock=_mock_image,
    event=StreamedEvent,
    ends=_is_last_image,
    whole=_whole_image,
)

# -- speech -----------------------------------------------------------------------------------------------------------


def _mock_speech(value: Any, body: Body) -> BinaryContent:
    if not isinstance(value, bytes):
        raise MalformedError("expected bytes or an exception", "mock_response")
    return BinaryContent(value, "audio/mpeg")


def _read_speech(reply: Reply, target: Endpoint) -> BinaryContent:
    if reply.headers.get("content-type", "").startswith(("application/json", "text/html")):
        raise MalformedError("it is not audio")
    return binary_answer(reply, target)


SPEECH: Operation[BinaryContent] = Operation(
    name="speech",
    capability="speech",
    encode=json_payload,
    read=_read_speech,
    arguments={"input": wire.string, "speed": wire.number, "instructions": wire.string},
    required={"input": "the text to read aloud", "voice": 'a name that the provider knows, such as "alloy"'},
    example="openai/gpt-4o-mini-tts",
    bill=speech_bill,
    mock=_mock_speech,
)

# -- transcription ----------------------------------------------------------------------------------------------------


def _read_transcription(reply: Reply, target: Endpoint) -> TranscriptionResponse:
    """JSON for the formats that are, else (text, srt, vtt) the text itself."""
    if "json" in reply.headers.get("content-type", ""):
        value = wire.decode(reply.body)
        if isinstance(value, str):
            return TranscriptionResponse({"text": value})
        found = wire.obj(value)
        if not isinstance(found.get("text"), str):
            raise MalformedError("the text is missing", "text")
        return TranscriptionResponse(found)
    if reply.headers.get("content-type", "").startswith("text/html"):
        raise MalformedError("it is a web page")
    return TranscriptionResponse({"text": reply.body.decode("utf-8", "replace")})


def _mock_transcription(value: Any, body: Body) -> TranscriptionResponse:
    if isinstance(value, Mapping):
        return TranscriptionResponse(value)
    if isinstance(value, str):
        return TranscriptionResponse({"text": value})
    raise MalformedError("expected a text, an exception or a TranscriptionResponse", "mock_response")


def _whole_transcription(events: list[Any]) -> TranscriptionResponse:
    done = next((event for event in reversed(events) if event.get("type") == "transcript.text.done"), None)
    if done is None:
        return TranscriptionResponse({"text": "".join(event.get("delta") or "" for event in events)})
    return TranscriptionResponse({name: value for name, value in done.items() if name != "type"})


TRANSCRIPTION: Operation[TranscriptionResponse] = Operation(
    name="transcription",
    capability="transcription",
    encode=form_payload,
    read=_read_transcription,
    arguments={
        "file": _file("file", "audio"),
        "language": wire.string,
        "prompt": wire.string,
        "temperature": wire.number,
        "stream": wire.boolean,
    },
    required={"file": "bytes, an open file, a path, or (name, content)"},
    example="openai/gpt-4o-mini-transcribe",
    bill=transcription_bill,
    mock=_mock_transcription,
    event=StreamedEvent,
    ends=lambda event: event.get("type") == "transcript.text.done",
    whole=_whole_transcription,
)

# -- moderation -------------------------------------------------------------------------------------------------------


def _mock_moderation(value: Any, body: Body) -> ModerationResponse:
    if not isinstance(value, Mapping):
        raise MalformedError("expected a ModerationResponse or an exception", "mock_response")
    return ModerationResponse(value)


def _moderation_input(value: Any) -> Any:
    return value if isinstance(value, str) else wire.array(value)


MODERATION: Operation[ModerationResponse] = Operation(
    name="moderation",
    capability="moderation",
    encode=json_payload,
    read=json_answer(ModerationResponse),
    arguments={"input": _moderation_input},
    required={"input": "a text, or a list of texts"},
    model="openai/omni-moderation-latest",
    mock=_mock_moderation,
)

"""Recordings: exchanges as they lie in a folder of JSON-lines files.

An exchange is an object with `id`, `provider`, `request` (method, path, headers, body) and `response` (status,
headers, body). A body is an object where the recording held JSON, a string where it held a stream or text,
`{"base64": ...}` where it held bytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.types.errors import MalformedError


class Exchange(Struct, frozen=True):
    """One request with its response. `request_body` is decoded JSON (None: none; bytes: text that is no JSON);
    `response_body` is decoded JSON, or the bytes of a stream or text.
    """

    id: str
    provider: str
    method: str
    path: str
    request_body: Any
    status: int
    headers: dict[str, str]
    response_body: Any

    @property
    def response_bytes(self) -> bytes:
        """The response body as it went over the wire (JSON encoded again)."""
        body = self.response_body
        return body if isinstance(body, bytes) else wire.encode(body)


class UnreadableRecording(Exception):
    """A file that is not of this format. The message names the file and the line."""


def read_folder(folder: Path) -> Iterator[Exchange]:
    """Every exchange of every `*.jsonl` file, in the order of names and lines. Raises UnreadableRecording."""
    files = sorted(folder.rglob("*.jsonl"))
    if not files:
        raise UnreadableRecording(f"{folder} holds no .jsonl files")
    for file in files:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _read_line(line, file, number)


def _read_line(line: bytes, file: Path, number: int) -> Exchange:
    try:
        found = wire.obj(wire.decode(line))
        request, response = wire.obj(found["request"]), wire.obj(found["response"])
        headers = response.get("headers") or {}
        return Exchange(
            str(found.get("id", f"{file.name}:{number}")),
            str(found.get("provider", file.stem)),
            str(request.get("method", "POST")).upper(),
            wire.string(request["path"]).partition("?")[0],
            _request_body(request.get("body")),
            int(response["status"]),
            {str(name).lower(): _header(value) for name, value in wire.obj(headers).items()},
            _body(response.get("body")),
        )
    except (MalformedError, KeyError, ValueError, TypeError, binascii.Error) as error:
        raise UnreadableRecording(f"{file}, line {number}: {error!r}") from error


def _header(value: Any) -> str:
    return str(value[0] if isinstance(value, list) and value else value)


def _request_body(value: Any) -> Any:
    """JSON, also where the recorder kept it as text; other text as bytes."""
    found = _body(value)
    try:
        return wire.decode(found) if isinstance(found, bytes) else found
    except MalformedError:
        return found


def _body(value: Any) -> Any:
    """JSON as it is, a stream's text as bytes."""
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        return base64.b64decode(value["base64"], validate=True)
    return value.encode() if isinstance(value, str) else value

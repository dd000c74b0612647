"""multipart/form-data (RFC 7578), as files, audio and images are uploaded: pure parsing, strict about the frame."""

import re
from dataclasses import dataclass

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_PARAMETER = re.compile(r'(\w+\*?)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part: a field (no filename) or a file."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None

    @property
    def text(self) -> str:
        """The content as UTF-8 text."""
        return self.content.decode()


def parse_form(content_type: str, body: bytes) -> list[FormPart]:
    """The parts of a multipart body, in order. ValueError says what is wrong with it."""
    match = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or match is None:
        raise ValueError(f"content-type is {content_type!r}, not multipart/form-data with a boundary")
    delimiter = b"--" + match[1].encode()
    first, *sections = body.split(delimiter)
    if first.strip() or not sections or not sections[-1].startswith(b"--"):
        raise ValueError("the multipart body does not begin and end with its boundary")
    return [_part(section) for section in sections[:-1]]


def _part(section: bytes) -> FormPart:
    head, separator, content = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not separator or not content.endswith(b"\r\n"):
        raise ValueError("a part of the multipart body has no end of headers or no line end before the boundary")
    headers: dict[str, str] = {}
    for line in head.decode().split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    parameters = {name.lower(): value for name, value in _PARAMETER.findall(headers.get("content-disposition", ""))}
    if "name" not in parameters:
        raise ValueError("a part of the multipart body has no name")
    return FormPart(parameters["name"], content[:-2], parameters.get("filename"), headers.get("content-type"))

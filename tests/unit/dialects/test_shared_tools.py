"""Small tools that dialects share: constants, leftovers, media types, schemas."""

import base64
from typing import Any

import pytest

from penstock.dialects import constants
from penstock.dialects.json_schema import object_schema, without_keywords
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import media_type_of, plain_text_of, sniffed
from penstock.types.content import Base64, Blocks, FileId, Media, PlainText, Text, Url

CONSTANTS = {"type": "function"}


@pytest.mark.parametrize(
    ("value", "extras"),
    [
        ({"type": "function", "name": "a"}, None),
        ({"name": "a"}, {"(absent)": ["type"]}),
        ({"type": None, "name": "a"}, {"type": None}),
        ({"type": "other", "name": "a"}, {"type": "other"}),
        ({"type": "function", "name": None, "more": 1}, {"name": None, "more": 1}),
    ],
)
def test_constants_leave_no_trace_and_come_back(value: dict[str, Any], extras: dict[str, Any] | None) -> None:
    found = constants.rest(value, frozenset({"name"}), CONSTANTS)
    assert found == extras
    modelled = {"name": value["name"]} if value["name"] is not None else {}
    assert constants.merge(found, CONSTANTS, modelled) == value


def test_leftovers_are_noted_where_they_mean_something() -> None:
    extras = {"type": "x", "(mark)": 1, "null": None, "empty": {}, "b": {"c": 1, "role": "x", "e": ""}, "d": 0}
    assert [note.path for note in leftovers("a", extras)] == ["a.b.c", "a.d"]
    assert [note.path for note in leftovers("", {"e": [1]})] == ["e"]
    assert leftovers("a", None) == ()


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0").decode()


def test_a_file_shows_its_type() -> None:
    beginnings = {
        b"\x89PNG\r\n\x1a\n0000": "image/png",
        b"\xff\xd8\xff\xe0": "image/jpeg",
        b"GIF89a": "image/gif",
        b"RIFF0000WEBP": "image/webp",
        b"BM\x46\0\0\0\0\0\0\0": "image/bmp",
        b"BMW is a maker of cars": None,
        b"%PDF-1.4": "application/pdf",
        b"words": None,
    }
    for data, kind in beginnings.items():
        assert sniffed(base64.b64encode(data).decode()) == kind


@pytest.mark.parametrize(
    ("media", "kind"),
    [
        (Media("image", Base64(PNG)), "image/png"),
        (Media("image", Base64(PNG), "Image/JPG; q=1"), "image/jpeg"),
        (Media("file", Base64(PNG), "application/octet-stream"), "image/png"),
        (Media("image", Url("https://example.com")), None),
    ],
)
def test_the_type_of_a_file(media: Media, kind: str | None) -> None:
    assert media_type_of(media) == kind


@pytest.mark.parametrize(
    ("media", "text"),
    [
        (Media("file", PlainText("words")), "words"),
        (Media("file", Blocks((Text("one"), Text("two")))), "one\n\ntwo"),
        (Media("file", Blocks((Text("one"), Media("image", Base64(PNG))))), None),
        (Media("file", Base64("d29yZHM="), "text/markdown"), "words"),
        (Media("file", Base64("e30="), "application/json"), "{}"),
        (Media("file", Base64("d29yZHM=")), "words"),
        (Media("file", Base64("gICA"), "text/plain"), None),
        (Media("file", Base64("not base64!"), "text/plain"), None),
        (Media("file", Base64(PNG)), None),
        (Media("image", Base64("d29yZHM=")), None),
        (Media("file", FileId("f")), None),
    ],
)
def test_the_text_of_a_file(media: Media, text: str | None) -> None:
    assert plain_text_of(media) == text


def test_keywords_are_left_out_but_names_and_values_are_not() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "properties": {"title": {"type": "string", "title": "T", "default": {"title": 1}, "enum": ["title"]}},
        "$defs": {"title": {"anyOf": [{"title": "T", "type": "null"}, True]}},
    }
    assert without_keywords(schema, frozenset({"title"})) == {
        "type": "object",
        "properties": {"title": {"type": "string", "default": {"title": 1}, "enum": ["title"]}},
        "$defs": {"title": {"anyOf": [{"type": "null"}, True]}},
    }
    assert schema["title"] == "T"


def test_a_tools_input_is_an_object() -> None:
    assert object_schema(None) == {"type": "object", "properties": {}}
    assert object_schema({"properties": {"a": {}}}) == {"type": "object", "properties": {"a": {}}}
    typed = {"type": "object"}
    assert object_schema(typed) is typed

"""Media that a host does not fetch itself: fetched wherever they stand, and nothing else is."""

import base64
from typing import Any

import pytest

from penstock.dialects import registry
from penstock.resolve import Addresses, FetchedMedia, FetchPinned, FetchRefused, LookUp, NotFetched, resolve_media
from penstock.types.content import Base64, Blocks, FileId, Media, MediaKind, Part, Source, Text, ToolResult, Url
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Request

PUBLIC = "93.184.216.34"
BYTES = b"\x89PNG"
FETCHED = Base64(base64.b64encode(BYTES).decode())
NOTHING_FETCHED = Profile(image_urls=False)


def _media(source: Source, kind: MediaKind = "image") -> Media:
    return Media(kind, source)


def _resolve(
    request: Request, dialect: str, profile: Profile = DEFAULT_PROFILE, addresses: tuple[str, ...] = (PUBLIC,)
) -> tuple[Request, list[str]]:
    """The resolved request, and the addresses that were fetched."""
    run = resolve_media(request, registry.get(dialect), profile)
    fetched: list[str] = []
    outcome: Any = None
    while True:
        try:
            step = run.send(outcome)
        except StopIteration as done:
            return done.value, fetched
        if isinstance(step, LookUp):
            outcome = Addresses(addresses)
        else:
            assert isinstance(step, FetchPinned)
            fetched.append(step.url)
            outcome = FetchedMedia(200, {"content-type": "image/png; x=y"}, BYTES)


def _request(*parts: Part, system: tuple[Part, ...] | None = None) -> Request:
    return Request(dialect="contract", model="m", messages=(Message("user", parts),), system=system)


PICTURE = _media(Url("https://example.com/cat.png"))


@pytest.mark.parametrize(
    ("kind", "dialect", "profile", "fetched"),
    [
        ("image", "openai_chat", DEFAULT_PROFILE, False),
        ("image", "openai_chat", NOTHING_FETCHED, True),
        ("file", "openai_chat", DEFAULT_PROFILE, True),
        ("file", "anthropic_messages", DEFAULT_PROFILE, False),
        ("file", "anthropic_messages", NOTHING_FETCHED, True),
        ("file", "openai_responses", NOTHING_FETCHED, True),
        ("video", "gemini", NOTHING_FETCHED, True),
        ("image", "bedrock_converse", DEFAULT_PROFILE, True),
        ("audio", "openai_chat", DEFAULT_PROFILE, True),
    ],
)
def test_who_fetches_what(kind: MediaKind, dialect: str, profile: Profile, fetched: bool) -> None:
    url = "https://example.com/thing"
    resolved, seen = _resolve(_request(_media(Url(url), kind)), dialect, profile)
    part = resolved.messages[0].parts[0]
    assert isinstance(part, Media)
    assert seen == ([url] if fetched else [])
    assert part.source == (FETCHED if fetched else Url(url))
    assert part.media_type == ("image/png" if fetched else None)


def test_media_are_fetched_wherever_they_stand() -> None:
    document = Media("file", Blocks((Text("See"), PICTURE)), name="report")
    request = _request(
        Text("Look"), PICTURE, ToolResult("c", (PICTURE,)), document, system=(Text("Be brief."), PICTURE)
    )
    resolved, seen = _resolve(request, "bedrock_converse", NOTHING_FETCHED)
    assert len(seen) == 4
    own = Media("image", FETCHED, "image/png")
    assert resolved.system == (Text("Be brief."), own)
    inner = Media("file", Blocks((Text("See"), own)), name="report")
    assert resolved.messages[0].parts == (Text("Look"), own, ToolResult("c", (own,)), inner)


@pytest.mark.parametrize(
    "source",
    [
        Url("gs://bucket/cat.png"),
        Url("s3://bucket/cat.png"),
        Url("data:image/png;base64,AA=="),
        FileId("file-7"),
        Base64("AA=="),
        Url("https://generativelanguage.googleapis.com/v1beta/files/abc"),
        Url("https://www.youtube.com/watch?v=abc"),
        Url("https://youtu.be/abc"),
    ],
)
def test_what_only_a_provider_can_read_is_left_alone(source: Source) -> None:
    request = _request(_media(source, "video"))
    assert _resolve(request, "gemini", NOTHING_FETCHED) == (request, [])


def test_a_request_with_nothing_to_fetch_is_the_same_object() -> None:
    request = _request(Text("Hello"), system=(Text("Be brief."),))
    assert _resolve(request, "gemini", NOTHING_FETCHED)[0] is request


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "64:ff9b::7f00:1", "::ffff:10.0.0.1"]
)
def test_a_private_address_is_refused_in_every_place(address: str) -> None:
    document = Media("file", Blocks((PICTURE,)))
    for request in (_request(PICTURE), _request(document), _request(Text("x"), system=(PICTURE,))):
        with pytest.raises(FetchRefused, match="private"):
            _resolve(request, "openai_chat", NOTHING_FETCHED, (PUBLIC, address))


def test_a_medium_that_cannot_be_had_says_why() -> None:
    run = resolve_media(_request(PICTURE), registry.get("gemini"), NOTHING_FETCHED)
    next(run)
    run.send(Addresses((PUBLIC,)))
    with pytest.raises(FetchRefused, match="too large"):
        run.send(NotFetched("too large"))

"""The guard of fetches: which addresses out of a prompt may be followed, and what is asked of the world to follow one.

Pure: the name system and the web are the test's. tests/unit/client/test_pinned.py has the sockets.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.resolve import (
    MAX_REDIRECTS,
    Addresses,
    FetchedMedia,
    FetchPinned,
    FetchRefused,
    LookUp,
    NotFetched,
    check_url,
    fetch,
    is_public,
)

PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"


@pytest.mark.parametrize(
    "address", [PUBLIC, PUBLIC_V6, "8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:ffff::808:808",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "2002:a00:1::",
        "2001:0:7f00:1::80ff:fffe",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
        "",
        "0x7f000001",
        "2130706433",
    ],
)
def test_addresses_that_are_nobody_elses_business(address: str) -> None:
    assert not is_public(address)


_PRIVATE = [
    ipaddress.ip_network(each)
    for each in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
]


@given(st.sampled_from(_PRIVATE), st.integers(0, 2**32 - 1))
def test_a_private_address_is_private_in_every_disguise(network: Any, offset: int) -> None:
    address = network[offset % network.num_addresses]
    number = int(address)
    disguises = [
        str(address),
        f"::ffff:{address}",
        str(ipaddress.IPv6Address(number)),
        str(ipaddress.IPv6Address((0x0064FF9B << 96) | number)),
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1)),
        str(ipaddress.IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF))),
    ]
    assert [each for each in disguises if is_public(each)] == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://example.com/x.png", ("example.com", 80)),
        ("https://example.com/x.png", ("example.com", 443)),
        ("https://example.com:8443/x.png", ("example.com", 8443)),
        ("HTTPS://EXAMPLE.com/x.png", ("example.com", 443)),
        ("http://[2606:2800::1]:81/x", ("2606:2800::1", 81)),
    ],
)
def test_an_address_that_may_be_followed(url: str, found: tuple[str, int]) -> None:
    assert check_url(url) == found


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("gopher://example.com/x", "only http and https"),
        ("ftp://example.com/x", "only http and https"),
        ("http:///x", "only http and https"),
        ("http://", "only http and https"),
        ("example.com/x", "only http and https"),
        ("http://user@example.com/x", "user name"),
        ("http://user:secret@example.com/x", "user name"),
        ("http://:@example.com/x", "user name"),
        ("http://example.com:99999/x", "not a valid address"),
        ("http://example.com:port/x", "not a valid address"),
        ("http://[::1/x", "not a valid address"),
    ],
)
def test_an_address_that_may_not(url: str, reason: str) -> None:
    with pytest.raises(FetchRefused, match=reason) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


class Web:
    """Names with their addresses, and answers by URL; writes down what was asked."""

    def __init__(self, names: dict[str, tuple[str, ...]], answers: dict[str, FetchedMedia | NotFetched]) -> None:
        self.names, self.answers = names, answers
        self.connected: list[tuple[str, str]] = []

    def fetch(self, url: str) -> tuple[str, bytes]:
        run, event = fetch(url), None
        try:
            while True:
                step: Any = run.send(event)
                event = self._do(step)
        except StopIteration as done:
            found: tuple[str, bytes] = done.value
            return found

    def _do(self, step: LookUp | FetchPinned) -> Any:
        if isinstance(step, LookUp):
            return Addresses(self.names.get(step.host, ()))
        self.connected.append((step.url, step.address))
        return self.answers[step.url]


IMAGE = FetchedMedia(200, {"content-type": "image/png; charset=x"}, b"PNG")


def moved(where: str, status: int = 302) -> FetchedMedia:
    return FetchedMedia(status, {"location": where}, b"")


def test_it_connects_to_the_address_that_was_checked() -> None:
    web = Web({"a.example": (PUBLIC, PUBLIC_V6)}, {"http://a.example/x": IMAGE})
    assert web.fetch("http://a.example/x") == ("image/png", b"PNG")
    assert web.connected == [("http://a.example/x", PUBLIC)]


@pytest.mark.parametrize("addresses", [("127.0.0.1",), (PUBLIC, "10.0.0.1"), ("10.0.0.1", PUBLIC), (PUBLIC, "::1"), ()])
def test_a_name_with_one_private_address_is_not_connected_to(addresses: tuple[str, ...]) -> None:
    web = Web({"a.example": addresses}, {})
    with pytest.raises(FetchRefused, match=r"private address|no address"):
        web.fetch("http://a.example/x")
    assert web.connected == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_and_checked_anew(status: int) -> None:
    names: dict[str, tuple[str, ...]] = {"a.example": (PUBLIC,), "b.example": (PUBLIC_V6,)}
    web = Web(names, {"http://a.example/x": moved("//b.example/y", status), "http://b.example/y": IMAGE})
    assert web.fetch("http://a.example/x")[1] == b"PNG"
    assert web.connected[-1] == ("http://b.example/y", PUBLIC_V6)


@pytest.mark.parametrize(
    "where",
    [
        "http://internal.example/latest/meta-data",
        "http://internal.example:80/",
        "file:///etc/passwd",
        "http://user:secret@a.example/",
        "gopher://a.example/",
    ],
)
def test_a_redirect_does_not_lead_where_the_first_may_not(where: str) -> None:
    web = Web({"a.example": (PUBLIC,), "internal.example": ("169.254.169.254",)}, {"http://a.example/x": moved(where)})
    with pytest.raises(FetchRefused):
        web.fetch("http://a.example/x")
    assert web.connected == [("http://a.example/x", PUBLIC)]


def test_redirects_have_an_end() -> None:
    web = Web({"a.example": (PUBLIC,)}, {"http://a.example/x": moved("/x")})
    with pytest.raises(FetchRefused, match="more than"):
        web.fetch("http://a.example/x")
    assert len(web.connected) == MAX_REDIRECTS + 1


def test_only_a_redirect_leads_on() -> None:
    created = FetchedMedia(200, {"location": "http://b.example/y", "content-type": "image/png"}, b"PNG")
    web = Web({"a.example": (PUBLIC,)}, {"http://a.example/x": created})
    assert web.fetch("http://a.example/x") == ("image/png", b"PNG")
    assert len(web.connected) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (FetchedMedia(404, {}, b""), "answered 404"),
        (FetchedMedia(404, {"location": "/y"}, b""), "answered 404"),
        (FetchedMedia(204, {}, b""), "answered 204"),
        (FetchedMedia(302, {}, b""), "answered 302"),
        (NotFetched("it is larger than 9 bytes"), "larger than 9"),
    ],
)
def test_what_is_no_picture_says_why(answer: Any, reason: str) -> None:
    with pytest.raises(FetchRefused, match=reason) as caught:
        Web({"a.example": (PUBLIC,)}, {"http://a.example/x?key=abc": answer}).fetch("http://a.example/x?key=abc")
    assert "abc" not in str(caught.value), "what stands behind the question mark may be a signature"
    assert "data: URL" in caught.value.fix

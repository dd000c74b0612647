"""Paths that two programs read differently, and headers that mean something to those on the way (threat model,
section 2).
"""

from __future__ import annotations

from penstock.redteam.expect import (
    both,
    carrying,
    swapped,
    without,
)
from penstock.redteam.messages import (
    PATH,
    request,
)
from penstock.redteam.probe import (
    API,
    ITEMS,
    Probe,
    Wire,
)
from penstock.redteam.probes.building import nowhere

# -- paths ------------------------------------------------------------------------------------------------------------

PATHS: tuple[tuple[str, str], ...] = (
    ("dots", "/v1/items/../../@TOKEN@"),
    ("dots-inside", "/v1/items/a/../../admin/@TOKEN@"),
    ("dot", "/v1/items/./@TOKEN@"),
    ("encoded-dots", "/v1/items/%2e%2e/%2e%2e/@TOKEN@"),
    ("half-encoded-dots", "/v1/items/.%2e/@TOKEN@"),
    ("encoded-slash", "/v1/items/..%2f..%2f@TOKEN@"),
    ("slash-data", "/v1/items/a%2fb%2f@TOKEN@"),
    ("double-encoded", "/v1/items/%252e%252e/@TOKEN@"),
    ("double-slash", "/v1/items//@TOKEN@"),
    ("first-double-slash", "//v1/items/@TOKEN@"),
    ("backslash", "/v1/items/..\\..\\@TOKEN@"),
    ("encoded-backslash", "/v1/items/..%5c..%5c@TOKEN@"),
    ("semicolon", "/v1/items/..;/..;/@TOKEN@"),
    ("semicolon-data", "/v1/items/@TOKEN@;a=b"),
    ("encoded-semicolon", "/v1/items/..%3b/@TOKEN@"),
    ("nul", "/v1/items/@TOKEN@%00.json"),
    ("newline", "/v1/items/@TOKEN@%0d%0aX:y"),
    ("overlong", "/v1/items/%c0%ae%c0%ae/@TOKEN@"),
    ("not-utf8", "/v1/items/%ff@TOKEN@"),
    ("unicode-slash", "/v1/items/%e2%88%95@TOKEN@"),
    ("fullwidth-dots", "/v1/items/%ef%bc%8e%ef%bc%8e/@TOKEN@"),
    ("bad-escape", "/v1/items/%zz@TOKEN@"),
    ("capitals", "/V1/items/@TOKEN@"),
    ("encoded-letter", "/v1/%69tems/../@TOKEN@"),
    ("prefix", "/v1/itemsandmore/@TOKEN@"),
    ("above", "/v1/@TOKEN@"),
    ("asterisk", "*?@TOKEN@"),
    ("no-slash", "v1/items/@TOKEN@"),
)

_PATHS = tuple(
    Probe(
        id=f"paths.{name}",
        row="paths",
        tries=f"GET {path.replace('@TOKEN@', 'x')} where /v1/items/* is bound",
        expect=nowhere,
        attack=Wire(host=ITEMS, send=(request("GET", path, "X-Probe: @TOKEN@", host=ITEMS),)),
    )
    for name, path in PATHS
)

# -- headers of the way -----------------------------------------------------------------------------------------------

FORWARDING = (
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "Forwarded",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Real-IP",
    "Via",
    "X-Forwarded-Server",
    "X-Forwarded-Prefix",
    "Proxy-Connection",
    "X-Original-Host",
)
_NOMINATED = ("authorization", "host", "content-length", "cookie", "x-penstock", "content-type")

_ON_THE_WAY = (
    *(
        Probe(
            id=f"forwarding.{name.lower()}",
            row="forwarding",
            tries=f"{name} of the attacker's",
            attack=Wire(send=(request("GET", PATH, f"{name}: /admin"),)),
            expect=both(swapped, without(name)),
        )
        for name in FORWARDING
    ),
    *(
        Probe(
            id=f"hop-by-hop.{name}",
            row="hop-by-hop",
            tries=f"Connection: close, {name}",
            attack=Wire(
                send=(
                    request(
                        "POST",
                        PATH,
                        f"Connection: close, {name}",
                        "Content-Type: text/plain",
                        body=b"hello",
                        close=False,
                    ),
                )
            ),
            expect=both(swapped, carrying(f"host: {API}", "hello")),
        )
        for name in _NOMINATED
    ),
    Probe(
        id="hop-by-hop.te",
        row="hop-by-hop",
        tries="TE, Keep-Alive and Upgrade",
        expect=both(swapped, without("keep-alive", "upgrade")),
        attack=Wire(send=(request("GET", PATH, "TE: gzip", "Keep-Alive: timeout=9", "Upgrade: raw"),)),
    ),
)


PROBES: tuple[Probe, ...] = (*_PATHS, *_ON_THE_WAY)

"""The stub in other places than its slot, and credentials of the attacker's own (threat model, sections 1 and 3): the
upstream must read the stub as it was sent, and no other credential than ours.
"""

from __future__ import annotations

from penstock.redteam.expect import both, carrying, exactly, refused, requests, status, swapped, unread, without
from penstock.redteam.messages import PATH, request
from penstock.redteam.probe import API, GIT, ITEMS, JSON, PACKAGES, QUERY, Expect, Kit, Probe, Seen, Wire

OURS_ONLY = "attacker-key-0123456789"
FORM = "Content-Type: application/x-www-form-urlencoded"


def _once(seen: Seen) -> str:
    """The canary stands in the request once: in its slot."""
    counts = [asked.everything.count(seen.kit.secret) for asked in requests(seen, "bound")]
    return "" if counts and set(counts) == {1} else f"the secret stands in the requests {counts} times"


def _content(name: str, words: str, body: bytes, content_type: str = "application/json") -> Probe:
    return Probe(
        id=f"content.{name}",
        row="content",
        tries=f"the stub is uploaded in {words}",
        attack=Wire(send=(request("POST", PATH, f"Content-Type: {content_type}", body=body),)),
        expect=both(swapped, _once),
    )


def _in_chunks(kit: Kit) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (kit.stub[:9], kit.stub[9:])) + b"0\r\n\r\n"


_CONTENT = (
    _content("json", "the text of an issue", b'{"title": "x", "body": "my key is @STUB@"}'),
    _content("form", "a field of a form", b"title=x&text=@STUB@", "application/x-www-form-urlencoded"),
    _content(
        "multipart",
        "a file of a multipart form",
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n@STUB@\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
    ),
    _content("text", "plain text", b"@STUB@ @STUB@", "text/plain"),
    _content("base64", "base64", b'{"content": "@B64STUB@"}'),
    _content("hex", "hexadecimal", b'{"content": "@HEXSTUB@"}'),
    _content("binary", "binary data", b"\x00\x01@STUB@\xff", "application/octet-stream"),
    _content("batch", "a batch of JSON-RPC calls", b'[{"method": "a"}, {"method": "b", "auth": "@STUB@"}]'),
    Probe(
        id="content.chunked",
        row="content",
        tries="the stub is uploaded in chunks that split it",
        attack=Wire(send=(request("POST", PATH, "Transfer-Encoding: chunked"), _in_chunks)),
        expect=both(swapped, _once),
    ),
    Probe(
        id="content.json-elsewhere",
        row="content",
        tries="the stub at another JSON pointer than the bound one",
        attack=Wire(
            host=JSON,
            send=(
                request(
                    "POST",
                    PATH,
                    "Content-Type: application/json",
                    host=JSON,
                    auth="",
                    body=b'{"auth": {"token": "@JSONSTUB@"}, "text": "@JSONSTUB@"}',
                ),
            ),
        ),
        expect=both(exactly(1), carrying('"text": "@JSONSTUB@"')),
    ),
    Probe(
        id="content.json-twice",
        row="content",
        tries="the bound JSON name twice",
        attack=Wire(
            host=JSON,
            send=(
                request(
                    "POST",
                    PATH,
                    "Content-Type: application/json",
                    host=JSON,
                    auth="",
                    body=b'{"auth": {"token": "@JSONSTUB@", "token": "mine"}}',
                ),
            ),
        ),
        expect=refused("bad_slot"),
    ),
    Probe(
        id="content.json-escaped",
        row="content",
        tries="the bound JSON name written with escapes, and again plainly",
        attack=Wire(
            host=JSON,
            send=(
                request(
                    "POST",
                    PATH,
                    "Content-Type: application/json",
                    host=JSON,
                    auth="",
                    body=b'{"auth": {"\\u0074oken": "mine", "token": "@JSONSTUB@"}}',
                ),
            ),
        ),
        expect=refused("bad_slot"),
    ),
)

_HEADERS_WITH_STUB = (
    "User-Agent",
    "Referer",
    "X-Custom",
    "Accept",
    "Accept-Language",
    "Content-Type",
    "If-None-Match",
    "X-Request-Id",
    "Origin",
    "From",
    "X-Trace",
    "Idempotency-Key",
)

_HEADERS = (
    *(
        Probe(
            id=f"headers.{name.lower()}",
            row="headers",
            tries=f"the stub in {name}",
            attack=Wire(send=(request("GET", PATH, f"{name}: @STUB@"),)),
            expect=both(swapped, _once),
        )
        for name in _HEADERS_WITH_STUB
    ),
    Probe(
        id="headers.path",
        row="headers",
        tries="the stub in the path",
        attack=Wire(host=QUERY, send=(request("GET", "/@TOKEN@/@QUERYSTUB@?key=@QUERYSTUB@", host=QUERY, auth=""),)),
        expect=both(exactly(1), carrying("/@TOKEN@/@QUERYSTUB@?")),
    ),
    Probe(
        id="headers.refused-path",
        row="headers",
        tries="the stub in the path of a request that is refused",
        attack=Wire(host=ITEMS, send=(request("GET", "/@TOKEN@/@GITSTUB@", host=ITEMS),)),
        expect=refused("no_binding"),
    ),
    Probe(
        id="headers.query",
        row="headers",
        tries="the stub in another parameter",
        attack=Wire(
            host=QUERY, send=(request("GET", PATH + "?note=@QUERYSTUB@&key=@QUERYSTUB@", host=QUERY, auth=""),)
        ),
        expect=both(exactly(1), carrying("note=@QUERYSTUB@")),
    ),
    Probe(
        id="headers.cookie",
        row="headers",
        tries="the stub in a cookie",
        attack=Wire(send=(request("GET", PATH, "Cookie: a=@STUB@"),)),
        expect=both(swapped, _once, without("cookie")),
    ),
    Probe(
        id="headers.basic",
        row="headers",
        tries="the stub as Basic where a Bearer token is bound",
        attack=Wire(send=(request(auth="Authorization: Basic @BASICAPI@"),)),
        expect=refused(),
    ),
    Probe(
        id="headers.twice",
        row="headers",
        tries="Authorization twice",
        attack=Wire(send=(request("GET", PATH, "Authorization: Bearer @STUB@"),)),
        expect=refused("bad_slot"),
    ),
    Probe(
        id="headers.beside",
        row="headers",
        tries="something beside the stub in its header",
        attack=Wire(send=(request(auth="Authorization: Bearer @STUB@, x=1"),)),
        expect=refused(),
    ),
    Probe(
        id="headers.other-secret",
        row="headers",
        tries="another secret's stub in the slot",
        attack=Wire(send=(request(auth="Authorization: Bearer @GITSTUB@"),)),
        expect=refused("stub_mismatch"),
    ),
    Probe(
        id="headers.longer",
        row="headers",
        tries="a character before the stub",
        attack=Wire(send=(request(auth="Authorization: Bearer x@STUB@"),)),
        expect=refused("stub_mismatch"),
    ),
    Probe(
        id="headers.unbound-host",
        row="headers",
        tries="the stub to a host that is not bound",
        attack=Wire(host=PACKAGES, send=(request(host=PACKAGES),)),
        expect=exactly(1, "open"),
    ),
)

# -- credentials of the attacker's own --------------------------------------------------------------------------------

_CARRIERS = (
    ("x-api-key", "X-Api-Key: " + OURS_ONLY),
    ("api-key", "Api-Key: " + OURS_ONLY),
    ("x-goog-api-key", "X-Goog-Api-Key: " + OURS_ONLY),
    ("private-token", "Private-Token: " + OURS_ONLY),
    ("x-auth-token", "X-Auth-Token: " + OURS_ONLY),
    ("cookie", "Cookie: session=" + OURS_ONLY),
    ("proxy-authorization", "Proxy-Authorization: Bearer " + OURS_ONLY),
    ("x-access-token", "X_Access_Token: " + OURS_ONLY),
    ("x-amz-security-token", "X-Amz-Security-Token: " + OURS_ONLY),
    ("x-github-token", "X-GitHub-Token: " + OURS_ONLY),
    ("job-token", "JOB-TOKEN: " + OURS_ONLY),
    ("x-vault-token", "X-Vault-Token: " + OURS_ONLY),
)

_FOREIGN = (
    Probe(
        id="foreign.no-stub",
        row="foreign",
        tries="a bound host without any credential",
        attack=Wire(send=(request(auth=""),)),
        expect=refused("stub_missing"),
    ),
    Probe(
        id="foreign.own-bearer",
        row="foreign",
        tries="the attacker's own Bearer token to a bound host",
        attack=Wire(send=(request(auth="Authorization: Bearer " + OURS_ONLY),)),
        expect=refused("stub_mismatch"),
    ),
    *(
        Probe(
            id=f"foreign.{name}",
            row="foreign",
            tries=f"the attacker's key in {header.partition(':')[0]} beside the stub",
            attack=Wire(send=(request("GET", PATH, header),)),
            expect=both(swapped, unread(OURS_ONLY)),
        )
        for name, header in _CARRIERS
    ),
    *(
        Probe(
            id=f"foreign.query-{name}",
            row="foreign",
            tries=f"the attacker's key in ?{name}= beside the stub",
            attack=Wire(send=(request("GET", f"{PATH}?{written}={OURS_ONLY}&a=1"),)),
            expect=both(swapped, unread(OURS_ONLY)),
        )
        for name, written in (
            ("key", "key"),
            ("access_token", "access_token"),
            ("api_key", "%61pi_key"),
            ("token", "TOKEN"),
        )
    ),
    Probe(
        id="foreign.form",
        row="foreign",
        tries="the attacker's token in a form",
        attack=Wire(send=(request("POST", PATH, FORM, body=b"a=1&access_token=" + OURS_ONLY.encode()),)),
        expect=refused("foreign_credential"),
    ),
    Probe(
        id="foreign.basic-user",
        row="foreign",
        tries="the attacker's token in the other half of Basic",
        attack=Wire(
            host=GIT,
            send=(
                request(
                    "GET",
                    "/team/app.git/info/refs?service=git-upload-pack&p=@TOKEN@",
                    host=GIT,
                    auth="Authorization: Basic Z2hwX2F0dGFja2Vyc2tleTAxMjM0NTY3ODk6eA==",
                ),
            ),
        ),
        expect=refused(),
    ),
    Probe(
        id="foreign.websocket-protocol",
        row="foreign",
        tries="the attacker's token as a subprotocol of a WebSocket",
        attack=Wire(
            send=(
                request(
                    "GET",
                    PATH,
                    "Upgrade: websocket",
                    "Sec-WebSocket-Version: 13",
                    "Connection: Upgrade",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                    f"Sec-WebSocket-Protocol: chat, openai-insecure-api-key.{OURS_ONLY}",
                    close=False,
                ),
            )
        ),
        expect=both(swapped, unread(OURS_ONLY)),
    ),
    Probe(
        id="foreign.trailer",
        row="foreign",
        tries="the attacker's token in a trailer",
        attack=Wire(
            send=(
                request("POST", PATH, "Transfer-Encoding: chunked", "Trailer: authorization"),
                b"2\r\nok\r\n0\r\nAuthorization: Bearer " + OURS_ONLY.encode() + b"\r\n\r\n",
            )
        ),
        expect=lambda seen: (
            "the token arrived" if any(OURS_ONLY.encode() in each.everything for each in seen.asked) else ""
        ),
    ),
)

# -- uploads where only reading is permitted --------------------------------------------------------------------------


def _upload(name: str, words: str, *parts: str, body: bytes = b"data", expect: Expect) -> Probe:
    method, path, *headers = parts
    return Probe(
        id=f"exfiltration.{name}",
        row="exfiltration",
        tries=words,
        expect=expect,
        attack=Wire(host=PACKAGES, send=(request(method, path, *headers, host=PACKAGES, auth="", body=body),)),
    )


_EXFILTRATION = (
    _upload("put", "PUT of a package to a registry that may be read", "PUT", PATH, expect=refused("no_rule")),
    _upload("post", "POST to it", "POST", PATH, expect=refused("no_rule")),
    _upload("delete", "DELETE", "DELETE", PATH, body=b"", expect=refused("no_rule")),
    _upload("patch", "PATCH", "PATCH", PATH, expect=refused("no_rule")),
    _upload("lower-case", "a method in small letters", "put", PATH, expect=refused()),
    _upload("unknown-method", "a method that nobody knows", "FETCH", PATH, expect=refused()),
    _upload("control", "GET, which is permitted", "GET", PATH, body=b"", expect=both(status(200), exactly(1, "open"))),
)

_OVERRIDES = (
    *(
        Probe(
            id=f"methods.{name.lower()}",
            row="methods",
            tries=f"{name}: DELETE on a GET",
            attack=Wire(host=ITEMS, send=(request("GET", "/v1/items/@TOKEN@", f"{name}: DELETE", host=ITEMS),)),
            expect=both(swapped, without(name)),
        )
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override")
    ),
    Probe(
        id="methods.query",
        row="methods",
        tries="_method=DELETE in the query",
        attack=Wire(host=ITEMS, send=(request("GET", "/v1/items/@TOKEN@?_method=DELETE", host=ITEMS),)),
        expect=both(swapped, unread("DELETE")),
    ),
    Probe(
        id="methods.query-encoded",
        row="methods",
        tries="%5Fmethod=DELETE in the query",
        attack=Wire(host=ITEMS, send=(request("GET", "/v1/items/@TOKEN@?%5Fmethod=DELETE", host=ITEMS),)),
        expect=both(swapped, unread("DELETE")),
    ),
    Probe(
        id="methods.form",
        row="methods",
        tries="_method=DELETE in a form",
        attack=Wire(host=API, send=(request("POST", PATH, FORM, body=b"_method=DELETE"),)),
        expect=refused("foreign_credential"),
    ),
    Probe(
        id="methods.delete",
        row="methods",
        tries="DELETE where GET is bound",
        attack=Wire(host=ITEMS, send=(request("DELETE", "/v1/items/@TOKEN@", host=ITEMS),)),
        expect=refused("no_binding"),
    ),
)

PROBES: tuple[Probe, ...] = (*_CONTENT, *_HEADERS, *_FOREIGN, *_EXFILTRATION, *_OVERRIDES)

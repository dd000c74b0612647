"""Tokens that a login or token endpoint returns stay in the vault: the sandbox gets stubs, which work as the tokens do.

A bound host may answer with a new credential: an OAuth token, a device code, a session cookie. What the vault does not
know it cannot keep out of the sandbox, so it looks for them where they are issued, puts a stub in their place, and
remembers with each where it may be used. When the agent then refreshes its login, it sends the stub of the refresh
token in a form or a JSON body, and the binding made here swaps it back.

**Rules** say where: the front of any rule, then places in the answer, each followed by what is said about it:

    POST https://auth.example.com/oauth/token json:/access_token for='* https://api.example.com/* header:authorization'
    POST https://auth.example.com/login set-cookie:session env=SESSION
    POST https://git.example.com/owner/app.git/info/lfs/objects/batch json:/objects/*/actions/*/header/Authorization

`*` in a pointer stands for any one member. Without `for=` a token may be used at the host that issued it: an access
token in the header `authorization`, a refresh token and a device code in the field of a POST to it, a cookie as cookie.

**Without a rule** the answer to whatever looks like a token request (RFC 6749; RFC 8628: a POST whose parameters name a
`grant_type` or a `client_id`) is searched for the names that these documents give to tokens, at any depth. Where such
an answer cannot be read, and may hold a token, it is refused.

JSON is spliced, not written anew: what is no token keeps its bytes. An id_token keeps its claims, which clients read
and which are no secret, and gets a signature that verifies nowhere.
"""

import json
import re
from collections.abc import Callable, Generator, Sequence
from typing import Literal
from urllib.parse import parse_qsl, quote_plus, unquote_plus

import msgspec

from penstock.vault.rules import Rule, parse_binding, parse_rule
from penstock.vault.values import Destination, Headers, Refusal, RequestHead, ResponseHead

MAX_BODY = 1024 * 1024
"""Bytes of an answer that is searched; a longer one is refused where it may hold a token."""

MAX_DEPTH = 64
"""How deep JSON may be nested."""

MIN_TOKEN = 8
"""Characters below which a value is no token: it could not be told from ordinary text later."""

Mint = Callable[[bytes], bytes]
"""Makes a stub that looks like what it is given (`stubs.mint`)."""

PlaceKind = Literal["json", "form", "header", "set-cookie"]
_KINDS: tuple[PlaceKind, ...] = ("json", "form", "header", "set-cookie")

_ACCESS = ("access_token",)
_SENT_IN_BODY = ("refresh_token", "device_code")
_NAMES = (*_ACCESS, *_SENT_IN_BODY, "id_token")
"""What RFC 6749, RFC 8628 and OpenID Connect call tokens."""

_WORD = re.compile(r"(json|form|header|set-cookie):(\S+)")
_SAYS = re.compile(r"(for|env)=(?:'([^']*)'|(\S+))")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_JWT = re.compile(r"([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_LETTER = rb"(5[Ff]|6[134579CcEe]|7[0249])"  # those of the names, in hex
_ESCAPE = re.compile(rb"%" + _LETTER + rb"|\\u00" + _LETTER)
_LONGEST_NAME = 6 * len("grant_type")
"""Bytes of the longest name, each character spelled as `\\u0067`."""
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = json.JSONDecoder()
_SCALAR = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")


class Place(msgspec.Struct, frozen=True):
    """One place in an answer.

    Args:
        kind: what it is in.
        name: a JSON pointer in which `*` stands for any member, or the name of a field, header or cookie.
        uses: bindings, as text, of what is found there; empty for the default.
        env: the name of the variable that the stub stands for, if somebody wants one.
    """

    kind: PlaceKind
    name: str
    uses: tuple[str, ...] = ()
    env: str = ""


class CaptureRule(msgspec.Struct, frozen=True):
    """Where tokens stand in the answers to requests that the rule matches."""

    rule: Rule
    places: tuple[Place, ...]


class Captured(msgspec.Struct, frozen=True):
    """A token that was found.

    Args:
        name: where it came from; the next token from there is its successor.
        value: the token. It is not shown.
        stub: what the sandbox got for it.
        uses: where it may be used, as texts of bindings.
        env: as the rule said.
    """

    name: str
    value: bytes
    stub: bytes
    uses: tuple[str, ...]
    env: str = ""

    def __repr__(self) -> str:
        return f"Captured({self.name!r})"


class Caught(msgspec.Struct, frozen=True):
    """An answer with stubs in it, and what they stand for. Content-Length is already that of the new body."""

    head: ResponseHead
    body: bytes
    captured: tuple[Captured, ...]


# -- rules ------------------------------------------------------------------------------------------------------------


def parse_capture_rule(text: str) -> CaptureRule:
    """Read `METHOD scheme://host:port/path PLACE [for='BINDING'] [env=NAME] PLACE ...`.

    Raises:
        Refusal: `bad_rule`, saying what is wrong.
    """
    found = re.match(r"\s*(\S+\s+\S+)\s*", text)
    if not found:
        raise _bad_rule("it has no address")
    rule = parse_rule(found[1])
    places: list[Place] = []
    position = found.end()
    while position < len(text):
        position = _read_word(text, position, places)
    if not places:
        raise _bad_rule("it names no place in the answer")
    return CaptureRule(rule, tuple(places))


def _read_word(text: str, position: int, places: list[Place]) -> int:
    says = _SAYS.match(text, position)
    word = says or _WORD.match(text, position)
    if not word or (word.end() < len(text) and not text[word.end()].isspace()):
        raise _bad_rule("a word of it is no place (json:/access_token, header:NAME) and no for='...' or env=NAME")
    if says and not places:
        raise _bad_rule(f"{says[1]}= stands before the place that it belongs to")
    if says:
        places[-1] = _said(places[-1], says[1], says[2] if says[2] is not None else says[3])
    else:
        places.append(_place(word[1], word[2]))
    after = _SPACE.match(text, word.end())
    return after.end() if after else word.end()


def _place(kind: str, name: str) -> Place:
    known = next(word for word in _KINDS if word == kind)
    if kind == "json" and not re.fullmatch(r"(?:/(?:[^/~]|~[01])*)+", name):
        raise _bad_rule("json: takes a pointer as /access_token")
    return Place(known, name.lower() if kind == "header" else name)


def _said(place: Place, word: str, value: str) -> Place:
    if word == "env":
        if not _ENV.fullmatch(value) or place.env:
            raise _bad_rule("env= takes one name of a variable")
        return msgspec.structs.replace(place, env=value)
    parse_binding(value)
    return msgspec.structs.replace(place, uses=(*place.uses, value))


def _bad_rule(what: str) -> Refusal:
    fix = (
        "Write: POST https://auth.example.com/token json:/access_token for='* https://api.example.com/* header:x-token'"
    )
    return Refusal("bad_rule", f"The rule for capturing is wrong: {what}.", fix=fix, status=400)


# -- which answers ----------------------------------------------------------------------------------------------------


def is_token_request(head: RequestHead, body: bytes | None) -> bool:
    """Tell whether a request looks like one for a token: a POST whose parameters name a grant type or a client."""
    if head.method != "POST":
        return False
    names = {name for name, _ in parse_qsl(head.target.partition("?")[2], keep_blank_values=True)}
    names |= _body_names(head, body or b"")
    return bool(names & {"grant_type", "client_id"})


class TokenWatch:
    """Tells of a body that was not read whole whether it could be a token request: it is fed while it passes.

    A body of unknown length, or a padded one, must not hide what is asked. So the names are looked for anywhere, as
    they are, percent-encoded and in JSON's escapes, across the borders of chunks. That finds more than token requests:
    the answer is then searched in vain, where it is no stream (`streams`).
    """

    def __init__(self, head: RequestHead) -> None:
        self._tail = b""
        self.seen = is_token_request(head, None)
        self._reads = head.method == "POST"
        types = "".join(head.values("content-type")).lower()
        self._may_escape = not types or "json" in types or "urlencoded" in types

    def feed(self, data: bytes) -> None:
        """Look at some of the body."""
        if self.seen or not self._reads:
            return
        window = self._tail + data
        self.seen = _names_a_grant(window) or (self._may_escape and _names_a_grant(_unescaped(window)))
        self._tail = window[-_LONGEST_NAME:]


def _names_a_grant(window: bytes) -> bool:
    return b"grant_type" in window or b"client_id" in window


def _unescaped(window: bytes) -> bytes:
    if b"%" not in window and b"\\u" not in window:
        return window
    return _ESCAPE.sub(lambda found: bytes((int(found[1] or found[2], 16),)), window)


def streams(response: ResponseHead) -> bool:
    """Tell whether an answer is a stream of events, which no token endpoint sends, and which must not be held."""
    types = [value.partition(";")[0].strip().lower() for name, value in response.headers if name == "content-type"]
    return types == ["text/event-stream"]


def _body_names(head: RequestHead, body: bytes) -> set[str]:
    if _is_json(head.headers):
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return set()
        return set(found) if isinstance(found, dict) else set()
    return {name for name, _ in parse_qsl(body.decode("latin-1"), keep_blank_values=True)}


def _is_json(headers: Headers) -> bool:
    return any("json" in value.lower() for name, value in headers if name == "content-type")


# -- capturing --------------------------------------------------------------------------------------------------------


def capture(
    rule: CaptureRule | None,
    destination: Destination,
    request: RequestHead,
    response: ResponseHead,
    body: bytes,
    mint: Mint,
) -> Caught:
    """Put stubs in the place of tokens.

    Args:
        rule: the rule that matches the request; None for an answer to a token request without one.
        destination: who answered.
        request: what was asked; how it was encoded decides how a refresh token will come back.
        response: the head of the answer, its body decoded (no Content-Encoding).
        body: the whole body.
        mint: makes a stub in the shape of a token.

    Raises:
        Refusal: `capture_failed` (502): the answer cannot be read and may hold a token. Drop it.
    """
    if response_encoded(response):
        raise _failed("it is encoded")
    work = _Work(rule, destination, request, mint)
    headers = tuple(work.header(name, value) for name, value in response.headers)
    made = work.body(body, response.status)
    length = tuple((name, str(len(made)) if name == "content-length" else value) for name, value in headers)
    return Caught(ResponseHead(response.status, response.reason, length), made, tuple(work.found))


def response_encoded(response: ResponseHead) -> bool:
    """Tell whether the body is still encoded."""
    said = [value.strip().lower() for name, value in response.headers if name == "content-encoding"]
    return any(value not in ("", "identity") for value in said)


class _Work:
    """One answer being searched; `found` grows."""

    def __init__(self, rule: CaptureRule | None, destination: Destination, request: RequestHead, mint: Mint) -> None:
        self._rule = rule
        self._destination = destination
        self._request = request
        self._mint = mint
        self._stubs: dict[str, bytes] = {}
        self.found: list[Captured] = []

    def header(self, name: str, value: str) -> tuple[str, str]:
        for place in self._places("header"):
            if place.name == name:
                start = value.rfind(" ") + 1  # `Bearer token`: the token is the last word
                return name, value[:start] + self._stub(place, value[start:])
        if name == "set-cookie":
            return name, self._cookie(value)
        return name, value

    def _cookie(self, value: str) -> str:
        pair, semicolon, rest = value.partition(";")
        name, equals, content = pair.partition("=")
        for place in self._places("set-cookie"):
            if equals and name.strip() == place.name:
                return f"{name}={self._stub(place, content.strip())}{semicolon}{rest}"
        return value

    def body(self, body: bytes, status: int) -> bytes:
        wanted = self._places("json") or self._places("form") or self._rule is None
        if not wanted or not body.strip():
            return body
        if len(body) > MAX_BODY:
            return self._unreadable(body, status, f"it has more than {MAX_BODY} bytes")
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            return self._unreadable(body, status, "it is not UTF-8")
        if "=" in text and not text.lstrip().startswith(("{", "[", '"', "<")):
            return self._form(text).encode()
        try:
            return self._json(text).encode()
        except _NotJson:
            return self._unreadable(body, status, "it is neither JSON nor a form")

    def _unreadable(self, body: bytes, status: int, why: str) -> bytes:
        """Let pass what can hold no token: an error's page, or text in which no token's name stands."""
        if self._rule is not None and 200 <= status < 300:
            raise _failed(why)
        if any(name.encode() in body.lower() for name in _NAMES):
            raise _failed(why)
        return body

    def _json(self, text: str) -> str:
        out: list[str] = []
        last = 0
        for pointer, start, end, value in strings(text):
            place = self._json_place(pointer)
            if place is not None and len(value) >= MIN_TOKEN:
                out += [text[last:start], json.dumps(self._stub(place, value))]
                last = end
        return "".join([*out, text[last:]])

    def _json_place(self, pointer: tuple[str, ...]) -> Place | None:
        for place in self._places("json"):
            wanted = [part.replace("~1", "/").replace("~0", "~") for part in place.name.split("/")[1:]]
            if len(wanted) == len(pointer) and all(a in ("*", b) for a, b in zip(wanted, pointer, strict=True)):
                return place
        if self._rule is None and pointer and pointer[-1] in _NAMES:
            return Place("json", "/" + "/".join(pointer))
        return None

    def _form(self, text: str) -> str:
        return "&".join(self._form_pair(pair) for pair in text.split("&"))

    def _form_pair(self, pair: str) -> str:
        raw, equals, content = pair.partition("=")
        name, value = unquote_plus(raw), unquote_plus(content.rstrip("\r\n"))
        place = next((place for place in self._places("form") if place.name == name), None)
        if place is None and self._rule is None and name in _NAMES:
            place = Place("form", name)
        if place is None or len(value) < MIN_TOKEN:
            return pair
        return raw + equals + quote_plus(self._stub(place, value))

    def _places(self, kind: PlaceKind) -> Sequence[Place]:
        return [place for place in self._rule.places if place.kind == kind] if self._rule else ()

    def _stub(self, place: Place, value: str) -> str:
        """Return the stub for a token, the same for the same token twice in one answer."""
        if len(value) < MIN_TOKEN:
            return value
        last = place.name.rpartition("/")[2]
        if value not in self._stubs:
            self._stubs[value] = self._minted(last, value)
        stub = self._stubs[value]
        name = f"{self._destination.host} {place.kind}:{place.name}"
        uses = place.uses or self._default_uses(place.kind, last)
        self.found.append(Captured(name, _bytes(value), stub, uses, place.env))
        return stub.decode("ascii")

    def _minted(self, last: str, value: str) -> bytes:
        parts = _JWT.fullmatch(value) if last == "id_token" else None
        if parts:
            return parts[1].encode() + b"." + self._mint(parts[2].encode())
        return self._mint(_bytes(value))

    def _default_uses(self, kind: PlaceKind, last: str) -> tuple[str, ...]:
        """Where a token may be used when nobody said it: at the host that issued it."""
        destination = self._destination
        host = f"[{destination.host}]" if ":" in destination.host else destination.host
        everywhere = f"{destination.scheme}://{host}:{destination.port}/*"
        plain = " plaintext=yes" if destination.scheme == "http" else ""  # it came that way
        if kind == "set-cookie":
            return (f"* {everywhere} cookie:{last}{plain}",)
        if last in _SENT_IN_BODY:
            slot = f"json:/{last}" if _is_json(self._request.headers) else f"form:{last}"
            return (f"POST {everywhere} {slot}{plain}",)
        return (f"* {everywhere} header:authorization{plain}",)


def _bytes(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise _failed("a token holds half a character") from None


def _failed(why: str) -> Refusal:
    reason = f"The answer may hold a token, and cannot be searched for it: {why}."
    fix = "Allow the login outside of the sandbox, and store its token with `penstock secrets set`."
    return Refusal("capture_failed", reason, fix=fix, status=502)


# -- JSON with positions ----------------------------------------------------------------------------------------------


class _NotJson(Exception):
    """The text is not JSON, or nested too deep."""


Found = tuple[tuple[str, ...], int, int, str]
"""A string value: its path, where it begins and ends in the text (quotation marks included), what it says."""


def strings(text: str) -> list[Found]:
    """Return every string value of a JSON text, in order.

    Members that bear the same name twice are both there: nobody knows which one a reader takes.
    """
    found: list[Found] = []
    walk = _value(text, _skip(text, 0), ())
    try:
        while True:
            found.append(next(walk))
    except StopIteration as stop:
        end = int(stop.value)
    except (ValueError, IndexError):
        raise _NotJson from None
    if _skip(text, end) != len(text):
        raise _NotJson
    return found


def _value(text: str, at: int, path: tuple[str, ...]) -> Generator[Found, None, int]:
    if len(path) > MAX_DEPTH:
        raise _NotJson
    if text[at] == '"':
        value, end = _STRING.raw_decode(text, at)
        yield path, at, end, value
        return end
    if text[at] == "{":
        return (yield from _members(text, at, path, "}"))
    if text[at] == "[":
        return (yield from _members(text, at, path, "]"))
    scalar = _SCALAR.match(text, at)
    if not scalar:
        raise _NotJson
    return scalar.end()


def _members(text: str, at: int, path: tuple[str, ...], close: str) -> Generator[Found, None, int]:
    """Walk an object or an array, from its opening bracket to behind its closing one."""
    at = _skip(text, at + 1)
    if text[at] == close:
        return at + 1
    index = 0
    while True:
        name = str(index)
        if close == "}":
            name, at = _name(text, at)
        at = yield from _value(text, at, (*path, name))
        at, index = _skip(text, at), index + 1
        if text[at] == close:
            return at + 1
        if text[at] != ",":
            raise _NotJson
        at = _skip(text, at + 1)


def _name(text: str, at: int) -> tuple[str, int]:
    if text[at] != '"':
        raise _NotJson
    name, at = _STRING.raw_decode(text, at)
    at = _skip(text, at)
    if text[at] != ":":
        raise _NotJson
    return name, _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at

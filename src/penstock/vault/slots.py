"""A slot is the one place in a request where a secret may stand; reading and writing it is all that happens here.

`read` says what stands there, so that it can be compared with the stub: the whole value or nothing, for what stands
beside a stub in its slot could be somebody's second credential. `write` puts the secret there and leaves the rest as it
was. Both are strict: what cannot be read in one way only is refused (`bad_slot`), never repaired.

| slot | where |
| --- | --- |
| `header:NAME` | the header's value, alone or after one word (`Bearer`, `token`) and one space |
| `basic:user`, `basic:password` | that half of HTTP's Basic (RFC 7617) in `Authorization` |
| `query:NAME` | the value of the parameter NAME |
| `cookie:NAME` | the value of the cookie NAME (RFC 6265) |
| `json:/POINTER` | the string at a JSON pointer (RFC 6901) in the body |
| `form:NAME` | the value of the field NAME of a body of type `application/x-www-form-urlencoded` |
| `sigv4:SERVICE/REGION` | the key id of AWS's Signature Version 4; the credential signs anew |
| `ssh` | key or password of SSH; not part of an HTTP request |
"""

import base64
import binascii
import json
import re
from typing import Literal, NoReturn
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from penstock.vault.paths import query_pairs
from penstock.vault.values import Headers, Refusal, RequestHead

SlotKind = Literal["header", "basic", "query", "cookie", "json", "form", "sigv4", "ssh"]

KINDS: tuple[SlotKind, ...] = ("header", "basic", "query", "cookie", "json", "form", "sigv4", "ssh")
EXAMPLES = (
    "header:authorization, basic:password, query:key, json:/token, form:token, cookie:session, sigv4:s3/us-east-1, ssh"
)

FORBIDDEN_HEADERS = frozenset(
    (
        "host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
        "proxy-connection", "proxy-authorization", "accept-encoding", "range", "if-range", "cookie", "content-type",
        "content-encoding", "via", "forwarded",
    )
)  # fmt: skip
"""Headers that frame or route a request, or that the vault sets itself: none of them can be a slot."""

_HEADER_OF = {"basic": "authorization", "cookie": "cookie", "sigv4": "authorization"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_COOKIE_VALUE = re.compile(rb"[!#-+\--:<-\[\]-~]+")
_HEADER_VALUE = re.compile(rb"[!-~](?:[ \t!-~]*[!-~])?")
_WORD_AND_VALUE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,31} )?([^ \t,]+)")
_BASIC = re.compile(r"[Bb][Aa][Ss][Ii][Cc] ([A-Za-z0-9+/]+={0,2})")
_SIGV4_HEADER = re.compile(r"AWS4-HMAC-SHA256 +(?:[A-Za-z]+=[^,]*, *)*?Credential=([^,\s]+)")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
_JSON_SPACE = re.compile(r"[ \t\n\r]*")
_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_DECODE_JSON = json.JSONDecoder()


class Slot(msgspec.Struct, frozen=True):
    """One place. `name`: the header, cookie, parameter, field, `user`, `password`, the pointer, or SERVICE/REGION."""

    kind: SlotKind
    name: str = ""

    @property
    def in_body(self) -> bool:
        """Whether the body must be whole before the slot can be read."""
        return self.kind in ("json", "form")

    @property
    def header(self) -> str | None:
        """The header that holds the slot, if one does."""
        return self.name if self.kind == "header" else _HEADER_OF.get(self.kind)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse_slot(text: str) -> Slot:
    """Read `header:authorization` and its kin. Raises `Refusal`: `bad_rule`, with what would be right."""
    kind, colon, name = text.partition(":")
    if kind not in KINDS:
        _refuse_rule(f"{text!r} is no slot", _nearest_kind(text))
    if kind == "ssh":
        return Slot("ssh") if not colon else _refuse_rule("the slot `ssh` takes no name", "Write `ssh`.")
    checked = _CHECK_NAME[kind](name)
    return Slot(kind, checked)


def check_value(slot: Slot, value: bytes) -> None:
    """Refuse a secret that its slot cannot carry, when it is bound and not when it is used.

    Raises:
        Refusal: `bad_secret`, without a byte of the secret.
    """
    if not value:
        _refuse_value("it is empty")
    if slot.kind in ("json", "ssh", "sigv4"):
        if b"\0" in value:
            _refuse_value("it holds a NUL byte")
        if slot.kind == "json":
            _check_utf8(value)
        return
    if any(byte < 32 or byte == 127 for byte in value):
        _refuse_value("it holds a line break, NUL or another control character; was a newline stored with it?")
    if slot.kind == "header" and not _HEADER_VALUE.fullmatch(value):
        _refuse_value(f"the header `{slot.name}` carries ASCII without spaces at either end")
    if slot.kind == "cookie" and not _COOKIE_VALUE.fullmatch(value):
        _refuse_value("a cookie carries ASCII without space, quotation mark, comma, semicolon and backslash")
    if slot == Slot("basic", "user") and b":" in value:
        _refuse_value("the user of HTTP's Basic cannot hold a colon")


def read(slot: Slot, head: RequestHead, body: bytes | None) -> bytes | None:
    """Return what stands in the slot, decoded; None where nothing does.

    Args:
        body: the whole body, where the slot is in it (`Slot.in_body`).

    Raises:
        Refusal: `bad_slot` (400): more than one value, or one that can be read in two ways.
    """
    if slot.kind == "header":
        return _read_header(slot.name, head)
    if slot.kind == "basic":
        halves = _read_basic(head)
        return halves and (halves[0] if slot.name == "user" else halves[1])
    if slot.kind == "query":
        return _read_pairs(_query(head.target), slot.name, "query")
    if slot.kind == "cookie":
        return _read_cookie(slot.name, head)
    if slot.kind == "json":
        span = _string_at(_json_text(head, body), slot.name) if body else None
        return span and span[2].encode("utf-8", "surrogatepass")
    if slot.kind == "form":
        return _read_pairs(_form_text(head, body), slot.name, "form") if body else None
    if slot.kind == "sigv4":
        return _read_sigv4(head)
    return _refuse_slot("SSH is not spoken here")


def write(slot: Slot, head: RequestHead, body: bytes | None, value: bytes) -> tuple[RequestHead, bytes | None]:
    """Return the request with `value` in the slot, which `read` must have found filled. The rest stays as it was.

    `content-length` is not touched (inject.py frames the body). Signing (`sigv4`) is the credential's, not done here.

    Raises:
        Refusal: `bad_slot`, or `bad_secret` if the slot cannot carry the value.
    """
    check_value(slot, value)
    if slot.kind == "header":
        return _replace_header(head, slot.name, _header_value(head, slot.name, value)), body
    if slot.kind == "basic":
        return _replace_header(head, "authorization", _basic_value(slot, head, value)), body
    if slot.kind == "query":
        query = _write_pairs(_query(head.target), slot.name, value, "query")
        return msgspec.structs.replace(head, target=f"{head.target.partition('?')[0]}?{query}"), body
    if slot.kind == "cookie":
        return _write_cookie(head, slot.name, value), body
    if slot.kind == "json":
        return head, _write_json(_json_text(head, body), slot.name, value)
    if slot.kind == "form":
        return head, _write_pairs(_form_text(head, body), slot.name, value, "form").encode("ascii")
    return _refuse_slot("nothing is written into a request that is signed, or into SSH")


def is_filled(slot: Slot, head: RequestHead) -> bool:
    """Say, from the head alone, whether something stands in the slot (a slot in the body may always be filled)."""
    if slot.kind == "query":
        return any(name == slot.name for name, _, _ in query_pairs(_query(head.target)))
    if slot.kind == "sigv4":
        return _read_sigv4(head) is not None
    if slot.kind == "basic":
        return any(value[:6].lower() == "basic " for value in head.values("authorization"))
    if slot.kind == "header":
        return any(_suits(slot, value) for value in head.values(slot.name))
    if slot.kind == "cookie":
        return any(name == slot.name for name, _ in _cookies(head))
    return True


def _suits(slot: Slot, value: str) -> bool:
    """Basic and signatures share `Authorization` with plain tokens, and are other slots."""
    return slot.name != "authorization" or not value.lower().startswith(("basic ", "aws4-hmac-sha256 "))


# -- names of slots -------------------------------------------------------------------------------------------------


def _header_name(name: str) -> str:
    lowered = name.lower()
    if not _TOKEN.fullmatch(name):
        _refuse_rule(f"`header:{name}` names no header", "Write it like `header:authorization`.")
    if lowered in FORBIDDEN_HEADERS:
        fix = "Cookies have the slot `cookie:NAME`." if lowered == "cookie" else "Name the header of the credential."
        _refuse_rule(f"the header `{lowered}` frames or routes requests and cannot hold a secret", fix)
    return lowered


def _basic_half(name: str) -> str:
    if name not in ("user", "password"):
        _refuse_rule(f"`basic:{name}` names no half", "Write `basic:user` or `basic:password`.")
    return name


def _parameter_name(name: str) -> str:
    if not name or not name.isprintable() or any(character in name for character in "&=;#"):
        _refuse_rule(f"{name!r} names no parameter", "Write it like `query:key` or `form:token`.")
    return name


def _cookie_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        _refuse_rule(f"`cookie:{name}` names no cookie", "Write it like `cookie:session`.")
    return name


def _pointer(name: str) -> str:
    if not _POINTER.fullmatch(name):
        _refuse_rule(f"`json:{name}` is no JSON pointer", "Write it like `json:/auth/token` (RFC 6901).")
    return name


def _service_and_region(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+/(?:[a-z0-9-]+|\*)", name):
        _refuse_rule(f"`sigv4:{name}` names no service and region", "Write `sigv4:s3/us-east-1` or `sigv4:s3/*`.")
    return name


_CHECK_NAME = {
    "header": _header_name,
    "basic": _basic_half,
    "query": _parameter_name,
    "form": _parameter_name,
    "cookie": _cookie_name,
    "json": _pointer,
    "sigv4": _service_and_region,
}


def _nearest_kind(text: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text.partition(":")[0].lower(), KINDS, n=1)
    return f"Did you mean `{near[0]}`? Slots are {EXAMPLES}." if near else f"Slots are {EXAMPLES}."


# -- headers --------------------------------------------------------------------------------------------------------


def _one(head: RequestHead, name: str) -> str | None:
    values = head.values(name)
    if len(values) > 1:
        _refuse_slot(f"the header `{name}` stands there {len(values)} times")
    return values[0] if values else None


def _replace_header(head: RequestHead, name: str, value: str) -> RequestHead:
    headers: Headers = tuple((key, value if key == name else old) for key, old in head.headers)
    return RequestHead(head.method, head.target, headers)


def _read_header(name: str, head: RequestHead) -> bytes | None:
    value = _one(head, name)
    if value is None:
        return None
    match = _WORD_AND_VALUE.fullmatch(value)
    if match is None:
        _refuse_slot(f"the header `{name}` holds more than one word and one value")
    return match[1].encode("latin-1")


def _header_value(head: RequestHead, name: str, value: bytes) -> str:
    match = _WORD_AND_VALUE.fullmatch(_one(head, name) or "")
    if match is None:
        _refuse_slot(f"the header `{name}` is not there")
    return match[0][: match.start(1)] + value.decode("latin-1")


def _read_basic(head: RequestHead) -> tuple[bytes, bytes] | None:
    """Both halves of Basic; None where `Authorization` is missing."""
    value = _one(head, "authorization")
    if value is None:
        return None
    match = _BASIC.fullmatch(value)
    if match is None:
        _refuse_slot("`Authorization` is not `Basic` with one base64 value")
    try:
        decoded = base64.b64decode(match[1], validate=True)
    except (binascii.Error, ValueError):
        _refuse_slot("the value of `Authorization: Basic` is not base64")
    if base64.b64encode(decoded).decode("ascii") != match[1]:
        _refuse_slot("the value of `Authorization: Basic` is not base64 as RFC 4648 writes it")
    user, colon, password = decoded.partition(b":")
    if not colon or any(byte < 32 or byte == 127 for byte in decoded):
        _refuse_slot("`Authorization: Basic` does not hold `user:password`")
    return user, password


def _basic_value(slot: Slot, head: RequestHead, value: bytes) -> str:
    halves = _read_basic(head) or _refuse_slot("`Authorization` is not there")
    user, password = (value, halves[1]) if slot.name == "user" else (halves[0], value)
    return "Basic " + base64.b64encode(user + b":" + password).decode("ascii")


def other_half(slot: Slot, head: RequestHead) -> bytes:
    """Return the half of Basic that the client chooses (inject.py looks whether it is a credential)."""
    halves = _read_basic(head)
    return b"" if halves is None else halves[1] if slot.name == "user" else halves[0]


# -- cookies --------------------------------------------------------------------------------------------------------


def _cookies(head: RequestHead) -> list[tuple[str, str]]:
    """All cookies as (name, value), also where HTTP/2 sent them in several fields (RFC 9113 8.2.3)."""
    pairs = [part.strip(" \t") for value in head.values("cookie") for part in value.split(";")]
    split = [pair.partition("=") for pair in pairs if pair]
    return [(name, value) for name, _, value in split]


def _read_cookie(name: str, head: RequestHead) -> bytes | None:
    values = [value for key, value in _cookies(head) if key == name]
    if len(values) > 1:
        _refuse_slot(f"the cookie `{name}` stands there {len(values)} times")
    return values[0].encode("latin-1") if values else None


def _write_cookie(head: RequestHead, name: str, value: bytes) -> RequestHead:
    """Replace the cookie's value where it stands; the others stay (inject.py takes them out)."""

    def written(header: str) -> str:
        pairs = [pair.strip(" \t") for pair in header.split(";")]
        return "; ".join(cookie if pair.partition("=")[0] == name else pair for pair in pairs)

    cookie = f"{name}={value.decode('latin-1')}"
    headers = tuple((key, written(old) if key == "cookie" else old) for key, old in head.headers)
    return RequestHead(head.method, head.target, headers)


# -- queries and forms ----------------------------------------------------------------------------------------------


def _query(target: str) -> str:
    return target.partition("?")[2]


def _form_text(head: RequestHead, body: bytes | None) -> str:
    _check_body(head, "application/x-www-form-urlencoded")
    try:
        return (body or b"").decode("ascii")
    except UnicodeDecodeError:
        _refuse_slot("the form is not percent-encoded ASCII")


def _read_pairs(text: str, name: str, what: str) -> bytes | None:
    found = [as_sent for key, _, as_sent in query_pairs(text, what=what) if key == name]
    if len(found) > 1:
        _refuse_slot(f"the {what} has `{name}` {len(found)} times")
    if not found:
        return None
    return unquote_to_bytes(found[0].partition("=")[2].replace("+", " "))


def _write_pairs(text: str, name: str, value: bytes, what: str) -> str:
    def written(key: str, as_sent: str) -> str:
        return as_sent if key != name else f"{as_sent.partition('=')[0]}={quote_from_bytes(value, safe='')}"

    return "&".join(written(key, as_sent) for key, _, as_sent in query_pairs(text, what=what))


# -- JSON -----------------------------------------------------------------------------------------------------------


def _check_body(head: RequestHead, media_type: str) -> None:
    if any(value.strip().lower() not in ("", "identity") for value in head.values("content-encoding")):
        _refuse_slot("the body is compressed; send it as it is")
    declared = (_one(head, "content-type") or media_type).partition(";")[0].strip().lower()
    json_kin = media_type == "application/json" and declared.endswith("+json")
    if declared != media_type and not json_kin:
        _refuse_slot(f"the body is said to be `{declared}`, and the slot needs `{media_type}`")


def _json_text(head: RequestHead, body: bytes | None) -> str:
    """The body as text, after a whole and strict reading: UTF-8, one document, no name twice in an object."""
    _check_body(head, "application/json")
    try:
        text = (body or b"").decode("utf-8")
        json.loads(text, object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse_slot("the body is not strict JSON with each name once")
    return text


def _no_name_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError


def _string_at(text: str, pointer: str) -> tuple[int, int, str] | None:
    """Where in a valid document the string at `pointer` stands (quotation marks included), and what it says."""
    position: int | None = _after_space(text, 0)
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        position = _step_into(text, position, key) if position is not None else None
    if position is None or text[position] != '"':
        return None
    value, end = _DECODE_JSON.raw_decode(text, position)
    return position, end, value


def _step_into(text: str, position: int, key: str) -> int | None:
    """The position of the member `key` of the object, or of that element of the array, which begins at `position`."""
    if text[position] not in "{[":
        return None
    is_object = text[position] == "{"
    if not is_object and not _ARRAY_INDEX.fullmatch(key):
        return None
    position, index = _after_space(text, position + 1), 0
    while text[position] not in "}]":
        name = str(index)
        if is_object:
            name, position = _DECODE_JSON.raw_decode(text, position)
            position = _after_space(text, _after_space(text, position) + 1)  # past the colon
        if name == key:
            return position
        position = _after_space(text, _DECODE_JSON.raw_decode(text, position)[1])
        position = _after_space(text, position + 1) if text[position] == "," else position
        index += 1
    return None


def _after_space(text: str, position: int) -> int:
    match = _JSON_SPACE.match(text, position)
    return match.end() if match else position


def _write_json(text: str, pointer: str, value: bytes) -> bytes:
    span = _string_at(text, pointer) or _refuse_slot(f"there is no string at `{pointer}`")
    return (text[: span[0]] + json.dumps(value.decode("utf-8")) + text[span[1] :]).encode("utf-8")


def _check_utf8(value: bytes) -> None:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        _refuse_value("a JSON string carries UTF-8 only")


# -- AWS Signature Version 4 ----------------------------------------------------------------------------------------


def _read_sigv4(head: RequestHead) -> bytes | None:
    """The access key id that the client signed with. Its scope and the rest are the credential's to check."""
    in_query = [value for name, value, _ in query_pairs(_query(head.target)) if name.lower() == "x-amz-credential"]
    in_header = [match[1] for value in head.values("authorization") if (match := _SIGV4_HEADER.match(value))]
    if len(in_query) + len(in_header) > 1:
        _refuse_slot("the request is signed twice")
    found = [*in_query, *in_header]
    return found[0].partition("/")[0].encode("latin-1") if found else None


# -- refusals -------------------------------------------------------------------------------------------------------


def _refuse_rule(reason: str, fix: str) -> NoReturn:
    raise Refusal("bad_rule", f"The slot is wrong: {reason}.", fix=fix, status=400)


def _refuse_slot(reason: str) -> NoReturn:
    raise Refusal("bad_slot", f"The credential's place cannot be read: {reason}.", status=400)


def _refuse_value(reason: str) -> NoReturn:
    raise Refusal("bad_secret", f"The secret cannot stand in this slot: {reason}.", status=400)

"""A stub looks like the secret it stands for, says nothing of it, and is an alarm wherever it should not be.

**Shape.** Programs check what they are given (`ghp_` and 36 letters, a JWT that can be read, a UUID), so a stub has the
secret's length, its known prefix, and its separators where they were. Letters and digits are drawn anew from the kinds
that the secret has (hexadecimal stays hexadecimal, a part of digits stays one). Not each from its own kind:
a stub that had a capital wherever the secret has one would tell a sandbox a quarter of a password. Separators and
other marks stay, so that every encoding of a stub is as long as that of its secret.

**Of a JWT** the header and the claims stay: clients read who and until when from them, and without the signature they
open nothing. The signature is drawn anew. Of a PEM block the lines that begin with dashes stay.

**Alarm.** `StubTable.find` looks for a session's stubs in a whole request (target, every header, what Basic decodes
to, the body), as they are and percent-, base64-, JSON- and hex-encoded, and leaves out the one place where it belongs.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from penstock.vault.rules import Binding
from penstock.vault.slots import read, write
from penstock.vault.values import Headers, Refusal, RequestHead

SHORTEST = 8
"""Bytes of the shortest secret that can have a stub."""
ENOUGH_BITS = 128.0
"""What a stub draws at random, where its length allows."""
FEWEST_BITS = 24.0
"""Below this a stub could be met by chance; the secret is refused."""

PREFIXES = (
    "sk-ant-api03-", "sk-ant-admin01-", "sk-ant-oat01-", "sk-ant-ort01-", "sk-ant-", "sk-proj-", "sk-svcacct-",
    "sk-admin-", "sk-or-v1-", "sk-lf-", "pk-lf-", "sk_live_", "sk_test_", "pk_live_", "pk_test_", "rk_live_",
    "rk_test_", "whsec_", "sk-", "github_pat_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "glpat-", "gloas-", "gldt-",
    "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "xoxb-", "xoxp-", "xoxa-2-", "xoxa-",
    "xoxr-", "xoxs-", "xoxc-", "xoxd-", "xoxe.xoxp-1-", "xoxe-", "xapp-1-", "xapp-", "AKIA", "ASIA", "AIza", "ya29.",
    "GOCSPX-", "1//0", "npm_", "pypi-AgEIcHlwaS5vcmc", "pypi-", "hf_", "SG.", "shpat_", "shpca_", "shppa_", "shpss_",
    "dop_v1_", "doo_v1_", "dor_v1_", "dckr_pat_", "dckr_oat_", "gsk_", "r8_", "nvapi-", "tvly-", "pplx-", "xai-",
    "fw_", "csk-", "lin_api_", "lin_oauth_", "ntn_", "secret_", "hvs.", "hvb.", "hvr.", "ATATT3xFfGF0", "ATCTT3xFfGF0",
    "ATBB", "dapi", "pul-", "sntrys_", "sntryu_", "phc_", "phx_", "figd_", "rubygems_", "crates_", "cio", "tskey-auth-",
    "tskey-api-", "tfp_", "PMAK-", "NRAK-", "NRII-", "sq0atp-", "sq0csp-", "EAAA", "EAAC", "vercel_", "sbp_",
    "sb_secret_", "AGE-SECRET-KEY-1", "ddp_", "doppler_", "dp.st.", "dp.pt.", "CFPAT-", "lsv2_pt_", "lsv2_sk_",
    "jina_", "pcsk_", "re_", "co_", "fo1_", "FlyV1 ", "glc_", "glsa_", "eyJrIjoi", "Bearer ", "Basic ", "token ",
)  # fmt: skip
"""What the documentation of services says their keys begin with. The longest that fits is kept."""
_BY_LENGTH = tuple(sorted((prefix.encode("ascii") for prefix in PREFIXES), key=len, reverse=True))

_LOWER = b"abcdefghijklmnopqrstuvwxyz"
_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = b"0123456789"
_PART = re.compile(rb"[A-Za-z0-9]+")
_ARMOUR = re.compile(rb"-----[A-Z0-9 ]+-----")
_UUID = re.compile(rb"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]+\.(?:eyJ[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]{16,}")
_BASE32_KEY = re.compile(rb"[A-Z2-7]+")

Random = Callable[[int], bytes]


class Misuse(msgspec.Struct, frozen=True):
    """A stub that stands where it should not. `where`: `header NAME`, `target`, `basic`, `body`."""

    secret: str
    where: str


class _Draw(NamedTuple):
    """A stretch of the secret that is drawn anew, and from which characters."""

    start: int
    end: int
    alphabet: bytes


def mint(like: bytes, random: Random) -> bytes:
    """Make a stub for a secret.

    Args:
        like: the secret.
        random: returns that many random bytes (`secrets.token_bytes`).

    Raises:
        Refusal: `secret_too_short`: no stub of this length and alphabet could be told from chance.
    """
    _check(like)
    for _ in range(64):
        stub = _sign_anew(like, random) if is_jwt(like) else _draw(like, random)
        if not _resembles(stub, like):
            return stub
    raise _too_short("its alphabet is too small")


def stub_bits(like: bytes) -> float:
    """Return how many bits of chance are in the stub of a secret: `ENOUGH_BITS` or more for all but short passwords."""
    if is_jwt(like):
        return 6.0 * len(like.rpartition(b".")[2])
    return sum(math.log2(len(part.alphabet)) * (part.end - part.start) for part in _parts(like))


def is_jwt(value: bytes) -> bool:
    """Say whether a value is a signed JSON Web Token in its compact form, with header and claims that are JSON."""
    if not _JWT.fullmatch(value):
        return False
    try:
        *readable, _signature = [_decode_url(part) for part in value.split(b".")]
        return all(isinstance(json.loads(part), dict) for part in readable)
    except (ValueError, RecursionError):
        return False


def _check(like: bytes) -> None:
    if len(like) < SHORTEST:
        raise _too_short(f"it has fewer than {SHORTEST} bytes")
    if stub_bits(like) < FEWEST_BITS:
        raise _too_short("too little of it varies")


def _too_short(reason: str) -> Refusal:
    return Refusal(
        "secret_too_short",
        f"No stub can stand for this secret: {reason}, so that a stub could be met by chance.",
        fix="Make a longer, random credential where it comes from.",
        status=400,
    )


def _draw(like: bytes, random: Random) -> bytes:
    stub = bytearray(like)
    for start, end, alphabet in _parts(like):
        stub[start:end] = _characters(alphabet, end - start, random)
    if _UUID.fullmatch(like):
        stub[14], stub[19] = like[14], like[19]  # version and variant, which clients check (RFC 9562)
    return bytes(stub)


def _parts(like: bytes) -> list[_Draw]:
    """The stretches to draw: letters and digits between marks, behind the prefix, outside of armour."""
    kept = [match.span() for match in _ARMOUR.finditer(like)]
    start = len(_prefix(like))
    found = [match.span() for match in _PART.finditer(like, start)]
    drawn = [span for span in found if not any(span[0] < end and begin < span[1] for begin, end in kept)]
    whole = b"".join(like[begin:end] for begin, end in drawn)
    return [_Draw(begin, end, _alphabet(like[begin:end], whole, like[:start])) for begin, end in drawn]


def _prefix(like: bytes) -> bytes:
    return next((prefix for prefix in _BY_LENGTH if like.startswith(prefix) and len(like) >= len(prefix) + 8), b"")


def _alphabet(part: bytes, whole: bytes, prefix: bytes) -> bytes:
    """The characters of a part: digits where it is a number, else by what the whole secret is made of."""
    if prefix in (b"AKIA", b"ASIA") and _BASE32_KEY.fullmatch(part):
        return _UPPER + b"234567"
    if part.isdigit() and len(part) >= 4:
        return _DIGITS
    for hexadecimal in (_DIGITS + b"abcdef", _DIGITS + b"ABCDEF"):
        if len(whole) >= 16 and not whole.strip(hexadecimal) and _only(whole, hexadecimal):
            return hexadecimal
    kinds = (alphabet for alphabet in (_LOWER, _UPPER, _DIGITS) if any(byte in alphabet for byte in whole))
    return b"".join(kinds)


def _only(text: bytes, alphabet: bytes) -> bool:
    return not text.translate(None, alphabet)


def _characters(alphabet: bytes, count: int, random: Random) -> bytes:
    """Draw without favour: bytes beyond the last whole multiple of the alphabet are thrown away."""
    limit = 256 - 256 % len(alphabet)
    drawn = bytearray()
    while len(drawn) < count:
        drawn += bytes(alphabet[byte % len(alphabet)] for byte in random(count + 8) if byte < limit)
    return bytes(drawn[:count])


def _sign_anew(like: bytes, random: Random) -> bytes:
    signed, _, signature = like.rpartition(b".")
    size = len(_decode_url(signature))
    return signed + b"." + base64.urlsafe_b64encode(random(size)).rstrip(b"=").ljust(len(signature), b"A")


def _decode_url(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))


def _resembles(stub: bytes, like: bytes) -> bool:
    """Whether a drawn stub holds what varies in the secret: as a whole, or one of its longer parts."""
    if stub == like:
        return True
    if is_jwt(like):
        return like.rpartition(b".")[2] in stub
    return any(like[start:end] in stub for start, end, alphabet in _parts(like) if end - start >= SHORTEST)


# -- finding --------------------------------------------------------------------------------------------------------


class StubTable:
    """The stubs of one session: stub to the name of its secret. It holds no secret.

    Args:
        stubs: the session's stubs, by which secret each stands for.
        foreign: stubs of other sessions, by a text for the alarm; seen here, somebody carried them over.
    """

    __slots__ = ("_names", "_needles", "longest")

    def __init__(self, stubs: Mapping[bytes, str], foreign: Mapping[bytes, str] | None = None) -> None:
        self._names = dict(stubs)
        known = {**(foreign or {}), **self._names}
        self._needles = tuple((needle, name) for stub, name in known.items() for needle in _needles(stub))
        self.longest = max((len(needle) for needle, _ in self._needles), default=0)
        """Bytes of the longest form; who looks through a stream keeps one less of each piece for the next."""

    def __repr__(self) -> str:
        return f"StubTable({len(self._names)} stubs)"

    def name_of(self, stub: bytes) -> str | None:
        """Return the name of the secret that a stub of this session stands for."""
        return self._names.get(stub)

    def hidden(self, text: str) -> str:
        """Return a text as logs may have it: instead of a stub stands the name of its secret."""
        for stub, name in self._names.items():
            text = text.replace(stub.decode("latin-1"), f"<stub of {name}>")
        return text

    def names_in(self, data: bytes) -> list[str]:
        """Return the secrets whose stubs occur in some bytes, in any of the forms."""
        return list(dict.fromkeys(name for needle, name in self._needles if needle in data))

    def find(self, head: RequestHead, body: bytes | None = None, *, binding: Binding | None = None) -> list[Misuse]:
        """Return where stubs stand that should not.

        Args:
            head: the request as the client sent it.
            body: what there is of its body.
            binding: the binding that was decided on. Its own stub in its own slot is no misuse; another's there is.
        """
        if not self._needles:
            return []
        head, body = self._without_own(head, body, binding)
        found = [Misuse(name, "target") for name in self._names_in_text(head.target)]
        for key, value in self._suspects(head.headers):
            found += [Misuse(name, f"header {key}") for name in self._names_in_text(value)]
            found += [Misuse(name, "basic") for name in self._names_in_basic(value)]
        if body:
            found += [Misuse(name, "body") for name in self._names_in_text(body.decode("latin-1"))]
        return list(dict.fromkeys(found))

    def _without_own(
        self, head: RequestHead, body: bytes | None, binding: Binding | None
    ) -> tuple[RequestHead, bytes | None]:
        """The request with its own slot emptied, if the slot's own stub is in it."""
        if binding is None or binding.slot.kind == "ssh":
            return head, body
        try:
            stub = read(binding.slot, head, body)
            if stub is None or self._names.get(stub) != binding.secret:
                return head, body
            return _emptied(binding, head, body, stub)
        except Refusal:
            return head, body

    def _suspects(self, headers: Headers) -> Headers:
        """All headers, where one look at all of them finds something or where something is encoded; else none."""
        text = "\n".join([value for _, value in headers])
        encoded = "%" in text or "asic " in text.replace("ASIC", "asic")
        return headers if encoded or self.names_in(text.encode("latin-1", "replace")) else ()

    def _names_in_text(self, text: str) -> list[str]:
        """Look at a text as it is, and once and twice percent-decoded."""
        data = text.encode("latin-1", "replace")
        names = self.names_in(data)
        for _ in range(2):
            if b"%" in data:
                data = unquote_to_bytes(data)
                names += self.names_in(data)
        return list(dict.fromkeys(names))

    def _names_in_basic(self, value: str) -> list[str]:
        word, _, encoded = value.partition(" ")
        if word.lower() != "basic":
            return []
        try:
            return self.names_in(base64.b64decode(encoded.strip() + "==", validate=False))
        except (binascii.Error, ValueError):
            return []


def _emptied(binding: Binding, head: RequestHead, body: bytes | None, stub: bytes) -> tuple[RequestHead, bytes | None]:
    """Take the stub out of its slot, once; what else holds it stays to be found."""
    if binding.slot.kind == "sigv4":
        text = stub.decode("latin-1")
        headers = tuple((key, value.replace(f"Credential={text}/", "Credential=/", 1)) for key, value in head.headers)
        target = head.target.replace(f"X-Amz-Credential={text}", "X-Amz-Credential=", 1)
        return RequestHead(head.method, target, headers), body
    return write(binding.slot, head, body, b"-")


def _needles(stub: bytes) -> list[bytes]:
    """A stub as it is, and as encoders write it: base64 at three offsets in both alphabets, hexadecimal, JSON."""
    forms = [stub, stub.hex().encode("ascii"), stub.hex().upper().encode("ascii")]
    for offset in range(3):
        forms += _base64_forms(stub, offset)
    escaped = json.dumps(stub.decode("latin-1"))[1:-1].encode("ascii")
    forms += [escaped, escaped.replace(b"/", b"\\/")]
    return [form for form in dict.fromkeys(forms) if len(form) >= SHORTEST]


def _base64_forms(stub: bytes, offset: int) -> list[bytes]:
    """The characters of base64 that depend on the stub alone, wherever it begins within three bytes."""
    encoded = base64.b64encode(b"\0" * offset + stub)
    begin = (offset * 8 + 5) // 6
    end = (offset + len(stub)) * 8 // 6
    standard = encoded[begin:end]
    return [standard, standard.replace(b"+", b"-").replace(b"/", b"_")]

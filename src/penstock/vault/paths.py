"""A path is matched only if every reader of it reads the same: what is ambiguous is refused, not normalised and sent.

Between a rule and the handler that an upstream runs there may be three programs, each with its own idea of `%2e%2e`,
`//`, `;x`, a backslash, or an escape of an escape. The vault therefore has two texts of a path: the one that the client
sent, which is forwarded as it is, and the *canonical* one, which rules are compared with; and it accepts only paths for
which no reader can arrive elsewhere. In the canonical text escapes of harmless characters are decoded and the rest is
written in capitals (`/%40a/%7eb%20c` is `/@a/~b%20c`): RFC 3986 section 6.2.2. Case counts.

One ambiguity is common in honest traffic: the encoded slash (`/@scope%2fname` of npm, `/projects/group%2Fname` of
GitLab). It is kept in the canonical text, and `encoded_slash` says so: a rule decides (rules.py).
"""

import re
import unicodedata
from typing import NoReturn
from urllib.parse import unquote_plus, unquote_to_bytes

import msgspec

from penstock.vault.values import Refusal

LONGEST_TARGET = 64 * 1024
"""Characters of a request's target that are looked at; parsers have lower limits of their own."""

# pchar of RFC 3986 without `;`, `%` and `.`, and what browsers leave unescaped.
_CHARACTERS = r"A-Za-z0-9_~!$&'()*+,=:@\[\]{}|^\-"
_PLAIN = re.compile(rf"/(?:(?!\.+(?:/|\Z))[{_CHARACTERS}.]+(?:/(?!\.+(?:/|\Z))[{_CHARACTERS}.]+)*/?)?")
_WITH_ESCAPES = re.compile(rf"/[{_CHARACTERS}.%/]*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_ESCAPE = re.compile(r"%25[0-9A-Fa-f]{2}")
_QUERY = re.compile(r"[!$-;=?-~]*")  # printable ASCII without space, quotation mark, number sign, < and >
_LOOK_ALIKES = str.maketrans({
    "\u2044": "/", "\u2215": "/", "\u29f8": "/", "\u2571": "/", "\u2216": "\\", "\u29f5": "\\", "\u29f9": "\\",
    "\u066a": "%", "\u037e": ";", "\u2024": ".", "\u3002": ".", "\u0701": ".", "\u0702": ".",
})  # fmt: skip
"""What programs that convert to a smaller alphabet by best fit take for a separator, beside what NFKC folds."""
_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!$&'()*+,=:@[]{}|^")


class Target(msgspec.Struct, frozen=True):
    """A target that every reader reads the same: the canonical `path`, the `query` as sent (None: no question mark)."""

    path: str
    query: str | None
    encoded_slash: bool = False


def parse_target(target: str) -> Target:
    """Read a target in origin form (`/path?query`).

    Raises:
        Refusal: `bad_path` (400), with the reason and, where clients can do better, how.
    """
    path, mark, query = target.partition("?")
    if len(target) > LONGEST_TARGET:
        _refuse(f"it is longer than {LONGEST_TARGET} characters")
    if mark and not _QUERY.fullmatch(query):
        _refuse("its query holds a raw space, quotation mark, control or non-ASCII character, or a fragment")
    canonical, encoded_slash = (path, False) if _PLAIN.fullmatch(path) else _canonical_path(path)
    return Target(canonical, query if mark else None, encoded_slash)


def canonical_pattern(pattern: str) -> str:
    """Return the canonical text of a path with `*` as wildcard; a literal asterisk is covered by a wildcard only.

    Raises:
        Refusal: `bad_path`: no request that is accepted could match it.
    """
    if re.search("%2a", pattern, re.IGNORECASE):
        _refuse("it has an encoded asterisk, which a wildcard covers")
    return _canonical_path(pattern)[0]


def query_pairs(query: str, *, what: str = "query") -> list[tuple[str, str, str]]:
    """Split a query or a form into `(name, value, as sent)`: two decoded, the third to be joined by `&` again.

    Raises:
        Refusal: `bad_query` (400): readers differ about where it splits (`;`), or what it decodes to.
    """
    if ";" in query:
        _refuse_query(what, "some programs split it at a semicolon; send %3B")
    if _BAD_ESCAPE.search(query):
        _refuse_query(what, "a percent sign is not followed by two hexadecimal digits; send %25")
    if not query:
        return []
    return [_query_pair(part, what) for part in query.split("&")]


def _query_pair(part: str, what: str) -> tuple[str, str, str]:
    name, _, value = part.partition("=")
    if "%" not in part and "+" not in part:
        return name, value, part
    try:
        return unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict"), part
    except UnicodeDecodeError:
        _refuse_query(what, "an escape is not UTF-8")


def _canonical_path(path: str) -> tuple[str, bool]:
    """The slower way, for paths with escapes and for those that will be refused."""
    if not _WITH_ESCAPES.fullmatch(path):
        _refuse(_odd_character(path))
    if _BAD_ESCAPE.search(path):
        _refuse("a percent sign is not followed by two hexadecimal digits; send %25")
    if _ESCAPED_ESCAPE.search(path):
        _refuse("it is encoded twice")
    if "//" in path:
        _refuse("it has an empty segment (//)")
    canonical = "/".join(_canonical_segment(segment) for segment in path.split("/"))
    return canonical, "%2F" in canonical


def _canonical_segment(segment: str) -> str:
    if "%" not in segment:
        _check_parts(segment.split("/"))
        return segment
    lowered = segment.lower()
    for escape, name in (("%2e", "dot"), ("%5c", "backslash"), ("%3b", "semicolon")):
        if escape in lowered:
            _refuse(f"it has an encoded {name} ({escape})")
    _check_decoded(_decode(segment))
    return _ESCAPE.sub(_canonical_escape, segment)


def _decode(segment: str) -> str:
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        _refuse("an escape is not UTF-8")


def _check_decoded(decoded: str) -> None:
    """Check what a segment becomes if a reader decodes it, takes encoded slashes for separators, or folds Unicode."""
    if any(ord(character) < 32 or ord(character) == 127 for character in decoded):
        _refuse("it has an encoded control character")
    parts = decoded.split("/")
    if "" in parts:
        _refuse("an encoded slash (%2f) makes an empty segment")
    _check_parts(parts)
    if not decoded.isascii():
        folded = unicodedata.normalize("NFKC", decoded).translate(_LOOK_ALIKES)
        if any(folded.count(mark) > decoded.count(mark) for mark in "/\\%;"):
            _refuse("it has a look-alike of a separator")
        _check_parts(folded.split("/"))


def _check_parts(parts: list[str]) -> None:
    for part in parts:
        if part and not part.strip().strip("."):
            _refuse("it has a segment of dots")


def _canonical_escape(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if character in _KEPT else match[0].upper()


def _odd_character(path: str) -> str:
    if not path.startswith("/"):
        return "it does not begin with a slash"
    for character, reason in (("#", "a fragment"), (";", "a parameter (;)"), ("\\", "a backslash")):
        if character in path:
            return f"it has {reason}"
    return "it has a raw space, control or non-ASCII character, or one that must be percent-encoded"


def _refuse(reason: str) -> NoReturn:
    raise Refusal("bad_path", f"This path can be read in more than one way: {reason}.", status=400)


def _refuse_query(what: str, reason: str) -> NoReturn:
    raise Refusal("bad_query", f"This {what} can be read in more than one way: {reason}.", status=400)

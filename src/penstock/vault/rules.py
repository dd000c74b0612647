"""The one language of policy: `METHOD scheme://host:port/path`, and with a SLOT behind it, where one secret may go.

    GET,HEAD https://api.example.com/v1/*                    an egress rule: such requests may leave, as they are
    POST https://api.example.com/v1/* header:authorization   a binding: this secret may stand in that place of them
    * https://git.example.com/team/app.git/* basic:password refs=refs/heads/agent/*
    exec ssh://admin@router.example.com:22 ssh command='show *'
    git-upload-pack ssh://git@git.example.com:22/team/app.git ssh

METHOD is `*`, or methods with commas between; for ssh, what is done there. The host is exact, or `*.` and a domain (any
names below it, not itself); `*` for an egress rule. Without a port it is the scheme's; `*` as port for an egress rule.
In a path `*` stands for at least one character of one segment, and as the last character of the pattern for any rest,
slashes included. Whatever is not said is refused, and each refusal (`bad_rule`) names the part, the nearest right word
and the fix. docs/reference/vault-bindings.md has the whole grammar.
"""

import re
from difflib import get_close_matches
from typing import NoReturn

import msgspec

from penstock.vault import names
from penstock.vault.git import parse_ref_rule
from penstock.vault.paths import Target, canonical_pattern
from penstock.vault.slots import EXAMPLES, Slot, parse_slot
from penstock.vault.values import DEFAULT_PORTS, Refusal, Scheme

ANY_METHOD = ("*",)
ANY_PORT = 0
"""`Rule.port` of a rule for every port (egress rules only)."""

METHODS = (
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY",
    "PROPFIND", "PROPPATCH", "MKCOL", "MKCALENDAR", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "ACL",
    "PURGE", "LIST",
)  # fmt: skip
"""Methods that rules may name: RFC 9110 and 10008 (QUERY), WebDAV, and what APIs use beside them."""
NEVER_METHODS = {
    "TRACE": "it reflects what was sent, credentials included",
    "TRACK": "it reflects what was sent, credentials included",
    "CONNECT": "it would open a tunnel inside a tunnel",
    "PRI": "it begins HTTP/2 and is no request",
}
"""Methods that nothing can allow, and why."""
OPERATIONS = ("exec", "shell", "git-upload-pack", "git-receive-pack", "git-upload-archive")
"""What may stand for a method in a rule for ssh, beside `subsystem:NAME`."""

SHARED_SUFFIXES = frozenset((
    "github.io", "githubusercontent.com", "gitlab.io", "bitbucket.io", "pages.dev", "workers.dev", "r2.dev",
    "trycloudflare.com", "vercel.app", "now.sh", "netlify.app", "herokuapp.com", "onrender.com", "fly.dev",
    "railway.app", "deno.dev", "web.app", "firebaseapp.com", "appspot.com", "run.app", "cloudfunctions.net",
    "googleapis.com", "googleusercontent.com", "amazonaws.com", "amazonaws.com.cn", "cloudfront.net", "on.aws",
    "awsapprunner.com", "elasticbeanstalk.com", "azurewebsites.net", "azure.com", "azure.net", "azureedge.net",
    "windows.net", "azurefd.net", "cloudapp.net", "digitaloceanspaces.com", "ondigitalocean.app", "linodeobjects.com",
    "backblazeb2.com", "oraclecloud.com", "blogspot.com", "wordpress.com", "myshopify.com", "atlassian.net",
    "zendesk.com", "slack.com", "hf.space", "supabase.co", "ngrok.io", "ngrok.app", "ngrok-free.app", "ngrok.dev",
    "loca.lt", "repl.co", "replit.dev", "glitch.me", "surge.sh", "nip.io", "sslip.io", "duckdns.org",
    "codespaces.new", "app.github.dev",
))  # fmt: skip
"""Domains below which strangers own names (a part of the public suffix list's private section, and clouds with
virtual hosts below further labels). A secret may not be bound to a wildcard at or below one of them."""

_SECOND_LEVEL = frozenset((
    "ac", "co", "com", "edu", "gen", "go", "gob", "gouv", "gov", "id", "ltd", "me", "mil", "ne", "net", "nhs", "nom",
    "or", "org", "plc", "sch",
))  # fmt: skip
_SIGNED_ONLY = frozenset(("sigv4",))
_SHAPE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/.*)?", re.DOTALL)
_USER = re.compile(r"[A-Za-z0-9_.$-]{1,64}")
_SUBSYSTEM = re.compile(r"subsystem:[A-Za-z0-9_.@-]{1,64}")
_WORDS = re.compile(r"[a-z]+='[^']*'(?!\S)|[a-z]+=\"[^\"]*\"(?!\S)|\S+")
_OPTION = re.compile(r"([a-z]+)=(.*)", re.DOTALL)
_OPTIONS = ("refs", "command", "plaintext")


class Rule(msgspec.Struct, frozen=True):
    """Which requests are meant.

    `methods`: `("*",)` for any. `host`: canonical, or `*.` and a domain, or `*`. `port`: 0 for any. `path`: the pattern
    in canonical text; of ssh the repository, or `/*`. `user`: of ssh, `*` for any. `command`: of ssh's `exec` and
    `shell`, a pattern that `ssh.commands.covers` reads.
    """

    methods: tuple[str, ...]
    scheme: Scheme
    host: str
    port: int
    path: str = "/*"
    user: str = ""
    command: str = "*"

    def __str__(self) -> str:
        """The rule as it is typed, complete: parsing it gives the same rule."""
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        path = "" if self.scheme == "ssh" and self.path == "/*" else self.path
        command = f" command={_quoted(self.command)}" if self.command != "*" else ""
        return f"{','.join(self.methods)} {self.scheme}://{user}{host}:{self.port or '*'}{path}{command}"


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


class Binding(msgspec.Struct, frozen=True):
    """Where one secret may go.

    `secret`: its name. `refs`: what a push may change, as `git.parse_ref_rule` reads it; empty for anything.
    `plaintext`: somebody asked by name that the secret may travel over http.
    """

    secret: str
    rule: Rule
    slot: Slot
    refs: tuple[str, ...] = ()
    plaintext: bool = False

    def __str__(self) -> str:
        """The binding as it is typed. It names no secret value, and may be shown."""
        rule, _, command = str(self.rule).partition(" command=")
        options = [f"command={command}"] if command else []
        options += [f"refs={','.join(self.refs)}"] if self.refs else []
        options += ["plaintext=yes"] if self.plaintext else []
        return " ".join([rule, str(self.slot), *options])


def parse_rule(text: str) -> Rule:
    """Read an egress rule: `METHOD scheme://host:port/path`.

    Raises:
        Refusal: `bad_rule` (400).
    """
    method, url, words, options = _split(text)
    if words:
        _refuse("egress rule", f"{words[0]!r} stands behind the address", "A slot belongs to a secret's --binding.")
    if options.keys() - {"command"}:
        _refuse("option", "an egress rule takes no options but command=", "Put the others into a secret's --binding.")
    return _rule(method, url, options, bound=None)


def parse_binding(text: str, secret: str = "") -> Binding:
    """Read a binding: `METHOD scheme://host:port/path SLOT [refs=...] [command=...] [plaintext=yes]`.

    Args:
        secret: the name of the secret that is bound.

    Raises:
        Refusal: `bad_rule` (400).
    """
    method, url, words, options = _split(text)
    if len(words) != 1:
        _refuse("slot", "it is missing" if not words else "there are several", f"Name one place: {EXAMPLES}.")
    slot = parse_slot(words[0])
    rule = _rule(method, url, options, bound=slot)
    _check_scheme_and_slot(rule, slot)
    plaintext = _is_yes(options)
    _check_plaintext(rule, plaintext)
    return Binding(secret, rule, slot, _refs(options, rule, slot), plaintext)


def covers_host(pattern: str, host: str) -> bool:
    """Say whether a rule's host covers a canonical host: equal, below `*.domain` by whole labels, or `*`."""
    if pattern == host or pattern == "*":
        return True
    return pattern.startswith("*.") and host.endswith(pattern[1:]) and not names.is_address(host)


def covers_port(rule: Rule, port: int) -> bool:
    """Say whether a rule is for this port."""
    return rule.port in (ANY_PORT, port)


def covers_method(rule: Rule, method: str) -> bool:
    """Say whether a rule is for this method (case counts: `get` is no method)."""
    return rule.methods == ANY_METHOD or method in rule.methods


class PathPattern:
    """A path with wildcards, ready to be compared.

    An encoded slash (`%2f`) is data to one reader and a separator to another. A segment of the pattern that itself
    contains `%2f` says that data is meant, and accepts it there. Elsewhere it is accepted only if the caller allows it
    (`both_readings`, for requests that carry no secret) and the path matches in either reading.
    """

    __slots__ = ("_rest", "_segments")

    def __init__(self, pattern: str) -> None:
        self._rest = pattern.endswith("*")
        self._segments = tuple(_Segment(text) for text in pattern.removesuffix("*").split("/"))

    def covers(self, target: Target, *, both_readings: bool) -> bool:
        """Say whether the pattern covers a canonical path. Takes time in proportion to its length."""
        if self._matches(target.path):
            return True
        if not (target.encoded_slash and both_readings):
            return False
        as_data, as_separator = target.path.replace("%2F", "%5F"), target.path.replace("%2F", "/")
        return self._matches(as_data) and self._matches(as_separator)

    def _matches(self, path: str) -> bool:
        found, wanted = path.split("/"), self._segments
        if len(found) < len(wanted) or (len(found) > len(wanted) and not self._rest):
            return False
        for segment, text in zip(wanted[:-1], found, strict=False):
            if not segment.covers(text):
                return False
        last, text, rest = wanted[-1], found[len(wanted) - 1], found[len(wanted) :]
        if not self._rest:
            return last.covers(text)
        return last.begins(text) and (last.encoded_slash or not any("%2F" in further for further in rest))


class _Segment:
    """One segment of a pattern: literal pieces with at least one character between them."""

    __slots__ = ("encoded_slash", "first", "last", "middle")

    def __init__(self, text: str) -> None:
        self.first, *others = text.split("*")
        self.last = others.pop() if others else None
        self.middle = others
        self.encoded_slash = "%2F" in text

    def covers(self, text: str) -> bool:
        """Say whether the whole of a path's segment is covered."""
        if self.last is None:
            return text == self.first
        position = self._position(text)
        return position is not None and text.endswith(self.last) and len(text) - len(self.last) > position

    def begins(self, text: str) -> bool:
        """Say whether a path's segment begins as this does, whatever follows."""
        position = self._position(text)
        return position is not None and (self.last is None or text.find(self.last, position + 1) >= 0)

    def _position(self, text: str) -> int | None:
        """Where the pieces before the last end, each taken where it first stands; None if one is missing."""
        if not text.startswith(self.first) or ("%2F" in text and not self.encoded_slash):
            return None
        position = len(self.first)
        for piece in self.middle:
            found = text.find(piece, position + 1)
            if found < 0:
                return None
            position = found + len(piece)
        return position


# -- reading --------------------------------------------------------------------------------------------------------


def _split(text: str) -> tuple[str, str, list[str], dict[str, str]]:
    """Split into METHOD, address, further words, and options."""
    if not text.isprintable():
        _refuse("text", "it holds a control character", "Write it on one line.")
    words = _WORDS.findall(text)
    if not words or "://" in words[0] or (len(words) == 1 and "." in words[0]):
        _refuse("METHOD", "it is missing", "Write it like `GET https://api.example.com/v1/*`; `*` is any method.")
    if len(words) == 1:
        _refuse("address", "it is missing", f"Write it like `{words[0]} https://api.example.com/v1/*`.")
    options: dict[str, str] = {}
    while len(words) > 2 and (option := _OPTION.fullmatch(words[-1])):
        words.pop()
        _add_option(options, option[1], option[2])
    return words[0], words[1], words[2:], options


def _add_option(options: dict[str, str], name: str, value: str) -> None:
    if name not in _OPTIONS:
        _refuse("option", f"there is no `{name}`", _nearest(name, _OPTIONS))
    if name in options:
        _refuse("option", f"`{name}` stands there twice", "Write it once, with commas between values.")
    if value[:1] in ("'", '"'):
        if len(value) < 2 or value[-1] != value[0]:
            _refuse("option", f"a quotation mark of `{name}` is not closed", "Quote like command='show *'.")
        value = value[1:-1]
    options[name] = value


def _rule(method: str, url: str, options: dict[str, str], bound: Slot | None) -> Rule:
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        _refuse("address", "it is not scheme://host:port/path", "Write it like `https://api.example.com:443/v1/*`.")
    scheme = _scheme(shape[1])
    user, authority = _user(shape[2], scheme)
    host, port = _host_and_port(authority, scheme, bound)
    rule = Rule(
        _methods(method, scheme), scheme, host, port, _path(shape[3], scheme), user, options.get("command", "*")
    )
    _check_ssh(rule, options)
    return rule


def _scheme(text: str) -> Scheme:
    for scheme in DEFAULT_PORTS:
        if text == scheme:
            return scheme
    return _refuse("scheme", f"`{text}` is none that the vault speaks", _nearest(text.lower(), tuple(DEFAULT_PORTS)))


def _methods(text: str, scheme: Scheme) -> tuple[str, ...]:
    if text == "*":
        return ANY_METHOD
    found = text.split(",")
    for method in found:
        _check_method(method, scheme)
    return tuple(dict.fromkeys(found))


def _check_method(method: str, scheme: Scheme) -> None:
    if scheme == "ssh":
        if method not in OPERATIONS and not _SUBSYSTEM.fullmatch(method):
            _refuse(
                "METHOD", f"`{method}` is nothing to do over ssh", _nearest(method, (*OPERATIONS, "subsystem:netconf"))
            )
    elif method.upper() in NEVER_METHODS:
        _refuse("METHOD", f"`{method}` is never allowed: {NEVER_METHODS[method.upper()]}", "Name other methods.")
    elif method not in METHODS:
        _refuse("METHOD", f"`{method}` is no method", _nearest(method.upper(), METHODS))


def _user(text: str, scheme: Scheme) -> tuple[str, str]:
    user, at, authority = text.rpartition("@")
    if scheme != "ssh":
        if at:
            _refuse("host", "a user name stands before it", "Users and passwords go into slots, as `basic:password`.")
        return "", text
    if not at:
        _refuse("user", "it is missing", "Write it like `ssh://git@host:22`, or `ssh://*@host:22` for any user.")
    if user != "*" and not _USER.fullmatch(user):
        _refuse("user", "it is not a plain login name", "Use letters, digits and _ . - $; passwords go into secrets.")
    return user, authority


def _host_and_port(authority: str, scheme: Scheme, bound: Slot | None) -> tuple[str, int]:
    host, port_text = _split_port(authority)
    if not host:
        _refuse("host", "it is missing", "Write it like `https://api.example.com`.")
    if port_text == "*":
        if bound is not None:
            _refuse("port", "a secret goes to one port", f"Write the port, as :{DEFAULT_PORTS[scheme]}.")
        return _host(host, bound), ANY_PORT
    port = DEFAULT_PORTS[scheme] if port_text is None else _port(port_text)
    return _host(host, bound), port


def _split_port(authority: str) -> tuple[str, str | None]:
    if authority.startswith("["):
        address, _, rest = authority[1:].partition("]")
        if ":" not in address or (rest and rest[0] != ":"):
            _refuse("host", "brackets go around an IPv6 address", "Write it like `https://[2001:db8::1]:443/`.")
        return address, rest[1:] if rest else None
    if authority.count(":") > 1:
        _refuse("host", "an IPv6 address stands in brackets", "Write it like `https://[2001:db8::1]:443/`.")
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(text: str) -> int:
    try:
        return names.parse_port(text)
    except Refusal:
        _refuse("port", f"`{text}` is none", "Write a number from 1 to 65535; `*` only in egress rules.")


def _host(text: str, bound: Slot | None) -> str:
    if text == "*":
        if bound is not None:
            _refuse("host", "a secret does not go to every host", "Name the host, as `api.example.com`.")
        return "*"
    if not text.startswith("*."):
        return _name(text)
    domain = _name(text[2:])
    _check_wildcard(domain, bound)
    return f"*.{domain}"


def _name(text: str) -> str:
    if "*" in text:
        _refuse("host", "`*` stands for whole labels at the beginning", "Write it like `*.example.com`.")
    try:
        return names.canonical_host(text)
    except Refusal as refusal:
        _refuse(
            "host", refusal.reason.removesuffix("."), "Write it as `api.example.com`, `192.0.2.1` or `[2001:db8::1]`."
        )


def _check_wildcard(domain: str, bound: Slot | None) -> None:
    labels = domain.split(".")
    if names.is_address(domain):
        _refuse("host", "an address has no names below it", "Write the address alone.")
    if len(labels) == 1 or (len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL):
        _refuse("host", f"`*.{domain}` is everybody's: it is a public suffix", "Name a domain of one owner.")
    if bound is None or bound.kind in _SIGNED_ONLY:
        return
    if any(".".join(labels[start:]) in SHARED_SUFFIXES for start in range(len(labels))):
        _refuse(
            "host", f"strangers own names below `{domain}`", "Name the host exactly; a wildcard would cover theirs."
        )


def _path(text: str | None, scheme: Scheme) -> str:
    if text is None:
        if scheme == "ssh":
            return "/*"
        return _refuse("path", "it is missing", "Write `/*` for every path, `/` for the root alone.")
    if "?" in text or "#" in text:
        _refuse("path", "rules see no query and no fragment", "Leave out what follows the path.")
    try:
        return canonical_pattern(text)
    except Refusal as refusal:
        _refuse("path", refusal.reason.removesuffix("."), "Write the path as clients send it, with `*` as wildcard.")


def _check_ssh(rule: Rule, options: dict[str, str]) -> None:
    if rule.scheme == "ssh" and rule.path != "/*":
        _check_repository(rule)
    if "command" not in options:
        return
    if rule.scheme != "ssh" or rule.methods not in (("exec",), ("shell",), ("exec", "shell"), ("shell", "exec")):
        _refuse(
            "option", "command= is for `exec` and `shell` over ssh", "Write `exec ssh://user@host:22 command='show *'`."
        )
    from penstock.vault.ssh.commands import check_pattern  # with it comes asyncssh, which HTTP does not need

    check_pattern(rule.command)


def _check_repository(rule: Rule) -> None:
    for method in rule.methods:
        if method != "*" and not method.startswith("git-"):
            _refuse("path", f"it names a repository, and `{method}` has none", "Leave it out, or name what git does.")


def _check_scheme_and_slot(rule: Rule, slot: Slot) -> None:
    if (rule.scheme == "ssh") != (slot.kind == "ssh"):
        fix = "Bind it with the slot `ssh`." if rule.scheme == "ssh" else f"Slots of HTTP: {EXAMPLES}."
        _refuse("slot", f"`{slot}` is not a place of {rule.scheme}", fix)


def _check_plaintext(rule: Rule, plaintext: bool) -> None:
    """Over http anybody on the way reads the secret: only to private addresses, or if it was asked for by name."""
    if rule.scheme != "http" or plaintext or rule.host == "localhost":
        return
    if not (names.is_address(rule.host) and names.is_private(rule.host)):
        _refuse("scheme", "over http the secret can be read on the way", "Use https, or add `plaintext=yes`.")


def _is_yes(options: dict[str, str]) -> bool:
    value = options.get("plaintext", "no")
    if value not in ("yes", "no"):
        _refuse("option", f"plaintext={value}", "Write plaintext=yes, or leave it out.")
    return value == "yes"


def _refs(options: dict[str, str], rule: Rule, slot: Slot) -> tuple[str, ...]:
    if "refs" not in options:
        return ()
    found = tuple(options["refs"].split(","))
    if rule.scheme != "ssh" and slot.kind not in ("basic", "header"):
        _refuse("option", "refs= is for git", "Use it with `basic:password`, `header:authorization` or `ssh`.")
    for ref in found:
        parse_ref_rule(ref)
    if rule.scheme == "ssh":
        _check_only_git(rule)
    return found


def _check_only_git(rule: Rule) -> None:
    """Who may run any command may push by one, and nobody would read which refs it changes."""
    others = [method for method in rule.methods if not method.startswith("git-")]
    anything = rule.methods == ANY_METHOD and rule.path == "/*"  # a repository's path lets git in only
    if others and (anything or rule.methods != ANY_METHOD):
        _refuse(
            "option", f"refs= does not hold for `{others[0]}`, by which every ref can be changed",
            "Write `git-upload-pack,git-receive-pack`, and bind commands at another user or host.",
        )  # fmt: skip
    if "git-receive-pack" not in rule.methods and rule.methods != ANY_METHOD:
        _refuse("option", "refs= says what may be pushed, and nothing may", "Add `git-receive-pack`, or leave it out.")


def _nearest(word: str, choices: tuple[str, ...]) -> str:
    near = get_close_matches(word, choices, n=1)
    return f"Did you mean `{near[0]}`?" if near else f"It is one of {', '.join(choices)}, or `*`."


def _refuse(part: str, reason: str, fix: str) -> NoReturn:
    raise Refusal("bad_rule", f"The {part} of this rule is wrong: {reason}.", fix=fix, status=400)

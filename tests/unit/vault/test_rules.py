"""The grammar of bindings and rules: what is accepted, what is refused and with which help, what is covered."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault import rules
from penstock.vault.paths import Target, canonical_pattern, parse_target
from penstock.vault.rules import Binding, PathPattern, Rule, parse_binding, parse_rule
from penstock.vault.slots import Slot
from penstock.vault.values import Refusal


def test_a_binding_is_read_into_its_parts() -> None:
    assert parse_binding("GET,POST https://API.example.com/v1/* header:Authorization", "KEY") == Binding(
        "KEY", Rule(("GET", "POST"), "https", "api.example.com", 443, "/v1/*"), Slot("header", "authorization")
    )


def test_options_stand_behind_the_slot() -> None:
    git = parse_binding("* https://git.example.com/team/app.git/* basic:password refs=refs/heads/agent/*,refs/tags/v1")
    assert git.refs == ("refs/heads/agent/*", "refs/tags/v1")
    device = parse_binding("exec ssh://admin@router.example.com ssh command='show *'")
    assert device.rule == Rule(("exec",), "ssh", "router.example.com", 22, "/*", "admin", "show *")
    assert parse_binding("* http://api.example.com:8080/* header:x-api-key plaintext=yes").plaintext


def test_an_egress_rule_may_be_wide() -> None:
    assert parse_rule("* https://*:*/*") == Rule(("*",), "https", "*", rules.ANY_PORT, "/*")
    assert parse_rule("GET,HEAD https://*.github.io/*").host == "*.github.io"


TYPED = [
    "GET https://api.example.com:443/v1/* header:authorization",
    "* https://*.example.com:443/* basic:password",
    "* https://[2001:db8::1]:8443/* query:key",
    "POST https://api.example.com:443/it's/* json:/a~1b/0",
    "* https://h.example:443/@*%2F* header:authorization",
    "* https://git.example.com:443/team/app.git/* basic:password refs=refs/heads/agent/*:create+delete,refs/heads/x",
    "exec,shell ssh://admin@r1:22 ssh command='show *'",
    """exec ssh://*@r1:830 ssh command="echo 'x' *" """.strip(),
    "subsystem:netconf ssh://admin@r1:830 ssh",
    "git-upload-pack,git-receive-pack ssh://git@git.example.com:22/team/app.git ssh refs=refs/heads/agent/*",
    "* ssh://git@git.example.com:22/team/app.git ssh refs=refs/heads/agent/*",
    "* http://api.example.com:80/* cookie:session plaintext=yes",
    "* https://*.s3.us-east-1.amazonaws.com:443/* sigv4:s3/us-east-1",
    "POST https://auth.example.com:443/token form:client_secret",
]


@pytest.mark.parametrize("text", TYPED)
def test_a_binding_is_shown_as_it_is_typed(text: str) -> None:
    binding = parse_binding(text, "KEY")
    assert str(binding) == text
    assert parse_binding(str(binding), "KEY") == binding


WRONG = {
    "": "METHOD",
    "https://a.example/* header:x": "METHOD",
    "get https://a.example/* header:x": "Did you mean `GET`",
    "GTE https://a.example/* header:x": "Did you mean `GET`",
    "GET,TRACE https://a.example/* header:x": "never allowed",
    "CONNECT https://a.example/* header:x": "never allowed",
    "PRI https://a.example/* header:x": "never allowed",
    "GET, https://a.example/* header:x": "METHOD",
    "GET a.example/* header:x": "scheme://host:port/path",
    "GET htps://a.example/* header:x": "Did you mean `https`",
    "GET HTTPS://a.example/* header:x": "Did you mean `https`",
    "GET ftp://a.example/* header:x": "scheme",
    "GET https:///x header:x": "host",
    "GET https://*/* header:x": "every host",
    "GET https://a*.example.com/* header:x": "whole labels",
    "GET https://a.*.example.com/* header:x": "whole labels",
    "GET https://**.example.com/* header:x": "whole labels",
    "GET https://*.com/* header:x": "public suffix",
    "GET https://*.co.uk/* header:x": "public suffix",
    "GET https://*.com.au/* header:x": "public suffix",
    "GET https://*.github.io/* header:x": "strangers",
    "GET https://*.workers.dev/* header:x": "strangers",
    "GET https://*.amazonaws.com/* header:x": "strangers",
    "GET https://*.s3.us-east-1.amazonaws.com/* header:x": "strangers",
    "GET https://*.blob.core.windows.net/* header:x": "strangers",
    "GET https://*.GitHub.IO./* header:x": "strangers",
    "GET https://*.10.0.0.1/* header:x": "address",
    "GET https://127.1/* header:x": "IPv4",
    "GET https://u@a.example/* header:x": "user name",
    "GET https://good.example@evil.example/* header:x": "user name",
    "GET https://2001:db8::1/* header:x": "brackets",
    "GET https://a.example:*/* header:x": "one port",
    "GET https://a.example:0443/* header:x": "port",
    "GET https://a.example:99999/* header:x": "port",
    "GET https://a.example header:x": "`/*` for every path",
    "GET https://a.example/../x header:x": "path",
    "GET https://a.example/a//b header:x": "path",
    "GET https://a.example/%2e%2e/* header:x": "path",
    "GET https://a.example/x?y=1 header:x": "query",
    "GET https://a.example/x#y header:x": "fragment",
    "GET https://a.example/*": "it is missing",
    "GET https://a.example/* header:x header:y": "several",
    "GET https://a.example/* hedaer:x": "Did you mean `header`",
    "GET https://a.example/* bearer": "no slot",
    "GET https://a.example/* header:": "names no header",
    "GET https://a.example/* header:a b": "several",
    "GET https://a.example/* header:host": "frames or routes",
    "GET https://a.example/* header:content-length": "frames or routes",
    "GET https://a.example/* header:cookie": "cookie:NAME",
    "GET https://a.example/* basic:pasword": "basic:password",
    "GET https://a.example/* json:token": "JSON pointer",
    "GET https://a.example/* json:/a~2": "JSON pointer",
    "GET https://a.example/* query:a&b": "parameter",
    "GET https://a.example/* sigv4:s3": "service and region",
    "GET https://a.example/* ssh": "not a place of https",
    "exec ssh://a@h.example header:x": "not a place of ssh",
    "exec ssh://h.example ssh": "user",
    "exce ssh://a@h.example ssh": "Did you mean `exec`",
    "GET ssh://a@h.example ssh": "over ssh",
    "exec ssh://a@h.example ssh command='*x'": "names the program",
    "exec ssh://a@h.example ssh command='show": "not closed",
    "git-upload-pack ssh://git@h.example/a.git ssh command='x'": "command=",
    "GET https://a.example/* header:x command='x'": "command=",
    "GET https://a.example/* header:x ref=refs/heads/a": "Did you mean `refs`",
    "GET https://a.example/* header:x refs=main": "refs/heads/main",
    "GET https://a.example/* header:x refs=refs/heads/a..b": "refs",
    "GET https://a.example/* header:x refs=refs/heads/a:destroy": "action",
    "GET https://a.example/* query:x refs=refs/heads/a": "git",
    "GET https://a.example/* header:x refs=refs/heads/a refs=refs/heads/b": "twice",
    "* ssh://git@h.example ssh refs=refs/heads/a": "git-upload-pack,git-receive-pack",
    "exec,git-receive-pack ssh://git@h.example ssh refs=refs/heads/a": "does not hold for `exec`",
    "shell ssh://git@h.example ssh refs=refs/heads/a": "does not hold for `shell`",
    "git-receive-pack,subsystem:sftp ssh://git@h.example ssh refs=refs/heads/a": "does not hold for `subsystem:sftp`",
    "git-upload-pack ssh://git@h.example/a.git ssh refs=refs/heads/a": "nothing may",
    "exec,git-upload-pack ssh://git@h.example/a.git ssh": "`exec` has none",
    "subsystem:sftp ssh://git@h.example/a.git ssh": "has none",
    "GET http://a.example/* header:x": "plaintext=yes",
    "GET http://8.8.8.8/* header:x": "plaintext=yes",
    "GET http://a.example/* header:x plaintext=maybe": "plaintext=yes",
    "GET https://a.example/*\nheader:x": "control character",
}


@pytest.mark.parametrize("text", WRONG, ids=ascii)
def test_what_is_wrong_is_named_with_its_fix(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_binding(text)
    assert caught.value.code == "bad_rule"
    assert WRONG[text] in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "10.1.2.3", "localhost:3000", "[::1]", "[fd00::1]:80"])
def test_to_a_private_address_a_secret_may_go_in_the_clear(host: str) -> None:
    assert parse_binding(f"* http://{host}/* header:x").rule.scheme == "http"


@pytest.mark.parametrize(
    "text", ["GET https://a.example/* header:x", "GET https://a.example/* refs=refs/heads/a", "GET https://*.com/*"]
)
def test_an_egress_rule_has_no_slot(text: str) -> None:
    with pytest.raises(Refusal):
        parse_rule(text)


@given(st.text(max_size=60) | st.text("GET* htps:/.@[]ax-1header=command'\"", max_size=80))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    for parse in (parse_rule, parse_binding):
        try:
            parsed = parse(text)
        except Refusal:
            continue  # any other exception fails this test
        assert parse(str(parsed)) == parsed


HOSTS = [
    ("*", "a.example", True),
    ("a.example", "a.example", True),
    ("a.example", "b.a.example", False),
    ("*.example.com", "a.example.com", True),
    ("*.example.com", "a.b.example.com", True),
    ("*.example.com", "example.com", False),
    ("*.example.com", "badexample.com", False),
    ("*.example.com", "a.example.com.evil.example", False),
    ("*.example.com", ".example.com", True),  # no canonical host begins with a full stop
]


@pytest.mark.parametrize(("pattern", "host", "covered"), HOSTS)
def test_wildcards_of_hosts_stand_for_whole_labels(pattern: str, host: str, covered: bool) -> None:
    assert rules.covers_host(pattern, host) is covered


# pattern, path, covered where a secret goes, covered where none goes
PATHS = [
    ("/*", "/", True, True),
    ("/*", "/a/b", True, True),
    ("/v1/*", "/v1/", True, True),
    ("/v1/*", "/v1/a/b/", True, True),
    ("/v1/*", "/v1", False, False),
    ("/v1/*", "/v10/a", False, False),
    ("/v1/*", "/V1/a", False, False),
    ("/v1*", "/v1beta/a", True, True),
    ("/v1", "/v1", True, True),
    ("/v1", "/v1/", False, False),
    ("/", "/a", False, False),
    ("/repos/*/pulls", "/repos/a/pulls", True, True),
    ("/repos/*/pulls", "/repos/a/b/pulls", False, False),
    ("/repos/*/*/pulls", "/repos/a/b/pulls", True, True),
    ("/*/info/refs", "/a/info/refs", True, True),
    ("/a.c", "/abc", False, False),
    ("/%7eme/*", "/~me/x", True, True),
    ("/a%20b/*", "/a%20b/c", True, True),
    ("/@*%2f*", "/@scope%2fname", True, True),
    ("/@*%2f*", "/@scope/name", False, False),
    ("/*", "/@scope%2fname", False, True),
    ("/v1/*", "/v1/x%2fy", False, True),
    ("/v1/*", "/v1%2fx", False, False),
    ("/v1%2f*", "/v1%2fx", True, True),
    ("/repos/*/pulls", "/repos/a%2fb/pulls", False, False),
    ("/repos/*%2f*/pulls", "/repos/a%2fb/pulls", True, True),
    ("/repos/*%2f*/*", "/repos/a%2fb/files/c%2fd", False, False),
    ("/*/x", "/a%2fb/x", False, False),
    ("/a*b", "/ab", False, False),
    ("/a*b", "/axb", True, True),
    ("/a*b", "/axbyb", True, True),
    ("/a*b*c*", "/axbxc", True, True),
    ("/a*b*c*", "/axbxc/d", True, True),
    ("/a*b*c*", "/axxc", False, False),
    ("/*.git/info/refs", "/app.git/info/refs", True, True),
    ("/*.git/info/refs", "/.git/info/refs", False, False),
]


@pytest.mark.parametrize(("pattern", "path", "bound", "unbound"), PATHS)
def test_what_a_path_covers(pattern: str, path: str, bound: bool, unbound: bool) -> None:
    compiled = PathPattern(canonical_pattern(pattern))
    target = parse_target(path)
    assert compiled.covers(target, both_readings=False) is bound
    assert compiled.covers(target, both_readings=True) is unbound


@given(st.text("ab*/", max_size=8), st.text("ab/", max_size=10))
def test_patterns_cover_what_their_meaning_says(pattern: str, path: str) -> None:
    """Differential: the same meaning as a regular expression, which takes far longer on a long path."""
    try:
        compiled, target = PathPattern(canonical_pattern("/" + pattern)), parse_target("/" + path)
    except Refusal:
        return
    body, rest = (pattern[:-1], ".*") if pattern.endswith("*") else (pattern, "")
    expression = "[^/]+".join(re.escape(part) for part in body.split("*")) + rest
    assert compiled.covers(target, both_readings=False) is (re.fullmatch(expression, path) is not None)


def test_a_long_path_takes_no_longer_than_its_length() -> None:
    """With backtracking this would not end while the test runs."""
    compiled = PathPattern("/*a*a*a*a*a*a*a*%2F*b")
    assert not compiled.covers(
        Target("/" + "a" * 20_000 + "%2F" * 10_000, None, encoded_slash=True), both_readings=True
    )


@given(st.text("ab/%2fF", max_size=12))
def test_an_encoded_slash_never_widens_a_rule(text: str) -> None:
    """Without a secret it passes only if the path that a separator would make passes as well."""
    try:
        target = parse_target("/" + text)
        separated = parse_target("/" + text.replace("%2f", "/").replace("%2F", "/"))
    except Refusal:
        return
    for pattern in ("/*", "/a/*", "/a/*/b", "/*/a", "/a*"):
        compiled = PathPattern(pattern)
        if compiled.covers(target, both_readings=True):
            assert compiled.covers(separated, both_readings=False)

"""Default deny; exactly one binding; and refusals that say what to do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.policy import Policy, explain
from penstock.vault.rules import parse_binding, parse_rule
from penstock.vault.values import Destination, Refusal, RequestHead

FORM = "Application/X-WWW-Form-Urlencoded; charset=utf-8"
NAMED = re.compile("[A-Z]+=")
API = Destination("https", "api.example.com", 443)


def policy(*texts: str) -> Policy:
    """A policy of rules as they are typed; `NAME=` before one makes it a binding of that secret."""
    named = [text.partition("=") for text in texts if NAMED.match(text)]
    bindings = [parse_binding(text, name) for name, _, text in named]
    return Policy(bindings, [parse_rule(text) for text in texts if not NAMED.match(text)])


def ask(method: str = "GET", target: str = "/", *headers: tuple[str, str]) -> RequestHead:
    return RequestHead(method, target, headers)


def refused(rules: Policy, destination: Destination, head: RequestHead) -> Refusal:
    with pytest.raises(Refusal) as caught:
        rules.decide(destination, head)
    return caught.value


ONE = policy(
    "KEY=GET,POST https://api.example.com/v1/* header:authorization",
    "* https://*:443/*",
    "GET https://pkg.example/simple/*",
)


def test_a_binding_permits_what_it_names() -> None:
    permit = ONE.decide(API, ask("POST", "/v1/messages?beta=true", ("host", "api.example.com")))
    assert permit.binding is not None
    assert (permit.binding.secret, permit.rule, permit.needs_body) == ("KEY", permit.binding.rule, False)


@pytest.mark.parametrize(
    ("method", "target"), [("DELETE", "/v1/x"), ("GET", "/v2/x"), ("GET", "/v1"), ("get", "/v1/x"), ("GET", "/V1/x")]
)
def test_on_a_bound_host_no_egress_rule_helps(method: str, target: str) -> None:
    refusal = refused(ONE, API, ask(method, target))
    assert (refusal.code, refusal.status) == ("no_binding", 403)
    assert "penstock secrets set KEY --binding" in refusal.fix


def test_nothing_is_allowed_by_default() -> None:
    refusal = refused(Policy(), API, ask("GET", "/x"))
    assert refusal.code == "no_rule"
    assert refusal.fix == "To allow it: --allow 'GET https://api.example.com:443/x'"


def test_an_egress_rule_permits_without_a_secret() -> None:
    permit = ONE.decide(Destination("https", "pkg.example", 443), ask("GET", "/simple/x/"))
    assert permit.binding is None


@pytest.mark.parametrize("method", ["TRACE", "trace", "TRACK", "CONNECT", "PRI"])
def test_some_methods_are_never_allowed(method: str) -> None:
    assert refused(ONE, API, ask(method, "/v1/x")).code == "method_refused"
    assert refused(ONE, Destination("https", "other.example", 443), ask(method, "/v1/x")).code == "method_refused"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "api.example.com:8443",
        "api.example.com.evil.example",
        "u@api.example.com",
        "",
        "api.example.com, x",
    ],
)
def test_the_host_header_names_the_destination(host: str) -> None:
    assert refused(ONE, API, ask("GET", "/v1/x", ("host", host))).code in ("host_mismatch", "bad_host")


@pytest.mark.parametrize("host", ["api.example.com", "API.example.com", "api.example.com.", "api.example.com:443"])
def test_the_host_header_may_be_spelled_otherwise(host: str) -> None:
    assert ONE.decide(API, ask("GET", "/v1/x", ("host", host))).binding


def test_two_hosts_are_no_host() -> None:
    assert refused(ONE, API, ask("GET", "/v1/x", ("host", API.host), ("host", API.host))).code == "bad_request"


@pytest.mark.parametrize(
    "path", ["/v1/%2e%2e/x", "/v1/../x", "//v1/x", "/v1/x;y", "/v1%2f..%2fx", "/v1/%252e", "/v1\\x", "*"]
)
def test_ambiguous_paths_are_refused_before_any_rule(path: str) -> None:
    for destination in (API, Destination("https", "other.example", 443)):
        assert refused(ONE, destination, ask("GET", path)).code == "bad_path"


def test_an_encoded_slash_goes_with_a_secret_only_where_a_binding_says_so() -> None:
    refusal = refused(ONE, API, ask("GET", "/v1/a%2fb"))
    assert (refusal.code, refusal.status) == ("bad_path", 400)
    assert "/v1/a%2Fb header:authorization" in refusal.fix
    assert ONE.decide(Destination("https", "pkg.example", 443), ask("GET", "/simple/@scope%2fname")).rule.scheme
    wide = policy("KEY=* https://api.example.com/* header:x", "KEY=* https://api.example.com/@*%2f* header:x")
    assert wide.decide(API, ask("GET", "/@scope%2fname")).rule.path == "/@*%2F*"
    assert wide.decide(API, ask("GET", "/@scope/name")).rule.path == "/*"


def test_a_query_that_others_split_otherwise_is_refused_where_a_secret_goes() -> None:
    assert refused(ONE, API, ask("GET", "/v1/x?a=1;key=2")).code == "bad_query"
    assert ONE.decide(Destination("https", "other.example", 443), ask("GET", "/x?a=1;b=2")).rule.scheme


def test_nothing_goes_over_http_to_a_host_bound_over_https() -> None:
    open_to_all = policy("KEY=* https://api.example.com/* header:x", "* http://*:*/*", "* http://api.example.com/*")
    assert refused(open_to_all, Destination("http", "api.example.com", 80), ask()).code == "plaintext_refused"
    assert refused(open_to_all, Destination("http", "api.example.com", 443), ask()).code == "plaintext_refused"
    assert open_to_all.decide(Destination("http", "other.example", 80), ask()).rule.scheme


def test_other_ports_of_a_bound_host_need_a_rule_that_names_it() -> None:
    wide = policy("KEY=* https://api.example.com/* header:x", "* https://*:*/*")
    named = policy("KEY=* https://api.example.com/* header:x", "* https://api.example.com:*/*")
    other = Destination("https", "api.example.com", 8443)
    assert refused(wide, other, ask()).code == "no_rule"
    assert named.decide(other, ask()).binding is None
    assert refused(named, API, ask("TRACE")).code == "method_refused"


def test_a_wildcard_binds_every_host_below_it() -> None:
    wide = policy("KEY=GET https://*.example.com/* header:x", "* https://*/*")
    assert refused(wide, Destination("https", "a.b.example.com", 443), ask("POST")).code == "no_binding"
    assert wide.decide(Destination("https", "example.com", 443), ask("POST")).binding is None


def test_several_bindings_are_refused_by_their_names() -> None:
    two = policy("ONE=* https://api.example.com/* header:x", "TWO=GET https://api.example.com/v1/* header:x")
    refusal = refused(two, API, ask("GET", "/v1/x", ("x", "stub")))
    assert refusal.code == "ambiguous_binding"
    assert "ONE" in refusal.reason and "TWO" in refusal.reason
    assert two.decide(API, ask("POST", "/v1/x")).binding is not None
    assert policy(*["ONE=* https://api.example.com/* header:x"] * 2).decide(API, ask()).binding is not None, (
        "the same twice is one"
    )


def test_the_filled_slot_tells_bindings_apart() -> None:
    two = policy(
        "KEY=* https://api.example.com/* header:authorization", "KEY=* https://api.example.com/* header:x-api-key"
    )
    for name in ("authorization", "x-api-key"):
        binding = two.decide(API, ask("GET", "/", (name, "stub"))).binding
        assert binding is not None and binding.slot.name == name
    both = ask("GET", "/", ("authorization", "stub"), ("x-api-key", "stub"))
    assert refused(two, API, both).code == "ambiguous_binding"


def test_a_token_of_a_login_is_told_apart_by_its_stub() -> None:
    login = parse_binding("* https://api.example.com/* header:authorization", "LOGIN")
    token = parse_binding("* https://api.example.com/* header:authorization", "TOKEN")
    both = Policy([login, token], (), {"TOKEN": b"stub-of-token"})
    for value, secret in (("Bearer stub-of-token", "TOKEN"), ("Bearer stub-of-login", "LOGIN")):
        binding = both.decide(API, ask("GET", "/", ("authorization", value))).binding
        assert binding is not None and binding.secret == secret
    assert refused(Policy([login, token]), API, ask("GET", "/", ("authorization", "x"))).code == "ambiguous_binding"


def test_git_and_an_api_of_one_host_live_together() -> None:
    two = policy(
        "PAT=* https://api.example.com/* header:authorization", "GIT=* https://api.example.com/* basic:password"
    )
    for value, secret in (("Bearer stub", "PAT"), ("Basic eDpzdHVi", "GIT"), ("basic eDpzdHVi", "GIT")):
        binding = two.decide(API, ask("GET", "/", ("authorization", value))).binding
        assert binding is not None and binding.secret == secret
    first = two.decide(API, ask("GET", "/info/refs")).binding
    assert first is not None and first.slot.kind == "basic", "git's first request is answered by a challenge"


@pytest.mark.parametrize(
    ("binding", "headers", "needed"),
    [
        ("KEY=* https://api.example.com/* header:x", [], False),
        ("KEY=* https://api.example.com/* json:/token", [], True),
        ("KEY=* https://api.example.com/* form:token", [], True),
        ("KEY=* https://api.example.com/* header:x", [("content-type", FORM)], True),
        ("KEY=* https://api.example.com/* header:x", [("content-type", "application/json")], False),
    ],
)  # fmt: skip
def test_a_body_is_needed_where_a_credential_may_be_in_it(
    binding: str, headers: list[tuple[str, str]], needed: bool
) -> None:
    assert policy(binding).decide(API, ask("POST", "/", *headers)).needs_body is needed


def test_connections_are_judged_before_requests() -> None:
    assert ONE.may_connect(API)
    assert ONE.is_bound(API)
    assert not ONE.is_bound(Destination("https", "other.example", 443))
    assert not ONE.may_connect(Destination("https", "other.example", 22))
    assert not ONE.may_connect(Destination("http", "other.example", 80))
    assert ONE.names_address("pkg.example")
    assert not ONE.names_address("other.example")


def test_proposals_can_be_pasted_into_a_shell() -> None:
    refusal = refused(ONE, API, ask("DELETE", "/v1/$(reboot)'&"))
    assert refusal.fix.endswith("""'DELETE https://api.example.com:443/v1/$(reboot)'"'"'& header:authorization'""")


def test_what_the_client_sent_is_shown_without_control() -> None:
    assert "\x1b" not in refused(ONE, API, ask("\x1b[2J", "/v1/x")).reason


# -- ssh --------------------------------------------------------------------------------------------------------------

SSH = policy(
    "DEV=exec ssh://admin@router.example ssh command='show *'",
    "DEV=subsystem:netconf ssh://admin@router.example:830 ssh",
    "GIT=git-upload-pack ssh://git@git.example/team/app.git ssh",
    "ANY=* ssh://*@lab.example ssh",
)
ROUTER, NETCONF = Destination("ssh", "router.example", 22), Destination("ssh", "router.example", 830)
GIT, LAB = Destination("ssh", "git.example", 22), Destination("ssh", "lab.example", 22)


@pytest.mark.parametrize(
    ("destination", "user", "operation", "argument"),
    [
        (ROUTER, "admin", "exec", "show version"),
        (NETCONF, "admin", "subsystem:netconf", ""),
        (GIT, "git", "git-upload-pack", "/team/app.git"),
        (GIT, "git", "git-upload-pack", "team/app"),
        (LAB, "root", "shell", ""),
        (LAB, "x", "exec", "rm -rf / ; anything"),
        (LAB, "git", "git-receive-pack", "/any/repository.git"),
    ],
)
def test_ssh_is_permitted_by_user_operation_and_argument(
    destination: Destination, user: str, operation: str, argument: str
) -> None:
    assert SSH.decide_ssh(destination, user, operation, argument).binding


@pytest.mark.parametrize(
    ("destination", "user", "operation", "argument"),
    [
        (ROUTER, "root", "exec", "show version"),
        (ROUTER, "admin", "exec", "reload"),
        (ROUTER, "admin", "exec", "show version; reload"),
        (ROUTER, "admin", "exec", "show `reload`"),
        (ROUTER, "admin", "shell", ""),
        (ROUTER, "admin", "subsystem:netconf", ""),
        (NETCONF, "admin", "subsystem:sftp", ""),
        (GIT, "git", "git-receive-pack", "/team/app.git"),
        (GIT, "git", "git-upload-pack", "/team/other.git"),
        (GIT, "git", "git-upload-pack", "/team/app.git/../other.git"),
        (GIT, "git", "git-upload-pack", "/team/app.gitx"),
        (Destination("ssh", "evil.example", 22), "git", "git-upload-pack", "/team/app.git"),
    ],
)
def test_all_other_ssh_is_refused(destination: Destination, user: str, operation: str, argument: str) -> None:
    with pytest.raises(Refusal) as caught:
        SSH.decide_ssh(destination, user, operation, argument)
    assert caught.value.code in ("no_binding", "bad_path")


def test_a_refused_command_comes_with_its_binding() -> None:
    with pytest.raises(Refusal) as caught:
        SSH.decide_ssh(ROUTER, "admin", "exec", "show ip route | include 10")
    assert "exec ssh://admin@router.example:22 ssh command=" in caught.value.fix


# -- why --------------------------------------------------------------------------------------------------------------


def test_why_names_the_rule_that_decides() -> None:
    found = explain(ONE, API, "GET", "/v1/x")
    assert (found.allowed, found.secret) == (True, "KEY")
    assert found.decided_by == "GET,POST https://api.example.com:443/v1/* header:authorization"


@pytest.mark.parametrize(
    ("destination", "method", "path", "differs"),
    [
        (API, "PUT", "/v1/x", ("method",)),
        (API, "GET", "/v2/x", ("path",)),
        (API, "PUT", "/v2/x", ("method", "path")),
        (Destination("https", "pkg.example", 8443), "GET", "/simple/x", ("port",)),
    ],
)
def test_why_names_the_closest_rule_and_what_differs(
    destination: Destination, method: str, path: str, differs: tuple[str, ...]
) -> None:
    found = explain(ONE, destination, method, path)
    assert not found.allowed
    assert found.closest
    assert found.differs == differs
    assert "https://" in found.proposal


def test_why_has_a_proposal_that_would_allow_it() -> None:
    proposal = explain(ONE, Destination("https", "new.example", 8443), "PATCH", "/a/b").proposal
    rule = parse_rule(proposal.partition("--allow ")[2].strip("'"))
    assert Policy((), [rule]).decide(Destination("https", "new.example", 8443), ask("PATCH", "/a/b")).rule.scheme


@given(st.text(max_size=8), st.text(max_size=20), st.sampled_from(["https", "http"]))
def test_why_never_fails(method: str, path: str, scheme: str) -> None:
    destination = Destination("http" if scheme == "http" else "https", "api.example.com", 443)
    assert explain(ONE, destination, method, "/" + path).code

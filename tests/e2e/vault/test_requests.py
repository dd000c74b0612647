"""Requests through a real vault, as somebody inside the sandbox would write them who wants a secret or a way around.

The rows are those of the threat model: where a secret may be put, who the request is for, and what raises an alarm.
"""

from __future__ import annotations

import base64
import json
import shlex
import socket
import ssl

import pytest

from tests.e2e.vault.conftest import HOST, OTHER, PASSWORD, SECRET, World
from tests.support.recording_upstream import answer
from tests.support.vaults import Answer, RunningVault, Session, chunked, read_answer, request, until

# -- the slot ---------------------------------------------------------------------------------------------------------


def test_the_secret_goes_into_its_slot_and_comes_back_as_the_stub(world: World) -> None:
    answered = world.ask("/v1/models")
    assert answered.status == 200 and world.stub.encode() in answered.body
    assert world.upstream.asked[0].header("authorization") == [f"Bearer {SECRET.decode()}"]


def test_basic_is_decoded_exchanged_and_encoded_again(world: World) -> None:
    stub = world.session.env["PASSWORD"]
    pair = base64.b64encode(f"git:{stub}".encode()).decode()
    answered = world.ask("/git/repo", f"Authorization: Basic {pair}", stub=False)
    assert world.upstream.asked[0].header("authorization") == ["Basic " + base64.b64encode(b"git:" + PASSWORD).decode()]
    assert pair.encode() in answered.body


def test_a_first_request_without_login_is_asked_for_one_as_git_expects(world: World) -> None:
    answered = world.ask("/git/repo", stub=False)
    assert (answered.status, answered.code) == (401, "stub_missing") and answered.header("www-authenticate")
    assert not world.upstream.asked


ELSEWHERE = ("User-Agent", "Referer", "Cookie", "X-Custom", "X-Request-Id", "Origin", "From", "Via-Me", "If-None-Match")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_stub_in_another_header_stays_a_stub_and_is_an_alarm(world: World, name: str) -> None:
    world.ask("/v1/x", f"{name}: a={world.stub}")
    assert SECRET.decode() not in "".join(world.upstream.asked[0].header(name))
    assert world.alarms() == 1


@pytest.mark.parametrize("where", ["query", "path"])
def test_a_stub_in_the_url_is_not_exchanged(world: World, where: str) -> None:
    world.ask(f"/v1/x?key={world.stub}" if where == "query" else f"/v1/{world.stub}")
    for asked in world.upstream.asked:
        assert SECRET not in asked.target.encode()
    assert world.alarms() >= 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_stub_in_a_body_arrives_as_a_stub(world: World, framing: str) -> None:
    text = b'{"content": "' + world.stub.encode() + b'"}'
    more = ("Transfer-Encoding: chunked",) if framing == "chunked" else ()
    body = chunked(text[:20], text[20:31], text[31:]) if framing == "chunked" else text
    world.ask("/v1/gists", "Content-Type: application/json", *more, method="POST", body=body)
    assert world.stub[:30].encode() in world.upstream.received().replace(b"\r\n", b"") or framing == "chunked"
    assert SECRET not in world.upstream.asked[0].body and world.alarms() == 1


FOREIGN = (
    "X-Api-Key: theirs", "Api-Key: theirs", "X-Goog-Api-Key: theirs", "Private-Token: theirs", "Cookie: session=theirs",
    "Proxy-Authorization: Basic dGhlaXJz", "X-Auth-Token: theirs", "X-Amz-Security-Token: theirs",
)  # fmt: skip


@pytest.mark.parametrize("line", FOREIGN)
def test_a_credential_of_the_client_does_not_reach_a_bound_host(world: World, line: str) -> None:
    world.ask("/v1/files?access_token=theirs&key=theirs&page=2", line)
    assert b"theirs" not in world.upstream.received() and b"dGhlaXJz" not in world.upstream.received()
    assert world.upstream.asked[0].target == "/v1/files?page=2"


def test_a_request_with_a_key_of_its_own_is_refused_on_a_bound_host(world: World) -> None:
    answered = world.ask("/v1/files", "Authorization: Bearer sk-their-own-key-0123456789", stub=False, method="POST")
    assert answered.code == "stub_mismatch" and not world.upstream.asked


def test_connection_cannot_make_the_credential_hop_by_hop(world: World) -> None:
    world.ask("/v1/x", "Connection: authorization, host, keep-alive")
    assert world.upstream.asked[0].header("authorization") == [f"Bearer {SECRET.decode()}"]


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL",
                                  "X-HTTP-Method-Override", "X-Method-Override", "Proxy-Connection"])  # fmt: skip
def test_headers_that_make_it_another_request_are_left_out(world: World, name: str) -> None:
    world.ask("/v1/x", f"{name}: PUT")
    assert not world.upstream.asked[0].header(name)


# -- alarms -----------------------------------------------------------------------------------------------------------


def test_a_stub_is_an_alarm_also_where_the_request_is_refused(world: World) -> None:
    stub = f"X-Note: {world.stub}"
    for target, lines, more in (
        ("/v2/elsewhere", (stub,), {}),  # no_binding
        ("/v1/x", (stub, "Authorization: Bearer wrong-wrong-wrong"), {"stub": False}),  # stub_mismatch
        ("/v1/x", (stub,), {"stub": False}),  # stub_missing
        (f"/{world.stub}", (), {"host": OTHER, "stub": False, "method": "DELETE"}),  # no_rule
        ("/v1/x", (), {"host": OTHER}),  # allowed there, but the stub does not belong there
    ):
        before = world.alarms()
        world.ask(target, *lines, **more)
        assert world.alarms() > before, (target, lines)


def test_a_stub_in_its_own_slot_at_its_own_host_is_no_alarm_though_no_path_matches(world: World) -> None:
    assert world.ask("/v2/elsewhere").code == "no_binding"
    assert world.ask("/v1/x").status == 200
    assert world.alarms() == 0


def test_a_stub_in_the_body_of_a_refused_request_is_an_alarm(world: World) -> None:
    assert world.ask("/v2/x", method="POST", body=b"a" * 5000 + world.stub.encode()).code == "no_binding"
    until(lambda: world.alarms() == 1)


def test_a_stub_in_a_refused_connect_is_an_alarm(world: World) -> None:
    connection, answered = world.session.connect("nowhere.example.org:443", f"Proxy-Authorization: Bearer {world.stub}")
    connection.close()
    assert answered.code == "no_rule" and world.alarms() == 1


def test_the_stub_of_one_session_is_worth_nothing_in_another(world: World) -> None:
    other = world.open()
    answered = world.ask("/v1/x", f"Authorization: Bearer {other.env['TOKEN']}", stub=False)
    assert answered.code == "stub_mismatch" and not world.upstream.asked
    [alarm] = world.session.audit("alarm")
    assert alarm["secret"] == "another session"
    world.ask("/v1/x", method="POST", body=b"note: " + other.env["TOKEN"].encode())
    assert world.alarms() == 2
    other.close()
    assert world.ask("/v1/x", f"X-Old: {other.env['TOKEN']}").status == 200, "a stub of what is over is a word"


def test_a_session_freezes_when_it_is_told_to_and_thaws(world: World) -> None:
    session = world.open(freeze_on_misuse=True)
    stub = session.env["TOKEN"]
    with session.tls(HOST) as connection:
        connection.sendall(request(HOST, "/v1/x", f"Authorization: Bearer {stub}", f"X-Leak: {stub}"))
        assert read_answer(connection).status in (0, 403)
    assert not world.upstream.asked
    _, answered = session.connect(f"{HOST}:443")
    assert answered.code == "frozen"
    world.vault.run(world.vault.client.thaw(session.id))
    assert session.ask(HOST, "/v1/x", f"Authorization: Bearer {stub}").status == 200
    session.close()


# -- where to ---------------------------------------------------------------------------------------------------------


def test_connect_server_name_and_host_must_be_one(world: World) -> None:
    names = (HOST, OTHER, "evil.example.org")
    for connect in names[:2]:
        for sni in names:
            for host in names:
                status = _by(world, connect, sni, host)
                assert (status == 200) == (connect == sni == host), (connect, sni, host, status)
    assert all(asked.header("host") == [HOST] or not asked.header("authorization") for asked in world.upstream.asked)


def _by(world: World, connect: str, sni: str, host: str) -> int:
    connection, answered = world.session.connect(f"{connect}:443")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connection:
        if answered.status != 200:
            return answered.status
        try:
            stream = world.session.secure(connection, context, sni)
        except (ssl.SSLError, OSError):
            return 0
        slot = (f"Authorization: Bearer {world.stub}",) if connect == HOST else ()
        stream.sendall(request(host, "/v1/x", *slot))
        return read_answer(stream).status


@pytest.mark.parametrize(
    "head",
    [
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nHost: {OTHER}\r\n\r\n",
        f"GET https://{OTHER}/v1/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
        f"GET https://{OTHER}/v1/x HTTP/1.1\r\nHost: {OTHER}\r\n\r\n",
        "GET /v1/x HTTP/1.1\r\n\r\n",
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}:444\r\n\r\n",
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}@{OTHER}\r\n\r\n",
        f"GET /v1/x HTTP/1.1\nHost: {HOST}\n\n",
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nX: a\r\n b\r\n\r\n",
        f"GET /v1/../v2 HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
        f"GET /v1/%2e%2e/v2 HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
        f"GET /v1//x HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
        f"TRACE /v1/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
        f"CONNECT {OTHER}:443 HTTP/1.1\r\nHost: {OTHER}\r\n\r\n",
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: xchunked\r\n\r\n",
        f"GET /v1/x HTTP/2.0\r\nHost: {HOST}\r\n\r\n",
        f"GET /v1/x HTTP/1.1\r\nHost: {HOST}\r\nExpect: the-unexpected\r\n\r\n",
    ],
    ids=lambda head: " ".join(head.split())[:60],
)
def test_what_could_be_read_in_two_ways_is_refused_and_written_down(world: World, head: str) -> None:
    with world.session.tls(HOST) as connection:
        connection.sendall(head.encode("latin-1"))
        answered = read_answer(connection)
    assert 400 <= answered.status < 506 and answered.code, answered
    assert not world.upstream.asked
    assert len(until(lambda: world.session.audit("deny"))) == 1


def test_two_requests_on_one_tunnel_are_each_judged(world: World) -> None:
    slot = f"Authorization: Bearer {world.stub}"
    with world.session.tls(HOST) as connection:
        connection.sendall(request(HOST, "/v1/1", slot) + request(OTHER, "/v1/2", slot) + request(HOST, "/v1/3", slot))
        found = [read_answer(connection).status for _ in range(3)]
    assert found == [200, 421, 200]
    assert [asked.target for asked in world.upstream.asked] == ["/v1/1", "/v1/3"]


def test_nothing_goes_to_a_bound_host_in_plain_text(world: World) -> None:
    for target in (f"http://{HOST}/v1/x", f"http://{HOST}:443/v1/x", f"https://{HOST}/v1/x"):
        with world.session.raw() as connection:
            host = target.split("/")[2]
            connection.sendall(request(host, target, f"Authorization: Bearer {world.stub}"))
            assert read_answer(connection).code in ("plaintext_refused", "tls_needed")
    assert not world.upstream.asked and world.alarms() == 3


@pytest.mark.parametrize("first", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x05\x01\x00", b"EHLO me\r\n"])
def test_after_connect_only_tls_http_and_bound_ssh_are_spoken(world: World, first: bytes) -> None:
    connection, _ = world.session.connect(f"{HOST}:443")
    with connection:
        connection.sendall(first)
        connection.settimeout(5)
        data = connection.recv(65536)
    assert not data or data.startswith(b"HTTP/1.1 4")
    assert not world.upstream.asked


@pytest.mark.parametrize(
    "authority",
    ["127.0.0.1:22", "localhost:80", "169.254.169.254:80", "0x7f000001:80", "2130706433:80", "[::1]:80", "10.0.0.1:443",
     "metadata.google.internal:80", f"{HOST}:25", f"{HOST}:22", "good@evil.example:443", "evil.example%00:443",
     f"{HOST}.:444", "xn--80ak6aa92e.com:443", "[fd00:ec2::254]:80", f"{HOST}:0", f"{HOST}:65536"],
)  # fmt: skip
def test_connect_reaches_nothing_that_no_rule_names(world: World, authority: str) -> None:
    connection, answered = world.session.connect(authority)
    connection.close()
    assert answered.status in (400, 403) and answered.code in ("no_rule", "bad_host", "bad_request", "bad_authority")


def test_a_redirect_is_told_and_not_followed(world: World) -> None:
    world.upstream.answering = lambda asked: [
        answer(b"", "302 Found", f"Location: https://{OTHER}/?t={SECRET.decode()}")
    ]
    answered = world.ask()
    assert answered.status == 302 and len(world.upstream.asked) == 1
    assert world.stub in answered.header("location")[0]


def test_an_upstream_that_nobody_vouches_for_gets_nothing(world: World) -> None:
    session = world.open(upstream_cas={})
    answered = session.ask(HOST, "/v1/x", f"Authorization: Bearer {session.env['TOKEN']}")
    assert (answered.status, answered.code) == (502, "upstream_tls") and not world.upstream.asked
    session.close()


def test_the_proposal_of_a_refusal_can_be_pasted_into_a_shell(world: World) -> None:

    connection, answered = world.session.connect("new.example.org:443")
    connection.close()
    fix = json.loads(answered.body)["error"]["fix"]
    assert shlex.split(fix.partition(": ")[2]) == ["--allow", "* https://new.example.org:443/*"]


def test_a_client_that_shuts_its_side_down_gets_its_answer(world: World) -> None:
    with world.session.raw() as connection:
        connection.sendall(request(OTHER, f"http://{OTHER}/x"))
        connection.shutdown(socket.SHUT_WR)
        assert read_answer(connection).status in (200, 502)


# -- bodies -----------------------------------------------------------------------------------------------------------

TYPES = ("application/json", "application/vnd.api+json; charset=utf-8")


def posted(world: World, kind: str, text: bytes, framing: str = "length", session: Session | None = None) -> Answer:
    """A POST with the stub in its slot, its body whole or in chunks of seven bytes."""
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    lines = [f"Content-Type: {kind}", *(["Transfer-Encoding: chunked"] if framing == "chunked" else [])]
    body = chunked(*pieces) if framing == "chunked" else text
    session = session or world.session
    bearer = f"Authorization: Bearer {session.env['TOKEN']}"
    return session.ask(HOST, "/v1/x", bearer, *lines, method="POST", body=body)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_credential_of_ones_own_in_json_is_refused(world: World, kind: str, framing: str) -> None:
    body = b'{"text": "private_token", "list": [{"api_key": 1}], "privat\\u0065_token" : "attackers-own-0123"}'
    assert posted(world, kind, body, framing).code == "foreign_credential"
    assert b"attackers-own-0123" not in world.upstream.received()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_json_that_only_speaks_of_credentials_goes_on(world: World, framing: str) -> None:
    text = b'{"a": "api_key", "b": {"api_key": "{\\"access_token\\": 1}"}, "c": ["access_token", 5], "token": "t\\\\"}'
    assert posted(world, "application/json", text, framing).status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_stub_of_another_secret_as_a_value_of_json_is_refused(world: World, framing: str) -> None:
    other = world.session.env["PASSWORD"]
    for text in (other, f"Bearer {other}", "".join(f"\\u{ord(letter):04x}" for letter in other)):
        body = b'{"deep": [{"auth": "%b"}]}' % text.encode()
        assert posted(world, "application/json", body, framing).code == "foreign_credential"
    assert world.alarms() >= 2
    assert other.encode() not in world.upstream.received().replace(b"\r\n7\r\n", b"")


def test_the_stub_of_another_session_as_a_value_of_json_is_refused(world: World) -> None:
    other = world.open()
    body = json.dumps({"auth": other.env["TOKEN"]}).encode()
    assert posted(world, "application/json", body).code == "foreign_credential"
    assert not world.upstream.asked and world.alarms() == 1
    other.close()


def test_what_an_agent_printed_goes_to_its_model_as_text_and_is_an_alarm(world: World) -> None:
    printed = f"$ env\nTOKEN={world.stub}\nPASSWORD={world.session.env['PASSWORD']}\n"
    assert posted(world, "application/json", json.dumps({"content": printed}).encode()).status == 200
    assert {row["secret"] for row in world.session.audit("alarm")} == {"TOKEN", "PASSWORD"}


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", ['"private_token"', "_method", '"api_key"; filename="x"', "*=utf-8''_METHOD"])
def test_a_credential_or_a_method_in_a_multipart_form_is_refused(world: World, name: str, framing: str) -> None:
    separator = "" if name.startswith("*") else "="
    part = f"--b\r\nContent-Disposition: form-data; name{separator}{name}\r\n\r\nattackers-own-0123\r\n--b--\r\n"
    text = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nprivate_token _method\r\n' + part.encode()
    assert posted(world, "multipart/form-data; boundary=b", text, framing).code == "foreign_credential"
    assert b"attackers-own-0123" not in world.upstream.received()


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded, x/y", "x/y, application/x-www-form-urlencoded"])
def test_a_form_that_only_some_programs_take_for_one_is_read_as_one(world: World, kind: str) -> None:
    assert posted(world, kind, b"_method=DELETE").code == "foreign_credential"
    assert not world.upstream.asked


def test_a_body_of_which_nobody_says_what_it_is_is_taken_for_a_form_by_nobody(world: World) -> None:
    """Rack reads a POST without a type as a form, and obeys its `_method`."""
    for lines, body in (((), b"_method=DELETE"), (("Transfer-Encoding: chunked",), chunked(b"_method=DELETE"))):
        world.ask("/v1/x", *lines, method="POST", body=body)
        assert world.upstream.asked[-1].header("content-type") == ["application/octet-stream"]
    world.ask("/v1/x", "Content-Length: 0", method="POST")
    assert world.upstream.asked[-1].header("content-type") == []


def test_a_multipart_form_without_a_credential_goes_on(world: World) -> None:
    text = b'--b\r\nContent-Disposition: form-data; name="file"; filename="_method"\r\n\r\nname=token;\r\n--b--\r\n'
    assert posted(world, "multipart/form-data; boundary=b", text).status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("host", [HOST, OTHER])
def test_the_value_of_a_secret_leaves_in_no_body(vault: RunningVault, world: World, framing: str, host: str) -> None:
    """However it came to be known in the sandbox, it is found there, and ends the request before it is whole."""
    value = b"fake-leaked-Zx81-Qw7-Tp5n3Lm9Vr2"
    vault.set("LEAKED", value, "* https://leaked.example.com/* header:authorization")
    session = world.open(secrets=("TOKEN", "PASSWORD", "LEAKED"))
    for text in (b"note: " + value, b"note: " + base64.b64encode(value), value.hex().encode()):
        more = ("Transfer-Encoding: chunked",) if framing == "chunked" else ()
        body = chunked(*(text[at : at + 7] for at in range(0, len(text), 7))) if framing == "chunked" else text
        slot = (f"Authorization: Bearer {session.env['TOKEN']}",) if host == HOST else ()
        answered = session.ask(host, "/v1/x", *slot, *more, method="POST", body=body)
        assert answered.code == "secret_in_request", answered
        assert value not in answered.all
    assert [row["secret"] for row in session.audit("alarm")] == ["LEAKED"] * 3
    assert not world.upstream.asked, "it never had a whole request"
    session.close()


def test_a_value_that_could_be_guessed_is_no_oracle(vault: RunningVault, world: World) -> None:
    vault.set("WEAK", b"hunter-42-xyz", "* https://weak.example.com/* header:authorization")
    session = world.open(secrets=("TOKEN", "WEAK"))
    assert posted(world, "text/plain", b"is it hunter-42-xyz?", session=session).status == 200
    assert not session.audit("alarm")
    session.close()

"""Real boto3 with stub keys, through the vault's signing, to an endpoint that verifies with botocore's own signer."""

import asyncio
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import boto3
import msgspec
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.credentials import registry
from penstock.vault.credentials.aws_chunks import SIGNED, ChunkSigner
from penstock.vault.credentials.aws_sigv4 import AwsSigV4
from penstock.vault.credentials.contract import Signed, SigningCredential, Tools
from penstock.vault.credentials.sigv4 import Scope
from penstock.vault.inject import rebuild
from penstock.vault.policy import Policy
from penstock.vault.rules import parse_binding
from penstock.vault.values import Destination, Fetched, Headers, Refusal, RequestHead

REAL_ID = "AKIA" + "REALREALREALREAL"
REAL_SECRET = "obviously/fake/real/secret/half/0123456789"
STUB = "AKIA" + "STUBSTUBSTUBSTUB"
NOW = 1700000000.0


async def no_fetch(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
    raise AssertionError("nobody is called")


def no_turn() -> NoReturn:
    raise AssertionError("nothing is stored")


def keys(session_token: str = "", now: float = NOW) -> AwsSigV4:
    fields = {"access_key_id": REAL_ID, "secret_access_key": REAL_SECRET, "session_token": session_token}
    tools = Tools(fetch=no_fetch, clock=lambda: now, random=bytes, turn=no_turn)
    made = registry.make("aws-sigv4", "aws", msgspec.json.encode(fields), tools=tools)
    assert isinstance(made, AwsSigV4)
    return made


# -- the endpoint -----------------------------------------------------------------------------------------------------


def verify(made: Signed, host: str, service: str, body: bytes, session_token: str = "") -> None:
    """Compute the signature anew with botocore, from what arrived and the real keys; as AWS does."""
    if "X-Amz-Signature=" in made.head.target:
        verify_query(made, host, service, session_token)
        return
    (proof,) = made.head.values("authorization")
    credential, names, signature = (part.partition("=")[2] for part in proof.partition(" ")[2].split(", "))
    access_key_id, date, region, scoped, _ = credential.split("/")
    assert (access_key_id, scoped) == (REAL_ID, service)
    headers = {name: ",".join(made.head.values(name)) for name in names.split(";")}
    assert headers["host"] == host
    assert headers["x-amz-date"].startswith(date)
    request = AWSRequest(method=made.head.method, url=f"https://{host}{made.head.target}", headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(REAL_ID, REAL_SECRET), service, region)
    if service == "s3":
        request.context["signing"] = {}
    computed = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    assert computed == signature
    assert made.head.values("x-amz-security-token") == ([session_token] if session_token else [])


def verify_query(made: Signed, host: str, service: str, session_token: str) -> None:
    target, _, signature = made.head.target.partition("&X-Amz-Signature=")
    query = dict(pair.split("=", 1) for pair in urlsplit(target).query.split("&"))
    assert query["X-Amz-Credential"].startswith(f"{REAL_ID}%2F")
    request = AWSRequest(method=made.head.method, url=f"https://{host}{target}", headers={"host": host})
    request.context["timestamp"] = query["X-Amz-Date"]
    auth = S3SigV4QueryAuth(Credentials(REAL_ID, REAL_SECRET, session_token or None), service, "eu-central-1")
    assert auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) == signature
    assert ("X-Amz-Security-Token" in query) == bool(session_token)


class Endpoint(http.server.ThreadingHTTPServer):
    """The vault's signing and AWS's verifying in one: what arrives is signed anew, then verified."""

    daemon_threads = True
    credential: AwsSigV4
    scope: str
    session_token = ""
    seen: list[Signed]
    bodies: list[bytes]
    answer = b"<Ok/>"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Endpoint
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        head = RequestHead(self.command, self.path, headers)
        destination = Destination("https", "aws.test", 443)
        credential = self.server.credential
        given = body if credential.needs_body(head) or len(body) < 4096 else None
        try:
            made = asyncio.run(credential.sign(destination, head, given, stub=STUB.encode(), scope=self.server.scope))
        except Refusal as refusal:
            self._answer(403, self._error(refusal))
            return
        verify(made, "aws.test", self.server.scope.partition("/")[0], body, self.server.session_token)
        self.server.seen.append(made)
        self.server.bodies.append(body)
        self._answer(200, self.server.answer)

    def _error(self, refusal: Refusal) -> bytes:
        error = f"<Error><Code>{refusal.code}</Code><Message>x</Message></Error>"
        queried = self.server.scope.startswith(("sts", "iam"))
        return (f"<ErrorResponse>{error}</ErrorResponse>" if queried else error).encode()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/xml")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve


@contextmanager
def endpoint(scope: str, session_token: str = "", now: float = NOW) -> Iterator[tuple[Endpoint, str]]:
    server = Endpoint(("127.0.0.1", 0), Handler)
    server.credential, server.scope, server.session_token = keys(session_token, now), scope, session_token
    server.seen, server.bodies = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client(service: str, url: str, access_key_id: str = STUB, token: str | None = None) -> Any:
    config = Config(retries={"max_attempts": 0}, proxies={}, s3={"addressing_style": "path"})
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id=access_key_id,
        aws_secret_access_key="stub-secret-half-that-signs-nothing",
        aws_session_token=token,
        config=config,
    )


ODD_KEYS = ["plain.txt", "a b/c+d/é.txt", "x//y", "per%cent", "~tilde!*'()", "dots/../up", "q?m=1&n", "schön=&"]


@pytest.mark.parametrize("token", ["", "FAKE/session+token=="])
@pytest.mark.parametrize("key", ODD_KEYS)
def test_boto3s_objects_arrive_with_signatures_that_botocore_accepts(key: str, token: str) -> None:
    with endpoint("s3/*", token) as (server, url):
        s3 = client("s3", url, token="a-stub-of-a-session-token")
        s3.put_object(Bucket="bucket", Key=key, Body=b"data" * 3000, Metadata={"who": "agent"})
        s3.get_object(Bucket="bucket", Key=key, Range="bytes=0-9")
        s3.delete_object(Bucket="bucket", Key=key)
        assert [made.head.method for made in server.seen] == ["PUT", "GET", "DELETE"]
        assert STUB not in str([made.head for made in server.seen])
        assert "a-stub-of-a-session-token" not in str([made.head for made in server.seen])


def test_boto3s_lists_and_queries() -> None:
    with endpoint("s3/eu-central-1") as (server, url):
        s3 = client("s3", url)
        s3.list_objects_v2(Bucket="bucket", Prefix="a/b +&=é", Delimiter="/", MaxKeys=7)
        s3.head_object(Bucket="bucket", Key="k")
        s3.create_multipart_upload(Bucket="bucket", Key="k", ContentType="text/plain", StorageClass="STANDARD_IA")
        assert len(server.seen) == 3


@pytest.mark.parametrize("service", ["sqs", "dynamodb", "lambda", "bedrock-runtime"])
def test_other_services_whose_bodies_the_vault_hashes(service: str) -> None:
    signing_name = "bedrock" if service == "bedrock-runtime" else service
    with endpoint(f"{signing_name}/eu-central-1") as (server, url):
        made = client(service, url)
        server.answer = b"{}"
        if service == "sqs":
            made.send_message(QueueUrl=f"{url}/123/queue", MessageBody="hello é")
        elif service == "dynamodb":
            made.get_item(TableName="t", Key={"id": {"S": "1"}})
        elif service == "lambda":
            made.invoke(FunctionName="arn:aws:lambda:eu-central-1:123456789012:function:f:1", Payload=b"{}")
        else:
            made.invoke_model(modelId="anthropic.model-v1:0", body=b"{}")
        assert len(server.seen) == 1


def test_presigned_addresses_are_signed_anew_and_expire() -> None:
    import time

    with endpoint("s3/eu-central-1", "FAKE/token==", now=time.time()) as (server, url):
        address = client("s3", url, token="stub").generate_presigned_url(
            "get_object",
            Params={"Bucket": "bucket", "Key": "a b/é", "ResponseContentType": "text/plain"},
            ExpiresIn=3600,
        )
        with urlopen(Request(address)) as answer:
            assert answer.status == 200
        assert "X-Amz-Expires=300&" in server.seen[0].head.target
        assert "response-content-type=text%2Fplain" in server.seen[0].head.target
        server.credential = keys("FAKE/token==", time.time() + 3601)
        with pytest.raises(OSError, match="403"):
            urlopen(Request(address))


@pytest.mark.parametrize(
    ("scope", "access_key_id", "code"),
    [
        ("s3/us-east-1", STUB, "wrong_scope"),
        ("sqs/eu-central-1", STUB, "wrong_scope"),
        ("s3/*", "AKIA" + "ATTACKERSOWNKEYS", "stub_missing"),
        ("s3/*", REAL_ID, "stub_missing"),
    ],
)
def test_another_key_or_scope_is_refused(scope: str, access_key_id: str, code: str) -> None:
    with endpoint(scope) as (server, url), pytest.raises(ClientError, match=code):
        client("s3", url, access_key_id).list_buckets()
    assert server.seen == []


def test_sts_may_say_who_we_are_and_give_no_keys() -> None:
    with endpoint("sts/eu-central-1") as (server, url):
        sts = client("sts", url)
        server.answer = (
            b"<GetCallerIdentityResponse><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>"
            b"</GetCallerIdentityResponse>"
        )
        sts.get_caller_identity()
        with pytest.raises(ClientError, match="sigv4_refused"):
            sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="session")
        assert len(server.seen) == 1


def test_iam_gives_no_keys() -> None:
    with endpoint("iam/*") as (server, url):
        iam = client("iam", url)
        with pytest.raises(ClientError, match="sigv4_refused"):
            iam.create_access_key(UserName="agent")
        assert server.seen == []


# -- what is not signed -----------------------------------------------------------------------------------------------


def proof(names: str = "host;x-amz-date", scope: str = "eu-central-1/s3") -> str:
    credential = f"{STUB}/20231114/{scope}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={'0' * 64}"


def sign(*headers: tuple[str, str], method: str = "GET", target: str = "/k", body: bytes | None = b"") -> Signed:
    head = RequestHead(method, target, headers)
    credential = keys()
    assert isinstance(credential, SigningCredential)
    destination = Destination("https", "b.s3.amazonaws.com", 443)
    return asyncio.run(credential.sign(destination, head, body, stub=STUB.encode(), scope="s3/eu-central-1"))


HASH = "x-amz-content-sha256"
PRESIGNED = f"/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={STUB}%2F20231114%2Feu-central-1%2Fs3%2Faws4_request"


@pytest.mark.parametrize(
    ("headers", "target", "body", "code"),
    [
        ((), "/k", b"", "not_signed"),
        ((("authorization", "Bearer x"),), "/k", b"", "not_signed"),
        ((("authorization", proof() + " "),), "/k", b"", "not_signed"),
        ((("authorization", proof()), ("authorization", proof())), "/k", b"", "not_signed"),
        ((("authorization", proof().replace("HMAC-SHA256", "ECDSA-P256-SHA256", 1)),), "/k", b"", "sigv4_refused"),
        ((("authorization", "AWS4-ECDSA-P256-SHA256 Credential=x"),), "/k", b"", "sigv4_refused"),
        ((("authorization", proof()), (HASH, "0" * 64)), "/k", b"body", "payload_mismatch"),
        ((("authorization", proof()), (HASH, "STREAMING-AWS4-HMAC-SHA256-EVENTS")), "/k", b"", "sigv4_refused"),
        ((("authorization", proof()), (HASH, "UNSIGNED-PAYLOAD"), (HASH, "0" * 64)), "/k", b"", "sigv4_refused"),
        ((("authorization", proof()), ("content-length", "9")), "/k", None, "body_needed"),
        ((("authorization", proof()),), PRESIGNED, b"", "sigv4_refused"),
        ((), PRESIGNED, b"", "sigv4_refused"),
        ((), PRESIGNED + "&X-Amz-Credential=other", b"", "sigv4_refused"),
        ((), PRESIGNED.replace("HMAC", "ECDSA"), b"", "not_signed"),
        ((), "/k?X-Amz-Signature=abc", b"", "not_signed"),
        ((), PRESIGNED + "&X-Amz-Date=20991231T000000Z&X-Amz-Expires=x", b"", "sigv4_refused"),
        ((), PRESIGNED + "&X-Amz-Date=20000101T000000Z&X-Amz-Expires=604800", b"", "sigv4_refused"),
    ],
)
def test_what_is_not_signed_anew(headers: Headers, target: str, body: bytes | None, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        sign(*headers, target=target, body=body)
    assert refused.value.code == code
    assert REAL_ID not in str(refused.value)


def test_the_clock_of_the_sandbox_does_not_matter() -> None:
    made = sign(("authorization", proof()), ("x-amz-date", "19990101T000000Z"), ("date", "nonsense"))
    assert made.head.values("x-amz-date") == ["20231114T221320Z"]
    assert made.head.values("date") == []


def test_the_host_is_the_destination_whatever_the_client_signed() -> None:
    made = sign(("host", "evil.test"), ("authorization", proof()))
    assert made.head.values("host") == ["b.s3.amazonaws.com"]


def test_what_may_change_on_the_way_is_not_signed() -> None:
    names = "accept-encoding;amz-sdk-request;host;user-agent;x-amz-date"
    headers = (("accept-encoding", "gzip"), ("amz-sdk-request", "attempt=1"), ("user-agent", "Boto3"))
    made = sign(*headers, ("authorization", proof(names)))
    assert "SignedHeaders=amz-sdk-request;host;x-amz-content-sha256;x-amz-date," in made.head.values("authorization")[0]


def test_all_of_the_keys_are_live_and_none_is_shown() -> None:
    credential = keys("FAKE-session-token")
    assert credential.live() == [REAL_ID.encode(), REAL_SECRET.encode(), b"FAKE-session-token"]
    assert REAL_SECRET not in repr(credential) + repr(vars(credential)["_fields"])
    assert set(credential.shapes()) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


# -- malformed chunks -------------------------------------------------------------------------------------------------


def chunks(*, trailer: bool = False) -> ChunkSigner:
    return ChunkSigner(b"key", "20231114T221320Z", Scope("20231114", "r", "s3"), "0" * 64, trailer=trailer)


SIGN = b";chunk-signature=" + b"0" * 64 + b"\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"4\r\nabcd\r\n",
        b"4;chunk-signature=xyz\r\n",
        b"4" + SIGN + b"abcdefgh",
        b"-4" + SIGN,
        b"0x4" + SIGN,
        b"fffffffff" + SIGN,
        b"ffffffff" + SIGN,
        b"4;chunk-signature=" + b"0" * 64 + b"\nabcd\r\n",
        b"0" + SIGN + b"\r\nmore",
        b"0" + SIGN + b"xx",
        b"1" * 500,
    ],
)
def test_bodies_that_are_not_signed_chunks_are_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="chunk by chunk"):
        chunks().feed(body)


@pytest.mark.parametrize(
    "trailer", [b"\r\n\r\n", b"a:b\r\n\r\n", b"no colon\r\n", b"a:" + b"x" * 9000, b"a:b\r\n" * 3000, b"a:\x00\r\n"]
)
def test_malformed_trailers_are_refused(trailer: bytes) -> None:
    with pytest.raises(Refusal, match="chunk by chunk"):
        chunks(trailer=True).feed(b"0" + SIGN + trailer)


@pytest.mark.parametrize("cut", [0, 5, 80, 84, 100, 172, 173])
def test_a_body_that_is_cut_short_is_refused(cut: int) -> None:
    body = b"4" + SIGN + b"abcd\r\n" + b"0" + SIGN + b"\r\n"
    signer = chunks()
    signer.feed(body[: min(cut, len(body) - 1)])
    with pytest.raises(Refusal, match="in the middle"):
        signer.end()


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5), st.lists(st.integers(1, 90), min_size=1))
def test_any_split_gives_the_same_bytes(parts: list[bytes], cuts: list[int]) -> None:
    body = b"".join(b"%x" % len(part) + SIGN + part + b"\r\n" for part in [*parts, b""])
    whole = chunks().feed(body)
    signer, out, position = chunks(), b"", 0
    for cut in cuts * (len(body) // sum(cuts) + 1):
        out += signer.feed(body[position : position + cut])
        position += cut
    assert out + signer.end() == whole
    assert len(whole) == len(body)
    assert b"0" * 64 not in whole


def test_a_head_that_names_signed_chunks_brings_their_signer() -> None:
    made = sign(("authorization", proof()), (HASH, SIGNED), method="PUT", body=None)
    assert isinstance(made.body, ChunkSigner)
    assert "key" not in repr(made.body)


# -- through the vault's own rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_request_that_was_permitted_and_rebuilt_still_can_be_signed(way: str) -> None:
    """What policy and inject leave of a signed request is what signing needs."""
    host = "b.s3.amazonaws.com"
    signed: tuple[str, Headers] = ("/k", (("authorization", proof()), ("x-amz-security-token", "stub")))
    if way == "query":
        more = f"&X-Amz-Date=20231114T221300Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
        signed = (PRESIGNED + more, ())
    head = RequestHead("GET", signed[0], (("host", host), *signed[1], ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")))
    destination = Destination("https", host, 443)
    binding = parse_binding(f"GET https://{host}/* sigv4:s3/eu-central-1", "aws")
    permit = Policy([binding], []).decide(destination, head)
    rebuilt = rebuild(destination, head, permit, STUB.encode(), None, b"", scrubbed=True)
    made = asyncio.run(
        keys().sign(destination, rebuilt.head, b"", stub=STUB.encode(), scope=permit.binding.slot.name)  # type: ignore[union-attr]
    )
    verify_made(made, host, way)


def verify_made(made: Signed, host: str, way: str) -> None:
    assert STUB not in str(made.head)
    if way == "header":
        verify(made, host, "s3", b"")
    else:
        assert REAL_ID in made.head.target
        assert made.head.target.count("X-Amz-Signature=") == 1

"""Signature Version 4 against figures that AWS published: its test suite, and the examples of S3's manual."""

import asyncio
from typing import NoReturn

import msgspec
import pytest

from penstock.vault.credentials import registry
from penstock.vault.credentials.aws_sigv4 import AwsSigV4
from penstock.vault.credentials.contract import Signed, Tools
from penstock.vault.values import Destination, Fetched, Headers, RequestHead

SUITE_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
MANUAL_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
MANUAL_ID = "AKIA" + "IOSFODNN7EXAMPLE"
SUITE_TIME = 1440938160.0  # 2015-08-30T12:36:00Z
MANUAL_TIME = 1369353600.0  # 2013-05-24T00:00:00Z
STUB = "AKIA" + "STUBSTUBSTUBSTUB"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


async def no_fetch(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
    raise AssertionError("nobody is called")


def no_turn() -> NoReturn:
    raise AssertionError("nothing is stored")


def pair(access_key_id: str, secret: str, now: float, session_token: str = "") -> AwsSigV4:
    fields = {"access_key_id": access_key_id, "secret_access_key": secret}
    if session_token:
        fields["session_token"] = session_token
    tools = Tools(fetch=no_fetch, clock=lambda: now, random=bytes, turn=no_turn)
    made = registry.make("aws-sigv4", "aws", msgspec.json.encode(fields), tools=tools)
    assert isinstance(made, AwsSigV4)
    return made


def signed(
    credential: AwsSigV4,
    host: str,
    method: str,
    target: str,
    headers: Headers,
    names: str,
    scope: str,
    body: bytes | None = b"",
) -> Signed:
    """Sign what a client signed with the stub, at another time and over the same headers."""
    service, _, region = scope.partition("/")
    proof = (
        f"AWS4-HMAC-SHA256 Credential={STUB}/20990101/{region}/{service}/aws4_request, "
        f"SignedHeaders={names}, Signature={'0' * 64}"
    )
    head = RequestHead(method, target, (*headers, ("authorization", proof)))
    destination = Destination("https", host, 443)
    return asyncio.run(credential.sign(destination, head, body, stub=STUB.encode(), scope=scope))


def signature_of(made: Signed) -> str:
    (value,) = made.head.values("authorization")
    return value.rpartition("Signature=")[2]


SUITE: list[tuple[str, str, str, Headers, str, bytes, str]] = [
    ("get-vanilla", "GET", "/", (), "", b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("post-vanilla", "POST", "/", (), "", b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    (
        "get-vanilla-query-order-key-case",
        "GET",
        "/?Param2=value2&Param1=value1",
        (),
        "",
        b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-unreserved",
        "GET",
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        (),
        "",
        b"",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "get-header-value-trim",
        "GET",
        "/",
        (("my-header1", " value1"), ("my-header2", ' "a   b   c"')),
        ";my-header1;my-header2",
        b"",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "post-x-www-form-urlencoded",
        "POST",
        "/",
        (("content-type", "application/x-www-form-urlencoded"),),
        ";content-type",
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    ("normalize-dot", "GET", "/./", (), "", b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    (
        "normalize-slashes",
        "GET",
        "//",
        (),
        "",
        b"",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
]


@pytest.mark.parametrize("vector", SUITE, ids=[vector[0] for vector in SUITE])
def test_the_vectors_of_the_test_suite(vector: tuple[str, str, str, Headers, str, bytes, str]) -> None:
    _, method, target, headers, names, body, expected = vector
    credential = pair("AKIDEXAMPLE" + "00000", SUITE_KEY, SUITE_TIME)
    made = signed(
        credential,
        "example.amazonaws.com",
        method,
        target,
        headers,
        f"host{names};x-amz-date",
        "service/us-east-1",
        body,
    )
    assert signature_of(made) == expected


def test_the_example_of_a_get_in_s3s_manual() -> None:
    headers = (("range", "bytes=0-9"), ("x-amz-content-sha256", EMPTY))
    names = "host;range;x-amz-content-sha256;x-amz-date"
    host = "examplebucket.s3.amazonaws.com"
    made = signed(pair(MANUAL_ID, MANUAL_KEY, MANUAL_TIME), host, "GET", "/test.txt", headers, names, "s3/us-east-1")
    assert signature_of(made) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


def test_the_example_of_a_put_in_s3s_manual() -> None:
    body = b"Welcome to Amazon S3."
    hashed = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
    headers = (
        ("date", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-content-sha256", hashed),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    )
    credential = pair(MANUAL_ID, MANUAL_KEY, MANUAL_TIME)
    names = "host;x-amz-content-sha256;x-amz-date;x-amz-storage-class"
    host = "examplebucket.s3.amazonaws.com"
    made = signed(credential, host, "PUT", "/test%24file.text", headers, names, "s3/us-east-1", body)
    # The manual signs `date`, too; the vault sends x-amz-date alone. Signed by botocore without it:
    assert signature_of(made) == reference_signature(made, host, "/test%24file.text", hashed)


def reference_signature(made: Signed, host: str, path: str, payload: str) -> str:
    """What botocore computes for the head that the vault made."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    (proof,) = made.head.values("authorization")
    names = proof.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: made.head.values(name)[0] for name in names}
    request = AWSRequest(method=made.head.method, url=f"https://{host}{path}", headers=headers, data=b"")
    request.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(Credentials(MANUAL_ID, MANUAL_KEY), "s3", "us-east-1")
    assert headers["x-amz-content-sha256"] == payload
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def test_the_example_of_a_list_in_s3s_manual() -> None:
    headers = (("x-amz-content-sha256", EMPTY),)
    names = "host;x-amz-content-sha256;x-amz-date"
    host = "examplebucket.s3.amazonaws.com"
    target = "/?prefix=J&max-keys=2"
    made = signed(pair(MANUAL_ID, MANUAL_KEY, MANUAL_TIME), host, "GET", target, headers, names, "s3/us-east-1")
    assert signature_of(made) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"


# -- signed chunks ----------------------------------------------------------------------------------------------------

CHUNKED_NAMES = (
    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
    "x-amz-storage-class"
)


def stub_chunk(data: bytes, end: bytes = b"\r\n") -> bytes:
    return b"%x;chunk-signature=%s\r\n%s%s" % (len(data), b"f" * 64, data, end)


def chunk_signatures(body: bytes) -> list[str]:
    return [part[:64].decode() for part in body.split(b"-signature")[1:] for part in [part[1:]]]


def manual_upload(payload: str, more: Headers = (), names: str = CHUNKED_NAMES, length: str = "66824") -> Signed:
    headers = (
        ("content-encoding", "aws-chunked"),
        ("content-length", length),
        ("x-amz-content-sha256", payload),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        *more,
    )
    credential = pair(MANUAL_ID, MANUAL_KEY, MANUAL_TIME)
    target = "/examplebucket/chunkObject.txt"
    return signed(credential, "s3.amazonaws.com", "PUT", target, headers, names, "s3/us-east-1", None)


@pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
def test_the_example_of_signed_chunks_in_s3s_manual(size: int) -> None:
    made = manual_upload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    assert signature_of(made) == "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    assert made.body is not None
    body = stub_chunk(b"a" * 65536) + stub_chunk(b"a" * 1024) + stub_chunk(b"")
    out = b"".join(made.body.feed(body[start : start + size]) for start in range(0, len(body), size)) + made.body.end()
    assert len(out) == len(body) == 66824
    assert chunk_signatures(out) == [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]


@pytest.mark.parametrize(("before", "after"), [(b"", b"\r\n"), (b"\r\n", b"\r\n"), (b"\r\n", b""), (b"", b"")])
def test_the_example_of_signed_chunks_with_a_trailer_in_s3s_manual(before: bytes, after: bytes) -> None:
    """Clients do not agree on the empty lines before and after the trailer: each keeps its own."""
    headers = (
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-trailer", "x-amz-checksum-crc32c"),
    )
    names = (
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
        "x-amz-storage-class;x-amz-trailer"
    )
    credential = pair(MANUAL_ID, MANUAL_KEY, MANUAL_TIME)
    target = "/examplebucket/chunkObject.txt"
    made = signed(credential, "s3.amazonaws.com", "PUT", target, headers, names, "s3/us-east-1", None)
    assert signature_of(made) == "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    assert made.body is not None
    trailer = before + b"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:" + b"f" * 64 + b"\r\n" + after
    body = stub_chunk(b"a" * 65536) + stub_chunk(b"a" * 1024) + stub_chunk(b"", b"") + trailer
    out = made.body.feed(body) + made.body.end()
    assert len(out) == len(body)
    assert chunk_signatures(out) == [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
    ]

"""Signature Version 4 against the published vectors, and against botocore as a peer."""

from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.auth import sigv4
from penstock.providers.auth.credentials import AwsCredentials, unix_time

# The credentials, time and scope of the published test suite (AWS Signature Version 4 Test Suite).
EXAMPLE = AwsCredentials(access_key_id="AKIDEXAMPLE", secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MOMENT = unix_time("2015-08-30T12:36:00Z")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

VECTORS = {
    "get-vanilla": ("GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-utf8": ("GET", "/\u1234", {}, b"", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    "get-vanilla-query-order-key-case": (
        "GET",
        "/?Param2=value2&Param1=value1",
        {},
        b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "get-vanilla-query-unreserved": (
        "GET",
        "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        "=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        {},
        b"",
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    "get-relative-relative": (
        "GET",
        "/example1/example2/../..",
        {},
        b"",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "get-slashes": (
        "GET",
        "//example//",
        {},
        b"",
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    "post-vanilla": ("POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-x-www-form-urlencoded": (
        "POST",
        "/",
        FORM,
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_published_vector(name: str) -> None:
    method, path, headers, body, signature = VECTORS[name]
    signed = sigv4.sign(
        method,
        "https://example.amazonaws.com" + path,
        headers,
        body,
        credentials=EXAMPLE,
        region="us-east-1",
        service="service",
        now=MOMENT,
    )
    assert signed["X-Amz-Date"] == "20150830T123600Z"
    assert signed["Authorization"].endswith("Signature=" + signature)
    assert "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request," in signed["Authorization"]


def test_the_documented_example() -> None:
    """The worked example of the IAM user guide (ListUsers), with its content type signed."""
    signed = sigv4.sign(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        b"",
        credentials=EXAMPLE,
        region="us-east-1",
        service="iam",
        now=MOMENT,
    )
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_the_derived_key_of_the_documentation() -> None:
    key = sigv4.signing_key(EXAMPLE.secret_access_key, "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
MODEL = st.text("abc.-_:/@ %+é/", min_size=1, max_size=20)
QUERY = st.lists(st.tuples(TEXT, TEXT), max_size=4)
HEADER_VALUE = st.text("abc XYZ0-9;=/", max_size=20)
SECRET = st.text("abcXYZ/+09", min_size=1, max_size=40)


@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    model=MODEL,
    query=QUERY,
    content_type=st.none() | HEADER_VALUE,
    extra=st.dictionaries(st.sampled_from(["X-Amz-Target", "x-amz-meta-a", "X-Amz-Z"]), HEADER_VALUE, max_size=3),
    body=st.binary(max_size=64),
    token=st.none() | SECRET,
    secret=SECRET,
    now=st.integers(0, 4_000_000_000),
    port=st.sampled_from(["", ":443", ":8443"]),
)
def test_agrees_with_botocore(
    method: str,
    model: str,
    query: list[tuple[str, str]],
    content_type: str | None,
    extra: dict[str, str],
    body: bytes,
    token: str | None,
    secret: str,
    now: int,
    port: str,
) -> None:
    """Whatever is asked for, the two signers say the same: any model name, query, headers, body and token."""
    pairs = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)
    url = f"https://bedrock-runtime.eu-west-1.amazonaws.com{port}/model/{quote(model, safe='')}/converse"
    url += f"?{pairs}" if pairs else ""
    headers = dict(extra) | ({"Content-Type": content_type} if content_type is not None else {})
    ours = sigv4.sign(
        method,
        url,
        headers,
        body,
        credentials=AwsCredentials(access_key_id="AKIDEXAMPLE", secret_access_key=secret, session_token=token),
        region="eu-west-1",
        service="bedrock",
        now=now,
    )
    assert ours["Authorization"] == _botocore(method, url, headers, body, secret, token, ours["X-Amz-Date"])


def _botocore(
    method: str, url: str, headers: dict[str, str], body: bytes, secret: str, token: str | None, timestamp: str
) -> str:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", secret, token), "bedrock", "eu-west-1")
    request.context["timestamp"] = timestamp
    if token:
        request.headers["X-Amz-Security-Token"] = token
    request.headers["X-Amz-Date"] = timestamp
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signed = signer.signed_headers(signer.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={signed}, Signature={signature}"


def test_headers_that_a_proxy_may_change_are_not_signed() -> None:
    def authorization(headers: dict[str, str]) -> str:
        return sigv4.sign(
            "POST", "https://a.example/", headers, b"", credentials=EXAMPLE, region="r", service="s", now=0.0
        )["Authorization"]

    assert authorization({}) == authorization({"User-Agent": "x", "Connection": "keep-alive", "Accept": "*/*"})
    assert authorization({}) != authorization({"X-Amz-Anything": "x"})

"""The services that give credentials, played on this machine: one server that is the metadata service of an EC2
instance, of a Google and of an Azure machine, AWS STS, IAM Identity Center, Microsoft Entra, Google's and IBM's token
services, a Databricks workspace.

    with TokenServices() as services:
        Client(environment={"AWS_EC2_METADATA_SERVICE_ENDPOINT": services.url, ...})

It is written from the services' documentation and refuses what they refuse: each request is checked (method, headers,
form, proof of identity, signature) before anything is given. What it gives is new each time and remembered, so that a
test can tell at the model host what should arrive. `lifetime` is how long the next credentials hold; `faults` breaks a
service: a status, (status, body), HANG (no answer until the test is over), CLOSE (no answer, and the line drops) or
ECHO (a refusal that quotes the whole request).
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from penstock.testing.providers import Headers, ReceivedRequest
from penstock.testing.providers import sigv4 as peer

HANG: Final = "hang"
CLOSE: Final = "close"
ECHO: Final = "echo"
Fault: TypeAlias = int | str | tuple[int, str]

# What callers must prove themselves with. All of it is fake, and none of it may ever show up in an error or a log.
WEB_IDENTITY = "eyFAKE.web-identity-fake.signature"
POD_TOKEN = "pod-authorization-token-fake"
BASE_KEY, BASE_SECRET = "AKIABASEFAKE", "base-secret-access-key-fake"
SSO_TOKEN = "sso-access-token-fake"
REFRESH_TOKEN = "1//refresh-token+fake"
CLIENT_SECRET = "client-secret-fake-0123456789"
IDENTITY_HEADER = "identity-header-fake"
IBM_KEY = "ibm-api-key-fake-0123456789"
SUBJECT_TOKEN = "subject-token-fake-0123456789"
SECRETS = (
    WEB_IDENTITY,
    POD_TOKEN,
    BASE_SECRET,
    SSO_TOKEN,
    REFRESH_TOKEN,
    CLIENT_SECRET,
    IDENTITY_HEADER,
    IBM_KEY,
    SUBJECT_TOKEN,
)
ROLE_ARN = "arn:aws:iam::123456789012:role/tester"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to a service."""

    service: str
    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A service says no, in its own shape."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(status)
        self.answer = Answer(status, _bytes(body), headers)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _echo(asked: Asked) -> bytes:
    said = f"you sent {dict(asked.headers)} and {asked.body.decode()} which is {asked.form if asked.body else ''}"
    if asked.service == "sts":
        return f"<Error><Code>Echo</Code><Message>{escape(said, quote=False)}</Message></Error>".encode()
    return _bytes({"message": said})


def _json(body: Any, **headers: str) -> Answer:
    return Answer(200, _bytes(body), {"content-type": "application/json", **headers})


def _timestamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


class TokenServices:
    """The server. `aws` maps every access key that is good to its secret (give it to `SimulatedProviders` as
    `aws_secrets`), `sessions` the temporary ones to their session tokens; `tokens` are the bearer tokens given so far.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.aws: dict[str, str] = {BASE_KEY: BASE_SECRET}
        self.sessions: dict[str, str] = {}
        self.tokens: list[str] = []
        self.lifetime = 3600.0
        self.faults: dict[str, Fault] = {}
        self.public_key: Any = None
        self.relay_to = ""
        self.imds_version = 2
        self.delay = threading.Event()
        self.delay.set()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> TokenServices:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.delay.set()
        self._server.shutdown()
        self._server.server_close()

    def count(self, service: str) -> int:
        """How often a service was asked."""
        with self._lock:
            return sum(asked.service == service for asked in self.asked)

    @property
    def secrets(self) -> list[str]:
        """Everything that must not be seen: what callers prove themselves with, and what they were given."""
        return [*SECRETS, *self.aws.values(), *self.sessions.values(), *self.tokens]

    # -- what it does with a request

    def answer(self, method: str, target: str, headers: Headers, body: bytes) -> Answer | None:
        """The answer; None: the line drops."""
        path = urlsplit(target).path
        found = next((row for row in ROUTES if row[0] == method and re.fullmatch(row[1], path)), None)
        service = found[2] if found else "nothing"
        asked = Asked(service, method, target, headers, body)
        with self._lock:
            self.asked.append(asked)
        self.delay.wait(30)
        fault = self.faults.get(service)
        if fault == HANG:
            self._over.wait(60)
        if fault in (HANG, CLOSE):
            return None
        if fault == ECHO:
            return Answer(400, _echo(asked))
        if isinstance(fault, int):
            return Answer(fault, b'{"error": "server_error", "message": "scripted"}')
        if isinstance(fault, tuple):
            return Answer(fault[0], fault[1].encode())
        if found is None:
            return Answer(404, b"no such service")
        try:
            return found[3](self, asked)
        except Refused as refused:
            return refused.answer

    # -- what is given

    def keys(self) -> tuple[str, str, str, str]:
        """New temporary AWS keys: access key, secret, session token, expiration."""
        with self._lock:
            number = len(self.sessions) + 1
            access = f"ASIAFAKE{number:04}"
            self.aws[access] = f"temporary-secret-fake/{number}+x="
            self.sessions[access] = f"session-token-fake/{number}+y=="
        return access, self.aws[access], self.sessions[access], _timestamp(time.time() + self.lifetime)

    def token(self) -> str:
        """A new bearer token."""
        with self._lock:
            self.tokens.append(f"access-token-fake-{len(self.tokens) + 1:04}")
            return self.tokens[-1]

    def oauth(self, **more: Any) -> Answer:
        """A token as RFC 6749 has it."""
        return _json({"access_token": self.token(), "token_type": "Bearer", "expires_in": int(self.lifetime), **more})


Service: TypeAlias = Callable[[TokenServices, Asked], Answer]


# -- AWS ---------------------------------------------------------------------------------------------------------------

_IMDS_SESSION = "imds-session-token-fake=="


def _imds_token(services: TokenServices, asked: Asked) -> Answer:
    if services.imds_version == 1:
        raise Refused(404, "<html>404 - Not Found</html>")
    if "x-aws-ec2-metadata-token-ttl-seconds" not in asked.headers:
        raise Refused(400, "")
    return Answer(200, _IMDS_SESSION.encode(), {"content-type": "text/plain"})


def _imds_checked(services: TokenServices, asked: Asked) -> None:
    wanted = None if services.imds_version == 1 else _IMDS_SESSION
    if asked.headers.get("x-aws-ec2-metadata-token") != wanted:
        raise Refused(401, "")


def _imds_roles(services: TokenServices, asked: Asked) -> Answer:
    _imds_checked(services, asked)
    return Answer(200, b"the-role", {"content-type": "text/plain"})


def _aws_json(services: TokenServices) -> Answer:
    access, secret, session, expiration = services.keys()
    wire = {"AccessKeyId": access, "SecretAccessKey": secret, "Token": session, "Expiration": expiration}
    return _json({"Code": "Success", "Type": "AWS-HMAC", **wire})


def _imds_role(services: TokenServices, asked: Asked) -> Answer:
    _imds_checked(services, asked)
    return _aws_json(services)


def _container(services: TokenServices, asked: Asked) -> Answer:
    if asked.headers.get("authorization") != POD_TOKEN:
        raise Refused(401, {"message": "The token is not valid."})
    return _aws_json(services)


def _process(services: TokenServices, asked: Asked) -> Answer:
    """What the tests' credential process prints."""
    access, secret, session, expiration = services.keys()
    wire = {"AccessKeyId": access, "SecretAccessKey": secret, "SessionToken": session, "Expiration": expiration}
    return _json({"Version": 1, **wire})


def _sts(services: TokenServices, asked: Asked) -> Answer:
    form = asked.form
    if form.get("Version") != "2011-06-15" or form.get("RoleArn") != ROLE_ARN or not form.get("RoleSessionName"):
        raise _sts_error(400, "ValidationError", "what is asked for is not complete")
    action = form["Action"]
    if action == "AssumeRoleWithWebIdentity":
        if form.get("WebIdentityToken") != WEB_IDENTITY or "authorization" in asked.headers:
            raise _sts_error(400, "InvalidIdentityToken", "The token is not valid")
    else:
        _check_signature(services, asked)
    access, secret, session, expiration = services.keys()
    return Answer(
        200,
        f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
        <AssumedRoleUser><AssumedRoleId>AROAFAKE:s</AssumedRoleId><Arn>{ROLE_ARN}/s</Arn></AssumedRoleUser>
        <Credentials><AccessKeyId>{access}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
        <SessionToken>{session}</SessionToken><Expiration>{expiration}</Expiration></Credentials>
        </{action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>""".encode(),
        {"content-type": "text/xml"},
    )


def _sts_error(status: int, code: str, message: str) -> Refused:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return Refused(status, body + "<RequestId>r</RequestId></ErrorResponse>")


def _check_signature(services: TokenServices, asked: Asked) -> None:
    """By the peer's reading of the rules; temporary keys must bring their session token."""
    request = ReceivedRequest(0, asked.method, asked.target, asked.headers, asked.body)
    try:
        signature = peer.parse(asked.headers.get("authorization", ""))
    except ValueError as error:
        raise _sts_error(403, "IncompleteSignature", str(error)) from None
    secret = services.aws.get(signature.access_key)
    session = services.sessions.get(signature.access_key)
    if secret is None or session != asked.headers.get("x-amz-security-token") or signature.service != "sts":
        raise _sts_error(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
    if peer.expected(signature, request, secret) != signature.signature:
        raise _sts_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")


def _sso(services: TokenServices, asked: Asked) -> Answer:
    if asked.headers.get("x-amz-sso_bearer_token") != SSO_TOKEN:
        raise Refused(401, {"message": "Session token not found or invalid"})
    if asked.query != {"role_name": "Developer", "account_id": "123456789012"}:
        raise Refused(403, {"message": "No access"})
    access, secret, session, _ = services.keys()
    expiration = int((time.time() + services.lifetime) * 1000)
    wire = {"accessKeyId": access, "secretAccessKey": secret, "sessionToken": session, "expiration": expiration}
    return _json({"roleCredentials": wire})


# -- Google ------------------------------------------------------------------------------------------------------------

_GOOGLE = {"Metadata-Flavor": "Google"}


def _google_checked(asked: Asked) -> None:
    if asked.headers.get("metadata-flavor") != "Google" or "x-forwarded-for" in asked.headers:
        raise Refused(403, "Missing Metadata-Flavor:Google header.", **_GOOGLE)


def _google_metadata_token(services: TokenServices, asked: Asked) -> Answer:
    _google_checked(asked)
    answer = services.oauth()
    return Answer(200, answer.body, {**answer.headers, **_GOOGLE})


def _google_metadata_project(services: TokenServices, asked: Asked) -> Answer:
    _google_checked(asked)
    return Answer(200, b"metadata-project", _GOOGLE)


def _google_token(services: TokenServices, asked: Asked) -> Answer:
    form = asked.form
    grant = form.get("grant_type")
    if grant == "refresh_token":
        known = (form.get("refresh_token"), form.get("client_id"), form.get("client_secret"))
        if known != (REFRESH_TOKEN, "client", CLIENT_SECRET):
            raise Refused(400, {"error": "invalid_grant", "error_description": "Bad Request"})
    elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
        _check_assertion(services, form.get("assertion", ""))
    else:
        raise Refused(400, {"error": "unsupported_grant_type"})
    return services.oauth()


def _check_assertion(services: TokenServices, assertion: str) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    head, claims, signature = assertion.split(".")
    pad = "=="
    services.public_key.verify(
        base64.urlsafe_b64decode(signature + pad), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    said = json.loads(base64.urlsafe_b64decode(claims + pad))
    now = time.time()
    if said["aud"] != services.url + "/google/token" or said["scope"] != SCOPE or said["iss"] != "robot@fake.example":
        raise Refused(400, {"error": "invalid_grant", "error_description": "Invalid JWT claims."})
    if not said["iat"] - 300 <= now <= said["exp"] or said["exp"] - said["iat"] > 3600:
        said_of_it = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        raise Refused(400, {"error": "invalid_grant", "error_description": said_of_it})


def _google_sts(services: TokenServices, asked: Asked) -> Answer:
    form = asked.form
    if form.get("subject_token") != SUBJECT_TOKEN or form.get("audience") != "//iam.fake/pool":
        raise Refused(400, {"error": "invalid_grant", "error_description": "The subject token is not valid."})
    return services.oauth(issued_token_type="urn:ietf:params:oauth:token-type:access_token")


def _google_impersonation(services: TokenServices, asked: Asked) -> Answer:
    if asked.headers.get("authorization") != f"Bearer {services.tokens[-1]}" or json.loads(asked.body)["scope"] != [
        SCOPE
    ]:
        raise Refused(403, {"error": {"code": 403, "message": "Permission denied.", "status": "PERMISSION_DENIED"}})
    return _json({"accessToken": services.token(), "expireTime": _timestamp(time.time() + services.lifetime)})


def _subject(services: TokenServices, asked: Asked) -> Answer:
    if asked.headers.get("x-who") != "tester":
        raise Refused(403, "")
    return _json({"id_token": SUBJECT_TOKEN})


# -- Microsoft, IBM, Databricks ----------------------------------------------------------------------------------------

_AZURE_RESOURCE = "https://cognitiveservices.azure.com"


def _entra(services: TokenServices, asked: Asked) -> Answer:
    form = asked.form
    proven = form.get("client_secret") == CLIENT_SECRET or (
        form.get("client_assertion") == WEB_IDENTITY
        and form.get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    )
    if asked.path != "/tenant-fake/oauth2/v2.0/token" or form.get("scope") != f"{_AZURE_RESOURCE}/.default":
        raise Refused(400, {"error": "invalid_scope", "error_description": "AADSTS70011: The scope is not valid."})
    if not proven or form.get("client_id") != "client" or form.get("grant_type") != "client_credentials":
        raise Refused(
            401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
        )
    return services.oauth(ext_expires_in=int(services.lifetime))


def _managed(services: TokenServices, asked: Asked) -> Answer:
    """Numbers are strings here, and App Service tells the moment only."""
    if asked.query.get("resource") != _AZURE_RESOURCE or "x-forwarded-for" in asked.headers:
        raise Refused(400, {"error": "invalid_request", "error_description": "Required audience parameter missing"})
    moment = str(int(time.time() + services.lifetime))
    if asked.service == "app service":
        if asked.headers.get("x-identity-header") != IDENTITY_HEADER or asked.query.get("api-version") != "2019-08-01":
            raise Refused(401, {"statusCode": 401, "message": "Unauthorized"})
        return _json({"access_token": services.token(), "expires_on": moment, "token_type": "Bearer"})
    if asked.headers.get("metadata") != "true" or asked.query.get("api-version") != "2018-02-01":
        raise Refused(400, {"error": "bad_request_102", "error_description": "Required metadata header not specified"})
    lifetime = str(int(services.lifetime))
    return _json({"access_token": services.token(), "expires_in": lifetime, "expires_on": moment})


def _ibm(services: TokenServices, asked: Asked) -> Answer:
    form = asked.form
    if form != {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": IBM_KEY}:
        raise Refused(400, {"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."})
    return services.oauth(expiration=int(time.time() + services.lifetime))


def _databricks(services: TokenServices, asked: Asked) -> Answer:
    basic = base64.b64encode(f"client:{CLIENT_SECRET}".encode()).decode()
    if asked.headers.get("authorization") != f"Basic {basic}":
        raise Refused(401, {"error": "invalid_client", "error_description": "Client authentication failed"})
    if asked.form != {"grant_type": "client_credentials", "scope": "all-apis"}:
        raise Refused(400, {"error": "invalid_request"})
    return services.oauth()


def _relay(services: TokenServices, asked: Asked) -> Answer:
    """Hosts that have their token service under their own address: the call goes on to a simulated provider."""
    to = urlsplit(services.relay_to)
    body = json.loads(asked.body)
    body["model"] = body.pop("model_id", "model")  # what watsonx calls it
    body.pop("project_id", None)
    connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=30)
    try:
        connection.request("POST", to.path + "/chat/completions", json.dumps(body), _forwarded(asked))
        response = connection.getresponse()
        return Answer(response.status, response.read(), {"content-type": response.headers["content-type"]})
    finally:
        connection.close()


def _forwarded(asked: Asked) -> dict[str, str]:
    return {name: asked.headers[name] for name in ("authorization", "content-type")}


_ROLES = r"/latest/meta-data/iam/security-credentials/"
ROUTES: tuple[tuple[str, str, str, Service], ...] = (
    ("PUT", r"/latest/api/token", "imds token", _imds_token),
    ("GET", _ROLES, "imds roles", _imds_roles),
    ("GET", _ROLES + "the-role", "imds", _imds_role),
    ("GET", r"/container", "container", _container),
    ("GET", r"/process", "process", _process),
    ("POST", r"/sts/?", "sts", _sts),
    ("GET", r"/sso/federation/credentials", "sso", _sso),
    ("GET", r"/computeMetadata/v1/instance/service-accounts/default/token", "google metadata", _google_metadata_token),
    ("GET", r"/computeMetadata/v1/project/project-id", "google project", _google_metadata_project),
    ("POST", r"/google/token", "google token", _google_token),
    ("POST", r"/google/sts", "google sts", _google_sts),
    ("POST", r"/google/impersonate", "google impersonation", _google_impersonation),
    ("GET", r"/subject", "subject", _subject),
    ("POST", r"/[^/]+/oauth2/v2\.0/token", "entra", _entra),
    ("GET", r"/msi/token", "app service", _managed),
    ("GET", r"/metadata/identity/oauth2/token", "azure imds", _managed),
    ("POST", r"/identity/token", "ibm", _ibm),
    ("POST", r"/oidc/v1/token", "databricks", _databricks),
    ("POST", r"/serving-endpoints/chat/completions", "relay", _relay),
    ("POST", r"/ml/v1/text/chat", "relay", _relay),
)
"""Method, path, the service's name in `count` and `faults`, and what it does."""


def _handler(services: TokenServices) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            answer = services.answer(self.command, self.path, Headers(self.headers.items()), body)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = _any

        def log_message(self, *_: object) -> None:
            pass

    return Handler

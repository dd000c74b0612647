"""Every known place of a request where a credential, a route or a method may hide, as tables.

On a host that a secret is bound to, the only credential that leaves is ours: an attacker who may call
`files.upload` with their own key needs no secret of ours (CVE-2026-105452). So beside the slot nothing may carry one:
neither a header of these tables, nor a parameter, nor a name that looks like one of a service that the tables do not
know. `Authorization` and its kin on hosts without a binding are the client's own affair.

Hop-by-hop headers, what proxies tell about the client, and what makes a request another one than its first line says
(`X-HTTP-Method-Override`, `X-Original-URL`) leave on no host: RFC 9110 7.6.1, and rules match what the first line says.
Names are compared in lower case, with `_` as `-`: CGI makes one variable of both.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

Family = Literal["hop", "forwarding", "override", "credential", "other"]

HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "http2-settings", "expect",
    "alt-used", "early-data",
))  # fmt: skip
"""Between two programs only. `transfer-encoding` and `content-length` frame the body; inject.py sees to them."""

FORWARDING = frozenset((
    "forwarded", "via", "x-real-ip", "x-client-ip", "client-ip", "x-cluster-client-ip", "true-client-ip",
    "cf-connecting-ip", "cf-connecting-ipv6", "cf-ipcountry", "cf-ray", "cf-visitor", "cf-worker", "cdn-loop",
    "fastly-client-ip", "fastly-ssl", "fastly-temp-xff", "akamai-origin-hop", "x-azure-clientip", "x-azure-socketip",
    "x-appengine-user-ip", "x-original-url", "x-original-uri", "x-original-host", "x-original-for",
    "x-original-proto", "x-original-forwarded-for", "x-rewrite-url", "x-rewrite-uri", "x-override-url",
    "x-http-host-override", "x-host", "x-host-override", "x-backend-host", "x-proxy-url", "x-url-scheme", "x-scheme",
    "x-forward-for", "x-forwarder-for", "x-remote-ip", "x-remote-addr", "x-originating-ip", "x-proxyuser-ip",
    "x-arr-ssl", "front-end-https", "x-accel-redirect", "x-accel-internal", "x-sendfile", "x-envoy-original-path",
    "x-envoy-original-host", "x-ms-original-url", "destination-host", "request-uri", "base-url", "http-url",
    "max-forwards", "proxy", "x-coming-from", "x-wap-profile", "x-middleware-subrequest", "x-middleware-rewrite",
    "x-invoke-path", "x-ssl-cert", "x-client-cert", "x-client-verify", "ssl-client-cert", "x-amzn-mtls-clientcert",
))  # fmt: skip
_FORWARDING_PREFIXES = ("x-forwarded", "x-envoy-", "proxy-", "x-proxy-", "ssl-client-", "x-ssl-client-")

METHOD_OVERRIDE = frozenset((
    "x-http-method-override", "x-http-method", "x-method-override", "x-method", "x-original-method",
    "x-rewrite-method", "x-forwarded-method", "http-method-override", "x-http-verb-override",
))  # fmt: skip
METHOD_OVERRIDE_PARAMETERS = frozenset(
    ("_method", "_httpmethod", "x-http-method-override", "$httpmethod", "httpmethod")
)

CREDENTIAL_HEADERS = frozenset((
    "authorization", "cookie", "cookie2", "x-api-key", "api-key", "apikey", "x-apikey",
    "x-api-token", "api-token", "x-api-secret", "x-goog-api-key", "x-goog-iam-authorization-token",
    "x-goog-authenticated-user-jwt", "x-auth-token", "x-auth-key", "x-auth-email", "x-auth-user", "x-auth",
    "x-access-token", "access-token", "x-token", "token", "auth", "x-authorization", "x-original-authorization",
    "x-amz-security-token", "x-amz-access-token", "x-aws-ec2-metadata-token",
    "x-vault-token", "x-consul-token", "x-nomad-token", "private-token", "job-token", "deploy-token",
    "x-gitlab-token", "x-github-token", "circle-token", "dd-api-key", "dd-application-key", "x-datadog-api-key",
    "x-honeycomb-team", "x-insert-key", "x-query-key", "x-license-key", "x-sentry-auth", "x-figma-token",
    "x-shopify-access-token", "x-shopify-storefront-access-token", "x-postmark-server-token",
    "x-postmark-account-token", "x-airtable-api-key", "x-pinecone-api-key", "x-rapidapi-key", "x-mashape-key",
    "x-parse-rest-api-key", "x-parse-master-key", "x-parse-session-token", "x-algolia-api-key", "x-typesense-api-key",
    "x-meili-api-key", "x-appwrite-key", "x-appwrite-jwt", "x-hasura-admin-secret", "x-supabase-auth",
    "x-redmine-api-key", "x-jfrog-art-api", "x-nuget-apikey", "x-octopus-apikey", "x-rundeck-auth-token",
    "x-zoho-authtoken", "x-plex-token", "x-emby-token", "x-csa-token", "x-subject-token", "x-storage-token",
    "x-ibm-client-secret", "x-ibm-client-id", "ocp-apim-subscription-key", "x-functions-key",
    "x-ms-token-aad-access-token", "x-ms-authorization-auxiliary", "x-ns-proxy-auth", "x-cisco-meraki-api-key",
    "x-pan-key", "x-chkp-sid", "x-session-id", "x-session-token", "x-sid", "x-user-token",
    "x-app-token", "x-client-secret", "x-client-token", "x-secret", "x-secret-key", "x-password", "x-service-token",
    "x-admin-token", "x-bearer-token", "x-id-token", "id-token", "x-jwt", "x-jwt-assertion", "x-identity-token",
    "x-signature", "signature", "signature-input", "dpop", "client-cert", "client-cert-chain", "x-mbx-apikey",
    "cb-access-key", "cb-access-sign", "cb-access-passphrase", "ok-access-key", "x-elastic-internal-token",
    "es-secondary-authorization", "es-security-runas-user", "x-dropbox-api-token", "x-notion-token",
    "x-discord-token", "x-telegram-bot-api-secret-token",
))  # fmt: skip
"""Keys, tokens, sessions and signatures, as the documentation of services names them."""

_LOOKS_LIKE_CREDENTIAL = re.compile(
    r"(?:.*-)?(?:authorization|authentication|token|api-?key|app-?key|access-?key|auth-?key|secret|secret-?key|password"
    r"|passwd|credentials?|jwt|bearer|api-?secret|client-?secret|subscription-?key|session-?key)"
)
_HARMLESS = frozenset((
    "x-csrf-token", "x-xsrf-token", "csrf-token", "xsrf-token", "x-csrftoken", "continuation-token", "page-token",
    "x-ms-continuation-token", "x-ms-session-token", "x-page-token", "next-token", "x-next-token", "sync-token",
    "x-idempotency-token", "idempotency-token", "x-request-token", "lock-token", "x-amz-copy-source-token",
    "x-cancel-token", "delta-token", "session-id",
))  # fmt: skip
"""They end like credentials and are none."""

CREDENTIAL_PARAMETERS = frozenset((
    "key", "api_key", "apikey", "api-key", "x-api-key", "x_api_key", "app_key", "appkey", "appid", "app_id",
    "access_key", "accesskey", "access_token", "access-token", "accesstoken", "token", "auth", "auth_token",
    "authtoken", "auth_key", "authorization", "bearer", "bearer_token", "oauth_token", "oauth_signature",
    "oauth_consumer_key", "id_token", "private_token", "job_token", "deploy_token", "personal_access_token", "pat",
    "circle-token", "jwt", "session", "sessionid", "session_id", "session_token", "sid", "jsessionid", "phpsessid",
    "sig", "signature", "sign", "hmac", "client_secret", "secret", "secret_key", "password", "passwd", "pwd", "pass",
    "credential", "credentials", "awsaccesskeyid", "googleaccessid", "x-amz-algorithm", "x-amz-credential",
    "x-amz-signature", "x-amz-security-token", "x-goog-algorithm", "x-goog-credential", "x-goog-signature",
    "subscription-key", "subscription_key", "api_token", "apitoken", "user_token", "hapikey", "dd-api-key",
    "rest_api_key", "api_secret", "license_key",
))  # fmt: skip

FORM_CREDENTIALS = frozenset((
    "access_token", "token", "api_key", "apikey", "api-key", "api_token", "auth_token", "oauth_token",
    "private_token", "job_token", "app_key", "bearer_token",
))  # fmt: skip
"""Fields of a form with which APIs authenticate a request in place of a header (RFC 6750 2.2, Slack)."""

CREDENTIAL_PROTOCOLS = (
    "openai-insecure-api-key.",
    "base64url.bearer.authorization.k8s.io.",
    "bearer.",
    "access_token.",
)
"""Beginnings of `Sec-WebSocket-Protocol` values that carry a credential."""

SIGV4_HEADERS = frozenset(("authorization", "x-amz-security-token"))
SIGV4_PARAMETERS = frozenset(("x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-security-token"))
"""What a signing client sends, for the credential to verify and to replace."""


_TYPE_ENDS = re.compile("[;,]")
_ORDINARY = frozenset((
    "host", "user-agent", "accept", "accept-encoding", "accept-language", "content-type", "content-length",
    "content-encoding", "transfer-encoding", "cache-control", "pragma", "origin", "referer", "range", "if-range",
    "if-none-match", "if-match", "if-modified-since", "if-unmodified-since", "date", "anthropic-version",
    "anthropic-beta", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol",
    "sec-websocket-extensions", "x-amz-date", "x-amz-content-sha256", "x-request-id", "idempotency-key", "traceparent",
))  # fmt: skip
_KNOWN: Mapping[str, Family] = {
    **dict.fromkeys(_ORDINARY | _HARMLESS, "other"),
    **dict.fromkeys(FORWARDING, "forwarding"),
    **dict.fromkeys(CREDENTIAL_HEADERS, "credential"),
    **dict.fromkeys(METHOD_OVERRIDE, "override"),
    **dict.fromkeys(HOP_BY_HOP, "hop"),
}


def family(name: str) -> Family:
    """Say what a header (lower case) is to the vault."""
    plain = name.replace("_", "-")
    known = _KNOWN.get(plain)
    if known is not None:
        return known
    if plain.startswith(_FORWARDING_PREFIXES):
        return "forwarding"
    return "credential" if _LOOKS_LIKE_CREDENTIAL.fullmatch(plain) else "other"


def is_credential_parameter(name: str) -> bool:
    """Say whether a parameter of a query carries credentials. `name` is decoded; case does not count."""
    return name.strip().lower() in CREDENTIAL_PARAMETERS


def is_form(content_types: Iterable[str]) -> bool:
    """Say whether some program takes a body of this `Content-Type` for a form: some cut its value at a comma (Rack)."""
    words = [word.strip().lower() for value in content_types for word in _TYPE_ENDS.split(value)]
    return "application/x-www-form-urlencoded" in words


def is_method_override(name: str) -> bool:
    """Say whether a parameter of a query or form makes the request another method."""
    return name.strip().lower() in METHOD_OVERRIDE_PARAMETERS


def protocols_without_credentials(value: str) -> str:
    """Return `Sec-WebSocket-Protocol` without the values that carry a credential."""
    kept = [part.strip() for part in value.split(",")]
    return ", ".join(part for part in kept if part and not part.lower().startswith(CREDENTIAL_PROTOCOLS))

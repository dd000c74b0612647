"""The last step before a request leaves: its headers, and its authorisation. The same for every call, chat or not."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from penstock.client.options import Options
from penstock.exchange import HTTPRequest, Preparation
from penstock.providers.auth.commands import Flow
from penstock.providers.auth.credentials import Credential, CredentialCache, NoCredential
from penstock.providers.endpoint import Endpoint

_NO_CREDENTIAL = NoCredential()


def authorise(
    endpoint: Endpoint,
    body: bytes,
    options: Options,
    credentials: CredentialCache,
    now: float,
    content_type: str | None = "application/json",
) -> Preparation:
    """The request to `endpoint` with this body. The caller's own headers win over the row's, never over the
    authorisation.
    """
    url = _with_query(endpoint.full_url, options.extra_query)
    headers = {"content-type": content_type} if content_type else {}
    headers = {**headers, **endpoint.headers, **(options.extra_headers or {})}
    credential: Credential = _NO_CREDENTIAL
    if endpoint.auth.needs_credential:
        credential = yield from _obtain(endpoint, credentials, now)
    signed = endpoint.auth.sign(endpoint.method, url, headers, body, credential, now)
    return HTTPRequest(endpoint.method, signed.url, tuple({**headers, **signed.headers}.items()), body)


def _obtain(endpoint: Endpoint, credentials: CredentialCache, now: float) -> Flow[Credential]:
    key = endpoint.auth.cache_key
    known = credentials.get(key, now)
    if known is None:
        known = yield from endpoint.auth.obtain(now)
        credentials.put(key, known)
    return known


def _with_query(url: str, query: Mapping[str, str] | None) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"

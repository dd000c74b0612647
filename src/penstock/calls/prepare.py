"""The last steps before a request leaves: finding the target, completing the body, authorising. The same for every
call, chat or not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from penstock.calls.betas import joined
from penstock.calls.modifying import is_allowed
from penstock.calls.options import Options
from penstock.dialects import wire
from penstock.exchange import HTTPRequest, Preparation
from penstock.providers.auth.commands import Flow
from penstock.providers.auth.credentials import Borrowing, Credential, NoCredential
from penstock.providers.auth.single_flight import Memory, obtain_once
from penstock.providers.discover import discover, undiscovered
from penstock.providers.endpoint import Endpoint, endpoint
from penstock.providers.resolve_model import ResolvedModel
from penstock.types.errors import LossError, MalformedError
from penstock.types.notes import Note

_NO_CREDENTIAL = NoCredential()


class UnsupportedParameter(LossError):
    """A parameter that the target does not take, and that the caller did not allow to be dropped."""


def locate(
    resolved: ResolvedModel,
    capability: str,
    options: Options,
    environment: Mapping[str, str],
    *,
    stream: bool = False,
    prefer: Sequence[str] = (),
    facts: Callable[[str, str, str], Mapping[str, Any]] | None = None,
    memory: Memory | None = None,
    now: float = 0.0,
) -> Generator[Any, Any, Endpoint]:
    """The target of a call, spoken to in one of the formats `prefer` where the host can. Files and metadata servers are
    asked only for settings that nobody gave, and once for all calls that share a `memory`. Raises ProviderError.
    """
    provider, parameters = resolved.provider, options.address
    if undiscovered(provider, resolved.model, parameters, environment):
        found = yield from discover(provider, resolved.model, parameters, environment, memory=memory, now=now)
        parameters = {**parameters, **found}
    return endpoint(
        provider,
        capability,
        resolved.model,
        stream=stream,
        parameters=parameters,
        environment=environment,
        selector=resolved.selector,
        prefer=prefer,
        base_model=options.base_model or resolved.base_model,
        facts=facts,
        written=resolved.written,
    )


def refuse_unsupported(notes: tuple[Note, ...], parameters: frozenset[str], name: str, options: Options) -> None:
    """A whole parameter that was dropped is an error, as LiteLLM's users expect, unless they said `drop_params`.

    Raises UnsupportedParameter.
    """
    if options.drop_params:
        return
    if options.modify_params:
        parameters -= {"reasoning"}  # a turn that began without thoughts goes on without: LiteLLM's rule
    for note in notes:
        parameter = note.path.partition(".")[0]
        if note.kind == "dropped" and parameter in parameters and not is_allowed(parameter, options):
            message = f"{name} does not take {parameter!r} ({note.detail}). Pass drop_params=True to leave it out"
            raise UnsupportedParameter(message, parameter)


def complete(body: dict[str, Any], target: Endpoint, options: Options) -> dict[str, Any]:
    """The body with what the target and the caller add to it and take from it."""
    for name in target.omit:
        body.pop(name, None)
    if target.model_field != "model" and "model" in body:
        body[target.model_field] = body.pop("model")
    body.update(target.body)
    return wire.deep_merge(body, dict(options.extra_body)) if options.extra_body else body


def authorise(
    target: Endpoint,
    body: bytes,
    options: Options,
    credentials: Borrowing,
    now: float,
    content_type: str | None = "application/json",
) -> Preparation:
    """The request to `target` with this body. The caller's own headers win over the row's, never over the
    authorisation.
    """
    url = _with_query(target.full_url, options.extra_query)
    headers = {"content-type": content_type} if content_type else {}
    headers = joined(headers, target.headers, options.extra_headers)
    _require_sendable(options.extra_headers)
    credential: Credential = _NO_CREDENTIAL
    if target.auth.needs_credential:
        credential = yield from _obtain(target, credentials, now)
    signed = target.auth.sign(target.method, url, headers, body, credential, now)
    return HTTPRequest(target.method, signed.url, tuple(joined(headers, signed.headers).items()), body)


def _require_sendable(headers: Mapping[str, str] | None) -> None:
    """Raise MalformedError for a header of the caller's that HTTP cannot carry (RFC 9110, section 5.5), without its
    value, which may be secret.
    """
    for name, value in (headers or {}).items():
        if not isinstance(value, str):
            raise MalformedError(f"the header {name} must be a string, not {type(value).__name__}", "extra_headers")
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            message = f"the header {name} holds what no header can carry (only ASCII, no line break, no space around)"
            raise MalformedError(message, "extra_headers")


def _obtain(target: Endpoint, credentials: Borrowing, now: float) -> Flow[Credential]:
    key = target.auth.cache_key
    if not key:
        return (yield from target.auth.obtain(now))
    known = credentials.get(key, now)
    return known or (yield from obtain_once(credentials, key, target.auth.obtain, now))


def _with_query(url: str, query: Mapping[str, str] | None) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, quote_via=quote)}"  # a plus would be signed as one

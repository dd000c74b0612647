"""Failures: what can stop an attempt before it leaves, as an error value; and every error value as an exception of
the public tree.

Nothing else of the package is raised to the user: ProviderError (address, key), DialectError (shape, loss),
FetchRefused (media) and ExchangeFailed (the providers) all end here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from penstock.calls.prepare import UnsupportedParameter
from penstock.exchange import AttemptFailed, ExchangeFailed
from penstock.providers.errors import ProviderError, ProviderErrorKind
from penstock.resolve import FetchRefused
from penstock.types.errors import DialectError, ErrorKind, ErrorResponse, LossError
from penstock.types.retry import Tried

_KINDS: dict[ProviderErrorKind, ErrorKind] = {
    "unknown_provider": "invalid_request",
    "unknown_model": "invalid_request",
    "malformed_provider": "invalid_request",
    "malformed_prices": "invalid_request",
    "duplicate_provider": "invalid_request",
    "unsupported_capability": "unsupported",
    "missing_setting": "invalid_request",
    "missing_key": "authentication",
    "malformed_credentials": "authentication",
    "credentials_unavailable": "authentication",
    "token_refused": "authentication",
    "token_unreachable": "unavailable",
    "missing_extra": "invalid_request",
}
_STATUS: dict[ErrorKind, int] = {"authentication": 401, "unavailable": 503, "rate_limit": 429}


def _kind(error: ProviderError) -> ErrorKind:
    """What to call it. A token service that is down, or overrun, says nothing about anybody's key."""
    if error.retryable:
        return "rate_limit" if error.status == 429 else "unavailable"
    return _KINDS[error.kind]


def error_of(error: ProviderError | DialectError | FetchRefused) -> ErrorResponse:
    """An error of ours as the value that the exchange and the exception tree read."""
    if isinstance(error, ProviderError):
        kind = _kind(error)
        param = "model" if error.kind == "unknown_model" else None
        return ErrorResponse(
            kind=kind, status=_STATUS.get(kind, 400), message=str(error), native=error.kind, param=param
        )
    if isinstance(error, FetchRefused):
        return ErrorResponse(kind="invalid_request", status=400, message=str(error), native="media")
    if isinstance(error, UnsupportedParameter):
        return ErrorResponse(
            kind="unsupported", status=400, message=error.message, native="parameter", param=error.path
        )
    native = "loss" if isinstance(error, LossError) else "malformed"
    return ErrorResponse(
        kind="invalid_request", status=400, message=str(error), native=native, param=error.path or None
    )


@contextmanager
def stopping_the_attempt() -> Iterator[None]:
    """Turn an error of ours into one that stops this attempt only: a fallback may still do."""
    try:
        yield
    except (ProviderError, DialectError, FetchRefused) as error:
        raise AttemptFailed(error_of(error)) from error


@contextmanager
def raising(provider: str, model: str) -> Iterator[None]:
    """Turn everything that a call can fail with into the exception for it."""
    try:
        yield
    except ExchangeFailed as failed:
        last: Tried = failed.tried[-1]
        cause = failed.__cause__ or failed.__context__
        raise _exception(failed.error, last.provider or provider, last.model or model, failed.tried) from cause
    except AttemptFailed as failed:
        raise _exception(failed.error, provider, model) from failed.__cause__
    except (ProviderError, DialectError, FetchRefused) as error:
        raise _exception(error_of(error), getattr(error, "provider", "") or provider, model) from error


def _exception(error: ErrorResponse, provider: str, model: str, tried: tuple[Tried, ...] = ()) -> Exception:
    from penstock.exceptions import from_error  # on first failure only: it may load the openai package

    return from_error(_advised(error, provider, model), provider, model, tried)


def _advised(error: ErrorResponse, provider: str, model: str) -> ErrorResponse:
    """An error about a model that neither the provider nor we know, with the names that look most like it."""
    if error.kind != "not_found" or error.dialect is None or not model:
        return error
    from penstock.providers.facts import current_facts

    facts = current_facts()
    if facts.find(model, provider) is not None:
        return error
    near = [name for name in facts.nearest(model) if facts.provider_of(name) == provider]
    return replace(error, message=f"{error.message} Did you mean {' or '.join(near)}?") if near else error

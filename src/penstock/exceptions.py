"""The exception tree of the SDK: LiteLLM's names, one constructor, and one table from what went wrong to the class.

    PenstockError                                          everything that a call raises
    +-- BadRequestError 400                                the caller: change the request
    |   +-- UnsupportedParamsError                         a parameter that this model does not take
    |   +-- ContextWindowExceededError                     shorten it, or take a model with a longer window
    |   +-- ContentPolicyViolationError                    the provider's policy refused it
    |   +-- ImageFetchError                                an image URL that could not, or may not, be fetched
    |   +-- RequestTooLargeError 413
    |   +-- TranslationLossError                           strict mode: the target cannot say what the caller said
    |   +-- UnknownModelError, RejectedRequestError, InvalidRequestError
    |   +-- UnknownCostError                               give prices of your own, or the model's right name
    +-- AuthenticationError 401, PermissionDeniedError 403, PaymentRequiredError 402        the account: key, rights,
                                                                                            money
    +-- NotFoundError 404, ConflictError 409, UnprocessableEntityError 422                  the caller
    +-- Timeout 408                                        nobody, or the caller: more time
    +-- RateLimitError 429                                 wait (`retry_after`), or raise the limit
    |   +-- QuotaExceededError                             waiting does not help: the account's quota is spent
    +-- BudgetExceededError 422                            whoever set the budget
    +-- APIError 500                                       the provider failed in a way it did not explain
    +-- InternalServerError 500, BadGatewayError 502       the provider
    +-- ServiceUnavailableError 503
    |   +-- MidStreamFallbackError
    +-- APIConnectionError 500                             the network: nothing, or nothing whole, came back
    |   +-- StreamInterruptedError                         a stream was cut; `partial` holds what had arrived
    +-- APIResponseValidationError 500                     the provider answered something that is no answer (`body`)
        +-- JSONSchemaValidationError                      the answer does not fit the schema that was asked for

Where the `openai` package is installed, each class that has a namesake there derives from it too, so that `except
openai.RateLimitError` keeps working. This module is therefore loaded on first use (an error, or a mention of its
names), never at `import penstock`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from msgspec import Struct

from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.notes import Note

if TYPE_CHECKING:
    from penstock.types.retry import Tried

_openai: Any = importlib.import_module("openai") if importlib.util.find_spec("openai") else None


def _peer(name: str) -> type[Exception]:
    """The class of that name in the `openai` package, or Exception where there is none."""
    found = getattr(_openai, name, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else Exception


if TYPE_CHECKING:
    _Root: TypeAlias = Exception
    _API: TypeAlias = Exception
    _Status: TypeAlias = Exception
    _BadRequest: TypeAlias = Exception
    _Authentication: TypeAlias = Exception
    _Permission: TypeAlias = Exception
    _NotFound: TypeAlias = Exception
    _Conflict: TypeAlias = Exception
    _Unprocessable: TypeAlias = Exception
    _RateLimit: TypeAlias = Exception
    _InternalServer: TypeAlias = Exception
    _Connection: TypeAlias = Exception
    _Timeout: TypeAlias = Exception
    _Validation: TypeAlias = Exception
else:
    _Root = _peer("OpenAIError")
    _API = _peer("APIError")
    _Status = _peer("APIStatusError")
    _BadRequest = _peer("BadRequestError")
    _Authentication = _peer("AuthenticationError")
    _Permission = _peer("PermissionDeniedError")
    _NotFound = _peer("NotFoundError")
    _Conflict = _peer("ConflictError")
    _Unprocessable = _peer("UnprocessableEntityError")
    _RateLimit = _peer("RateLimitError")
    _InternalServer = _peer("InternalServerError")
    _Connection = _peer("APIConnectionError")
    _Timeout = _peer("APITimeoutError")
    _Validation = _peer("APIResponseValidationError")


class AnswerFacts(Struct, frozen=True):
    """What an exception shows of the HTTP answer behind it, under the names that users of `openai` and `httpx` read:
    `status_code`, `headers`, `text`.
    """

    status_code: int
    headers: Mapping[str, str] = {}
    text: str = ""
    request: Any = None


class PenstockError(_Root):
    """Something that a call could not do.

    message          what happened, and what to do about it
    status_code      HTTP status, the provider's own where there was one
    llm_provider     who was asked; `model` for what
    kind             the unified word that retry and fallback decide by (`penstock.types.errors.ErrorKind`)
    body             the provider's error body, decoded
    type, code, param    the provider's own words
    retry_after      seconds, where the provider said so
    request_id       the provider's id of the request
    tried            every attempt with its error, oldest first (`penstock.types.retry.Tried`)
    response         `status_code`, `headers`, `text` of the answer
    """

    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str = "",
        llm_provider: str = "",
        model: str = "",
        response: Any = None,
        *,
        status_code: int | None = None,
        error: ErrorResponse | None = None,
        tried: Sequence[Tried] = (),
        num_retries: int | None = None,
        max_retries: int | None = None,
        litellm_debug_info: str | None = None,
        body: Any = None,
        **details: Any,
    ) -> None:
        Exception.__init__(self, message)
        self.message = message
        self.llm_provider = llm_provider
        self.model = model
        self.status_code: int = status_code or (error.status if error else None) or self.status
        self.kind: ErrorKind = error.kind if error else "unknown"
        self.body = error.body if error and body is None else body
        self.type = error.type if error else None
        self.code = None if error is None or error.code is None else str(error.code)
        self.param = error.param if error else None
        self.retry_after = error.retry_after if error else None
        self.request_id = error.request_id if error else None
        self.tried = tuple(tried)
        self.num_retries = max(0, len(self.tried) - 1) if num_retries is None else num_retries
        self.max_retries = max_retries
        self.litellm_debug_info = litellm_debug_info
        self.provider_specific_fields: dict[str, Any] | None = details.pop("provider_specific_fields", None)
        self.request: Any = None
        self.response = response if response is not None else AnswerFacts(self.status_code)
        for name, value in details.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        where = f"{self.llm_provider}/{self.model}".strip("/")
        return f"{type(self).__name__}: {f'{where}: ' if where else ''}{self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            self.message,
            {key: value for key, value in vars(self).items() if key != "request"},
        )


def _rebuild(kind: type[PenstockError], message: str, state: dict[str, Any]) -> PenstockError:
    made = kind(message)
    vars(made).update(state)
    return made


class BadRequestError(PenstockError, _BadRequest):
    """The request is wrong as it stands."""

    status = 400


class UnsupportedParamsError(BadRequestError):
    """A parameter that this provider or model does not take. `drop_params=True` leaves it out."""


class ContextWindowExceededError(BadRequestError):
    """The input is longer than the model's context window."""


class ContentPolicyViolationError(BadRequestError):
    """The provider's content policy refused the request."""


class ImageFetchError(BadRequestError):
    """An image (or file) URL that could not be fetched, or that may not be (a private address)."""


class RejectedRequestError(BadRequestError):
    """A hook or guardrail of the caller's refused the request."""


class InvalidRequestError(BadRequestError):
    """LiteLLM's older name for a malformed request."""


class UnknownModelError(BadRequestError):
    """No provider can be told from this model name. The message names the nearest ones."""


class UnknownCostError(BadRequestError):
    """What something costs cannot be told: it is not 0. `reasons` say what is missing, `at_least` (Decimal, US dollars)
    is what is known of it.
    """

    reasons: tuple[str, ...] = ()
    at_least: Any = None


class RequestTooLargeError(BadRequestError):
    """The body is larger than the provider takes."""

    status = 413


class AuthenticationError(PenstockError, _Authentication):
    """No credential, or one that the provider does not accept. The message names the variable to set."""

    status = 401


class PaymentRequiredError(PenstockError, _Status):
    """The account has no money left."""

    status = 402


class PermissionDeniedError(PenstockError, _Permission):
    """The credential is good, but not for this."""

    status = 403


class NotFoundError(PenstockError, _NotFound):
    """The provider knows no such model or object."""

    status = 404


class Timeout(PenstockError, _Timeout):  # LiteLLM's name
    """No answer in time: the connection, the first token, or the whole call."""

    status = 408


class ConflictError(PenstockError, _Conflict):
    """The object is in a state that does not allow this."""

    status = 409


class UnprocessableEntityError(PenstockError, _Unprocessable):
    """Well-formed, but not to be processed."""

    status = 422


class RateLimitError(PenstockError, _RateLimit):
    """Too many requests or tokens. `retry_after` says how long to wait, where the provider did."""

    status = 429


class QuotaExceededError(RateLimitError):
    """The account's quota is spent: waiting does not help."""


class BudgetExceededError(PenstockError):
    """A budget that somebody set here is spent."""

    status = 422


class APIError(PenstockError, _API):
    """The provider failed in a way that it did not explain."""


class InternalServerError(PenstockError, _InternalServer):
    """The provider failed."""


class BadGatewayError(PenstockError, _Status):
    """Something between here and the model failed."""

    status = 502


class ServiceUnavailableError(PenstockError, _Status):
    """The provider is overloaded or down."""

    status = 503


class MidStreamFallbackError(ServiceUnavailableError):
    """A stream failed after it had begun."""


class APIConnectionError(PenstockError, _Connection):
    """Nothing, or nothing whole, came back from the provider's address."""


class StreamInterruptedError(APIConnectionError):
    """A stream ended before its end. `partial` is the response as far as it had arrived."""

    partial: Any = None


class APIResponseValidationError(PenstockError, _Validation):
    """The provider answered something that is not an answer: not JSON, or not of its own API. `body` holds what it
    was.
    """


class JSONSchemaValidationError(APIResponseValidationError):
    """The answer does not fit the schema that was asked for. `raw_response` is its text, `errors` say where it
    departs, `schema` is what was asked for, `completion` the whole answer, `response_cost` what all tries cost in US
    dollars (None: unknown).
    """

    raw_response: str = ""
    errors: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None
    completion: Any = None
    response_cost: float | None = None


class TranslationLossError(BadRequestError):
    """`strict=True`: the target's API cannot say what the caller said. `notes` list what would have been lost."""

    notes: tuple[Note, ...] = ()


BY_KIND: dict[ErrorKind, type[PenstockError]] = {
    "invalid_request": BadRequestError,
    "context_window": ContextWindowExceededError,
    "content_policy": ContentPolicyViolationError,
    "unsupported": UnsupportedParamsError,
    "authentication": AuthenticationError,
    "billing": PaymentRequiredError,
    "permission": PermissionDeniedError,
    "not_found": NotFoundError,
    "timeout": Timeout,
    "conflict": ConflictError,
    "too_large": RequestTooLargeError,
    "unprocessable": UnprocessableEntityError,
    "rate_limit": RateLimitError,
    "quota": QuotaExceededError,
    "server": InternalServerError,
    "bad_gateway": BadGatewayError,
    "unavailable": ServiceUnavailableError,
    "overloaded": ServiceUnavailableError,
    "unknown": APIError,
}

BY_NATIVE: dict[str, type[PenstockError]] = {
    "not_an_answer": APIResponseValidationError,
    "loss": TranslationLossError,
    "media": ImageFetchError,
    "unknown_provider": UnknownModelError,
    "unknown_model": UnknownModelError,
}
"""Errors of our own (they have no dialect), whose `native` word says more than the kind."""

_CONNECTION = frozenset({"connect", "read", "protocol"})
"""`ErrorResponse.native` of errors that are not the provider's but the connection's (see `exchange.Broken`)."""


def as_error(error: Exception) -> ErrorResponse:
    """The error value of an exception, of ours or any other: its class says the kind. The inverse of `from_error`."""
    words: list[ErrorKind] = [word for each in type(error).__mro__ for word, kind in BY_KIND.items() if kind is each]
    kind = words[0] if words else "unknown"
    if not isinstance(error, PenstockError):
        return ErrorResponse(kind=kind, status=getattr(error, "status_code", None) or 500, message=str(error))
    return ErrorResponse(
        kind=kind if error.kind == "unknown" else error.kind,
        status=error.status_code,
        message=error.message,
        type=error.type,
        code=error.code,
        param=error.param,
        retry_after=error.retry_after,
        request_id=error.request_id,
        body=error.body,
    )


def class_of(error: ErrorResponse) -> type[PenstockError]:
    """The class for an error value."""
    if error.dialect is None and error.native in _CONNECTION:
        return APIConnectionError
    if error.dialect is None and error.native in BY_NATIVE:
        return BY_NATIVE[error.native]
    return BY_KIND[error.kind]


def from_error(
    error: ErrorResponse, provider: str, model: str, tried: Sequence[Tried] = (), **details: Any
) -> PenstockError:
    """The exception for an error value."""
    message = error.message
    if error.retry_after is not None and error.dialect is not None:
        message += f" (the provider asks to wait {error.retry_after:g} s)"
    if len(tried) > 1:
        message += f" ({len(tried)} attempts failed; `tried` lists them)"
    return class_of(error)(message, provider, model, error=error, tried=tried, **details)

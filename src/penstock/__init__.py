"""Penstock: one guarded, measured way through which all of a company's model and agent traffic flows. This is its SDK.

    from penstock import completion

    answer = completion("openai/gpt-4o", [{"role": "user", "content": "Hello"}])
    print(answer.choices[0].message.content)

Names are loaded when they are first used: `import penstock` itself imports nothing but this file, opens no connection
and reads no file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.client.api import acompletion as acompletion
    from penstock.client.api import completion as completion
    from penstock.client.api import configure as configure
    from penstock.client.objects import ModelResponse as ModelResponse
    from penstock.client.objects import ModelResponseStream as ModelResponseStream
    from penstock.exchange import Timeouts as Timeouts
    from penstock.providers.registry import register_provider as register_provider

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "penstock.client.api": ("acompletion", "completion", "configure"),
    "penstock.client.objects": ("ModelResponse", "ModelResponseStream"),
    "penstock.exchange": ("Timeouts",),
    "penstock.providers.registry": ("register_provider",),
    "penstock.exceptions": (
        "APIConnectionError",
        "APIError",
        "APIResponseValidationError",
        "AuthenticationError",
        "BadGatewayError",
        "BadRequestError",
        "BudgetExceededError",
        "ConflictError",
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "ImageFetchError",
        "InternalServerError",
        "InvalidRequestError",
        "JSONSchemaValidationError",
        "MidStreamFallbackError",
        "NotFoundError",
        "PaymentRequiredError",
        "PenstockError",
        "PermissionDeniedError",
        "QuotaExceededError",
        "RateLimitError",
        "RejectedRequestError",
        "RequestTooLargeError",
        "ServiceUnavailableError",
        "StreamInterruptedError",
        "Timeout",
        "TranslationLossError",
        "UnknownModelError",
        "UnprocessableEntityError",
        "UnsupportedParamsError",
    ),
}
"""Where each public name lives."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])

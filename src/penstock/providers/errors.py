"""What can go wrong before a request leaves: one exception, whose `kind` says what happened and whose `fix` says what
to do.

The client maps kinds to the public exception tree; nothing in `penstock.providers` raises anything else on purpose.

    kind                      whose turn it is
    unknown_provider          the caller: the provider's name is not in the registry
    unknown_model             the caller: no provider can be told from this model name
    malformed_provider        whoever wrote the row (config, plug-in, `register_provider`)
    malformed_prices          whoever wrote the model's facts or prices (config, `register_model`)
    duplicate_provider        whoever registered second
    unsupported_capability    the caller: this provider has no such endpoint, or not for this model
    missing_setting           the caller: a region, project, account or address is needed
    missing_key               the caller: a credential is needed
    malformed_credentials     the caller: a credential is there, but is not what it should be
    credentials_unavailable   the machine: a source of credentials was reached and did not give any
    token_refused             the token service: it answered, and said no
    token_unreachable         the token service: it did not answer (worth another try)
    missing_extra             the caller: an optional package is needed
"""

from __future__ import annotations

from typing import Literal, TypeAlias

ProviderErrorKind: TypeAlias = Literal[
    "unknown_provider",
    "unknown_model",
    "malformed_provider",
    "malformed_prices",
    "duplicate_provider",
    "unsupported_capability",
    "missing_setting",
    "missing_key",
    "malformed_credentials",
    "credentials_unavailable",
    "token_refused",
    "token_unreachable",
    "missing_extra",
]


class ProviderError(ValueError):
    """A target could not be made. `message` says what is wrong, `fix` what to do about it (both without secrets).

    `provider` is the provider's name, where one was meant; `status` the HTTP status of a token service, where one
    answered.
    """

    def __init__(
        self, kind: ProviderErrorKind, message: str, fix: str = "", *, provider: str = "", status: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.fix = fix
        self.provider = provider
        self.status = status

    @property
    def retryable(self) -> bool:
        """Whether the same attempt may succeed a little later."""
        if self.kind == "token_unreachable":
            return True
        return self.kind == "token_refused" and self.status is not None and (self.status == 429 or self.status >= 500)

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.kind, self.message, self.fix, self.provider, self.status)


def _rebuild(kind: ProviderErrorKind, message: str, fix: str, provider: str, status: int | None) -> ProviderError:
    return ProviderError(kind, message, fix, provider=provider, status=status)

"""Row: what is known of one model, and how it was found. The numbers in a row are exact; only `info` turns them into
floats, for LiteLLM's callers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from penstock.providers.facts.names import provider_of_label
from penstock.providers.prices import is_price_field

Found: TypeAlias = Literal["exact", "spelling", "snapshot", "place", "rule"]

STANDARD_FIELDS: Final = (
    "litellm_provider",
    "mode",
    "max_tokens",
    "max_input_tokens",
    "max_output_tokens",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "supports_system_messages",
    "supports_response_schema",
    "supports_vision",
    "supports_function_calling",
    "supports_parallel_function_calling",
    "supports_tool_choice",
    "supports_assistant_prefill",
    "supports_prompt_caching",
    "supports_audio_input",
    "supports_audio_output",
    "supports_pdf_input",
    "supports_web_search",
    "supports_url_context",
    "supports_reasoning",
    "supports_computer_use",
    "supports_native_streaming",
)
"""The fields that LiteLLM's `get_model_info` always has: None where nothing is known."""


class Limits(Struct, frozen=True):
    """Lengths in tokens, None where not known: the most that goes in, and the most that comes out."""

    input: int | None = None
    output: int | None = None


class Row(Struct, frozen=True, kw_only=True):
    """One model.

    name     the name of the row in the fact sheet
    fields   LiteLLM's field names -> values, numbers as int or Decimal
    found    how it was found: the exact name, another spelling, another snapshot, another place, or by a rule about
             names like this
    own      the user wrote it, or laid something over it
    whole    the user wrote all of it: its prices are complete (see `prices.Prices`)
    doubt    why its prices are left out, where they are: the facts hold, but the model may cost something else under
             the name asked for
    """

    name: str
    fields: dict[str, Any]
    found: Found = "exact"
    own: bool = False
    whole: bool = False
    doubt: str | None = None

    @property
    def provider(self) -> str:
        """The provider's name ("" where not known)."""
        return provider_of_label(str(self.fields.get("litellm_provider") or ""))

    @property
    def mode(self) -> str | None:
        """chat, embedding, image_generation ..."""
        mode = self.fields.get("mode")
        return mode if isinstance(mode, str) else None

    @property
    def limits(self) -> Limits:
        """What goes in and what comes out, in tokens."""
        return Limits(_count(self.fields.get("max_input_tokens")), _count(self.fields.get("max_output_tokens")))

    def supports(self, what: str) -> bool | None:
        """Whether the model can do `what` ("vision", "function_calling" or "supports_vision" ...); None where nobody
        says."""
        value = self.fields.get(what if what.startswith("supports_") else f"supports_{what}")
        return value if isinstance(value, bool) else None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """All that it is said to support, sorted, without the `supports_`."""
        return tuple(
            sorted(name[9:] for name, value in self.fields.items() if name.startswith("supports_") and value is True)
        )

    def info(self) -> dict[str, Any]:
        """The row as LiteLLM's `get_model_info` gives it: `key`, the standard fields, and all else that is known;
        prices as floats."""
        return {"key": self.name, **dict.fromkeys(STANDARD_FIELDS), **_with_floats(self.fields)}


def without_prices(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have no say in the price."""
    return {field: value for field, value in fields.items() if not is_price_field(field)}


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int(value)


def _with_floats(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _with_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_floats(inner) for inner in value]
    return value

"""What requests may say, as pydantic models: the JSON schemas of the document, and the checks, are these classes.

A field is honoured, or the request is refused with its name: nothing is dropped in silence. LiteLLM's clients send many
fields that are empty; a field of LiteLLM's that is not supported is taken where it is empty, and refused else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from msgspec import UNSET
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from penstock.control.api.errors import UNKNOWN_FIELD, did_you_mean
from penstock.control.store.keys import picodollars
from penstock.control.virtual_keys import KeyWishes

MOST_DOLLARS = 9_000_000
"""What one budget may be: picodollars are kept as integers of 64 bits."""
_EMPTY_SCHEMA: dict[str, Any] = {"enum": [None, False, "", [], {}], "description": "not supported: only empty"}

NOT_SUPPORTED = (
    *("allowed_cache_controls", "allowed_passthrough_routes", "allowed_routes", "auto_rotate", "agent_id"),
    *(
        "access_group_ids",
        "budget_fallbacks",
        "budget_id",
        "budget_limits",
        "config",
        "default_estimated_output_tokens",
    ),
    *(
        "denied_passthrough_routes",
        "disable_global_guardrails",
        "end_user_budget_id",
        "enforced_params",
        "grace_period",
    ),
    *("guardrails", "mcp_rpm_limit", "model_max_budget", "model_rpm_limit", "model_tpm_limit", "object_permission"),
    *("permissions", "policies", "project_id", "prompts", "rotation_interval", "router_settings", "rpm_limit_type"),
    *(
        "send_invite_email",
        "tag_rpm_limit",
        "temp_budget_expiry",
        "temp_budget_increase",
        "throttle_on_budget_exceeded",
    ),
    *("tpd_limit", "tpm_limit_type"),
)
"""Fields of LiteLLM's keys that would change what a key may do, and are not built: refused unless empty."""


def _is_empty(value: Any) -> bool:
    """Nothing is said. (0 is something: a limit of nothing.)"""
    return value is None or value is False or (isinstance(value, str | list | dict) and not value)


def _whole(value: Any) -> Any:
    """JSON's integers: 5 and 5.0, and neither "5" nor true."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("int_type", "expected a whole number")
    return value


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise PydanticCustomError("moment", "expected a time such as 2027-01-31T18:00:00Z")
    return value


def _dollars(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,18})?", value):
        raise PydanticCustomError("amount", "expected an amount of US dollars such as 12.5")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PydanticCustomError("amount", "expected an amount of US dollars such as 12.5")
    return str(value)


def _printable(value: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise PydanticCustomError("control", "control characters cannot stand in it")
    return value


_NAME_PATTERN = "^[^\\x00-\\x1f\\x7f]+$"
Name = Annotated[
    str,
    Field(min_length=1, max_length=256),
    AfterValidator(_printable),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 256, "pattern": _NAME_PATTERN}),
]
Whole = Annotated[
    int,
    BeforeValidator(_whole),
    Field(ge=0, le=2**53),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 2**53}),
]
Dollars = Annotated[
    Decimal,
    BeforeValidator(_dollars),
    Field(ge=0, le=MOST_DOLLARS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": MOST_DOLLARS},
                {"type": "string", "pattern": r"^[0-9]{1,6}(\.[0-9]{1,18})?$"},
            ],
            "description": "US dollars; as a text, exactly",
        }
    ),
]
Duration = Annotated[
    str, Field(pattern=r"^([1-9][0-9]{0,4}[smhdw]|[1-9][0-9]{0,2}mo)$", examples=["30d", "24h", "1mo"])
]
Moment = Annotated[AwareDatetime, BeforeValidator(_text), Field(description="ISO 8601, with a zone")]
Secret = Annotated[
    str, Field(pattern=r"^sk-[\x21-\x7e]{13,253}$", description="begins with `sk-` and has 16 characters at least")
]
KeyOrToken = Annotated[
    str,
    Field(pattern=r"^(sk-[\x21-\x7e]{1,253}|[0-9a-f]{64})$", description="the key itself, or its SHA-256 in hex"),
]
Forever = Annotated[str, Field(pattern="^-1$", description="`-1`: for ever")]
Metadata = Annotated[dict[str, Any], Field(description="your own; it goes into each row of the ledger")]


class Body(BaseModel):
    """A JSON object without fields that nobody knows."""

    model_config = ConfigDict(extra="forbid")
    not_supported: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        kept = {}
        for name, given in value.items():
            if name in cls.model_fields:
                kept[name] = given
            elif name not in cls.not_supported:
                message = f"there is no field {name[:100]!r}{did_you_mean(name, cls.model_fields)}"
                raise PydanticCustomError(UNKNOWN_FIELD, "{message}", {"message": message, "field": name})
            elif not _is_empty(given):
                message = f"{name} is not supported: leave it out"
                raise PydanticCustomError(UNKNOWN_FIELD, "{message}", {"message": message, "field": name})
        return kept

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler.resolve_ref_schema(handler(core_schema))
        for name in cls.not_supported:
            schema["properties"][name] = dict(_EMPTY_SCHEMA)
        return schema


class KeySettings(Body):
    """What a key may be told to be."""

    not_supported: ClassVar[tuple[str, ...]] = NOT_SUPPORTED

    key_alias: Name | None = Field(None, description="a name that no other key has")
    duration: Duration | None = Field(None, description="how long it holds, from now on; null: for ever")
    expires: Moment | None = Field(None, description="until when it holds, in the place of `duration`")
    models: list[Name] | None = Field(None, description="model groups, `*` is a wildcard; empty: all")
    aliases: dict[str, Name] | None = Field(None, description="names that are only its own, to model groups")
    max_budget: Dollars | None = Field(None, description="US dollars that it may spend in a period; null: any amount")
    soft_budget: Dollars | None = Field(None, description="kept, and shown again")
    budget_duration: Duration | None = Field(None, description="after which its budget begins again; null: never")
    rpm_limit: Whole | None = Field(None, description="requests a minute; null: any number")
    tpm_limit: Whole | None = Field(None, description="tokens a minute; null: any number")
    max_parallel_requests: Whole | None = Field(None, description="requests at once; null: any number")
    metadata: Metadata | None = None
    tags: list[Name] | None = Field(None, description="tags that all its calls bear")
    blocked: StrictBool | None = None
    spend: Dollars | None = Field(None, description="US dollars that count as spent in this period")
    user_id: Name | None = Field(None, description="a label, by which the ledger can be searched")
    team_id: Name | None = Field(None, description="a label, by which the ledger can be searched")
    organization_id: Name | None = Field(None, description="a label, by which the ledger can be searched")
    key_type: Annotated[str, Field(pattern="^(default|llm_api)$")] | None = None

    def wishes(self) -> KeyWishes:
        """What was said. Null empties a field."""
        said = {name: getattr(self, name) for name in self.model_fields_set if name in KeyWishes.__struct_fields__}
        for name in ("max_budget", "soft_budget", "spend"):
            if said.get(name) is not None:
                said[name] = picodollars(said[name])
        if said.get("expires") is not None:
            said["expires"] = said["expires"].timestamp()
        elif "expires" in said and "duration" in said:
            del said["expires"]  # LiteLLM's clients send both
        for name, empty in (
            ("models", ()),
            ("tags", ()),
            ("aliases", {}),
            ("metadata", {}),
            ("blocked", False),
            ("spend", 0),
        ):
            if name in said:
                said[name] = empty if said[name] is None else said[name]
        for name in ("models", "tags"):
            if name in said:
                said[name] = tuple(said[name])
        return KeyWishes(**said)


class GenerateKey(KeySettings):
    """POST /key/generate"""

    key: Secret | None = Field(None, description="choose the key; null: one is made")


class ChangedSettings(KeySettings):
    """Changes: what is not said stays, and so does the expiry where `duration` is null, as with LiteLLM."""

    duration: Duration | Forever | None = None

    def wishes(self) -> KeyWishes:
        wishes = super().wishes()
        if wishes.duration is None:
            wishes.duration = UNSET
        elif wishes.duration == "-1":
            wishes.duration = None
        return wishes


class UpdateKey(ChangedSettings):
    """POST /key/update"""

    key: KeyOrToken


class RegenerateNamedKey(ChangedSettings):
    """POST /key/{key}/regenerate"""

    new_key: Secret | None = Field(None, description="choose the key; null: one is made")


class RegenerateKey(RegenerateNamedKey):
    """POST /key/regenerate"""

    key: KeyOrToken


class NamedKey(Body):
    """POST /key/block, /key/unblock"""

    key: KeyOrToken


_SOME: Any = {"type": "array", "minItems": 1}


class DeleteKeys(Body):
    """POST /key/delete: at least one of both lists."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["keys"], "properties": {"keys": _SOME}},
                {"required": ["key_aliases"], "properties": {"key_aliases": _SOME}},
            ]
        }
    )

    keys: list[KeyOrToken] | None = Field(None, max_length=1000)
    key_aliases: list[Name] | None = Field(None, max_length=1000)


class KeysAsked(Body):
    """POST /v2/key/info"""

    keys: list[KeyOrToken] = Field(min_length=1, max_length=1000)


class ConfigBundle(Body):
    """A configuration: the texts of its files, and which is the main one."""

    main: Annotated[str, Field(min_length=1, max_length=1024)]
    files: dict[str, str]

"""What answers look like, as pydantic models: for the OpenAPI document only. (Answers are written by rows.py; a test
holds the two together.)
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """An answer; LiteLLM's clients may find more fields in it than are named."""

    model_config = ConfigDict(extra="allow")


class ErrorDetail(BaseModel):
    """`code` is the status, as a text."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorAnswer(BaseModel):
    """A refusal, or a failure."""

    error: ErrorDetail


class ConfigProblem(Answer):
    """What is wrong with a configuration, and where."""

    path: str
    file: str | None
    line: int | None
    message: str
    text: str


class ConfigRefusal(Answer):
    """All that is wrong with a configuration."""

    type: Literal["invalid_config"]
    message: str
    problems: list[ConfigProblem]


class ConfigRefused(BaseModel):
    """A configuration that is refused; or another error of the request."""

    error: ConfigRefusal | ErrorDetail


class KeyColumns(Answer):
    """A key. Money in US dollars, times in ISO 8601."""

    key_name: str
    key_alias: str | None
    spend: float
    expires: str | None
    models: list[str]
    aliases: dict[str, str]
    user_id: str | None
    team_id: str | None
    organization_id: str | None
    max_parallel_requests: int | None
    metadata: dict[str, Any]
    tags: list[str]
    blocked: bool
    tpm_limit: int | None
    rpm_limit: int | None
    max_budget: float | None
    soft_budget: float | None
    budget_duration: str | None
    budget_reset_at: str | None
    source: Literal["api", "config"] = Field(description="`config`: it is listed in the configuration")
    created_at: str | None
    created_by: str | None
    updated_at: str | None
    updated_by: str | None


class KeyMade(KeyColumns):
    """A key that was just made. `key` is shown this once."""

    key: str
    token: str = Field(description="its SHA-256: what it is known by from now on")
    token_id: str


class KeyChanged(KeyColumns):
    """A key as it is now. `key` is what it was named by."""

    key: str


class KeyRow(KeyColumns):
    """A key in a list."""

    token: str


class KeyInfo(Answer):
    """One key."""

    key: str
    info: KeyColumns


class KeyInfos(Answer):
    """Several keys."""

    key: list[str]
    info: list[KeyRow]


class KeysDeleted(Answer):
    """What was deleted, as it was named."""

    deleted_keys: list[str]


class KeyList(Answer):
    """A page of keys: tokens, or whole rows with `return_full_object`."""

    keys: list[str | KeyRow]
    total_count: int
    current_page: int
    total_pages: int


class SpendLog(Answer):
    """A request, as the ledger has it. docs/reference/management-api.md tells all fields."""

    request_id: str
    api_key: str
    spend: float
    total_tokens: int
    prompt_tokens: int
    completion_tokens: int
    startTime: str
    endTime: str
    model: str
    status: Literal["success", "failure"]
    metadata: dict[str, Any]


class SpendDay(Answer):
    """What a day came to, by key, user and model."""

    startTime: str
    spend: float
    users: dict[str, float]
    models: dict[str, float]


class SpendPage(Answer):
    """A page of requests."""

    data: list[SpendLog]
    total: int
    page: int
    page_size: int
    total_pages: int


class Rows(Answer):
    """Rows, one a model or a group of models."""

    data: list[dict[str, Any]]


class Ready(Answer):
    """Whether the gateway is ready."""

    status: str
    db: str


class HealthChecks(Answer):
    """What came of asking every deployment."""

    healthy_endpoints: list[dict[str, Any]]
    unhealthy_endpoints: list[dict[str, Any]]
    healthy_count: int
    unhealthy_count: int
    not_asked_endpoints: list[dict[str, Any]]


class Backlog(Answer):
    """What the gateway has to do just now, and what it has done since its metrics began."""

    in_flight_requests: int
    queued_requests: int
    admitted_requests: int
    rejected_requests: int


class ConfigInForce(Answer):
    """The configuration in force; `config` is what it comes to, without secrets."""

    version: int
    source: Literal["file", "api", "environment"]
    files: list[str]
    warnings: list[ConfigProblem]
    config: dict[str, Any]


class ConfigStatus(Answer):
    """Which configuration is in force, and why the last that was offered is not (null: it is)."""

    version: int
    source: Literal["file", "api", "environment"]
    by: str
    at: str | None
    workers: int
    refused: str | None


class ConfigChange(Answer):
    """One thing that a configuration changes; `text` is all of it in words."""

    kind: str
    path: str
    text: str


class ConfigReport(Answer):
    """What a configuration changes."""

    version: int
    changes: list[ConfigChange]
    warnings: list[ConfigProblem]


class ConfigHistory(Answer):
    """The last configurations, newest first."""

    data: list[dict[str, Any]]

"""/key/...: virtual keys, under LiteLLM's names. A change holds on every worker when it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.responses import Response

from penstock.control.api import answers
from penstock.control.api.bodies import (
    DeleteKeys,
    GenerateKey,
    KeysAsked,
    KeySettings,
    NamedKey,
    RegenerateKey,
    RegenerateNamedKey,
    UpdateKey,
)
from penstock.control.api.errors import bad_request, forbidden, json_response
from penstock.control.api.exact import exact_router
from penstock.control.api.rows import key_columns, key_made, key_row, pages
from penstock.control.api.services import Services, caller_of, name_of, services_of
from penstock.control.store.base import KeyFilter
from penstock.control.store.keys import KeyRecord, picodollars
from penstock.control.store.periods import after
from penstock.control.virtual_keys import KeyWishes, token_of

router = exact_router("keys")

_MASKED = r"^(sk-[\x21-\x7e]{1,253}|[0-9a-f]{64})$"
NamedInPath = Annotated[str, Path(pattern=_MASKED, description="the key, or its token")]


class Strict(BaseModel):
    """Parameters of an address; others are refused."""

    model_config = ConfigDict(extra="forbid")


Named = Annotated[str, StringConstraints(pattern=_MASKED)]


class InfoAsked(Strict):
    """GET /key/info"""

    key: Named | None = Field(None, description="a key or its token; without it: the caller's own")


class ListAsked(Strict):
    """GET /key/list"""

    page: Annotated[int, Field(ge=1, le=10**9)] = 1
    size: Annotated[int, Field(ge=1, le=1000)] = 10
    user_id: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    key_alias: str | None = None
    key_hash: str | None = Field(None, description="the token of a key")
    return_full_object: bool = False
    include_team_keys: bool = Field(False, description="taken, and means nothing: a filter by team is `team_id`")
    include_created_by_keys: bool = Field(False, description="taken, and means nothing")
    sort_by: Literal["created_at", "updated_at", "spend", "max_budget", "key_alias", "expires"] | None = None
    sort_order: Literal["asc", "desc"] = "desc"


def _documented(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model}}


@router.post("/key/generate", responses=_documented(answers.KeyMade))
async def generate_key(request: Request, wanted: GenerateKey) -> Response:
    """Make a key. It is shown in this answer, and never again."""
    services = services_of(request)
    wishes = bounded(services, wanted)
    secret, key = await services.keys.generate(wishes, name_of(request), wanted.key)
    duration = wanted.duration
    return json_response({**key_made(secret, key), "duration": duration})


@router.post("/key/update", responses=_documented(answers.KeyChanged))
async def update_key(request: Request, wanted: UpdateKey) -> Response:
    """Change what is named, and nothing else. Null empties a field."""
    services = services_of(request)
    key = await services.keys.update(token_of(wanted.key), wanted.wishes(), name_of(request))
    return json_response(_named(wanted.key, key))


@router.post("/key/regenerate", responses=_documented(answers.KeyMade))
async def regenerate_key(request: Request, wanted: RegenerateKey) -> Response:
    """Give a key another secret: the old one is refused from now on; what was spent stays spent."""
    return await _regenerate(request, wanted.key, wanted)


@router.post("/key/{key}/regenerate", responses=_documented(answers.KeyMade))
async def regenerate_named_key(
    request: Request, key: NamedInPath, wanted: RegenerateNamedKey | None = None
) -> Response:
    """Give this key another secret."""
    return await _regenerate(request, key, wanted or RegenerateNamedKey())  # type: ignore[call-arg]  # mypy misses defaults that Field takes by position


async def _regenerate(request: Request, name: str, wanted: RegenerateNamedKey) -> Response:
    keys = services_of(request).keys
    secret, key = await keys.regenerate(token_of(name), wanted.wishes(), name_of(request), wanted.new_key)
    return json_response(key_made(secret, key))


@router.post("/key/delete", responses=_documented(answers.KeysDeleted))
async def delete_keys(request: Request, wanted: DeleteKeys) -> Response:
    """Delete keys, by themselves or by their aliases: all of them, or, where one is not there, none."""
    keys = services_of(request).keys
    if not wanted.keys and not wanted.key_aliases:
        raise bad_request("say which: `keys` or `key_aliases`", "keys")
    tokens = [token_of(name) for name in wanted.keys or ()]
    tokens += await keys.tokens_of_aliases(wanted.key_aliases or ())
    await keys.delete(list(dict.fromkeys(tokens)))
    return json_response({"deleted_keys": [*(wanted.keys or ()), *(wanted.key_aliases or ())]})


@router.post("/key/block", responses=_documented(answers.KeyChanged))
async def block_key(request: Request, wanted: NamedKey) -> Response:
    """Refuse a key until it is unblocked."""
    return await _block(request, wanted.key, True)


@router.post("/key/unblock", responses=_documented(answers.KeyChanged))
async def unblock_key(request: Request, wanted: NamedKey) -> Response:
    """Take a key again that was blocked."""
    return await _block(request, wanted.key, False)


async def _block(request: Request, name: str, blocked: bool) -> Response:
    keys = services_of(request).keys
    key = await keys.update(token_of(name), KeyWishes(blocked=blocked), name_of(request))
    return json_response({**_named(name, key), "token": key.token})


def _named(name: str, key: KeyRecord) -> dict[str, Any]:
    return {"key": name, **key_columns(key)}


# -- reading ----------------------------------------------------------------------------------------------------------


@router.get("/key/info", responses=_documented(answers.KeyInfo))
async def key_info(request: Request, asked: Annotated[InfoAsked, Query()]) -> Response:
    """One key. A virtual key may ask about itself, and need not say which."""
    services, caller = services_of(request), caller_of(request)
    token = caller.id if asked.key is None else token_of(asked.key)
    if caller.role != "master" and token != caller.id:
        raise forbidden("a virtual key may ask about itself only")
    if asked.key is None and caller.role == "master":
        raise bad_request("say which key: /key/info?key=sk-...", "key")
    key = await services.keys.find(token)
    return json_response({"key": asked.key or token, "info": key_columns(key)})


@router.post("/v2/key/info", responses=_documented(answers.KeyInfos))
async def key_infos(request: Request, wanted: KeysAsked) -> Response:
    """Several keys; those that are not there are left out."""
    services = services_of(request)
    tokens = tuple(dict.fromkeys(token_of(name) for name in wanted.keys))
    found: list[KeyRecord] = []
    for at in range(0, len(tokens), 500):
        found += (await services.keys.listed(KeyFilter(tokens=tokens[at : at + 500]), 1, 500)).rows
    return json_response({"key": list(wanted.keys), "info": [key_row(key) for key in found]})


@router.get("/key/list", responses=_documented(answers.KeyList))
async def list_keys(request: Request, asked: Annotated[ListAsked, Query()]) -> Response:
    """A page of keys: their tokens, or with `return_full_object` all that is known of them."""
    which = KeyFilter(
        tokens=None if asked.key_hash is None else (asked.key_hash,),
        key_alias=asked.key_alias,
        user_id=asked.user_id,
        team_id=asked.team_id,
        organization_id=asked.organization_id,
        sort_by=asked.sort_by or "created_at",
        descending=asked.sort_order == "desc",
    )
    page = await services_of(request).keys.listed(which, asked.page, asked.size)
    shown = [key_row(key) if asked.return_full_object else key.token for key in page.rows]
    return json_response(
        {
            "keys": shown,
            "total_count": page.total,
            "current_page": asked.page,
            "total_pages": pages(page.total, asked.size),
        }
    )


# -- what the configuration says of new keys --------------------------------------------------------------------------

_NUMBERS = ("rpm_limit", "tpm_limit", "max_parallel_requests")
_AMOUNTS = ("max_budget",)
_DURATIONS = ("duration", "budget_duration")


def bounded(services: Services, wanted: GenerateKey) -> KeyWishes:
    """What a new key shall be, with the configuration's `key_defaults` where nothing is said, and within `key_bounds`.

    Raises Refusal for more than a bound; what is not said is the bound.
    """
    control = services.configuration.in_force.loaded.control
    said = {name: value for name in wanted.model_fields_set if (value := getattr(wanted, name)) is not None}
    defaults = {name: value for name, value in control.key_defaults.items() if name not in said}
    wishes = _with_defaults(wanted, defaults) if defaults else wanted.wishes()
    for name, bound in control.key_bounds.items():
        _bound(wishes, name, bound)
    return wishes


def _with_defaults(wanted: GenerateKey, defaults: Mapping[str, Any]) -> KeyWishes:
    """Raises Refusal where the configuration's defaults are none that a request could have."""
    said = wanted.model_dump(mode="json", exclude_unset=True, exclude={"key"})
    try:
        return KeySettings.model_validate({**said, **defaults}).wishes()
    except ValidationError as error:
        raise bad_request(f"the configuration's key_defaults are wrong: {error.errors()[0]['msg']}") from None


def _bound(wishes: KeyWishes, name: str, bound: Any) -> None:
    """Hold one field to its bound. Raises Refusal."""
    wish = getattr(wishes, name, None)
    most = picodollars(bound) if name in _AMOUNTS else bound
    if wish is None or not isinstance(wish, int | str):
        setattr(wishes, name, most)
    elif _measure(name, wish) > _measure(name, most):
        raise bad_request(f"{name} may be {bound} at most: the configuration says so (key_bounds)", name)


def _measure(name: str, value: Any) -> float:
    return after(str(value), 0.0) if name in _DURATIONS else float(value)

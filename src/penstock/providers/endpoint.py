"""Endpoint: where exactly one request goes and how it is authorised. One pure function makes it, out of a row of the
catalog, a model, the parameters of the call and the environment.

The order of steps: settings (region, project ...), the format to speak, the base URL, the path, the authorization, the
profile. Whoever sends the request adds `headers`, merges `body` into the rendered body, takes `omit` out, and lets
`auth` sign the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from msgspec import Struct

from penstock.providers.auth.authorization import Authorization, KeyAuthorization
from penstock.providers.auth.choose import Chosen, Material, choose
from penstock.providers.auth.kinds import NoAuth
from penstock.providers.auth.variables import key_variables, ways_in_words
from penstock.providers.betas import Beta
from penstock.providers.errors import ProviderError
from penstock.providers.globs import fits
from penstock.providers.profiles import profile_for
from penstock.providers.provider import Provider, RateLimitHeaders
from penstock.providers.routes import Place, place_for
from penstock.providers.templates import fill, fill_all, fill_optional, find_settings
from penstock.providers.urls import belongs_to, check, complete_local, host_of, join, origin_of, quote_model
from penstock.types.profile import Profile

_EMPTY: Mapping[str, Any] = {}


class Endpoint(Struct, frozen=True, kw_only=True):
    """One target.

    provider      name of the provider; `model` the model as the caller named it (without the provider), `wire_model` as
                  the host calls it
    capability    what is asked for; `format` the wire format (for chat: the dialect) it is asked in
    method, url   the address without its query; `query` in order; `full_url` is both
    headers       to send, besides content type and what `auth` adds
    auth          how it is authorised (obtain and sign)
    profile       facts for the renderer
    body          fields to merge into the rendered body; `omit` are fields to take out; `model_field` is what it calls
                  the model
    betas         which parts of a body need the name of a beta, which goes into the header `beta_header`, or, where
                  that is not None, into the body's list `beta_field` (a dot leads into an object); `betas_refused`
                  are globs of names that the host answers with an error
    framing       how a stream is wrapped, where it is not the format's own way
    written       the word that the caller named the provider with: its name, or an alias that may have prices of its
                  own
    location      the cloud region that serves, where the address tells one; `residency` the place where data stay
                  ("eu"), where the host promises one. Both concern prices
    rate_limits   names of the response headers that tell the host's limits
    reports_cost  whether a cost in the response may be taken as the truth
    """

    provider: str
    model: str
    wire_model: str
    capability: str
    format: str
    method: str
    url: str
    query: dict[str, str]
    headers: dict[str, str]
    auth: Authorization
    profile: Profile
    body: dict[str, str]
    omit: tuple[str, ...]
    model_field: str
    betas: tuple[Beta, ...]
    beta_header: str
    beta_field: str | None
    betas_refused: tuple[str, ...]
    framing: str | None
    written: str
    location: str | None
    residency: str | None
    rate_limits: RateLimitHeaders
    reports_cost: bool

    @property
    def full_url(self) -> str:
        """The address as it is sent, before `auth` signs it."""
        if not self.query:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(self.query, quote_via=quote)}"


def endpoint(
    provider: Provider,
    capability: str,
    model: str,
    *,
    stream: bool = False,
    parameters: Mapping[str, Any] = _EMPTY,
    environment: Mapping[str, str] = _EMPTY,
    selector: str | None = None,
    prefer: Sequence[str] = (),
    base_model: str | None = None,
    facts: Callable[[str, str, str], Mapping[str, Any]] | None = None,
    written: str | None = None,
) -> Endpoint:
    """The target for `model` at `provider`.

    `parameters` are those of the call that concern addresses and keys (api_key, api_base or base_url, api_version,
    aws_*, vertex_* ...), `environment` the environment variables. `selector` is the segment of the model string that
    asks for a format, `prefer` are formats that the caller would like best, in order (the gateway: the one that its
    client speaks); both come before the row's own order, the selector strictly. `base_model` is the well-known model
    behind a name that says nothing (a deployment): its rules hold. `facts` gives what is known of a model for its
    profile: (provider, model, format) -> changes. `written` is the word that the caller named the provider with.

    Raises ProviderError: unsupported_capability, missing_setting, missing_key, malformed_credentials.
    """
    settings = find_settings(provider, model, parameters, environment)
    own_base = given_base(provider, parameters, environment)
    values = {**settings.values, "model": settings.model} | ({"base_url": own_base} if own_base else {})
    known_model = base_model or settings.model
    place = place_for(provider, capability, known_model, values, selector=selector, prefer=prefer)
    chosen = _authorize(provider, place, own_base, parameters, environment, values)
    wire_model = wire_name(provider, settings.model)
    url, base_query = _address(provider, place, chosen, own_base, values, wire_model, stream=stream)
    query = {**provider.query, **place.query, **(place.stream_query if stream else {})}
    return Endpoint(
        provider=provider.name,
        model=model,
        wire_model=wire_model,
        capability=capability,
        format=place.format,
        method=place.method,
        url=url,
        query={**fill_all(query, values), **base_query},
        headers=fill_all({**provider.headers, **place.headers}, values),
        auth=chosen.authorization,
        profile=profile_for(
            provider, known_model, place.format, facts(provider.name, known_model, place.format) if facts else _EMPTY
        ),
        body=fill_all(place.body, values),
        omit=place.omit,
        model_field=place.model_field,
        betas=place.betas,
        beta_header=place.beta_header,
        beta_field=place.beta_field,
        betas_refused=place.betas_refused,
        framing=place.framing,
        written=written or provider.name,
        location=values.get("location") or values.get("region"),
        residency=next((word for glob, word in provider.residencies.items() if fits(host_of(url), (glob,))), None),
        rate_limits=provider.rate_limits,
        reports_cost=provider.reports_cost,
    )


def _address(
    provider: Provider,
    place: Place,
    chosen: Chosen,
    own_base: str | None,
    values: Mapping[str, str],
    wire_model: str,
    *,
    stream: bool,
) -> tuple[str, dict[str, str]]:
    """The address without its query, and what the base URL had for a query."""
    template = chosen.base_url or place.base_url or provider.base_url
    if own_base is None and template is None:
        raise _no_address(provider)
    base = own_base or fill(template or "", values, _absent(provider))
    base, _, query = base.partition("?")
    path = place.prefix + (place.stream_path if stream else place.path)
    url = join(base if "://" in base else f"https://{base}", _fill_path(provider, path, wire_model, values))
    return url, dict(parse_qsl(query))


def wire_name(provider: Provider, model: str) -> str:
    """What the host calls `model`."""
    head, slash, rest = model.partition("/")
    if slash and head in provider.subhosts and "/" in rest:
        model = f"{rest}:{head}"
    prefix = provider.model_prefix
    if prefix and model and not fits(model, (f"{prefix.add}*", *prefix.unless)):
        return prefix.add + model
    return model


def variables_of(provider: Provider) -> tuple[str, ...]:
    """The environment variables that may carry a key of `provider`."""
    return key_variables(provider.auth, provider.key_environment)


def keyless(provider: Provider) -> bool:
    """Whether requests may go without a key."""
    return any(isinstance(kind, NoAuth) or not getattr(kind, "required", True) for kind in provider.auth)


def given_base(provider: Provider, parameters: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """The base URL that the caller or the environment gave instead of the row's."""
    given = next((parameters[name] for name in provider.base_parameters if parameters.get(name)), None)
    given = given or next((environment[name] for name in provider.base_environment if environment.get(name)), None)
    if not given:
        return None
    if provider.default_port is not None:
        given = complete_local(str(given), provider.default_port)
    base = check(str(given), provider.name)
    bare = base.count("/") == 2 and "?" not in base
    return base + provider.base_path if bare else base


def _no_address(provider: Provider) -> ProviderError:
    names = " or ".join(provider.base_environment)
    message = f"{provider.title or provider.name} has no address of its own."
    fix = f"Pass api_base or set {names}." if names else "Pass api_base."
    return ProviderError("missing_setting", message, fix, provider=provider.name)


def _fill_path(provider: Provider, path: str, wire_model: str, values: Mapping[str, str]) -> str:
    if "model}" in path and not wire_model:
        message = "A model is needed."
        raise ProviderError("unknown_model", message, f"Name one: {provider.name}/MODEL.", provider=provider.name)
    if "model}" in path and not {".", ".."}.isdisjoint(wire_model.split("/")):
        message = "A model's name has no '.' or '..' between slashes: it would lead to another path."
        raise ProviderError("unknown_model", message, provider=provider.name)
    held = path.replace("{model}", "\0").replace("{+model}", "\1")
    filled = fill(held, values, _absent(provider)).replace("\0", "{model}").replace("\1", "{+model}")
    return quote_model(filled, wire_model)


def _absent(provider: Provider) -> Any:
    """What makes the error for a setting that an address needs and nobody gave."""

    def error(name: str) -> ProviderError:
        setting = next((setting for setting in provider.settings if setting.name == name), None)
        if setting is not None and setting.of is not None and setting.of != "model":
            return error(setting.of)
        ways = [f"pass {setting.parameters[0]}"] if setting and setting.parameters else []
        ways += [f"set {' or '.join(setting.environment)}"] if setting and setting.environment else []
        message = f"{provider.title or provider.name} needs to know the {name.replace('_', ' ')}"
        message += f" ({setting.help})." if setting and setting.help else "."
        fix = f"Please {' or '.join(ways)}." if ways else "Pass api_base."
        return ProviderError("missing_setting", message, fix, provider=provider.name)

    return error


def _authorize(
    provider: Provider,
    place: Place,
    own_base: str | None,
    parameters: Mapping[str, Any],
    environment: Mapping[str, str],
    values: Mapping[str, str],
) -> Chosen:
    """The authorization. None is needed by a local server, nor by a server at an address of the user's own that is not
    this provider's.
    """
    base = own_base or fill_optional(place.base_url or provider.base_url or "", values) or ""
    material = Material(
        parameters=parameters,
        environment=environment,
        settings={**values, "origin": origin_of(base)},
        key_environment=provider.key_environment,
        base_url=own_base or "",
    )
    try:
        chosen = choose(provider.auth, material)
    except ProviderError as error:
        error.provider = error.provider or provider.name
        raise
    if chosen is not None:
        return chosen
    if keyless(provider) or (own_base and not belongs_to(own_base, provider)):
        return Chosen(KeyAuthorization())
    raise _missing_key(provider, own_base)


def _missing_key(provider: Provider, own_base: str | None) -> ProviderError:
    variables = ways_in_words(provider.auth, provider.key_environment)
    title = provider.title or provider.name
    message = f"{title} needs an API key, and none was given (for {host_of(own_base)})." if own_base else ""
    message = message or f"{title} needs an API key, and none was given."
    fix = f"Set {variables}, or pass api_key." if variables else "Pass api_key."
    return ProviderError("missing_key", message, fix, provider=provider.name)

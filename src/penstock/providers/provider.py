"""Provider: who hosts models, as one row of data. Everything that distinguishes one host from another is a field here,
with a default.

The defaults describe a host that copies OpenAI's API, so the row of such a host is a name, an address and a key
variable:

    Provider(name="groq", title="Groq", base_url="https://api.groq.com/openai/v1", key_environment=("GROQ_API_KEY",))

A row says three kinds of things: *where* (base_url, settings, speaks), *who pays* (auth) and *how it differs* (profile,
model_rules, model_prefix ...). What a renderer must know is a `Profile`; what only addresses requests stays here. Rows
are built in (`providers/rows/`), come from a config file as mappings of the same shape, from a plug-in, or from
`register_provider`.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from penstock.providers.auth.kinds import AuthKind, Bearer
from penstock.types.profile import DEFAULT_PROFILE, Profile


class Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that addresses need besides the key: a region, a project, an account. `{name}` in a template stands for
    it.

    name             the word that templates use
    parameters       call parameters that give it, in order
    environment      environment variables that give it, in order
    default          used where nobody gave it; itself a template over earlier settings
    of, cases        instead: derived from the setting `of` (or "model"): the first glob of `cases` that fits gives the
                     template
    model_segment    a regular expression: a first segment of the model name that matches it entirely gives the setting
                     and is cut off (`bedrock/us-west-2/anthropic.claude-...`)
    model_pattern    a regular expression with one group, searched in the model name, which stays as it is (a region
                     inside of an ARN)
    discover         what can still find it when it is missing, by asking files or a metadata server
                     (`providers/discover.py`)
    help             what it is, in a few words, for the error that asks for it
    """

    name: str
    parameters: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    default: str | None = None
    of: str | None = None
    cases: dict[str, str] = {}
    model_segment: str | None = None
    model_pattern: str | None = None
    discover: Literal["aws_region", "google_project"] | None = None
    help: str = ""


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One wire format at one place. What is None is taken from the format itself (`providers/wire_formats.py`).

    format        name of the wire format; for chat, of the dialect
    capability    what it serves
    base_url      another base URL for this route
    prefix        goes between the base URL and the path
    path          template of the path; `stream_path` likewise, for streams
    query         query parameters to add, templates; `stream_query` are added for streams. Unknown settings leave a
                  parameter out
    headers       headers to add, templates
    body          fields to add to the body, templates; a field whose settings are unknown is left out
    omit          body fields that must not be sent (where the address says them)
    model_field   what the body calls the model
    beta_field    the body's list for the names of betas, where the host takes them there and not in a header (a dot
                  leads into an object); None: the format's own way
    betas_refused  globs of names that the host answers with an error: those that a client of the gateway sends are left
                  out
    framing       how a stream is wrapped, where it is not the format's own way: "aws_event_stream" (each message bears
                  base64 JSON in `bytes`)
    models        globs over model names: only these
    when          setting name -> glob: only where the setting has such a value ("base_url" is the user's own base URL)
    exclusive     where this route fits, no later route of the same capability is considered, whatever the caller
                  prefers
    selector      the segment between provider and model that asks for this route (`openai/responses/gpt-5`); None: the
                  format's usual one
    """

    format: str
    capability: str | None = None
    base_url: str | None = None
    prefix: str = ""
    path: str | None = None
    stream_path: str | None = None
    query: dict[str, str] = {}
    stream_query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: dict[str, str] = {}
    omit: tuple[str, ...] = ()
    model_field: str = "model"
    beta_field: str | None = None
    betas_refused: tuple[str, ...] = ()
    framing: Literal["aws_event_stream"] | None = None
    models: tuple[str, ...] = ()
    when: dict[str, str] = {}
    exclusive: bool = False
    selector: str | None = None


class ModelRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What differs for some models: `profile` holds the fields of `Profile` to change for models that fit one of the
    globs `models`.

    Fields that are sets or mappings (`unsupported`, `renames` ...) grow by what a rule says; all others are replaced.
    `formats` restricts the rule to these wire formats (empty: all); `unless` are globs of models that it does not
    concern.
    """

    models: tuple[str, ...]
    profile: dict[str, Any]
    formats: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


class ModelPrefix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a short model name becomes the host's own: `add` goes in front of it, unless it fits one of the globs
    `unless`.
    """

    add: str
    unless: tuple[str, ...] = ()


class RateLimitHeaders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The response headers that tell what is left of the host's limits (lower case). `resets` says how the reset
    headers are written: a duration ("1m30s", "20ms"), seconds, or a timestamp (RFC 3339 or Unix seconds).
    """

    limit_requests: str = "x-ratelimit-limit-requests"
    remaining_requests: str = "x-ratelimit-remaining-requests"
    reset_requests: str = "x-ratelimit-reset-requests"
    limit_tokens: str = "x-ratelimit-limit-tokens"
    remaining_tokens: str = "x-ratelimit-remaining-tokens"
    reset_tokens: str = "x-ratelimit-reset-tokens"
    resets: Literal["duration", "seconds", "timestamp"] = "duration"


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One host. Only `name` must be given; a row without `base_url` needs one from the call or the environment.

    Who
        name              the word before the slash in `provider/model`; lower case
        title             the name as people write it
        aliases           other words for it, all from the same name space
        documentation     where the API is described
        local             a server on the user's own machine: no key is needed, `default_port` is where to look for it
        default_port      the usual port of a local server
    Where
        base_url          template; formats' paths go behind it
        base_parameters   call parameters that give another base URL, in order; `base_environment` likewise, environment
                          variables
        base_path         added to a base URL of the user's that has no path of its own ("/v1": `http://host:8000` is
                          what people type)
        hosts             globs of further host names that belong to it, to recognise it by a base URL
        settings          the values that templates name
        speaks            the formats, in order of preference: names, or routes where the place is unusual
        own_api           what its API is, where that is of its own kind and no known format reaches it: told in the
                          error, `speaks` is empty
        headers, query    to add to every request: templates; one whose settings are unknown is left out
        model_prefix      how short model names are completed
        subhosts          first segments of a model name that become its suffix (`together/org/model` ->
                          `org/model:together`)
        selectors         further first segments of a model name that are cut off -> the well-known model whose rules
                          hold for such models ("o_series": "o1"), since a deployment may be called anything
        model_families    globs of bare model names that may be taken for this host's even when no fact sheet knows them
    Who pays
        key_environment   environment variables that carry the API key, in order
        auth              the accepted kinds, in order
    How it differs
        profile           facts for rendering that hold for all its models, in its main chat format (the first of
                          `speaks` that is bound to no model and no situation) and in formats that are not chat; other
                          chat formats take over only what is about the host itself (`providers/profiles.py`)
        model_rules       facts that hold for some; later rules win
        inherits_families  whether the rules of `providers/families.py` for well-known models hold here too
        residencies       globs of host names -> the data residency that they stand for, which prices may depend on
        rate_limits       names of its rate-limit headers
        reports_cost      it reports a cost (`usage.cost`, in US dollars: a number, or an object with `total_cost`) that
                          may be taken as the truth
    """

    name: str
    title: str = ""
    aliases: tuple[str, ...] = ()
    documentation: str = ""
    local: bool = False
    default_port: int | None = None

    base_url: str | None = None
    base_parameters: tuple[str, ...] = ("api_base", "base_url")
    base_environment: tuple[str, ...] = ()
    base_path: str = ""
    hosts: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    speaks: tuple[str | Route, ...] = ("openai_chat", "openai_models")
    own_api: str = ""
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    model_prefix: ModelPrefix | None = None
    subhosts: tuple[str, ...] = ()
    selectors: dict[str, str] = {}
    model_families: tuple[str, ...] = ()

    key_environment: tuple[str, ...] = ()
    auth: tuple[AuthKind, ...] = (Bearer(),)

    profile: Profile = DEFAULT_PROFILE
    model_rules: tuple[ModelRule, ...] = ()
    inherits_families: bool = True
    residencies: dict[str, str] = {}
    rate_limits: RateLimitHeaders = RateLimitHeaders()
    reports_cost: bool = False

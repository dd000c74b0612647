"""The AWS credential chain: the places where AWS keys may be, asked in the order of the AWS SDKs, until one has some.

    1  parameters of the call     aws_access_key_id + aws_secret_access_key (+ aws_session_token)
    2  a profile of the call      aws_profile_name: that profile of the files, whatever it says (see 4 and 6)
    3  environment                AWS_ACCESS_KEY_ID + AWS_SECRET_ACCESS_KEY (+ AWS_SESSION_TOKEN)
    4  role of the profile        role_arn with source_profile, credential_source or web_identity_token_file
    5  web identity               AWS_WEB_IDENTITY_TOKEN_FILE + AWS_ROLE_ARN (EKS service accounts, GitHub Actions)
    6  keys of the profile        aws_access_key_id ..., else credential_process, else IAM Identity Center (aws_sso.py)
    7  container                  AWS_CONTAINER_CREDENTIALS_RELATIVE_URI / _FULL_URI (ECS, EKS pod identity)
    8  instance                   the metadata service of EC2

On top of what was found, `aws_role_name` of the call assumes that role (with `aws_web_identity_token`, by that token
instead). A source that is not configured is passed over without a word; one that is configured and fails ends the chain
with an error, so that nobody works with other keys than the ones they set up. Nothing touches the network before it is
that source's turn. Not supported, and said so: roles that want an MFA code, which needs a person.
(docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html)
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

import msgspec
from msgspec import Struct

from penstock.providers.auth.aws_endpoints import endpoint_url
from penstock.providers.auth.aws_metadata import Absent, container_credentials, from_wire, instance_credentials
from penstock.providers.auth.aws_profile import AwsFiles, in_home, load_files, profile_name
from penstock.providers.auth.aws_sso import signs_in, single_sign_on, sso_credentials
from penstock.providers.auth.aws_sts import Role, Service, assume_role, assume_role_with_web_identity, service
from penstock.providers.auth.commands import Flow, Unreachable, read_text, run_program
from penstock.providers.auth.credentials import AwsCredentials
from penstock.providers.auth.redact import without_keys
from penstock.providers.errors import ProviderError

_FIX = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or AWS_BEARER_TOKEN_BEDROCK (a Bedrock API key), "
    "or run where a role gives credentials."
)


class _Search(Struct, frozen=True, kw_only=True):
    """What every source may look at."""

    parameters: Mapping[str, Any]
    environment: Mapping[str, str]
    region: str | None
    now: float
    files: AwsFiles = AwsFiles()

    def __repr__(self) -> str:
        return f"_Search({self.profile_name!r}, region={self.region!r})"

    @property
    def sts(self) -> Service:
        return service(self.region, self.parameters.get("aws_sts_endpoint") or self.endpoint("sts"))

    def endpoint(self, name: str) -> str | None:
        return endpoint_url(name, self.profile_name, self.files, self.environment)

    @property
    def profile_name(self) -> str:
        return profile_name(self.parameters, self.environment)

    def role(self, arn: str, settings: Mapping[str, str]) -> Role:
        return Role(
            arn=arn,
            session_name=settings.get("role_session_name") or f"penstock-{int(self.now)}",
            external_id=settings.get("external_id"),
            duration=settings.get("duration_seconds"),
        )


Source: TypeAlias = Callable[[_Search], Flow[AwsCredentials | Absent]]


def aws_credentials(
    parameters: Mapping[str, Any], environment: Mapping[str, str], region: str | None, now: float
) -> Flow[AwsCredentials]:
    """Walk the chain. `region` is where STS is asked (None: its global address); `now` is Unix seconds.

    Raises ProviderError: missing_key where no source has any, malformed_credentials, credentials_unavailable,
    token_refused or token_unreachable where one is configured and fails.
    """
    search = _Search(parameters=parameters, environment=environment, region=region, now=now)
    role = _role_of_call(search)
    if role and parameters.get("aws_web_identity_token"):
        token = yield from _web_identity_token(str(parameters["aws_web_identity_token"]), environment)
        return (yield from assume_role_with_web_identity(role, token, search.sts, now))
    found = yield from _find(search)
    return (yield from assume_role(role, found, search.sts, now)) if role else found


def keys_at_hand(parameters: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Whether the chain ends with the keys of the call or the environment, without asking anybody."""
    if parameters.get("aws_role_name"):
        return False
    if parameters.get("aws_access_key_id") or parameters.get("aws_secret_access_key"):
        return True
    return bool(environment.get("AWS_ACCESS_KEY_ID")) and not parameters.get("aws_profile_name")


def _find(search: _Search) -> Flow[AwsCredentials]:
    if found := _keys_of_call(search):
        return found
    if not search.parameters.get("aws_profile_name") and (found := _keys_of_environment(search)):
        return found
    search = msgspec.structs.replace(search, files=(yield from load_files(search.environment)))
    whys = ["AWS_ACCESS_KEY_ID is not set"]
    for source in _SOURCES:
        credentials = yield from source(search)
        if isinstance(credentials, AwsCredentials):
            return credentials
        whys.append(credentials.why)
    raise ProviderError("missing_key", f"No AWS credentials were found: {'; '.join(filter(None, whys))}.", _FIX)


def _keys_of_call(search: _Search) -> AwsCredentials | None:
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    return _keys([search.parameters.get(name) for name in names], names, "parameters")


def _keys_of_environment(search: _Search) -> AwsCredentials | None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    values = [search.environment.get(name) for name in names]
    return _keys([*values[:2], values[2] or search.environment.get("AWS_SECURITY_TOKEN")], names, "environment")


def _keys(values: list[Any], names: tuple[str, str, str], source: str) -> AwsCredentials | None:
    access, secret, session = (str(value).strip() if value else None for value in values)
    if not access and not secret:
        return None
    if not access or not secret:
        given, absent = (names[0], names[1]) if access else (names[1], names[0])
        raise ProviderError("malformed_credentials", f"{given} is set but {absent} is not.", f"Set {absent} too.")
    return AwsCredentials(access_key_id=access, secret_access_key=secret, session_token=session or None, source=source)


def _role_of_call(search: _Search) -> Role | None:
    arn = search.parameters.get("aws_role_name")
    names = {"role_session_name": "aws_session_name", "external_id": "aws_external_id"}
    settings = {to: str(search.parameters[name]) for to, name in names.items() if search.parameters.get(name)}
    return search.role(str(arn), settings) if arn else None


def _profile_role(search: _Search) -> Flow[AwsCredentials | Absent]:
    """Source 4, and the whole of source 2."""
    name = search.profile_name
    if search.parameters.get("aws_profile_name") or "role_arn" in search.files.profiles.get(name, {}):
        return (yield from _profile(search, name, ())) or _NOTHING_TO_SAY
    return _NOTHING_TO_SAY


def _web_identity(search: _Search) -> Flow[AwsCredentials | Absent]:
    token_file = search.environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if not token_file:
        return Absent("AWS_WEB_IDENTITY_TOKEN_FILE is not set")
    arn = search.environment.get("AWS_ROLE_ARN")
    if not arn:
        message = "AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not."
        raise ProviderError("malformed_credentials", message, "Set AWS_ROLE_ARN too.")
    token = yield from _web_identity_token(token_file, search.environment)
    session_name = search.environment.get("AWS_ROLE_SESSION_NAME")
    role = search.role(arn, {"role_session_name": session_name} if session_name else {})
    return (yield from assume_role_with_web_identity(role, token, search.sts, search.now))


def _profile_keys(search: _Search) -> Flow[AwsCredentials | Absent]:
    name = search.profile_name
    if name in search.files.profiles:
        found = yield from _profile(search, name, (), optional=True)
        return found or Absent(f"the AWS profile {name!r} holds none")
    if search.environment.get("AWS_PROFILE"):
        _no_profile(search, name)
    return Absent(f"the AWS files (~/.aws/credentials, ~/.aws/config) have no profile {name!r}")


def _container(search: _Search) -> Flow[AwsCredentials | Absent]:
    return (yield from container_credentials(search.environment))


def _instance(search: _Search) -> Flow[AwsCredentials | Absent]:
    return (yield from instance_credentials(search.environment))


_NOTHING_TO_SAY = Absent("")
_SOURCES: tuple[Source, ...] = (_profile_role, _web_identity, _profile_keys, _container, _instance)
"""Sources 4 to 8, in order."""

_CREDENTIAL_SOURCES: dict[str, Source] = {"Ec2InstanceMetadata": _instance, "EcsContainer": _container}


def _profile(
    search: _Search, name: str, visited: tuple[str, ...], *, optional: bool = False
) -> Flow[AwsCredentials | None]:
    """What the profile `name` gives: a role, keys, or the output of a program. `visited` are the profiles that led
    here.
    """
    settings = search.files.profiles.get(name)
    if settings is None:
        _no_profile(search, name)
    if "role_arn" in settings and name not in visited:
        return (yield from _profile_with_role(search, name, settings, visited))
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    if keys := _keys([settings.get(key) for key in names], names, f"profile {name}"):
        return keys
    if "credential_process" in settings:
        return (yield from _process(settings["credential_process"], name))
    if signs_in(settings):
        sign_on = single_sign_on(name, search.files)
        return (yield from sso_credentials(sign_on, search.environment, search.endpoint("sso"), search.now))
    if optional:
        return None
    message = f"The AWS profile {name!r} holds no credentials."
    raise ProviderError("missing_key", message, "Give it keys, a role_arn or a credential_process.")


def _profile_with_role(
    search: _Search, name: str, settings: Mapping[str, str], visited: tuple[str, ...]
) -> Flow[AwsCredentials]:
    role = search.role(settings["role_arn"], settings)
    if "mfa_serial" in settings:
        _no_person(f"The role of the AWS profile {name!r} wants an MFA code", name)
    if token_file := settings.get("web_identity_token_file"):
        token = yield from _web_identity_token(token_file, search.environment)
        return (yield from assume_role_with_web_identity(role, token, search.sts, search.now))
    base = yield from _base_of_role(search, name, settings, (*visited, name))
    return (yield from assume_role(role, base, search.sts, search.now))


def _base_of_role(
    search: _Search, name: str, settings: Mapping[str, str], visited: tuple[str, ...]
) -> Flow[AwsCredentials]:
    """The credentials that ask for the role: those of another profile, or of a named source."""
    base: AwsCredentials | None = None
    why = ""
    if source_profile := settings.get("source_profile"):
        if source_profile in visited[:-1]:
            loop = " -> ".join((*visited, source_profile))
            message = f"The AWS profiles name each other as source: {loop}."
            raise ProviderError("malformed_credentials", message, "Give one of them keys.")
        base = yield from _profile(search, source_profile, visited)
    elif settings.get("credential_source") == "Environment":
        base = _keys_of_environment(search)
    elif source := _CREDENTIAL_SOURCES.get(settings.get("credential_source", "")):
        found = yield from source(search)
        base, why = (found, "") if isinstance(found, AwsCredentials) else (None, f" ({found.why})")
    if base is None:
        message = f"The AWS profile {name!r} has a role_arn, but no credentials to ask for the role with{why}."
        fix = "Set source_profile, or credential_source to Environment, Ec2InstanceMetadata or EcsContainer."
        raise ProviderError("malformed_credentials", message, fix)
    return base


_MEND = "Try that command in a shell, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."


def _process(command: str, name: str) -> Flow[AwsCredentials]:
    """What the user's own program prints (docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html)."""
    where = f"The credential_process of the AWS profile {name!r}"
    try:
        arguments = tuple(shlex.split(command))
    except ValueError as error:
        raise ProviderError("malformed_credentials", f"{where} is no command line: {error}.", _MEND) from None
    if not arguments:
        raise ProviderError("malformed_credentials", f"{where} is empty.", _MEND)
    output = yield from run_program(arguments)
    if isinstance(output, Unreachable):
        raise ProviderError("credentials_unavailable", f"{where} could not be run: {output.reason}.", _MEND)
    if output.exit_status != 0:
        said = without_keys(output.stderr.decode(errors="replace").strip())[:200]
        message = f"{where} failed (exit status {output.exit_status}): {said}"
        raise ProviderError("credentials_unavailable", message, _MEND)
    try:
        wire = msgspec.json.decode(output.stdout)
        if wire["Version"] != 1:
            raise ValueError("unknown version")
        return from_wire(wire, f"credential_process of profile {name}")
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        message = f"{where} printed something else than credentials of version 1."
        raise ProviderError("malformed_credentials", message, _MEND) from None


def _web_identity_token(path_or_token: str, environment: Mapping[str, str]) -> Flow[str]:
    """A token itself (three parts of base64), or the file that holds it."""
    if path_or_token.count(".") == 2 and path_or_token.startswith("ey"):
        return path_or_token
    token = yield from read_text(in_home(path_or_token, environment) or path_or_token)
    if token is None:
        message = f"The web identity token file {path_or_token} cannot be read."
        raise ProviderError("credentials_unavailable", message, "Check AWS_WEB_IDENTITY_TOKEN_FILE.")
    return token


def _no_profile(search: _Search, name: str) -> NoReturn:
    known = ", ".join(sorted(search.files.profiles)) or "none"
    message = f"There is no AWS profile {name!r} in the AWS files (there are: {known})."
    raise ProviderError("missing_key", message, "Correct aws_profile_name or AWS_PROFILE.")


def _no_person(what: str, name: str) -> NoReturn:
    fix = (
        f"Turn it into plain credentials: `aws configure export-credentials --profile {name} --format env`, "
        "or name that command as the credential_process of a profile."
    )
    raise ProviderError("credentials_unavailable", f"{what}, which needs a person and is not supported here.", fix)

"""The AWS credential chain as playbooks: who is asked, in which order, and what happens when one fails."""

from collections.abc import Generator, Mapping
from typing import Any

import pytest

from penstock.providers.auth.aws_chain import aws_credentials
from penstock.providers.auth.commands import Command, Fetch, Outcome, ProgramOutput, RunProgram, Unreachable
from penstock.providers.auth.credentials import AwsCredentials, unix_time
from penstock.providers.errors import ProviderError
from tests.unit.providers.auth.playbook import MISSING, REFUSED, Script, answer, file, play, request

NOW = 1_700_000_000.0
HOME = {"HOME": "/home/me", "AWS_EC2_METADATA_DISABLED": "true"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
STS = "https://sts.eu-west-1.amazonaws.com/"
CONFIG, CREDENTIALS = "/home/me/.aws/config", "/home/me/.aws/credentials"


def chain(environment: Mapping[str, str], **parameters: Any) -> Generator[Command, Outcome, AwsCredentials]:
    return aws_credentials(parameters, environment, "eu-west-1", NOW)


def files(config: str | None = None, credentials: str | None = None) -> Script:
    return [file(CONFIG, config), file(CREDENTIALS, credentials)]


def sts_answer(action: str, key: str = "ASIAROLE") -> bytes:
    return f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>
      <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/R/s</Arn></AssumedRoleUser>
      <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>role&amp;secret</SecretAccessKey>
      <SessionToken>session==</SessionToken><Expiration>2023-11-14T23:13:20Z</Expiration></Credentials>
      </{action}Result></{action}Response>""".encode()


def of_role(credentials: AwsCredentials) -> None:
    assert credentials.access_key_id == "ASIAROLE"
    assert credentials.secret_access_key == "role&secret"
    assert credentials.session_token == "session=="
    assert credentials.expires_at == unix_time("2023-11-14T23:13:20Z")


# -- keys that lie about -----------------------------------------------------------------------------------------------


def test_parameters_come_first_and_ask_nobody() -> None:
    found = play(chain(KEYS, aws_access_key_id="AKIDCALL", aws_secret_access_key="s", aws_session_token="t"), [])
    assert (found.access_key_id, found.session_token, found.source) == ("AKIDCALL", "t", "parameters")


def test_environment_comes_next_and_asks_nobody() -> None:
    found = play(chain({**HOME, **KEYS, "AWS_SESSION_TOKEN": "t"}), [])
    assert (found.access_key_id, found.session_token, found.expires_at) == ("AKIDENV", "t", None)


@pytest.mark.parametrize("half", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_is_an_error_that_names_the_other_half(half: str) -> None:
    with pytest.raises(ProviderError) as caught:
        play(chain({**HOME, half: "x"}), [])
    other = ({*KEYS} - {half}).pop()
    assert caught.value.kind == "malformed_credentials"
    assert other in caught.value.fix


def test_the_credentials_file_before_the_config_file() -> None:
    config = "[default]\naws_access_key_id = C\naws_secret_access_key = c\n"
    credentials = "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = f  # note\n"
    found = play(chain(HOME), files(config, credentials))
    assert (found.access_key_id, found.secret_access_key, found.source) == ("AKIDFILE", "f", "profile default")


def test_the_profile_of_the_environment() -> None:
    config = "[profile work]\naws_access_key_id = W\naws_secret_access_key = w\naws_session_token = t\n"
    found = play(chain({**HOME, "AWS_PROFILE": "work"}), files(config))
    assert (found.access_key_id, found.session_token) == ("W", "t")


def test_a_profile_of_the_call_beats_keys_of_the_environment() -> None:
    credentials = "[work]\naws_access_key_id = W\naws_secret_access_key = w\n"
    found = play(chain({**HOME, **KEYS}, aws_profile_name="work"), files(None, credentials))
    assert found.access_key_id == "W"


def test_files_may_lie_elsewhere() -> None:
    environment = {**HOME, "AWS_CONFIG_FILE": "/etc/aws", "AWS_SHARED_CREDENTIALS_FILE": "~/keys"}
    credentials = "[default]\naws_access_key_id = X\naws_secret_access_key = x\n"
    found = play(chain(environment), [file("/etc/aws", None), file("/home/me/keys", credentials)])
    assert found.access_key_id == "X"


@pytest.mark.parametrize("parameters", [{"aws_profile_name": "nobody"}, {}])
def test_an_unknown_profile_names_the_known_ones(parameters: dict[str, str]) -> None:
    environment = HOME if parameters else {**HOME, "AWS_PROFILE": "nobody"}
    with pytest.raises(ProviderError, match=r"no AWS profile 'nobody'.*default, work"):
        play(chain(environment, **parameters), files("[default]\nregion=x\n[profile work]\nregion=x\n"))


def test_a_file_that_is_no_ini_file_is_named() -> None:
    with pytest.raises(ProviderError, match=r"/home/me/\.aws/config") as caught:
        play(chain(HOME), [file(CONFIG, "what is this")])
    assert caught.value.kind == "malformed_credentials"


def test_nothing_anywhere() -> None:
    with pytest.raises(ProviderError) as caught:
        play(chain(HOME), files())
    assert caught.value.kind == "missing_key"
    assert "AWS_ACCESS_KEY_ID" in caught.value.fix
    assert "AWS_BEARER_TOKEN_BEDROCK" in caught.value.fix


def test_without_a_home_no_file_is_read() -> None:
    with pytest.raises(ProviderError):
        play(chain({"AWS_EC2_METADATA_DISABLED": "true"}), [])


# -- roles -------------------------------------------------------------------------------------------------------------


def test_a_role_of_the_profile_by_another_profile() -> None:
    config = """
[default]
role_arn = arn:aws:iam::123456789012:role/R
source_profile = base
external_id = e-1
role_session_name = me
duration_seconds = 1800
"""
    credentials = "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = b\n"
    call = request(
        "POST",
        STS,
        "Action=AssumeRole&",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FR",
        "RoleSessionName=me",
        "ExternalId=e-1",
        "DurationSeconds=1800",
    )

    def signed_by_base(command: Any) -> None:
        call(command)  # type: ignore[operator]  # a request to be met, which is a function
        assert "Credential=AKIDBASE/" in command.headers["Authorization"]
        assert "/eu-west-1/sts/aws4_request" in command.headers["Authorization"]

    of_role(play(chain(HOME), [*files(config, credentials), (signed_by_base, answer(sts_answer("AssumeRole")))]))


def test_a_role_by_its_own_keys() -> None:
    credentials = (
        "[default]\nrole_arn = r\nsource_profile = default\naws_access_key_id = A\naws_secret_access_key = a\n"
    )
    script = [*files(None, credentials), (request("POST", STS), answer(sts_answer("AssumeRole")))]
    of_role(play(chain(HOME), script))


def test_roles_may_lead_to_roles() -> None:
    config = """
[default]
role_arn = outer
source_profile = middle
[profile middle]
role_arn = inner
credential_source = Environment
"""
    script = [
        *files(config),
        (request("POST", STS, "RoleArn=inner"), answer(sts_answer("AssumeRole", "ASIAINNER"))),
        (request("POST", STS, "RoleArn=outer"), answer(sts_answer("AssumeRole"))),
    ]
    environment = {**HOME, **KEYS, "AWS_PROFILE": "default"}
    of_role(play(chain(environment, aws_profile_name="default"), script))


def test_a_loop_of_profiles_is_an_error() -> None:
    config = "[default]\nrole_arn=r\nsource_profile=b\n[profile b]\nrole_arn=r\nsource_profile=default\n"
    with pytest.raises(ProviderError, match="default -> b -> default") as caught:
        play(chain(HOME), files(config))
    assert caught.value.kind == "malformed_credentials"


@pytest.mark.parametrize("line", ["", "credential_source = Environment", "credential_source = Nonsense"])
def test_a_role_without_anybody_to_ask_for_it(line: str) -> None:
    with pytest.raises(ProviderError, match="no credentials to ask for the role with"):
        play(chain(HOME), files(f"[default]\nrole_arn = r\n{line}\n"))


def test_a_role_by_the_container() -> None:
    config = "[default]\nrole_arn = r\ncredential_source = EcsContainer\n"
    environment = {**HOME, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}
    container = {"AccessKeyId": "ASIAC", "SecretAccessKey": "c", "Token": "t", "Expiration": "2030-01-01T00:00:00Z"}
    script = [
        *files(config),
        (request("GET", "http://169.254.170.2/v2/x"), answer(container)),
        (request("POST", STS), answer(sts_answer("AssumeRole"))),
    ]
    of_role(play(chain(environment), script))


def test_a_role_of_the_call_on_top_of_what_was_found() -> None:
    call = chain({**HOME, **KEYS}, aws_role_name="arn:r", aws_session_name="job 7", aws_external_id="x")
    expected = request("POST", STS, "RoleArn=arn%3Ar", "RoleSessionName=job+7", "ExternalId=x")
    of_role(play(call, [(expected, answer(sts_answer("AssumeRole")))]))


def test_a_role_of_the_call_by_a_web_identity_token() -> None:
    call = chain(HOME, aws_role_name="arn:r", aws_web_identity_token="eyJh.eyJz.sig")
    expected = request("POST", STS, "Action=AssumeRoleWithWebIdentity", "WebIdentityToken=eyJh.eyJz.sig")
    of_role(play(call, [(expected, answer(sts_answer("AssumeRoleWithWebIdentity")))]))


def test_web_identity_of_the_environment() -> None:
    environment = {**HOME, "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/token", "AWS_ROLE_ARN": "arn:r"}

    def unsigned(command: Any) -> None:
        assert isinstance(command, Fetch)
        assert b"Action=AssumeRoleWithWebIdentity" in command.body
        assert b"WebIdentityToken=tok" in command.body
        assert b"RoleSessionName=penstock-1700000000" in command.body
        assert "Authorization" not in command.headers

    script = [*files(), file("/var/token", "tok\n"), (unsigned, answer(sts_answer("AssumeRoleWithWebIdentity")))]
    of_role(play(chain(environment), script))


def test_web_identity_comes_before_keys_of_a_profile() -> None:
    environment = {**HOME, "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/token", "AWS_ROLE_ARN": "arn:r"}
    credentials = "[default]\naws_access_key_id = A\naws_secret_access_key = a\n"
    script = [
        *files(None, credentials),
        file("/var/token", "tok"),
        (request("POST", STS), answer(sts_answer("AssumeRoleWithWebIdentity"))),
    ]
    of_role(play(chain(environment), script))


def test_web_identity_of_a_profile() -> None:
    config = "[default]\nrole_arn = arn:r\nweb_identity_token_file = ~/token\n"
    script = [
        *files(config),
        file("/home/me/token", "tok"),
        (request("POST", STS, "WebIdentityToken=tok"), answer(sts_answer("AssumeRoleWithWebIdentity"))),
    ]
    of_role(play(chain(HOME), script))


def test_a_token_file_that_is_gone() -> None:
    environment = {**HOME, "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/token", "AWS_ROLE_ARN": "arn:r"}
    with pytest.raises(ProviderError, match="/var/token") as caught:
        play(chain(environment), [*files(), (lambda command: None, MISSING)])
    assert caught.value.kind == "credentials_unavailable"


def test_a_refusal_says_what_sts_said() -> None:
    refusal = b"""<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>
      <Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"""
    with pytest.raises(ProviderError, match="not authorized to perform: sts:AssumeRole") as caught:
        play(chain({**HOME, **KEYS}, aws_role_name="arn:r"), [(Fetch, answer(refusal, 403))])
    assert (caught.value.kind, caught.value.status, caught.value.retryable) == ("token_refused", 403, False)


def test_an_outage_of_sts_is_worth_another_try() -> None:
    with pytest.raises(ProviderError) as caught:
        play(chain({**HOME, **KEYS}, aws_role_name="arn:r"), [(Fetch, REFUSED)])
    assert (caught.value.kind, caught.value.retryable) == ("token_unreachable", True)
    with pytest.raises(ProviderError) as caught:
        play(chain({**HOME, **KEYS}, aws_role_name="arn:r"), [(Fetch, answer(b"busy", 503))])
    assert (caught.value.kind, caught.value.retryable) == ("token_refused", True)


def test_a_200_without_credentials_is_a_refusal() -> None:
    with pytest.raises(ProviderError, match="nothing that could be read"):
        play(chain({**HOME, **KEYS}, aws_role_name="arn:r"), [(Fetch, answer(b"<html>hello</html>"))])


@pytest.mark.parametrize(
    ("region", "parameters", "url", "scope"),
    [
        (None, {}, "https://sts.amazonaws.com/", "/us-east-1/sts/"),
        ("cn-north-1", {}, "https://sts.cn-north-1.amazonaws.com.cn/", "/cn-north-1/sts/"),
        ("eu-west-1", {"aws_sts_endpoint": "https://vpce.example"}, "https://vpce.example", "/eu-west-1/sts/"),
    ],
)
def test_where_sts_is(region: str | None, parameters: dict[str, str], url: str, scope: str) -> None:
    def expected(command: Any) -> None:
        assert command.url == url
        assert scope in command.headers["Authorization"]

    call = aws_credentials({"aws_role_name": "arn:r", **parameters}, {**HOME, **KEYS}, region, NOW)
    of_role(play(call, [(expected, answer(sts_answer("AssumeRole")))]))


# -- what needs a program, or a person ---------------------------------------------------------------------------------


PROCESS = "[default]\ncredential_process = /opt/keys --for 'the job'\n"


def test_credential_process() -> None:
    output = b"""{"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "p", "SessionToken": "t",
        "Expiration": "2030-01-01T00:00:00Z"}"""
    script = [*files(PROCESS), (RunProgram(("/opt/keys", "--for", "the job")), ProgramOutput(0, output, b""))]
    found = play(chain(HOME), script)
    assert (found.access_key_id, found.session_token) == ("P", "t")
    assert found.expires_at == unix_time("2030-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("outcome", "said", "kind"),
    [
        (ProgramOutput(3, b"", b"no ticket"), "exit status 3.*no ticket", "credentials_unavailable"),
        (Unreachable("no such file"), "no such file", "credentials_unavailable"),
        (ProgramOutput(0, b"hello", b""), "version 1", "malformed_credentials"),
        (ProgramOutput(0, b'{"Version": 2}', b""), "version 1", "malformed_credentials"),
        (ProgramOutput(0, b'{"Version": 1, "AccessKeyId": "P"}', b""), "version 1", "malformed_credentials"),
        (ProgramOutput(0, b"[]", b""), "version 1", "malformed_credentials"),
    ],
)
def test_a_credential_process_that_fails(outcome: Outcome, said: str, kind: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        play(chain(HOME), [*files(PROCESS), (RunProgram, outcome)])
    assert caught.value.kind == kind


def test_what_needs_a_person_says_how_to_do_without() -> None:
    config = "[default]\nrole_arn = r\nsource_profile = b\nmfa_serial = arn:mfa\n"
    with pytest.raises(ProviderError, match="MFA") as caught:
        play(chain(HOME), files(config))
    assert caught.value.kind == "credentials_unavailable"
    assert "aws configure export-credentials --profile default" in caught.value.fix


# -- container and instance --------------------------------------------------------------------------------------------

INSTANCE = {
    "Code": "Success",
    "AccessKeyId": "ASIAI",
    "SecretAccessKey": "i",
    "Token": "t",
    "Expiration": "2030-01-01T00:00:00Z",
}
IMDS = "http://169.254.169.254/latest"
ROLES = IMDS + "/meta-data/iam/security-credentials/"


def test_the_instance_is_asked_last() -> None:
    script = [
        *files(),
        (request("PUT", IMDS + "/api/token", X_aws_ec2_metadata_token_ttl_seconds="21600"), answer(b"tok")),
        (request("GET", ROLES, X_aws_ec2_metadata_token="tok"), answer(b"my-role")),
        (request("GET", ROLES + "my-role", X_aws_ec2_metadata_token="tok"), answer(INSTANCE)),
    ]
    found = play(chain({"HOME": "/home/me"}), script)
    assert (found.access_key_id, found.session_token) == ("ASIAI", "t")
    assert found.source == "instance role my-role"


def test_off_ec2_one_short_try_is_made() -> None:
    def short_and_direct(command: Any) -> None:
        assert (command.timeout, command.direct) == (1.0, True)

    with pytest.raises(ProviderError) as caught:
        play(chain({"HOME": "/home/me"}), [*files(), (short_and_direct, REFUSED)])
    assert caught.value.kind == "missing_key"


def test_tries_and_timeout_of_the_environment() -> None:
    environment = {
        "HOME": "/home/me",
        "AWS_METADATA_SERVICE_TIMEOUT": "0.5",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3",
    }

    def half_a_second(command: Any) -> None:
        assert command.timeout == 0.5

    with pytest.raises(ProviderError):
        play(chain(environment), [*files(), *[(half_a_second, REFUSED)] * 3])
    with pytest.raises(ProviderError, match="AWS_METADATA_SERVICE_TIMEOUT must be a number"):
        play(chain({**environment, "AWS_METADATA_SERVICE_TIMEOUT": "soon"}), files())


def test_version_1_where_version_2_is_not_known() -> None:
    script = [
        *files(),
        (request("PUT", IMDS + "/api/token"), answer(b"", 404)),
        (request("GET", ROLES), answer(b"my-role\n")),
        (request("GET", ROLES + "my-role"), answer(INSTANCE)),
    ]
    assert play(chain({"HOME": "/home/me"}), script).access_key_id == "ASIAI"
    with pytest.raises(ProviderError):
        play(chain({"HOME": "/home/me", "AWS_EC2_METADATA_V1_DISABLED": "true"}), script[:3])


def test_an_instance_without_a_role() -> None:
    script = [*files(), (Fetch, answer(b"tok")), (request("GET", ROLES), answer(b"", 404))]
    with pytest.raises(ProviderError) as caught:
        play(chain({"HOME": "/home/me"}), script)
    assert caught.value.kind == "missing_key"


def test_an_instance_whose_role_is_broken() -> None:
    broken = {"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume the role"}
    script = [*files(), (Fetch, answer(b"tok")), (Fetch, answer(b"my-role")), (Fetch, answer(broken))]
    with pytest.raises(ProviderError, match="EC2 cannot assume the role") as caught:
        play(chain({"HOME": "/home/me"}), script)
    assert caught.value.kind == "credentials_unavailable"


def test_a_container_that_is_set_up_and_fails_is_an_error() -> None:
    environment = {**HOME, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"}
    for outcome, kind in (
        (REFUSED, "token_unreachable"),
        (answer(b"{}"), "credentials_unavailable"),
        (answer(b"nope", 500), "token_refused"),
        (answer(b"[]"), "credentials_unavailable"),
    ):
        with pytest.raises(ProviderError) as caught:
            play(chain(environment), [*files(), (Fetch, outcome)])
        assert caught.value.kind == kind


def test_the_token_of_a_pod() -> None:
    environment = {
        **HOME,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/var/run/token",
    }
    script = [
        *files(),
        file("/var/run/token", "pod-token\n"),
        (request("GET", "http://169.254.170.23/v1/credentials", Authorization="pod-token"), answer(INSTANCE)),
    ]
    assert play(chain(environment), script).access_key_id == "ASIAI"


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://keys.example/x", True),
        ("http://127.0.0.1:80/x", True),
        ("http://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://[fd00:ec2::23]/x", True),
        ("http://169.254.170.2/x", True),
        ("http://10.0.0.1/x", False),
        ("http://keys.example/x", False),
        ("http://169.254.169.254/x", False),
        ("ftp://localhost/x", False),
    ],
)
def test_a_token_is_not_sent_in_the_clear_to_others(url: str, trusted: bool) -> None:
    environment = {**HOME, "AWS_CONTAINER_CREDENTIALS_FULL_URI": url, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t"}
    if trusted:
        script = [*files(), (request("GET", url, Authorization="t"), answer(INSTANCE))]
        assert play(chain(environment), script).access_key_id == "ASIAI"
    else:
        with pytest.raises(ProviderError, match="AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            play(chain(environment), files())

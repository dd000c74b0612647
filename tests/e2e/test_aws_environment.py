"""What AWS's own tools read, read alike: the order of the sources, files and their sections, regions, addresses,
signatures over odd requests, and the metadata service when it is old, mute, or not there. Over real sockets, in front
of a Bedrock that recomputes every signature.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock import AsyncClient, Client
from penstock.exceptions import AuthenticationError, BadRequestError, PenstockError
from penstock.testing.providers import Reply, SimulatedProviders
from tests.e2e.credential_ways import AWS, container, instance, process, profile, role_of_a_profile, web_identity
from tests.support.token_services import BASE_KEY, BASE_SECRET, CLOSE, HANG, TokenServices

ASK = [{"role": "user", "content": "Hello"}]
MODEL = "bedrock/converse/anthropic.claude-sonnet-4-5-20250929-v1:0"
KEYS = {"AWS_ACCESS_KEY_ID": BASE_KEY, "AWS_SECRET_ACCESS_KEY": BASE_SECRET}


class Cloud:
    """The services, and a Bedrock."""

    def __init__(self, services: TokenServices, bedrock: SimulatedProviders) -> None:
        self.services, self.bedrock = services, bedrock
        self.base = bedrock.url("bedrock")

    def call(self, environment: dict[str, str], **arguments: Any) -> str:
        """Make a call; the Credential that it was signed with: key/date/region/service/aws4_request."""
        session: Any = Client(environment=environment)
        with session as client:
            given = {"model": MODEL, "messages": ASK, "num_retries": 0, "api_base": self.base} | arguments
            client.chat.completions.create(**{name: value for name, value in given.items() if value is not None})
        assert self.bedrock.last.refused is None
        return str(self.bedrock.last.headers["authorization"]).partition("Credential=")[2].partition(",")[0]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with TokenServices() as services, SimulatedProviders(aws_secrets=services.aws) as bedrock:
        yield Cloud(services, bedrock)


# -- the order of the sources ------------------------------------------------------------------------------------------


def test_each_source_gives_way_to_those_before_it(cloud: Cloud, tmp_path: Path) -> None:
    """All are set up; one after the other is taken away, and the next one's turn comes."""
    services = cloud.services
    everything = (
        instance(services, tmp_path)
        | container(services, tmp_path)
        | process(services, tmp_path)
        | web_identity(services, tmp_path)
        | KEYS
    )
    everything.pop("AWS_EC2_METADATA_DISABLED")
    assert cloud.call(everything).startswith(BASE_KEY)
    assert services.asked == []
    steps: list[tuple[str, set[str]]] = [
        ("sts", set(KEYS)),
        ("process", {"AWS_WEB_IDENTITY_TOKEN_FILE"}),
        ("container", {"AWS_PROFILE", "AWS_CONFIG_FILE"}),
        ("imds", {"AWS_CONTAINER_CREDENTIALS_FULL_URI"}),
    ]
    for service, taken_away in steps:
        for variable in taken_away:
            del everything[variable]
        cloud.call(everything)
        assert services.asked[-1].service == service
    with pytest.raises(AuthenticationError, match="AWS_EC2_METADATA_DISABLED"):
        cloud.call(everything | {"AWS_EC2_METADATA_DISABLED": "TRUE"})


def test_a_role_of_the_profile_comes_before_web_identity(cloud: Cloud, tmp_path: Path) -> None:
    cloud.call(web_identity(cloud.services, tmp_path) | role_of_a_profile(cloud.services, tmp_path))
    assert [asked.form["Action"] for asked in cloud.services.asked] == ["AssumeRole", "AssumeRole"]


def test_half_a_web_identity_is_an_error(cloud: Cloud, tmp_path: Path) -> None:
    environment = web_identity(cloud.services, tmp_path)
    del environment["AWS_ROLE_ARN"]
    with pytest.raises(AuthenticationError, match="Set AWS_ROLE_ARN too"):
        cloud.call(environment)


def test_a_bedrock_key_needs_no_signature_and_gives_way_to_keys_of_the_call(cloud: Cloud) -> None:
    environment = AWS | KEYS | {"AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key-fake"}
    cloud.call(environment)
    assert cloud.bedrock.last.headers["authorization"] == "Bearer bedrock-api-key-fake"
    assert cloud.call(environment, aws_access_key_id=BASE_KEY, aws_secret_access_key=BASE_SECRET).startswith(BASE_KEY)


def test_keys_that_lie_at_hand_are_sent_once(cloud: Cloud) -> None:
    """There are no others to try: a refusal is final, and costs one request."""
    cloud.call(AWS | KEYS)
    cloud.bedrock.clear()
    cloud.bedrock.script(Reply.error(403))
    with pytest.raises(PenstockError):
        cloud.call(AWS | KEYS)
    assert len(cloud.bedrock.requests) == 1


def test_blanks_around_pasted_keys_do_not_count(cloud: Cloud) -> None:
    assert cloud.call(AWS | {name: f" {value}\n" for name, value in KEYS.items()}).startswith(BASE_KEY)


# -- files and regions -------------------------------------------------------------------------------------------------

LINES = f"AWS_Access_Key_ID = {BASE_KEY}\naws_secret_access_KEY={BASE_SECRET} # of tests\n"


@pytest.mark.parametrize(
    ("name", "config", "credentials"),
    [
        ("work", f"[profile work]\n{LINES}", ""),
        ("work", f"[profile\twork]\n{LINES}", ""),
        ("my work", f'[profile "my work"]\n{LINES}', ""),
        ("Work", f"[profile work]\nregion = x\n[profile Work]\n{LINES}", ""),
        ("default", f"[default]\n{LINES}", ""),
        ("default", f"[default]\naws_access_key_id = no\n[profile default]\n{LINES}", ""),
        ("work", "[profile work]\naws_access_key_id = no\n", f"[work]\n{LINES}"),
        ("work", "", f"\ufeff[work]\r\n{LINES}"),
    ],
)
def test_profiles_are_found_where_the_aws_cli_finds_them(
    cloud: Cloud, tmp_path: Path, name: str, config: str, credentials: str
) -> None:
    environment = profile(tmp_path, config, credentials) | {"AWS_PROFILE": name}
    assert cloud.call(environment).startswith(BASE_KEY)


@pytest.mark.parametrize("section", ["work", "sso-session work", "services work", "PROFILE work"])
def test_other_sections_of_the_config_file_are_no_profiles(cloud: Cloud, tmp_path: Path, section: str) -> None:
    with pytest.raises(AuthenticationError, match=r"no AWS profile 'work' in the AWS files \(there are: none\)"):
        cloud.call(profile(tmp_path, f"[{section}]\n{LINES}"))


def test_the_region_comes_from_the_call_the_model_the_environment_or_the_profile(cloud: Cloud, tmp_path: Path) -> None:
    config = "[profile work]\nregion = eu-west-3\n[profile other]\nregion = eu-north-1\n"
    environment = profile(tmp_path, config) | KEYS
    del environment["AWS_REGION"]

    def region(more: dict[str, str] | None = None, **arguments: Any) -> str:
        return cloud.call(environment | (more or {}), **arguments).split("/")[2]

    variables = {"AWS_DEFAULT_REGION": "us-east-2"}
    assert region() == "eu-west-3"
    assert (
        region(aws_profile_name="other", aws_access_key_id=BASE_KEY, aws_secret_access_key=BASE_SECRET) == "eu-north-1"
    )
    assert region(variables) == "us-east-2"
    assert region(variables | {"AWS_REGION": "us-west-1"}) == "us-west-1"
    arn = "bedrock/converse/arn:aws:bedrock:ap-south-1:123456789012:application-inference-profile/abc"
    assert region(variables, model=arn) == "ap-south-1"
    assert region(variables, aws_region_name="ca-central-1") == "ca-central-1"


def test_no_region_anywhere_names_the_variable(cloud: Cloud, tmp_path: Path) -> None:
    environment = KEYS | {"HOME": str(tmp_path)}
    with pytest.raises(BadRequestError, match="AWS_REGION"):
        cloud.call(environment)


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL"])
def test_the_address_of_bedrock_comes_from_the_environment(cloud: Cloud, variable: str) -> None:
    environment = AWS | KEYS | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", variable: cloud.base}
    assert cloud.call(environment, api_base=None).startswith(BASE_KEY)


@pytest.mark.parametrize("where", ["service", "all", "services section", "profile"])
def test_the_address_of_sts(cloud: Cloud, tmp_path: Path, where: str) -> None:
    url = cloud.services.url + "/sts"
    environment = web_identity(cloud.services, tmp_path)
    del environment["AWS_ENDPOINT_URL_STS"]
    if where == "service":
        environment |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": url}
    elif where == "all":
        environment |= {"AWS_ENDPOINT_URL": url}
    else:
        nested = (
            "services = here\nendpoint_url = http://127.0.0.1:1\n" if where != "profile" else f"endpoint_url={url}\n"
        )
        config = f"[profile work]\n{nested}[services here]\nsts =\n  endpoint_url = {url}\n"
        environment |= profile(tmp_path, config)
    cloud.call(environment)
    assert cloud.services.count("sts") == 1


# -- the metadata service ----------------------------------------------------------------------------------------------


def test_version_1_is_spoken_where_version_2_is_not_known_unless_forbidden(cloud: Cloud, tmp_path: Path) -> None:
    cloud.services.imds_version = 1
    environment = instance(cloud.services, tmp_path)
    cloud.call(environment)
    with pytest.raises(AuthenticationError, match="AWS_EC2_METADATA_V1_DISABLED forbids version 1"):
        cloud.call(environment | {"AWS_EC2_METADATA_V1_DISABLED": "true"})


def test_a_token_that_never_arrives_leaves_version_1(cloud: Cloud, tmp_path: Path) -> None:
    """In a container, the answer to the token's request may make no second hop; the others arrive."""
    cloud.services.faults["imds token"] = HANG
    quick = instance(cloud.services, tmp_path) | {"AWS_METADATA_SERVICE_TIMEOUT": "0.3"}
    with pytest.raises(AuthenticationError, match="answered HTTP 401"):
        cloud.call(quick)
    cloud.services.imds_version = 1
    cloud.call(quick)


@pytest.mark.parametrize("fault", [CLOSE, 500])
def test_a_first_answer_that_is_lost_is_asked_for_again(cloud: Cloud, tmp_path: Path, fault: Any) -> None:
    cloud.services.faults["imds roles"] = fault
    environment = instance(cloud.services, tmp_path) | {"AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3"}
    with pytest.raises(PenstockError, match="instance metadata service"):
        cloud.call(environment)
    assert cloud.services.count("imds roles") == 3


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes no connection and refuses none: a listener whose queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("how", ["sync", "async"])
def test_off_ec2_one_try_tells_that_nobody_is_there(cloud: Cloud, tmp_path: Path, how: str) -> None:
    with black_hole() as nowhere:
        environment = {"AWS_REGION": "us-west-2", "HOME": str(tmp_path), "AWS_EC2_METADATA_SERVICE_ENDPOINT": nowhere}
        with pytest.raises(
            AuthenticationError, match=r"No AWS credentials were found.*no connection within 1 s"
        ) as caught:
            OFF_EC2[how](cloud, environment)
    assert len(caught.value.tried) == 1


async def _async_call(environment: dict[str, str], base: str) -> None:
    async with AsyncClient(environment=environment) as client:
        await client.chat.completions.create(model=MODEL, messages=ASK, api_base=base)


OFF_EC2: dict[str, Callable[[Cloud, dict[str, str]], Any]] = {
    "sync": lambda cloud, environment: cloud.call(environment, num_retries=2),
    "async": lambda cloud, environment: asyncio.run(_async_call(environment, cloud.base)),
}


def test_a_container_elsewhere_gets_no_token(cloud: Cloud, tmp_path: Path) -> None:
    environment = container(cloud.services, tmp_path) | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://10.0.0.1/x"}
    with pytest.raises(AuthenticationError, match="neither HTTPS nor an address on this machine"):
        cloud.call(environment)


# -- programs and files that are not what they should be ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('broken "quote', "is no command line"),
        ('""', "could not be run|Permission"),
        ("no-such-program-fake --secret fake-secret-argument", "could not be run"),
        ('sh -c "exec sleep 5" fake-secret-argument', "did not end within"),
        ("false", "exit status 1"),
        ("true", "something else than credentials"),
    ],
)
def test_a_credential_process_that_cannot_do(cloud: Cloud, tmp_path: Path, command: str, said: str) -> None:
    environment = profile(tmp_path, f"[profile work]\ncredential_process = {command}\n")
    with pytest.raises(PenstockError, match=said) as caught:
        cloud.call(environment, timeout=0.5)
    assert "credential_process of the AWS profile 'work'" in str(caught.value)
    assert "fake-secret-argument" not in str(caught.value)


def test_nobody_is_signed_in(cloud: Cloud, tmp_path: Path) -> None:
    sso = "sso_start_url = https://fake.example\nsso_region = x\nsso_account_id = 1\nsso_role_name = r\n"
    environment = profile(tmp_path, f"[profile work]\n{sso}")
    with pytest.raises(AuthenticationError, match=r"nobody is signed in.*aws sso login --profile work"):
        cloud.call(environment)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"line\nbreak", "\u201cquoted\u201d".encode()])
def test_a_token_file_that_no_header_can_carry(cloud: Cloud, tmp_path: Path, content: bytes) -> None:
    environment = container(cloud.services, tmp_path)
    Path(environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).write_bytes(content)
    with pytest.raises(AuthenticationError, match=r"holds no text|no header can carry") as caught:
        cloud.call(environment)
    assert "break" not in str(caught.value).replace("line breaks", "")
    assert cloud.services.asked == []


# -- signatures over odd requests --------------------------------------------------------------------------------------

ODD = (
    "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/a b",
    "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us.x-v1:0",
    "a b+c~d!'()*$&,;=@:\u00e9%2F",
    "us.anthropic.x%20y:1",
)


@pytest.mark.parametrize("model", ODD)
@pytest.mark.parametrize("stream", [False, True])
def test_any_model_name_is_signed_as_it_is_sent(cloud: Cloud, model: str, stream: bool) -> None:
    session: Any = Client(environment=AWS | KEYS | {"AWS_SESSION_TOKEN": "fake/session+token=="})
    with session as client:
        name = f"bedrock/converse/{model}"
        answer: Any = client.chat.completions.create(model=name, messages=ASK, api_base=cloud.base, stream=stream)
        if stream:
            list(answer)
    assert cloud.bedrock.last.refused is None
    assert cloud.bedrock.last.headers["x-amz-security-token"] == "fake/session+token=="


def test_query_and_headers_of_the_caller_are_signed_as_they_are_sent(cloud: Cloud) -> None:
    query = {"a b": "c d+\u00e9~/?&=%", "A": "", "b": "1"}
    headers = {
        "X-Amzn-Bedrock-Trace": "ENABLED",
        "X-Amz-Meta": "a   b;c",
        "Content-Type": "application/json; charset=utf-8",
    }
    cloud.call(AWS | KEYS, extra_query=query, extra_headers=headers)
    assert {name: values[0] for name, values in cloud.bedrock.last.query.items()} == query
    assert "x-amz-meta" in cloud.bedrock.last.headers["authorization"]


@pytest.mark.parametrize(
    "value", ["caf\u00e9-fake-secret", "a\u00a0fake-secret", " fake-secret ", "fake-secret\r\nX-Evil: 1", 5]
)
@pytest.mark.parametrize("name", ["X-Amz-Meta-A", "X-Other"])
def test_a_header_that_cannot_be_sent_is_the_callers_error(cloud: Cloud, name: str, value: Any) -> None:
    with pytest.raises(BadRequestError, match=name) as caught:
        cloud.call(AWS | KEYS, extra_headers={name: value})
    assert "fake-secret" not in str(caught.value)
    assert cloud.bedrock.requests == []


# -- what a refusal says -----------------------------------------------------------------------------------------------


def test_a_clock_that_is_off_is_named_where_the_provider_says_so(cloud: Cloud) -> None:
    said = "Signature expired: 20260731T000000Z is now earlier than 20260731T001000Z (20260731T001500Z - 5 min.)"
    cloud.bedrock.script(Reply.error(403, said))
    with pytest.raises(PenstockError, match=r"Signature expired.*clock"):
        cloud.call(AWS | KEYS)


def test_a_refusal_that_quotes_the_request_does_not_tell_its_secrets(cloud: Cloud, tmp_path: Path) -> None:
    """AWS answers a wrong signature with the whole canonical request, session token included."""
    environment = AWS | KEYS | {"AWS_SESSION_TOKEN": "fake/session+token=="}
    said = "The Canonical String for this request should have been 'POST x-amz-security-token:fake/session+token== '"
    cloud.bedrock.script(Reply.error(403, said))
    with pytest.raises(PenstockError) as caught:
        cloud.call(environment)
    told = json.dumps([str(caught.value), repr(caught.value), repr(vars(caught.value))])
    assert "Canonical String" in told
    assert "fake/session" not in told


def test_nothing_is_asked_before_the_first_call(cloud: Cloud, tmp_path: Path) -> None:
    with Client(environment=instance(cloud.services, tmp_path)):
        AsyncClient(environment=instance(cloud.services, tmp_path))
    assert cloud.services.asked == []

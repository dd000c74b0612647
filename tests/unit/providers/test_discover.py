"""Settings that only files and metadata servers know."""

from penstock.providers.discover import discover, undiscovered
from penstock.providers.registry import Registry
from tests.unit.providers.auth.playbook import file, play

REGISTRY = Registry(plugins=lambda: ())
HOME = {"HOME": "/home/me", "NO_GCE_CHECK": "true"}
BEDROCK, VERTEX = REGISTRY.get("bedrock"), REGISTRY.get("vertex_ai")


def test_mostly_nothing_is_missing() -> None:
    assert undiscovered(REGISTRY.get("openai"), "m", {}, {}) == ()
    assert undiscovered(BEDROCK, "m", {}, {"AWS_REGION": "eu-west-1"}) == ()
    assert undiscovered(BEDROCK, "eu-west-1/m", {}, {}) == ()
    assert undiscovered(BEDROCK, "m", {}, {}) == ("region",)
    assert undiscovered(VERTEX, "m", {}, {}) == ("project",)


def test_the_region_of_a_profile() -> None:
    config = "[default]\nregion = eu-north-1\n[profile work]\nregion = us-west-2\n"
    script = [file("/home/me/.aws/config", config), file("/home/me/.aws/credentials", None)]
    assert play(discover(BEDROCK, "m", {}, HOME), script) == {"aws_region_name": "eu-north-1"}
    work = {"aws_profile_name": "work"}
    assert play(discover(BEDROCK, "m", work, HOME), script) == {"aws_region_name": "us-west-2"}
    assert play(discover(BEDROCK, "m", {}, {**HOME, "AWS_PROFILE": "none"}), script) == {}


def test_the_project_of_the_credentials() -> None:
    credentials = '{"type": "authorized_user", "quota_project_id": "mine"}'
    script = [file("/home/me/.config/gcloud/application_default_credentials.json", credentials)]
    assert play(discover(VERTEX, "m", {}, HOME), script) == {"vertex_project": "mine"}


def test_nothing_is_asked_where_everything_is_known() -> None:
    assert play(discover(VERTEX, "m", {"vertex_project": "p"}, HOME), []) == {}


def test_the_profile_of_the_older_variable() -> None:
    config = "[default]\nregion = eu-north-1\n[profile work]\nregion = us-west-2\n"
    script = [file("/home/me/.aws/config", config), file("/home/me/.aws/credentials", None)]
    environment = {**HOME, "AWS_DEFAULT_PROFILE": "work"}
    assert play(discover(BEDROCK, "m", {}, environment), script) == {"aws_region_name": "us-west-2"}

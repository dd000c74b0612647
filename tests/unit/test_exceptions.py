"""The exception tree: as it is drawn, so it is; with and without the `openai` package; which error becomes which."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, get_args

import openai
import pytest

from penstock import exceptions
from penstock.exceptions import BY_KIND, BY_NATIVE, PenstockError, as_error, class_of, from_error
from penstock.testing.providers import ProviderError, Reply, SimulatedProviders
from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.retry import Tried
from tests.support.callers import MODELS, client_of
from tests.support.fresh import clean_environment

CLASSES: dict[str, type[PenstockError]] = {
    name: value
    for name, value in vars(exceptions).items()
    if inspect.isclass(value) and issubclass(value, PenstockError)
}


def drawn() -> Iterator[tuple[str, str, int | None]]:
    """(class, its parent, its status where the drawing says one) from the tree in the module's docstring."""
    tree = (exceptions.__doc__ or "").partition("\n\n")[2].partition("\n\nWhere")[0]
    path: list[tuple[int, str]] = []
    for line in tree.splitlines():
        head = re.match(r"^(?P<indent>[ |]*)(?:\+-- )?(?P<names>(?:[A-Z]\w+(?: \d{3})?(?:, )?)+)", line)
        if head is None:
            continue
        depth = len(head["indent"])
        while path and path[-1][0] >= depth:
            path.pop()
        parent = path[-1][1] if path else ""
        for name in head["names"].split(", "):
            word, _, status = name.partition(" ")
            yield word, parent, int(status) if status else None
        path.append((depth, word))


def test_the_drawn_tree_is_the_tree() -> None:
    found = {name: (parent, status) for name, parent, status in drawn()}
    assert found.keys() == CLASSES.keys()
    for name, (parent, status) in found.items():
        if not parent:
            continue
        assert CLASSES[name].__bases__[0] is CLASSES[parent], name
        if status is not None:
            assert CLASSES[name].status == status, name


def test_every_class_says_what_it_means() -> None:
    assert [name for name, value in CLASSES.items() if not value.__doc__] == []


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_derives_from_its_namesake(name: str) -> None:
    peer = {"Timeout": "APITimeoutError", "PenstockError": "OpenAIError"}.get(name, name)
    expected = getattr(openai, peer, openai.OpenAIError)
    assert issubclass(CLASSES[name], expected)
    with pytest.raises(expected) as caught:
        raise CLASSES[name]("no", "openai", "gpt-4o")
    assert caught.value.message == "no"


def test_all_of_it_works_without_the_openai_package() -> None:
    program = """
import sys
sys.modules["openai"] = None  # an import of it fails
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "openai" else found(name, *rest)
from penstock import exceptions
for value in list(vars(exceptions).values()):
    if isinstance(value, type) and issubclass(value, exceptions.PenstockError):
        assert "openai" not in {each.__module__.partition(".")[0] for each in value.__mro__}, value
        error = value("no", "openai", "gpt-4o", status_code=418)
        assert str(error) == f"{value.__name__}: openai/gpt-4o: no", str(error)
        assert error.status_code == 418 and error.llm_provider == "openai"
print("fine")
"""
    done = subprocess.run([sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True)
    assert done.stdout == "fine\n", done.stderr


def test_they_are_public() -> None:
    import penstock

    assert {name for name in CLASSES if getattr(penstock, name, None) is not CLASSES[name]} == set()


ERROR = ErrorResponse(
    kind="rate_limit",
    status=429,
    message="Slow down",
    type="rate_limit_error",
    code="rate_limit_exceeded",
    param="model",
    retry_after=2.5,
    request_id="req_1",
    dialect="openai_chat",
    body={"error": {"message": "Slow down"}},
)
TRIED = (Tried("openai/gpt-4o", "openai", "gpt-4o", ERROR, 0.5), Tried("openai/gpt-4o", "openai", "gpt-4o", ERROR, 0.4))


@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_an_exception_can_be_sent_elsewhere(again: Any) -> None:
    error = from_error(ERROR, "openai", "gpt-4o", TRIED)
    found = again(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    for name in ("status_code", "kind", "body", "type", "code", "param", "retry_after", "request_id", "tried", "model"):
        assert getattr(found, name) == getattr(error, name), name


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_class_can_be_pickled(name: str) -> None:
    error = CLASSES[name]("no", "openai", "gpt-4o", body={"error": "x"})
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), found.body) == (CLASSES[name], str(error), {"error": "x"})


def test_an_exception_tells_what_the_provider_said() -> None:
    error = from_error(ERROR, "openai", "gpt-4o", TRIED)
    assert type(error) is exceptions.RateLimitError
    assert (error.status_code, error.type, error.code, error.param) == (
        429,
        "rate_limit_error",
        "rate_limit_exceeded",
        "model",
    )
    assert (error.retry_after, error.request_id, error.body) == (2.5, "req_1", {"error": {"message": "Slow down"}})
    assert (error.tried, error.num_retries, error.response.status_code) == (TRIED, 1, 429)
    assert "the provider asks to wait 2.5 s" in str(error) and "2 attempts failed" in str(error)


def test_a_wait_of_our_own_is_not_said_to_be_the_providers() -> None:
    resting = ErrorResponse(kind="unavailable", status=503, message="all rest", retry_after=4.0)
    assert "the provider" not in str(from_error(resting, "", "g"))


def test_every_kind_has_a_class() -> None:
    assert BY_KIND.keys() == set(get_args(ErrorKind))


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_an_exception_is_an_error_value_again(kind: ErrorKind) -> None:
    error = from_error(ErrorResponse(kind=kind, status=499, message="m"), "p", "m")
    assert as_error(error).kind == kind
    assert as_error(error).status == 499


def test_the_class_alone_says_the_kind() -> None:
    assert as_error(exceptions.RateLimitError("x")).kind == "rate_limit"
    assert as_error(exceptions.ContextWindowExceededError("x")).kind == "context_window"
    assert as_error(RuntimeError("x")).kind == "unknown"


@pytest.mark.parametrize("native", sorted(BY_NATIVE))
def test_words_of_our_own_have_a_class_but_not_in_a_providers_mouth(native: str) -> None:
    own = ErrorResponse(kind="unknown", status=500, message="m", native=native)
    assert class_of(own) is BY_NATIVE[native]
    theirs = ErrorResponse(kind="unknown", status=500, message="m", native=native, dialect="openai_chat")
    assert class_of(theirs) is exceptions.APIError


@pytest.mark.parametrize("native", ["connect", "read", "protocol"])
def test_a_broken_connection_is_no_words_of_the_provider(native: str) -> None:
    broken = ErrorResponse(kind="unavailable", status=503, message="m", native=native)
    assert class_of(broken) is exceptions.APIConnectionError


# -- native errors of every dialect -----------------------------------------------------------------------------------

STATUSES: dict[int, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "Timeout",
    413: "RequestTooLargeError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
    529: "ServiceUnavailableError",
}


@pytest.fixture(scope="module")
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", sorted(MODELS))
@pytest.mark.parametrize("status", sorted(STATUSES))
def test_a_native_error_becomes(providers: SimulatedProviders, dialect: str, status: int, stream: bool) -> None:
    providers.script(Reply.error(status))
    with client_of(providers, dialect) as client, pytest.raises(PenstockError) as caught:
        client.chat.completions.create(
            model=MODELS[dialect], messages=[{"role": "user", "content": "Hi"}], stream=stream
        )
    error = caught.value
    assert type(error).__name__ == STATUSES[status]
    assert error.status_code == status
    assert error.llm_provider == MODELS[dialect].partition("/")[0].removesuffix("_chat")
    assert error.body, "the native body is there to be read"
    assert providers.last.refused is None, "the error was the scripted one"


@pytest.mark.parametrize(
    ("dialect", "kind", "expected"),
    [
        *((dialect, "context_window", "ContextWindowExceededError") for dialect in sorted(MODELS)),
        # Ollama has no content policy.
        *((each, "content_policy", "ContentPolicyViolationError") for each in sorted(MODELS) if each != "ollama_chat"),
    ],
)
def test_what_hides_in_a_general_400(providers: SimulatedProviders, dialect: str, kind: Any, expected: str) -> None:
    providers.script(Reply(failure=ProviderError(400, kind=kind)))
    with client_of(providers, dialect) as client, pytest.raises(PenstockError) as caught:
        client.chat.completions.create(model=MODELS[dialect], messages=[{"role": "user", "content": "Hi"}])
    assert type(caught.value).__name__ == expected


@pytest.mark.parametrize("dialect", sorted(MODELS))
def test_retry_after_is_read_from_every_provider(providers: SimulatedProviders, dialect: str) -> None:
    providers.script(Reply.error(429, retry_after=7))
    with client_of(providers, dialect) as client, pytest.raises(exceptions.RateLimitError) as caught:
        client.chat.completions.create(model=MODELS[dialect], messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.retry_after == 7

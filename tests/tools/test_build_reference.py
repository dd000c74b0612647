"""The generated reference pages say what the code says, and leave nothing out that a user can name."""

import inspect
from typing import Any

import msgspec
import pytest

import penstock
from penstock.calls.options import Options
from penstock.providers.auth.kinds import Bearer
from penstock.providers.provider import RateLimitHeaders
from tools import build_api_page, build_fields_page, docstrings
from tools.build_reference import FOLDER, PAGES

FUNCTIONS = [name for name, value in build_api_page.names().items() if inspect.isfunction(value)]
TWINS = {name for name in FUNCTIONS if name.startswith("a") and name[1:] in FUNCTIONS}
CAPABILITIES = {name for name in FUNCTIONS if name.startswith("supports_")}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run: make docs"


def test_every_option_is_described() -> None:
    """An option without a line in the docstring of `Options` is one that nobody can find."""
    page = PAGES["options.md"]()
    fields = set(Options.__struct_fields__) - {"address", "prices"}
    assert {name for name in fields if f"`{name}`" not in page} == set()


def test_every_public_name_is_on_a_page() -> None:
    pages = PAGES["python-api.md"]() + PAGES["exceptions.md"]()
    assert [name for name in penstock.__all__ if not name.startswith("__") and f"`{name}`" not in pages] == []


def test_every_public_name_says_what_it_is() -> None:
    public = {name: value for name, value in vars(penstock).items() if name in penstock.__all__ and name[0] != "_"}
    values = {**build_api_page.names(), **public}
    assert [name for name, value in values.items() if not build_api_page.doc_of(value)] == []


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - TWINS - CAPABILITIES))
def test_every_parameter_is_described(name: str) -> None:
    """In the docstring, and so on the page and in `help()`. Twins and the many `supports_...` share a description."""
    value = getattr(penstock, name)
    words = docstrings.of(value)
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = [each.name for each in inspect.signature(value).parameters.values() if each.kind in plain]
    assert [each for each in parameters if each not in words] == []


@pytest.mark.parametrize("kind", [penstock.Router, penstock.Network])
def test_every_argument_of_a_class_is_described(kind: type) -> None:
    given = set(inspect.signature(kind).parameters) - {"arguments"}
    assert {each for each in given if each not in docstrings.of(kind)} == set()


@pytest.mark.parametrize("kind", build_fields_page.KINDS, ids=lambda kind: str(kind.__name__))
def test_every_field_of_a_provider_is_described(kind: type[msgspec.Struct]) -> None:
    """By name; "the other fields as in `Bearer`" describes those that Bearer has. Header names need none."""
    words = docstrings.of(kind) + (docstrings.of(Bearer) if "as in `Bearer`" in docstrings.of(kind) else "")
    fields = [] if kind is RateLimitHeaders else kind.__struct_fields__
    assert [field for field in fields if field not in words] == []
    listed = [line.split()[0] for line in words.splitlines() if line.split()[:1] and line.split()[0] in fields]
    described = {name for names, _ in docstrings.entries(words) for name in names}
    assert [name for name in listed if name not in described] == [], "a name needs a gap of two spaces after it"


# -- docstrings as Markdown -------------------------------------------------------------------------------------------

MARKDOWN: list[tuple[str, str]] = [
    ("Words that\ngo on.", "Words that go on."),
    ("One.\n\nTwo.", "One.\n\nTwo."),
    ("name    what it is,\n        and more\nb, c    both", "- `name`: what it is, and more\n- `b`, `c`: both"),
    ("Words:\n\n    code(1)\n    code(2)\n\nMore.", "Words:\n\n```text\ncode(1)\ncode(2)\n```\n\nMore."),
    (
        "Who\n    name    what\n            more\nWhere\n    place   there",
        "Who\n\n- `name`: what more\n\nWhere\n\n- `place`: there",
    ),
    ("**arguments    the rest", "- `**arguments`: the rest"),
    (">>> f(1)\n2", "```text\n>>> f(1)\n2\n```"),
    ("- one\n- two", "- one\n- two"),
    ("a <b> and **c, but `<d>`", "a \\<b> and \\*\\*c, but `<d>`"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "markdown"), MARKDOWN)
def test_a_docstring_as_markdown(text: str, markdown: str) -> None:
    assert docstrings.markdown(text) == markdown


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("One. Two.", "One."),
        ("What it does: `f(1)`.", "What it does."),
        ("No end", "No end."),
    ],
)
def test_the_first_sentence(text: str, summary: str) -> None:
    assert docstrings.summary(text) == summary


def test_a_subclass_does_not_borrow_a_docstring() -> None:
    class Parent:
        """Mine."""

    class Child(Parent):
        pass

    kinds: list[Any] = [Parent, Child]
    assert [docstrings.of(kind) for kind in kinds] == ["Mine.", ""]

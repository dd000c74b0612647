"""Functions as tools: schemas from signatures and docstrings, and arguments back into Python's types."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any, Literal

import pydantic
import pytest

from penstock import BadRequestError, completion, function_to_dict
from penstock.calls.functions import function_of
from penstock.types.errors import MalformedError
from penstock.types.json_schema import check_schema, errors_in


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


@dataclasses.dataclass
class Place:
    city: str
    country: str = "France"


class Person(pydantic.BaseModel):
    name: str
    age: int


def google(city: str, unit: Literal["celsius", "fahrenheit"] = "celsius", days: int = 1) -> str:
    """Forecast for a city.

    It looks further than
    one day.

    Args:
        city: its name,
            in English.
        unit (str): of the temperature.

    Returns:
        the words of it
    """
    return f"{city} {unit} {days}"


def numpydoc(location, unit="celsius", detail=None):  # type: ignore[no-untyped-def]  # a function as people write them
    """Current weather.

    Parameters
    ----------
    location : str
        The city and state.
    unit : {"celsius", "fahrenheit"}, optional
        Temperature unit.
    detail : int, optional

    Returns
    -------
    str
        a sentence
    """


def sphinx(text: str, times: int) -> None:
    """Repeat.

    :param text: what to say
    :param int times: how often
    :returns: nothing
    """


def test_google_style() -> None:
    assert function_to_dict(google) == {
        "name": "google",
        "description": "Forecast for a city.\n\nIt looks further than one day.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "its name, in English."},
                "unit": {
                    "type": "string",
                    "enum": ["celsius", "fahrenheit"],
                    "description": "of the temperature.",
                    "default": "celsius",
                },
                "days": {"type": "integer", "default": 1},
            },
            "required": ["city"],
        },
    }


def test_numpydoc_says_the_types_where_nothing_else_does() -> None:
    parameters = function_to_dict(numpydoc)["parameters"]
    assert parameters["properties"] == {
        "location": {"type": "string", "description": "The city and state."},
        "unit": {
            "type": "string",
            "enum": ["celsius", "fahrenheit"],
            "description": "Temperature unit.",
            "default": "celsius",
        },
        "detail": {"type": "integer"},
    }
    assert parameters["required"] == ["location"]


def test_sphinx_style() -> None:
    made = function_to_dict(sphinx)
    assert made["description"] == "Repeat."
    assert {name: each["description"] for name, each in made["parameters"]["properties"].items()} == {
        "text": "what to say",
        "times": "how often",
    }


def rich(
    place: Place,
    person: Person,
    unit: Unit,
    tags: list[str],
    best: Annotated[int, "from 1 to 10"] = 5,
    other: Place | None = None,
    **more: Any,
) -> Any:
    return place, person, unit, tags, best, other, more


def test_types_of_every_kind() -> None:
    schema = function_to_dict(rich)["parameters"]
    assert check_schema(schema) is None
    assert schema["additionalProperties"] is True
    assert schema["properties"]["best"] == {"type": "integer", "description": "from 1 to 10", "default": 5}
    given = {"place": {"city": "Paris"}, "person": {"name": "Ada", "age": 36}, "unit": "celsius", "tags": ["a"]}
    assert errors_in(given, schema) == []
    assert errors_in({**given, "unit": "kelvin"}, schema) != []


def test_arguments_become_the_functions_own_types() -> None:
    function = function_of(rich)
    given = {
        "place": {"city": "Paris"},
        "person": {"name": "Ada", "age": 36},
        "unit": "celsius",
        "tags": ["a"],
        "best": "7",
        "colour": "red",
    }
    made = function.arguments(given)
    assert function.run(**made) == (
        Place("Paris"),
        Person(name="Ada", age=36),
        Unit.CELSIUS,
        ["a"],
        7,
        None,
        {"colour": "red"},
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "missing arguments: city"),
        ({"city": "Paris", "country": "France"}, "no arguments country; there are city, unit, days"),
        ({"city": "Paris", "days": "many"}, "argument 'days'"),
        (["Paris"], "must be a JSON object"),
    ],
)
def test_wrong_arguments_are_told_in_words(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        function_of(google).arguments(given)


class Weather:
    """A thing with a method."""

    def now(self, city: str) -> str:
        """The weather now."""
        return f"{city}: sunny"

    def __call__(self, city: str) -> str:
        return self.now(city)


def test_methods_and_callable_objects() -> None:
    assert list(function_to_dict(Weather().now)["parameters"]["properties"]) == ["city"]
    assert function_to_dict(Weather())["name"] == "Weather"


def test_a_function_that_a_model_cannot_call_by_name() -> None:
    def positional(city: str, /) -> None: ...

    with pytest.raises(MalformedError, match="positional only"):
        function_to_dict(positional)


def test_functions_stand_in_tools() -> None:
    answer: Any = completion("demo", [{"role": "user", "content": "x"}], tools=[google], tool_choice="required")
    assert answer.choices[0].message.tool_calls[0].function.name == "google"
    with pytest.raises(BadRequestError, match="'city' of bad is positional only"):
        completion("demo", [{"role": "user", "content": "x"}], tools=[_bad])


def _bad(city: str, /) -> None: ...


_bad.__name__ = "bad"

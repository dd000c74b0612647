"""Rules: what a request is chooses its model group. Evaluated in order; the first whose conditions all hold decides.

    routing:
      rules:
        - {model: auto, name: code, when: {code: true}, to: claude}
        - {model: auto, name: short German, when: {language: de, tokens: {under: 500}}, to: cheap}
        - {model: auto, name: night, when: {hours: "22:00-06:00", utc_offset: "+01:00"}, to: batch}
        - {model: auto, to: gpt}                    # no `when`: the default, which must be the last

A rule is bound to the name that callers use (`model`), which needs no deployments of its own. All of this is checked
when it is read; an error names the rule and the word. An evaluation says of each rule whether it hit, and why not.

The words of conditions are `CONDITIONS`; `not`, `any` and `all` combine them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct

from penstock.routing.language import LANGUAGES
from penstock.routing.patterns import MalformedPattern, Pattern
from penstock.routing.task import Task


class MalformedRule(ValueError):
    """A rule cannot be read. The message begins with where it is, and says what would do."""


class Moment(NamedTuple):
    """The time of a request, in Unix seconds."""

    unix: float


Check: TypeAlias = Callable[[Task, Moment], str | None]
"""None: the condition holds. Else why it does not."""


class Rule(Struct, frozen=True):
    """One rule: `when` all checks hold, the group is `to`."""

    name: str
    to: str
    checks: tuple[Check, ...] = ()
    words: tuple[str, ...] = ()

    def misses(self, task: Task, moment: Moment) -> str | None:
        """Why it does not hit; None: it does."""
        return next((why for check in self.checks if (why := check(task, moment)) is not None), None)


class Step(Struct, frozen=True):
    """One rule that was looked at: whether it hit, and why not (of one that hit: what held)."""

    rule: str
    hit: bool
    why: str


class Decision(Struct, frozen=True):
    """What the rules of a name decided: the group, by which rule, and all that were looked at on the way."""

    model: str
    group: str
    rule: str
    steps: tuple[Step, ...] = ()


class RuleSet:
    """The rules of one name, in order; the last has no conditions."""

    def __init__(self, model: str, rules: Sequence[Rule]) -> None:
        self.model = model
        self.rules = tuple(rules)

    @property
    def groups(self) -> tuple[str, ...]:
        """All groups that a request may go to."""
        return tuple(dict.fromkeys(rule.to for rule in self.rules))

    def decide(self, task: Task, unix: float) -> Decision:
        """The group of a request that came at `unix` (seconds)."""
        steps: list[Step] = []
        moment = Moment(unix)
        for rule in self.rules:
            why = rule.misses(task, moment)
            if why is None:
                held = ", ".join(rule.words) if rule.words else "nothing else fitted"
                steps.append(Step(rule.name, True, held))
                return Decision(self.model, rule.to, rule.name, tuple(steps))
            steps.append(Step(rule.name, False, why))
        raise AssertionError("the last rule of a set has no conditions")


def rule_sets(entries: Any, where: str = "routing.rules") -> dict[str, RuleSet]:
    """The rules, by the name that they are bound to. Raises MalformedRule."""
    if isinstance(entries, str | Mapping) or not isinstance(entries, Sequence):
        raise MalformedRule(f"{where} must be a list of rules")
    bound: dict[str, list[Rule]] = {}
    for number, entry in enumerate(entries):
        place = f"{where}[{number}]"
        models, rule = _rule(entry, place, number)
        for model in models:
            before = bound.setdefault(model, [])
            if before and not before[-1].checks:
                raise MalformedRule(
                    f"{place} ({rule.name}) comes after {before[-1].name!r}, which has no `when` and takes all "
                    f"requests to {model!r}: put that one last"
                )
            before.append(rule)
    for model, rules in bound.items():
        if rules[-1].checks:
            raise MalformedRule(
                f"{where}: {model!r} needs a last rule without `when`, for requests that no other fits: "
                f"{{model: {model}, to: ...}}"
            )
    return {model: RuleSet(model, rules) for model, rules in bound.items()}


_RULE_WORDS = ("model", "name", "when", "to")


def _rule(entry: Any, place: str, number: int) -> tuple[list[str], Rule]:
    if not isinstance(entry, Mapping):
        raise MalformedRule(f"{place} must be a rule: {{model: auto, when: {{...}}, to: group}}")
    _only(entry, _RULE_WORDS, place)
    name = entry.get("name")
    if name is not None and (not isinstance(name, str) or not name):
        raise MalformedRule(f"{place}.name must be a text")
    to = entry.get("to")
    if not isinstance(to, str) or not to:
        raise MalformedRule(f"{place}.to must name the model group that requests go to")
    models = _strings(entry.get("model", "auto"), f"{place}.model")
    title = name or (f"rule {number + 1}" if entry.get("when") else "default")
    when = entry.get("when")
    if when is None or when == {}:
        return models, Rule(title, to)
    place = f"{place} ({title}).when"
    return models, Rule(title, to, tuple(_checks(when, place)), _in_words(when))


def _in_words(when: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{word}: {_short(value)}" for word, value in when.items() if word not in _CLOCK_WORDS)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_short(each)}" for name, each in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(map(_short, value))
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _checks(when: Any, place: str) -> list[Check]:
    if not isinstance(when, Mapping):
        raise MalformedRule(f"{place} must be a mapping of conditions, such as {{code: true}}")
    _only(when, (*CONDITIONS, *_COMBINED, *_CLOCK_WORDS), place)
    found: list[Check] = []
    for word, value in when.items():
        if word in _COMBINED:
            found.append(_COMBINED[word](value, f"{place}.{word}"))
        elif word in CONDITIONS:
            found.append(CONDITIONS[word](value, f"{place}.{word}", word))
    if any(word in when for word in _CLOCK_WORDS):
        found.append(_clock(when, place))
    return found


def _only(given: Mapping[str, Any], words: Sequence[str], place: str) -> None:
    for word in given:
        if word not in words:
            near = get_close_matches(str(word), words, n=1)
            advice = f": did you mean {near[0]!r}?" if near else f"; there are: {', '.join(words)}"
            raise MalformedRule(f"{place} has no {word!r}{advice}")


# -- combined ---------------------------------------------------------------------------------------------------------


def _not(value: Any, place: str) -> Check:
    checks = _checks(value, place)

    def check(task: Task, moment: Moment) -> str | None:
        misses = any(each(task, moment) is not None for each in checks)
        return None if misses else "what must not hold does"

    return check


def _any(value: Any, place: str) -> Check:
    groups = [_checks(each, f"{place}[{number}]") for number, each in enumerate(_listed(value, place))]

    def check(task: Task, moment: Moment) -> str | None:
        reasons = []
        for checks in groups:
            why = next((why for each in checks if (why := each(task, moment)) is not None), None)
            if why is None:
                return None
            reasons.append(why)
        return "; ".join(reasons)

    return check


def _all(value: Any, place: str) -> Check:
    groups = [_checks(each, f"{place}[{number}]") for number, each in enumerate(_listed(value, place))]

    def check(task: Task, moment: Moment) -> str | None:
        return next((why for checks in groups for each in checks if (why := each(task, moment)) is not None), None)

    return check


_COMBINED: dict[str, Callable[[Any, str], Check]] = {"not": _not, "any": _any, "all": _all}


def _listed(value: Any, place: str) -> Sequence[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence) or not value:
        raise MalformedRule(f"{place} must be a list of conditions")
    return value


# -- numbers and truths -----------------------------------------------------------------------------------------------


def _number(value: Any, place: str, word: str) -> Check:
    """`{over: 10}`, `{under: 100}`, both, or a number: at least so many."""
    over, under = _bounds(value, place)

    def check(task: Task, moment: Moment) -> str | None:
        count = getattr(task, word)
        if over is not None and not count > over:
            return f"{word}: {count} is not over {over:g}"
        if under is not None and not count < under:
            return f"{word}: {count} is not under {under:g}"
        return None

    return check


def _bounds(value: Any, place: str) -> tuple[float | None, float | None]:
    if isinstance(value, Mapping) and value:
        _only(value, ("over", "under"), place)
        over, under = value.get("over"), value.get("under")
        if all(each is None or _is_number(each) for each in (over, under)):
            return over, under
    raise MalformedRule(f"{place} must be {{over: number}}, {{under: number}}, or both")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _truth(value: Any, place: str, word: str) -> Check:
    if not isinstance(value, bool):
        raise MalformedRule(f"{place} must be true or false")

    def check(task: Task, moment: Moment) -> str | None:
        has = bool(getattr(task, word))
        return None if has is value else f"{word}: it is {str(has).lower()}"

    return check


def _count(value: Any, place: str, word: str) -> Check:
    """true or false: whether there are any; or bounds."""
    return _truth(value, place, word) if isinstance(value, bool) else _number(value, place, word)


# -- names ------------------------------------------------------------------------------------------------------------


def _language(value: Any, place: str, word: str) -> Check:
    wanted = frozenset(_strings(value, place))
    for code in wanted - LANGUAGES:
        raise MalformedRule(
            f"{place}: {code!r} is none of the languages that are told apart: {', '.join(sorted(LANGUAGES))}"
        )

    def check(task: Task, moment: Moment) -> str | None:
        return None if task.language in wanted else f"language: it is {task.language or 'not clear'}"

    return check


def _tools(value: Any, place: str, word: str) -> Check:
    """true or false, bounds of their number, or names of which one must be among them (globs)."""
    if isinstance(value, bool):
        return _truth(value, place, word)
    if isinstance(value, Mapping):
        over, under = _bounds(value, place)

        def count(task: Task, moment: Moment) -> str | None:
            number = len(task.tools)
            holds = (over is None or number > over) and (under is None or number < under)
            return None if holds else f"tools: there are {number}"

        return count
    return _one_fits(value, place, lambda task: task.tools, "tools")


def _tags(value: Any, place: str, word: str) -> Check:
    return _one_fits(value, place, lambda task: task.tags, "tags")


def _key(value: Any, place: str, word: str) -> Check:
    return _one_fits(value, place, lambda task: (task.key,), "key")


def _one_fits(value: Any, place: str, of: Callable[[Task], Sequence[str]], word: str) -> Check:
    """One of the names fits one of the globs."""
    globs = [
        re.compile(".*".join(map(re.escape, re.split(r"\*+", glob))), re.DOTALL) for glob in _strings(value, place)
    ]

    def check(task: Task, moment: Moment) -> str | None:
        if any(glob.fullmatch(name) for name in of(task) for glob in globs):
            return None
        return f"{word}: none is {' or '.join(map(repr, _strings(value, place)))}"

    return check


def _strings(value: Any, place: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if isinstance(values, Mapping) or not isinstance(values, Sequence) or not values:
        raise MalformedRule(f"{place} must be a text, or a list of texts")
    if not all(isinstance(each, str) and each for each in values):
        raise MalformedRule(f"{place} must be a text, or a list of texts")
    return list(values)


# -- words in texts ---------------------------------------------------------------------------------------------------

_WHERE = {"keywords": "searched", "pattern": "searched", "system_keywords": "searched_system"}
_WHERE["system_pattern"] = "searched_system"


def _keywords(value: Any, place: str, word: str) -> Check:
    """Any of these words or phrases, as a whole, in any case."""
    words = _strings(value, place)
    text_of = _WHERE[word]
    wanted = re.compile("|".join(map(_as_a_whole, words)), re.IGNORECASE)

    def check(task: Task, moment: Moment) -> str | None:
        return None if wanted.search(getattr(task, text_of)) else f"{word}: none of {len(words)} occurs"

    return check


def _as_a_whole(word: str) -> str:
    """Words of scripts that put no spaces between them are found anywhere."""
    inside = r"\s+".join(map(re.escape, word.split()))
    begins = r"(?<!\w)" if _is_spaced(word[:1]) else ""
    ends = r"(?!\w)" if _is_spaced(word[-1:]) else ""
    return begins + inside + ends


def _is_spaced(character: str) -> bool:
    return character.isalnum() and character < "\u0e00"


def _pattern(value: Any, place: str, word: str) -> Check:
    text_of = _WHERE[word]
    try:
        patterns = [Pattern(source) for source in _strings(value, place)]
    except MalformedPattern as error:
        raise MalformedRule(f"{place}: {error}") from None

    def check(task: Task, moment: Moment) -> str | None:
        text = getattr(task, text_of)
        return None if any(each.found(text) for each in patterns) else f"{word}: it does not occur"

    return check


# -- the time of day --------------------------------------------------------------------------------------------------

_CLOCK_WORDS = ("hours", "days", "utc_offset")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)")
_DAY = 24 * 60


def _clock(when: Mapping[str, Any], place: str) -> Check:
    """`hours: "08:00-18:00"` (over midnight where the end is earlier: such a span belongs to the day that it began on),
    `days: mon-fri` or a list, both of a clock that is `utc_offset` ahead of UTC.
    """
    if "hours" not in when and "days" not in when:
        raise MalformedRule(f"{place}.utc_offset says nothing without `hours` or `days`")
    begin, end = _span(when.get("hours", "00:00-24:00"), f"{place}.hours")
    days = _weekdays(when.get("days", "mon-sun"), f"{place}.days")
    offset = _minutes(when.get("utc_offset", "+00:00"), f"{place}.utc_offset")

    def check(task: Task, moment: Moment) -> str | None:
        minutes = int(moment.unix // 60) + offset
        day, minute = minutes // _DAY, minutes % _DAY
        if end <= begin and minute < end:  # the hours after midnight of a span that began yesterday
            day, minute = day - 1, minute + _DAY
        last = end if end > begin else end + _DAY
        weekday = (day + 3) % 7  # 1970 began on a Thursday
        if weekday in days and begin <= minute < last:
            return None
        return f"time: it is {_DAYS[(minutes // _DAY + 3) % 7]} {minutes % _DAY // 60:02}:{minutes % 60:02}"

    return check


def _span(value: Any, place: str) -> tuple[int, int]:
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise MalformedRule(f'{place} must be like "08:00-18:00"')
    first, second, third, fourth = map(int, match.groups())
    begin, end = first * 60 + second, third * 60 + fourth
    if begin == end or end > _DAY:
        raise MalformedRule(f'{place} must be like "08:00-18:00", with a beginning before its end')
    return begin, end


def _weekdays(value: Any, place: str) -> frozenset[int]:
    found: set[int] = set()
    for word in value.split(",") if isinstance(value, str) else _strings(value, place):
        first, _, last = word.strip().lower().partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise MalformedRule(f'{place} must be like "mon-fri" or [sat, sun]')
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)


def _minutes(value: Any, place: str) -> int:
    match = _OFFSET.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 14:
        raise MalformedRule(f'{place} must be like "+02:00"')
    return (int(match[2]) * 60 + int(match[3])) * (-1 if match[1] == "-" else 1)


CONDITIONS: dict[str, Callable[[Any, str, str], Check]] = {
    "tokens": _number,
    "characters": _number,
    "messages": _number,
    "max_tokens": _number,
    "images": _count,
    "audio": _count,
    "video": _count,
    "files": _count,
    "code": _truth,
    "schema": _truth,
    "json": _truth,
    "reasoning": _truth,
    "stream": _truth,
    "language": _language,
    "tools": _tools,
    "tags": _tags,
    "key": _key,
    "keywords": _keywords,
    "pattern": _pattern,
    "system_keywords": _keywords,
    "system_pattern": _pattern,
}
"""The words of conditions; what each is about: `Task`. Beside them stand `hours`, `days` and `utc_offset`."""

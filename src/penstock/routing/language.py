"""Language: which one a text is written in, by its script and, in the Latin script, by its commonest words.

It knows two dozen and answers None where it is not sure: a rule that asks for a language then does not hit. Code,
addresses and names are in no language. No model and no dependency: the lists are function words, which a page of any
text in a language is full of; one that several languages have counts a part for each.
"""

from __future__ import annotations

import re
from collections import Counter

LONGEST = 4000
"""Characters that are looked at."""
_SCRIPTS = (
    ("ja", "\u3040", "\u30ff"),
    ("ko", "\uac00", "\ud7af"),
    ("zh", "\u4e00", "\u9fff"),
    ("ru", "\u0400", "\u04ff"),
    ("ar", "\u0600", "\u06ff"),
    ("he", "\u0590", "\u05ff"),
    ("el", "\u0370", "\u03ff"),
    ("hi", "\u0900", "\u097f"),
    ("th", "\u0e00", "\u0e7f"),
)
"""Language -> the first and the last character of the script that it is the commonest of."""
_TELLING = {
    "uk": frozenset("іїєґ"),
    "bg": frozenset("ъ"),
    "fa": frozenset("پچژگ"),
}
"""Letters that only one language of a script has (Bulgarian's is rare in Russian)."""
_STOP_WORDS = {
    "en": "the of and to in is that it for was with as are this be have from you not which what how can does please "
    "would should write explain my your there their summarize translate me",
    "de": "der die und das ist nicht ein eine mit den von zu sich auf für auch dem wie ich wird aus bei oder bitte "
    "kann sind einen wenn was mir erkläre schreibe fasse übersetze",
    "fr": "le la les et des une est que dans pour pas qui sur au avec ce plus par je vous nous il elle sont comment "
    "écris mon cette être peux résume traduis",
    "es": "el los las una que por para con no se lo como más pero sus del al está muy qué cómo este también escribe mi "
    "puedes explica",
    "it": "il gli che di non una per con sono della come più dei nel alla questo anche mi cosa perché scrivi spiega "
    "puoi delle è un",
    "pt": "o os uma que não do da em para com mais como ao pelo você isso são também está escreva dos das meu seu "
    "explique é um",
    "nl": "het een van en dat niet zijn voor met aan ook maar bij worden deze naar ik je kun hoe wat schrijf uit deze "
    "wordt er",
    "pl": "nie się na jest że do to jak od po dla czy przez tym ale być napisz który są mi proszę tego może",
    "sv": "och att det som en är på för inte med av den har jag till om ett var kan skriv hur vad eller från",
    "tr": "ve bir bu için ile çok daha gibi ne olarak nasıl var mı olan ben kadar sonra değil yaz bana nedir",  # noqa: RUF001  # Turkish has an i without a dot
    "cs": "se na je že to si jak jsem pro ale jako který nebo při být tak může napiš prosím jsou není",
    "vi": "và của là có cho không một được trong người với các này những tôi bạn như viết hãy",
    "id": "yang dan untuk dengan ini itu tidak dari adalah pada akan saya apa bagaimana dalam bisa tulis atau juga",
}
_WORDS: dict[str, tuple[str, ...]] = {}
for _language, _text in _STOP_WORDS.items():
    for _word in set(_text.split()):
        _WORDS[_word] = (*_WORDS.get(_word, ()), _language)
_WORD = re.compile(r"[^\W\d_]+")
_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+|\S+@\S+", re.DOTALL)

LANGUAGES = frozenset({*_STOP_WORDS, *(language for language, *_ in _SCRIPTS), *_TELLING})
"""The codes (ISO 639-1) that `language_of` may answer."""


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the text's language; None: none that it is sure of."""
    prose = _NOT_PROSE.sub(" ", text[:LONGEST])
    letters = sum(map(str.isalpha, prose))
    if not letters:
        return None
    found = _by_script(prose, letters)
    return found or _by_words(prose)


def _by_script(text: str, letters: int) -> str | None:
    """The language of a script that is not Latin, where a quarter of the letters are of it."""
    counts: Counter[str] = Counter()
    for character in text:
        if character > "\u036f":
            for language, first, last in _SCRIPTS:
                if first <= character <= last:
                    counts[language] += 1
                    break
    if counts["ja"] and counts["ja"] * 10 > counts["zh"]:  # Japanese is written in both
        counts["ja"] += counts.pop("zh", 0)
    if not counts:
        return None
    language, count = counts.most_common(1)[0]
    if count * 4 < letters:
        return None
    return _told_apart(language, text.lower(), count)


def _told_apart(language: str, text: str, count: int) -> str:
    for other, script in (("uk", "ru"), ("fa", "ar"), ("bg", "ru")):
        if language == script and sum(text.count(letter) for letter in _TELLING[other]) * 100 >= count:
            return other
    return language


def _by_words(text: str) -> str | None:
    """The language most of whose words occur: at least two of them, a tenth of all words, and clearly more than of any
    other. A word of several languages is a part of each.
    """
    words = _WORD.findall(text.lower())
    scores: Counter[str] = Counter()
    for word in words:
        languages = _WORDS.get(word, ())
        for language in languages:
            scores[language] += 12 // len(languages)
    if not scores:
        return None
    (best, score), *others = scores.most_common(2)
    second = others[0][1] if others else 0
    sure = score >= 24 and score * 10 >= 12 * len(words) and score * 4 >= second * 5
    return best if sure else None

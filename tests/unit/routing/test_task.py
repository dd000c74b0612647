"""What a request is: languages, code, texts, media."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.language import LANGUAGES, language_of
from penstock.routing.task import LONGEST, Task, has_code
from penstock.types.content import Media, PlainText, Text, ToolResult, Url
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice

LINES = {
    "en": "What is the capital of France and how many people live there?",
    "de": "Was ist die Hauptstadt von Frankreich und wie viele Menschen leben dort?",
    "fr": "Quelle est la capitale de la France et combien de personnes y vivent ?",
    "es": "¿Cuál es la capital de Francia y cuántas personas viven en ella? Escribe el resumen.",
    "it": "Qual è la capitale della Francia e quante persone ci vivono? Scrivi un riassunto del testo.",
    "pt": "Qual é a capital da França e quantas pessoas moram lá? Escreva um resumo do texto.",
    "nl": "Wat is de hoofdstad van Frankrijk en hoeveel mensen wonen er?",
    "pl": "Jaka jest stolica Francji i ile osób tam mieszka? Napisz to po polsku, proszę.",
    "sv": "Vad är huvudstaden i Frankrike och hur många bor det där?",
    "tr": "Fransa'nın başkenti nedir ve orada ne kadar insan yaşıyor?",
    "cs": "Jaké je hlavní město Francie a kolik lidí tam žije? Napiš to prosím, jak to je.",
    "vi": "Thủ đô của Pháp là gì và có bao nhiêu người sống ở đó?",
    "id": "Apa ibu kota Prancis dan berapa banyak orang yang tinggal di sana?",
    "ru": "Какая столица Франции и сколько там живёт людей?",
    "uk": "Яка столиця Франції і скільки там живе людей? Чи є її мапа?",
    "ja": "フランスの首都はどこですか。人口も教えてください。",
    "zh": "法国的首都是哪里,有多少人住在那里?",
    "ko": "프랑스의 수도는 어디인가요?",
    "ar": "ما هي عاصمة فرنسا وكم عدد سكانها؟",
    "fa": "پایتخت فرانسه کجاست و چند نفر در آنجا زندگی می‌کنند؟",
    "he": "מהי בירת צרפת וכמה אנשים גרים שם?",
    "el": "Ποια είναι η πρωτεύουσα της Γαλλίας;",
    "hi": "फ्रांस की राजधानी क्या है?",
    "th": "เมืองหลวงของฝรั่งเศสคืออะไร",
}


@pytest.mark.parametrize(("language", "text"), LINES.items())
def test_languages(language: str, text: str) -> None:
    assert language_of(text) == language
    assert language_of(f"{text}\n```python\nthe_is_and = for_with(der, die, das)\n```") == language


@pytest.mark.parametrize(
    "text", ["", "hello", "12345 !?", "def f(x): return x + 1", "https://the.is/and/of/to/in", "Anna Schmidt, Bonn"]
)
def test_nothing_to_be_sure_of(text: str) -> None:
    assert language_of(text) is None


@given(st.text(max_size=300))
def test_any_text_has_a_language_or_none(text: str) -> None:
    assert language_of(text) in {*LANGUAGES, None}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Why does this fail?\n```py\nx = 1\n```", True),
        ("Fix it:\ndef f(x):\n    return x\n\nclass A:\n    pass", True),
        ("int main() {\n  return 0;\n}", True),
        ("SELECT name FROM users WHERE id = 3;\nUPDATE users SET name = 'x';", True),
        ('Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: no', True),
        ("Please write a poem;\nabout love and the sea", False),
        ("Write a function that adds two numbers.", False),
        ("I import goods.\nWe return them; often.\nThis is a class action.\nNothing else.", False),
        ("", False),
    ],
)
def test_code(text: str, code: bool) -> None:
    assert has_code(text) is code


def request(*texts: str, **fields: Any) -> Request:
    messages = tuple(Message("user", (Text(text),)) for text in texts)
    return Request(dialect="openai_chat", model="auto", **{"messages": messages, **fields})


def test_texts_and_lengths() -> None:
    messages = (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("First."),)),
        Message("assistant", (Text("Yes."),)),
        Message("user", (Text("Second"), Text("question."))),
        Message("user", (ToolResult("c", (Text("a result"),)),)),
    )
    task = Task(request(messages=messages, system=(Text("Be kind."),)))
    assert task.system == "Be kind.\nBe brief."
    assert task.text == "Second\nquestion.", "what a tool answered is not what the user asks"
    assert task.characters == len("Be kind.Be brief.First.Yes.Secondquestion.a result")
    assert task.messages == 5
    assert 8 <= task.tokens <= 20
    assert Task(request("x"), tokens=77).tokens == 77


def test_media_also_in_tool_results_and_documents() -> None:
    image = Media("image", Url("https://a.example/x.png"))
    document = Media("file", PlainText("some words"))
    parts = (image, document, ToolResult("c", (image,)))
    task = Task(request(messages=(Message("user", parts),)))
    assert (task.images, task.files, task.audio, task.video) == (2, 1, 0, 0)
    assert task.characters == len("some words")


def test_tools_schema_and_reasoning() -> None:
    tools = (Tool("search"), Tool("book"))
    assert Task(request("x", tools=tools)).tools == ("search", "book")
    assert Task(request("x", tools=tools, tool_choice=ToolChoice("none"))).tools == ()
    formats = [None, ResponseFormat("text"), ResponseFormat("json_object"), ResponseFormat("json_schema", {})]
    tasks = [Task(request("x", response_format=each)) for each in formats]
    assert [(task.json, task.schema) for task in tasks] == [(False, False), (False, False), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        (None, False),
        (Reasoning(), False),
        (Reasoning(effort="none"), False),
        (Reasoning(enabled=False, effort="high"), False),
        (Reasoning(budget_tokens=0), False),
        (Reasoning(effort="low"), True),
        (Reasoning(budget_tokens=1024), True),
        (Reasoning(adaptive=True), True),
    ],
)
def test_reasoning(asked: Reasoning | None, reasons: bool) -> None:
    assert Task(request("x", reasoning=asked)).reasoning is reasons


def test_long_texts_are_searched_at_both_ends() -> None:
    task = Task(request("begin " + "x" * 10 * LONGEST + " end"))
    assert len(task.searched) <= LONGEST + 1
    assert task.searched.startswith("begin") and task.searched.endswith("end")

"""`penstock config`: what it prints, its exit status, and what it says to a running gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.cli import main
from penstock.control.config.schema import schema_text

KEY = "sk-fake-master-1"
RIGHT = "models: [{name: gpt, model: openai/gpt-5-mini, api_key: env:SOME_KEY}]\n"
WRONG = "models: [{name: gpt, model: openai/gpt-5-mini, api_bas: x, rpm: many}]\n"
ERRORS = """\
models[0].api_bas, line 1 of penstock.yaml: unknown key; did you mean api_base?
models[0].rpm, line 1 of penstock.yaml: expected a number of 0 or more, got 'many'
"""


class Gateway:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str | None, Any]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                gateway.asked.append((self.path, self.headers["authorization"], body))
                self.send_response(gateway.status)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.send_header("content-length", str(len(gateway.body)))
                self.end_headers()
                self.wfile.write(gateway.body)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answers(self, status: int, body: Any) -> None:
        self.status, self.body = status, json.dumps(body).encode()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOME_KEY", "sk-fake-some-key")
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", KEY)
    path = tmp_path / "penstock.yaml"
    path.write_text(RIGHT)
    return path


def test_check_says_what_there_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", str(file)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{file} is right: 1 deployments in 1 groups, 0 keys, 0 warnings\n"
    assert shown.err == ""


def test_check_says_all_that_is_wrong(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(WRONG)
    assert main(["config", "check", str(file)]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{ERRORS}{file}: 2 errors\n")


def test_check_lists_what_is_not_honoured(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("model_list: []\ngeneral_settings: {alerting: [slack]}\n")
    assert main(["config", "check", str(file)]) == 0
    assert capsys.readouterr().err == (
        "warning: general_settings.alerting, line 2 of penstock.yaml: watch /metrics and alert from there\n"
    )
    assert main(["config", "check", "--strict", str(file)]) == 1


def test_diff_of_two_files(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(f"{RIGHT}aliases: {{best: gpt}}\n")
    assert main(["config", "diff", str(file), str(new)]) == 0
    assert capsys.readouterr().out == "+ aliases.best: gpt\n"
    assert main(["config", "diff", "--exit-code", str(file), str(new)]) == 1
    assert main(["config", "diff", "--exit-code", str(file), str(file)]) == 0
    assert capsys.readouterr().out.endswith("no changes\n")
    new.write_text(WRONG)
    assert main(["config", "diff", str(file), str(new)]) == 1


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert capsys.readouterr().out == schema_text()


def test_apply_sends_the_files_as_they_are(
    file: Path, tmp_path: Path, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more.yaml").write_text("aliases: {best: gpt}\n")
    file.write_text(f"include: [more.yaml]\n{RIGHT}")
    gateway.answers(
        200, {"version": 7, "changes": [{"text": "+ aliases.best: gpt"}], "warnings": [{"text": "x: mind this"}]}
    )
    assert main(["config", "apply", str(file), "--url", f"{gateway.url}/"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "+ aliases.best: gpt\nversion 7 is served\n"
    assert shown.err == "warning: x: mind this\n"
    ((path, authorization, body),) = gateway.asked
    assert (path, authorization) == ("/config/apply", f"Bearer {KEY}")
    assert body == {
        "main": "penstock.yaml",
        "files": {"penstock.yaml": file.read_text(), "more.yaml": "aliases: {best: gpt}\n"},
    }
    assert "sk-fake-some-key" not in json.dumps(body)


def test_diff_asks_the_gateway(file: Path, gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answers(200, {"version": 7, "changes": [], "warnings": []})
    assert main(["config", "diff", str(file), "--url", gateway.url, "--key", "sk-fake-other"]) == 0
    assert capsys.readouterr().out == "no changes\n"
    assert gateway.asked[0][:2] == ("/config/diff", "Bearer sk-fake-other")


@pytest.mark.parametrize("action", ["diff", "apply"])
def test_a_refusal_is_shown_in_full(
    action: str, file: Path, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.answers(400, {"error": {"message": "m", "problems": [{"text": "one"}, {"text": "two"}]}})
    assert main(["config", action, str(file), "--url", gateway.url]) == 1
    assert capsys.readouterr().err == f"one\ntwo\n{file}: 2 errors\n"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": {"message": "no such key"}}, "answered 401: no such key"),
        (404, {}, "answered 404: is this a Penstock gateway?"),
        (404, {"error": "nothing"}, "answered 404: nothing"),
        (200, [], "answered 200: is this a Penstock gateway?"),
        (307, {}, "answered 307"),
        (500, "text", "answered 500"),
    ],
)
def test_other_answers(
    status: int, body: Any, said: str, file: Path, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.answers(status, body)
    assert main(["config", "apply", str(file), "--url", gateway.url]) == 1
    assert said in capsys.readouterr().err
    assert len(gateway.asked) == 1  # the key goes nowhere else


def test_nobody_is_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "apply", str(file), "--url", "http://127.0.0.1:9"]) == 1
    assert "no gateway answers at http://127.0.0.1:9" in capsys.readouterr().err


def test_a_key_is_needed(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("PENSTOCK_MASTER_KEY")
    monkeypatch.delenv("LITELLM_MASTER_KEY", raising=False)
    assert main(["config", "apply", str(file)]) == 1
    assert "set PENSTOCK_MASTER_KEY, or give --key" in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("check", "diff", "apply"):
        assert main(["config", action, str(tmp_path / "none.yaml")]) == 1
        assert "none.yaml cannot be read" in capsys.readouterr().err

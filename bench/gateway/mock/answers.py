"""The upstream of whole answers: nginx returning constant bodies, which costs less than any gateway's work on them.

It also counts: what it was asked must equal what clients were answered, or a peer had answered in its place.
"""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

from bench.gateway import machine, messages, processes
from bench.gateway.processes import Program

CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/mock.pid;
error_log stderr error;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}/mock-body;
    proxy_temp_path {folder}/mock-proxy; fastcgi_temp_path {folder}/mock-f; uwsgi_temp_path {folder}/mock-u;
    scgi_temp_path {folder}/mock-s;
    default_type application/json;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /v1/chat/completions {{ return 200 '{chat}'; }}
        location = /v1/messages {{ return 200 '{messages}'; }}
        location = /count {{ stub_status; }}
        location / {{ return 404; }}
    }}
}}
"""


def start(folder: Path, core: int) -> tuple[Program, int]:
    """The running mock, and its port."""
    port = machine.free_port()
    config = folder / "mock.conf"
    chat, message = messages.chat_answer().decode(), messages.messages_answer().decode()
    config.write_text(CONFIG.format(folder=folder, port=port, chat=chat, messages=message))
    command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)]
    program = processes.start("mock-answers", command, [core], folder)
    program.wait_for_port(port)
    return program, port


def count(port: int) -> int:
    """How many requests it has answered, this one not counted."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=5) as answer:
        return read_count(answer.read().decode()) - 1


def read_count(page: str) -> int:
    """The number of requests in a page of nginx's stub_status."""
    found = re.search(r"requests\s+\d+ \d+ (\d+)", page)
    if found is None:
        raise ValueError(f"no count of requests in {page!r}")
    return int(found.group(1))
